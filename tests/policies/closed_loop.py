"""A car on a flat plane without any simulator: kinematic bicycle, flawed sensors, drawn boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rays import Box, returns, scan

from simattack.geometry import compose, project
from simattack.policies.localisation import EARTH_RADIUS_M
from simattack.policies.modular import Modular, ModularDriver
from simattack.types import CarInfo, Detections, Floats, Pose, Route, Verdict

ORIGIN = (49.0, 8.0)
CAR = CarInfo()
TICK_S = CAR.tick_s


def straight(length_m: float, speed_mps: float, start: Pose | None = None) -> Route:
    """A route from ``start`` straight on."""
    start = start or Pose()
    along = np.arange(0.0, length_m + 1e-9, 1.0)
    points = np.stack(
        [
            start.x_m + along * np.cos(start.yaw_rad),
            start.y_m + along * np.sin(start.yaw_rad),
            0 * along,
        ],
        axis=1,
    )
    return Route(points, np.full(len(along), speed_mps), ORIGIN)


@dataclass(frozen=True)
class Thing:
    """A box in the world that the camera sees: place at time 0, velocity, size."""

    label: str
    place: tuple[float, float, float]
    size: tuple[float, float, float]
    """Along the world's x, y, z."""
    velocity: tuple[float, float] = (0.0, 0.0)

    def corners(self, time_s: float) -> Floats:
        signs = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) / 2
        middle = np.array(self.place)
        middle[:2] += np.array(self.velocity) * time_s
        return middle + signs * np.array(self.size)

    def solid(self) -> Box:
        """What LiDAR and radar meet."""
        corners = self.corners(0.0)
        low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]), self.velocity)


def stop_sign(x_m: float, y_m: float, height_m: float = 2.4) -> Thing:
    return Thing("stop sign", (x_m, y_m, height_m), (0.0, 0.75, 0.75))


def person(x_m: float, y_m: float, velocity: tuple[float, float] = (0.0, 0.0)) -> Thing:
    return Thing("person", (x_m, y_m, 0.875), (0.4, 0.5, 1.75), velocity)


def car(x_m: float, y_m: float, velocity: tuple[float, float] = (0.0, 0.0)) -> Thing:
    return Thing("car", (x_m, y_m, 0.75), (4.6, 1.9, 1.5), velocity)


@dataclass(eq=False)
class Run:
    """What happened; one row a tick."""

    time_s: list[float] = field(default_factory=list)
    pose: list[tuple[float, float, float]] = field(default_factory=list)
    speed_mps: list[float] = field(default_factory=list)
    action: list[Floats] = field(default_factory=list)

    @property
    def bumper_x_m(self) -> Floats:
        return np.array([pose[0] for pose in self.pose]) + CAR.length_m / 2

    def standing_x_m(self) -> float | None:
        """Where the bumper was when the car first stood still."""
        still = np.flatnonzero(np.array(self.speed_mps) < 0.05)
        return float(self.bumper_x_m[still[0]]) if len(still) else None


def boxes(
    things: Sequence[Thing],
    pose: Pose,
    time_s: float,
    rng: np.random.Generator,
    noise_px: float,
    max_m: float = 45.0,
) -> Detections:
    """The things in view as a detector would report them."""
    camera = CAR.camera
    eye = compose(pose, camera.mount)
    found, labels = [], []
    for thing in things:
        solid = thing.corners(time_s)
        corners = project(solid, camera, eye)
        if np.isnan(corners).any():
            continue
        if np.hypot(*(solid.mean(axis=0)[:2] - (eye.x_m, eye.y_m))) > max_m:
            continue
        whole = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        whole += rng.normal(0, noise_px, 4)
        box = np.clip(whole, 0, [camera.width_px, camera.height_px] * 2)
        if (box[2] - box[0]) * (box[3] - box[1]) > 0.5 * (whole[2] - whole[0]) * (
            whole[3] - whole[1]
        ):
            found.append(box)
            labels.append(thing.label)
    if not found:
        return Detections.none()
    return Detections(np.array(found), np.full(len(found), 0.9), tuple(labels))


