"""Where a LiDAR's firings look, and where what they hit lies."""

from __future__ import annotations

import numpy as np
import pytest

from simattack.sensors import Lidar, Pose


def test_the_middle_column_of_a_scan_looks_ahead_and_the_quarter_ones_to_the_sides() -> None:
    lidar = Lidar(channels=3, columns=4, upper_rad=0.5, lower_rad=-0.5)
    # Four firings a turn, seen in the middle of their quarters.
    assert lidar.azimuth_rad == pytest.approx(np.deg2rad([-135, -45, 45, 135]))
    assert lidar.elevation_rad == pytest.approx([0.5, 0.0, -0.5])
    ahead_right = lidar.directions()[1, 2]
    assert ahead_right == pytest.approx([np.sqrt(0.5), np.sqrt(0.5), 0.0])
    assert lidar.directions()[0, 2, 2] == pytest.approx(np.sin(0.5))


def test_points_lie_at_their_range_from_the_mount_and_firings_without_return_make_none() -> None:
    lidar = Lidar(channels=1, columns=4, upper_rad=0.0, lower_rad=0.0, mount=Pose(1.0, 0.0, 2.0))
    scan = np.zeros((1, 4, 2), np.float32)
    scan[0, 2] = 10.0, 0.5
    points = lidar.points(scan)
    assert points == pytest.approx(np.array([[1 + 10 / np.sqrt(2), 10 / np.sqrt(2), 2.0]]))


def test_directions_are_unit_vectors() -> None:
    assert np.linalg.norm(Lidar().directions(), axis=-1) == pytest.approx(np.ones((16, 1024)))
