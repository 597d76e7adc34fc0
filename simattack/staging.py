"""Sets the scene of a scenario's seed: weather, the car at its start, others around it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simattack.casting import Company, enter
from simattack.lights import Lights
from simattack.polyline import Polyline
from simattack.scenario import Conditions, Scenario
from simattack.session import Session, SpawnBlocked
from simattack.types import SENSORS, CarInfo, Floats, Frame, Lidar, Pose, Radar, Route

BEYOND_M = 12.0
"""How far past the stop line an episode goes on."""
_VEHICLES = (
    "vehicle.tesla.model3",
    "vehicle.audi.tt",
    "vehicle.ford.mustang",
    "vehicle.lincoln.mkz_2020",
)
_OTHERS = ("walker.pedestrian.0001", "walker.pedestrian.0002", "walker.pedestrian.0003")
_APART_M = 14.0


@dataclass(frozen=True, eq=False)
class Stage:
    """A scene that is set."""

    car: CarInfo
    route: Route
    half_lane_m: Floats
    """(N,) half the lane's width along the route."""
    lights: Lights
    """On the route."""
    company: Company
    red_s: float | None
    """How long the lights stay red; None: nobody holds them."""
    stop_lines_m: tuple[Floats, ...] = ()
    """(2, 3) each: of all stop signs on the route, in its order."""

    def act(self, frame: Frame) -> None:
        """Let the cast and the lights do what they do before the next tick."""
        for member in self.company.acting:
            member.act(frame)
        if self.red_s is not None and frame.time_s >= self.red_s > frame.time_s - self.car.tick_s:
            self.lights.hold(is_red=False)


def fitted(sensors: Sequence[str], tick_s: float) -> CarInfo:
    """The car with the sensors of those names; cameras, LiDAR and radar look every second tick."""
    return CarInfo(
        lidar=Lidar() if "lidar" in sensors else None,
        radar=Radar() if "radar" in sensors else None,
        without=tuple(name for name in SENSORS if name not in sensors),
        tick_s=tick_s,
        camera_period_s=2 * tick_s,
    )


def stage(
    session: Session,
    scenario: Scenario,
    conditions: Conditions,
    seed: int,
    rng: np.random.Generator,
    cast_rng: np.random.Generator,
    car: CarInfo,
) -> Stage:
    """An empty world with the seed's weather, car, cast and traffic; not ticked yet.

    Other cars come towards the ego on the opposite lane or stand nowhere near its path; walkers
    go along the sidewalks: they dress the scene and make the detector work.

    Args:
        session: the world.
        scenario: whose.
        conditions: of the seed.
        seed: of the sensors' noise.
        rng: of the traffic.
        cast_rng: of the cast.
    """
    session.clear()
    session.set_weather(conditions.weather)
    route = session.surveyed(route_of(session, scenario, conditions))
    route = replace(route, speed_limit_mps=np.minimum(route.speed_limit_mps, conditions.speed_mps))
    session.route = route
    start = session.start_pose(route)
    every = round(car.camera_period_s / car.tick_s)
    session.spawn_ego(start, car=car, camera_every=every, seed=seed)
    session.place(None, start, speed_mps=conditions.speed_mps)
    lights = session.watch(route)
    if conditions.red_s is not None:
        lights.hold(is_red=conditions.red_s > 0)
    if scenario.headlamps:
        session.set_lamps(None, "low")
    company = enter(session, scenario.cast, route, cast_rng, scenario.headlamps)
    line, heading = _middle(session, conditions, route)
    _oncoming(session, line, heading, conditions.vehicles, rng)
    _walkers(session, line, heading, conditions.walkers, rng)
    return Stage(
        car,
        route,
        session.road.half_lanes_m(route),
        lights,
        company,
        conditions.red_s,
        session.road.stop_lines(route, session.approaches.values()),
    )


def route_of(session: Session, scenario: Scenario, conditions: Conditions) -> Route:
    """Where the car has to drive.

    Raises:
        ConfigError: the map has no such site, or the site no such route.
    """
    place = scenario.place(conditions.site)
    if place is not None:
        return session.road.place_route(place, conditions.start_m or 0.0)
    return session.route_to(conditions.site, conditions.start_before_m or 0.0, BEYOND_M)


def _middle(session: Session, conditions: Conditions, route: Route) -> tuple[Floats, float]:
    """What the traffic is strewn around: the stop line, or the middle of a place's route."""
    if conditions.start_m is None:
        approach = session.approaches[conditions.site]
        return approach.stop_line_m.mean(0), approach.heading_rad
    line = Polyline(route.points)
    middle = line.pose(line.length_m / 2)
    return np.array([middle.x_m, middle.y_m, middle.z_m]), middle.yaw_rad


def _oncoming(
    session: Session, line: Floats, heading_rad: float, count: int, rng: np.random.Generator
) -> None:
    ahead = np.array([np.cos(heading_rad), np.sin(heading_rad), 0.0])
    taken: list[float] = []
    for _ in range(count):
        # Before the crossing or well behind it; nobody starts inside.
        along_m = float(rng.uniform(-45, -8) if rng.random() < 0.5 else rng.uniform(40, 110))
        kind = _VEHICLES[int(rng.integers(len(_VEHICLES)))]
        color = tuple(int(value) for value in rng.integers(20, 236, 3))
        speed_mps = float(rng.uniform(5, 10))
        pose = session.road.oncoming_lane(line + along_m * ahead)
        if pose is None or any(abs(along_m - other) < _APART_M for other in taken):
            continue
        # A lane that does not run against us is no oncoming lane (a crossing road's, say).
        if np.cos(pose.yaw_rad - heading_rad) > -0.9:
            continue
        with contextlib.suppress(SpawnBlocked):
            actor = session.spawn(kind, pose, color=(color[0], color[1], color[2]))
            session.cruise(actor, speed_mps)
            taken.append(along_m)


def _walkers(
    session: Session, line: Floats, heading_rad: float, count: int, rng: np.random.Generator
) -> None:
    ahead = np.array([np.cos(heading_rad), np.sin(heading_rad), 0.0])
    right = np.array([-ahead[1], ahead[0], 0.0])
    for _ in range(count):
        side, along_m = float(rng.choice([-1.0, 1.0])), float(rng.uniform(-55, -5))
        shift_m, kind = float(rng.uniform(-0.5, 0.5)), _OTHERS[int(rng.integers(len(_OTHERS)))]
        is_same_way, speed_mps = bool(rng.random() < 0.5), float(rng.uniform(0.8, 1.6))
        place = session.road.sidewalk(line + along_m * ahead + side * 6.0 * right)
        if place is None:
            continue
        yaw = heading_rad if is_same_way else heading_rad + np.pi
        where = Pose(
            place.x_m + shift_m * right[0], place.y_m + shift_m * right[1], place.z_m, yaw_rad=yaw
        )
        with contextlib.suppress(SpawnBlocked):
            session.walk(session.spawn(kind, where), yaw, speed_mps)