def drive(
    route: Route,
    things: Sequence[Thing],
    *,
    seed: int = 0,
    start_mps: float = 8.0,
    seconds: float = 20.0,
    gnss_std_m: float = 0.5,
    noise_px: float = 1.0,
    latency_ticks: int = 1,
    scale: float = 1.0,
    edit: Callable[[Detections, int], Detections] = lambda seen, image: seen,
    recipe: Modular | None = None,
    car: CarInfo = CAR,
    prepare: Callable[[ModularDriver], None] = lambda driver: None,
) -> Run:
    """Close the loop.

    Args:
        latency_ticks: from capture to verdict.
        scale: of the pedals' effect, so that the car differs from what the policy assumes.
        edit: changes what is detected, given the number of the image.
        car: says what it senses with.
        prepare: is given the driver.
    """
    rng = np.random.default_rng(seed)
    driver = ModularDriver(recipe or Modular(), car, route)
    prepare(driver)
    solids = [thing.solid() for thing in things]
    ranged: dict[str, Floats] = {}
    run = Run()
    first, second = route.points[0], route.points[1]
    yaw = float(np.arctan2(second[1] - first[1], second[0] - first[0]))
    x, y, speed, turn, felt = float(first[0]), float(first[1]), start_mps, 0.0, 0.0
    pipeline: list[tuple[int, float, Detections]] = []
    verdict, captured_s = Verdict(Detections.none()), float("nan")
    for tick in range(round(seconds / TICK_S)):
        time_s = tick * TICK_S
        if tick % 2 == 0:
            seen = boxes(things, Pose(x, y, 0.0, yaw_rad=yaw), time_s, rng, noise_px)
            pipeline.append((tick + latency_ticks, time_s, edit(seen, tick // 2)))
            here = Pose(x, y, yaw_rad=yaw)
            if car.lidar is not None:
                ranged["lidar"] = scan(car.lidar, here, solids, time_s, rng=rng)
            if car.radar is not None:
                velocity = speed * np.array([np.cos(yaw), np.sin(yaw)])
                ranged["radar"] = returns(car.radar, here, velocity, solids, rng, time_s)
        while pipeline and pipeline[0][0] <= tick:
            _, captured_s, seen = pipeline.pop(0)
            verdict = Verdict(seen)
        fix = np.array([x, y]) + rng.normal(0, gnss_std_m, 2)
        obs = {
            "gnss": np.array(
                [
                    ORIGIN[0] + np.rad2deg(fix[1] / EARTH_RADIUS_M),
                    ORIGIN[1] + np.rad2deg(fix[0] / EARTH_RADIUS_M / np.cos(np.deg2rad(ORIGIN[0]))),
                    0.0,
                ]
            ),
            "imu": np.array(
                [felt, 0, 9.81, 0, 0, turn + rng.normal(0, 0.001), yaw + np.pi / 2], dtype=float
            ),
            "speed": np.array([speed]),
            **ranged,
        }
        obs = {name: value for name, value in obs.items() if name in car.sensors}
        obs["clock"] = np.array([time_s, captured_s])
        steer, throttle, brake = action = driver.act(obs, verdict)
        run.time_s.append(time_s)
        run.pose.append((x, y, yaw))
        run.speed_mps.append(speed)
        run.action.append(action)
        push = scale * (4.4 * throttle - 8.8 * brake) - 0.12 - 0.0003 * speed**2
        turn = speed * np.tan(steer * CAR.lock_rad(speed)) / CAR.wheelbase_m
        # The rear axle rolls straight on; the middle of the car swings out.
        aside = turn * CAR.wheelbase_m / 2
        middle = yaw + turn * TICK_S / 2
        x += (speed * np.cos(middle) - aside * np.sin(middle)) * TICK_S
        y += (speed * np.sin(middle) + aside * np.cos(middle)) * TICK_S
        yaw += turn * TICK_S
        before, speed = speed, max(speed + push * TICK_S, 0.0)
        felt = (speed - before) / TICK_S
    return run
