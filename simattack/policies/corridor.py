"""What is in the car's way, or about to be: tracks held against the route.

What moves is taken to go on as it goes, along the route and across it: a person who walks towards
the way is in it when the car comes by, or was, or will be. Only a sensor that measures distance
tells speeds well enough for that; what the camera alone has seen counts where it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from simattack.policies.fusion import SIZES, Track
from simattack.policies.localisation import Localiser
from simattack.policies.path import Path


@dataclass(frozen=True)
class Obstacle:
    """Something in the way."""

    gap_m: float
    """From the front bumper, along the route."""
    along_mps: float
    """Its speed along the route."""
    enters_s: float
    """Until it is in the way; 0 for what is in it now."""
    track: Track


@dataclass(frozen=True)
class Corridor:
    """The way that must be free."""

    path: Path
    length_m: float
    """Of the car."""
    half_width_m: float
    """Of the way."""
    horizon_s: float
    """How far ahead what moves across is looked at."""
    apart_s: float
    """The car and what crosses its way are to be at one place no nearer in time than this."""

    CROSSING_MPS = 0.4
    """Slower sideways is no crossing, ..."""
    CERTAINTY = 1.0
    """... and neither is what may be slower by so many standard deviations, ..."""
    LONE_CERTAINTY = 2.0
    """... or so many where a LiDAR alone has seen it: it takes two things side by side for one."""
    NEAR_M = 0.5
    """What moves across is waited for until it is this far out of the way."""

    def obstacles(
        self,
        tracks: Iterable[Track],
        localiser: Localiser,
        s_m: float,
        speed_mps: float,
        time_s: float,
    ) -> list[Obstacle]:
        """Those of the tracks that are in the way or will be, with the car at ``s_m``."""
        found = []
        for track in tracks:
            place = localiser.world_from_odometry(track.place_at(time_s)[None])[0]
            its_s_m, right_m = self.path.locate(place, s_m)
            gap = its_s_m - s_m - self.length_m / 2
            if gap < -1.0:
                continue
            turn = localiser.odometry[2] - localiser.pose[2]
            heading = self.path.heading_rad(its_s_m) + turn
            cos, sin = np.cos(heading), np.sin(heading)
            along = float(track.state[2] * cos + track.state[3] * sin)
            outside = abs(right_m) - track.half_width_m - self.half_width_m
            if outside <= 0:
                found.append(Obstacle(gap, along, 0.0, track))
                continue
            sideways = np.array([-sin, cos])
            inwards = -np.sign(right_m) * float(track.state[2:] @ sideways)
            doubt = float(sideways @ track.spread[2:, 2:] @ sideways) ** 0.5
            is_known = track.label not in SIZES or "radar" in track.support
            certainty = self.CERTAINTY if is_known else self.LONE_CERTAINTY
            if not track.is_ranged or inwards < self.CROSSING_MPS + certainty * doubt:
                continue
            # A LiDAR's rings run along a wall as fast as the car drives: what it alone has seen
            # must go more across the way than along it. So must what comes along another lane.
            is_steep = inwards > abs(along)
            if gap < 0 or (not is_steep and (along < 0 or not is_known)):
                continue
            enters_s = outside / inwards
            if self._meets(gap, along, enters_s, inwards, track, speed_mps):
                found.append(Obstacle(gap, along, enters_s, track))
        return found

    def _meets(
        self,
        gap_m: float,
        along_mps: float,
        enters_s: float,
        inwards_mps: float,
        track: Track,
        speed_mps: float,
    ) -> bool:
        """Whether car and track are in the same part of the way at about the same time."""
        if enters_s > self.horizon_s:
            return False
        width = 2 * (self.half_width_m + track.half_width_m + self.NEAR_M)
        # What comes in at an angle as small as that comes to stay.
        is_cutting_in = inwards_mps < along_mps
        leaves_s = float("inf") if is_cutting_in else enters_s + width / inwards_mps
        closing = max(speed_mps - along_mps, 0.5)
        comes_s = max(gap_m, 0.0) / closing
        passed_s = (max(gap_m, 0.0) + self.length_m) / closing
        return comes_s < leaves_s + self.apart_s and enters_s - self.apart_s < passed_s
