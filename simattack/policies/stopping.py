"""Lines to stop at: a stop sign's once, for a while; a closed one's until it opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HARDEST_MPS2 = 8.0
"""The hardest braking planned for; about what tyres give on a dry road."""


@dataclass(frozen=True)
class StopRules:
    """How to stop; see ``Modular`` for the meaning of the numbers."""

    aim_m: float
    braking_mps2: float
    dwell_s: float


@dataclass(frozen=True)
class Command:
    """What the rule wants now: at most this acceleration, or to stand still."""

    limit_mps2: float = float("inf")
    is_hold: bool = False


class Approach:
    """One run of coming to a stand before a line."""

    def __init__(self, rules: StopRules) -> None:
        self._rules = rules
        self._is_braking = False

    def end(self) -> None:
        """There is no line any more."""
        self._is_braking = False

    def command(self, gap_m: float, speed_mps: float) -> Command:
        """One tick, with the line so far before the front bumper."""
        comfort = self._rules.braking_mps2
        left_m = gap_m - self._rules.aim_m
        if left_m < 0.1 or (speed_mps < 0.5 and left_m < 0.4):
            if speed_mps < 1.0:
                return Command(is_hold=True)
            needed = HARDEST_MPS2
        else:
            needed = speed_mps**2 / (2 * left_m)
        hopeless = speed_mps**2 / (2 * max(gap_m, 0.01)) > HARDEST_MPS2
        if hopeless and not self._is_braking:
            return Command()  # seen too late to stop before the line at all
        if needed > 0.9 * comfort:
            self._is_braking = True
        if needed > 1.2 * comfort:
            return Command(-min(needed, HARDEST_MPS2))
        wished = (2 * comfort * max(left_m, 0.0)) ** 0.5
        feed = -needed if speed_mps > 0.9 * wished else 0.0
        return Command(feed + 1.5 * (wished - speed_mps))


class StopSigns:
    """One run of the rule. Lines are told by their arc length on the route [m]."""

    WINDOW_M = (-0.5, 3.0)
    """Front bumper to line: where standing still counts as having stopped for it."""
    SAME_M = 12.0
    """Lines nearer than this along the route are one and the same."""
    STANDING_MPS = 0.05

    def __init__(self, rules: StopRules) -> None:
        self._rules = rules
        self._done_s_m: list[float] = []
        self._waiting_s_m: float | None = None
        self._since_s: float | None = None
        self._approach = Approach(rules)

    def update(
        self, time_s: float, bumper_s_m: float, speed_mps: float, lines_s_m: Sequence[float]
    ) -> Command:
        """One tick.

        Args:
            bumper_s_m: the front bumper's place.
            lines_s_m: of all confirmed signs, in any order.
        """
        if self._waiting_s_m is not None:
            return self._wait(time_s, self._waiting_s_m, speed_mps)
        gaps = []
        for line in lines_s_m:
            if any(abs(line - done) < self.SAME_M for done in self._done_s_m):
                continue
            if line - bumper_s_m < self.WINDOW_M[0]:
                self._done_s_m.append(line)  # passed: nothing can be done about it any more
            else:
                gaps.append(line - bumper_s_m)
        if not gaps:
            self._approach.end()
            return Command()
        gap = min(gaps)
        if speed_mps < self.STANDING_MPS and gap <= self.WINDOW_M[1]:
            self._waiting_s_m, self._since_s = bumper_s_m + gap, time_s
            self._approach.end()
            return Command(is_hold=True)
        return self._approach.command(gap, speed_mps)

    def _wait(self, time_s: float, line_s_m: float, speed_mps: float) -> Command:
        if self._since_s is None or speed_mps >= 2 * self.STANDING_MPS:
            self._since_s = time_s
        # Ticks are summed in floating point: half a millisecond must not cost a tick.
        if time_s - self._since_s < self._rules.dwell_s - 5e-4:
            return Command(is_hold=True)
        self._done_s_m.append(line_s_m)
        self._waiting_s_m = None
        return Command()


class ClosedLines:
    """One run of standing before lines that are closed, a red signal's, until they open."""

    def __init__(self, rules: StopRules) -> None:
        self._approach = Approach(rules)

    def update(self, bumper_s_m: float, speed_mps: float, lines_s_m: Sequence[float]) -> Command:
        """One tick; arguments as for ``StopSigns.update``, the lines those closed now."""
        first, last = StopSigns.WINDOW_M
        gaps = [line - bumper_s_m for line in lines_s_m if line - bumper_s_m >= first]
        if not gaps:
            self._approach.end()
            return Command()
        if speed_mps < StopSigns.STANDING_MPS and min(gaps) <= last:
            return Command(is_hold=True)
        return self._approach.command(min(gaps), speed_mps)
