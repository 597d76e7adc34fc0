"""The rules of traffic lights, yield signs and speed limits; pure of any picture.

Which light is whose follows from geometry. A navigation map tells where the route crosses the stop
line of a junction with lights, never what they show; the light that speaks for that line stands
from a little before it to the far side of the junction, not far from the way the lane points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simattack.policies.localisation import into_frame
from simattack.policies.path import Path
from simattack.policies.stopping import HARDEST_MPS2
from simattack.types import Floats

CRAWL_MPS = 2.0


@dataclass(frozen=True)
class SignalRules:
    """How lights, yield signs and limits are answered; see ``Modular`` for the numbers."""

    braking_mps2: float = 2.0
    aim_m: float = 1.5
    """Where the front bumper should come to rest, before a line."""
    yellow_mps2: float = 3.0
    """Yellow is stopped for if this deceleration is enough."""
    ahead_m: tuple[float, float] = (-6.0, 45.0)
    """A light of a line stands so far beyond it, least and most."""
    aside_m: float = 15.0
    """And at most so far to either side of the way the lane points there: on CARLA's Town10HD up to
    14 m, at the far corner of the junction."""
    keep_s: float = 3.0
    """What a light showed last is held for so long when it is out of sight."""
    look_m: float = 40.0
    """A line with lights that nothing is known of slows the car from so far on."""
    yield_reach_m: tuple[float, float, float] = (-3.0, 22.0, 30.0)
    """What crosses matters from so far before a yield line to so far beyond, and so far aside."""
    yield_s: float = 4.0
    """And if it will be before the car within this time."""


def word_of(line_s_m: float, path: Path, places: Floats, words: Sequence[str],
            rules: SignalRules) -> str | None:  # fmt: skip
    """What the lights of a line show: red before yellow before green; None: none is known.

    Args:
        line_s_m: arc length of the stop line.
        places: (N, 2) world places of lights.
        words: what each shows, of ``red``, ``yellow`` and ``green``; others do not speak.
    """
    pose = np.array([*path.point(line_s_m), path.heading_rad(line_s_m - 1.0)])
    if not len(places):
        return None
    local = into_frame(places, pose)
    first, last = rules.ahead_m
    near = (local[:, 0] > first) & (local[:, 0] < last) & (np.abs(local[:, 1]) < rules.aside_m)
    said = {word for word, is_near in zip(words, near, strict=True) if is_near}
    return next((word for word in ("red", "yellow", "green") if word in said), None)


class Lights:
    """One run of the rule of traffic lights. Lines are arc lengths on the route [m]."""

    PASSED_M = 0.5
    """The front bumper so far over a line has passed it."""
    CALM_M = 3.0
    """A stand so far before the line is a stand at it."""

    def __init__(self, path: Path, lines_s_m: Floats, rules: SignalRules) -> None:
        self._path = path
        self._lines_s_m = np.sort(np.asarray(lines_s_m, float))
        self._rules = rules
        self._shown: dict[float, tuple[str, float]] = {}
        """Of each line what was seen last, and when."""
        self._running: set[float] = set()
        """Lines whose yellow came too late to stop for."""

    def see(self, time_s: float, places: Floats, words: Sequence[str]) -> None:
        """Take in one picture's lights: world places (N, 2) and words."""
        for line in self._lines_s_m:
            word = word_of(float(line), self._path, places, words, self._rules)
            if word is not None:
                self._shown[float(line)] = (word, time_s)

    def closed(self, time_s: float, bumper_s_m: float, speed_mps: float) -> list[float]:
        """Lines that must not be passed now."""
        found = []
        for line in self._ahead(bumper_s_m):
            word = self.shown(line, time_s)
            gap = max(line - bumper_s_m, 0.01)
            needed = speed_mps**2 / (2 * gap)
            if word == "yellow" and (line in self._running or needed > self._rules.yellow_mps2):
                # What was begun is finished, unless it turns red with room to stop.
                self._running.add(line)
            elif word in ("red", "yellow"):
                if line in self._running and needed > HARDEST_MPS2 / 2:
                    continue
                found.append(line)
        return found

    def limit_mps(self, time_s: float, bumper_s_m: float) -> float:
        """The speed at which a line that says nothing yet may be neared."""
        for line in self._ahead(bumper_s_m):
            gap = line - bumper_s_m
            if gap > self._rules.look_m:
                break
            if self.shown(line, time_s) is None:
                left = max(gap - self._rules.aim_m, 0.0)
                return float(max(np.sqrt(2 * self._rules.braking_mps2 * left), CRAWL_MPS))
        return float("inf")

    def shown(self, line_s_m: float, time_s: float) -> str | None:
        """What the lights of a line show, as far as is known."""
        word, since_s = self._shown.get(line_s_m, (None, -np.inf))
        return word if time_s - since_s <= self._rules.keep_s else None

    def _ahead(self, bumper_s_m: float) -> list[float]:
        return [float(s) for s in self._lines_s_m if s - bumper_s_m > -self.PASSED_M]


