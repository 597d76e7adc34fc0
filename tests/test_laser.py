"""What a LiDAR collects of its echoes and of a light, and what its firings would meet."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simattack.laser import Beam, Receiver, lidar_of, turn_to
from simattack.silhouette import OUTLINES, ranges_m
from simattack.types import Lidar, Pose


def test_an_echo_is_as_strong_as_a_diffuse_surface_sends_it_back():
    """30 W * 0.5 * pi (6 mm)^2 / (pi (10 m)^2) = 5.4 uW, a quarter of it from 20 m."""
    echo_w = Receiver().echo_w(np.array([10.0, 20.0]))
    assert echo_w == pytest.approx([5.4e-6, 1.35e-6])


def test_a_pulse_wins_over_what_comes_from_farther_away():
    ranges = np.array([9.9, 10.1, 0.0], np.float32)
    assert Receiver().beats(5.4e-6, ranges, 9.0).tolist() == [False, True, False]
    assert Receiver().beats(5.4e-6, ranges, 11.0).tolist() == [False, True, True]
    assert not Receiver().beats(0.0, ranges, 100.0).any()


def test_a_firing_half_a_field_of_view_aside_takes_in_half():
    sensor = Receiver(fov_deg=3.0, fov_up_deg=15.0)
    aside, above = np.radians([0.0, 1.5, 0.0, 1.5]), np.radians([0.0, 0.0, 7.5, 7.5])
    assert sensor.response(aside, above) == pytest.approx([1.0, 0.5, 0.5, 0.25])


def test_sixteen_times_the_threshold_blinds_two_fields_of_view():
    """Half of 6 degrees aside is 2 half widths, so 2^-(2^2) = 1/16 comes in."""
    assert Receiver(fov_deg=3.0).sector_deg(1.6e-3, 1e-4) == pytest.approx(6.0)
    assert Receiver().sector_deg(0.9e-4, 1e-4) == 0.0


def test_a_beam_is_as_wide_as_its_divergence_makes_it():
    """At 100 m 10 mrad are 1 m: 4 * 2 W / pi m2, and 1/e of it at its edge, 0.5 m aside."""
    aside_deg = math.degrees(math.atan(0.5 / 100))
    straight, edge = (Beam(2.0, 10.0, 0.1, off).irradiance_w_m2(100.0) for off in (0, aside_deg))
    assert straight == pytest.approx(8 / math.pi, rel=1e-3)
    assert edge / straight == pytest.approx(math.exp(-1), rel=1e-3)


def test_a_sensor_is_known_by_its_scan_and_turns_within_half_a_circle():
    lidar = lidar_of(np.zeros((16, 1024, 2), np.float32))
    assert lidar == Lidar()
    turn = turn_to(lidar, math.radians(170.0))
    assert -math.pi <= turn.min() and turn.max() < math.pi
    # Straight back, the last column, is 10 degrees to the right of 170.
    assert turn[-1] == pytest.approx(math.radians(10.0 - 0.5 * 360 / 1024))


def test_a_wall_is_met_by_the_firings_that_geometry_says():
    """4 x 2 m, 10 m ahead of a sensor 1.9 m up. To the sides atan(2 / 10) = 11.3 deg, that is 32
    columns of 360 / 1024 deg either way; from atan(-1.9 / 10) = -10.8 to atan(0.1 / 10) = 0.6 deg
    the channels at -9, -7, -5, -3 and -1 deg."""
    lidar = Lidar(mount=Pose(z_m=1.9))
    told = ranges_m(lidar, "wall", 10.0)
    assert (told > 0).sum(1).tolist() == [0] * 8 + [64] * 5 + [0] * 3
    scan = np.stack([told, told], -1)
    points = lidar.points(scan)
    assert points[:, 0] == pytest.approx(np.full(320, 10.0))
    assert 0 <= points[:, 2].min() and points[:, 2].max() <= 2.0


def test_what_is_behind_the_sensor_or_aside_is_not_met_ahead():
    assert not ranges_m(Lidar(), "wall", -10.0).any()
    columns = np.flatnonzero(ranges_m(Lidar(), "wall", 10.0, right_m=5.0).any(0))
    assert np.degrees(Lidar().azimuth_rad[columns]).min() > math.degrees(math.atan2(3, 10)) - 0.2


@pytest.mark.parametrize(
    ("outline", "wide_m", "high_m"), [("car", 1.8, 1.45), ("pedestrian", 0.5, 1.75)]
)
def test_an_outline_has_its_size(outline, wide_m, high_m):
    left, right, bottom, top = np.array(OUTLINES[outline]).T
    assert right.max() - left.min() == pytest.approx(wide_m)
    assert (bottom.min(), top.max()) == (0.0, pytest.approx(high_m))
