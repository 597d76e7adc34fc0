"""Panels lie just before the bodies that the embedded server draws."""

from __future__ import annotations

import numpy as np
import pytest

from simattack.errors import ConfigError
from simattack.panels import PANELS, panel, typical
from simattack.server.blueprints import BLUEPRINTS
from simattack.server.render import Mover, library
from simattack.types import Floats, Pose, Surface

BODIES = {
    "vehicle.tesla.model3": "car", "vehicle.audi.a2": "car", "vehicle.nissan.patrol": "car",
    "vehicle.mercedes.sprinter": "van", "vehicle.mitsubishi.fusorosa": "bus",
    "vehicle.carlamotors.carlacola": "truck", "walker.pedestrian.0001": "walker",
}  # fmt: skip
SINKS_M = 0.09
"""The furthest that a body recedes behind a panel, in the median."""


def outermost(mesh: str, axis: int, sign: float, points: Floats) -> Floats:
    """How far out a mesh reaches along an axis, on lines through points (N, 2) across it."""
    whole = library.mesh(mesh)
    corners = whole.vertices[whole.indices.astype(np.intp)][..., :3].astype(float)
    flat = corners[:, :, [1 - axis, 2]]
    a, ab, ac = flat[:, 0], flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    is_seen = np.abs(area) > 1e-9
    out = []
    for point in points:
        to = point - a[is_seen]
        s = (to[:, 0] * ac[is_seen, 1] - to[:, 1] * ac[is_seen, 0]) / area[is_seen]
        t = (ab[is_seen, 0] * to[:, 1] - ab[is_seen, 1] * to[:, 0]) / area[is_seen]
        hit = (s >= 0) & (t >= 0) & (s + t <= 1)
        d = corners[is_seen, :, axis][hit]
        at = d[:, 0] + s[hit] * (d[:, 1] - d[:, 0]) + t[hit] * (d[:, 2] - d[:, 0])
        out.append((sign * at).max() if hit.any() else np.nan)
    return np.array(out)


def of(kind: str, side: str) -> tuple[Surface, str, Floats]:
    """A panel of a blueprint with its origin on the ground, its mesh and the mesh's scale."""
    blueprint = BLUEPRINTS[kind]
    half = np.array(blueprint.size_m) / 2
    surface = panel("x", BODIES[kind], side, 1, np.array([0, 0, half[2]]), half)
    mover = Mover(1, blueprint.mesh, blueprint.size_m, (1, 1, 1), Pose(), 14)
    model = library.model(mover)
    return surface, model.name, np.array(blueprint.size_m) / model.size_m


@pytest.mark.parametrize(
    ("kind", "side"), [(kind, side) for kind, body in BODIES.items() for side in PANELS[body]]
)
def test_a_panel_lies_just_before_its_body(kind: str, side: str) -> None:
    surface, mesh, scale = of(kind, side)
    normal = np.cross(
        surface.corners_m[0] - surface.corners_m[3], surface.corners_m[1] - surface.corners_m[0]
    )
    axis = int(np.argmax(np.abs(normal)))
    sign = float(np.sign(normal[axis]))
    assert (axis, sign) == {
        "rear": (0, -1), "back": (0, -1), "front": (0, 1), "face": (0, 1), "left": (1, -1),
        "right": (1, 1),
    }[side]  # fmt: skip
    u, v = np.meshgrid(np.linspace(0.02, 0.98, 7), np.linspace(0.02, 0.98, 7))
    origin, along, down = (surface.corners_m[0], surface.corners_m[1] - surface.corners_m[0],
                           surface.corners_m[3] - surface.corners_m[0])  # fmt: skip
    grid = origin + u.reshape(-1, 1) * along + v.reshape(-1, 1) * down
    body = outermost(mesh, axis, sign, (grid / scale)[:, [1 - axis, 2]]) * scale[axis]
    gap = sign * surface.corners_m[0, axis] - body
    assert np.nanmin(gap) > -0.012, "the body sticks out of its panel"
    assert np.nanmedian(gap) < SINKS_M


def test_left_and_right_are_those_of_who_looks_at_it() -> None:
    rear = typical("vehicle:lead:rear").corners_m
    assert rear[0, 1] < rear[1, 1] and rear[0, 2] > rear[3, 2]
    front = typical("walker:ped:front").corners_m
    assert front[0, 1] > front[1, 1]
    left = typical("vehicle:lead:left").corners_m
    assert left[0, 0] > left[1, 0] and (left[:, 1] < 0).all()


def test_a_name_of_nothing_is_told_with_what_there_is() -> None:
    with pytest.raises(ConfigError, match="one of front, back, face; got 'roof'"):
        typical("walker:nearest:roof")
    with pytest.raises(ConfigError, match="expected a surface such as vehicle:lead:rear"):
        typical("boat:nearest:rear")
