"""Withholds fixes that the car's own motion does not explain: one by one, and by their trend.

A small filter goes by wheels and compass and is corrected by the fixes. A fix too far from what
was expected is withheld at once; a slow drag never is, but it leaves the innovations on one side,
which their cumulated sums tell. While they do, no fix is believed.

What a drag has moved until then stays in the estimate; with the distance driven the filter grows
unsure again, and takes in later fixes wherever they are.

Source: gating by the normalised innovation squared as in the car's own filter; cumulated sums for
threats to GNSS: Egea-Roca, Seco-Granados, Lopez-Salcedo, Gyroscopy and Navigation 8 (2017). Their
numbers here are assumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simattack.checks import number
from simattack.geodesy import world_from_gnss
from simattack.guarding import Watching, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Floats, Observation


@register("defenses", "gnss_gate")
@dataclass(frozen=True)
class GnssGate:
    """Hold every fix against wheels and compass."""

    needs = ("gnss", "imu", "speed")
    family = Family.DETECTION

    false_rate: float = 1e-4
    """Share of good fixes that are withheld; 0 withholds none for being far off."""
    trend: float = 12.0
    """Sum at which a drag is told, in standard deviations; 0: it never is."""
    slack: float = 0.5
    """What every fix may be off without adding to the sum, in standard deviations."""
    gnss_std_m: float = 0.3
    """Expected error of one fix, each axis."""
    drift: float = 0.02
    """Expected error of wheels and compass, as a share of the way driven in a second."""
    lost_s: float = 1.0
    """So long without a fix is an alarm, too."""
    latency_s: float = 0.001

    def __post_init__(self) -> None:
        number("false_rate", self.false_rate, 0.0, 1.0)
        number("trend", self.trend)
        number("slack", self.slack)
        number("gnss_std_m", self.gnss_std_m, 1e-3)
        number("drift", self.drift, 0.0, 1.0)
        number("lost_s", self.lost_s)
        latency(self.latency_s)

    @property
    def gate(self) -> float:
        """Limit of the normalised innovation squared.

        A chi-squared number with two degrees of freedom exceeds it with ``false_rate``.
        """
        return -2 * math.log(self.false_rate) if self.false_rate > 0 else math.inf

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Watching:
        return Watching(_Gate(self, car).watch)


class _Gate:
    """One run."""

    FIRST_FIXES = 10
    """Taken in as they come."""

    def __init__(self, recipe: GnssGate, car: CarInfo) -> None:
        self._recipe = recipe
        self._rear_m = car.wheelbase_m / 2
        self._origin_deg: tuple[float, float] | None = None
        self._place = np.zeros(2)
        """From the first fix, along the axes of the world [m]."""
        self._var = recipe.gnss_std_m**2
        self._sums = np.zeros((2, 2))
        """Of innovations: axis, to either side."""
        self._fixes = 0
        self._time_s: float | None = None
        self._fixed_s = 0.0

    def watch(self, obs: Observation) -> tuple[Observation, Mapping[str, float]]:
        time_s = float(obs["clock"][0])
        dt_s = 0.0 if self._time_s is None else max(time_s - self._time_s, 0.0)
        self._time_s = time_s
        self._go_on(obs, dt_s)
        fix = obs["gnss"]
        if not np.isfinite(fix[:2]).all():
            return obs, {"gnss": float(time_s - self._fixed_s > self._recipe.lost_s)}
        self._fixed_s = time_s
        if self._origin_deg is None:
            self._origin_deg, self._place = (float(fix[0]), float(fix[1])), np.zeros(2)
        is_far = self._is_far(world_from_gnss(float(fix[0]), float(fix[1]), self._origin_deg))
        level = float(self._sums.max()) / (2 * self._recipe.trend) if self._recipe.trend else 0.0
        alarm = {"gnss": 1.0 if is_far else min(1.0, level)}
        if alarm["gnss"] < 0.5:
            return obs, alarm
        return {**obs, "gnss": np.full(3, np.inf)}, alarm

    def _go_on(self, obs: Observation, dt_s: float) -> None:
        speed, turn, compass = (
            float(obs[name][k]) for name, k in (("speed", 0), ("imu", 5), ("imu", 6))
        )
        # The rear axle rolls straight on; the middle of the car, where the antenna is, swings out.
        ahead, aside = speed * dt_s, turn * self._rear_m * dt_s
        yaw = compass - math.pi / 2
        self._place += [
            ahead * math.cos(yaw) - aside * math.sin(yaw),
            ahead * math.sin(yaw) + aside * math.cos(yaw),
        ]
        self._var += (self._recipe.drift * speed) ** 2 * dt_s

    def _is_far(self, fix_m: Floats) -> bool:
        """Take in a fix, or refuse it."""
        recipe = self._recipe
        miss = fix_m - self._place
        total = self._var + recipe.gnss_std_m**2
        self._fixes += 1
        if self._fixes > self.FIRST_FIXES:
            step = miss / math.sqrt(total)
            # One wild fix must not count as a trend.
            sides = np.stack([step, -step], axis=1).clip(-3, 3) - recipe.slack
            self._sums = (self._sums + sides).clip(0.0, 2 * recipe.trend)
            if miss @ miss / total > recipe.gate:
                return True
            if recipe.trend and self._sums.max() >= recipe.trend:
                return False  # withheld by the sum's own alarm
        gain = self._var / total
        self._place += gain * miss
        self._var *= 1 - gain
        return False
