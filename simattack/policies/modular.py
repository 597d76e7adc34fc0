r"""The modular driving stack under test: sensors in, steering and pedals out.

    detections -> stop signs -> stop-sign rule               \
    picture -> lights, yield signs, limits, lane (eyes)       \
    detections, LiDAR, radar -> tracker -> corridor           \
        -> gap keeping, yielding, emergency braking           -> steer, throttle, brake
    GNSS, IMU, wheels -> localiser -> route, speed limit      /

It sees what a car sees: no ground truth, and no signs from a map. Where lines with traffic lights
are and how wide lanes are it knows as from a navigation map; what lights show, from its camera.
Every sensor may be missing; a sensor that is there is relied on.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np

from simattack.classifiers.signals import Signals
from simattack.policies.boxes import Boxes
from simattack.policies.clusters import Clusters
from simattack.policies.control import Pedals, in_lane, pure_pursuit
from simattack.policies.corridor import Corridor, Obstacle
from simattack.policies.emergency import Emergency, EmergencyRules
from simattack.policies.eyes import Eyes, Orders
from simattack.policies.fallback import Doubts, Fallback, Trust, believed
from simattack.policies.following import follow_mps2
from simattack.policies.fusion import Tracker
from simattack.policies.lights import SignalRules
from simattack.policies.localisation import Localiser, from_frame, into_frame
from simattack.policies.path import Path
from simattack.policies.radar import Returns
from simattack.policies.signs import SignRules, SignTracker
from simattack.policies.stopping import HARDEST_MPS2, ClosedLines, StopRules, StopSigns
from simattack.policies.stretch import Stretch
from simattack.policies.tracking import camera_from_above
from simattack.reading import option
from simattack.registry import register
from simattack.types import CarInfo, Driver, Floats, Observation, Route, Verdict


@register("policies", "modular")
@dataclass(frozen=True)
class Modular:
    """A car that follows its route, stops at stop signs, and brakes for what is in its way.

    One sensor alone can make a thing count: the camera, the LiDAR or the radar, by its ``hits`` of
    its ``window`` newest looks. None can deny what another has seen.
    """

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
    lidar_hits: int = 2
    """A thing counts once the LiDAR saw it in this many ..."""
    lidar_window: int = 3
    """... of this many newest scans."""
    lidar_points: int = 2
    """Least points of a thing in a scan."""
    radar_hits: int = 3
    """A thing counts once the radar saw it move, or stand upright in the way, in this many ..."""
    radar_window: int = 4
    """... of this many newest looks."""
    radar_returns: int = 6
    """Least returns of a thing that stands."""
    keep_gap_m: float = 5.0
    """Gap aimed at behind something that stands; errors of measurement leave 4 m of it."""
    corridor_margin_m: float = 0.35
    """The way that must be free reaches this far beyond each side of the car."""
    yield_horizon_s: float = 4.0
    """What moves across is let pass if it will be in the way within this time."""
    yield_apart_s: float = 1.0
    """By how much the car and what crosses its way are to miss each other in time."""
    emergency_mps2: float = 5.5
    """Full brakes once less than this deceleration will not do, ..."""
    emergency_ttc_s: float = 0.8
    """... or when it is so near."""
    lane_trust: float = 0.9
    """How far the car goes by the lane its camera sees, at its best, against its own pose; 0 looks
    for no lane."""
    signal_weights: str = "town_signals"
    """Weights of the classifier that reads lights and signs; empty: they are not read, and the car
    drives as if there were none, but for stop signs."""
    yellow_mps2: float = 4.0
    """Yellow is stopped for if this deceleration is enough."""
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
    wheel_std_mps: float = 0.1
    """Expected error of one wheel speed."""
    fallback: Fallback = Fallback()  # noqa: RUF009  it is frozen
    """What a defense's alarm does to the driving; ``{looks: 0}``: nothing."""

    def __post_init__(self) -> None:
        # A scenario file gives a list.
        object.__setattr__(self, "sign_right_m", tuple(self.sign_right_m))
        object.__setattr__(self, "fallback", option(self.fallback, Fallback, "fallback"))
        for name in (
            "dwell_s",
            "stop_aim_m",
            "keep_gap_m",
            "line_offset_m",
            "corridor_margin_m",
            "yield_horizon_s",
            "yield_apart_s",
            "emergency_ttc_s",
            "lane_trust",
        ):
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
            "wheel_std_mps",
            "emergency_mps2",
            "lidar_points",
            "radar_returns",
            "sign_forget_after",
            "yellow_mps2",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)}")
        for hits, window in (
            ("sign_hits", "sign_window"),
            ("obstacle_hits", "obstacle_window"),
            ("lidar_hits", "lidar_window"),
            ("radar_hits", "radar_window"),
        ):
            if not 1 <= getattr(self, hits) <= getattr(self, window):
                raise ValueError(
                    f"{hits} must be 1 to {window} ({getattr(self, window)}), "
                    f"got {getattr(self, hits)}"
                )

        _ = self.files  # says what is wrong with them before anything starts

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """What decides its outcome besides its options."""
        return (Signals(self.signal_weights).path,) if self.signal_weights else ()

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
        self._localiser = Localiser(
            route.geo_origin,
            recipe.gnss_std_m,
            recipe.compass_std_rad,
            recipe.wheel_std_mps,
            heading_rad=self._path.heading_rad(0.0),
            rear_m=car.wheelbase_m / 2,
        )
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
        self._boxes = Boxes(car.camera, recipe.score_threshold)
        self._clusters = None if car.lidar is None else Clusters(car.lidar, recipe.lidar_points)
        self._returns = None if car.radar is None else Returns(car.radar, recipe.radar_returns)
        rules = {
            "camera": (recipe.obstacle_hits, recipe.obstacle_window),
            "lidar": (recipe.lidar_hits, recipe.lidar_window),
            "radar": (recipe.radar_hits, recipe.radar_window),
        }
        self._tracker = Tracker({name: rules[name] for name in rules if name in car.sensors})
        self._corridor = Corridor(
            self._path,
            car.length_m,
            car.width_m / 2 + recipe.corridor_margin_m,
            recipe.yield_horizon_s,
            recipe.yield_apart_s,
        )
        rules_of_lines = StopRules(recipe.stop_aim_m, recipe.braking_mps2, recipe.dwell_s)
        self._stops = StopSigns(rules_of_lines)
        self._closed = ClosedLines(rules_of_lines)
        self._emergency = Emergency(EmergencyRules(recipe.emergency_mps2, recipe.emergency_ttc_s))
        self._doubts = Doubts(recipe.fallback, car.sensors)
        self._pedals = Pedals(recipe.full_throttle_mps2, recipe.full_brake_mps2)
        self._s_m: float | None = None
        self._time_s: float | None = None
        self._captured_s: float | None = None
        self._scanned_s: float | None = None
        self._steered = 0.0
        self._eyes = _eyes(recipe, car, route, self._path, self._localiser)

    @property
    def belief(self) -> Floats | None:
        """(3,) x, y [m], yaw [rad] where it thinks it is in the world; None before it knows."""
        return self._localiser.pose if self._localiser.has_pose else None

    @property
    def eyes(self) -> Eyes | None:
        """What reads its pictures; None without a camera."""
        return self._eyes

    @property
    def tracker(self) -> Tracker:
        """What it has seen, and which sensors say so."""
        return self._tracker

    def act(self, obs: Observation, verdict: Verdict) -> Floats:
        """One tick; the verdict is about the image captured at ``obs["clock"][1]``."""
        time_s, captured_s = float(obs["clock"][0]), float(obs["clock"][1])
        dt_s = self._car.tick_s if self._time_s is None else max(time_s - self._time_s, 0.0)
        self._time_s = time_s
        trust = self._doubts.update(verdict, time_s)
        self._localiser.update(believed(obs, trust), self._steered)
        if not self._localiser.has_pose:
            return np.array([0.0, 0.0, 1.0])  # it stands until it first knows where it is
        pose, speed = self._localiser.pose, self._localiser.speed_mps
        self._s_m, _ = self._path.locate(pose[:2], self._s_m)
        self._scan(obs, trust, time_s, speed)
        if self._eyes is not None:
            self._eyes.keep(obs)
        if np.isfinite(captured_s) and (self._captured_s is None or captured_s > self._captured_s):
            self._captured_s = captured_s
            self._look(verdict, captured_s, speed)

        bumper_s_m = self._s_m + self._car.length_m / 2
        command = self._stops.update(time_s, bumper_s_m, speed, self._stop_lines())
        orders = Orders()
        if self._eyes is not None:
            orders = self._eyes.orders(time_s, self._s_m, speed, self._movers(time_s))
        closed = self._closed.update(bumper_s_m, speed, orders.closed_lines_m)
        obstacles = self._corridor.obstacles(
            [track for track in self._tracker.confirmed() if trust.counts(track.support)],
            self._localiser,
            self._s_m,
            speed,
            time_s,
        )
        wanted = min(
            self._cruise(speed),
            self._keep_below(orders.limit_mps, speed),
            max(trust.limit_mps - speed, -self._recipe.braking_mps2),
            command.limit_mps2,
            closed.limit_mps2,
            *(self._follow(one, speed) for one in obstacles),
        )
        is_hold = command.is_hold or closed.is_hold
        if trust.is_stop:
            wanted = min(wanted, -self._recipe.fallback.stop_mps2)
            is_hold |= speed < 0.4
        is_hold |= speed < 0.4 and any(
            one.gap_m < self._recipe.keep_gap_m + 0.5 and one.along_mps < 0.5 for one in obstacles
        )
        if self._emergency.update(obstacles, speed):
            wanted = -HARDEST_MPS2
        lane = None if "camera" in trust.doubted else orders.lane
        kept = in_lane(pose, self._s_m, self._path, lane, self._recipe.lane_trust)
        steer = pure_pursuit(kept, self._s_m, speed, self._path, self._car)
        self._steered = speed * np.tan(steer * self._car.lock_rad(speed)) / self._car.wheelbase_m
        if is_hold and speed < 1.0:
            throttle, brake = self._pedals.hold(speed)
        else:
            throttle, brake = self._pedals.press(max(wanted, -HARDEST_MPS2), speed, dt_s)
        return np.array([steer, throttle, brake])

    def _scan(self, obs: Observation, trust: Trust, time_s: float, speed_mps: float) -> None:
        """Take in what LiDAR and radar measured, if it is new: they look at times of their own.

        One that is not believed saw nothing.
        """
        assert self._s_m is not None
        period_s = self._car.camera_period_s
        scanned_s = float(np.floor(time_s / period_s + 1e-6)) * period_s
        if self._scanned_s is not None and scanned_s <= self._scanned_s:
            return
        self._scanned_s = scanned_s
        odometry = self._localiser.odometry_at(scanned_s)
        place = self._localiser.world_from_odometry(odometry[None, :2])[0]
        yaw = odometry[2] - self._localiser.odometry[2] + self._localiser.pose[2]
        stretch = Stretch(
            self._path, np.array([*place, yaw]), self._s_m, self._corridor.half_width_m
        )
        if self._clusters is not None and "lidar" in obs:
            is_doubted = "lidar" in trust.doubted
            found = [] if is_doubted else self._clusters.find(obs["lidar"], stretch)
            self._tracker.update("lidar", found, odometry, scanned_s, speed_mps)
        if self._returns is not None and "radar" in obs:
            turn = self._localiser.turn_radps
            is_doubted = "radar" in trust.doubted
            found = [] if is_doubted else self._returns.find(obs["radar"], stretch, speed_mps, turn)
            self._tracker.update("radar", found, odometry, scanned_s, speed_mps)

    def _look(self, verdict: Verdict, captured_s: float, speed_mps: float) -> None:
        if "camera" not in self._car.sensors:
            return
        odometry = self._localiser.odometry_at(captured_s)
        signs = verdict.detections
        if self._eyes is not None:
            signs = self._eyes.stop_signs(signs, captured_s)
        self._signs.update(signs, odometry)
        camera = camera_from_above(odometry, self._car.camera)
        place = self._localiser.world_from_odometry(camera[None, :2])[0]
        camera_s_m, _ = self._path.locate(place, self._s_m)

        def axis(depth_m: float) -> float:
            there = into_frame(self._path.point(camera_s_m + depth_m)[None], self._localiser.pose)
            now = from_frame(there, self._localiser.odometry)
            return float(into_frame(now, camera)[0, 1])

        found = self._boxes.find(verdict.detections, axis)
        self._tracker.update("camera", found, camera, captured_s, speed_mps)
        if self._eyes is not None and self._s_m is not None:
            self._eyes.look(verdict.detections, captured_s, self._s_m)

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

    def _movers(self, time_s: float) -> list[tuple[Floats, Floats]]:
        """Places and velocities in the world of all that counts as there."""
        found = []
        turn = np.array([0.0, 0.0, self._localiser.pose[2] - self._localiser.odometry[2]])
        for track in self._tracker.confirmed():
            place = self._localiser.world_from_odometry(track.place_at(time_s)[None])[0]
            found.append((place, from_frame(track.state[None, 2:4], turn)[0]))
        return found

    def _keep_below(self, limit_mps: float, speed_mps: float) -> float:
        """The acceleration that comes down to a limit, comfortably."""
        return max(1.5 * (limit_mps - speed_mps), -1.5 * self._recipe.braking_mps2)

    def _follow(self, one: Obstacle, speed_mps: float) -> float:
        """The acceleration that keeps the gap to something in the way."""
        return follow_mps2(
            one.gap_m,
            speed_mps,
            one.along_mps,
            self._recipe.keep_gap_m,
            self._recipe.braking_mps2,
            HARDEST_MPS2,
        )

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


def _eyes(
    recipe: Modular, car: CarInfo, route: Route, path: Path, localiser: Localiser
) -> Eyes | None:
    if "camera" not in car.sensors:
        return None
    return Eyes(
        car,
        route,
        path,
        localiser,
        SignalRules(
            recipe.braking_mps2,
            recipe.stop_aim_m,
            recipe.yellow_mps2,
            yield_s=recipe.yield_horizon_s,
        ),
        Signals(recipe.signal_weights) if recipe.signal_weights else None,
        recipe.score_threshold,
        recipe.sign_right_m,
        recipe.line_offset_m,
        is_lane_read=recipe.lane_trust > 0,
    )
