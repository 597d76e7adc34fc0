"""LiDAR scans and radar returns of boxes on a ground that may rise: rays by closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simattack.types import Floats, Lidar, Pose, Radar


@dataclass(frozen=True)
class Box:
    """Axis-aligned in the world: lowest and highest corner, and how it moves."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    velocity: tuple[float, float] = (0.0, 0.0)

    def at(self, time_s: float) -> tuple[Floats, Floats]:
        moved = np.array([*np.multiply(self.velocity, time_s), 0.0])
        return np.array(self.low) + moved, np.array(self.high) + moved


def cast(
    origin: Floats, directions: Floats, boxes: Sequence[Box], time_s: float, slope: float = 0.0
) -> tuple[Floats, Floats]:
    """(N,) range to the first hit, inf for none, and the box's number there, -1 for the ground.

    Args:
        directions: (N, 3) unit vectors.
        slope: of the ground, rising along +x from x = 10 on.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = -origin[2] / directions[:, 2]
        flat = np.where((flat > 0) & (origin[0] + flat * directions[:, 0] < 10), flat, np.inf)
        ramp = (slope * (origin[0] - 10) - origin[2]) / (
            directions[:, 2] - slope * directions[:, 0]
        )
        at_x = origin[0] + ramp * directions[:, 0]
        best = np.minimum(flat, np.where((ramp > 0) & (at_x >= 10), ramp, np.inf))
        which = np.full(len(directions), -1)
        for number, box in enumerate(boxes):
            low, high = box.at(time_s)
            one, two = (low - origin) / directions, (high - origin) / directions
            enter = np.nanmax(np.minimum(one, two), axis=1)
            leave = np.nanmin(np.maximum(one, two), axis=1)
            is_hit = (enter > 0) & (enter <= leave) & (enter < best)
            best, which = np.where(is_hit, enter, best), np.where(is_hit, number, which)
    return best, which


def _turned(yaw_rad: float) -> Floats:
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def _mounted(pose: Pose, mount: Pose) -> tuple[Floats, Floats]:
    turn = _turned(pose.yaw_rad)
    return np.array([pose.x_m, pose.y_m, 0]) + turn @ [mount.x_m, mount.y_m, mount.z_m], turn


def scan(
    lidar: Lidar,
    pose: Pose,
    boxes: Sequence[Box],
    time_s: float = 0.0,
    slope: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Floats:
    """(channels, columns, 2) as a car at ``pose`` has it, of the half turn before it."""
    origin, turn = _mounted(pose, lidar.mount)
    ahead = np.abs(lidar.azimuth_rad) < np.pi / 2
    local = lidar.directions()[:, ahead]
    ranges, _ = cast(origin, local.reshape(-1, 3) @ turn.T, boxes, time_s, slope)
    if rng is not None:
        ranges = ranges + rng.normal(0, lidar.range_std_m, len(ranges))
    ranges = np.where(ranges < lidar.range_m, ranges, 0.0).reshape(local.shape[:2])
    out = np.zeros((lidar.channels, lidar.columns, 2), np.float32)
    out[:, ahead] = np.stack([ranges, (ranges > 0) * 0.5], axis=-1)
    return out


def returns(
    radar: Radar,
    pose: Pose,
    velocity: Floats,
    boxes: Sequence[Box],
    rng: np.random.Generator,
    time_s: float = 0.0,
    slope: float = 0.0,
) -> Floats:
    """(slots, 4) with the echoes spread as CARLA's are: even in angle and in distance off axis.

    Args:
        velocity: (2,) of the car in the world [m/s].
    """
    origin, turn = _mounted(pose, radar.mount)
    off, angle = rng.random(radar.slots), 2 * np.pi * rng.random(radar.slots)
    wide, high = np.tan(radar.fov_rad / 2), np.tan(radar.fov_up_rad / 2)
    local = np.stack(
        [np.ones_like(off), wide * off * np.cos(angle), high * off * np.sin(angle)], axis=1
    )
    local /= np.linalg.norm(local, axis=1)[:, None]
    world = local @ turn.T
    ranges, which = cast(origin, world, boxes, time_s, slope)
    of_boxes = np.array([*(box.velocity for box in boxes), (0.0, 0.0)])[which]
    apart = np.sum((of_boxes - velocity) * world[:, :2], axis=1)
    rows = np.stack(
        [ranges, np.arctan2(local[:, 1], local[:, 0]), np.arcsin(local[:, 2]), apart], axis=1
    )
    rows = rows[ranges < radar.range_m]
    out = np.zeros((radar.slots, 4), np.float32)
    out[: len(rows)] = rows[np.argsort(rows[:, 0])]
    return out
