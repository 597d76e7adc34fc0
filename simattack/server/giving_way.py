"""Who may drive on at stop and yield signs: what a vehicle in a sign's box is shown.

As CARLA's signs do, they show red to whoever must wait, and green to whoever may go, without a
traffic light. At a stop sign everybody waits two seconds; then, as at a yield sign from the start,
until the junction ahead is free. CARLA sends all who wait at once; here they go one by one, in the
order in which they came.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from simattack.server.actors import Actor
from simattack.server.road_signals import Signal
from simattack.server.signals import GREEN, RED

STOP_S = 2.0
START_S = 5.0
"""Who may go and does not holds up the others for so long."""
JUNCTION_M = 35.0
"""From a sign to whatever else is in, or waits at, the same junction."""


@dataclass
class _Turn:
    """One vehicle in a sign's box."""

    sign: Signal
    since_s: float
    goes_s: float | None = None
    """When it was let go."""


class GivingWay:
    """The vehicles that are at signs."""

    def __init__(self) -> None:
        self._turns: dict[int, _Turn] = {}

    def leave(self, number: int) -> None:
        """A vehicle is in no sign's box, or gone."""
        self._turns.pop(number, None)

    def shows(self, car: Actor, sign: Signal, now_s: float, others: Iterable[Actor]) -> int:
        """What a vehicle in the box of ``sign`` sees, TrafficLightState."""
        turn = self._turns.get(car.id)
        if turn is None or turn.sign is not sign:
            turn = self._turns[car.id] = _Turn(sign, now_s)
        if turn.goes_s is not None:
            return GREEN
        # Told apart here: of a hundred actors hardly one is in a junction.
        inside = [other for other in others if other.is_crossing and other is not car]
        is_busy = any(_crosses(other, sign) for other in inside)
        if sign.kind == "yield":
            return RED if is_busy else GREEN
        # Counted ticks add up to a little less than whole seconds.
        if is_busy or now_s - turn.since_s < STOP_S - 1e-6 or not self._is_next(car.id, now_s):
            return RED
        turn.goes_s = now_s
        return GREEN

    def _is_next(self, number: int, now_s: float) -> bool:
        own = self._turns[number]
        for other, turn in self._turns.items():
            if other == number or _apart_m(turn.sign, own.sign) > JUNCTION_M:
                continue
            if turn.goes_s is not None:
                if now_s - turn.goes_s < START_S:
                    return False
            elif turn.sign.kind == "stop" and (turn.since_s, other) < (own.since_s, number):
                return False
        return True


def _crosses(other: Actor, sign: Signal) -> bool:
    """Whether somebody in a junction is in the one that a sign stands before."""
    x, y = other.pose.x_m - sign.pose.x_m, other.pose.y_m - sign.pose.y_m
    ahead = x * math.cos(sign.pose.yaw_rad) + y * math.sin(sign.pose.yaw_rad)
    return 0.0 < ahead and math.hypot(x, y) < JUNCTION_M


def _apart_m(one: Signal, other: Signal) -> float:
    return math.hypot(one.pose.x_m - other.pose.x_m, one.pose.y_m - other.pose.y_m)
