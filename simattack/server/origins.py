"""Where an actor's origin is in its body.

Physics and pictures have it in the middle of the body's floor. To clients it is there too, but for
walkers: as in CARLA, theirs is the middle of their body (a capsule, whose bounding box therefore
has its centre at the origin). Only commands of pedestrian navigation name the ground they step on.
"""

from __future__ import annotations

from dataclasses import replace

from simattack.geometry import rotation
from simattack.server.blueprints import Blueprint
from simattack.types import Pose


def height_m(blueprint: Blueprint) -> float:
    """How far above its floor an actor's origin is."""
    return blueprint.size_m[2] / 2 if blueprint.kind == "walker" else 0.0


def floor_of(origin: Pose, blueprint: Blueprint) -> Pose:
    """The pose of the middle of its floor, by that of its origin; both in the world."""
    return _lifted(origin, -height_m(blueprint))


def origin_of(floor: Pose, blueprint: Blueprint) -> Pose:
    """The other way round."""
    return _lifted(floor, height_m(blueprint))


def _lifted(pose: Pose, by_m: float) -> Pose:
    if by_m == 0.0:
        return pose
    if pose.pitch_rad == pose.roll_rad == 0.0:
        return replace(pose, z_m=pose.z_m + by_m)
    x, y, z = (float(part) * by_m for part in rotation(pose)[:, 2])
    return replace(pose, x_m=pose.x_m + x, y_m=pose.y_m + y, z_m=pose.z_m + z)
