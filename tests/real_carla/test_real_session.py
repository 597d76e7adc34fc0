"""A session on a CARLA server that somebody else started: the embedded one, or CARLA's own.

Tolerances allow for another renderer and another physics engine: what is tested is that a
session works there, not that two simulators agree.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simattack.errors import ConfigError
from simattack.geometry import project
from simattack.session import Session, SpawnBlocked
from simattack.types import Camera, CarInfo, Pose, Weather

SIGN = "stop_sign_0"


def drive(session: Session, ticks: int, steer: float, throttle: float, brake: float) -> float:
    """Hold one control for so many ticks; the speed at their end [m/s]."""
    for _ in range(ticks):
        session.control(np.array([steer, throttle, brake]))
        frame = session.tick()
    return frame.ego.speed_mps


def test_client_and_server_speak_version_0_9_16(session: Session) -> None:
    client = session._client
    assert client.get_server_version() == client.get_client_version() == "0.9.16"


def test_the_loaded_map_is_the_shipped_town_with_its_lanes(session: Session) -> None:
    session.clear()
    route = session.route_to(SIGN, 60.0)
    steps = np.linalg.norm(np.diff(route.points[:, :2], axis=0), axis=1)
    assert np.allclose(steps, 1.0, atol=0.1)
    line = session.stop_line(SIGN).mean(0)
    assert np.abs(np.linalg.norm(route.points[:, :2] - line[:2], axis=1)).min() < 1.0
    assert len(session.road.spawn_points) > 20


def test_a_tick_is_a_twentieth_of_a_second_and_ticks_are_counted(parked: Session) -> None:
    before = parked._world.get_snapshot()
    frame = parked.tick()
    after = parked._world.get_snapshot()
    assert after.frame == before.frame + 1
    elapsed_s = after.timestamp.elapsed_seconds - before.timestamp.elapsed_seconds
    assert elapsed_s == pytest.approx(0.05, abs=1e-4)
    assert frame.time_s == pytest.approx(frame.tick * 0.05)


def test_weather_is_taken_and_given_back(session: Session) -> None:
    session.clear()
    session.set_weather(Weather(cloudiness=70.0, sun_altitude_angle=20.0, fog_density=5.0))
    session.tick()
    told = session._world.get_weather()
    assert told.cloudiness == pytest.approx(70.0)
    assert told.sun_altitude_angle == pytest.approx(20.0)
    assert told.fog_density == pytest.approx(5.0)


def test_a_dark_sky_makes_a_darker_picture(parked: Session) -> None:
    means = []
    for altitude in (60.0, -30.0):
        parked.set_weather(Weather(sun_altitude_angle=altitude))
        for _ in range(4):
            parked.tick()
        means.append(float(parked.observe()["camera"].mean()))
    assert means[1] < means[0] - 10


def test_the_ego_stands_where_it_was_put(parked: Session) -> None:
    asked = parked.start_pose(parked.route_to(SIGN, 12.0))
    ego = parked.tick().ego
    assert ego.kind == "vehicle.lincoln.mkz_2020"
    assert np.hypot(ego.pose.x_m - asked.x_m, ego.pose.y_m - asked.y_m) < 0.5
    assert np.cos(ego.pose.yaw_rad - asked.yaw_rad) > 0.999
    assert abs(ego.pose.z_m - asked.z_m) < 0.3 and ego.speed_mps < 0.2


def test_the_ego_steers_as_far_as_its_driver_is_told(parked: Session) -> None:
    parameters, car = parked._ego.get_physics_control(), CarInfo()
    lock_deg = np.rad2deg(car.max_steer_rad)
    assert parameters.wheels[0].max_steer_angle == pytest.approx(lock_deg, abs=1.0)
    told = [(3.6 * speed_mps, factor) for speed_mps, factor in car.steering_curve]
    curve = [(point.x, point.y) for point in parameters.steering_curve]
    assert curve == [pytest.approx(point, abs=0.01) for point in told]


def test_every_sensor_of_the_car_tells_something_sensible(parked: Session) -> None:
    parked.tick()
    obs = parked.observe()
    assert obs["camera"].shape == (480, 640, 3) and obs["camera"].dtype == np.uint8
    assert obs["camera"].std() > 10
    assert obs["depth"].shape == (480, 640)
    assert 0.5 < np.median(obs["depth"]) <= 1000
    assert obs["gnss"].shape == (3,) and np.isfinite(obs["gnss"]).all()
    push, turn = obs["imu"][:3], obs["imu"][3:6]
    assert np.linalg.norm(push) == pytest.approx(9.81, abs=0.5)
    assert np.abs(turn).max() < 0.1
    assert float(obs["speed"][0]) < 0.2


def test_the_camera_takes_every_second_tick(parked: Session) -> None:
    times = []
    for _ in range(6):
        frame = parked.tick()
        times.append((frame.time_s, float(parked.observe()["clock"][1])))
    ages = [round((now - taken) / 0.05) for now, taken in times]
    assert set(ages) == {0, 1} and ages[:2] == ages[2:4] == ages[4:]


def test_the_depth_camera_sees_the_road_below_it(parked: Session) -> None:
    parked.tick()
    pose, camera = parked.camera_pose(), Camera()
    ahead = np.array([np.cos(pose.yaw_rad), np.sin(pose.yaw_rad), 0.0])
    ground = np.array([pose.x_m, pose.y_m, 0.0]) + 8.0 * ahead
    x, y = project(ground[None], camera, pose)[0]
    # On real CARLA the car sinks into its springs: half a metre at 8 m is a degree of pitch.
    assert parked.observe()["depth"][int(y), int(x)] == pytest.approx(8.0, abs=0.8)


def test_throttle_drives_on_steering_turns_and_the_brake_stops(parked: Session) -> None:
    start = parked.tick().ego.pose
    assert drive(parked, 40, 0.0, 0.8, 0.0) > 2.0
    straight = parked.tick().ego.pose
    ahead = np.array([np.cos(start.yaw_rad), np.sin(start.yaw_rad)])
    moved = np.array([straight.x_m - start.x_m, straight.y_m - start.y_m])
    assert moved @ ahead > 2.0
    assert abs(ahead[0] * moved[1] - ahead[1] * moved[0]) < 0.5
    drive(parked, 20, 0.5, 0.4, 0.0)
    turned = parked.tick().ego.pose
    # Right is positive, in steering as in yaw.
    assert np.sin(turned.yaw_rad - straight.yaw_rad) > 0.05
    assert drive(parked, 80, 0.0, 0.0, 1.0) < 0.2


def test_a_car_can_be_placed_with_a_speed(parked: Session) -> None:
    far = parked.start_pose(parked.route_to(SIGN, 60.0))
    parked.control(np.zeros(3))
    parked.place(None, far, speed_mps=8.0)
    ego = parked.tick().ego
    assert np.hypot(ego.pose.x_m - far.x_m, ego.pose.y_m - far.y_m) < 1.0
    assert ego.speed_mps == pytest.approx(8.0, abs=1.0)


def test_a_taken_place_and_an_unknown_blueprint_are_told(parked: Session) -> None:
    here = parked.tick().ego.pose
    with pytest.raises(SpawnBlocked, match="the place is taken"):
        parked.spawn("vehicle.tesla.model3", here)
    with pytest.raises(ConfigError, match=r"did you mean 'vehicle\.tesla\.model3'"):
        parked.spawn("vehicle.tesla.model", here)


def test_others_appear_in_the_truth_and_a_crash_into_one_is_told(parked: Session) -> None:
    far = parked.start_pose(parked.route_to(SIGN, 60.0))
    ahead = Pose(
        far.x_m + 12 * np.cos(far.yaw_rad), far.y_m + 12 * np.sin(far.yaw_rad), far.z_m,
        yaw_rad=far.yaw_rad,
    )  # fmt: skip
    other = parked.spawn("vehicle.tesla.model3", ahead)
    parked.place(None, far, speed_mps=10.0)
    parked.control(np.zeros(3))
    for _ in range(40):
        frame = parked.tick()
    assert [actor.id for actor in frame.others] == [other]
    assert other in {hit.other_id for _, hit in parked.collisions()}


def test_a_painted_sign_changes_where_it_is_and_is_given_back(parked: Session) -> None:
    surface = parked.surface(SIGN)
    corners = project(surface.corners_m, Camera(), parked.camera_pose())
    (left, top), (right, bottom) = corners.min(0).astype(int), corners.max(0).astype(int) + 1
    assert right - left > 10 and 0 <= left and right <= 640

    def look() -> np.ndarray:
        for _ in range(4):
            parked.tick()
        return parked.observe()["camera"].astype(int)

    before = look()
    green = np.zeros_like(surface.texture) + np.array([0, 255, 0], np.uint8)
    try:
        parked.paint(surface, green)
    except ConfigError as error:
        pytest.skip(f"neither the sign nor a carrier takes a texture there: {error}")
    painted = look()
    change = np.abs(painted - before).sum(2)
    inside = np.zeros(change.shape, bool)
    inside[top:bottom, left:right] = True
    assert change[inside].mean() > 40
    assert change[~inside].mean() < 5
    parked.restore(surface)
    again = np.abs(look() - before).sum(2)
    assert again[inside].mean() < change[inside].mean() / 5


def test_an_object_that_the_world_has_not_is_refused_in_one_line(parked: Session) -> None:
    strange = dataclasses.replace(parked.surface(SIGN), object_name="NoSuchThing_0")
    with pytest.raises(ConfigError, match="has no object 'NoSuchThing_0' to paint"):
        parked.paint(strange, strange.texture)


def test_three_resets_leave_an_empty_world_that_drives_on(session: Session) -> None:
    for round_ in range(3):
        session.clear()
        route = session.route_to(SIGN, 30.0)
        session.spawn_ego(session.start_pose(route), seed=round_)
        frame = session.tick()
        assert (frame.tick, frame.others) == (0, ())
        assert session.observe()["camera"].shape == (480, 640, 3)
        assert session.collisions() == []
    vehicles = session._world.get_actors().filter("vehicle.*")
    assert [actor.type_id for actor in vehicles] == ["vehicle.lincoln.mkz_2020"]
    assert drive(session, 60, 0.0, 0.8, 0.0) > 2.0
