"""The car in the embedded server, by LiDAR and radar alone: minutes on a slow machine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simattack.policies.modular import Modular
from simattack.session import EGO_KIND, Session
from simattack.stack import Stack
from simattack.staging import fitted
from simattack.types import Detections, Pose

pytestmark = pytest.mark.slow
BLIND = ("lidar", "radar", "gnss", "imu", "speed")
SITE = "stop_sign_0"  # 90 m of straight road before it


class Nothing:
    latency_s = 0.0

    def detect(self, images):
        return [Detections.none() for _ in images]


@pytest.fixture(scope="module")
def session():
    with Session.launch() as opened:
        yield opened


def drive(session, sensors, speed_mps, seconds, place):
    """(route, ego's states and those of what ``place(session, route)`` put there, by tick)."""
    session.clear()
    route = session.route_to(SITE, 90.0, 5.0)
    route = replace(route, speed_limit_mps=np.full(len(route.points), speed_mps))
    car, start = fitted(sensors, session.tick_s), session.start_pose(route)
    session.spawn_ego(start, car=car)
    session.place(None, start, speed_mps=speed_mps)
    place(session, route)
    stack = Stack(Nothing(), Modular(), car, route, np.random.default_rng(0))
    frames = [session.tick()]
    for _ in range(round(seconds / session.tick_s)):
        session.control(stack.act(session.observe()).action)
        frames.append(session.tick())
    return route, [frame.ego for frame in frames], [frame.others[0] for frame in frames]


@pytest.mark.parametrize("sensor", ["lidar", "radar"])
def test_it_stops_behind_a_standing_car_that_one_sensor_sees(session, sensor):
    def place(session, route):
        pose = Pose(*map(float, route.points[60]), yaw_rad=session.start_pose(route).yaw_rad)
        session.place(session.spawn(EGO_KIND, pose), pose, freeze=True)

    sensors = (sensor, "gnss", "imu", "speed")
    _, ego, other = drive(session, sensors, 8.0, 13.0, place)
    apart = np.hypot(ego[-1].pose.x_m - other[-1].pose.x_m, ego[-1].pose.y_m - other[-1].pose.y_m)
    gap = apart - ego[-1].half_extent_m[0] - other[-1].half_extent_m[0]
    assert 3.5 < gap < 5.5
    assert ego[-1].speed_mps < 0.05
    assert session.collisions() == []


def test_it_lets_a_person_cross_and_goes_on(session):
    def place(session, route):
        yaw = session.start_pose(route).yaw_rad
        # 50 m on, at the middle of the lane when the car would be there after 6.25 s.
        x, y, z = route.points[52] + 1.4 * 6.25 * np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        facing = yaw - np.pi / 2
        walker = session.spawn("walker.pedestrian.0001", Pose(x, y, z + 1.0, yaw_rad=facing))
        session.walk(walker, facing, 1.4)

    route, ego, walker = drive(session, BLIND, 8.0, 15.0, place)
    own = np.array([[state.pose.x_m, state.pose.y_m] for state in ego])
    its = np.array([[state.pose.x_m, state.pose.y_m] for state in walker])
    assert np.hypot(*(own - its).T).min() > 2.0
    assert session.collisions() == []
    went = np.hypot(*(own[-1] - route.points[0][:2]))
    assert went > 60.0
    speed = np.array([state.speed_mps for state in ego])
    assert np.diff(speed[4:]).min() / session.tick_s > -5.0
