"""Triangle meshes as arrays, and the solids everything in the street is built from.

Convention: a mesh is authored in the left-handed object frame (x forward, y right, z up); a
triangle a, b, c faces the side that ``cross(b - a, c - a)``, taken componentwise, points to.

A vertex is a row of ``WIDTH`` floats: position (3), normal (3), texture coordinate (2),
colour (3, linear light), texture layer (1), part (1). The part says where the colour comes from
and how it shines: see the ``PART_*`` constants, which shaders/surface.vert repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simattack.types import Floats

Vertices = NDArray[np.float32]
"""(N, WIDTH) rows, three a triangle."""

WIDTH = 13
PART_OWN = 0.0
"""Dull, the vertex's own colour."""
PART_FIRST = 1.0
"""Dull, times the instance's first colour."""
PART_SECOND = 2.0
PART_THIRD = 3.0
PART_GLASS = 4.0
"""Shiny, own colour."""
PART_PAINT = 5.0
"""Car paint: shiny, times the instance's first colour."""
PART_RIDER = 6.0
"""Dull, own colour; tagged as a rider."""
PART_RIDER_SHIRT = 7.0
"""Dull, times the instance's second colour; tagged as a rider."""
PART_LAMP = 10.0
"""PART_LAMP + b is a lamp that shines when bit b of the instance's light flags is set."""

Color = tuple[float, float, float]
WHITE: Color = (1.0, 1.0, 1.0)
CORNERS = np.array([0, 1, 2, 0, 2, 3])


@dataclass(frozen=True, eq=False)
class Mesh:
    """What the graphics card gets: unique vertices and triangles that index them.

    ``vertices`` (V, WIDTH) float32; ``indices`` (T, 3) uint32; ``centre`` (3,) and ``radius_m``
    of a sphere around all of it.
    """

    vertices: Vertices
    indices: NDArray[np.uint32]
    centre: NDArray[np.float64]
    radius_m: float

    @classmethod
    def of(cls, triangles: Vertices) -> Mesh:
        """The same triangles with equal vertices stored once."""
        flat = np.ascontiguousarray(triangles, np.float32)
        kept, number = unique_rows(flat)
        points = flat[:, :3].astype(float)
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
        radius = float(np.linalg.norm(points - centre, axis=1).max())
        indices = number.astype(np.uint32).reshape(-1, 3)
        return cls(flat[kept], indices, centre, radius)


