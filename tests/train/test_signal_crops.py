from __future__ import annotations

import numpy as np
import pytest

from simattack.roadsigns import Post, lines_on
from simattack.train.signal_crops import Crops, exchanged, lamp, place_numbers
from simattack.types import Pose

SIGN = '<signal id="{}" name="Sign_Stop" type="206" value="-1"/>'
LIMIT = '<object id="{}" name="Speed_30" type="-1"/>'
LIMIT_50 = '<signal id="{}" name="Speed_50" type="274" value="50"/>'


def test_every_second_stop_sign_of_a_map_yields_and_the_next_variant_swaps_them():
    text = "".join(SIGN.format(n) for n in range(4))
    first, second = exchanged(text, 1), exchanged(text, 2)
    assert exchanged(text, 0) == text
    assert first.count('"Sign_Yield" type="205"') == second.count('"Sign_Yield" type="205"') == 2
    assert first.split("<")[1:] != second.split("<")[1:]


def test_speed_limits_of_a_map_take_turns():
    text = "".join(LIMIT.format(n) for n in range(4)) + LIMIT_50.format(4)
    found = exchanged(text, 1)
    # The first gets the third of 30, 50, 60, 90, and so on around.
    assert [found.count(f'"Speed_{speed}"') for speed in (30, 50, 60, 90)] == [1, 1, 2, 1]
    assert 'name="Speed_60" type="274" value="60"' in found


def post(number, x_m, y_m):
    return Post(number, "stop", Pose(x_m, y_m))


def test_signs_of_one_crossing_are_one_place_whatever_their_order():
    posts = [post(0, 100, 0), post(1, 0, 0), post(2, 25, 0), post(3, 50, 0)]
    assert place_numbers(posts).tolist() == [1, 0, 0, 0]
    assert place_numbers(posts[::-1]).tolist() == [0, 0, 0, 1]


def test_a_lamp_is_lit_where_two_percent_of_the_box_change():
    dark = np.full((20, 20, 3), 30, np.uint8)
    box = np.array([0.0, 0.0, 20.0, 20.0])
    lit = dark.copy()
    lit[0, :8] = (255, 30, 30)
    assert lamp(lit, dark, box, "red") == "off"  # 8 of 400 pixels
    lit[0, :9] = (255, 30, 30)
    assert lamp(lit, dark, box, "red") == "red"


def test_crops_come_back_from_disk_as_they_were(tmp_path):
    crops = Crops(
        np.zeros((2, 32, 32, 3), np.uint8), np.array([0, 4]), np.array([3, 5]),
        np.array([10.0, 20.0]), np.array([True, False]), np.array([0, 1]),
    )  # fmt: skip
    crops.save(tmp_path / "crops.npz")
    again = Crops.load(tmp_path / "crops.npz")
    assert all((vars(again)[name] == value).all() for name, value in vars(crops).items())
    assert Crops.joined([crops, again]).places.tolist() == [3, 5, 1003, 1005]


def test_a_route_crosses_stop_lines_of_its_own_lane_only():
    points = np.column_stack([np.arange(0.0, 101.0), np.zeros(101), np.zeros(101)])
    lines = np.array(
        [
            (40.25, 0.3, 0.0),  # its own
            (40.5, 0.0, 0.1),  # of the lane that turns off there: the same line
            (70.0, 3.5, 0.0),  # of the next lane
            (80.0, 0.0, np.pi),  # of the oncoming traffic
            (130.0, 0.0, 0.0),  # beyond the end
        ]
    )
    assert lines_on(points, lines) == pytest.approx([40.25])
