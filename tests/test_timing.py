"""When attacks are on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simattack.errors import ConfigError
from simattack.timing import Timer, Timing
from simattack.types import ActorState, Collision, Frame, Pose

TICK_S = 0.05


def actor(x=0.0, y=0.0, yaw=0.0, acceleration=(0.0, 0.0, 0.0)):
    return ActorState(1, "", Pose(x, y, yaw_rad=yaw), (0, 0, 0), acceleration, (1, 1, 1))


def frames(count, ego=lambda tick: actor(), others=lambda tick: (), collisions=lambda tick: ()):
    return [Frame(k, k * TICK_S, ego(k), others(k), collisions(k)) for k in range(count)]


def on(timing, drive, place=None):
    timer = Timer(timing, place)
    return [frame.tick for frame in drive if timer.is_on(frame)]


def test_an_attack_is_always_on_unless_told_otherwise():
    assert on(Timing(), frames(40)) == list(range(40))


def test_a_delay_and_a_duration_are_whole_ticks():
    assert on(Timing(start_s=0.3, duration_s=0.15), frames(40)) == [6, 7, 8]


def test_it_comes_again_after_its_period():
    assert on(Timing(start_s=0.1, duration_s=0.1, every_s=0.5), frames(26)) == [
        2, 3, 12, 13, 22, 23,
    ]  # fmt: skip


def test_elapsed_time_is_counted_from_the_last_beginning():
    timer = Timer(Timing(start_s=0.1, duration_s=0.1, every_s=0.5))
    told = [timer.elapsed_s(frame) for frame in frames(14)]
    assert told[1] is None and told[5] is None
    assert [told[2], told[3], told[12], told[13]] == pytest.approx([0, 0.05, 0, 0.05], abs=1e-6)


def test_near_is_measured_over_the_ground_and_happens_once():
    drive = frames(60, lambda k: actor(x=k - 20.0, y=3.0))
    place = np.array([0.0, 0.0, 50.0])
    assert on(Timing("near", within_m=5), drive, place) == list(range(16, 60))
    assert on(Timing("near", within_m=5, duration_s=0.1), drive, place) == [16, 17]


def test_near_without_a_place_is_refused():
    with pytest.raises(ConfigError, match="needs a surface"):
        Timer(Timing("near"))


def test_another_actor_coming_close_is_an_event():
    drive = frames(20, others=lambda k: (actor(x=99.0), actor(x=20.0 - k)))
    assert on(Timing("actor", within_m=10), drive) == list(range(10, 20))


def test_braking_is_deceleration_along_the_cars_own_axis():
    def ego(k):
        down = -2.5 if k >= 7 else -1.5
        return actor(yaw=math.pi / 2, acceleration=(-9.0, down, -9.0))

    assert on(Timing("braking"), frames(10, ego)) == [7, 8, 9]


def test_a_collision_is_an_event():
    hit = Collision(7, "x", (0, 0, 0))
    drive = frames(6, collisions=lambda k: (hit,) if k == 3 else ())
    assert on(Timing("collision", start_s=0.05), drive) == [4, 5]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"event": "noon"}, "event must be one of"),
        ({"start_s": -1}, "timing.start_s must be a number, 0 or more"),
        ({"duration_s": "long"}, "field 'timing.duration_s': expected a number, got 'long'"),
        ({"within_m": math.nan}, "field 'timing.within_m': expected a finite number"),
        ({"start_s": True}, "field 'timing.start_s': expected a number"),
        ({"every_s": 1.0}, "needs a duration_s"),
        ({"every_s": 1.0, "duration_s": 2.0}, "needs a duration_s that is no longer"),
        ({"until_s": 3}, "field 'timing.until_s': unknown, known: event"),
    ],
)
def test_what_makes_no_sense_is_one_line(options, told):
    with pytest.raises(ValueError, match=told) as caught:
        Timing.of(options)
    assert "\n" not in str(caught.value)


def test_an_option_is_a_timing_or_a_mapping():
    assert Timing.of({"event": "braking"}) == Timing("braking")
    assert Timing.of(Timing("actor")) == Timing("actor")
    assert Timing.of({"start_s": "1e-1"}) == Timing(start_s=0.1)  # as anywhere in YAML
    assert Timing.of({"start_s": 1, "every_s": None}) == Timing(start_s=1.0)
    with pytest.raises(ValueError, match="field 'timing': expected a mapping of fields, got 3"):
        Timing.of(3)


@pytest.mark.parametrize("start_s", [math.nan, math.inf, -0.1])
def test_a_timing_made_in_python_is_checked_too(start_s):
    with pytest.raises(ValueError, match=r"timing\.start_s must be a number, 0 or more"):
        Timing(start_s=start_s)
