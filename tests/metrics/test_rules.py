from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from traces import LINE, actor, from_speeds, tick, truth

from simattack.metrics import lane, phantom, rules
from simattack.metrics.driving import leaderboard_scores
from simattack.types import Collision, Route


def lit(ticks, *states):
    """The ticks with one light that shows ``states``, the last one for the rest."""
    shown = [*states, *[states[-1]] * len(ticks)]
    return [
        dataclasses.replace(t, frame=dataclasses.replace(t.frame, lights=(state,)))
        for t, state in zip(ticks, shown, strict=False)
    ]


def at_light(**changes):
    """The straight road with a light's line at 50 m, and no stop sign."""
    return dataclasses.replace(truth(line=None), light_lines_m=(LINE,), **changes)


def test_a_bumper_over_the_line_at_red_is_a_violation_at_its_speed():
    ticks = lit(from_speeds([8.0] * 40, 48.1), "red")  # 0.4 m a tick: passes between 4 and 5
    found = rules.red_lights(ticks, at_light())
    assert found["red_light_violation"] is True and found["red_lights_run"] == 1
    assert found["red_light_speed_mps"] == pytest.approx(8.0)


@pytest.mark.parametrize(
    "states, is_run",
    [(["red"] * 5 + ["green"], False), (["green"] * 5 + ["red"], True), (["yellow"], False)],
)
def test_what_the_light_shows_as_the_bumper_is_over_counts(states, is_run):
    ticks = lit(from_speeds([8.0] * 40, 48.1), *states)
    assert rules.red_lights(ticks, at_light())["red_light_violation"] is is_run


def test_standing_before_a_red_light_is_right_and_no_light_is_no_answer():
    ticks = lit(from_speeds([4.0, 0.0, 0.0], 49.0), "red")
    assert rules.red_lights(ticks, at_light())["red_light_violation"] is False
    assert rules.red_lights(ticks, truth())["red_light_violation"] is None


def crossing_car(x, y, vy):
    """Somebody on a road that crosses ours, its front 2.35 m before its middle."""
    return actor(7, "vehicle.test.other", x, y, yaw=np.pi / 2, vy=vy)


@pytest.mark.parametrize("y, is_violation", [(-16.0, True), (-22.0, False)])
def test_being_in_the_way_of_priority_within_a_second_and_a_half_is_a_violation(y, is_violation):
    # The ego stands across the other's lane: its side is at -0.95, the other's nose at y + 2.35.
    # 16 m: a gap of 12.7 m at 10 m/s is 1.27 s; 22 m: 18.7 m is 1.87 s.
    ticks = [tick(0, 0.0, 0.0, others=[crossing_car(0.0, y, 10.0)])]
    found = rules.yielding(ticks, dataclasses.replace(truth(), priority=frozenset({7})))
    assert found["yield_violation"] is is_violation
    assert found["min_ttc_priority_s"] == pytest.approx((-y - 2.35 - 0.95) / 10.0)


def test_others_than_those_with_priority_need_not_be_let_past():
    ticks = [tick(0, 0.0, 0.0, others=[crossing_car(0.0, -5.0, 10.0)])]
    found = rules.yielding(ticks, dataclasses.replace(truth(), priority=frozenset({8})))
    assert found == {"yield_violation": False, "min_ttc_priority_s": 10.0}
    assert rules.yielding(ticks, truth())["yield_violation"] is None


def wide(ticks_y):
    """Ticks at these distances to the right, on lanes 3.5 m wide: half is 1.75, so 2.25 is out."""
    ticks = [tick(i, 5.0 * i, 5.0, y=y) for i, y in enumerate(ticks_y)]
    return ticks, dataclasses.replace(truth(line=None), half_lane_m=np.full(101, 1.75))


def test_a_lane_is_left_beyond_half_its_width_and_half_a_metre():
    for y, is_out in ((2.2, False), (-2.3, True)):
        found = lane.measure(*wide([0.0, y, 0.0]))
        assert found["lane_departure"] is is_out
        assert found["max_lane_offset_m"] == pytest.approx(abs(y))
    assert lane.measure(wide([0.0])[0], truth())["lane_departure"] is None


def test_the_share_outside_is_of_the_distance():
    ticks, known = wide([0.0, 3.0, 3.0, 0.0])
    assert lane.outside_lane_share(ticks, known) == pytest.approx(0.5)


def test_a_scored_route_loses_the_share_outside_and_the_red_light():
    ticks = lit([tick(i, 5.0 * i, 5.0, y=3.0 if i in (4, 5) else 0.0) for i in range(21)], "red")
    known = at_light(half_lane_m=np.full(101, 1.75))
    share = 1 - 2 / 21
    assert leaderboard_scores(ticks, known) == pytest.approx(
        (100 * share * 0.70, 100 * share / 1.40)
    )


