from __future__ import annotations

import numpy as np
import pytest

from simattack.policies.lane import LaneEstimate, LaneFilter, estimate_lane
from simattack.types import Camera

CAMERA = Camera()


def street(marks, *, offset_m=0.0, heading_rad=0.0, curvature=0.0, paint=200, road=90):
    """A grey street seen from a lane: marks (right of the lane's middle, width) [m], painted."""
    v, u = np.mgrid[0 : CAMERA.height_px, 0 : CAMERA.width_px] + 0.5
    down = np.maximum(v - CAMERA.height_px / 2, 1e-3)
    depth = CAMERA.focal_px * CAMERA.mount.z_m / down
    right = (u - CAMERA.width_px / 2) / CAMERA.focal_px * depth
    ahead = depth + CAMERA.mount.x_m
    # The car turned right of the lane sees it run away to the left.
    middle = -offset_m - np.tan(heading_rad) * ahead + curvature * ahead**2 / 2
    image = np.full((CAMERA.height_px, CAMERA.width_px, 3), road, np.uint8)
    for place, width in marks:
        image[(np.abs(right - middle - place) < width / 2) & (depth < 60)] = paint
    image[: CAMERA.height_px // 2] = 150
    return image


def test_a_lane_between_two_lines_is_told_where_it_is():
    image = street([(-1.75, 0.15), (1.75, 0.15)], offset_m=0.4, heading_rad=0.05)
    seen = estimate_lane(image, CAMERA)
    assert seen is not None and seen.sides == 2 and seen.quality > 0.8
    assert seen.offset_m == pytest.approx(0.4, abs=0.05)
    assert seen.heading_rad == pytest.approx(0.05, abs=0.01)
    assert seen.curvature == pytest.approx(0.0, abs=0.003)


def test_a_bend_to_the_right_has_a_positive_curvature():
    image = street([(-1.75, 0.15), (1.75, 0.15)], curvature=0.02)
    seen = estimate_lane(image, CAMERA)
    assert seen is not None
    assert seen.curvature == pytest.approx(0.02, abs=0.004)
    assert seen.offset_m == pytest.approx(0.0, abs=0.08)


def test_one_line_and_the_lane_s_width_are_enough():
    # A line 1.6 m left of the car is the left one of a lane 4 m wide: the car is 0.4 m left in it.
    seen = estimate_lane(street([(-2.0, 0.15)], offset_m=-0.4), CAMERA, width_m=4.0)
    assert seen is not None and seen.sides == 1
    assert seen.offset_m == pytest.approx(-0.4, abs=0.06)


def test_an_empty_road_has_no_lane():
    assert estimate_lane(street([]), CAMERA) is None


def test_the_edge_of_a_shade_is_no_mark():
    image = street([])
    image[240:, :320] //= 2
    assert estimate_lane(image, CAMERA) is None


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match="expected a picture of 480 x 640"):
        estimate_lane(np.zeros((240, 320, 3), np.uint8), CAMERA)


def held(pictures, seen, right_m=0.0):
    keeper = LaneFilter()
    for _ in range(pictures):
        keeper.look(seen, right_m, 0.0)
    return keeper.lane(right_m, 0.0, 0.05)


def test_the_filter_comes_to_what_the_camera_sees():
    # Believed in the middle, seen 0.5 m right of it.
    lane = held(40, LaneEstimate(0.5, 0.0, 0.0, 1.0))
    assert lane is not None and lane.offset_m == pytest.approx(0.5, abs=0.02)
    assert lane.quality == pytest.approx(1.0, abs=0.02)


def test_one_wrong_picture_moves_the_filter_by_twelve_centimetres_at_most():
    # 0.2 of at most 0.6 m.
    lane = held(1, LaneEstimate(1.7, 0.0, 0.0, 1.0))
    assert lane is not None and lane.offset_m == pytest.approx(0.12)


def test_a_lane_that_runs_across_the_route_is_not_believed():
    assert held(40, LaneEstimate(0.5, 0.3, 0.0, 1.0)) is None


def test_the_filter_fades_where_marks_end():
    keeper = LaneFilter()
    for _ in range(40):
        keeper.look(LaneEstimate(0.5, 0.0, 0.0, 1.0), 0.0, 0.0)
    before = keeper.lane(0.0, 0.0, LaneFilter.FADE_S)
    after = keeper.lane(0.0, 0.0, LaneFilter.FADE_S)
    assert before is not None and after is not None
    assert after.quality == pytest.approx(before.quality / 2, abs=0.01)
    assert keeper.lane(0.0, 0.0, 10 * LaneFilter.FADE_S) is None


def test_over_the_line_the_filter_goes_on_with_its_own_lane():
    # Dragged 2 m right in a lane 3.5 m wide, it sees the next one, 1.5 m left of its middle.
    keeper = LaneFilter()
    for right in np.arange(0.0, 2.01, 0.02):
        offset = right if right < 1.75 else right - 3.5
        keeper.look(LaneEstimate(offset, 0.0, 0.0, 1.0), 0.0, 0.0)
    lane = keeper.lane(0.0, 0.0, 0.05)
    assert lane is not None and lane.offset_m == pytest.approx(2.0, abs=0.12)
