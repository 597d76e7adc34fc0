"""Doubts radar returns that nothing stands behind, and a radar that suddenly sees much less.

Where the LiDAR looks, a thing that rises from the ground and is near has LiDAR points as well:
returns without any are left out, and raise the alarm, as do returns faster than anything on a road.
Noise that jams a radar takes the weak returns first, so that their number falls against what it was
a moment ago.

Source: ours; that sensors which overlap vouch for each other is the common answer to ghosts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number, whole
from simattack.guarding import Turns, Watching, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Floats, Observation


@register("defenses", "radar_check")
@dataclass(frozen=True)
class RadarCheck:
    """Hold the returns against the LiDAR's points, and against their own past."""

    needs = ("radar",)
    family = Family.DETECTION

    agree_m: float = 25.0
    """Nearer returns need a LiDAR point, if the car has a LiDAR; 0: none do."""
    apart_m: float = 2.0
    """How far that may be, seen from above."""
    ghosts: int = 3
    """So many returns without one are an alarm of 0.5."""
    fastest_mps: float = 70.0
    """Over ground; what is faster is left out. 0: nothing is."""
    fall: float = 0.85
    """A number of returns, over three looks, of this share of the usual is an alarm of 0.5; 0: none
    ever is."""
    memory_s: float = 3.0
    """Over which the usual number is averaged; ten times as long once it has fallen."""
    latency_s: float = 0.003

    def __post_init__(self) -> None:
        number("agree_m", self.agree_m, 0.0, 200.0)
        number("apart_m", self.apart_m, 0.1)
        whole("ghosts", self.ghosts, 1)
        number("fastest_mps", self.fastest_mps)
        number("fall", self.fall, 0.0, 0.99)
        number("memory_s", self.memory_s, 0.1)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Watching:
        return Watching(_Check(self, car).watch)


class _Check:
    """One run."""

    HEIGHT_M = (0.45, 2.0)
    """Over flat ground, of returns that need a LiDAR point: below is the road."""
    POINT_M = 0.2
    """Least height of a LiDAR point that vouches for one."""

    def __init__(self, recipe: RadarCheck, car: CarInfo) -> None:
        assert car.radar is not None  # needs
        self._recipe = recipe
        self._radar, self._lidar = car.radar, car.lidar
        self._turns = Turns(car.camera_period_s)
        self._share = min(1.0, car.camera_period_s / recipe.memory_s)
        self._numbers: deque[int] = deque(maxlen=3)
        """Of returns, in the newest looks."""
        self._usual = 0.0
        self._kept: NDArray[Any] | None = None
        self._level = 0.0

    def watch(self, obs: Observation) -> tuple[Observation, Mapping[str, float]]:
        if self._turns.is_new(obs):
            is_odd = self._odd(obs)
            self._level = max(
                min(1.0, float(is_odd.sum()) / (2 * self._recipe.ghosts)),
                self._fallen(obs["radar"]),
            )
            self._kept = None
            if is_odd.any():
                self._kept = np.zeros_like(obs["radar"])
                left = obs["radar"][~is_odd]
                self._kept[: len(left)] = left
        cleaned = obs if self._kept is None else {**obs, "radar": self._kept}
        return cleaned, {"radar": self._level}

    def _odd(self, obs: Observation) -> NDArray[np.bool_]:
        """(slots,) whether a return is from nothing that can be there."""
        recipe, mount = self._recipe, self._radar.mount
        range_m, azimuth, altitude, apart = np.asarray(obs["radar"], float).T
        is_there = range_m > 0
        is_odd = np.zeros(len(range_m), bool)
        if recipe.fastest_mps and "speed" in obs:
            own = float(obs["speed"][0]) * np.cos(azimuth) * np.cos(altitude)
            is_odd |= is_there & (np.abs(apart + own) > recipe.fastest_mps)
        if recipe.agree_m and self._lidar is not None and "lidar" in obs:
            height = mount.z_m + range_m * np.sin(altitude)
            level = range_m * np.cos(altitude)
            is_asked = is_there & (range_m < recipe.agree_m)
            is_asked &= (height > self.HEIGHT_M[0]) & (height < self.HEIGHT_M[1])
            asked = np.flatnonzero(is_asked)
            places = np.stack(
                [
                    mount.x_m + level[asked] * np.cos(azimuth[asked] + mount.yaw_rad),
                    mount.y_m + level[asked] * np.sin(azimuth[asked] + mount.yaw_rad),
                ],
                axis=1,
            )
            is_odd[asked[~self._vouched(places, obs["lidar"])]] = True
        return is_odd

    def _vouched(self, places: Floats, scan: NDArray[Any]) -> NDArray[np.bool_]:
        """(N,) whether a LiDAR point that rises from the ground is near a place (N, 2)."""
        assert self._lidar is not None
        points = self._lidar.points(scan)
        is_ahead = (points[:, 2] > self.POINT_M) & (points[:, 0] > 0)
        is_ahead &= points[:, 0] < self._recipe.agree_m + self._radar.mount.x_m + 5.0
        points = points[is_ahead, :2]
        if not len(points) or not len(places):
            return np.zeros(len(places), bool)
        apart = np.hypot(*(places[:, None] - points[None]).transpose(2, 0, 1))
        return np.asarray(apart.min(axis=1) <= self._recipe.apart_m)

    def _fallen(self, returns: NDArray[Any]) -> float:
        """How far their number is below the usual: 0.5 at ``fall``, 1 at none."""
        fall = self._recipe.fall
        self._numbers.append(int((returns[:, 0] > 0).sum()))
        now = sum(self._numbers) / len(self._numbers)
        self._usual = self._usual or now
        if not fall or not self._usual:
            return 0.0
        left = now / self._usual
        has_fallen = left <= fall
        # A road that echoes less is not told for ever.
        self._usual += (self._share / 10 if has_fallen else self._share) * (now - self._usual)
        return 1 - 0.5 * left / fall if has_fallen else 0.5 * max(0.0, 1 - left) / (1 - fall)
