"""Roads, sidewalks, paint on the road and the grass around, as triangles.

All surfaces take their texture coordinates from world x and y, so lanes join without seams.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from simattack.server.render.mesh import Color, Vertices, join, rows
from simattack.server.render.paint import (
    ASPHALT_TILE_M,
    WHITE_PAINT,
    marking,
    polygon,
    strip,
    zebra,
)
from simattack.server.render.stencils import stencils, stop_lines
from simattack.server.render.textures import LAYERS
from simattack.server.road import Ribbon, Road
from simattack.types import Floats

CONCRETE_TILE_M, GRASS_TILE_M = 4.0, 9.0
GRASS_CELL_M = 14.0
GRASS_MARGIN_M = 130.0
GRASS_DROP_M = 0.05
KERB: Color = (0.75, 0.74, 0.72)
SKIRT_M = 0.25
WALKS = ("sidewalk", "walking", "curb")
GREENS = ("median", "border", "none", "restricted")


@dataclass(frozen=True, eq=False)
class Piece:
    """Triangles in world coordinates that belong to one object."""

    triangles: Vertices
    tag: int
    id: int


def _wall(edge: Floats, drop_m: float, color: Color) -> Vertices:
    """A vertical skirt below an edge (N, 3), seen from both sides."""
    a, b = edge[:-1], edge[1:]
    low = np.array([0, 0, drop_m])
    front = np.stack([a, b, b - low, a, b - low, a - low], 1).reshape(-1, 3)
    normal = np.cross(b - a, -low)
    normal = np.repeat(normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12), 6, axis=0)
    uv = np.stack([front[:, 0] + front[:, 1], front[:, 2]], 1) / CONCRETE_TILE_M
    one = rows(front, normal, uv, color, LAYERS["white"])
    other = one.reshape(-1, 3, one.shape[1])[:, ::-1].reshape(one.shape).copy()
    other[:, 3:6] *= -1
    return join([one, other])


def _ribbon(ribbon: Ribbon) -> tuple[str, Vertices]:
    if ribbon.kind in WALKS:
        inward = ribbon.right - ribbon.left
        width = np.linalg.norm(inward, axis=1, keepdims=True)
        unit = inward / np.maximum(width, 1e-6)
        stone = np.minimum(0.16, width / 3)
        left, right = ribbon.left + stone * unit, ribbon.right - stone * unit
        parts = [
            strip(left, right, "concrete", CONCRETE_TILE_M),
            strip(ribbon.left, left, "white", 1.0, (0.50, 0.49, 0.47)),
            strip(right, ribbon.right, "white", 1.0, (0.50, 0.49, 0.47)),
            _wall(ribbon.left, SKIRT_M, (0.36, 0.355, 0.34)),
            _wall(ribbon.right, SKIRT_M, (0.36, 0.355, 0.34)),
        ]
        return "sidewalk", join(parts)
    if ribbon.kind in GREENS:
        return "grass", strip(ribbon.left, ribbon.right, "grass", GRASS_TILE_M)
    return "road", strip(ribbon.left, ribbon.right, "asphalt", ASPHALT_TILE_M)


_ACROSS = (0.0, 0.13, 0.27, 0.42, 0.58, 0.73, 0.87, 1.0)
_TONES = (0.92, 0.98, 1.07, 0.93, 0.93, 1.07, 0.98, 0.92)
"""Tone of a lane from edge to edge: dust, polished tracks of wheels, oil between them."""


def _worn(ribbon: Ribbon) -> Vertices:
    """A lane as traffic leaves it. Its ends are plain, as crossings are, whose lanes overlap."""
    span = ribbon.right - ribbon.left
    edges = [ribbon.left + t * span for t in _ACROSS]
    ends = np.ones(len(span))
    ends[[0, -1]] = 0.0
    # Slow waves: no two stretches wear alike.
    wave = np.sin(0.11 * ribbon.left[:, 0] + 0.07 * ribbon.left[:, 1]) + np.sin(
        0.043 * ribbon.left[:, 1] - 0.031 * ribbon.left[:, 0] + 1.0
    )
    out = []
    for (a, tone_a), (b, tone_b) in pairwise(zip(edges, _TONES, strict=True)):
        mesh = strip(a, b, "asphalt", ASPHALT_TILE_M)
        shades = [1 + ends * (t - 1) * (1 + 0.35 * wave) + 0.02 * ends * wave
                  for t in (tone_a, tone_b)]  # fmt: skip
        # strip() lays out a, b, c, a, c, d; those that it turned over run backwards.
        corner = np.stack([shades[0][:-1], shades[1][:-1], shades[1][1:], shades[0][1:]], 1)
        tone = corner[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
        quad = np.stack([a[:-1], b[:-1], b[1:], a[:-1], b[1:], a[1:]], 1).reshape(-1, 3, 3)
        is_turned = np.abs(quad[:, 0] - mesh[::3, :3]).max(axis=1) > 1e-3
        tone[is_turned] = tone[is_turned, ::-1]
        mesh[:, 8:11] *= tone.reshape(-1, 1)
        out.append(mesh)
    return join(out)


def _grass(road: Road) -> Vertices:
    points = np.concatenate([r.left for r in road.ribbons])
    low, high = (
        points[:, :2].min(axis=0) - GRASS_MARGIN_M,
        points[:, :2].max(axis=0) + GRASS_MARGIN_M,
    )
    count = np.ceil((high - low) / GRASS_CELL_M).astype(int)
    x = low[0] + GRASS_CELL_M * np.arange(count[0] + 1)
    y = low[1] + GRASS_CELL_M * np.arange(count[1] + 1)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    z = np.zeros(len(grid)) if np.ptp(points[:, 2]) < 0.3 else road.height(grid)
    z = z + (points[:, 2].min() if np.ptp(points[:, 2]) < 0.3 else 0.0) - GRASS_DROP_M
    p = np.column_stack([grid, z]).reshape(count[0] + 1, count[1] + 1, 3)
    a, b, c, d = p[:-1, :-1], p[1:, :-1], p[1:, 1:], p[:-1, 1:]
    tri = np.stack([a, b, c, a, c, d], 2).reshape(-1, 3)
    return rows(tri, (0, 0, 1), tri[:, :2] / GRASS_TILE_M, (1, 1, 1), LAYERS["grass"])


def _fill(road: Road) -> Vertices:
    """Asphalt in the gaps that turning lanes leave inside junctions, just below them."""
    inner = [
        shapely.Polygon(np.concatenate([r.left, r.right[::-1]])[:, :2])
        for r in road.ribbons
        if r.is_junction and r.kind not in WALKS
    ]
    if not inner:
        return join([])
    level = np.concatenate([r.left for r in road.ribbons if r.is_junction and r.kind not in WALKS])
    tree = cKDTree(level[:, :2])
    whole = shapely.union_all([shape.buffer(0) for shape in inner]).buffer(4).buffer(-4)
    out = []
    for part in getattr(whole, "geoms", [whole]):
        for triangle in shapely.delaunay_triangles(shapely.segmentize(part, 8.0)).geoms:
            if not part.contains(triangle.representative_point()):
                continue
            xy = np.asarray(triangle.exterior.coords)[:3]
            near = tree.query(xy)[1]
            points = np.column_stack([xy, level[near, 2]])
            out.append(polygon(points, (1, 1, 1), -0.02))
    return join(out)


def ground(road: Road, first_id: int) -> list[Piece]:
    """Every surface of the map, with CARLA's labels; ids count up from ``first_id``."""
    kinds: dict[str, list[Vertices]] = {
        "road": [_fill(road)],
        "sidewalk": [],
        "grass": [_grass(road)],
    }
    worn = [kinds["road"][0]]
    for ribbon in road.ribbons:
        if ribbon.is_junction and ribbon.kind == "none":
            continue  # what a crossing has between its lanes is paved, not green
        kind, mesh = _ribbon(ribbon)
        kinds[kind].append(mesh)
        if kind == "road":
            is_lane = ribbon.kind == "driving" and not ribbon.is_junction
            worn.append(_worn(ribbon) if is_lane else mesh)
    paint = [marking(m) for m in road.markings]
    paint += [zebra(c) for c in road.crosswalks]
    paint += [polygon(np.asarray(s), WHITE_PAINT) for s in stop_lines(road)]
    paint += stencils(road)
    kinds["paint"] = paint
    tags = {"road": 1, "sidewalk": 2, "grass": 10, "paint": 24}
    pieces = [
        Piece(join(parts), tags[kind], first_id + k)
        for k, (kind, parts) in enumerate(kinds.items())
    ]
    _SURFACES[road] = [(p.triangles[:, :3].reshape(-1, 3, 3).copy(), p.tag) for p in pieces]
    # Rays need no paint: the lanes they meet are the plain ones, of the same shape.
    return [replace(p, triangles=join(worn)) if p.tag == tags["road"] else p for p in pieces]


_SURFACES: WeakKeyDictionary[Road, list[tuple[NDArray[np.float32], int]]] = WeakKeyDictionary()


def surfaces(road: Road) -> list[tuple[NDArray[np.float32], int]]:
    """The triangles (T, 3, 3) of ``ground`` and their labels; at hand once it was drawn."""
    if road not in _SURFACES:
        ground(road, 0)
    return _SURFACES[road]
