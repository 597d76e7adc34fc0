"""When an attack is on: from an event, after a delay, for so long, once or again and again.

For attacks on sensors, which take it as an option ``timing``; in YAML:

    timing: {event: near, within_m: 30, duration_s: 2, every_s: 5}
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simattack.errors import ConfigError
from simattack.reading import option
from simattack.types import ActorState, Floats, Frame

EVENTS = ("start", "near", "actor", "braking", "collision")
BRAKING_MPS2 = 2.0
"""A deceleration that other road users see."""


@dataclass(frozen=True)
class Timing:
    """A trigger and a duty cycle; the default is: always.

    Times are counted from the event, which happens once: the first tick at which it is true.

    Raises:
        ValueError: a value makes no sense.
    """

    event: str = "start"
    """``start`` of the episode; ``near``: the car's middle is within ``within_m`` of the attack's
    surface, the site's sign if it names none; ``actor``: it is within ``within_m`` of any other
    actor's middle; ``braking``: it decelerates by 2 m/s2; ``collision``: it touches something."""
    within_m: float = 30.0
    start_s: float = 0.0
    """Delay after the event."""
    duration_s: float | None = None
    """None: to the end."""
    every_s: float | None = None
    """Starts again after so long; None: once."""

    def __post_init__(self) -> None:
        if self.event not in EVENTS:
            raise ValueError(f"event must be one of {', '.join(EVENTS)}, got {self.event!r}")
        for name in ("within_m", "start_s", "duration_s", "every_s"):
            value = getattr(self, name)
            if value is None and name in ("duration_s", "every_s"):
                continue
            if not 0 <= value < math.inf:
                raise ValueError(f"timing.{name} must be a number, 0 or more, got {value!r}")
        if self.every_s is not None and not (
            self.duration_s is not None and self.duration_s <= self.every_s and self.every_s > 0
        ):
            raise ValueError(
                "timing.every_s needs a duration_s that is no longer, got "
                f"duration_s {self.duration_s} and every_s {self.every_s}"
            )

    @classmethod
    def of(cls, value: object) -> Timing:
        """What an option holds: a Timing, or the mapping that a scenario file gives.

        Raises:
            ValueError: it is neither, or names something unknown.
        """
        return option(value, cls, "timing")


class Timer:
    """One episode's clock of a timing.

    Args:
        place: world frame (3,) [m], from which ``near`` is measured.

    Raises:
        ConfigError: ``near`` without a place.
    """

    def __init__(self, timing: Timing, place: Floats | None = None) -> None:
        if timing.event == "near" and place is None:
            raise ConfigError("timing 'near' needs a surface to be near to")
        self._timing, self._place = timing, place
        self._since_s: float | None = None

    def elapsed_s(self, frame: Frame) -> float | None:
        """Time since the attack last went on, None while it is off. Ask at every tick, in order."""
        t = self._timing
        if self._since_s is None:
            if not self._happens(frame):
                return None
            self._since_s = frame.time_s
        # Ticks are multiples of a step that floats do not hold exactly.
        on_s = frame.time_s - self._since_s - t.start_s + 1e-9
        if on_s < 0:
            return None
        if t.every_s is not None:
            on_s %= t.every_s
        if t.duration_s is not None and on_s >= t.duration_s:
            return None
        return on_s

    def is_on(self, frame: Frame) -> bool:
        """Whether the attack acts at this tick. Ask at every tick, in order."""
        return self.elapsed_s(frame) is not None

    def _happens(self, frame: Frame) -> bool:
        t = self._timing
        if t.event == "start":
            return True
        if t.event == "near":
            assert self._place is not None  # excluded in __init__
            return _distance_m(frame.ego, self._place) <= t.within_m
        if t.event == "actor":
            return any(_distance_m(frame.ego, _place(o)) <= t.within_m for o in frame.others)
        if t.event == "braking":
            yaw, (x, y, _) = frame.ego.pose.yaw_rad, frame.ego.acceleration_mps2
            return math.cos(yaw) * x + math.sin(yaw) * y <= -BRAKING_MPS2
        return bool(frame.collisions)


def _place(actor: ActorState) -> Floats:
    return np.array([actor.pose.x_m, actor.pose.y_m, actor.pose.z_m])


def _distance_m(ego: ActorState, place: Floats) -> float:
    """Over the ground."""
    return math.hypot(ego.pose.x_m - place[0], ego.pose.y_m - place[1])
