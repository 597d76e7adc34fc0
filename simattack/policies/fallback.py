"""What an alarm does to the driving: which sensors are believed, how fast to go, when to stop.

A false alarm costs comfort and time; that is the price of a defense, and part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simattack.checks import choice, number, whole
from simattack.types import Observation, Verdict

AHEAD = ("camera", "lidar", "radar")
"""Those that see what is ahead."""
ALARM = 0.5
"""From which on an alarm counts."""


@dataclass(frozen=True)
class Fallback:
    """When a sensor is no longer believed, and what is done then.

    A camera that is not believed makes no obstacle by itself, and the car goes slower; its stop
    signs count on. A LiDAR or a radar is left out of the fusion, a GNSS, an inertial unit or the
    wheels out of the localisation. The car stops where nothing that sees ahead is believed, where
    it has been without fixes for too long, where it has neither fixes nor a whole odometry, or
    where it was told not to go on without a sensor.
    """

    looks: int = 3
    """So many verdicts running with an alarm of 0.5 or more; 0: alarms change nothing."""
    clear_s: float = 2.0
    """How long the alarm has to be gone for the sensor to be believed again."""
    slow_mps: float = 5.0
    """Speed at which a car without its camera goes, at most."""
    stop_mps2: float = 2.0
    """Deceleration of the stop."""
    blind_s: float = 20.0
    """How long the car goes on without believing its fixes."""
    stop_without: tuple[str, ...] = ()
    """Sensors out of ``AHEAD`` in doubt of which alone the car stops: safe from what only they see,
    and easily stopped by whoever disturbs them."""

    def __post_init__(self) -> None:
        whole("looks", self.looks)
        number("clear_s", self.clear_s)
        number("slow_mps", self.slow_mps, 0.1)
        number("stop_mps2", self.stop_mps2, 0.1, 8.0)
        number("blind_s", self.blind_s)
        # A scenario file gives a list.
        object.__setattr__(self, "stop_without", tuple(self.stop_without))
        for sensor in self.stop_without:
            choice("a sensor of stop_without", sensor, AHEAD)


@dataclass(frozen=True)
class Trust:
    """What is believed just now."""

    doubted: frozenset[str] = frozenset()
    """Sensors that are not believed."""
    limit_mps: float = float("inf")
    is_stop: bool = False

    def counts(self, support: Sequence[str]) -> bool:
        """Whether a thing that these sensors vouch for is taken to be there.

        While nothing that sees ahead is believed, and the car stops, everything is.
        """
        return self.is_stop or any(sensor not in self.doubted for sensor in support)


class Doubts:
    """One run of it.

    Args:
        rules: the recipe.
        sensors: of the car.
    """

    def __init__(self, rules: Fallback, sensors: Sequence[str]) -> None:
        self._rules = rules
        self._sensors = tuple(sensors)
        self._verdict: Verdict | None = None
        self._looks = dict.fromkeys(self._sensors, 0)
        self._alarmed_s: dict[str, float] = {}
        """When a sensor that is not believed last had an alarm."""
        self._unfixed_s: float | None = None
        """Since when the fixes are not believed."""

    def update(self, verdict: Verdict, time_s: float) -> Trust:
        """One tick; a verdict counts as a look once, when it is new."""
        if self._rules.looks == 0:
            return Trust()
        is_new = verdict is not self._verdict
        self._verdict = verdict
        for sensor in self._sensors:
            is_alarm = verdict.alarm.get(sensor, 0.0) >= ALARM
            if is_new:
                self._looks[sensor] = self._looks[sensor] + 1 if is_alarm else 0
            if is_alarm and (sensor in self._alarmed_s or self._looks[sensor] >= self._rules.looks):
                self._alarmed_s[sensor] = time_s
        # Ticks are summed in floating point: half a millisecond must not cost a tick.
        self._alarmed_s = {
            sensor: alarmed_s
            for sensor, alarmed_s in self._alarmed_s.items()
            if time_s - alarmed_s < self._rules.clear_s - 5e-4 or alarmed_s == time_s
        }
        return self._trust(frozenset(self._alarmed_s), time_s)

    def _trust(self, doubted: frozenset[str], time_s: float) -> Trust:
        if "gnss" not in doubted:
            self._unfixed_s = None
        elif self._unfixed_s is None:
            self._unfixed_s = time_s
        unfixed_s = 0.0 if self._unfixed_s is None else time_s - self._unfixed_s
        ahead = [sensor for sensor in AHEAD if sensor in self._sensors]
        is_stop = bool(ahead) and doubted.issuperset(ahead)
        is_stop |= "gnss" in doubted and bool(doubted & {"imu", "speed"})
        is_stop |= unfixed_s > self._rules.blind_s
        is_stop |= not doubted.isdisjoint(self._rules.stop_without)
        limit_mps = self._rules.slow_mps if "camera" in doubted else float("inf")
        return Trust(doubted, limit_mps, is_stop)


def believed(obs: Observation, trust: Trust) -> Observation:
    """An observation without what the localisation must not believe."""
    left_out = trust.doubted - {*AHEAD}
    return {name: value for name, value in obs.items() if name not in left_out}
