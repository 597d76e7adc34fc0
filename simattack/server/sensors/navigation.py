"""What a GNSS receiver and an inertial unit read, with CARLA's noise attributes.

Source: CARLA's sensor reference (attribute names and units, what each noise is added to).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simattack import geometry
from simattack.server.bodies import Body, Vector
from simattack.types import Pose

Attributes = Mapping[str, str]
"""A sensor's attributes by id, as the client sent them; missing ones count as 0."""


class Globe(Protocol):
    """What a GNSS receiver needs of a road."""

    def geolocation(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """Latitude [deg], longitude [deg], altitude [m] of a place in the world."""
        ...


@dataclass(frozen=True)
class ImuReading:
    """One reading, in the sensor's frame."""

    accelerometer_mps2: Vector
    """Specific force: +9.81 on z at rest."""
    gyroscope_radps: Vector
    compass_rad: float
    """Heading in 0..2 pi, clockwise from north; north is -y."""


def noise_stream(attributes: Attributes, entropy: int = 0) -> np.random.Generator:
    """The sensor's own random numbers, set by ``noise_seed``; ``entropy`` adds to the seed."""
    return np.random.default_rng([abs(int(_number(attributes, "noise_seed"))), abs(entropy)])


def gnss(
    globe: Globe, sensor: Pose, attributes: Attributes, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Latitude [deg], longitude [deg], altitude [m] of the sensor's place, with noise.

    Standard deviation and bias of the noise are in degrees for latitude and longitude and in
    metres for altitude. Exactly three random numbers are drawn, whatever the attributes.
    """
    truth = globe.geolocation(sensor.x_m, sensor.y_m, sensor.z_m)
    draws = rng.standard_normal(3).tolist()
    latitude, longitude, altitude = (
        value
        + _number(attributes, f"noise_{name}_bias")
        + _number(attributes, f"noise_{name}_stddev") * draw
        for value, name, draw in zip(truth, ("lat", "lon", "alt"), draws, strict=True)
    )
    return latitude, longitude, altitude


def imu(
    body: Body,
    sensor: Pose,
    attributes: Attributes,
    rng: np.random.Generator,
    gravity_mps2: float = 9.81,
) -> ImuReading:
    """What an inertial unit at ``sensor`` (world) on ``body`` reads, with noise.

    The lever arm between the two adds the accelerations of turning. Exactly six random numbers
    are drawn, whatever the attributes.
    """
    place = (sensor.x_m - body.pose.x_m, sensor.y_m - body.pose.y_m, sensor.z_m - body.pose.z_m)
    turning = body.angular_velocity_radps
    spin = np.array(turning)
    # Components of a cross product are alike in left- and right-handed frames, and yaw turns
    # from x towards y in both, so the usual formula holds.
    force = (
        np.array(body.acceleration_mps2)
        + _cross(body.angular_acceleration_radps2, place)
        + _cross(turning, _cross(turning, place))
        + (0.0, 0.0, gravity_mps2)
    )
    turn = geometry.rotation(sensor)
    draws = rng.standard_normal(6)
    axes = "xyz"
    felt = force @ turn + draws[:3] * [_number(attributes, f"noise_accel_stddev_{a}") for a in axes]
    turned = (
        spin @ turn
        + draws[3:] * [_number(attributes, f"noise_gyro_stddev_{a}") for a in axes]
        + [_number(attributes, f"noise_gyro_bias_{a}") for a in axes]
    )
    ahead = turn[:, 0]
    return ImuReading(_vector(felt), _vector(turned), compass(float(ahead[0]), float(ahead[1])))


def compass(x: float, y: float) -> float:
    """Heading of a direction in the world, in 0..2 pi clockwise from north (-y)."""
    heading = math.atan2(x, -y) % (2 * math.pi)
    # the remainder of a tiny negative angle rounds to the full circle
    return 0.0 if heading >= 2 * math.pi else heading


def _cross(a: Vector, b: Vector) -> Vector:
    """Numpy's takes a hundred times as long for one pair, and gives the same bits."""
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _number(attributes: Attributes, name: str) -> float:
    return float(attributes.get(name, 0.0) or 0.0)


def _vector(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Vector:
    x, y, z = values.tolist()
    return x, y, z
