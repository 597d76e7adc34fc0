"""Projection and poses against numbers worked out by hand."""

import numpy as np
import pytest

from simattack.geometry import (
    apply_homography,
    box_iou,
    compose,
    homography,
    project,
    to_body,
    to_world,
    wrap_angle,
)
from simattack.types import Camera, Pose


def test_a_point_ten_metres_ahead_is_in_the_middle_of_the_image() -> None:
    camera = Camera()
    assert np.allclose(project(np.array([[10.0, 0, 0]]), camera, Pose()), [[320, 240]])


def test_a_stop_sign_at_eight_metres_is_52_px_wide() -> None:
    camera = Camera()
    edges = np.array([[8.0, -0.375, 0], [8.0, 0.375, 0]])
    x = project(edges, camera, Pose())[:, 0]
    assert x[1] - x[0] == pytest.approx(52.0, abs=0.1)


def test_right_of_the_car_is_right_in_the_image_and_up_is_up() -> None:
    x, y = project(np.array([[10.0, 1, 1]]), Camera(), Pose())[0]
    assert x > 320
    assert y < 240


def test_behind_the_camera_is_nowhere() -> None:
    assert np.isnan(project(np.array([[-1.0, 0, 0]]), Camera(), Pose())).all()


def test_yaw_turns_clockwise_seen_from_above() -> None:
    ahead = to_world(np.array([[1.0, 0, 0]]), Pose(yaw_rad=np.pi / 2))[0]
    assert np.allclose(ahead, [0, 1, 0])


def test_pitch_lifts_the_nose() -> None:
    assert to_world(np.array([[1.0, 0, 0]]), Pose(pitch_rad=0.1))[0, 2] > 0


def test_to_body_undoes_to_world() -> None:
    pose = Pose(1, 2, 3, 0.1, 0.2, 0.3)
    points = np.random.default_rng(0).normal(size=(5, 3))
    assert np.allclose(to_body(to_world(points, pose), pose), points)


def test_compose_is_applying_one_pose_after_the_other() -> None:
    outer, inner = Pose(1, 2, 3, 0.1, 0.7, -0.2), Pose(-1, 0.5, 2, -0.3, 0.4, 0.6)
    points = np.random.default_rng(0).normal(size=(5, 3))
    both = to_world(to_world(points, inner), outer)
    assert np.allclose(to_world(points, compose(outer, inner)), both)


def test_a_homography_takes_four_corners_where_they_belong() -> None:
    source = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    target = np.array([[10.0, 12], [52, 9], [60, 70], [8, 66]])
    assert np.allclose(apply_homography(homography(source, target), source), target)


def test_three_points_on_a_line_give_no_homography() -> None:
    line = np.array([[0.0, 0], [1, 0], [2, 0], [0, 1]])
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    with pytest.raises(ValueError, match="projective map"):
        homography(line, square)


def test_half_overlapping_boxes_have_an_iou_of_one_third() -> None:
    assert box_iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]]))[0, 0] == pytest.approx(
        1 / 3
    )


def test_angles_wrap_into_half_a_turn() -> None:
    assert np.allclose(
        wrap_angle(np.array([3.5 * np.pi, -np.pi, 0.1])), [-0.5 * np.pi, -np.pi, 0.1]
    )
