from __future__ import annotations

import carla
import numpy as np
import pytest

from simattack.policies.localisation import (
    Localiser,
    from_frame,
    into_frame,
    world_from_gnss,
    yaw_from_compass,
)
from simattack.resources import find

ORIGIN = (49.0, 8.0)


def observation(time_s, x=0.0, y=0.0, yaw=0.0, speed=0.0, turn=0.0):
    earth = 6378137.0 * 0.9996
    latitude = ORIGIN[0] + np.rad2deg(y / earth)
    longitude = ORIGIN[1] + np.rad2deg(x / earth / np.cos(np.deg2rad(latitude)))
    return {
        "gnss": np.array([latitude, longitude, 0.0]),
        "imu": np.array([0, 0, 9.81, 0, 0, turn, yaw + np.pi / 2]),
        "speed": np.array([speed]),
        "clock": np.array([time_s, time_s]),
    }


def test_a_fix_lands_where_carla_says_it_came_from():
    path = find("scenarios/maps/town.xodr")
    town = carla.Map("town", path.read_text())
    zero = town.transform_to_geolocation(carla.Location(0, 0, 0))
    for x, y in [(0, 0), (300, -400), (-290, 290), (-500, 700)]:
        fix = town.transform_to_geolocation(carla.Location(x, y, 0))
        here = world_from_gnss(fix.latitude, fix.longitude, (zero.latitude, zero.longitude))
        assert here == pytest.approx([x, y], abs=0.01)


@pytest.mark.parametrize(
    "compass, yaw",
    [(np.pi / 2, 0.0), (0.0, -np.pi / 2), (np.pi, np.pi / 2), (6.0, 6.0 - np.pi / 2 - 2 * np.pi)],
)
def test_the_compass_reads_zero_to_the_north_and_a_quarter_to_the_east(compass, yaw):
    assert yaw_from_compass(compass) == pytest.approx(yaw)


def test_a_pose_frame_has_x_ahead_and_y_to_the_right():
    facing_south = np.array([10.0, 20.0, np.pi / 2])  # world +y
    assert into_frame(np.array([[10.0, 25.0]]), facing_south)[0] == pytest.approx([5.0, 0.0])
    assert into_frame(np.array([[7.0, 20.0]]), facing_south)[0] == pytest.approx([0.0, 3.0])
    there = np.array([[3.0, -2.0], [0.5, 8.0]])
    assert into_frame(from_frame(there, facing_south), facing_south) == pytest.approx(there)


def test_noise_of_half_a_metre_is_averaged_out_on_the_way():
    rng = np.random.default_rng(4)
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    errors = []
    for tick in range(200):
        time_s, x = tick * 0.05, tick * 0.05 * 8
        noise = rng.normal(0, 0.5, 2)
        localiser.update(
            observation(time_s, x + noise[0], noise[1], rng.normal(0, 0.02), speed=8.0)
        )
        errors.append(localiser.pose[:2] - [x, 0])
    assert np.sqrt(np.mean(np.square(errors[60:]))) < 0.15


def test_odometry_ignores_the_fixes_and_remembers_where_it_was():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    rng = np.random.default_rng(0)
    for tick in range(41):
        localiser.update(
            observation(tick * 0.05, *rng.normal(0, 5, 2), speed=2.0, turn=np.pi / 4, yaw=0.1)
        )
    # A quarter turn to the right in 2 s on a circle of radius 2 / (pi / 4) = 2.546 m.
    assert localiser.odometry == pytest.approx([2.546, 2.546, np.pi / 2], abs=0.002)
    assert localiser.odometry_at(1.0)[2] == pytest.approx(np.pi / 4)
    assert localiser.odometry_at(0.975)[2] == pytest.approx(np.pi / 4 * 0.975)


def test_a_first_fix_at_the_seam_of_the_compass_does_not_turn_the_car_round():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    for tick, yaw in enumerate([3.13, -3.13, 3.14, -3.14] * 5):
        localiser.update(observation(tick * 0.05, yaw=yaw))
        assert abs(abs(localiser.pose[2]) - np.pi) < 0.05


def test_a_pose_is_refused_before_the_first_observation():
    with pytest.raises(RuntimeError, match="call update first"):
        _ = Localiser(ORIGIN, 0.5, 0.02).pose


def test_without_a_fix_it_goes_on_by_wheels_gyroscope_and_compass():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    for tick in range(40):
        localiser.update(observation(tick * 0.05, tick * 0.4, speed=8.0))
    for tick in range(40, 140):
        blind = observation(tick * 0.05, speed=8.0)
        blind["gnss"] = np.full(3, np.nan if tick % 2 else np.inf)
        localiser.update(blind)
    assert localiser.pose == pytest.approx([139 * 0.4, 0, 0], abs=0.02)
    # 5 s at 8 m/s by wheels of 1.5 cm a root of a metre, and by a compass that holds the heading.
    assert 0.09 < np.sqrt(localiser._spread[0, 0]) < 0.2
    assert np.sqrt(localiser._spread[2, 2]) < 0.01


def test_the_compass_alone_still_turns_the_pose():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    localiser.update(observation(0.0))
    for tick in range(1, 60):
        blind = observation(tick * 0.05, yaw=0.1)
        blind["gnss"] = np.full(3, np.inf)
        localiser.update(blind)
    assert localiser.pose[2] == pytest.approx(0.1, abs=0.02)


def test_the_first_fix_may_come_late():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    blind = observation(0.0, speed=8.0)
    blind["gnss"] = np.full(3, np.inf)
    localiser.update(blind)
    assert not localiser.has_pose
    localiser.update(observation(0.05, 12.0, 3.0, speed=8.0))
    assert localiser.has_pose
    assert localiser.pose[:2] == pytest.approx([12.0, 3.0], abs=0.01)
