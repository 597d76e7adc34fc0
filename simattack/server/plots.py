"""The ground beside the roads: which of it is still free, and where along the streets it is.

Convention: CARLA's world frame.
"""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import LinearRing
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from simattack.server.road import Road
from simattack.types import Pose

SIGHT_M = 60.0
"""A sign is kept in sight from so far before it."""
MOST_OBJECTS = 40_000
"""Ids of objects have 16 bits in a picture."""
CLEAR_M = 6.0
"""Nothing procedural stands nearer to a sign."""


class Plots:
    """The ground of a map that something may still be put on."""

    def __init__(self, road: Road) -> None:
        self.paved = _paved(road)
        self._sight = _sight(road)
        shapely.prepare(self.paved)
        shapely.prepare(self._sight)
        self._placed: list[BaseGeometry] = []
        self._circles = np.zeros((0, 3))
        """Middle x, y and reach of everything placed."""

    def is_free(self, shape: BaseGeometry, from_road_m: float) -> bool:
        """Whether a shape keeps off the roads, the sight lines and everything placed so far."""
        if len(self._placed) >= MOST_OBJECTS or self._sight.intersects(shape):
            return False
        if shapely.dwithin(self.paved, shape, from_road_m):
            return False
        x, y, reach = _circle(shape)
        placed = self._circles
        near = np.hypot(placed[:, 0] - x, placed[:, 1] - y) < placed[:, 2] + reach
        return not any(self._placed[k].intersects(shape) for k in np.flatnonzero(near))

    def take(self, shape: BaseGeometry) -> None:
        """Nothing else may stand there from now on."""
        self._placed.append(shape)
        self._circles = np.vstack([self._circles, _circle(shape)])


def _circle(shape: BaseGeometry) -> tuple[float, float, float]:
    """Middle x, y and radius of a circle around a shape."""
    west, south, east, north = shape.bounds
    reach = float(np.hypot(east - west, north - south)) / 2
    return (west + east) / 2, (south + north) / 2, reach


def _paved(road: Road) -> BaseGeometry:
    """Everything people drive or walk on, seen from above."""
    # Ribbons of one road share their rows: a few centimetres less detail makes this much faster.
    shapes = [
        shapely.Polygon(np.concatenate([r.left, r.right[::-1]])[:, :2])
        .simplify(0.05)
        .buffer(0.1, quad_segs=1, join_style="mitre")
        for r in road.ribbons
    ]
    whole = shapely.union_all(shapes).simplify(0.05)
    return whole.buffer(0.9, quad_segs=4).buffer(-0.9, quad_segs=4).simplify(0.05)


def _sight(road: Road) -> BaseGeometry:
    """Where nothing may stand: around every sign, and between it and the lane before it."""
    shapes: list[BaseGeometry] = []
    for signal in road.signals:
        p = signal.pose
        shapes.append(shapely.Point(p.x_m, p.y_m).buffer(CLEAR_M))
        strip = [
            shifted(p, x, y)
            for x, y in ((1.0, -7.0), (1.0, 2.5), (-SIGHT_M, 2.5), (-SIGHT_M, -7.0))
        ]
        shapes.append(shapely.Polygon([(q.x_m, q.y_m) for q in strip]))
    return shapely.union_all(shapes)


def edges(paved: BaseGeometry, away_m: float) -> list[tuple[LinearRing, float]]:
    """Lines ``away_m`` outside the pavement; travelling along one, the pavement is on the left."""
    shape = paved.buffer(away_m, quad_segs=4).simplify(0.02)
    out = []
    for part in getattr(shape, "geoms", [shape]):
        turned = orient(part, -1.0)
        for ring in (turned.exterior, *turned.interiors):
            if ring.length > 30.0:
                out.append((ring, ring.length))
    return out


def on_edge(ring: LinearRing, at_m: float) -> Pose:
    """A place on such a line, turned along it; its right hand points away from the road."""
    here = ring.interpolate(at_m % ring.length)
    before, after = (ring.interpolate((at_m + d) % ring.length) for d in (-0.5, 0.5))
    yaw = float(np.arctan2(after.y - before.y, after.x - before.x))
    return Pose(here.x, here.y, 0.0, 0.0, yaw, 0.0)


def grounded(pose: Pose, road: Road) -> Pose:
    """The same place at the height of the ground."""
    z = float(road.height(np.array([[pose.x_m, pose.y_m]]))[0])
    return Pose(pose.x_m, pose.y_m, z, pose.pitch_rad, pose.yaw_rad, pose.roll_rad)


def rectangle(pose: Pose, length_m: float, width_m: float) -> shapely.Polygon:
    """The outline of a box that stands there, seen from above."""
    corners = [
        shifted(pose, sx * length_m / 2, sy * width_m / 2)
        for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    return shapely.Polygon([(c.x_m, c.y_m) for c in corners])


def shifted(pose: Pose, forward_m: float, right_m: float = 0.0, up_m: float = 0.0) -> Pose:
    """A place from there, upright, along the pose's heading and to its right."""
    c, s = np.cos(pose.yaw_rad), np.sin(pose.yaw_rad)
    return Pose(
        pose.x_m + float(c * forward_m - s * right_m),
        pose.y_m + float(s * forward_m + c * right_m),
        pose.z_m + up_m,
        0.0,
        pose.yaw_rad,
        0.0,
    )
