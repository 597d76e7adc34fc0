"""Shade on the ground around what never moves: along the walls of houses and under plants.

It is what these keep away of the sky's light, not of the sun's: soft, and there under clouds too.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from simattack.server.render.ground import GRASS_DROP_M, Piece
from simattack.server.render.mesh import Vertices, join, rows
from simattack.server.road import Road
from simattack.types import Floats

if TYPE_CHECKING:  # town.py builds on this package's meshes, so only its names are used here
    from simattack.server.town import Town

REACH_M = 70.0
"""Drawn up to here."""
LIFT_M = 0.025
BUILDING = 3
PLANTS = {"tree_0": (2.0, 0.42), "tree_1": (1.7, 0.42), "tree_2": (2.2, 0.42),
          "conifer": (1.9, 0.55), "bush": (1.35, 0.6)}  # fmt: skip
"""Radius [m] at size 1, and how much is kept away in the middle."""
WALL_SHADE, WALL_REACH_M = 0.55, 1.3


def _fan(rings: list[tuple[Floats, float]]) -> tuple[Floats, Floats]:
    """Points (N, 2) and their shade (N,) between closed rings (K, 2), outwards."""
    points, alpha = [], []
    for (inner, a), (outer, b) in pairwise(rings):
        inner_next, outer_next = np.roll(inner, -1, axis=0), np.roll(outer, -1, axis=0)
        quad = np.stack([inner, outer, outer_next, inner, outer_next, inner_next], 1)
        points.append(quad.reshape(-1, 2))
        alpha.append(np.tile([a, b, b, a, b, a], len(inner)))
    return np.concatenate(points), np.concatenate(alpha)


def _on_ground(road: Road, points: Floats, alpha: Floats) -> Vertices:
    z = road.height(points) - GRASS_DROP_M + LIFT_M
    uv = np.stack([alpha, alpha], 1)
    return rows(np.column_stack([points, z]), (0, 0, 1), uv)


def shades(road: Road, town: Town, hidden: frozenset[int]) -> list[Piece]:
    """One piece of shade for all; the strength rides in the first texture coordinate."""
    parts: list[tuple[Floats, Floats]] = []
    angle = np.arange(10) * np.pi / 5
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    for thing in town.objects:
        if thing.id in hidden:
            continue
        place = thing.transform
        if thing.mesh in PLANTS:
            radius, strength = PLANTS[thing.mesh]
            radius *= float(np.linalg.norm(place[:3, 0]))
            middle = place[:2, 3]
            # Its own trunk or foot first: darkest where it meets the ground.
            stem = 0.12 if thing.mesh.startswith("tree") else 0.3
            rings = [(stem, 1.35 * strength), (0.45, strength), (radius, 0.0)]
            parts.append(_fan([(middle + r * circle, a) for r, a in rings]))
        elif thing.tag == BUILDING and thing.mesh in town.meshes:
            low = town.meshes[thing.mesh][:, :3].astype(float)
            foot = low[low[:, 2] < 0.5, :2]
            if len(foot) == 0:
                continue
            (x0, y0), (x1, y1) = foot.min(axis=0), foot.max(axis=0)
            edges: list[tuple[Floats, float]] = []
            for away, a in ((0.0, 1.0), (0.35, 0.5), (WALL_REACH_M, 0.0)):
                corners = np.array(
                    [(x0 - away, y0 - away), (x1 + away, y0 - away),
                     (x1 + away, y1 + away), (x0 - away, y1 + away)]
                )  # fmt: skip
                edges.append((corners @ place[:2, :2].T + place[:2, 3], WALL_SHADE * a))
            parts.append(_fan(edges))
    if not parts:
        return []
    points = np.concatenate([p for p, _ in parts])
    alpha = np.concatenate([a for _, a in parts])
    return [Piece(join([_on_ground(road, points, alpha)]), 0, 0)]