def gives_way(
    line_s_m: float,
    bumper_s_m: float,
    speed_mps: float,
    path: Path,
    movers: Sequence[tuple[Floats, Floats]],
    rules: SignalRules,
) -> bool:
    """Whether a car at a yield line must let something pass.

    Args:
        line_s_m: arc length of the line.
        movers: places (2,) [m] and velocities (2,) [m/s] in the world.
    """
    pose = np.array([*path.point(line_s_m), path.heading_rad(line_s_m - 1.0)])
    turn = np.array([0.0, 0.0, pose[2]])
    first, last, aside = rules.yield_reach_m
    reach_s = max(line_s_m - bumper_s_m, 0.0) / max(speed_mps, CRAWL_MPS) + rules.yield_s
    for place, velocity in movers:
        ahead, right = into_frame(np.asarray(place)[None], pose)[0]
        along, across = into_frame(np.asarray(velocity)[None], turn)[0]
        if not (first < ahead < last and abs(right) < aside) or abs(across) < 0.7:
            continue
        if abs(along) > 2 * abs(across):
            continue  # it comes towards the car, or goes before it
        # Until it is past the way the lane points, a car's width and some more.
        comes_s = (abs(right) - 3.0) / abs(across) if right * across < 0 else np.inf
        if abs(right) < 3.0 or comes_s < reach_s:
            return True
    return False


class Yields:
    """One run of the rule of the yield sign: slow to a crawl, go when nothing crosses."""

    SAME_M = 12.0

    def __init__(self, path: Path, rules: SignalRules) -> None:
        self._path, self._rules = path, rules
        self._done_s_m: list[float] = []

    def update(
        self,
        bumper_s_m: float,
        speed_mps: float,
        lines_s_m: Sequence[float],
        movers: Sequence[tuple[Floats, Floats]],
    ) -> tuple[list[float], float]:
        """One tick: lines that must not be passed now, and the speed allowed [m/s]."""
        closed, limit = [], float("inf")
        for line in lines_s_m:
            if any(abs(line - done) < self.SAME_M for done in self._done_s_m):
                continue
            gap = line - bumper_s_m
            if gap < -0.5:
                self._done_s_m.append(line)
                continue
            limit = min(limit, float(np.sqrt(CRAWL_MPS**2 + 2 * self._rules.braking_mps2
                                             * max(gap, 0.0))))  # fmt: skip
            if gives_way(line, bumper_s_m, speed_mps, self._path, movers, self._rules):
                closed.append(line)
        return closed, limit


class Limits:
    """One run of the rule of speed limits: a sign holds from where it stands to the next one."""

    def __init__(self) -> None:
        self.limit_mps = float("inf")
        self._passed: list[float] = []

    def update(self, bumper_s_m: float, signs: Sequence[tuple[float, float]]) -> None:
        """One tick; ``signs`` are arc lengths [m] and limits [m/s] of all that were read."""
        for s_m, limit_mps in sorted(signs):
            if s_m <= bumper_s_m and not any(abs(s_m - old) < 8.0 for old in self._passed):
                self._passed.append(s_m)
                self.limit_mps = limit_mps
