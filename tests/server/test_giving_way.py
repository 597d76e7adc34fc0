from __future__ import annotations

import dataclasses

import pytest
from test_signals import light

from simattack.server.actors import Actor
from simattack.server.codec import Description
from simattack.server.giving_way import GivingWay
from simattack.server.signals import GREEN, RED
from simattack.types import Pose

WEST = light("west", -10.0, 2.0, 0.0, kind="stop")
SOUTH = light("south", -2.0, -10.0, 1.5707963, kind="stop")
FAR = light("far", 300.0, 2.0, 0.0, kind="stop")
YIELD = dataclasses.replace(WEST, kind="yield")


def car(number, x=-13.0, y=2.0, crossing=False):
    made = Actor(number, "vehicle", Description(0, "vehicle.audi.tt"), Pose(x_m=x, y_m=y))
    made.is_crossing = crossing
    return made


def test_a_stop_sign_holds_a_lone_car_for_two_seconds():
    turns, own = GivingWay(), car(1)
    assert turns.shows(own, WEST, 10.0, [own]) == RED
    assert turns.shows(own, WEST, 11.95, [own]) == RED
    assert turns.shows(own, WEST, 12.0, [own]) == GREEN
    turns.leave(1)
    assert turns.shows(own, WEST, 13.0, [own]) == RED, "the next time it stops again"


@pytest.mark.parametrize(("sign", "first"), [(WEST, RED), (YIELD, GREEN)])
def test_who_is_in_the_junction_goes_first(sign, first):
    turns, own, other = GivingWay(), car(1), car(2, 0.0, 0.0, crossing=True)
    turns.shows(own, sign, 0.0, [own])
    assert turns.shows(own, sign, 1.0, [own]) == first
    if sign.kind == "yield":
        assert turns.shows(own, sign, 1.5, [own, other]) == RED
    assert turns.shows(own, sign, 4.0, [own, other]) == RED
    other.is_crossing = False
    assert turns.shows(own, sign, 4.05, [own, other]) == GREEN


@pytest.mark.parametrize("place", [(-25.0, 2.0), (60.0, 0.0)])
def test_who_is_in_another_junction_does_not_matter(place):
    turns, own = GivingWay(), car(1)
    other = car(2, *place, crossing=True)
    turns.shows(own, WEST, 0.0, [own, other])
    assert turns.shows(own, WEST, 2.0, [own, other]) == GREEN


def test_cars_at_one_junction_go_one_by_one_as_they_came():
    turns = GivingWay()
    late, early, elsewhere = car(1), car(2, -2.0, -13.0), car(3, 297.0)
    cars = [late, early, elsewhere]
    for own, sign, at in ((early, SOUTH, 0.0), (late, WEST, 0.5), (elsewhere, FAR, 0.5)):
        assert turns.shows(own, sign, at, cars) == RED
    # asked in another order than they came
    assert [turns.shows(late, WEST, 3.0, cars), turns.shows(early, SOUTH, 3.0, cars)] == [
        RED,
        GREEN,
    ]
    assert turns.shows(elsewhere, FAR, 3.0, cars) == GREEN
    assert turns.shows(late, WEST, 3.05, cars) == RED
    # the first is on its way, then through
    turns.leave(2)
    early.is_crossing, early.pose = True, Pose(x_m=-2.0)
    assert turns.shows(late, WEST, 4.0, cars) == RED
    early.is_crossing = False
    assert turns.shows(late, WEST, 5.0, cars) == GREEN


def test_a_car_that_may_go_and_stays_does_not_hold_the_others_for_ever():
    turns = GivingWay()
    parked, own = car(1), car(2, -2.0, -13.0)
    turns.shows(parked, WEST, 0.0, [])
    turns.shows(own, SOUTH, 0.0, [])
    assert turns.shows(parked, WEST, 2.0, []) == GREEN
    assert turns.shows(own, SOUTH, 6.9, []) == RED
    assert turns.shows(own, SOUTH, 7.0, []) == GREEN
    assert turns.shows(parked, WEST, 8.0, []) == GREEN
