"""The rules of traffic lights, yield signs and speed limits; pure of any picture.

Which light is whose follows from geometry. A navigation map tells where the route crosses the stop
line of a junction with lights, never what they show; the light that speaks for that line stands
from a little before it to the far side of the junction, not far from the way the lane points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.policies.localisation import into_frame
from simattack.policies.path import Path
from simattack.policies.stopping import HARDEST_MPS2
from simattack.types import Floats

CRAWL_MPS = 2.0
_REST_MPS = 0.1
_NOW_S = 1.0
"""A light is in sight that was read so lately."""


@dataclass(frozen=True)
class SignalRules:
    """How lights, yield signs and limits are answered; see ``Modular`` for the numbers."""

    braking_mps2: float = 2.0
    aim_m: float = 1.5
    """Where the front bumper should come to rest, before a line."""
    yellow_mps2: float = 4.0
    """Yellow is stopped for if this deceleration is enough: with 3, cars of 8 m/s went through a
    yellow of 3 s on Town02 that was red when they were over the line."""
    ahead_m: tuple[float, float] = (-6.0, 38.0)
    """A light of a line stands so far beyond it, least and most: 36 m on Town10HD; on Town02 that
    of the next junction stands 43 m beyond."""
    by_m: float = 3.0
    """One that stands so far beyond a line at most, or before it, is of that line alone."""
    aside_m: float = 15.0
    """And at most so far to either side of the way the lane points there: on CARLA's Town10HD up to
    14 m, at the far corner of the junction."""
    keep_s: float = 3.0
    """What a light showed last is held for so long when it is out of sight."""
    keep_red_s: float = 60.0
    """And red for so long, or yellow, which turns red: no junction of CARLA has a longer round."""
    farthest_back_m: float = 6.0
    """The car stands at most so far before a line, to keep its light in the picture."""
    look_m: float = 40.0
    """A line with lights that nothing is known of slows the car from so far on."""
    yield_reach_m: tuple[float, float, float] = (-3.0, 22.0, 30.0)
    """What crosses matters from so far before a yield line to so far beyond, and so far aside."""
    yield_s: float = 4.0
    """And if it will be before the car within this time."""


@dataclass(frozen=True)
class View:
    """Where a camera's picture ends, for a car that stands and wants to see its light change."""

    behind_m: float
    """From the front bumper back to the camera."""
    up: float
    """Tangent of half the picture's height."""
    side: float
    """Tangent of half its width."""
    half_m: float
    """Half the height and more than half the width of a light."""

    def before_m(self, beyond_m: Floats, right_m: Floats, up_m: Floats) -> Floats:
        """(N,) how far before a line the bumper must stay to see whole what stands beyond it.

        Args:
            beyond_m: (N,) of the lights, from the line.
            right_m: (N,) of the way the lane points.
            up_m: (N,) of their middles, above the camera.
        """
        depth_m = np.maximum(
            (up_m + self.half_m) / self.up, (np.abs(right_m) + self.half_m) / self.side
        )
        before: Floats = depth_m - beyond_m - self.behind_m
        return before


def _first(words: Iterable[str]) -> str | None:
    """Of several lights the one that forbids the most."""
    said = set(words)
    return next((word for word in ("red", "yellow", "green") if word in said), None)


def _near(line_s_m: float, path: Path, places: Floats,
          rules: SignalRules) -> tuple[Floats, NDArray[np.bool_]]:  # fmt: skip
    """(N, 2) how far beyond a line and right of it places are, and (N,) which speak for it."""
    pose = np.array([*path.point(line_s_m), path.heading_rad(line_s_m - 1.0)])
    local = into_frame(np.asarray(places, float).reshape(-1, 2), pose)
    first, last = rules.ahead_m
    near = (local[:, 0] > first) & (local[:, 0] < last) & (np.abs(local[:, 1]) < rules.aside_m)
    return local, near


