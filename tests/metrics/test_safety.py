from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from traces import HALF_M, LINE, actor, from_speeds, tick, truth

from simattack.metrics import safety
from simattack.metrics.boxes import gaps_m, outlines, times_to_contact_s
from simattack.metrics.driving import leaderboard_scores
from simattack.types import ActorState, Collision, EpisodeTruth, Frame, Pose, Route

WALKER = (0.25, 0.25, 0.9)


def stop_line(speeds, bumper_m):
    return safety.stop_line(from_speeds(speeds, bumper_m), truth())


def test_a_car_that_drives_on_violates_the_stop_sign_at_its_speed():
    found = stop_line([8.0] * 40, 48.1)  # 0.4 m a tick: passes 50 between ticks 4 and 5
    assert found["stop_sign_violation"] is True
    assert found["stopped"] is False
    assert found["passed_line"] is True
    assert found["line_speed_mps"] == pytest.approx(8.0)
    assert found["line_overrun_m"] == pytest.approx(48.1 + 39 * 0.4 - 50)


def test_the_speed_at_the_line_is_read_between_the_ticks():
    # The bumper is at 49.9 (4 m/s) and then at 50.1 (3 m/s): half way, 3.5 m/s.
    found = stop_line([4.0, 3.0, 3.0], 49.9)
    assert found["line_speed_mps"] == pytest.approx(3.5)


def test_a_car_that_stops_before_the_line_and_goes_on_does_not_violate_it():
    found = stop_line([4.0] * 5 + [0.0] * 10 + [4.0] * 20, 48.0)  # stands at 49.0
    assert found["stop_sign_violation"] is False
    assert found["stopped"] is True
    assert found["line_overrun_m"] == pytest.approx(-1.0)
    assert found["passed_line"] is True


@pytest.mark.parametrize("crawl, is_violation", [(0.11, True), (0.09, False)])
def test_standing_means_slower_than_a_tenth_of_a_metre_a_second(crawl, is_violation):
    assert stop_line([4.0] * 5 + [crawl] * 10 + [4.0] * 20, 48.0)["stop_sign_violation"] is (
        is_violation
    )


@pytest.mark.parametrize("stand_m, is_violation", [(45.9, True), (46.1, False)])
def test_a_stop_counts_from_four_metres_before_the_line(stand_m, is_violation):
    found = stop_line([4.0] * 5 + [0.0] * 5 + [4.0] * 40, stand_m - 1.0)
    assert found["stop_sign_violation"] is is_violation
    assert found["stopped"] is not is_violation


@pytest.mark.parametrize("stand_m, has_stopped", [(50.4, True), (50.6, False)])
def test_a_stop_just_past_the_line_is_late_and_still_a_violation(stand_m, has_stopped):
    found = stop_line([4.0] * 5 + [0.0] * 5, stand_m - 1.0)
    assert found["stop_sign_violation"] is True
    assert found["stopped"] is has_stopped
    assert found["line_overrun_m"] == pytest.approx(stand_m - 50)


def test_a_line_never_reached_is_not_violated():
    found = stop_line([4.0] * 5, 30.0)
    assert found["stop_sign_violation"] is False
    assert found["line_speed_mps"] is None
    assert found["line_overrun_m"] == pytest.approx(30.8 - 50)


def test_past_is_where_the_route_goes_whichever_way_the_line_was_drawn():
    for line in (LINE, LINE[::-1]):
        assert safety.past_line_m([tick(0, 40.0, 5.0)], line, truth()) == pytest.approx([-7.65])
    back = truth().route.points[::-1]
    away = EpisodeTruth(Route(back, np.ones(len(back)), (0, 0)), truth().car, 0.05, LINE)
    assert safety.past_line_m([tick(0, 40.0, 5.0)], LINE, away) == pytest.approx([7.65])


def test_a_route_without_a_line_has_no_stop_metrics():
    found = safety.stop_line(from_speeds([5.0] * 3, 10.0), truth(line=None))
    assert set(found.values()) == {None}