def test_leaving_the_road_is_told_where_it_was_looked_up():
    ticks, known = wide([0.0, 0.0])
    assert lane.measure(ticks, known)["off_road"] is None
    off = dataclasses.replace(ticks[1].frame, is_on_road=False)
    on = dataclasses.replace(ticks[0].frame, is_on_road=True)
    looked = [dataclasses.replace(t, frame=f) for t, f in zip(ticks, (on, off), strict=True)]
    assert lane.measure(looked, known)["off_road"] is True


def test_localisation_error_is_from_the_true_place_to_the_believed_one():
    one, two = (tick(i, 10.0, 5.0) for i in range(2))
    one = dataclasses.replace(one, belief=np.array([13.0, 4.0, 0.0]))  # 3 and 4: 5
    two = dataclasses.replace(two, belief=np.array([10.0, 1.0, 0.0]))
    found = lane.localisation([one, two])
    assert found == {"localisation_error_m": 3.0, "max_localisation_error_m": 5.0}
    assert lane.localisation([tick(0, 0.0, 5.0)])["localisation_error_m"] is None


def braked(others=(), mps2=4.0, **changes):
    """From 10 m/s for a second at 20 m along the road, braking at tick 20 for half a second."""
    speeds = [10.0] * 20 + [10.0 - mps2 * 0.05 * i for i in range(1, 11)]
    speeds += [speeds[-1]] * 5
    ticks = [
        dataclasses.replace(t, frame=dataclasses.replace(t.frame, others=tuple(others)))
        for t in from_speeds(speeds, 20.0)
    ]
    return phantom.measure(ticks, dataclasses.replace(truth(line=None), **changes))


def test_braking_hard_on_an_empty_road_is_for_nothing():
    assert braked() == {"phantom_braking": True, "phantom_brakings": 1}
    assert braked(mps2=2.5)["phantom_braking"] is False


@pytest.mark.parametrize(
    "y, is_reason",
    [(0.0, True), (2.7, True), (3.0, False)],  # half a car, 1 m beside it, half the other: 2.9
)
def test_something_ahead_on_the_route_is_a_reason(y, is_reason):
    other = actor(9, "static.prop.barrel", 60.0, y)
    assert braked([other])["phantom_braking"] is not is_reason


def test_what_is_far_ahead_or_behind_is_no_reason():
    # 10 m/s stop in 25 m, and 10 m more count; the bumper is at 30 m as it brakes.
    assert braked([actor(9, "static.prop.barrel", 85.0)])["phantom_braking"] is True
    assert braked([actor(9, "static.prop.barrel", 5.0)])["phantom_braking"] is True


def test_somebody_about_to_step_into_the_way_is_a_reason():
    walker = actor(
        9, "walker.pedestrian.0001", 50.0, 6.0, yaw=-np.pi / 2, vy=-2.5, half=(0.3, 0.3, 0.9)
    )
    assert braked([walker])["phantom_braking"] is False


def test_a_bend_too_tight_for_the_speed_is_a_reason():
    turn = np.linspace(0, np.pi / 2, 40)
    for radius, is_reason in ((30.0, True), (60.0, False)):  # 10 m/s: 3.3 and 1.7 m/s2 aside
        arc = np.stack([50 + radius * np.sin(turn), radius * (1 - np.cos(turn))], axis=1)
        points = np.concatenate([[[x, 0.0] for x in range(50)], arc])
        route = Route(np.column_stack([points, 0 * points[:, 0]]), points[:, 0], (0.0, 0.0))
        assert braked(route=route)["phantom_braking"] is not is_reason


def test_a_stop_line_or_a_red_light_is_a_reason_and_a_green_one_is_not():
    assert braked(stop_line_m=LINE)["phantom_braking"] is False
    for color, is_reason in (("red", True), ("yellow", True), ("green", False)):
        speeds = [10.0] * 20 + [10.0 - 0.2 * i for i in range(1, 11)]
        ticks = lit(from_speeds(speeds, 20.0), color)
        assert phantom.measure(ticks, at_light())["phantom_braking"] is not is_reason


def test_coming_to_a_stand_counts_however_gently():
    slow = from_speeds([3.0 - 0.05 * i for i in range(60)] + [0.0] * 5, 20.0)  # 1 m/s2
    assert phantom.measure(slow, truth(line=None))["phantom_brakings"] == 1


def test_a_collision_is_told_with_its_partner():
    from simattack.metrics.safety import collision_counts

    hit = tick(0, 0.0, 5.0, collisions=[Collision(9, "static.prop.barrel", (1.0, 0.0, 0.0))])
    found = collision_counts([hit])
    assert found["collision"] is True and found["collided_with"] == "static.prop.barrel"
    assert collision_counts([tick(0, 0.0, 5.0)])["collided_with"] is None
