"""Trees and bushes; origin on the ground, the trunk along z."""

from __future__ import annotations

import numpy as np

from simattack.server.render.mesh import (
    Color,
    Vertices,
    join,
    rows,
    skin,
    smooth,
    tube,
)
from simattack.server.render.textures import LAYERS
from simattack.types import Floats

BARK: Color = (0.075, 0.05, 0.032)


def _blob(
    centre: Floats,
    radius: float,
    rng: np.random.Generator,
    sides: int,
    rings: int,
    low_z: float,
    high_z: float,
) -> Vertices:
    """A lump of leaves, darker towards the bottom of the crown."""
    polar = np.linspace(0.0, np.pi, rings + 1)[1:-1]
    around = np.arange(sides) * 2 * np.pi / sides
    shape = np.stack(
        [
            np.sin(polar)[:, None] * np.cos(around),
            np.sin(polar)[:, None] * np.sin(around),
            np.broadcast_to(-np.cos(polar)[:, None] * 0.85, (rings - 1, sides)),
        ],
        2,
    )
    points = centre + shape * radius * (1 + 0.34 * (rng.random((rings - 1, sides, 1)) - 0.5))
    out = skin(points, crease_rad=2.0, layer=LAYERS["leaf"])
    shade = 0.5 + 0.6 * np.clip((out[:, 2] - low_z) / (high_z - low_z), 0, 1)
    out[:, 8:11] *= (shade * rng.uniform(0.85, 1.15))[:, None]
    out[:, 6] = np.arctan2(out[:, 1] - centre[1], out[:, 0] - centre[0]) / np.pi * 1.5
    out[:, 7] = (out[:, 2] - centre[2]) / radius * 0.7
    # Cut the triangles that wrap round: their coordinates would run the whole texture backwards.
    u = out[:, 6].reshape(-1, 3)
    u += np.where(u.max(axis=1, keepdims=True) - u > 1.5, 3.0, 0.0)
    out[:, 6] = u.ravel()
    return out