def test_one_partner_is_counted_once_in_five_seconds():
    hit = Collision(7, "vehicle.test.other", (300.0, 400.0, 0.0))
    wall = Collision(0, "static.wall", (0.0, 0.0, 10.0))
    person = Collision(9, "walker.pedestrian.0001", (1.0, 0.0, 0.0))
    contacts = {0: [hit], 20: [hit, wall], 99: [hit], 101: [hit], 150: [person], 200: [hit]}
    ticks = [tick(i, 0.0, 0.0, collisions=contacts.get(i, [])) for i in range(201)]
    # The vehicle counts at 0 s and at 5.05 s: what is at most 5 s after either belongs to it.
    assert safety.collision_counts(ticks) == {
        "collision": True,
        "collided_with": "vehicle.test.other",
        "collisions": 4,
        "collisions_pedestrian": 1,
        "collisions_vehicle": 2,
        "collisions_static": 1,
        "max_impulse_ns": pytest.approx(500.0),
    }


def test_ttc_is_gap_over_closing_speed():
    # Bumper to bumper 20 m, 5 m/s faster: 4 s.
    lead = actor(2, "vehicle.test.lead", 20 + 2 * HALF_M[0], vx=3.0)
    assert safety.min_ttc_s([tick(0, 0.0, 8.0, [lead])]) == pytest.approx(4.0)


def test_ttc_is_the_least_over_the_episode_and_of_all_road_users():
    lead = actor(2, "vehicle.test.lead", 50.0)
    walker = actor(3, "walker.pedestrian.0001", 12.6, half=WALKER)
    post = actor(4, "static.prop.post", 3.0)
    ticks = [tick(0, 0.0, 5.0, [lead, post]), tick(1, 0.0, 5.0, [lead, walker, post])]
    assert safety.min_ttc_s(ticks) == pytest.approx(2.0)  # 12.6 - 2.35 - 0.25 = 10 m at 5 m/s


def test_ttc_is_none_for_what_leads_away_stands_aside_or_is_not_there():
    faster = actor(2, "vehicle.test.lead", 20.0, vx=9.0)
    aside = actor(3, "vehicle.test.parked", 20.0, y=3.0)
    assert safety.min_ttc_s([tick(0, 0.0, 8.0, [faster, aside])]) is None
    assert safety.min_ttc_s([tick(0, 0.0, 8.0)]) is None


def test_ttc_of_a_crossing_walker_counts_only_if_both_are_there_at_once():
    # 10 m ahead of the bumper at 5 m/s: the ego is there at 2 s and clear of 0.5 m + 4.7 m at 3.04.
    meets = actor(2, "walker.pedestrian.0001", 12.6, y=2.2, vy=-1.0, half=WALKER)
    early = actor(2, "walker.pedestrian.0001", 12.6, y=2.2, vy=-2.0, half=WALKER)
    assert safety.min_ttc_s([tick(0, 0.0, 5.0, [meets])]) == pytest.approx(2.0)
    # Twice as fast it has crossed 2.2 + 1.2 m at 1.7 s.
    assert safety.min_ttc_s([tick(0, 0.0, 5.0, [early])]) is None


def test_ttc_agrees_with_stepping_turned_boxes_until_they_touch():
    rng = np.random.default_rng(8)
    ego = outlines([actor(1, "vehicle.a", 0.0, yaw=0.3)])[0]
    others = [
        actor(i, "vehicle.b", *rng.uniform(-20, 20, 2), yaw=rng.uniform(-3, 3)) for i in range(40)
    ]
    shapes = outlines(others)
    velocity = (
        np.array([-a.pose.x_m for a in others]) / 4,
        np.array([-a.pose.y_m for a in others]) / 5,
    )
    velocity = np.stack(velocity, axis=1) + rng.normal(0, 0.5, (40, 2))
    found = times_to_contact_s(ego, shapes, velocity)
    times = np.arange(0, 8, 0.01)
    hits = 0
    for shape, speed, time_s in zip(shapes, velocity, found, strict=True):
        touching = gaps_m(ego, shape + times[:, None, None] * speed) == 0
        if touching.any():
            assert time_s == pytest.approx(times[np.argmax(touching)], abs=0.0101)
            hits += 1
        else:
            assert not time_s < 7.99
    assert 10 < hits < 40


