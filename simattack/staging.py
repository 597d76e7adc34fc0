"""Sets the scene of a scenario's seed: weather, the car at its start, others around it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simattack.scenario import Conditions
from simattack.session import Session, SpawnBlocked
from simattack.types import SENSORS, CarInfo, Floats, Lidar, Pose, Radar, Route

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
    conditions: Conditions,
    seed: int,
    rng: np.random.Generator,
    sensors: Sequence[str] = SENSORS,
) -> tuple[CarInfo, Route]:
    """An empty world with the seed's weather, car and traffic; not ticked yet.

    Other cars come towards the ego on the opposite lane or stand nowhere near its path; walkers
    go along the sidewalks: they dress the scene and make the detector work.
    """
    session.clear()
    session.set_weather(conditions.weather)
    route = session.surveyed(session.route_to(conditions.site, conditions.start_before_m, BEYOND_M))
    route = replace(route, speed_limit_mps=np.minimum(route.speed_limit_mps, conditions.speed_mps))
    car = fitted(sensors, session.tick_s)
    start = session.start_pose(route)
    session.spawn_ego(start, car=car, seed=seed)
    session.place(None, start, speed_mps=conditions.speed_mps)
    line = session.stop_line(conditions.site).mean(0)
    heading = session.approaches[conditions.site].heading_rad
    _oncoming(session, line, heading, conditions.vehicles, rng)
    _walkers(session, line, heading, conditions.walkers, rng)
    return car, route


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
