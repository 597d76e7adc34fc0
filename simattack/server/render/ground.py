"""Roads, sidewalks, paint on the road and the grass around, as triangles.

All surfaces take their texture coordinates from world x and y, so lanes join without seams.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from simattack.server.render.mesh import Color, Vertices, join, rows
from simattack.server.render.textures import LAYERS
from simattack.server.road import Marking, Ribbon, Road
from simattack.types import Floats

ASPHALT_TILE_M, CONCRETE_TILE_M, GRASS_TILE_M = 5.0, 4.0, 9.0
PAINT_LIFT_M = 0.012
"""Paint floats so far above the road, or the depth buffer could not tell them apart."""
DASH_M, DASH_PERIOD_M = 3.0, 7.5
GRASS_CELL_M = 14.0
GRASS_MARGIN_M = 130.0
GRASS_DROP_M = 0.05
WHITE_PAINT: Color = (3.9, 3.9, 3.8)
YELLOW_PAINT: Color = (3.7, 2.3, 0.35)
"""Times the asphalt's own albedo: paint wears with the grain below it."""
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


def _strip(
    left: Floats, right: Floats, layer: str, tile_m: float, color: Color = (1, 1, 1)
) -> Vertices:
    """The surface between two edges (N, 3), facing up."""
    a, b, c, d = left[:-1], right[:-1], right[1:], left[1:]
    points = np.stack([a, b, c, a, c, d], 1).reshape(-1, 3)
    normal = np.cross(b - a, d - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    # Left and right swap where a lane runs against its road: turn those triangles over.
    normal = np.repeat(normal, 6, axis=0)
    down = normal[:, 2] < 0
    tri = points.reshape(-1, 3, 3)
    tri[down[::3]] = tri[down[::3], ::-1]
    normal[down] *= -1
    points = tri.reshape(-1, 3)
    return rows(points, normal, points[:, :2] / tile_m, color, LAYERS[layer])


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
            _strip(left, right, "concrete", CONCRETE_TILE_M),
            _strip(ribbon.left, left, "white", 1.0, (0.50, 0.49, 0.47)),
            _strip(right, ribbon.right, "white", 1.0, (0.50, 0.49, 0.47)),
            _wall(ribbon.left, SKIRT_M, (0.36, 0.355, 0.34)),
            _wall(ribbon.right, SKIRT_M, (0.36, 0.355, 0.34)),
        ]
        return "sidewalk", join(parts)
    if ribbon.kind in GREENS:
        return "grass", _strip(ribbon.left, ribbon.right, "grass", GRASS_TILE_M)
    return "road", _strip(ribbon.left, ribbon.right, "asphalt", ASPHALT_TILE_M)


def _along(points: Floats) -> tuple[Floats, Floats]:
    """Distance along a line (N, 3) and its unit normals (N, 3) in the plane."""
    step = np.diff(points, axis=0)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(step, axis=1))])
    tangent = np.gradient(points, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0], 0 * tangent[:, 0]], 1)
    return length, normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12)


def _line(points: Floats, offset_m: float, width_m: float, color: Color) -> Vertices:
    _, normal = _along(points)
    middle = points + offset_m * normal + np.array([0, 0, PAINT_LIFT_M])
    half = width_m / 2 * normal
    return _strip(middle - half, middle + half, "asphalt", ASPHALT_TILE_M, color)


def _part(points: Floats, start: float, end: float) -> Floats:
    """The piece of a line between two distances along it."""
    length, _ = _along(points)
    inside = length[(length > start) & (length < end)]
    at = np.concatenate([[start], inside, [end]])
    return np.stack([np.interp(at, length, points[:, k]) for k in range(3)], 1)


def _marking(marking: Marking) -> Vertices:
    if len(marking.points) < 2 or marking.kind in ("curb", "none", "grass"):
        return join([])
    color = YELLOW_PAINT if marking.color == "yellow" else WHITE_PAINT
    width = marking.width_m
    names = marking.kind.split()
    offsets = [0.0] if len(names) < 2 else [-width, width]
    out = []
    for name, offset in zip(names, offsets, strict=False):
        if name == "broken":
            total = _along(marking.points)[0][-1]
            for start in np.arange(0.0, total - 0.5, DASH_PERIOD_M):
                dash = _part(marking.points, start, min(start + DASH_M, total))
                out.append(_line(dash, offset, width, color))
        else:
            out.append(_line(marking.points, offset, width, color))
    return join(out)


def polygon(corners: Floats, color: Color, lift_m: float = PAINT_LIFT_M) -> Vertices:
    """A convex patch of paint (N, 3) on the road."""
    p = np.asarray(corners, float) + np.array([0, 0, lift_m])
    if np.cross(p[1] - p[0], p[2] - p[0])[2] < 0:
        p = p[::-1]
    fan = np.stack([np.broadcast_to(p[0], (len(p) - 2, 3)), p[1:-1], p[2:]], 1).reshape(-1, 3)
    return rows(fan, (0, 0, 1), fan[:, :2] / ASPHALT_TILE_M, color, LAYERS["asphalt"])


def _zebra(corners: Floats) -> Vertices:
    """Bars across a crosswalk (4, 3), parallel to the traffic that crosses it."""
    if len(corners) != 4:
        return polygon(corners, WHITE_PAINT)
    p = np.asarray(corners, float)
    if np.linalg.norm(p[1] - p[0]) < np.linalg.norm(p[2] - p[1]):
        p = np.roll(p, 1, axis=0)
    # Now p0-p1 is the long side: bars repeat along it.
    count = max(int(np.linalg.norm(p[1] - p[0]) / 1.0), 1)
    out = []
    for k in range(count):
        t0, t1 = (k + 0.25) / count, (k + 0.75) / count
        near, far = p[1] - p[0], p[2] - p[3]
        bar = np.array([p[0] + t0 * near, p[0] + t1 * near, p[3] + t1 * far, p[3] + t0 * far])
        out.append(polygon(bar, WHITE_PAINT))
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
    for ribbon in road.ribbons:
        kind, mesh = _ribbon(ribbon)
        kinds[kind].append(mesh)
    paint = [_marking(m) for m in road.markings]
    paint += [_zebra(c) for c in road.crosswalks]
    paint += [polygon(np.asarray(s), WHITE_PAINT) for s in road.stop_lines]
    kinds["paint"] = paint
    tags = {"road": 1, "sidewalk": 2, "grass": 10, "paint": 24}
    pieces = [
        Piece(join(parts), tags[kind], first_id + k)
        for k, (kind, parts) in enumerate(kinds.items())
    ]
    _SURFACES[road] = [(p.triangles[:, :3].reshape(-1, 3, 3).copy(), p.tag) for p in pieces]
    return pieces


_SURFACES: WeakKeyDictionary[Road, list[tuple[NDArray[np.float32], int]]] = WeakKeyDictionary()


def surfaces(road: Road) -> list[tuple[NDArray[np.float32], int]]:
    """The triangles (T, 3, 3) of ``ground`` and their labels; at hand once it was drawn."""
    if road not in _SURFACES:
        ground(road, 0)
    return _SURFACES[road]
