"""LiDAR and radar as CARLA has them: the attributes that make ours, its messages as our arrays.

CARLA's LiDAR turns, in one message, as far as it turns in a tick, however long its ``sensor_tick``;
so ours makes a whole turn within a tick, and is asked once a look. All firings of a look are of one
moment, as CARLA's are: a moving car does not shear its scan.

Drop-off is off. By default CARLA leaves 45 % of all firings out at random and more of the weak
ones, which stands for no device: a LiDAR of today loses a return for want of light. So a return is
missing only where nothing stands within range; dark, wet and slanted surfaces come back as well as
others. Intensity is CARLA's, ``exp(-0.004 r)`` whatever the surface.

The radar measures at every tick, as CARLA derives its velocity from how far it moved since its last
measurement and a tick's length: with a ``sensor_tick`` of two ticks it would tell the double.

Source: RayCastSemanticLidar.cpp and Radar.cpp of carla-simulator/carla.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.sensors import Lidar, Radar


def lidar_options(lidar: Lidar, tick_s: float, every: int, seed: int) -> Mapping[str, str]:
    """Attributes of a ``sensor.lidar.ray_cast`` that turns once every so many ticks."""
    return {
        "channels": str(lidar.channels),
        "range": f"{lidar.range_m:.6f}",
        "upper_fov": f"{np.degrees(lidar.upper_rad):.6f}",
        "lower_fov": f"{np.degrees(lidar.lower_rad):.6f}",
        "horizontal_fov": "360.0",
        "points_per_second": str(round(lidar.channels * lidar.columns / tick_s)),
        "rotation_frequency": f"{1 / tick_s:.6f}",
        "dropoff_general_rate": "0.0",
        "dropoff_intensity_limit": "0.0",
        "dropoff_zero_intensity": "0.0",
        "noise_stddev": f"{lidar.range_std_m:.6f}",
        "noise_seed": str(seed),
        "sensor_tick": f"{every * tick_s if every > 1 else 0.0:.6f}",
    }


def lidar_yaw_rad(lidar: Lidar) -> float:
    """How the sensor is turned on its mount: CARLA fires at the left edge of every column."""
    return float(np.pi / lidar.columns)


def scan(lidar: Lidar, counts: Sequence[int], points: NDArray[Any]) -> NDArray[np.float32]:
    """The range image (channels, columns, 2) of a message.

    Args:
        lidar: what measured.
        counts: points of each channel, the highest channel first.
        points: (N, 4) x, y, z [m] in the sensor's frame and intensity, channel by channel.
    """
    image = np.zeros((lidar.channels, lidar.columns, 2), np.float32)
    row = np.repeat(np.arange(lidar.channels), counts)
    x, y, z = points[:, :3].astype(float).T
    turns = np.arctan2(y, x) / (2 * np.pi) + 0.5
    column = np.rint(turns * lidar.columns).astype(int) % lidar.columns
    image[row, column, 0] = np.sqrt(x * x + y * y + z * z)
    image[row, column, 1] = points[:, 3]
    return image


def radar_options(radar: Radar, tick_s: float, seed: int) -> Mapping[str, str]:
    """Attributes of a ``sensor.other.radar`` with as many beams a tick as there are slots."""
    return {
        "horizontal_fov": f"{np.degrees(radar.fov_rad):.6f}",
        "vertical_fov": f"{np.degrees(radar.fov_up_rad):.6f}",
        "range": f"{radar.range_m:.6f}",
        "points_per_second": str(round(radar.slots / tick_s)),
        "noise_seed": str(seed),
    }


def returns(radar: Radar, echoes: NDArray[Any]) -> NDArray[np.float32]:
    """The radar's (slots, 4), nearest first; the farthest are left out if there are too many.

    Args:
        radar: what measured.
        echoes: (N, 4) velocity [m/s], azimuth, altitude [rad] and depth [m], as CARLA tells them.
    """
    table = np.zeros((radar.slots, 4), np.float32)
    found = echoes[:, [3, 1, 2, 0]]
    found = found[np.lexsort(found.T[::-1])][: radar.slots]
    table[: len(found)] = found
    return table