def unique_rows(table: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Each different row once, in the order they first come: triangles stay near in memory.

    Returns:
        (K,) where the different rows stand, and (N,) which of them each row is.
    """
    words = np.ascontiguousarray(table).view(np.uint32)
    # Sorting one number a row is ten times as fast as sorting rows by their bytes.
    key = np.zeros(len(words), np.uint64)
    for column in words.T:
        key = (key ^ column) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    if not (words[first[inverse]] == words).all():  # two rows met in one number
        rows_as_bytes = words.view([("row", f"V{words.strides[0]}")]).ravel()
        _, first, inverse = np.unique(rows_as_bytes, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse.ravel()]


def at(x: float, y: float, z: float) -> Floats:
    """A point or an offset (3,)."""
    return np.array([x, y, z], dtype=float)


def join(parts: Sequence[Vertices]) -> Vertices:
    """All triangles of several meshes, in order."""
    return np.concatenate(list(parts)) if parts else np.zeros((0, WIDTH), np.float32)


def rows(
    points: ArrayLike,
    normals: ArrayLike,
    uv: ArrayLike = (0.0, 0.0),
    color: ArrayLike = WHITE,
    layer: float = 0.0,
    part: float | NDArray[np.floating] = PART_OWN,
) -> Vertices:
    """Vertices from columns; all but ``points`` (N, 3) broadcast."""
    points = np.asarray(points, np.float32)
    out = np.zeros((len(points), WIDTH), np.float32)
    out[:, :3], out[:, 3:6], out[:, 6:8] = points, normals, uv
    out[:, 8:11], out[:, 11], out[:, 12] = color, layer, part
    return out


def moved(mesh: Vertices, by: ArrayLike, yaw_rad: float = 0.0) -> Vertices:
    """The mesh turned about z, then shifted."""
    out = mesh.copy()
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
    out[:, :3] = out[:, :3] @ turn + np.asarray(by, np.float32)
    out[:, 3:6] = out[:, 3:6] @ turn
    return out


def mirrored(mesh: Vertices) -> Vertices:
    """The mesh reflected in y, triangles turned round so that they still face outwards."""
    out = mesh.reshape(-1, 3, WIDTH)[:, ::-1].reshape(-1, WIDTH).copy()
    out[:, [1, 4]] *= -1
    return out


def quad(
    corners: ArrayLike,
    uv: tuple[float, float, float, float] = (0, 0, 1, 1),
    color: ArrayLike = WHITE,
    layer: float = 0.0,
    part: float = PART_OWN,
) -> Vertices:
    """A flat four-cornered face; ``corners`` (4, 3); uv is (u0, v0) at corner 0, (u1, v1) at 2."""
    p = np.asarray(corners, float)
    normal = np.cross(p[1] - p[0], p[2] - p[0])
    normal = normal / (np.linalg.norm(normal) + 1e-12)
    u0, v0, u1, v1 = uv
    t = np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]])
    return rows(p[CORNERS], normal, t[CORNERS], color, layer, part)


def box(
    centre: ArrayLike,
    size: ArrayLike,
    color: ArrayLike = WHITE,
    layer: float = 0.0,
    part: float = PART_OWN,
    tile_m: float = 1.0,
    has_bottom: bool = True,
) -> Vertices:
    """An upright box; texture coordinates run in metres / ``tile_m``, v downwards on the sides."""
    c, h = np.asarray(centre, float), np.asarray(size, float) / 2
    out = []
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for sign in (-1.0, 1.0):
            if axis == 2 and sign < 0 and not has_bottom:
                continue
            e = np.zeros((4, 3))
            e[:, axis] = sign * h[axis]
            e[:, a] = np.array([-1, 1, 1, -1]) * h[a] * sign
            e[:, b] = np.array([-1, -1, 1, 1]) * h[b]
            normal = np.zeros(3)
            normal[axis] = sign
            if axis == 2:
                uv = (e[:, :2] + h[:2]) / tile_m
            else:
                along = e[:, 1 - axis] + h[1 - axis]
                uv = np.stack([along, h[2] - e[:, 2]], 1) / tile_m
            out.append(rows((e + c)[CORNERS], normal, uv[CORNERS], color, layer, part))
    return join(out)


def smooth(
    triangles: ArrayLike,
    color: ArrayLike = WHITE,
    part: ArrayLike = PART_OWN,
    layer: float = 0.0,
    crease_rad: float = 0.7,
    uv: ArrayLike | None = None,
) -> Vertices:
    """Triangles (T, 3, 3) with area-weighted normals, sharp where faces meet above the crease.

    ``color`` broadcasts to (T, 3), ``part`` to (T,), ``uv`` to (T, 3, 2).
    """
    tri = np.asarray(triangles, float)
    normal = np.cross(tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0])
    area = np.linalg.norm(normal, axis=1)
    keep = area > 1e-9
    count = len(tri)
    colors = np.broadcast_to(np.asarray(color, float), (count, 3))[keep]
    parts = np.broadcast_to(np.asarray(part, float), (count,))[keep]
    coordinates = np.zeros((count, 3, 2)) if uv is None else np.asarray(uv, float)
    coordinates = np.broadcast_to(coordinates, (count, 3, 2))[keep]
    tri, normal, area = tri[keep], normal[keep], area[keep]
    unit = normal / area[:, None]
    group = _same(np.round(tri.reshape(-1, 3) * 1e4).astype(np.int64))
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    out = np.empty((len(group), 3))
    # All groups of one size at once: they are many, their sizes few.
    for size in np.unique(sizes):
        members = order[starts[sizes == size][:, None] + np.arange(size)]
        faces = members // 3
        near = (unit[faces] @ unit[faces].swapaxes(1, 2)) > np.cos(crease_rad)
        out[members] = near @ normal[faces]
    out /= np.linalg.norm(out, axis=1, keepdims=True) + 1e-12
    return rows(
        tri.reshape(-1, 3),
        out,
        coordinates.reshape(-1, 2),
        np.repeat(colors, 3, axis=0),
        layer,
        np.repeat(parts, 3),
    )


def _same(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) a number for each of (N, 3) points, equal where they are, in the points' order."""
    if not len(points):
        return np.zeros(0, np.int64)
    shifted = points - points.min(axis=0)
    wide = [int(extent) + 1 for extent in shifted.max(axis=0)]
    if wide[0] * wide[1] * wide[2] >= 2**63:
        return np.unique(points, axis=0, return_inverse=True)[1].ravel()
    packed = (shifted[:, 0] * wide[1] + shifted[:, 1]) * wide[2] + shifted[:, 2]
    return np.unique(packed, return_inverse=True)[1]


def skin(
    rings: ArrayLike,
    color: ArrayLike = WHITE,
    part: ArrayLike = PART_OWN,
    crease_rad: float = 0.7,
    layer: float = 0.0,
    has_caps: bool = True,
) -> Vertices:
    """A closed skin over rings (S, K, 3) of points.

    Rings run so that, seen against the direction of growing S, they turn counter-clockwise in
    componentwise arithmetic. ``color`` broadcasts to (S - 1, K, 3), ``part`` to (S - 1, K).
    """
    r = np.asarray(rings, float)
    count, around = r.shape[:2]
    a, b = r[:-1], np.roll(r[:-1], -1, axis=1)
    d, c = r[1:], np.roll(r[1:], -1, axis=1)
    tri = np.stack([np.stack([a, b, c], 2), np.stack([a, c, d], 2)], 2).reshape(-1, 3, 3)
    colors = np.broadcast_to(np.asarray(color, float), (count - 1, around, 3))
    parts = np.broadcast_to(np.asarray(part, float), (count - 1, around))
    tri_color = np.repeat(colors.reshape(-1, 3), 2, axis=0)
    tri_part = np.repeat(parts.reshape(-1), 2)
    if has_caps:
        nxt = np.arange(1, around + 1) % around
        for ring, row, turn in ((r[0], 0, -1), (r[-1], count - 2, 1)):
            middle = np.broadcast_to(ring.mean(axis=0), ring.shape)
            fan = np.stack([middle, ring, ring[nxt]], 1)
            tri = np.concatenate([tri, fan if turn > 0 else fan[:, ::-1]])
            tri_color = np.concatenate([tri_color, colors[row]])
            tri_part = np.concatenate([tri_part, parts[row]])
    return smooth(tri, tri_color, tri_part, layer, crease_rad)


def tube(
    path: ArrayLike,
    radii: ArrayLike,
    sides: int = 8,
    color: ArrayLike = WHITE,
    part: float = PART_OWN,
    layer: float = 0.0,
    flatten: tuple[float, float] = (1.0, 1.0),
    crease_rad: float = 1.2,
) -> Vertices:
    """A limb along a path (S, 3) with radius (S,) at each point; ``flatten`` scales its two axes.

    The two axes are the ones nearest to x and y (or to x and z for a path along y).
    """
    points = np.asarray(path, float)
    widths = np.broadcast_to(np.asarray(radii, float), (len(points),))
    along = points[-1] - points[0]
    along = along / (np.linalg.norm(along) + 1e-12)
    reference = np.array([0.0, 1.0, 0.0]) if abs(along[1]) < 0.9 else np.array([0.0, 0.0, 1.0])
    first = np.cross(reference, along)
    first /= np.linalg.norm(first)
    second = np.cross(along, first)
    angle = np.arange(sides) * 2 * np.pi / sides
    circle = (
        np.cos(angle)[:, None] * first * flatten[0] + np.sin(angle)[:, None] * second * flatten[1]
    )
    return skin(points[:, None] + widths[:, None, None] * circle, color, part, crease_rad, layer)


def capsule(
    start: ArrayLike,
    end: ArrayLike,
    radius_start: float,
    radius_end: float,
    sides: int = 8,
    color: ArrayLike = WHITE,
    part: float = PART_OWN,
    flatten: tuple[float, float] = (1.0, 1.0),
) -> Vertices:
    """A limb with rounded ends."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    along = (b - a) / (np.linalg.norm(b - a) + 1e-12)
    ends = ((0.9, 0.42), (0.5, 0.87), (0.0, 1.0)) if sides > 5 else ((0.7, 0.6), (0.0, 1.0))
    path = [a - back * radius_start * along for back, _ in ends]
    path += [b + on * radius_end * along for on, _ in ends[::-1]]
    scale = np.array([size for _, size in ends])
    radii = np.concatenate([scale * radius_start, scale[::-1] * radius_end])
    return tube(path, radii, sides, color, part, flatten=flatten)


def wheel(
    centre: ArrayLike,
    radius_m: float,
    width_m: float,
    sides: int = 18,
    rim: Color = (0.42, 0.43, 0.45),
    tyre: Color = (0.018, 0.018, 0.019),
) -> Vertices:
    """A wheel that turns about y: tyre, rim with spokes, dark gaps between them."""
    c = np.asarray(centre, float)
    angle = np.arange(sides) * 2 * np.pi / sides
    profile = [(1.0, 0.44), (0.93, 0.5), (0.70, 0.49), (0.66, 0.40)]
    if sides < 12:  # seen from afar: a plain cylinder
        profile = [(1.0, 0.46)]
    circle = np.stack([np.cos(angle), np.zeros(sides), np.sin(angle)], 1)
    out = []
    rings = [c + circle * radius_m * q + np.array([0, o * width_m, 0]) for q, o in profile]
    back = [c + circle * radius_m * q - np.array([0, o * width_m, 0]) for q, o in profile]
    out.append(skin(np.array([*back[::-1], *rings])[:, ::-1], tyre, crease_rad=0.8))
    spokes = 5 if sides >= 16 else 0
    for side in (-1.0, 1.0):
        face = c + np.array([0, side * 0.42 * width_m, 0])
        ring = face + circle * radius_m * 0.66
        nxt = np.roll(ring, -1, axis=0)
        fan = np.stack([np.broadcast_to(face, ring.shape), ring, nxt], 1)
        shade = np.where(
            (np.arange(sides) * max(spokes, 1) * 2 // sides) % 2 == 0, 1.0, 0.28 if spokes else 1.0
        )
        fan = fan[:, ::-1] if side > 0 else fan
        out.append(smooth(fan, shade[:, None] * np.array(rim)))
    return join(out)
