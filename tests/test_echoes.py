"""LiDAR and radar messages as arrays, against the server's own rays."""

from __future__ import annotations

import numpy as np
import pytest

from simattack import echoes
from simattack.sensors import Lidar, Radar
from simattack.server.sensors.lidar import Lidar as Fan
from simattack.server.sensors.radar import Radar as Cone

TICK_S = 0.05


def fan(lidar: Lidar) -> Fan:
    options = echoes.lidar_options(lidar, TICK_S, 2, 0)
    return Fan.of("sensor.lidar.ray_cast", dict(options))


def test_a_look_of_the_lidar_is_one_whole_turn_of_all_its_firings() -> None:
    made = fan(Lidar())
    assert made.columns(TICK_S) == 1024
    assert made.directions(0.0, TICK_S).shape == (16, 1024, 3)
    # A turn later it stands where it began, or a float's breadth before the end of the turn.
    assert made.turned(0.0, TICK_S) == pytest.approx(0.0, abs=1e-9)
    assert echoes.lidar_options(Lidar(), TICK_S, 2, 0)["sensor_tick"] == "0.100000"


def test_points_to_a_range_image_and_back_lose_less_than_a_millimetre() -> None:
    lidar = Lidar()
    rng = np.random.default_rng(3)
    # A fan that has not quite come round, as floating point leaves it.
    rays = fan(lidar).directions(359.99999, TICK_S)
    ranges = rng.uniform(1.0, 100.0, rays.shape[:2])
    is_back = rng.random(rays.shape[:2]) < 0.8
    cloud = (rays * ranges[..., None])[is_back].astype(np.float32)
    light = rng.random(len(cloud)).astype(np.float32)
    image = echoes.scan(lidar, is_back.sum(1).tolist(), np.column_stack([cloud, light]))
    assert image.shape == (16, 1024, 2) and image.dtype == np.float32
    assert (image[..., 0] > 0).sum() == is_back.sum()
    # The sensor stands on its mount, turned to the right by half a column.
    turn = np.pi / 1024
    x, y, z = cloud.astype(float).T
    here = np.column_stack(
        [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn), z + 1.9]
    )
    assert echoes.lidar_yaw_rad(lidar) == pytest.approx(turn)
    there = lidar.points(image)
    order = [np.lexsort(np.round(points, 2).T) for points in (here, there)]
    assert np.abs(here[order[0]] - there[order[1]]).max() < 1e-3 < lidar.range_std_m
    assert np.sort(image[..., 1][image[..., 0] > 0]) == pytest.approx(np.sort(light))


def test_a_firing_without_return_is_zero_in_its_own_place() -> None:
    lidar = Lidar(channels=2, columns=4)
    # One point ahead in the upper channel: column 2 is fired at azimuth 0, seen by the sensor.
    image = echoes.scan(lidar, [1, 0], np.array([[5.0, 0.0, 0.0, 0.7]], np.float32))
    assert image[0, 2] == pytest.approx([5.0, 0.7])
    assert np.count_nonzero(image) == 2


def test_radar_returns_are_sorted_by_range_and_come_nearer_with_a_minus() -> None:
    # CARLA tells velocity, azimuth, altitude and depth.
    told = np.array([[-3, 0.1, 0.02, 40], [2, -0.1, 0.0, 10], [-1, -0.2, 0, 10]], np.float32)
    found = echoes.returns(Radar(slots=4), told)
    assert found.dtype == np.float32
    assert found == pytest.approx(
        np.array([[10, -0.2, 0, -1], [10, -0.1, 0, 2], [40, 0.1, 0.02, -3], [0, 0, 0, 0]])
    )
    assert (found == echoes.returns(Radar(slots=4), told[::-1])).all()
    assert echoes.returns(Radar(slots=2), told)[:, 0] == pytest.approx([10, 10])


def test_a_look_of_the_radar_never_has_more_beams_than_slots() -> None:
    options = echoes.radar_options(Radar(), TICK_S, 0)
    cone = Cone.of("sensor.other.radar", dict(options))
    assert int(cone.points_per_second * TICK_S + 1e-6) == 128
    assert (cone.horizontal_deg, cone.vertical_deg) == pytest.approx((40.0, 10.0))
