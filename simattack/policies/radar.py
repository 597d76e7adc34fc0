"""Radar: its returns, as things that move and things that stand upright in the way.

A return's speed over ground is its own less the car's along the line of sight. What moves is
followed wherever it is. What does not is clutter for the most part, the road first of all: of it
only an upright face in the way counts, many returns at one distance from low to high.
"""

from __future__ import annotations

import numpy as np

from simattack.policies.fusion import Measurement
from simattack.policies.stretch import Stretch, groups
from simattack.types import Floats, Radar


class Returns:
    """Finds things in the returns of one radar.

    Args:
        radar: what looks.
        min_returns: of an upright face; a thing that moves needs two.
    """

    MOVING_MPS = 1.0
    """Along the line of sight, over ground; less is taken to stand."""
    HEIGHT_M = (0.3, 2.2)
    """Over the ground the car stands on, least and most."""
    UPRIGHT_M = (0.4, 1.5)
    """An upright face's returns differ by at least the one in height and at most the other in
    distance: on a road that rises by 10 %, they would differ by 4 m."""
    SPEED_STD_MPS = 0.3

    def __init__(self, radar: Radar, min_returns: int) -> None:
        self._radar = radar
        self._min_returns = min_returns

    def find(
        self, returns: Floats, stretch: Stretch, speed_mps: float, turn_radps: float
    ) -> list[Measurement]:
        """The things in the returns (slots, 4), in the car frame, nearest first.

        Args:
            speed_mps: of the car, forward.
            turn_radps: of the car, to the right.
        """
        mount = self._radar.mount
        rows = np.asarray(returns[returns[:, 0] > 0], float)
        range_m, azimuth, altitude, apart = rows.T
        height = mount.z_m + range_m * np.sin(altitude)
        level = range_m * np.cos(altitude)
        azimuth = azimuth + mount.yaw_rad
        # The mount goes sideways while the car turns; both speeds are of the mount over ground.
        own_right = turn_radps * mount.x_m
        own = (speed_mps * np.cos(azimuth) + own_right * np.sin(azimuth)) * np.cos(altitude)
        over_ground = apart + own
        points = np.stack(
            [mount.x_m + level * np.cos(azimuth), mount.y_m + level * np.sin(azimuth)], axis=1
        )
        places = stretch.along(points)
        is_here = stretch.is_within(places) & (height > self.HEIGHT_M[0])
        is_here &= height < self.HEIGHT_M[1]
        is_moving = np.abs(over_ground) > self.MOVING_MPS
        found = []
        for is_kind in (is_moving, ~is_moving):
            chosen = np.flatnonzero(is_here & is_kind)
            for group in groups(places[chosen]):
                one = chosen[group]
                if is_moving[one[0]]:
                    is_strong = len(one) >= 2
                else:
                    is_strong = self._is_upright(places[one], height[one], stretch)
                sight_rad = float(np.median(azimuth[one]))
                found.append(self._thing(points[one], over_ground[one], sight_rad, is_strong))
        return sorted(found, key=lambda thing: thing.depth_m)

    def _is_upright(self, places: Floats, height_m: Floats, stretch: Stretch) -> bool:
        is_in_way = np.abs(places[:, 1]) <= stretch.half_width_m
        near = places[:, 0] <= places[is_in_way, 0].min(initial=np.inf) + self.UPRIGHT_M[1]
        if (is_in_way & near).sum() < self._min_returns:
            return False
        return bool(np.ptp(height_m[is_in_way & near]) >= self.UPRIGHT_M[0])

    def _thing(
        self, points: Floats, over_ground_mps: Floats, sight_rad: float, is_strong: bool
    ) -> Measurement:
        nearest = points[:, 0].min()
        face = points[points[:, 0] <= nearest + self.UPRIGHT_M[1], 1]
        left, right = face.min(), face.max()
        return Measurement(
            label="",
            depth_m=float(nearest),
            right_m=float(left + right) / 2,
            half_width_m=float(right - left) / 2,
            depth_std_m=0.5,
            right_std_m=0.4 + 0.02 * float(nearest),
            is_cut=True,  # a few echoes do not tell how wide it is
            apart_mps=float(np.median(over_ground_mps)),
            apart_std_mps=self.SPEED_STD_MPS,
            sight_rad=sight_rad,
            is_strong=is_strong,
        )
