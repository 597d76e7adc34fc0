"""Holds the inertial unit against what moves with it: accelerometer and wheels, gyroscope and
compass.

Over a short window the mean acceleration must be the change of speed, but for a slope's share of
gravity, and the mean turning the compass's change. Sound that shakes one of the sensors breaks
that; so does a wheel that lies. Which of the two it is cannot be told: the alarm is the inertial
unit's.

Source: checks of this kind are named as an answer by those who shake sensors (Trippel et al.,
WALNUT, EuroS&P 2017; assumed); the rule and its limits are ours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simattack.checks import number
from simattack.guarding import Watching, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Observation


@register("defenses", "imu_check")
@dataclass(frozen=True)
class ImuCheck:
    """Compare means over ``window_s``."""

    needs = ("imu", "speed")
    family = Family.DETECTION

    window_s: float = 0.25
    """0 compares nothing."""
    push_mps2: float = 1.2
    """Of acceleration that the wheels do not show: an alarm of 0.5. A slope of 10 % makes 1."""
    turn_radps: float = 0.05
    """Of turning that the compass does not show: an alarm of 0.5."""
    latency_s: float = 0.001

    def __post_init__(self) -> None:
        number("window_s", self.window_s, 0.0, 10.0)
        number("push_mps2", self.push_mps2, 1e-3)
        number("turn_radps", self.turn_radps, 1e-4)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Watching:
        return Watching(_Check(self).watch)


class _Check:
    """One run."""

    HELD_S = 1.0
    """An alarm stays for so long: an oscillation passes through zero."""

    def __init__(self, recipe: ImuCheck) -> None:
        self._recipe = recipe
        self._rows: deque[tuple[float, float, float, float, float]] = deque()
        """Time, acceleration, speed, turning and compass."""
        self._alarms: deque[tuple[float, float]] = deque()

    def watch(self, obs: Observation) -> tuple[Observation, Mapping[str, float]]:
        recipe, time_s, imu = self._recipe, float(obs["clock"][0]), obs["imu"]
        if recipe.window_s == 0:
            return obs, {}
        row = (time_s, float(imu[0]), float(obs["speed"][0]), float(imu[5]), float(imu[6]))
        self._rows.append(row)
        while time_s - self._rows[0][0] > recipe.window_s + 1e-6:
            self._rows.popleft()
        rows = np.array(self._rows)
        span_s = time_s - rows[0, 0]
        level = 0.0
        if span_s > recipe.window_s - 0.06 and len(rows) > 2:
            means = rows[1:].mean(axis=0)
            gained = (rows[-1, 2] - rows[0, 2]) / span_s
            turned = (rows[-1, 4] - rows[0, 4] + np.pi) % (2 * np.pi) - np.pi
            push_off = abs(means[1] - gained) / recipe.push_mps2
            turn_off = abs(means[3] - turned / span_s) / recipe.turn_radps
            level = min(1.0, max(push_off, turn_off) / 2)
        self._alarms.append((time_s, level))
        while time_s - self._alarms[0][0] > self.HELD_S:
            self._alarms.popleft()
        return obs, {"imu": max(level for _, level in self._alarms)}
