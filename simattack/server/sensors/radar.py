"""Radar: single echoes in a cone, each with a range and a speed along the line of sight.

The places of the echoes are drawn anew at every measurement, even in angle and in distance from
the axis, so that they crowd around it.

Sign of the velocity: positive where sensor and target move apart, negative where they close in.
CARLA's server computes it so, while its documentation calls it "velocity towards the sensor".

Source: CARLA's sensor reference (attributes, fields) and the formulas of its server.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack import geometry
from simattack.errors import ConfigError
from simattack.server.rays import Rays, turned
from simattack.server.sensor_blueprints import defaults
from simattack.types import Floats, Pose

MAX_POINTS_PER_SECOND = 10_000_000
MAX_POINTS = 1_000_000
"""Of one step."""


@dataclass(frozen=True)
class Radar:
    """The attributes of one sensor."""

    horizontal_deg: float
    vertical_deg: float
    range_m: float
    """Along the axis; the cone ends in a plane."""
    points_per_second: int

    @classmethod
    def of(cls, type_id: str, attributes: Mapping[str, str]) -> Radar:
        """A radar as its attributes want it.

        Raises:
            ConfigError: a number is out of range.
        """
        known = {**defaults(type_id), **attributes}
        made = cls(
            horizontal_deg=float(known["horizontal_fov"]),
            vertical_deg=float(known["vertical_fov"]),
            range_m=float(known["range"]),
            points_per_second=int(float(known["points_per_second"])),
        )
        if not (0 <= made.horizontal_deg < 180 and 0 <= made.vertical_deg < 180):
            raise ConfigError(
                "expected horizontal_fov and vertical_fov in 0..180 deg, "
                f"got {made.horizontal_deg}, {made.vertical_deg}"
            )
        if not (made.range_m > 0 and 0 <= made.points_per_second <= MAX_POINTS_PER_SECOND):
            raise ConfigError(
                f"expected range > 0 and points_per_second in 0..{MAX_POINTS_PER_SECOND}, "
                f"got {made.range_m}, {made.points_per_second}"
            )
        return made


def detect(
    radar: Radar,
    rays: Rays,
    pose: Pose,
    velocity_mps: Floats,
    speeds: Mapping[int, tuple[float, float, float]],
    step_s: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """What a radar at ``pose`` (world) measures in a step.

    Args:
        radar: its attributes.
        rays: the scene.
        pose: of the sensor.
        velocity_mps: (3,) of the sensor, in the world.
        speeds: velocity in the world of every actor that moves, by id.
        step_s: sets how many points there are.
        rng: two numbers a point are drawn.

    Returns:
        (N, 4): velocity [m/s], azimuth [rad, right positive], altitude [rad, up positive] and
        depth [m], the distance from the sensor.
    """
    count = min(int(radar.points_per_second * step_s + 1e-6), MAX_POINTS)
    draws = rng.random((count, 2))
    off_axis, angle = draws[:, 0], 2 * math.pi * draws[:, 1]
    wide = math.tan(math.radians(radar.horizontal_deg / 2))
    high = math.tan(math.radians(radar.vertical_deg / 2))
    local = np.stack(
        [np.ones(count), wide * off_axis * np.cos(angle), high * off_axis * np.sin(angle)], 1
    )
    length = np.linalg.norm(local, axis=1)
    local /= length[:, None]
    world = turned(geometry.rotation(pose), local)
    origin = np.array([pose.x_m, pose.y_m, pose.z_m])
    hits = rays.trace(origin, world, radar.range_m * length)
    met = hits.is_hit
    number, place = np.unique(hits.id[met], return_inverse=True)
    known = np.array([speeds.get(int(n), (0.0, 0.0, 0.0)) for n in number]).reshape(-1, 3)
    apart = np.einsum("ij,ij->i", known[place.ravel()] - velocity_mps, world[met])
    out = np.empty((int(met.sum()), 4), np.float32)
    out[:, 0] = apart
    out[:, 1] = np.arctan2(local[met, 1], local[met, 0])
    out[:, 2] = np.arcsin(local[met, 2])
    out[:, 3] = hits.range_m[met]
    return out
