"""Lamps that light what is around them: street lamps and head lamps, the nearest first.

They cast no shadows: light passes through what stands between. Only what the map's lamps and the
vehicles' low or high beams say counts; at day the list is empty, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import moderngl
import numpy as np
from numpy.typing import NDArray

from simattack.geometry import matrix, rotation
from simattack.server.render.daylight import Daylight
from simattack.server.render.look import Look
from simattack.server.render.placed import Group
from simattack.server.render.view import Mover, View
from simattack.types import Floats

MOST = 6
"""Of lamps in one picture."""
STREET_REACH_M, BEAM_REACH_M = 22.0, 48.0
STREET_COLOR = (1.0, 0.78, 0.5)
STREET_POWER, BEAM_POWER = 2.6, 3.6
STREET_CONE, BEAM_CONE = 0.22, 0.80
"""Cosines of half the cones' angles."""
STREET_HEAD_M = (0.0, -2.1, 7.45)
"""In the lamp's own frame; see ``street.lamp``."""
LOW_BEAM, HIGH_BEAM = 2, 4
"""CARLA's VehicleLightState."""
SEEN_M = 90.0
BEHIND_M = 25.0
"""Lamps so far behind the camera may still light what it sees."""


@dataclass(frozen=True, eq=False)
class Lamps:
    """(N, 4) places and reaches, (N, 4) aims and cones, (N, 3) colours."""

    at: Floats
    aim: Floats
    color: Floats

    def __bool__(self) -> bool:
        return len(self.at) > 0

    @classmethod
    def none(cls) -> Lamps:
        """Day."""
        return cls(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros((0, 3)))


def street_lamps(
    models: Floats, ids: Sequence[int], colors: Mapping[int, tuple[float, float, float]] | None
) -> Lamps:
    """The light of lamps at ``models`` (N, 4, 4).

    Args:
        colors: linear colour by id of those that are lit; None: all, white.
    """
    kept = [k for k, number in enumerate(ids) if colors is None or number in colors]
    if not kept:
        return Lamps.none()
    heads = models[kept] @ np.array([*STREET_HEAD_M, 1.0])
    tint = np.array([(1.0, 1.0, 1.0) if colors is None else colors[ids[k]] for k in kept])
    count = len(kept)
    return Lamps(
        np.column_stack([heads[:, :3], np.full(count, STREET_REACH_M)]),
        np.tile([0.0, 0.0, -1.0, STREET_CONE], (count, 1)),
        STREET_POWER * tint * STREET_COLOR,
    )


def head_lamps(movers: Sequence[Mover]) -> Lamps:
    """One beam for each vehicle with its low or high beam on."""
    lit = [m for m in movers if m.light_flags & (LOW_BEAM | HIGH_BEAM)]
    if not lit:
        return Lamps.none()
    models = np.stack([matrix(m.pose) for m in lit])
    noses = np.array([[m.size_m[0] / 2 - 0.1, 0.0, min(0.7, 0.5 * m.size_m[2]), 1.0] for m in lit])
    at = np.einsum("nij,nj->ni", models, noses)[:, :3]
    # A low beam points down a little; its upper half is cut off only by that.
    tilt = np.array([0.0 if m.light_flags & HIGH_BEAM else -0.055 for m in lit])
    aim = models[:, :3, 0] + tilt[:, None] * models[:, :3, 2]
    aim /= np.linalg.norm(aim, axis=1, keepdims=True)
    count = len(lit)
    return Lamps(
        np.column_stack([at, np.full(count, BEAM_REACH_M)]),
        np.column_stack([aim, np.full(count, BEAM_CONE)]),
        np.tile(BEAM_POWER * np.array([1.0, 0.95, 0.86]), (count, 1)),
    )


def nearest(lamps: Sequence[Lamps], eye: Floats, forward: Floats) -> Lamps:
    """The ``MOST`` that matter most: those whose light falls nearest before the camera."""
    at = np.concatenate([x.at for x in lamps])
    aim = np.concatenate([x.aim for x in lamps])
    color = np.concatenate([x.color for x in lamps])
    # A beam lights what lies ahead of it, a street lamp what lies below.
    lit = at[:, :3] + 0.25 * at[:, 3:] * aim[:, :3]
    to_lit = lit - eye
    away = np.linalg.norm(to_lit, axis=1)
    is_near = (away < SEEN_M) & (to_lit @ forward > -BEHIND_M)
    score = np.where(to_lit @ forward > -2.0, away, 2 * away + 10.0)
    order = np.argsort(score, kind="stable")
    chosen = order[is_near[order]][:MOST]
    return Lamps(at[chosen], aim[chosen], color[chosen])


def around(
    view: View, movers: Sequence[Mover], groups: Sequence[Group], light: Daylight, look: Look
) -> Lamps:
    """What shines near the camera. Under the sun no lamp shows."""
    if not light.needs_lamps:
        return Lamps.none()
    sources = [head_lamps(movers)]
    if look.lamps is not None or light.is_night:
        for group in groups:
            if group.name == "lamp":
                ids = [int(row[26]) for row in group.rows]
                sources.append(street_lamps(group.models, ids, look.lamps))
    eye = np.array([view.pose.x_m, view.pose.y_m, view.pose.z_m])
    return nearest(sources, eye, rotation(view.pose)[:, 0])


def touched(lamps: Lamps, centres: Floats, radii: Floats) -> NDArray[np.bool_]:
    """Which of the balls (N, 3), (N,) any lamp may reach."""
    if not lamps:
        return np.zeros(len(centres), bool)
    away = np.linalg.norm(centres[:, None] - lamps.at[None, :, :3], axis=2)
    return np.asarray((away < radii[:, None] + lamps.at[None, :, 3]).any(axis=1))


def set_lamps(shader: moderngl.Program, lamps: Lamps) -> None:
    """Tell a program that has lamps of them."""
    at = lamps.at.copy()
    at[:, 3] = 1 / at[:, 3] ** 2
    steep = 1 / (1 - lamps.aim[:, 3:])
    aim = np.column_stack([-lamps.aim[:, :3] * steep, -lamps.aim[:, 3:] * steep])
    for name, rows in (("lamp_at", at), ("lamp_aim", aim), ("lamp_color", lamps.color)):
        full = np.zeros((MOST, rows.shape[1]), np.float32)
        full[: len(rows)] = rows
        uniform = shader[name]
        assert isinstance(uniform, moderngl.Uniform)
        uniform.write(full.tobytes())
