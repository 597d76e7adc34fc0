"""Where people walk: sidewalks, crosswalks and roads as convex cells that touch edge to edge.

Sidewalks are lanes of that kind; crosswalks are the map's objects, stretched to the sidewalks they
lead to, and places where a lane for cars crosses a sidewalk. Everything else with a surface is
road: people who keep to the rules do not step on it. All of it keeps a walker's half width away
from posts, trees, houses and kerbs.

The plane is cut on a grid of centimetres, so that whether corners are equal, and shapes convex, is
arithmetic of whole numbers.

Convention: CARLA's world frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from simattack.server.road import Road
from simattack.types import Floats

SIDEWALK, CROSSWALK, ROAD = 1, 2, 3
"""Kinds of ground, numbered as CARLA's pedestrian navigation numbers them."""
WALKER_M = 0.3
"""Half the width that a walker needs."""
REACH_M = 1.0
"""A crosswalk that ends so close to a sidewalk leads to it."""
BLOCK_M = 25.0
"""The largest extent of a cell: paths are measured from edge to edge, so none may be long."""
CORNERS = 6
"""The most that a cell may have, as Detour wants it."""
_GAP_M = 0.05  # pieces of sidewalk so close together are one
_TOLERANCE_M = 0.03  # to which outlines are simplified
_DRIVEWAY_M = 0.5  # narrower overlaps of sidewalk and lane are the map's inaccuracy
_GRID_M = 0.01
_NUDGE_M = 0.05  # at a kerb, how far inside a cell its height is looked up

Edge = tuple[int, int]


@dataclass(frozen=True)
class Cell:
    """A convex piece of ground."""

    kind: int
    corners: tuple[tuple[float, float, float], ...]
    """Anticlockwise as seen from above (x ahead, y to the right: from y towards x)."""
    neighbors: tuple[int, ...]
    """For the edge from each corner to the next, the cell beyond it; -1 for none."""
    triangles: tuple[tuple[int, int, int], ...]
    """A triangulation, by corners in the same sense of rotation."""


def cells(road: Road, obstacles: Sequence[Floats]) -> list[Cell]:
    """The walkable ground of a map; empty when it has no sidewalks.

    Args:
        road: the map.
        obstacles: footprints (N, 2) of what people cannot walk through.
    """
    grounds = _grounds(road, obstacles)
    if grounds[SIDEWALK].is_empty:
        return []
    points, kinds, triangles = _triangles(grounds)
    shapes = _joined(points, kinds, triangles)
    heights = iter(_heights(road, points, [shape for _, shape, _ in shapes]))
    beyond = {edge: number for number, (_, shape, _) in enumerate(shapes) for edge in _edges(shape)}
    return [
        Cell(
            kind,
            tuple((*(points[p] * _GRID_M).tolist(), next(heights)) for p in shape),
            tuple(beyond.get((b, a), -1) for a, b in _edges(shape)),
            tuple((shape.index(a), shape.index(b), shape.index(c)) for a, b, c in parts),
        )
        for kind, shape, parts in shapes
    ]


# Areas


def _grounds(road: Road, obstacles: Sequence[Floats]) -> dict[int, BaseGeometry]:
    """The area of each kind; they touch, but do not overlap."""
    surfaces: dict[str, list[BaseGeometry]] = {"sidewalk": [], "driving": [], "": []}
    for ribbon in road.ribbons:
        outline = np.concatenate([ribbon.left, ribbon.right[::-1]])[:, :2]
        # Buffering by nothing mends the outline of a ribbon that crosses itself in a tight bend.
        own = ribbon.kind if ribbon.kind in surfaces else ""
        surfaces[own].append(shapely.Polygon(outline).buffer(0))
    walks, lanes, rest = (shapely.union_all(parts) for parts in surfaces.values())
    walks = _closed(walks)
    driveways = walks.intersection(lanes).buffer(-_DRIVEWAY_M).buffer(_DRIVEWAY_M, quad_segs=2)
    crossings = shapely.union_all([_stretched(line, walks) for line in road.crosswalks])
    # What of a crosswalk lies on the sidewalk is the sidewalk's.
    crossings = crossings.difference(walks).union(driveways)
    blocked = shapely.union_all([shapely.Polygon(points[:, :2]) for points in obstacles])

    def inside(area: BaseGeometry) -> BaseGeometry:
        free = _closed(area).simplify(_TOLERANCE_M).difference(blocked)
        return free.buffer(-WALKER_M, join_style="mitre")

    foot = inside(walks.union(crossings))
    ground = inside(shapely.union_all([walks, crossings, lanes, rest]))
    return {
        SIDEWALK: foot.difference(crossings),
        CROSSWALK: foot.intersection(crossings),
        ROAD: ground.difference(foot),
    }


def _closed(area: BaseGeometry) -> BaseGeometry:
    """An area without the slits that the map's inaccuracy leaves in it."""
    return area.buffer(_GAP_M, join_style="mitre").buffer(-_GAP_M, join_style="mitre")


