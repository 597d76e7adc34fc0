"""Arrows, words, stop lines and hatched areas that the map's objects paint on the road."""

from __future__ import annotations

import numpy as np
import shapely

from simattack.geometry import matrix
from simattack.server.render.mesh import Vertices
from simattack.server.render.paint import WHITE_PAINT, line, polygon
from simattack.server.road import Road
from simattack.server.road_things import Thing
from simattack.types import Floats

STOP_LINE_M = 0.4
SAME_LINE_M = 2.5
"""A stop line this near to one that a signal brought is the same."""
NEXT_LINE_M = 8.0
"""One this near takes its place."""
LINE_M = 0.12
STRIPE_M, STRIPE_PERIOD_M = 0.4, 1.6
PIECE_M = 2.0
"""Patches are cut this small, so that they follow the road."""
_SHAFT = [(-0.5, -0.08), (0.1, -0.08), (0.1, 0.08), (-0.5, 0.08)]
ARROW_PARTS: dict[str, tuple[list[tuple[float, float]], ...]] = {
    "arrow_straight": (_SHAFT, [(0.1, -0.3), (0.5, 0.0), (0.1, 0.3)]),
    "arrow_right": (
        [(-0.5, -0.3), (0.28, -0.3), (0.28, -0.12), (-0.5, -0.12)],
        [(0.12, -0.3), (0.28, -0.3), (0.28, 0.1), (0.12, 0.1)],
        [(0.5, 0.1), (0.2, 0.5), (-0.1, 0.1)],
    ),
}
"""Convex pieces in units of length forwards and width to the right."""
ARROW_PARTS["arrow_left"] = tuple([(x, -y) for x, y in p] for p in ARROW_PARTS["arrow_right"])
GLYPHS = {
    "S": ("111", "100", "111", "001", "111"),
    "T": ("111", "010", "010", "010", "010"),
    "O": ("111", "101", "101", "101", "111"),
    "P": ("111", "101", "111", "100", "100"),
}


def stop_lines(road: Road) -> list[Floats]:
    """Corners (4, 3) of every stop line: those the map paints, and those of signals without one."""
    bars = np.array([bar.mean(axis=0)[:2] for bar in road.stop_lines]).reshape(-1, 2)
    is_kept = np.ones(len(bars), bool)
    painted = []
    for thing in road.things:
        long_m = max(thing.length_m, thing.width_m)
        if thing.kind != "stop_line" or long_m < 0.5:
            continue
        half, thick = long_m / 2, STOP_LINE_M / 2
        corners = np.array([(-half, -thick), (half, -thick), (half, thick), (-half, thick)])
        placed = _placed(corners, thing)
        middle, unit = placed.mean(axis=0), (placed[1] - placed[0]) / long_m
        across = (bars - middle) @ unit
        away = np.abs((bars - middle) @ np.array([-unit[1], unit[0]]))
        is_here = np.abs(across) < half
        if not (is_here & (away < SAME_LINE_M)).any():
            # The signal's own line, a little farther on, would be a second one.
            is_kept &= ~(is_here & (away < NEXT_LINE_M))
            painted.append(_grounded(placed, road))
    return [*(road.stop_lines[k] for k in np.flatnonzero(is_kept)), *painted]


def stencils(road: Road) -> list[Vertices]:
    """The other paint of a map's objects, in the map's order."""
    out: list[Vertices] = []
    for thing in road.things:
        if thing.kind in ARROW_PARTS:
            out += _patches([np.array(part) for part in ARROW_PARTS[thing.kind]], thing, road)
        elif thing.kind == "stop_word":
            out += _patches(_word("STOP"), thing, road)
        elif thing.kind == "line" and len(thing.outline) > 1:
            out.append(line(_grounded(thing.outline, road), 0.0, LINE_M, WHITE_PAINT))
        elif thing.kind == "hatching" and len(thing.outline) > 2:
            out += _hatching(thing, road)
    return out


def _grounded(points: Floats, road: Road) -> Floats:
    """Points (N, 2) or (N, 3) on the surface below them."""
    return np.column_stack([points[:, :2], road.height(points[:, :2])])


def _placed(corners: Floats, thing: Thing) -> Floats:
    """Corners (N, 2) in the object's frame, to the world's plane."""
    points = np.column_stack([corners, np.zeros(len(corners)), np.ones(len(corners))])
    return np.asarray((points @ matrix(thing.pose).T)[:, :2])


def _patches(parts: list[Floats], thing: Thing, road: Road) -> list[Vertices]:
    """Convex unit patches, stretched to the object: its longer side lies along the road."""
    size = (max(thing.length_m, thing.width_m), min(thing.length_m, thing.width_m))
    if size[1] < 0.2:
        return []
    return [polygon(_grounded(_placed(part * size, thing), road), WHITE_PAINT) for part in parts]


def _word(text: str) -> list[Floats]:
    """Cells (4, 2) of a word to be read by who drives along x."""
    out = []
    pitch = 1.0 / (4 * len(text) - 1)
    for place, letter in enumerate(text):
        for row, cells in enumerate(GLYPHS[letter]):
            for column, cell in enumerate(cells):
                if cell == "1":
                    x, y = 0.5 - (row + 1) / 5, -0.5 + (4 * place + column) * pitch
                    out.append(
                        np.array([(x, y), (x + 0.2, y), (x + 0.2, y + pitch), (x, y + pitch)])
                    )
    return out


def _hatching(thing: Thing, road: Road) -> list[Vertices]:
    area = shapely.Polygon(thing.outline[:, :2]).buffer(0)
    west, south, east, north = area.bounds
    turn = thing.pose.yaw_rad + np.pi / 4
    ahead = np.array([np.cos(turn), np.sin(turn)])
    aside = np.array([-ahead[1], ahead[0]])
    middle = np.array([(west + east) / 2, (south + north) / 2])
    reach = float(np.hypot(east - west, north - south)) / 2 + STRIPE_M
    out = [
        line(
            _grounded(np.vstack([thing.outline, thing.outline[:1]]), road), 0.0, LINE_M, WHITE_PAINT
        )
    ]
    for k in np.arange(-reach, reach, STRIPE_PERIOD_M):
        corners = [
            middle + (k + a * STRIPE_M) * ahead + b * reach * aside
            for a, b in ((0, -1), (1, -1), (1, 1), (0, 1))
        ]
        stripe = area.intersection(shapely.Polygon(corners))
        for part in getattr(stripe, "geoms", [stripe]):
            if part.geom_type != "Polygon" or part.area < 0.01:
                continue
            for triangle in shapely.delaunay_triangles(part.segmentize(PIECE_M)).geoms:
                if part.contains(triangle.representative_point()):
                    points = np.asarray(triangle.exterior.coords)[:3, :2]
                    out.append(polygon(_grounded(points, road), WHITE_PAINT))
    return out
