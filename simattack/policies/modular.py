r"""The modular driving stack under test: camera detections in, steering and pedals out.

    detections -> trackers -> stop-sign rule, obstacle rule \
    GNSS, IMU, wheels -> localiser -> route, speed limit    -> steer, throttle, brake

It sees what a car sees: no ground truth, and no signs from a map. Traffic lights are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.policies.control import Pedals, pure_pursuit
from simattack.policies.localisation import Localiser, from_frame, into_frame
from simattack.policies.obstacles import ObstacleTrack, ObstacleTracker, follow_mps2
from simattack.policies.path import Path
from simattack.policies.signs import SignRules, SignTracker
from simattack.policies.stopping import HARDEST_MPS2, StopRules, StopSigns
from simattack.policies.tracking import camera_from_above
from simattack.registry import register
from simattack.types import CarInfo, Driver, Floats, Observation, Route, Verdict


@register("policies", "modular")
@dataclass(frozen=True)
class Modular:
    """A car that follows its route, stops at stop signs, and brakes for what is in its way."""

    score_threshold: float = 0.4
    """Working threshold: weaker detections are not looked at."""
    sign_hits: int = 3
    """A stop sign counts once it was seen in this many ..."""
    sign_window: int = 5
    """... of this many newest images."""
    sign_forget_after: int = 10
    """A counted sign is given up after this many images running that should show it and do not;
    out of view it is remembered."""
    sign_size_m: float = 0.75
    """Width and height of a stop sign."""
    sign_right_m: tuple[float, float] = (1.0, 7.0)
    """How far right of the route a sign for this lane stands, least and most."""
    line_offset_m: float = 0.5
    """The stop line is taken to lie this far before the sign."""
    stop_aim_m: float = 1.5
    """Where the front bumper should come to rest, before the line."""
    dwell_s: float = 2.0
    """How long to stand at a stop sign."""
    obstacle_hits: int = 2
    """A car or person counts once it was seen in this many ..."""
    obstacle_window: int = 3
    """... of this many newest images."""
    keep_gap_m: float = 5.0
    """Gap aimed at behind something that stands; errors of measurement leave 4 m of it."""
    corridor_margin_m: float = 0.35
    """The way that must be free reaches this far beyond each side of the car."""
    braking_mps2: float = 2.0
    """Comfortable."""
    lateral_mps2: float = 2.5
    """In bends."""
    full_throttle_mps2: float = 4.2
    """Acceleration at full throttle; a rough value does."""
    full_brake_mps2: float = 8.6
    """Deceleration at full brake; a rough value does."""
    gnss_std_m: float = 0.5
    """Expected error of one fix, each axis."""
    compass_std_rad: float = 0.02
    """Expected error of one compass reading."""

    def __post_init__(self) -> None:
        # A scenario file gives a list.
        object.__setattr__(self, "sign_right_m", tuple(self.sign_right_m))
        for name in ("dwell_s", "stop_aim_m", "keep_gap_m", "line_offset_m", "corridor_margin_m"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in (
            "sign_size_m",
            "braking_mps2",
            "lateral_mps2",
            "full_throttle_mps2",
            "full_brake_mps2",
            "gnss_std_m",
            "compass_std_rad",
            "sign_forget_after",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)}")
        for hits, window in (
            ("sign_hits", "sign_window"),
            ("obstacle_hits", "obstacle_window"),
        ):
            if not 1 <= getattr(self, hits) <= getattr(self, window):
                raise ValueError(
                    f"{hits} must be 1 to {window} ({getattr(self, window)}), "
                    f"got {getattr(self, hits)}"
                )

    def begin(self, car: CarInfo, route: Route, rng: np.random.Generator) -> Driver:
        return ModularDriver(self, car, route)


class ModularDriver:
    """One run of the stack."""

    SLOPE_S = 0.3
    """How far ahead the change of the speed limit is looked at."""

    def __init__(self, recipe: Modular, car: CarInfo, route: Route) -> None:
        self._recipe = recipe
        self._car = car
        self._path = Path(route)
        self._profile_mps = self._path.speed_profile(recipe.lateral_mps2, recipe.braking_mps2)
        self._localiser = Localiser(route.geo_origin, recipe.gnss_std_m, recipe.compass_std_rad)
        self._signs = SignTracker(
            car.camera,
            SignRules(
                recipe.score_threshold,
                recipe.sign_hits,
                recipe.sign_window,
                recipe.sign_forget_after,
                recipe.sign_size_m,
            ),
        )
        self._obstacles = ObstacleTracker(
            car.camera, recipe.score_threshold, recipe.obstacle_hits, recipe.obstacle_window
        )
        self._stops = StopSigns(StopRules(recipe.stop_aim_m, recipe.braking_mps2, recipe.dwell_s))
        self._pedals = Pedals(recipe.full_throttle_mps2, recipe.full_brake_mps2)
        self._s_m: float | None = None
        self._time_s: float | None = None
        self._captured_s: float | None = None

    def act(self, obs: Observation, verdict: Verdict) -> Floats:
        """One tick; the verdict is about the image captured at ``obs["clock"][1]``."""
        time_s, captured_s = float(obs["clock"][0]), float(obs["clock"][1])
        dt_s = self._car.tick_s if self._time_s is None else max(time_s - self._time_s, 0.0)
        self._time_s = time_s
        self._localiser.update(obs)
        if not self._localiser.has_pose:
            return np.array([0.0, 0.0, 1.0])  # it stands until it first knows where it is
        pose, speed = self._localiser.pose, float(obs["speed"][0])
        self._s_m, _ = self._path.locate(pose[:2], self._s_m)
        if np.isfinite(captured_s) and (self._captured_s is None or captured_s > self._captured_s):
            self._captured_s = captured_s
            self._look(verdict, captured_s, speed)

        command = self._stops.update(
            time_s, self._s_m + self._car.length_m / 2, speed, self._stop_lines()
        )
        wanted = min(self._cruise(speed), command.limit_mps2)
        is_hold = command.is_hold
        for gap, other_mps in self._in_the_way(time_s):
            wanted = min(
                wanted,
                follow_mps2(
                    gap,
                    speed,
                    other_mps,
                    self._recipe.keep_gap_m,
                    self._recipe.braking_mps2,
                    HARDEST_MPS2,
                ),
            )
            is_hold |= speed < 0.4 and gap < self._recipe.keep_gap_m + 0.5 and other_mps < 0.5
        steer = pure_pursuit(pose, self._s_m, speed, self._path, self._car)
        if is_hold and speed < 1.0:
            throttle, brake = self._pedals.hold(speed)
        else:
            throttle, brake = self._pedals.press(max(wanted, -HARDEST_MPS2), speed, dt_s)
        return np.array([steer, throttle, brake])

    def _look(self, verdict: Verdict, captured_s: float, speed_mps: float) -> None:
        odometry = self._localiser.odometry_at(captured_s)
        self._signs.update(verdict.detections, odometry)
        camera = camera_from_above(odometry, self._car.camera)
        place = self._localiser.world_from_odometry(camera[None, :2])[0]
        camera_s_m, _ = self._path.locate(place, self._s_m)

        def axis(depth_m: float) -> float:
            there = into_frame(self._path.point(camera_s_m + depth_m)[None], self._localiser.pose)
            now = from_frame(there, self._localiser.odometry)
            return float(into_frame(now, camera)[0, 1])

        self._obstacles.update(verdict.detections, odometry, captured_s, speed_mps, axis)

    def _stop_lines(self) -> list[float]:
        """Arc lengths of the lines of all confirmed signs that speak to this lane [m]."""
        least, most = self._recipe.sign_right_m
        lines = []
        for track in self._signs.tracks:
            if not track.is_confirmed:
                continue
            place = self._localiser.world_from_odometry(track.place[None])[0]
            s_m, right_m = self._path.locate(place, self._s_m)
            if least <= right_m <= most:
                lines.append(s_m - self._recipe.line_offset_m)
        return lines

    def _in_the_way(self, time_s: float) -> list[tuple[float, float]]:
        """Gap [m] from the front bumper and speed [m/s] along the route of each obstacle."""
        assert self._s_m is not None
        found = []
        for track in self._obstacles.confirmed():
            place, reach = self._placed(track, time_s)
            s_m, right_m = self._path.locate(place, self._s_m)
            gap = s_m - self._s_m - self._car.length_m / 2
            half = self._car.width_m / 2 + self._recipe.corridor_margin_m
            if gap < -1.0 or abs(right_m) - reach > half:
                continue
            yaw = self._localiser.odometry[2] - self._localiser.pose[2]
            heading = self._path.heading_rad(s_m) + yaw
            along = float(track.state[2] * np.cos(heading) + track.state[3] * np.sin(heading))
            found.append((gap, along))
        return found

    def _placed(self, track: ObstacleTrack, time_s: float) -> tuple[Floats, float]:
        """The near face's middle in the world (2,) and its half width [m]."""
        place = self._localiser.world_from_odometry(track.place_at(time_s)[None])[0]
        return place, track.half_width_m

    def _cruise(self, speed_mps: float) -> float:
        """Acceleration towards the speed that the route allows here and soon."""
        assert self._s_m is not None
        if self._s_m >= self._path.length_m:
            return -self._recipe.braking_mps2
        reach = np.array([0.1, 0.1 + self.SLOPE_S]) * max(speed_mps, 1.0)  # 0.1 s: the pedals' lag
        limit, soon = np.interp(self._s_m + reach, self._path.s_m, self._profile_mps)
        # Where the limit falls, fall with it: what is left to correct stays small.
        slope = min((soon**2 - limit**2) / (2 * (reach[1] - reach[0])), 0.0)
        feed = slope if speed_mps > 0.9 * limit else 0.0
        return float(np.clip(feed + limit - speed_mps, -3.0, 1.8))