def _stretched(outline: Floats, walks: BaseGeometry) -> BaseGeometry:
    """A crosswalk, longer at both ends, along whichever of its axes leads to the sidewalks."""
    shape = shapely.Polygon(outline[:, :2]).buffer(0)
    frame = shapely.get_coordinates(shapely.oriented_envelope(shape))
    middle = shape.centroid
    best, most_m2 = shape, -1.0
    for start, end in (frame[:2], frame[1:3]):
        length_m = float(np.hypot(*(end - start)))
        if length_m == 0:
            continue
        angle = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
        level = affinity.rotate(shape, -angle, middle)
        wide = affinity.scale(level, 1 + 2 * REACH_M / length_m, 1.0, origin=middle)
        longer = affinity.rotate(wide, angle, middle)
        gained_m2 = longer.difference(shape).intersection(walks).area
        if gained_m2 > most_m2:
            best, most_m2 = longer, gained_m2
    return best


# Triangles and cells


def _triangles(
    grounds: dict[int, BaseGeometry],
) -> tuple[NDArray[np.int64], list[int], list[tuple[int, int, int]]]:
    """All areas cut into triangles that meet corner to corner.

    Returns:
        The points (P, 2) [cm]; for each triangle its kind, and its points anticlockwise (from y
        towards x).
    """
    west, south, east, north = shapely.union_all(list(grounds.values())).bounds
    lattice = [
        *(((x, south), (x, north)) for x in np.arange(west, east, BLOCK_M)[1:]),
        *(((west, y), (east, y)) for y in np.arange(south, north, BLOCK_M)[1:]),
    ]
    lines = [area.boundary for area in grounds.values()] + [shapely.MultiLineString(lattice)]
    # Rounded to the grid together, so that neighbours keep the same corners.
    drawn = shapely.union_all(lines, grid_size=_GRID_M)
    faces = np.asarray(shapely.polygonize([drawn]).geoms, dtype=object)
    middles = shapely.point_on_surface(faces)
    points: dict[tuple[int, int], int] = {}
    kinds: list[int] = []
    triangles: list[tuple[int, int, int]] = []
    for kind, area in grounds.items():
        shapely.prepare(area)
        own = faces[shapely.contains(area, middles)]
        pieces = shapely.get_parts(shapely.constrained_delaunay_triangles(own))
        rings = np.rint(shapely.get_coordinates(pieces) / _GRID_M).astype(np.int64)
        for a, b, c in rings.reshape(-1, 4, 2)[:, :3].tolist():
            turn = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
            if turn == 0:
                continue
            first, second, third = (
                points.setdefault((x, y), len(points))
                for x, y in ((a, c, b) if turn > 0 else (a, b, c))
            )
            kinds.append(kind)
            triangles.append((first, second, third))
    return np.array(list(points), np.int64).reshape(-1, 2), kinds, triangles


def _joined(
    points: NDArray[np.int64], kinds: list[int], triangles: list[tuple[int, int, int]]
) -> list[tuple[int, list[int], list[tuple[int, int, int]]]]:
    """Triangles joined into convex cells, across their longest common edges first.

    Source: Hertel & Mehlhorn, Fast triangulation of simple polygons, 1983 (without its bound,
    since cells may have ``CORNERS`` corners only).

    Returns:
        For each cell its kind, its points in order, and its triangles.
    """
    shapes: dict[int, list[int]] = {k: list(triangle) for k, triangle in enumerate(triangles)}
    parts = {k: [triangle] for k, triangle in enumerate(triangles)}
    owner = {edge: k for k, shape in shapes.items() for edge in _edges(shape)}
    inner = [
        (a, b) for (a, b), k in owner.items()
        if a < b and (b, a) in owner and kinds[k] == kinds[owner[b, a]]
    ]  # fmt: skip
    lengths = [float(np.hypot(*(points[a] - points[b]))) for a, b in inner]
    corners: list[tuple[int, int]] = [(int(x), int(y)) for x, y in points]
    for index in np.argsort(lengths, kind="stable")[::-1]:
        a, b = inner[int(index)]
        one, other = owner[a, b], owner[b, a]
        if one == other:
            continue
        left, right = _from(shapes[one], b), _from(shapes[other], a)
        # ``left`` runs from b round to a, ``right`` from a round to b.
        shape = left + right[1:-1]
        if len(shape) > CORNERS or len(set(shape)) < len(shape) or not _is_convex(shape, corners):
            continue
        shapes[one] = shape
        parts[one] += parts.pop(other)
        del shapes[other]
        owner.update((edge, one) for edge in _edges(shape))
    return [(kinds[k], shape, parts[k]) for k, shape in shapes.items()]


def _edges(shape: Sequence[int]) -> list[Edge]:
    return [*pairwise(shape), (shape[-1], shape[0])]


def _from(shape: list[int], point: int) -> list[int]:
    """The same ring, begun at ``point``."""
    at = shape.index(point)
    return shape[at:] + shape[:at]


def _is_convex(shape: list[int], corners: list[tuple[int, int]]) -> bool:
    ring = [corners[p] for p in shape]
    for (ax, ay), (bx, by), (cx, cy) in zip(
        ring, ring[1:] + ring[:1], ring[2:] + ring[:2], strict=True
    ):
        if (bx - ax) * (cy - by) - (by - ay) * (cx - bx) > 0:
            return False
    return True


def _heights(road: Road, points: NDArray[np.int64], shapes: list[list[int]]) -> list[float]:
    """The ground under each corner of each cell, on the cell's side of a kerb."""
    places = []
    for shape in shapes:
        ring = points[shape] * _GRID_M
        inward = ring.mean(axis=0) - ring
        away = np.linalg.norm(inward, axis=1, keepdims=True)
        places.append(ring + inward * np.minimum(0.5, _NUDGE_M / np.maximum(away, 1e-9)))
    return [float(z) for z in road.height(np.concatenate(places))]