class Lights:
    """One run of the rule of traffic lights. Lines are arc lengths on the route [m]."""

    PASSED_M = 0.5
    """The front bumper so far over a line has passed it."""

    def __init__(
        self, path: Path, lines_s_m: Floats, rules: SignalRules, view: View | None = None
    ) -> None:
        self._path = path
        self._lines_s_m = np.sort(np.asarray(lines_s_m, float))
        self._rules = rules
        self._view = view
        self._before_m: dict[float, float] = {}
        """How far before each line its light is still seen."""
        self._shown: dict[float, tuple[str, float]] = {}
        """Of each line what was seen last, and when."""
        self._running: set[float] = set()
        """Lines whose yellow came too late to stop for."""
        self._stood_m: dict[float, float] = {}
        """Where the bumper came to rest before each closed line, its light in sight."""

    def see(
        self, time_s: float, places: Floats, words: Sequence[str], up_m: Floats | None = None
    ) -> None:
        """Take in one picture's lights: world places (N, 2), words, heights above the camera."""
        lines = [float(line) for line in self._lines_s_m]
        found = [_near(line, self._path, places, self._rules) for line in lines]
        by = np.array([near & (local[:, 0] < self._rules.by_m) for local, near in found])
        for line, (local, near), own in zip(lines, found, by, strict=True):
            mine = near & (own | ~by.any(0))
            word = _first(word for word, is_mine in zip(words, mine, strict=True) if is_mine)
            if word is None:
                continue
            self._shown[line] = (word, time_s)
            if self._view is not None and up_m is not None:
                rows = np.flatnonzero(mine & (np.array(words) == word))
                # One of them is enough to see it change.
                before = self._view.before_m(local[rows, 0], local[rows, 1], up_m[rows]).min()
                self._before_m[line] = min(float(before), self._rules.farthest_back_m)

    def closed(self, time_s: float, bumper_s_m: float, speed_mps: float) -> list[float]:
        """Lines that must not be passed now."""
        found = []
        for line in self._ahead(bumper_s_m):
            word = self.shown(line, time_s)
            needed = speed_mps**2 / (2 * max(line - self._back_m(line) - bumper_s_m, 0.01))
            if word == "yellow" and (line in self._running or needed > self._rules.yellow_mps2):
                # What was begun is finished, unless it turns red with room to stop.
                self._running.add(line)
            elif word in ("red", "yellow"):
                if line in self._running and needed > HARDEST_MPS2 / 2:
                    continue
                self._rest(line, time_s, bumper_s_m, speed_mps)
                found.append(self._stand(line, bumper_s_m, speed_mps))
            else:
                self._stood_m.pop(line, None)
        return found

    def _rest(self, line_s_m: float, time_s: float, bumper_s_m: float, speed_mps: float) -> None:
        """Remember where the car came to rest, if it does so in sight of a line's light.

        Where a light is was measured from afar. It is in the picture here: what a measurement
        more says of that is no reason to creep on until it is not.
        """
        is_near = line_s_m - bumper_s_m < self._rules.farthest_back_m + 1.0
        is_seen = time_s - self._shown[line_s_m][1] < _NOW_S
        if speed_mps < _REST_MPS and is_near and is_seen:
            self._stood_m.setdefault(line_s_m, bumper_s_m)

    def _stand(self, line_s_m: float, bumper_s_m: float, speed_mps: float) -> float:
        """What to take for a closed line, so that the car stands where it sees the light."""
        # Not nearer than where it can come to stand: it was seen late, or is past that.
        near = bumper_s_m + speed_mps**2 / (2 * self._rules.yellow_mps2)
        stand = max(line_s_m - self._back_m(line_s_m), min(line_s_m, near))
        stood_m = self._stood_m.get(line_s_m)
        return stand if stood_m is None else min(stand, stood_m + self._rules.aim_m)

    def _back_m(self, line_s_m: float) -> float:
        """How much farther back than usual the car must stand to see a line's light."""
        return max(self._before_m.get(line_s_m, 0.0) - self._rules.aim_m, 0.0)

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
        keep_s = self._rules.keep_s if word == "green" else self._rules.keep_red_s
        return word if time_s - since_s <= keep_s else None

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