def test_the_least_distance_is_between_boxes_not_their_middles():
    aside = actor(2, "vehicle.test.parked", 0.0, y=3.5)
    turned = actor(3, "vehicle.test.turned", 10.0, yaw=np.pi / 2)
    post = actor(4, "static.prop.post", 2.5)
    assert safety.min_distance_m([tick(0, 0.0, 5.0, [aside, post])]) == pytest.approx(1.6)
    assert safety.min_distance_m([tick(0, 0.0, 5.0, [turned])]) == pytest.approx(10 - 2.35 - 0.95)
    assert safety.min_distance_m([tick(0, 0.0, 5.0, [post])]) is None


def second_line(**changes):
    """No sign at the site, others at 50 m and 80 m of the way."""
    lines = LINE, np.add(LINE, (30.0, 0.0, 0.0))
    return dataclasses.replace(truth(line=None), more_stop_lines_m=lines, **changes)


def test_every_stop_sign_on_the_route_is_judged_by_itself():
    # 10 m/s is 0.5 m a tick: stands 1 m before the first line, runs over the second.
    speeds = [10.0] * 18 + [0.0] * 3 + [10.0] * 70
    ticks = from_speeds(speeds, 40.0)  # 18 ticks to 49 m
    assert safety.stop_signs_run(ticks, second_line()) == 1
    assert safety.stop_line(ticks, second_line())["stop_sign_violation"] is True
    assert safety.stop_signs_run(from_speeds([10.0] * 90, 40.0), second_line()) == 2
    assert safety.stop_signs_run(from_speeds([10.0] * 9, 40.0), second_line()) == 0
    assert safety.stop_signs_run(ticks, truth(line=None)) is None


def test_a_lines_extension_far_to_its_side_is_not_passed():
    # 15 m to the side of the line's middle is farther than the 10 m that count.
    for y, count in ((0.0, 1), (9.0, 1), (15.0, 0)):
        ticks = [tick(i, 0.5 * i, 10.0, y=y) for i in range(140)]
        assert len(safety.crossings(ticks, LINE, truth())) == count


def test_a_sign_that_is_passed_twice_is_judged_twice():
    there = from_speeds([10.0] * 40, 40.0)
    again = from_speeds([10.0] * 18 + [0.0] * 3 + [10.0] * 20, 40.0)
    only = dataclasses.replace(truth(line=None), more_stop_lines_m=(LINE,))
    assert safety.stop_signs_run([*there, *there], only) == 2
    assert safety.stop_signs_run([*there, *again], only) == 1


def test_leaderboards_scores_count_every_stop_sign():
    # Two signs run on the whole route: 0.8 * 0.8, and 1 / (1 + 2 * 0.25).
    ticks = from_speeds([10.0] * 200, 2.35)
    assert leaderboard_scores(ticks, second_line()) == pytest.approx((64.0, 100 / 1.5))


def test_the_least_of_all_ticks_is_that_of_each_by_itself():
    """Ticks with nobody, with one and with three others: against a loop over single ticks."""
    rng = np.random.default_rng(5)

    def anybody(kind):
        pose = Pose(*rng.uniform(-12, 12, 2), yaw_rad=float(rng.uniform(-3, 3)))
        return ActorState(1, kind, pose, (*rng.uniform(-9, 9, 2), 0.0), (0, 0, 0), (2.4, 1.0, 0.8))

    ticks = []
    for k, count in enumerate((0, 1, 3, 0, 3, 2) * 20):
        others = tuple(anybody("vehicle.x" if j else "static.prop") for j in range(count))
        frame = Frame(k, k * 0.05, anybody("vehicle.ego"), others)
        ticks.append(dataclasses.replace(tick(0, 0.0, 0.0), frame=frame))
    for measured in (safety.min_ttc_s, safety.min_distance_m):
        each = [measured([one]) for one in ticks]
        known = [value for value in each if value is not None]
        assert 2 < len(known) < len(each)
        assert measured(ticks) == pytest.approx(min(known), rel=1e-12)
    assert safety.min_ttc_s([ticks[0], ticks[3]]) is None
    assert safety.min_distance_m(ticks[:1]) is None
