"""Obstacle detector: a ball that is pushed straight ahead until it touches something.

The carrier itself does not count. What is touched at the start has distance 0: a ball that
reaches down to the road reports the road, as CARLA's does.

Source: CARLA's sensor reference (attributes); Ericson, Real-Time Collision Detection, 2005,
5.1.5 (nearest point of a triangle) and 5.5.6 (moving sphere against triangle).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack import geometry
from simattack.errors import ConfigError
from simattack.server.rays import Rays
from simattack.server.sensor_blueprints import defaults
from simattack.types import Floats, Pose

DYNAMIC_TAGS = frozenset({12, 13, 14, 15, 16, 17, 18, 19})
"""Labels of what moves by itself: walkers, riders, vehicles."""
LABELS: Mapping[int, str] = {
    1: "road", 2: "sidewalk", 3: "building", 4: "wall", 5: "fence", 6: "pole", 7: "trafficlight",
    8: "trafficsign", 9: "vegetation", 10: "terrain", 20: "static", 21: "dynamic", 24: "roadline",
    25: "ground",
}  # fmt: skip
"""What CARLA's made-up actors for scenery are called, after ``static.``."""


@dataclass(frozen=True)
class Detector:
    """The attributes of one sensor."""

    distance_m: float
    radius_m: float
    has_only_dynamics: bool

    @classmethod
    def of(cls, type_id: str, attributes: Mapping[str, str]) -> Detector:
        """A detector as its attributes want it.

        Raises:
            ConfigError: a number is out of range.
        """
        known = {**defaults(type_id), **attributes}
        made = cls(
            distance_m=float(known["distance"]),
            radius_m=float(known["hit_radius"]),
            has_only_dynamics=known["only_dynamics"].lower() in ("true", "1"),
        )
        if not (made.distance_m >= 0 and made.radius_m >= 0):
            raise ConfigError(
                "expected distance >= 0 and hit_radius >= 0, "
                f"got {made.distance_m}, {made.radius_m}"
            )
        return made


@dataclass(frozen=True)
class Obstacle:
    """What is ahead."""

    id: int
    """The actor; 0 is scenery."""
    tag: int
    """CARLA's semantic label."""
    distance_m: float
    """How far the ball gets."""


def detect(detector: Detector, rays: Rays, pose: Pose, carrier: int) -> Obstacle | None:
    """The first thing ahead of a detector at ``pose`` (world), None if there is none.

    Args:
        detector: its attributes.
        rays: the scene.
        pose: looks along its x axis.
        carrier: the actor that does not count, 0 for none.
    """
    start = np.array([pose.x_m, pose.y_m, pose.z_m])
    ahead = geometry.rotation(pose)[:, 0]
    end = start + detector.distance_m * ahead
    low = np.minimum(start, end) - detector.radius_m
    high = np.maximum(start, end) + detector.radius_m
    best: Obstacle | None = None
    if not detector.has_only_dynamics:
        solid = rays.scenery.solid
        lowest, highest = solid.limits
        near = np.flatnonzero(((highest >= low) & (lowest <= high)).all(axis=1))
        way, which = push(solid.corners[near], start, ahead, detector.distance_m, detector.radius_m)
        if which >= 0:
            k = near[which]
            best = Obstacle(int(rays.owner_ids[solid.owners[k]]), int(solid.tags[k]), way)
    for actor in rays.actors:
        mover = actor.mover
        is_out = detector.has_only_dynamics and mover.tag not in DYNAMIC_TAGS
        if mover.id == carrier or is_out:
            continue
        reach = actor.radius_m
        if ((actor.centre < low - reach) | (actor.centre > high + reach)).any():
            continue
        way, which = push(actor.corners, start, ahead, detector.distance_m, detector.radius_m)
        if which >= 0 and (best is None or way < best.distance_m):
            best = Obstacle(mover.id, mover.tag, way)
    return best


