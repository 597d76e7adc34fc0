import math

import numpy as np
import pytest

from simattack.server.road_signals import Box, Signal
from simattack.server.signals import GREEN, OFF, RED, YELLOW, Signals
from simattack.types import Pose

TICK_S = 0.05


def light(id, x=0.0, y=0.0, yaw=0.0, controller=None, junction=None, kind="traffic_light"):
    """A light whose box reaches 4 m back from where it stands, one lane wide."""
    centre = (x - 2 * math.cos(yaw), y - 2 * math.sin(yaw), 1.0)
    return Signal(
        id=id,
        kind=kind,
        value=-1.0,
        pose=Pose(x, y, 0.0, yaw_rad=yaw),
        height_m=3.2,
        trigger=Box(centre, (2.0, 1.75, 1.5), yaw),
        road_id=1,
        lane_ids=(-1,),
        controller=controller,
        junction=junction,
    )


def crossing(**extra):
    return [
        light("east", -10.0, 2.0, 0.0, **extra),
        light("south", -2.0, -10.0, math.pi / 2, **extra),
        light("west", 10.0, -2.0, math.pi, **extra),
        light("north", 2.0, 10.0, -math.pi / 2, **extra),
    ]


def wait(signals, seconds):
    for _ in range(round(seconds / TICK_S)):
        signals.step(TICK_S)


def shown(signals):
    return tuple(signals.shows(id) for id in ("east", "west", "south", "north"))


def test_opposite_directions_take_turns_by_the_clock():
    signals = Signals(crossing())
    seen = []
    for tick in range(round(31 / TICK_S)):
        if not seen or seen[-1][1] != shown(signals):
            seen.append((round(tick * TICK_S, 2), shown(signals)))
        signals.step(TICK_S)
    red, yellow, green = RED, YELLOW, GREEN
    assert seen == [
        (0.0, (green, green, red, red)),
        (10.0, (yellow, yellow, red, red)),
        (13.0, (red, red, red, red)),
        (15.0, (red, red, green, green)),
        (25.0, (red, red, yellow, yellow)),
        (28.0, (red, red, red, red)),
        (30.0, (green, green, red, red)),
    ]


