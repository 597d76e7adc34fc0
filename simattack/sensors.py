"""What a car senses with: camera, LiDAR and radar, where they sit, and the shape of their data.

Conventions are those of ``types``, which names everything here again. Imports numpy only.

A LiDAR's data is its *scan*: (channels, columns, 2) float32, range [m] and intensity 0..1 of every
firing of one turn; range 0 where nothing came back. Row 0 looks highest; column 0 looks straight
back, the middle ones ahead, and columns grow to the right.

A radar's data is its *returns*: (slots, 4) float32, range [m], azimuth [rad, right positive],
altitude [rad, up positive] and radial velocity [m/s, negative while it comes nearer]; rows beyond
a tick's returns are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SENSORS: tuple[str, ...] = ("camera", "lidar", "radar", "gnss", "imu", "speed")
"""What a car can be fitted with: the names in an observation and in a scenario."""


@dataclass(frozen=True)
class Pose:
    """Where something is and how it is turned; world frame unless said otherwise."""

    x_m: float = 0.0
    y_m: float = 0.0
    z_m: float = 0.0
    pitch_rad: float = 0.0
    yaw_rad: float = 0.0
    roll_rad: float = 0.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion, fixed to the car."""

    width_px: int = 640
    height_px: int = 480
    fov_rad: float = float(np.deg2rad(60.0))
    """Horizontal field of view."""
    mount: Pose = Pose(x_m=0.9, z_m=1.5)
    """In the car frame."""

    @property
    def focal_px(self) -> float:
        return float(self.width_px / 2 / np.tan(self.fov_rad / 2))


@dataclass(frozen=True)
class Lidar:
    """A LiDAR that turns once between two scans, level on the roof.

    Source of the numbers: Velodyne VLP-16 user manual, section "Specifications" (16 channels from
    -15 to 15 degrees, 100 m, typical accuracy 3 cm).
    """

    channels: int = 16
    columns: int = 1024
    """Firings of each channel in a turn."""
    upper_rad: float = float(np.deg2rad(15.0))
    lower_rad: float = float(np.deg2rad(-15.0))
    range_m: float = 100.0
    range_std_m: float = 0.03
    mount: Pose = Pose(x_m=0.0, z_m=1.9)
    """In the car frame."""

    @property
    def elevation_rad(self) -> NDArray[np.float64]:
        """(channels,) up positive, highest first."""
        return np.asarray(np.linspace(self.upper_rad, self.lower_rad, self.channels), float)

    @property
    def azimuth_rad(self) -> NDArray[np.float64]:
        """(columns,) of the firings' middles, right positive, from -pi to pi."""
        middles = (np.arange(self.columns) + 0.5) / self.columns
        return np.asarray(2 * np.pi * middles - np.pi, np.float64)

    def directions(self) -> NDArray[np.float64]:
        """(channels, columns, 3) unit vectors of all firings, in the sensor's frame."""
        up, right = self.elevation_rad[:, None], self.azimuth_rad[None]
        level = np.cos(up)
        parts = np.broadcast_arrays(level * np.cos(right), level * np.sin(right), np.sin(up))
        return np.asarray(np.stack(parts, axis=-1), np.float64)

    def points(self, scan: NDArray[Any]) -> NDArray[np.float64]:
        """(N, 3) where the firings that came back hit, in the car frame [m], row by row."""
        hit = scan[..., 0] > 0
        mount = np.array([self.mount.x_m, self.mount.y_m, self.mount.z_m])
        return np.asarray(self.directions()[hit] * scan[hit][:, :1] + mount)


@dataclass(frozen=True)
class Radar:
    """A forward radar in the front bumper.

    The figures are those of a usual 77 GHz long-range radar; assumed, as no one product is meant.
    """

    slots: int = 128
    """Most returns in one look."""
    range_m: float = 100.0
    fov_rad: float = float(np.deg2rad(40.0))
    """Horizontal."""
    fov_up_rad: float = float(np.deg2rad(10.0))
    """Vertical."""
    mount: Pose = Pose(x_m=2.4, z_m=0.6)
    """In the car frame."""