def _tufts(
    centre: Floats,
    radius: float,
    count: int,
    size: float,
    rng: np.random.Generator,
    low_z: float,
    high_z: float,
) -> Vertices:
    """Sprays of leaves that stand out of a lump: bent quads, seen from both sides."""
    out_of = rng.normal(size=(count, 3))
    out_of[:, 2] = out_of[:, 2] * 0.8 + 0.15
    out_of /= np.linalg.norm(out_of, axis=1, keepdims=True)
    foot = centre + out_of * radius * rng.uniform(0.72, 1.02, (count, 1)) * [1, 1, 0.85]
    across = np.cross(out_of, rng.normal(size=(count, 3)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    along = 0.55 * out_of + 0.8 * np.cross(across, out_of) + [0, 0, -0.12]
    span = size * rng.uniform(0.7, 1.3, (count, 1))
    a, c = foot - 0.35 * span * along, foot + 0.85 * span * along
    left, right = (foot + s * 0.5 * span * across + 0.1 * span * along for s in (-1.0, 1.0))
    tri = np.stack([np.stack([a, right, c], 1), np.stack([a, c, left], 1)], 1).reshape(-1, 3)
    corner = rng.uniform(0, 1, (count, 1, 2)) + np.array(
        [(0, 0.5), (0.3, 0.25), (0.6, 0.5), (0, 0.5), (0.6, 0.5), (0.3, 0.75)]
    ) * size * 1.2  # fmt: skip
    # Lit as the lump is, whichever way a leaf is turned; darker at its foot.
    normal = np.repeat(out_of + np.array([0, 0, 0.25]), 6, axis=0)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    height = np.clip((tri[:, 2] - low_z) / (high_z - low_z), 0, 1)
    edge = np.tile([0.62, 1.0, 1.12, 0.62, 1.12, 1.0], count)
    shade = (0.42 + 0.75 * height) * edge * np.repeat(rng.uniform(0.8, 1.2, count), 6)
    warm = np.repeat(rng.uniform(0.9, 1.1, (count, 1)), 6, axis=0) * [1, 0, 0] + [0, 1, 1]
    one = rows(tri, normal, corner.reshape(-1, 2), shade[:, None] * warm, LAYERS["leaf"])
    other = one.reshape(-1, 3, one.shape[1])[:, ::-1].reshape(one.shape)
    return join([one, other])


SHAPES = (
    # Height of the crown's middle, its half width and half height, height of the fork.
    (4.3, 1.75, 1.75, 2.3),
    (4.6, 1.45, 2.05, 2.2),
    (4.0, 2.0, 1.45, 2.1),
)


def tree(seed: int, is_far: bool = False) -> Vertices:
    """A broad-leaved tree, 6 to 7 m high, crown from 2.3 m up; three shapes by ``seed``."""
    rng = np.random.default_rng(seed)
    middle, wide, high, fork = SHAPES[seed % len(SHAPES)]
    low_z, high_z = middle - high, middle + high
    sides = 5 if is_far else 8
    path = [(0, 0, 0), (0.02, 0.03, 0.3), (0.03, 0.02, 1.4), (0.0, 0.05, fork), (0.0, 0.08, middle)]
    out = [tube(path, [0.26, 0.17, 0.135, 0.115, 0.06], sides, BARK)]
    lumps = 5 if is_far else 9
    for k in range(lumps):
        turn = k * 2.4 + rng.uniform(-0.3, 0.3)
        up = 1 - 2 * (k + 0.5) / lumps
        ring = np.sqrt(1 - up * up)
        centre = np.array(
            [0.62 * wide * ring * np.cos(turn), 0.62 * wide * ring * np.sin(turn),
             middle + 0.66 * high * up]
        )  # fmt: skip
        radius = float(rng.uniform(0.72, 0.95)) * 0.55 * (wide + high) / 2 + 0.1
        radius *= 1.18 if is_far else 1.0
        core = _blob(centre, radius, rng, 5 if is_far else 7, 4, low_z, high_z)
        core[:, 8:11] *= 0.8 if not is_far else 0.9
        out.append(core)
        if not is_far and up > -0.5:
            # Boughs show between the lumps.
            out.append(tube([(0, 0.04, fork - 0.1), tuple(centre)], [0.06, 0.02], 4, BARK))
        count, size = (4, 1.0) if is_far else (30, 0.5)
        out.append(_tufts(centre, radius, count, size, rng, low_z, high_z))
    return join(out)


def conifer(is_far: bool = False) -> Vertices:
    """A fir, 7 m high."""
    rng = np.random.default_rng(5)
    sides = 7 if is_far else 12
    out = [tube([(0, 0, 0), (0, 0, 1.6)], [0.17, 0.13], 6, BARK)]
    for k, (z, top, radius) in enumerate(
        ((0.9, 3.0, 1.7), (2.0, 4.2, 1.4), (3.1, 5.4, 1.1), (4.3, 6.9, 0.75))
    ):
        angle = (np.arange(sides) + 0.5 * k) * 2 * np.pi / sides
        r = radius * (1 + 0.25 * (rng.random(sides) - 0.5))
        low = np.stack(
            [r * np.cos(angle), r * np.sin(angle), np.full(sides, z) + 0.2 * rng.random(sides)], 1
        )
        tip = np.broadcast_to([0.0, 0.0, top], low.shape)
        tri = np.stack([low, np.roll(low, -1, axis=0), tip], 1)
        uv = np.stack(
            [
                np.stack([np.arange(sides), np.arange(sides) + 1.0, np.arange(sides) + 0.5], 1)
                * 0.35,
                np.broadcast_to([1.2, 1.2, 0.0], (sides, 3)),
            ],
            2,
        )
        out.append(smooth(tri, (0.55, 0.68, 0.6), crease_rad=2.0, layer=LAYERS["leaf"], uv=uv))
        if not is_far:
            # Boughs whose tips hang over the edge.
            for j in range(3):
                out.append(
                    _tufts(
                        np.array([0.0, 0.0, z + (top - z) * (0.12 + 0.28 * j)]),
                        radius * (0.98 - 0.3 * j), 22 - 4 * j, 0.42, rng, 0.4, 7.5,
                    )
                )  # fmt: skip
        under = np.stack(
            [low, np.broadcast_to([0, 0, z + 0.6], low.shape), np.roll(low, -1, axis=0)], 1
        )
        out.append(smooth(under, (0.12, 0.15, 0.12), layer=LAYERS["leaf"]))
    return join(out)


def bush(seed: int) -> Vertices:
    """A bush, 2 m wide and 1 m high."""
    rng = np.random.default_rng(seed)
    out = []
    for x in (-0.5, 0.0, 0.5):
        centre, radius = np.array([x, rng.normal(0, 0.1), 0.42]), float(rng.uniform(0.45, 0.58))
        out.append(_blob(centre, radius, rng, 7, 4, -0.1, 1.0))
        out.append(_tufts(centre, radius, 26, 0.3, rng, -0.1, 1.0))
    return join(out)
