"""The expert drives by the truth: stops, yields, follows and never touches anybody."""

from __future__ import annotations

import numpy as np
import pytest

from simattack.policies import foresight
from simattack.policies.expert import Expert
from simattack.policies.path import Path
from simattack.types import ActorState, Detections, EpisodeTruth, Frame, Pose, Verdict
from tests.policies.closed_loop import CAR, TICK_S, straight

NOTHING = Verdict(Detections.none())
ROUTE = straight(120.0, 8.0)


def actor(x, y, velocity=(0.0, 0.0), yaw=0.0, half=(2.3, 0.95, 0.75), number=7):
    return ActorState(
        number, "vehicle.audi.tt", Pose(x, y, yaw_rad=yaw), (*velocity, 0.0), (0.0, 0.0, 0.0), half
    )


def drive(others=lambda time_s: (), line_x_m=None, seconds=16.0, start_mps=8.0):
    """(T, 2) bumper [m] and speed [m/s] of each tick on a straight road along x."""
    line = None if line_x_m is None else np.array([[line_x_m, -2.0, 0], [line_x_m, 2.0, 0]])
    truth = EpisodeTruth(ROUTE, CAR, TICK_S, line)
    driver = Expert().informed(truth).begin(CAR, ROUTE, np.random.default_rng(0))
    x, speed, rows = 0.0, start_mps, []
    for tick in range(round(seconds / TICK_S)):
        time_s = tick * TICK_S
        ego = actor(x, 0.0, (speed, 0.0), half=(CAR.length_m / 2, CAR.width_m / 2, 0.75), number=1)
        driver.watch(Frame(tick, time_s, ego, tuple(others(time_s))))
        steer, throttle, brake = driver.act({}, NOTHING)
        assert steer == pytest.approx(0.0, abs=1e-9)
        rows.append((x + CAR.length_m / 2, speed))
        push = 4.4 * throttle - 8.8 * brake - 0.12
        x, speed = x + speed * TICK_S, max(speed + push * TICK_S, 0.0)
    return np.array(rows)


def test_on_a_free_road_it_holds_the_speed_limit() -> None:
    assert drive(seconds=5.0)[:, 1] == pytest.approx(8.0, abs=0.4)


def test_it_stands_two_seconds_just_before_its_stop_line_and_goes_on() -> None:
    found = drive(line_x_m=60.0)
    still = found[:, 1] < 0.05
    stood = found[still, 0]
    assert 58.0 < stood.min() and stood.max() < 60.0
    assert still.sum() * TICK_S == pytest.approx(2.0, abs=0.5)
    assert found[-1, 0] > 65.0
    assert np.diff(found[:, 1]).min() > -4.0 * TICK_S


def lit(color, line_x_m=60.0, seconds=14.0):
    """(T, 2) bumper and speed before one light that shows ``color(time_s)``."""
    line = np.array([[line_x_m, -2.0, 0], [line_x_m, 2.0, 0]])
    truth = EpisodeTruth(ROUTE, CAR, TICK_S, light_lines_m=(line,))
    driver = Expert().informed(truth).begin(CAR, ROUTE, np.random.default_rng(0))
    x, speed, rows = 0.0, 8.0, []
    for tick in range(round(seconds / TICK_S)):
        ego = actor(x, 0.0, (speed, 0.0), half=(CAR.length_m / 2, CAR.width_m / 2, 0.75), number=1)
        driver.watch(Frame(tick, tick * TICK_S, ego, lights=(color(tick * TICK_S),)))
        _, throttle, brake = driver.act({}, NOTHING)
        rows.append((x + CAR.length_m / 2, speed))
        push = 4.4 * throttle - 8.8 * brake - 0.12
        x, speed = x + speed * TICK_S, max(speed + push * TICK_S, 0.0)
    return np.array(rows)


def test_it_waits_at_a_red_light_and_goes_on_at_green() -> None:
    found = lit(lambda time_s: "red" if time_s < 11.0 else "green")
    before = found[: round(11.0 / TICK_S)]
    assert before[:, 0].max() < 60.0 and before[-1, 1] < 0.05
    assert found[-1, 0] > 62.0


def test_it_drives_on_at_a_yellow_light_that_only_hard_braking_would_obey() -> None:
    # 8 m/s takes 10.7 m at 3 m/s2; the bumper is 5 m before the line as it turns yellow.
    found = lit(lambda time_s: "yellow", line_x_m=7.35, seconds=3.0)
    assert found[-1, 0] > 20.0
    assert lit(lambda time_s: "yellow", seconds=14.0)[-1, 0] < 60.0


def test_it_stops_behind_a_parked_car_and_stays() -> None:
    found = drive(lambda time_s: [actor(60.0, 0.3)], seconds=20.0)
    tail_m = 60.0 - 2.3
    assert found[-1, 1] == pytest.approx(0.0, abs=0.01)
    assert tail_m - 4.0 < found[-1, 0] < tail_m - 0.3


def test_it_follows_a_slower_car_without_touching_it() -> None:
    found = drive(lambda time_s: [actor(25.0 + 4.0 * time_s, 0.0, (4.0, 0.0))])
    tail_m = 25.0 + 4.0 * np.arange(len(found)) * TICK_S - 2.3
    assert (tail_m - found[:, 0]).min() > 1.0
    assert found[-40:, 1] == pytest.approx(4.0, abs=0.5)


def test_it_lets_a_walker_cross_and_then_goes_on() -> None:
    def crossing(time_s):
        return [actor(40.0, -8.0 + 1.6 * time_s, (0.0, 1.6), half=(0.2, 0.2, 0.9))]

    found = drive(crossing, seconds=14.0)
    y = -8.0 + 1.6 * np.arange(len(found)) * TICK_S
    in_way = abs(y) < CAR.width_m / 2 + 0.2
    rear = found[:, 0] - CAR.length_m
    assert not (in_way & (found[:, 0] > 39.8) & (rear < 40.2)).any()
    assert found[-1, 0] > 60.0


def test_who_drives_beside_the_way_or_behind_is_no_obstacle() -> None:
    way = foresight.Way(Path(ROUTE))
    others = [actor(30.0, 3.5, (-8.0, 0.0), np.pi), actor(-12.0, 0.0, (8.0, 0.0)), actor(30, 0.0)]
    taken = foresight.occupied(way, 0.0, CAR, others, 0.4)
    assert np.isnan(taken.first_m[:2]).all()
    assert (taken.first_m[2, 0], taken.last_m[2, 0]) == pytest.approx((27.7, 32.3))


def test_a_line_too_near_to_stop_at_is_not_braked_for() -> None:
    path = Path(ROUTE)
    profile = path.speed_profile(2.5, 2.0)
    nobody = foresight.occupied(foresight.Way(path), 20.0, CAR, [], 0.4)
    # From 8 m/s it takes 64 / 16 = 4 m to stand.
    bumper_m = 20.0 + CAR.length_m / 2
    late, early = (
        foresight.acceleration(path, profile, 20.0, 8.0, CAR, nobody, [bumper_m + gap])
        for gap in (3.9, 5.0)
    )
    assert late >= 0.0 and early <= -4.5


def test_an_expert_is_privileged_and_says_when_it_was_told_nothing() -> None:
    assert Expert().is_privileged
    with pytest.raises(RuntimeError, match="call watch before act"):
        Expert().begin(CAR, ROUTE, np.random.default_rng(0)).act({}, NOTHING)
    with pytest.raises(ValueError, match="margin_m must be 0 or more, got -1"):
        Expert(margin_m=-1)
