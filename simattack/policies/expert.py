"""A driver that is told the truth: the upper bound of what a policy can do, and a teacher."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from simattack.policies.control import Pedals, pure_pursuit
from simattack.policies.foresight import Way, acceleration, occupied
from simattack.policies.path import Path
from simattack.registry import register
from simattack.types import CarInfo, EpisodeTruth, Floats, Frame, Observation, Route, Verdict


@register("policies", "expert")
@dataclass(frozen=True, eq=False)
class Expert:
    """Drives by ground truth: keeps to the route, stops at its lines, lets others pass.

    No sensor and no detector reaches it, so no attack on them does. It takes everybody to go on as
    they do now, and plans for the boxes of all, also those that no sensor could see.
    """

    margin_m: float = 0.4
    """The way that must be free reaches this far beyond each side of the car."""
    dwell_s: float = 2.0
    """How long to stand at a stop line."""
    lateral_mps2: float = 2.5
    """In bends."""
    braking_mps2: float = 2.0
    """Before bends."""
    full_throttle_mps2: float = 4.2
    """Acceleration at full throttle; a rough value does."""
    full_brake_mps2: float = 8.6
    """Deceleration at full brake; a rough value does."""
    is_privileged: bool = field(default=True, init=False)
    truth: EpisodeTruth | None = field(default=None, init=False, repr=False)
    """Of the episode; ``informed`` puts it in."""

    def __post_init__(self) -> None:
        for name in ("margin_m", "dwell_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("lateral_mps2", "braking_mps2", "full_throttle_mps2", "full_brake_mps2"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)}")

    def informed(self, truth: EpisodeTruth) -> Expert:
        """The same for one episode, told what is true of it beside its frames."""
        made = replace(self)
        object.__setattr__(made, "truth", truth)
        return made

    def begin(self, car: CarInfo, route: Route, rng: np.random.Generator) -> ExpertDriver:
        return ExpertDriver(self, car, route)


class ExpertDriver:
    """One run; ``watch`` comes before each ``act``."""

    STANDING_MPS = 0.05
    WINDOW_M = 3.0
    """Front bumper to line: where standing still counts as having stopped for it."""
    EASY_MPS2 = 3.0
    """A yellow light is stopped at where this braking will do."""

    def __init__(self, recipe: Expert, car: CarInfo, route: Route) -> None:
        self._recipe, self._car = recipe, car
        self._path = Path(route)
        self._way = Way(self._path)
        self._profile_mps = self._path.speed_profile(recipe.lateral_mps2, recipe.braking_mps2)
        self._pedals = Pedals(recipe.full_throttle_mps2, recipe.full_brake_mps2)
        self._frame: Frame | None = None
        self._s_m: float | None = None
        self._stood_s: dict[float, float] = {}
        self._stops_m: list[float] = []
        self._lights_m: list[tuple[int, float]] = []
        if recipe.truth is not None:
            for line in recipe.truth.stop_lines_m:
                self._stops_m += self._path.passes(line.mean(0)[:2])
            for number, line in enumerate(recipe.truth.light_lines_m):
                passes = self._path.passes(line.mean(0)[:2])
                self._lights_m += [(number, at_m) for at_m in passes]

    def watch(self, frame: Frame) -> None:
        """Take in the truth at this tick."""
        self._frame = frame

    def act(self, obs: Observation, verdict: Verdict) -> Floats:
        """One tick; neither argument is looked at."""
        if self._frame is None:
            raise RuntimeError("an expert drives by the truth; call watch before act")
        ego = self._frame.ego
        pose = np.array([ego.pose.x_m, ego.pose.y_m, ego.pose.yaw_rad])
        speed, self._s_m = ego.speed_mps, self._path.locate(pose[:2], self._s_m)[0]
        taken = occupied(self._way, self._s_m, self._car, self._frame.others, self._recipe.margin_m)
        closed = self._closed(self._frame.time_s, self._s_m + self._car.length_m / 2, speed)
        wanted = acceleration(
            self._path, self._profile_mps, self._s_m, speed, self._car, taken, closed
        )
        steer = pure_pursuit(pose, self._s_m, speed, self._path, self._car)
        if wanted <= 0 and speed < 0.5:
            throttle, brake = self._pedals.hold(speed)
        else:
            throttle, brake = self._pedals.press(wanted, speed, self._car.tick_s)
        return np.array([steer, throttle, brake])

    def _closed(self, time_s: float, bumper_s_m: float, speed_mps: float) -> list[float]:
        """Arc lengths of the lines that must not be passed now [m].

        A sign's until it is obeyed, a light's while it is not green.
        """
        closed = []
        for line in self._stops_m:
            if bumper_s_m > line:
                continue
            if line not in self._stood_s and speed_mps < self.STANDING_MPS:
                if line - bumper_s_m <= self.WINDOW_M:
                    self._stood_s[line] = time_s
            # Ticks are summed in floating point: half a millisecond must not cost a tick.
            stood_s = time_s - self._stood_s.get(line, np.inf)
            if stood_s < self._recipe.dwell_s - 5e-4:
                closed.append(line)
        shown = self._frame.lights if self._frame is not None else ()
        stops_m = bumper_s_m + speed_mps**2 / (2 * self.EASY_MPS2)
        for number, line in self._lights_m:
            state = shown[number] if number < len(shown) else "unknown"
            if bumper_s_m <= line and (state == "red" or (state == "yellow" and stops_m <= line)):
                closed.append(line)
        return closed
