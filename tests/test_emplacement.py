"""Where a device stands, and who is ahead."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simattack.emplacement import Emplacement, actor_ahead
from simattack.types import ActorState, Pose
from tests.attacks.driveby import Street
from tests.attacks.ranging import CAR, WALKER, frame

SENSOR = Pose(x_m=10.0, z_m=2.0, yaw_rad=math.pi / 2)
"""Looks along y, to the right of a world seen along x."""


def at(kind, place_m=None, distance_m=7.0, bearing_deg=-30.0):
    return Emplacement(kind, distance_m, bearing_deg, place_m)


def test_what_is_carried_is_seen_where_it_is_said_to_be():
    sight = at("car").seen(SENSOR, frame(0), at("car").stand_m(Street(), ""))
    assert sight.distance_m == 7.0 and sight.elevation_rad == 0.0
    assert sight.azimuth_rad == pytest.approx(math.radians(-30))


def test_what_stands_is_seen_from_a_turned_sensor():
    # 3 m along the sensor's look, and 4 m along x, which is to its left; 12 m up.
    stands = at("place", (14.0, 3.0, 14.0))
    sight = stands.seen(SENSOR, frame(0), stands.stand_m(Street(), ""))
    assert sight.azimuth_rad == pytest.approx(math.atan2(-4, 3))
    assert sight.elevation_rad == pytest.approx(math.atan2(12, 5))
    assert sight.distance_m == pytest.approx(13.0)


def test_what_is_on_a_surface_stands_in_its_middle():
    assert at("surface").stand_m(Street(), "") == pytest.approx([60.0, 3.0, 2.2])


def test_what_is_on_an_actor_is_in_the_middle_of_the_nearest_ahead():
    sensor = Pose(z_m=0.75)
    sight = at("actor").seen(sensor, frame(0, others=(CAR,)), None)
    assert (sight.azimuth_rad, sight.distance_m) == pytest.approx((0.0, 22.35))
    assert at("actor").seen(sensor, frame(0, others=()), None) is None


def test_the_nearest_in_the_path_is_ahead_and_others_are_not():
    behind = ActorState(7, "vehicle.a", Pose(x_m=-5), (0,) * 3, (0,) * 3, (2, 1, 1))
    beside = ActorState(8, "vehicle.b", Pose(x_m=9, y_m=2.8), (0,) * 3, (0,) * 3, (2, 1, 1))
    truth = frame(0, others=(behind, beside, CAR, WALKER))
    assert actor_ahead(truth) is WALKER
    assert actor_ahead(truth, "vehicle") is CAR
    # A car across the road reaches into the path with its length.
    across = ActorState(
        9, "vehicle.c", Pose(x_m=9, y_m=3.5, yaw_rad=np.pi / 2), (0,) * 3, (0,) * 3, (2, 1, 1)
    )
    assert actor_ahead(frame(0, others=(across, CAR))) is across
    assert actor_ahead(frame(0, others=())) is None
