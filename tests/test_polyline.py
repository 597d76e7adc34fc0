from __future__ import annotations

import numpy as np
import pytest

from simattack.polyline import Polyline

CORNER = Polyline(np.array([[0.0, 0, 0], [10, 0, 0], [10, 10, 2]]))
"""Ten metres east, ten metres south; south is to the right of east."""


def test_a_pose_is_so_far_along_and_to_the_right():
    pose = CORNER.pose(2.0, right_m=1.0)
    assert (pose.x_m, pose.y_m, pose.yaw_rad) == pytest.approx((2.0, 1.0, 0.0))


def test_the_ground_rises_with_the_line():
    assert CORNER.pose(15.0).z_m == pytest.approx(1.0)


def test_a_line_goes_straight_on_before_its_start_and_after_its_end():
    assert CORNER.pose(-3.0).x_m == pytest.approx(-3.0)
    assert CORNER.pose(24.0).y_m == pytest.approx(14.0)
    assert CORNER.locate((10.0, 14.0)) == pytest.approx((24.0, 0.0))


def test_heading_turns_evenly_round_a_corner():
    assert CORNER.pose(10.0).yaw_rad == pytest.approx(np.pi / 4)


def test_a_place_is_told_by_the_nearest_piece():
    assert CORNER.locate((4.0, -1.5)) == pytest.approx((4.0, -1.5))
    assert CORNER.locate((8.0, 6.0)) == pytest.approx((16.0, 2.0))  # west of a way south: right


def test_of_a_line_that_meets_itself_the_near_piece_counts():
    out_and_back = Polyline(np.array([[0.0, 0, 0], [50, 0, 0], [50, 1, 0], [0, 1, 0]]))
    assert out_and_back.locate((10.0, 0.6))[0] == pytest.approx(91.0)
    assert out_and_back.locate((10.0, 0.6), near_m=12.0)[0] == pytest.approx(10.0)


def test_one_point_twice_is_no_line():
    with pytest.raises(ValueError, match="two different points"):
        Polyline(np.zeros((2, 3)))
