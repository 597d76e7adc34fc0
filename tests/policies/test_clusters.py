from __future__ import annotations

import numpy as np
import pytest
from closed_loop import straight
from rays import Box, scan

from simattack.policies.clusters import Clusters
from simattack.policies.path import Path
from simattack.policies.stretch import Stretch
from simattack.types import Lidar, Pose, Route

LIDAR = Lidar()
PATH = Path(straight(100, 8))
HERE = Pose()


def car(x_m, y_m=0.0):
    """Its near face is at x."""
    return Box((x_m, y_m - 0.95, 0.15), (x_m + 4.6, y_m + 0.95, 1.5))


def person(x_m, y_m):
    return Box((x_m, y_m - 0.25, 0.0), (x_m + 0.3, y_m + 0.25, 1.75))


def found(boxes, slope=0.0, pose=HERE, path=PATH):
    rng = np.random.default_rng(0)
    s_m, _ = path.locate(np.array([pose.x_m, pose.y_m]))
    stretch = Stretch(path, np.array([pose.x_m, pose.y_m, pose.yaw_rad]), s_m, 1.3)
    seen = scan(LIDAR, pose, boxes, slope=slope, rng=rng)
    return Clusters(LIDAR, 2).find(seen, stretch)


@pytest.mark.parametrize("gap_m", [8.0, 20.0, 40.0])
def test_a_car_ahead_is_its_near_face(gap_m):
    one = found([car(gap_m, 0.4)])[0]  # one ring may see its roof as well, 3 m behind
    # The nearest of some hundred points with an error of 3 cm is 5 to 10 cm too near.
    assert one.depth_m == pytest.approx(gap_m - 0.06, abs=0.08)
    assert one.right_m == pytest.approx(0.4, abs=0.15)
    # A column every 0.35 degrees: at 40 m up to 0.25 m of a side is missed.
    assert 0.95 - 0.006 * gap_m - 0.05 < one.half_width_m < 1.0
    assert one.label == "large"


def test_a_person_beside_the_way_is_small_and_a_meter_and_a_half_aside():
    (one,) = found([person(15.0, 1.5)])
    assert (one.depth_m, one.right_m) == pytest.approx((15.0, 1.5), abs=0.2)
    assert one.half_width_m == pytest.approx(0.25, abs=0.1)
    assert one.label == "small"


@pytest.mark.parametrize("slope", [-0.08, -0.03, 0.0, 0.03, 0.08])
def test_a_road_that_rises_or_falls_is_ground(slope):
    assert found([], slope) == []


def test_a_car_on_a_rising_road_stands_out_of_it():
    (one,) = found([Box((20.0, -0.95, 0.4), (24.6, 0.95, 1.9))], slope=0.03)
    assert one.depth_m == pytest.approx(20.0, abs=0.15)


def test_curbs_and_what_hangs_over_the_road_are_no_obstacles():
    curbs = [Box((0, side, 0), (60, side + 0.3, 0.15)) for side in (-1.2, 1.0)]
    bridge = Box((20, -8, 4.5), (25, 8, 5.5))
    assert found([*curbs, bridge]) == []


def test_of_walls_and_hedges_only_what_reaches_into_the_way_counts():
    left, right = Box((0, -4.5, 0), (60, -4.0, 3)), Box((0, 3.5, 0), (60, 4.0, 3))
    # Far away the rings meet a wall in single spots, each of them a thing beside the way.
    assert all(abs(one.right_m) - one.half_width_m > 3.0 for one in found([left, right]))
    across = Box((30, -8, 0), (30.5, 8, 3))
    (one,) = [one for one in found([left, right, across]) if one.half_width_m > 1.3]
    assert one.depth_m == pytest.approx(30.0, abs=0.15)
    assert abs(one.right_m) < 0.5


def test_a_wall_along_the_outside_of_a_bend_is_not_in_the_way():
    turn = np.linspace(0, np.pi / 2, 32)
    bend = np.stack([20 * np.sin(turn), 20 - 20 * np.cos(turn), 0 * turn], axis=1)
    path = Path(Route(bend, np.full(32, 8.0), (0.0, 0.0)))
    # A ring of posts 3 m outside, close enough to be a wall to a LiDAR.
    around = np.linspace(0, np.pi / 2, 60)
    wall = [
        Box((23 * np.sin(a) - 0.3, 20 - 23 * np.cos(a) - 0.3, 0),
            (23 * np.sin(a) + 0.3, 20 - 23 * np.cos(a) + 0.3, 2)) for a in around
    ]  # fmt: skip
    assert found(wall, path=path) == []
    parked = Box((16.0, 7.0, 0), (18.0, 8.5, 1.5))  # 0.6 m within the lane's middle: in the way
    assert [one.label for one in found([*wall, parked], path=path)] == ["large"]


def test_what_stands_beyond_the_routes_end_is_no_obstacle():
    end = Path(straight(20, 8))
    assert len(found([car(24.0)], path=end)) > 0
    assert found([car(26.0)], path=end) == []


def test_a_thing_has_the_same_place_from_a_car_that_is_turned():
    pose = Pose(10.0, 0.5, yaw_rad=0.1)
    (one,) = found([person(25.0, 0.0)], pose=pose)
    ahead, right = np.array([np.cos(0.1), np.sin(0.1)]), np.array([-np.sin(0.1), np.cos(0.1)])
    away = np.array([15.0, -0.5])
    assert one.depth_m == pytest.approx(away @ ahead, abs=0.2)
    assert one.right_m == pytest.approx(away @ right, abs=0.2)


def test_one_point_is_no_thing_and_no_return_is_nothing():
    scan = np.zeros((16, 1024, 2), np.float32)
    stretch = Stretch(PATH, np.zeros(3), 0.0, 1.3)
    assert Clusters(LIDAR, 2).find(scan, stretch) == []
    scan[11, 512, 0] = 6.0
    assert Clusters(LIDAR, 2).find(scan, stretch) == []
    scan[12, 512, 0] = 6.0
    assert len(Clusters(LIDAR, 2).find(scan, stretch)) == 1
