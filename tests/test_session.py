"""A session against the embedded server, through CARLA's own client."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from simattack.errors import ConfigError, ServerGone, SetupError
from simattack.geometry import project
from simattack.server_process import ServerProcess
from simattack.session import Session, SpawnBlocked
from simattack.types import Camera, CarInfo, Lidar, Pose, Radar

SIGN = "stop_sign_0"


@pytest.fixture
def parked(session: Session) -> Session:
    """The ego standing 12 m before the line of SIGN."""
    session.clear()
    route = session.route_to(SIGN, 12.0)
    session.spawn_ego(session.start_pose(route), {"camera": "rgb", "depth": "depth"})
    return session


def test_somebody_held_still_stands_on_the_ground_as_before(parked: Session) -> None:
    there = parked.lane(10.0)
    walker = parked.spawn("walker.pedestrian.0001", there)
    car = parked.spawn("vehicle.tesla.model3", parked.lane(25.0))

    def feet_m() -> list[float]:
        states = {state.id: state for state in parked.tick().others}
        return [
            states[i].pose.z_m + states[i].box_middle_m[2] - states[i].half_extent_m[2]
            for i in (walker, car)
        ]

    stood = feet_m()
    parked.freeze()
    held = feet_m()
    assert held == pytest.approx(stood, abs=0.03) and held[0] == pytest.approx(there.z_m, abs=0.1)


def test_an_observation_has_the_shapes_that_types_promises(parked: Session) -> None:
    frame = parked.tick()
    obs = parked.observe()
    assert obs["camera"].shape == (480, 640, 3)
    assert obs["camera"].dtype == np.uint8
    assert [obs[name].shape for name in ("gnss", "imu", "speed", "clock")] == [
        (3,),
        (7,),
        (1,),
        (2,),
    ]
    assert frame.tick == 0
    assert frame.ego.kind.startswith("vehicle.")


def test_the_camera_takes_every_second_tick(parked: Session) -> None:
    captured = []
    for _ in range(4):
        parked.tick()
        captured.append(float(parked.observe()["clock"][1]))
    assert np.allclose(captured, [0.0, 0.0, 0.1, 0.1])


@pytest.mark.journey
def test_lidar_and_radar_tell_the_tail_of_a_parked_car_and_how_fast_it_comes_nearer(
    session: Session,
) -> None:
    session.clear()
    route = session.route_to(SIGN, 40.0)
    start = session.start_pose(route)
    car = CarInfo(lidar=Lidar(), radar=Radar(), without=("camera", "imu"))
    session.spawn_ego(start, car=car, seed=4)
    ahead = np.array([np.cos(start.yaw_rad), np.sin(start.yaw_rad)])
    x_m, y_m = np.array([start.x_m, start.y_m]) + 20.0 * ahead
    session.place(None, start, speed_mps=5.0)
    session.spawn("vehicle.audi.tt", Pose(x_m, y_m, start.z_m, yaw_rad=start.yaw_rad))
    looks = []
    for _ in range(3):
        frame = session.tick()
        looks.append(dict(session.observe()))
    assert set(looks[0]) == set(car.sensors) | {"clock"} == {
        "lidar", "radar", "gnss", "speed", "clock",
    }  # fmt: skip
    assert looks[1]["lidar"] is looks[0]["lidar"] and looks[1]["radar"] is looks[0]["radar"]
    assert [look["clock"][1] for look in looks] == pytest.approx([0.0, 0.0, 0.1])
    other, ego = frame.others[0], frame.ego
    gap_m = np.hypot(other.pose.x_m - ego.pose.x_m, other.pose.y_m - ego.pose.y_m)
    tail_m = gap_m - other.half_extent_m[0]
    points = car.lidar.points(looks[2]["lidar"])
    on_car = (abs(points[:, 1]) < 0.8) & (points[:, 2] > 0.3) & (abs(points[:, 0] - 20) < 4)
    assert on_car.sum() > 20
    # A sloping tail: its rearmost part is the bumper.
    assert points[on_car, 0].min() == pytest.approx(tail_m, abs=0.25)
    # The car's own body is not in the scan: the nearest that comes back, all around, is the road
    # under the lowest laser, 1.9 m / tan(15 deg) away.
    low = points[points[:, 2] < 0.1]
    away = np.hypot(low[:, 0], low[:, 1])
    assert away.min() == pytest.approx(1.9 / np.tan(np.deg2rad(15)), abs=0.5)
    body = (abs(points[:, 0]) < 2.6) & (abs(points[:, 1]) < 1.1) & (points[:, 2] < 1.9)
    assert body.sum() == 0
    returns = looks[2]["radar"]
    returns = returns[returns[:, 0] > 0]
    assert 20 < len(returns) <= 128
    level = np.cos(returns[:, 1]) * np.cos(returns[:, 2])
    speed = float(looks[2]["speed"][0])
    assert returns[:, 3] == pytest.approx(-speed * level, abs=0.3)
    depth = returns[:, 0] * level + car.radar.mount.x_m
    assert np.abs(depth - tail_m).min() < 0.25
    session.clear()


def test_the_sign_is_where_the_catalogue_and_the_camera_say(parked: Session) -> None:
    parked.tick()
    surface = parked.surface(SIGN)
    corners = project(surface.corners_m, Camera(), parked.camera_pose())
    before = parked.observe()["camera"].astype(int)
    parked.paint(surface, np.full_like(surface.texture, 255) * np.array([0, 1, 0], np.uint8))
    parked.tick()
    parked.tick()
    after = parked.observe()["camera"].astype(int)
    changed = np.argwhere(np.abs(after - before).sum(2) > 60)
    low, high = changed.min(0), changed.max(0) + 1
    assert np.allclose(low[::-1], corners.min(0), atol=1.5)
    assert np.allclose(high[::-1], corners.max(0), atol=1.5)


def test_restoring_a_surface_gives_the_same_picture_again(parked: Session) -> None:
    parked.tick()
    before = parked.observe()["camera"]
    surface = parked.surface(SIGN)
    parked.paint(surface, np.zeros_like(surface.texture))
    parked.restore(surface)
    parked.tick()
    parked.tick()
    assert np.array_equal(before, parked.observe()["camera"])


def test_the_depth_camera_measures_the_way_to_the_sign(parked: Session) -> None:
    parked.tick()
    centre = parked.surface(SIGN).corners_m.mean(0)
    pose = parked.camera_pose()
    x, y = project(centre[None], Camera(), pose)[0]
    ahead = np.array([np.cos(pose.yaw_rad), np.sin(pose.yaw_rad), 0])
    expected = (centre - (pose.x_m, pose.y_m, pose.z_m)) @ ahead
    assert parked.observe()["depth"][int(y), int(x)] == pytest.approx(expected, abs=0.05)


def test_throttle_drives_and_brake_stops(parked: Session) -> None:
    parked.tick()
    for _ in range(40):
        parked.control(np.array([0.0, 0.8, 0.0]))
        frame = parked.tick()
    assert frame.ego.speed_mps > 3
    for _ in range(60):
        parked.control(np.array([0.0, 0.0, 1.0]))
        frame = parked.tick()
    assert frame.ego.speed_mps == 0.0
    assert float(parked.observe()["speed"][0]) == 0.0


def test_two_resets_with_one_seed_sense_the_same_bytes(session: Session) -> None:
    seen = []
    for _ in range(2):
        session.clear()
        session.spawn_ego(session.start_pose(session.route_to(SIGN, 30.0)), seed=5)
        session.tick()
        obs = session.observe()
        seen.append([obs[name].tobytes() for name in sorted(obs)])
    assert seen[0] == seen[1]


def test_gnss_noise_depends_on_the_seed(session: Session) -> None:
    fixes = []
    for seed in (1, 2):
        session.clear()
        session.spawn_ego(session.start_pose(session.route_to(SIGN, 30.0)), seed=seed)
        session.tick()
        fixes.append(session.observe()["gnss"].tobytes())
    assert fixes[0] != fixes[1]


def test_driving_into_a_parked_car_is_a_collision_with_an_impulse(session: Session) -> None:
    session.clear()
    start = session.start_pose(session.route_to(SIGN, 60.0))
    session.spawn_ego(start)
    session.place(None, start, speed_mps=10.0)
    ahead = Pose(
        start.x_m + 12 * np.cos(start.yaw_rad), start.y_m + 12 * np.sin(start.yaw_rad), start.z_m,
        yaw_rad=start.yaw_rad,
    )  # fmt: skip
    other = session.spawn("vehicle.tesla.model3", ahead)
    for _ in range(30):
        session.tick()
    hits = session.collisions()
    assert hits
    assert {hit.other_id for _, hit in hits} == {other}
    assert np.linalg.norm(hits[0][1].impulse_ns) > 1000


def test_a_taken_place_and_an_unknown_blueprint_are_told(parked: Session) -> None:
    here = parked.tick().ego.pose
    with pytest.raises(SpawnBlocked, match="the place is taken"):
        parked.spawn("vehicle.tesla.model3", here)
    with pytest.raises(ConfigError, match=r"did you mean 'vehicle\.tesla\.model3'"):
        parked.spawn("vehicle.tesla.model", here)


def test_an_unknown_surface_gets_a_hint(session: Session) -> None:
    with pytest.raises(ConfigError, match="did you mean 'stop_sign_"):
        session.surface("stop_sing_0")


@pytest.mark.journey
def test_a_killed_server_is_told_in_one_line_and_leaves_no_process() -> None:
    with Session.launch() as doomed:
        doomed.spawn_ego(doomed.start_pose(doomed.route_to(SIGN, 30.0)))
        doomed.tick()
        pid = doomed.server_pid
        assert pid is not None
        os.kill(pid, 9)
        started = time.monotonic()
        with pytest.raises(ServerGone, match="CARLA server at"):
            doomed.tick()
        assert time.monotonic() - started < 40
    with pytest.raises(ProcessLookupError):  # nor a zombie
        os.kill(pid, 0)


def test_nobody_at_the_port_is_told_at_once() -> None:
    with pytest.raises(ServerGone, match="simattack serve"):
        Session.connect("127.0.0.1", 1)


@pytest.mark.journey
def test_a_server_that_cannot_start_gives_its_own_reason(tmp_path: Path) -> None:
    bad = tmp_path / "bad.xodr"
    bad.write_text("<OpenDRIVE/>")
    with pytest.raises(SetupError, match="did not start: expected an OpenDRIVE map with roads"):
        ServerProcess(bad)


@pytest.mark.journey
def test_the_server_ends_with_the_session() -> None:
    session = Session.launch()
    pid = session.server_pid
    session.close()
    session.close()
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
