"""A LiDAR's receiver and a light that shines into it: collected power, and which is stronger.

A LiDAR measures the time from its pulse to the strongest light that comes back. What it collects
of a source is the irradiance at its window (beam.py) times the area of its lens; what it collects
of its own pulse follows from the surface that sends it back. The receiver's figures are assumed,
of the kind that fits a small rotating LiDAR of 905 nm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.beam import irradiance_w_m2
from simattack.checks import number
from simattack.types import Floats, Lidar


@dataclass(frozen=True)
class Beam:
    """A source of light by its power and its width; round, Gaussian.

    Raises:
        ValueError: a value makes no sense.
    """

    power_w: float
    divergence_mrad: float
    """Full angle."""
    aperture_mm: float
    """Of the beam where it leaves."""
    off_axis_deg: float
    """Error of its aim."""

    def __post_init__(self) -> None:
        number("power_w", self.power_w)
        number("divergence_mrad", self.divergence_mrad, 0.01, 2000.0)
        number("aperture_mm", self.aperture_mm, 0.1, 1000.0)
        number("off_axis_deg", self.off_axis_deg, 0.0, 90.0)

    def irradiance_w_m2(self, distance_m: float) -> float:
        """At a window so far away."""
        return irradiance_w_m2(
            self.power_w * 1000,
            distance_m,
            self.divergence_mrad,
            self.aperture_mm,
            self.off_axis_deg,
        )


@dataclass(frozen=True)
class Receiver:
    """A LiDAR's receiver and the pulse that it waits for; every figure is assumed.

    Raises:
        ValueError: a value makes no sense.
    """

    aperture_mm: float = 12.0
    """Of the lens."""
    pulse_w: float = 30.0
    """Peak of its own pulse."""
    reflectance: float = 0.5
    """Of the surfaces around, which are diffuse and seen straight on."""
    fov_deg: float = 3.0
    """Full width, to half the response, of what a firing takes in to the sides. More than its
    spot: light that scatters in the housing is in it."""
    fov_up_deg: float = 15.0
    """The same up and down; wide, as one lens serves all channels."""
    dazzle_w: float = 1e-6
    """Steady light that the receiver takes for echoes, now here, now there."""
    saturation_w: float = 1e-4
    """Steady light that leaves no room for an echo."""

    def __post_init__(self) -> None:
        number("aperture_mm", self.aperture_mm, 0.1, 1000.0)
        number("pulse_w", self.pulse_w, 0.001, 1e6)
        number("reflectance", self.reflectance, 0.0, 1.0)
        number("fov_deg", self.fov_deg, 0.01, 360.0)
        number("fov_up_deg", self.fov_up_deg, 0.01, 180.0)
        number("saturation_w", self.saturation_w, 1e-12, 1e3)
        number("dazzle_w", self.dazzle_w, 1e-12, self.saturation_w)

    @property
    def area_m2(self) -> float:
        return math.pi * (self.aperture_mm / 2000) ** 2

    def echo_w(self, range_m: Floats) -> Floats:
        """Peak power of its own echo.

        Source: P = P0 rho A / (pi R^2), a diffuse surface that fills the beam: Wagner et al.,
        ISPRS J. Photogramm. Remote Sens. 60(2), 2006, eq. 11, without losses on the way.
        """
        sent = self.pulse_w * self.reflectance * self.area_m2
        return np.asarray(sent / (math.pi * np.asarray(range_m, float) ** 2))

    def beats(
        self, power_w: float, range_m: NDArray[np.float32], farthest_m: float
    ) -> NDArray[np.bool_]:
        """Where a collected pulse is stronger than the echo from ``range_m``.

        Where nothing came back (0) it has to be as strong as an echo from ``farthest_m``.
        """
        echo_m = np.where(range_m > 0, range_m, farthest_m)
        return np.asarray(power_w > self.echo_w(echo_m))

    def response(self, azimuth_rad: Floats, elevation_rad: Floats) -> Floats:
        """Part of the light that a firing takes in from so far beside itself: a bell curve."""
        beside = azimuth_rad / math.radians(self.fov_deg)
        above = elevation_rad / math.radians(self.fov_up_deg)
        return np.asarray(np.exp(-4 * math.log(2) * (beside**2 + above**2)))

    def sector_deg(self, power_w: float, least_w: float) -> float:
        """Full width of the sector in which ``power_w``, as collected straight on, is
        ``least_w`` or more.
        """
        if power_w <= least_w:
            return 0.0
        return self.fov_deg * math.sqrt(math.log2(power_w / least_w))


def lidar_of(scan: NDArray[np.float32]) -> Lidar:
    """The LiDAR whose scan has that shape; where it sits and looks is as by default."""
    return Lidar(channels=scan.shape[0], columns=scan.shape[1])


def turn_to(lidar: Lidar, azimuth_rad: float) -> Floats:
    """(columns,) azimuths of the firings, seen from a direction: -pi to pi [rad]."""
    turn = (lidar.azimuth_rad - azimuth_rad + np.pi) % (2 * np.pi) - np.pi
    return np.asarray(turn)
