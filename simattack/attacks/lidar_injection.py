"""A laser that answers the LiDAR's pulses, so that it sees a thing where there is none.

Who says so: Cao et al., Adversarial Sensor Attack on LiDAR-based Perception in Autonomous Driving
(CCS 2019); Sun et al., Towards Robust LiDAR-based Perception in Autonomous Driving (USENIX
Security 2020); Jin et al., PLA-LiDAR (IEEE S&P 2023); Sato et al., LiDAR Spoofing Meets the
New-Gen (NDSS 2024).

What is done: of the sensor's own firings, those within the hardware's sector around the spoofer's
direction that would meet the outline of a thing (silhouette.py) tell the thing's range. At most as
many as the hardware has points, spread evenly over the outline. Each works by chance, and only if
the spoofer's pulse is stronger than the echo that it replaces (laser.py). Ranges are off by the
spoofer's timing: by one error for a whole scan, and by another for each point. A pulse that comes
before the sensor listens, or when it no longer does, leaves the echo as it is.

Simplified: the thing faces the car and has no depth; firings that are not spoofed see through it;
the sensor tells the strongest light only; the beam follows the sensor. What each hardware can do
is assumed where ``HARDWARE`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.checks import choice, number
from simattack.emplacement import Beamed, Sight
from simattack.geometry import compose, to_body, to_world
from simattack.laser import lidar_of, turn_to
from simattack.onsensor import Moment, OnSensor, at_most
from simattack.registry import register
from simattack.silhouette import OUTLINES, ranges_m
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import CarInfo, Floats, Lidar, World


@dataclass(frozen=True)
class Hardware:
    """What a spoofer can place in one scan."""

    points: int
    sector_deg: float
    channels: int


HARDWARE: Mapping[str, Hardware] = {
    "early": Hardware(points=60, sector_deg=8.0, channels=16),
    "delayed": Hardware(points=200, sector_deg=10.0, channels=16),
    "patterned": Hardware(points=4200, sector_deg=30.0, channels=16),
    "modern": Hardware(points=6000, sector_deg=60.0, channels=16),
}
"""After Cao 2019 (60 points), Sun 2020 (200), Jin 2023 (4200) and Sato 2024 (6000 and more). The
200 and 4200 points are as others quote them; the rest, sectors and channels are assumed."""


@register("attacks", "lidar_injection")
@dataclass(frozen=True, kw_only=True)
class LidarInjection(Beamed):
    """A spoofing laser makes the LiDAR see a car, a pedestrian or a wall ahead.

    Raises:
        BudgetError: at ``begin``: more points, a wider sector or more power than there is.
    """

    needs = ("lidar",)

    MAX_W = 75.0
    """Peak of a pulsed laser diode of 905 nm; assumed."""

    outline: str = "car"
    """``car``, from behind; ``pedestrian``; ``wall``, 4 m wide and 2 m high."""
    ahead_m: float = 10.0
    """Of the thing, from the car's front bumper when the attack goes on."""
    right_m: float = 0.0
    is_standing: bool = True
    """The thing stands on the road; false: it moves along with the car."""
    hardware: str = "modern"
    """``early``, ``delayed``, ``patterned`` or ``modern``: see ``HARDWARE``."""
    points: int | None = None
    """In a scan; None: as many as the hardware can."""
    sector_deg: float | None = None
    """Full width; None: as wide as the hardware can."""
    success: float = 0.985
    """Chance of each firing. Sato et al. have 98.5 % for a VLP-16 (as quoted by others)."""
    point_std_m: float = 0.10
    """Timing error of a point; Sato et al. have 10 cm (as quoted by others)."""
    scan_std_m: float = 0.35
    """Timing error that all points of a scan share; Sato et al. have 35 cm (as quoted by others).
    """
    intensity: float | None = None
    """Of the points told, 0..1; None: as CARLA has it of their range, exp(-0.004 r)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("outline", self.outline, tuple(OUTLINES))
        choice("hardware", self.hardware, tuple(HARDWARE))
        number("ahead_m", self.ahead_m, 0.5, 200.0)
        number("right_m", self.right_m, -50.0, 50.0)
        if self.points is not None:
            number("points", self.points)
            if self.points != int(self.points):
                raise ValueError(f"points must be a whole number, got {self.points!r}")
        if self.sector_deg is not None:
            number("sector_deg", self.sector_deg, 0.0, 360.0)
        number("success", self.success, 0.0, 1.0)
        number("point_std_m", self.point_std_m, 0.0, 10.0)
        number("scan_std_m", self.scan_std_m, 0.0, 10.0)
        if self.intensity is not None:
            number("intensity", self.intensity, 0.0, 1.0)

    @property
    def spoofer(self) -> Hardware:
        """What is used of the hardware."""
        most = HARDWARE[self.hardware]
        return Hardware(
            most.points if self.points is None else int(self.points),
            most.sector_deg if self.sector_deg is None else self.sector_deg,
            most.channels,
        )

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR,
            Knowledge.GREY,
            Frequency.CONTINUOUS,
            Target.APPEAR,
            Scope.UNIVERSAL,
            countermeasures=("lidar_density",),
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest (3,) power [W], ahead and right [m]."""
        return np.array([0.0, 0.5, -5.0]), np.array([self.MAX_W, 60.0, 5.0])

    @property
    def idle(self) -> Floats:
        """(3,) no power; a place costs nothing."""
        return np.array([0.0, np.nan, np.nan])

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        used, most = self.spoofer, HARDWARE[self.hardware]
        at_most("points", used.points, most.points, f"of hardware {self.hardware!r}")
        at_most("sector_deg", used.sector_deg, most.sector_deg, f"of hardware {self.hardware!r}")
        at_most("power_w", self.power_w, self.MAX_W, "of a laser diode")
        acting = Injecting(self, world, rng)
        return OnSensor(self, world, "lidar", acting.inject, acting.set)

    def aimed_m(
        self, lidar: Lidar, azimuth_rad: float, ahead_m: float | None = None, right_m: float = 0.0
    ) -> Floats:
        """(channels, columns) ranges that the spoofer would have the firings tell; 0 elsewhere.

        Args:
            lidar: the sensor.
            azimuth_rad: of the spoofer, from the sensor.
            ahead_m: of the thing, from the middle of the car; None: as the recipe says.
            right_m: of the thing.
        """
        if ahead_m is None:
            ahead_m, right_m = self.ahead_m + CarInfo().length_m / 2, self.right_m
        used = self.spoofer
        range_m = ranges_m(lidar, self.outline, ahead_m, right_m)
        is_out = np.abs(turn_to(lidar, azimuth_rad)) > np.deg2rad(used.sector_deg) / 2
        range_m[:, is_out] = 0.0
        rows = np.flatnonzero(range_m.any(1))
        spare = max(len(rows) - used.channels, 0)
        range_m[np.r_[rows[: spare // 2], rows[len(rows) - (spare - spare // 2) :]]] = 0.0
        met = np.flatnonzero(range_m)
        if len(met) > used.points:
            spread = (np.arange(used.points) + 0.5) * len(met) / max(used.points, 1)
            dropped = np.setdiff1d(met, met[spread.astype(int)])
            range_m.flat[dropped] = 0.0
        return range_m


class Injecting:
    """One episode of it."""

    def __init__(self, recipe: LidarInjection, world: World, rng: np.random.Generator) -> None:
        self._recipe = recipe
        self._rng = rng
        self._stand_m = recipe.emplacement.stand_m(world, recipe.surface)
        self._anchor_m: Floats | None = None
        """(3,) where the thing stands in the world."""
        self._went_on_s: float | None = None

    def set(self, parameters: Floats) -> None:
        """Another power [W], and another place of the thing: ahead, right [m] (3,).

        Asked for the same place again, what stands stays where it is.
        """
        power_w, ahead_m, right_m = (float(value) for value in parameters)
        if (ahead_m, right_m) != (self._recipe.ahead_m, self._recipe.right_m):
            self._anchor_m = None
        self._recipe = replace(self._recipe, power_w=power_w, ahead_m=ahead_m, right_m=right_m)

    def inject(self, scan: NDArray[Any], moment: Moment) -> NDArray[Any] | None:
        """Firings tell the thing's range."""
        r = self._recipe
        lidar = lidar_of(scan)
        frame = moment.frame
        ahead_m, right_m = self._thing_m(moment)
        # Drawn for every scan, so that what stands in the way moves no other scan's draw.
        shared_m = r.scan_std_m * float(self._rng.standard_normal())
        own = self._rng.standard_normal(scan.shape[:2])
        is_lucky = self._rng.random(scan.shape[:2]) < r.success
        sight = r.emplacement.seen(compose(frame.ego.pose, lidar.mount), frame, self._stand_m)
        if sight is None:
            return None
        range_m = r.aimed_m(lidar, sight.azimuth_rad, ahead_m, right_m)
        late_m = range_m + shared_m + np.hypot(r.point_std_m, lidar.range_std_m) * own
        is_told = (range_m > 0) & is_lucky & self._is_stronger(scan, lidar, sight)
        is_told &= (late_m > 0) & (late_m <= lidar.range_m)
        if not is_told.any():
            return None
        told_m = late_m[is_told]
        bright = np.exp(-0.004 * told_m) if r.intensity is None else r.intensity
        out = scan.copy()
        out[is_told] = np.stack(np.broadcast_arrays(told_m, bright), 1)
        return out

    def _is_stronger(self, scan: NDArray[Any], lidar: Lidar, sight: Sight) -> NDArray[np.bool_]:
        power_w = self._recipe.collected_w(sight.distance_m)
        return self._recipe.receiver.beats(power_w, scan[..., 0], lidar.range_m)

    def _thing_m(self, moment: Moment) -> tuple[float, float]:
        """Ahead of the middle of the car, and right."""
        r, pose = self._recipe, moment.frame.ego.pose
        ahead_m = r.ahead_m + CarInfo().length_m / 2
        if not r.is_standing:
            return ahead_m, r.right_m
        if self._anchor_m is None or moment.went_on_s != self._went_on_s:
            self._anchor_m = to_world(np.array([[ahead_m, r.right_m, 0.0]]), pose)[0]
        self._went_on_s = moment.went_on_s
        here_m = to_body(self._anchor_m[None], pose)[0]
        return float(here_m[0]), float(here_m[1])
