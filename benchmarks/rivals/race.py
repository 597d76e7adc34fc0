"""Sides that take turns until each has hidden the signs, given up, or run out of time.

What counts is a side's own work: seconds of the process's CPU, on one thread, and beside it
seconds of the clock. Judging is not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from simattack.types import Image

GOAL = 0.2
"""Held-out recall to arrive at."""
TURNS = {"signs": (1.0, 0.25), "fixed": (0.25, 0.05)}
"""By placement, how long a turn lasts: seconds of CPU at least, and the part of the time that a
side has had. Arrivals are known so exactly; looking at signs costs more than looking at a few."""

Clocks = Callable[[], tuple[float, float]]


class Side(Protocol):
    """An attack that goes on step by step."""

    name: str

    def step(self) -> bool:
        """Do one; False if it has come to its end."""
        ...

    def picture(self) -> Image:
        """The patch as it is now."""
        ...


@dataclass
class Course:
    """How one side fared."""

    side: str
    cpu_s: float = 0.0
    wall_s: float = 0.0
    steps: int = 0
    has_arrived: bool = False
    trace: list[list[float]] = field(default_factory=list)
    """At every look: CPU s, steps, held-out recall."""

    @property
    def best(self) -> float:
        """The least recall that it came to."""
        return min((look[2] for look in self.trace), default=1.0)


def clocks() -> tuple[float, float]:
    """CPU of the process, and the clock [s]."""
    return time.process_time(), time.perf_counter()


def race(
    sides: Sequence[Side],
    judge: Callable[[Image], float],
    limit_s: float,
    turn: tuple[float, float],
    told: Callable[[Course], Any] = lambda course: None,
    now: Clocks = clocks,
) -> list[Course]:
    """A course a side, in their order.

    Args:
        sides: that take turns.
        judge: the held-out recall of a picture.
        limit_s: of CPU, for each side.
        turn: as in ``TURNS``.
        told: of every look.
        now: the two clocks.
    """
    courses = [Course(side.name) for side in sides]
    racing = list(zip(sides, courses, strict=True))
    while racing:
        for side, course in list(racing):
            turn_s = max(turn[0], turn[1] * course.cpu_s)
            goes_on, spent_s = True, 0.0
            while goes_on and spent_s < turn_s and course.cpu_s < limit_s:
                cpu, wall = now()
                goes_on = side.step()
                after, later = now()
                spent_s += after - cpu
                course.cpu_s += after - cpu
                course.wall_s += later - wall
                course.steps += goes_on
            seen = judge(side.picture())
            course.trace.append([round(course.cpu_s, 2), course.steps, round(seen, 4)])
            course.has_arrived = seen <= GOAL
            told(course)
            if course.has_arrived or not goes_on or course.cpu_s >= limit_s:
                racing.remove((side, course))
    return courses


def ratio(ours: Course, other: Course) -> tuple[float, bool]:
    """How much longer the other took, and whether that is only a lower bound.

    NaN where our side has not arrived.
    """
    if not ours.has_arrived:
        return float("nan"), True
    return other.cpu_s / ours.cpu_s, not other.has_arrived