def test_never_are_two_directions_open_at_once():
    signals = Signals(crossing())
    for _ in range(1300):
        open_axes = {index // 2 for index, state in enumerate(shown(signals)) if state != RED}
        assert len(open_axes) <= 1
        signals.step(TICK_S)


def test_controllers_of_the_map_make_the_phases():
    lights = [
        light("east", controller="a", junction="7"),
        light("west", yaw=math.pi, controller="b", junction="7"),
        # the other end of the town, but the same junction
        light("south", x=300.0, controller="b", junction="7"),
        light("north", controller="a", junction="8"),
    ]
    signals = Signals(lights)
    assert set(signals.group("east")) == {"east", "west", "south"}
    assert signals.group("north") == ("north",)
    assert shown(signals) == (GREEN, RED, RED, GREEN)


def test_lights_far_apart_are_two_junctions_when_the_map_says_nothing():
    signals = Signals([light("east"), light("west", x=30.0), light("south", x=200.0)])
    assert signals.group("west") == ("east", "west")
    assert signals.group("south") == ("south",)


def test_a_state_set_by_hand_lasts_until_the_group_changes_or_for_ever_when_frozen():
    signals = Signals(crossing())
    signals.set_state("south", OFF)
    wait(signals, 9.9)
    assert signals.shows("south") == OFF
    wait(signals, 0.2)
    assert signals.shows("south") == RED
    signals.set_state("south", GREEN)
    signals.freeze("east", True)
    assert signals.is_frozen("south")  # the group's clock is one
    wait(signals, 60.0)
    assert shown(signals) == (YELLOW, YELLOW, GREEN, RED)
    signals.freeze("north", False)
    wait(signals, 3.0)
    assert shown(signals) == (RED, RED, RED, RED)


def test_freezing_all_stops_every_clock():
    signals = Signals([light("east"), light("west", x=500.0)])
    signals.freeze_all(True)
    wait(signals, 20.0)
    assert (signals.shows("east"), signals.shows("west")) == (GREEN, GREEN)
    assert signals.light("east").elapsed_s == 0.0
    signals.freeze_all(False)
    wait(signals, 10.0)
    assert (signals.shows("east"), signals.shows("west")) == (YELLOW, YELLOW)


def test_new_times_rule_the_whole_phase():
    signals = Signals(crossing())
    signals.set_times("west", green_s=2.0, yellow_s=1.0, red_s=0.5)
    assert signals.light("east").green_s == 2.0
    assert signals.light("south").green_s == 10.0
    wait(signals, 2.0)
    assert signals.shows("east") == YELLOW
    wait(signals, 1.0)
    assert signals.shows("east") == RED
    wait(signals, 0.5)
    assert signals.shows("south") == GREEN


def test_reset_begins_the_turn_anew():
    signals = Signals(crossing())
    wait(signals, 16.0)
    signals.reset_group("east")
    assert shown(signals) == (GREEN, GREEN, RED, RED)
    wait(signals, 9.9)
    assert shown(signals) == (GREEN, GREEN, RED, RED)
    wait(signals, 5.2)
    signals.reset_all()
    assert shown(signals) == (GREEN, GREEN, RED, RED)


@pytest.mark.parametrize(
    ("pose", "expected"),
    [
        (Pose(x_m=-12.0, y_m=2.0), "east"),
        (Pose(x_m=-16.3, y_m=2.0), "east"),  # its nose, 2.4 m ahead, is in the box
        (Pose(x_m=-16.5, y_m=2.0), None),
        (Pose(x_m=-12.0, y_m=2.0, yaw_rad=math.pi), None),  # drives the other way
        (Pose(x_m=-12.0, y_m=2.0, z_m=8.0), None),  # on a bridge above
        (Pose(x_m=-12.0, y_m=-1.0), None),  # in the other lane
        (Pose(x_m=-2.0, y_m=-12.0, yaw_rad=math.pi / 2), "south"),
        (Pose(), None),
    ],
)
def test_a_vehicle_is_at_the_light_whose_box_it_touches(pose, expected):
    assert Signals(crossing()).at(pose) == expected


def test_a_box_is_found_from_wherever_in_it_a_vehicle_stands():
    # Far off the origin and across the squares by which boxes are looked up.
    for x in (-1000.0, -7.0, 0.0, 15.9, 16.1, 333.0):
        lamp = light("lamp", x, 2 * x)
        signals, box = Signals([lamp]), lamp.trigger
        for along in (-1.0, -0.5, 0.0, 0.5, 1.0):
            for aside in (-1.0, 0.0, 1.0):
                # 2.4 m before or behind the box, or 1 m beside it, a vehicle still touches it.
                dx, dy = (box.half[0] + 2.3) * along, (box.half[1] + 0.9) * aside
                place = Pose(box.centre[0] + dx, box.centre[1] + dy)
                assert signals.at(place) == "lamp"
        assert signals.at(Pose(box.centre[0] + box.half[0] + 2.5, box.centre[1])) is None


def test_a_vehicle_at_no_finite_place_is_at_no_light():
    assert Signals(crossing()).at(Pose(x_m=math.nan)) is None
    assert Signals(crossing()).at(Pose(y_m=math.inf)) is None


@pytest.mark.parametrize(
    ("kind", "pose", "expected"),
    [
        ("stop", Pose(x_m=-5.0), True),  # its front 2.6 m before the line
        ("yield", Pose(x_m=-5.0), True),
        ("stop", Pose(x_m=-7.0), False),  # its front 4.6 m before the line
        ("stop", Pose(x_m=-5.0, yaw_rad=math.pi), False),  # going the other way
        ("speed_limit", Pose(x_m=-5.0), False),
    ],
)
def test_a_vehicle_is_at_the_stop_or_yield_sign_that_rules_its_way(kind, pose, expected):
    signals = Signals([light("sign", kind=kind)])
    assert (signals.sign_at(pose) is not None) is expected
    assert signals.at(pose) is None


def test_a_map_without_lights_holds_nobody():
    signals = Signals([light("stop", kind="stop")])
    signals.step(TICK_S)
    assert signals.at(Pose(x_m=-2.0)) is None
    assert [sign.id for sign in signals.signs] == ["stop"]
    assert signals.colors() == {}


def test_an_unknown_light_or_state_is_refused():
    signals = Signals(crossing())
    with pytest.raises(KeyError):
        signals.shows("nowhere")
    with pytest.raises(ValueError, match="0 to 4, got 9"):
        signals.set_state("east", 9)


def test_the_snapshot_bytes_say_what_the_light_shows():
    signals = Signals(crossing())
    wait(signals, 11.0)
    row = signals.state("west")
    assert len(row) == 54
    assert row[:5] == b"west\0"
    green, yellow, red, elapsed = np.frombuffer(row[32:48], "<f4")
    assert (green, yellow, red) == (10.0, 3.0, 2.0)
    assert elapsed == pytest.approx(1.0)
    assert (row[52], row[53]) == (0, YELLOW)
