"""Lines, bars and patches of paint on the road, as triangles just above it.

Texture coordinates run as the road's: paint wears with the asphalt's grain.
"""

from __future__ import annotations

import numpy as np

from simattack.server.render.mesh import Color, Vertices, join, rows
from simattack.server.render.textures import LAYERS
from simattack.server.road import Marking
from simattack.types import Floats

ASPHALT_TILE_M = 5.0
PAINT_LIFT_M = 0.012
"""Paint floats so far above the road, or the depth buffer could not tell them apart."""
DASH_M, DASH_PERIOD_M = 3.0, 7.5
DOT_M, DOT_PERIOD_M = 0.12, 1.2
WHITE_PAINT: Color = (3.9, 3.9, 3.8)
YELLOW_PAINT: Color = (3.7, 2.3, 0.35)
"""Times the asphalt's own albedo: paint wears with the grain below it."""
PAINTS: dict[str, Color] = {
    "yellow": YELLOW_PAINT,
    "blue": (0.35, 0.9, 2.9),
    "green": (0.4, 2.2, 0.7),
    "red": (2.9, 0.4, 0.35),
    "orange": (3.6, 1.5, 0.3),
    "violet": (1.7, 0.6, 2.4),
}
"""OpenDRIVE's colours; all others are white."""


def strip(
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


def along(points: Floats) -> tuple[Floats, Floats]:
    """Distance along a line (N, 3) and its unit normals (N, 3) in the plane."""
    step = np.diff(points, axis=0)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(step, axis=1))])
    tangent = np.gradient(points, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0], 0 * tangent[:, 0]], 1)
    return length, normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12)


def line(points: Floats, offset_m: float, width_m: float, color: Color) -> Vertices:
    """A line of paint beside points (N, 3), ``offset_m`` to their right."""
    _, normal = along(points)
    middle = points + offset_m * normal + np.array([0, 0, PAINT_LIFT_M])
    half = width_m / 2 * normal
    return strip(middle - half, middle + half, "asphalt", ASPHALT_TILE_M, color)


def _part(points: Floats, start: float, end: float) -> Floats:
    """The piece of a line between two distances along it."""
    length, _ = along(points)
    inside = length[(length > start) & (length < end)]
    at = np.concatenate([[start], inside, [end]])
    return np.stack([np.interp(at, length, points[:, k]) for k in range(3)], 1)


def marking(marking: Marking) -> Vertices:
    """The line or lines of a marking."""
    if len(marking.points) < 2 or marking.kind in ("curb", "none", "grass"):
        return join([])
    color = PAINTS.get(marking.color, WHITE_PAINT)
    width = marking.width_m
    names = ["dots"] if marking.kind == "botts dots" else marking.kind.split()
    offsets = [0.0] if len(names) < 2 else [-width, width]
    out = []
    for name, offset in zip(names, offsets, strict=False):
        if name in ("broken", "dots"):
            long_m, period_m = {"broken": (DASH_M, DASH_PERIOD_M), "dots": (DOT_M, DOT_PERIOD_M)}[
                name
            ]
            total = along(marking.points)[0][-1]
            shortest = 0.5 if name == "broken" else 0.1
            for start in np.arange(-(marking.done_m % period_m), total - shortest, period_m):
                # What is left of a dash that began on the piece of line before.
                first, last = max(start, 0.0), min(start + long_m, total)
                if last - first > 0.05:
                    dash = _part(marking.points, first, last)
                    out.append(line(dash, offset, width, color))
        else:
            out.append(line(marking.points, offset, width, color))
    return join(out)


def polygon(corners: Floats, color: Color, lift_m: float = PAINT_LIFT_M) -> Vertices:
    """A convex patch of paint (N, 3) on the road."""
    p = np.asarray(corners, float) + np.array([0, 0, lift_m])
    if np.cross(p[1] - p[0], p[2] - p[0])[2] < 0:
        p = p[::-1]
    fan = np.stack([np.broadcast_to(p[0], (len(p) - 2, 3)), p[1:-1], p[2:]], 1).reshape(-1, 3)
    return rows(fan, (0, 0, 1), fan[:, :2] / ASPHALT_TILE_M, color, LAYERS["asphalt"])


def zebra(corners: Floats) -> Vertices:
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
