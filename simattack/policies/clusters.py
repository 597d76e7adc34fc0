"""LiDAR: what rises from the ground before the car, as near faces.

The ground is followed outwards in every column of the scan, from one ring to the next: it may
rise as a road does, so hills, curbs and a car that dips its nose are ground. Beyond some 45 m
only one ring of sixteen meets a car, and what it meets could be a hill; nothing is told of it.
"""

from __future__ import annotations

import numpy as np

from simattack.policies.fusion import Measurement
from simattack.policies.stretch import Stretch, groups
from simattack.types import Floats, Lidar


class Clusters:
    """Finds things in the scans of one LiDAR.

    Args:
        lidar: what scans; level on the car.
        min_points: that make a thing.
    """

    SLOPE = 0.09
    """Steepest ground against the car: a road of 6 % and a nose that dips by 1.7 degrees."""
    STEP_M = 0.2
    """Highest step that is ground: a curb."""
    CLEARANCE_M = 2.2
    """What hangs higher is passed under."""
    CLOSEST_M = 2.5
    """Nearer than that is the car itself."""
    THING_M = (7.0, 3.2)
    """Longest and widest thing beside the way that is followed; what is larger is a wall or a
    hedge, and only what of it stands in the way counts."""
    FACE_M = 1.0
    """What lies within this of the nearest point is the near face."""

    def __init__(self, lidar: Lidar, min_points: int) -> None:
        self._min_points = min_points
        self._mount = lidar.mount
        azimuth = lidar.azimuth_rad
        self._columns = np.abs(azimuth) < np.pi / 2
        self._cos, self._sin = np.cos(azimuth[self._columns]), np.sin(azimuth[self._columns])
        self._level, self._up = np.cos(lidar.elevation_rad), np.sin(lidar.elevation_rad)

    def find(self, scan: Floats, stretch: Stretch) -> list[Measurement]:
        """The things in a scan (channels, columns, 2), nearest first."""
        points = self.standing(scan)
        places = stretch.along(points)
        within = stretch.is_within(places)
        places = places[within]
        faces = [self._face(places[rows], stretch) for rows in groups(places)]
        found = [face for face in faces if face is not None]
        return sorted(found, key=lambda one: one.depth_m)

    def standing(self, scan: Floats) -> Floats:
        """(N, 2) forward and right [m] in the car frame of what stands on the ground ahead."""
        ranges = np.asarray(scan[:, self._columns, 0], float)
        level = ranges * self._level[:, None]
        height = ranges * self._up[:, None] + self._mount.z_m
        ground_m, ground_z = np.zeros(ranges.shape[1]), np.zeros(ranges.shape[1])
        is_thing = np.zeros(ranges.shape, bool)
        for row in np.argsort(self._up):
            rise = height[row] - ground_z
            steps = np.maximum(level[row] - ground_m, 0.0)
            is_hit = level[row] > self.CLOSEST_M
            is_ground = is_hit & (rise <= self.STEP_M + self.SLOPE * steps)
            is_thing[row] = is_hit & ~is_ground & (rise < self.CLEARANCE_M)
            ground_m = np.where(is_ground, level[row], ground_m)
            ground_z = np.where(is_ground, height[row], ground_z)
        rows, columns = np.nonzero(is_thing)
        far = level[rows, columns]
        return np.stack(
            [
                far * self._cos[columns] + self._mount.x_m,
                far * self._sin[columns] + self._mount.y_m,
            ],
            axis=1,
        )

    def _face(self, places: Floats, stretch: Stretch) -> Measurement | None:
        """One group's near face; None where there is nothing to be hit."""
        half = stretch.half_width_m
        is_in_way = np.abs(places[:, 1]) <= half
        size = np.ptp(places, axis=0)
        is_thing = bool((size <= self.THING_M).all())
        if is_in_way.sum() >= self._min_points:
            nearest = places[is_in_way, 0].min()
        elif is_thing and len(places) >= self._min_points:
            nearest = places[:, 0].min()
        else:
            return None
        sides = places[np.abs(places[:, 0] - nearest) <= self.FACE_M, 1]
        if not is_thing:
            # Of a wall across the way, the part that matters: its middle must not be beside it.
            sides = np.clip(sides, -half - 1.0, half + 1.0)
        left, right = sides.min(), sides.max()
        depth, aside = stretch.car_frame(float(nearest), float(left + right) / 2)
        return Measurement(
            label="small" if (size < 1.2).all() else "large",
            depth_m=float(depth),
            right_m=float(aside),
            half_width_m=float(right - left) / 2,
            depth_std_m=0.1 + 0.003 * float(nearest),
            right_std_m=0.08 + 0.004 * float(nearest),
        )
