from __future__ import annotations

import numpy as np
import pytest
from closed_loop import straight
from rays import Box, returns

from simattack.policies.path import Path
from simattack.policies.radar import Returns
from simattack.policies.stretch import Stretch
from simattack.types import Pose, Radar

RADAR = Radar()
STRETCH = Stretch(Path(straight(100, 8)), np.zeros(3), 0.0, 1.3)


def found(boxes, speed=8.0, turn=0.0, slope=0.0, seed=0):
    rng = np.random.default_rng(seed)
    seen = returns(RADAR, Pose(), np.array([speed, 0.0]), boxes, rng, slope=slope)
    return Returns(RADAR, 6).find(seen, STRETCH, speed, turn)


def car(x_m, y_m=0.0, velocity=(0.0, 0.0)):
    return Box((x_m, y_m - 0.95, 0.15), (x_m + 4.6, y_m + 0.95, 1.5), velocity)


def test_a_car_ahead_has_its_distance_and_its_speed_over_ground():
    (one,) = found([car(30.0, velocity=(5.0, 0.0))])
    assert one.depth_m == pytest.approx(30.0, abs=0.05)
    assert one.right_m == pytest.approx(0.0, abs=0.6)
    assert one.apart_mps == pytest.approx(5.0, abs=0.02)
    assert one.is_strong


def test_the_speed_of_a_car_beside_is_what_its_line_of_sight_shows_of_it():
    # 3.5 m aside at 20 m, 17.6 m from the bumper: cos(atan(3.5 / 17.6)) = 0.981.
    one = found([car(20.0, -3.5, velocity=(-6.0, 0.0))])[0]
    assert one.apart_mps == pytest.approx(-6.0 * 0.981, abs=0.06)
    assert one.sight_rad == pytest.approx(-np.arctan(3.5 / 17.6), abs=0.04)


def test_what_stands_upright_in_the_way_is_strong_and_beside_it_weak():
    ahead = found([car(30.0)])
    assert [one.is_strong for one in ahead] == [True]
    assert abs(ahead[0].apart_mps) < 0.05
    beside = found([car(30.0, 4.0)])
    assert beside and not any(one.is_strong for one in beside)


@pytest.mark.parametrize("slope", [0.0, 0.03, 0.06, 0.1])
def test_the_road_is_no_obstacle_however_it_rises(slope):
    for seed in range(10):
        assert not any(one.is_strong for one in found([], slope=slope, seed=seed))


def test_a_turning_car_does_not_take_what_stands_for_moving():
    """One return at 0.3 rad: the mount, 2.4 m ahead, goes sideways at 0.5 * 2.4 = 1.2 m/s."""
    one = np.zeros((128, 4), np.float32)
    toward = -(8.0 * np.cos(0.3) + 1.2 * np.sin(0.3))
    one[:2] = [(10.0, 0.3, 0.0, toward), (10.0, 0.31, 0.01, toward)]
    (thing,) = Returns(RADAR, 6).find(one, STRETCH, 8.0, 0.5)
    assert thing.apart_mps == pytest.approx(0.0, abs=0.05)
    assert not thing.is_strong


def test_no_returns_are_nothing():
    assert Returns(RADAR, 6).find(np.zeros((128, 4), np.float32), STRETCH, 8.0, 0.0) == []