def push(
    corners: NDArray[np.floating], start: Floats, ahead: Floats, reach_m: float, radius_m: float
) -> tuple[float, int]:
    """How far a ball gets before it touches a triangle, and which; (inf, -1) if none.

    Args:
        corners: (T, 3, 3).
        start: (3,) the ball's middle.
        ahead: (3,) of length 1.
        reach_m: how far it is pushed.
        radius_m: of the ball.
    """
    if len(corners) == 0:
        return float("inf"), -1
    p = np.asarray(corners, float) - start
    way = np.full(len(p), np.inf)
    nearest = _nearest(p)
    way[np.einsum("ij,ij->i", nearest, nearest) <= radius_m**2] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        way = np.minimum(way, _to_faces(p, ahead, radius_m))
        for k in range(3):
            way = np.minimum(way, _to_edges(p[:, k], p[:, (k + 1) % 3], ahead, radius_m))
            way = np.minimum(way, _to_points(p[:, k], ahead, radius_m))
    first = int(np.argmin(way))
    if way[first] > reach_m:
        return float("inf"), -1
    return float(way[first]), first


def _is_inside(points: Floats, p: Floats, normal: Floats) -> NDArray[np.bool_]:
    """Whether points (T, 3) of the triangles' planes lie in the triangles."""
    out = np.ones(len(p), bool)
    for k in range(3):
        edge = p[:, (k + 1) % 3] - p[:, k]
        out &= np.einsum("ij,ij->i", np.cross(edge, points - p[:, k]), normal) >= 0
    return out


def _nearest(p: Floats) -> Floats:
    """(T, 3) the point of each triangle that is nearest to the origin."""
    normal = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    square = np.einsum("ij,ij->i", normal, normal)
    height = np.einsum("ij,ij->i", normal, p[:, 0]) / np.maximum(square, 1e-30)
    out: Floats = height[:, None] * normal
    is_out = ~_is_inside(out, p, normal) | (square < 1e-24)
    best = np.where(is_out, np.inf, np.einsum("ij,ij->i", out, out))
    for k in range(3):
        edge = p[:, (k + 1) % 3] - p[:, k]
        length = np.maximum(np.einsum("ij,ij->i", edge, edge), 1e-30)
        at = np.clip(-np.einsum("ij,ij->i", p[:, k], edge) / length, 0.0, 1.0)
        there = p[:, k] + at[:, None] * edge
        away = np.einsum("ij,ij->i", there, there)
        is_nearer = away < best
        out[is_nearer], best[is_nearer] = there[is_nearer], away[is_nearer]
    return out


def _to_faces(p: Floats, ahead: Floats, radius_m: float) -> Floats:
    normal = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    height = -np.einsum("ij,ij->i", normal, p[:, 0])
    normal[height < 0] *= -1
    way = (np.abs(height) - radius_m) / -(normal @ ahead)
    touch = way[:, None] * ahead - radius_m * normal
    facing = np.where((height < 0)[:, None], -normal, normal)
    is_met = (way >= 0) & _is_inside(touch, p, facing)
    return np.where(is_met, way, np.inf)


def _to_edges(a: Floats, b: Floats, ahead: Floats, radius_m: float) -> Floats:
    edge = b - a
    length = np.linalg.norm(edge, axis=1)
    unit = edge / length[:, None]
    along = unit @ ahead
    across = ahead - along[:, None] * unit
    back = -a + np.einsum("ij,ij->i", a, unit)[:, None] * unit
    way = _root(across, back, radius_m)
    at = np.einsum("ij,ij->i", -a + way[:, None] * ahead, unit)
    return np.where((at >= 0) & (at <= length), way, np.inf)


def _to_points(a: Floats, ahead: Floats, radius_m: float) -> Floats:
    way = _root(np.broadcast_to(ahead, a.shape), -a, radius_m)
    return np.where(np.isfinite(way), way, np.inf)


def _root(speed: Floats, start: Floats, radius_m: float) -> Floats:
    """(T,) when ``|start + t speed|`` first falls to the radius; nan where it does not."""
    square = np.einsum("ij,ij->i", speed, speed)
    half = np.einsum("ij,ij->i", speed, start)
    rest = np.einsum("ij,ij->i", start, start) - radius_m**2
    way: Floats = (-half - np.sqrt(half**2 - square * rest)) / square
    way[way < 0] = np.nan
    return way
