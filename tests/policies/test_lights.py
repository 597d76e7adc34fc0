from __future__ import annotations

import numpy as np
import pytest
from closed_loop import CAR, straight

from simattack.geometry import project
from simattack.policies.lights import Lights, Limits, SignalRules, View, Yields
from simattack.policies.path import Path
from simattack.policies.posts import PostRules, PostTracker
from simattack.types import Pose

PATH = Path(straight(200, 10.0))
RULES = SignalRules()
LINE_M = 100.0


def lights(word, time_s=0.0, at=((104.0, 4.0),)):
    rule = Lights(PATH, np.array([LINE_M]), RULES)
    rule.see(time_s, np.array(at), [word] * len(at))
    return rule


def test_a_red_light_closes_its_line_and_a_green_one_opens_it():
    rule = lights("red")
    assert rule.closed(0.1, 60.0, 10.0) == [LINE_M]
    rule.see(1.0, np.array([[104.0, 4.0]]), ["green"])
    assert rule.closed(1.1, 60.0, 10.0) == []
    assert rule.limit_mps(1.1, 60.0) == np.inf


def test_of_several_lights_the_red_one_counts():
    rule = Lights(PATH, np.array([LINE_M]), RULES)
    rule.see(0.0, np.array([[104, 4], [130, 3]]), ["green", "red"])
    assert rule.shown(LINE_M, 0.1) == "red"


@pytest.mark.parametrize("place", [(90, 4), (143, 4), (104, 17)], ids=["before", "next", "aside"])
def test_a_light_of_another_place_does_not_speak(place):
    assert lights("red", at=(place,)).shown(LINE_M, 0.1) is None


def test_a_light_that_stands_by_another_line_is_of_that_line_alone():
    """As on Town02: the next junction begins 40 m on, and its light is in reach of this line."""
    rule = Lights(PATH, np.array([LINE_M, 140.0]), RULES, VIEW)
    both, up = np.array([[100.5, 4.0], [136.0, 4.0]]), np.array([3.0, 3.0])
    rule.see(0.0, both, ["green", "red"], up)
    assert [rule.shown(line, 0.1) for line in (LINE_M, 140.0)] == ["green", "red"]
    rule.see(0.2, both, ["red", "green"], up)
    # It stands farther back than usual, to see its own.
    assert rule.closed(0.3, 90.0, 5.0) == [pytest.approx(LINE_M - 1.67, abs=0.01)]
    # One across the junction is of no other line.
    far = Lights(PATH, np.array([LINE_M, 140.0]), RULES)
    far.see(0.0, np.array([[130.0, 4.0]]), ["red"])
    assert [far.shown(line, 0.1) for line in (LINE_M, 140.0)] == ["red", None]


def test_yellow_is_stopped_for_only_with_room():
    # At 10 m/s, 4 m/s2 needs 12.5 m.
    assert lights("yellow").closed(0.1, LINE_M - 13.0, 10.0) == [LINE_M]
    late = lights("yellow")
    assert late.closed(0.1, LINE_M - 12.0, 10.0) == []
    # Red a moment later, with 10 m left: it goes through.
    late.see(0.5, np.array([[104.0, 4.0]]), ["red"])
    assert late.closed(0.6, LINE_M - 10.0, 10.0) == []


def test_yellow_is_not_stopped_for_where_the_light_would_be_out_of_sight():
    rule = Lights(PATH, np.array([LINE_M]), RULES, VIEW)
    rule.see(0.0, np.array([[100.0, 0.0]]), ["yellow"], np.array([3.0]))
    # It would stand 3.67 m before the line, 2.17 m farther back than usual.
    assert rule.closed(0.1, LINE_M - 13.0 - 2.2, 10.0) == [pytest.approx(LINE_M - 2.17, abs=0.01)]
    assert rule.closed(0.1, LINE_M - 13.0, 10.0) == []


def test_a_light_out_of_sight_is_held_for_a_while_and_then_neared_slowly():
    rule = lights("red")
    assert rule.closed(RULES.keep_red_s, 95.0, 0.0) == [LINE_M]
    assert rule.closed(RULES.keep_red_s + 0.1, 95.0, 0.0) == []
    # 3.5 m to where it would stop: sqrt(2 * 2 * 3.5).
    assert rule.limit_mps(RULES.keep_red_s + 0.1, 95.0) == pytest.approx(14**0.5)
    rule = lights("green")
    assert rule.limit_mps(RULES.keep_s, 95.0) == np.inf
    assert rule.limit_mps(RULES.keep_s + 0.1, 95.0) == pytest.approx(14**0.5)


# 1 m behind the bumper; half the picture is 0.75 of its depth up and 1.0 aside.
VIEW = View(behind_m=1.0, up=0.75, side=1.0, half_m=0.5)


def stands_at(places, ups, word="red", bumper_s_m=60.0, speed_mps=8.0):
    """Before the line [m]; the rule itself stops ``aim_m`` before what it is told."""
    rule = Lights(PATH, np.array([LINE_M]), RULES, VIEW)
    rule.see(0.0, np.array(places, float), [word] * len(places), np.array(ups, float))
    (line,) = rule.closed(0.1, bumper_s_m, speed_mps)
    return LINE_M - line + RULES.aim_m


def test_a_car_stands_where_it_still_sees_its_light():
    # 3 m up and half a metre, over 0.75: 4.67 m of depth, of which 1 m is the camera's place.
    assert stands_at([(100, 0)], [3.0]) == pytest.approx(3.5 / 0.75 - 1)
    # 4 m and a half aside are 4.5 m of depth.
    assert stands_at([(100, 4)], [1.0]) == pytest.approx(3.5)
    # 10 m beyond the line it is seen from where the car would stand anyway, ...
    assert stands_at([(110, 4)], [3.0]) == RULES.aim_m
    # ... and then the near one need not be.
    assert stands_at([(100, 0), (110, 4)], [3.0, 3.0]) == RULES.aim_m
    # Nobody stands 20 m before a line.
    assert stands_at([(100, 14)], [9.0]) == RULES.farthest_back_m


def test_a_light_seen_late_is_stopped_for_nearer_its_line_and_never_beyond_it():
    # 8 m/s take 8 m at 4 m/s2: that is more than the 7.5 m there are.
    assert stands_at([(100, 0)], [3.0], bumper_s_m=92.5) == RULES.aim_m
    # From 8.8 m they leave 0.8 m, which is nearer than 3.67 less the usual 1.5.
    late = stands_at([(100, 0)], [3.0], bumper_s_m=91.2)
    assert late == pytest.approx(0.8 + RULES.aim_m, abs=0.01)
    # It stands past there already: it does not go back, nor on.
    rule = Lights(PATH, np.array([LINE_M]), RULES, VIEW)
    rule.see(0.0, np.array([[100.0, 0.0]]), ["red"], np.array([3.0]))
    assert rule.closed(1.1, 97.0, 0.0) == [pytest.approx(97.83, abs=0.01)]
    assert rule.closed(1.1, 99.5, 0.0) == [99.5]


def test_a_car_at_rest_in_sight_of_its_light_does_not_creep_on_until_it_is_out_of_sight():
    rule = Lights(PATH, np.array([LINE_M]), RULES, VIEW)
    rule.see(0.0, np.array([[100.0, 0.0]]), ["red"], np.array([3.0]))
    assert rule.closed(0.1, 96.3, 0.0) == [96.3 + RULES.aim_m]
    # Now the same light is measured lower, and could be seen from nearer the line.
    rule.see(1.0, np.array([[100.0, 0.0]]), ["red"], np.array([1.0]))
    assert rule.closed(1.1, 96.3, 0.0) == [96.3 + RULES.aim_m]
    # It is held after the light was lost, until it opens; the next time is another time.
    assert rule.closed(30.0, 96.3, 0.0) == [96.3 + RULES.aim_m]
    rule.see(31.0, np.array([[100.0, 0.0]]), ["green"], np.array([1.0]))
    assert rule.closed(31.1, 96.3, 0.0) == []
    rule.see(32.0, np.array([[100.0, 0.0]]), ["red"], np.array([1.0]))
    assert rule.closed(32.1, 97.0, 3.0) == [LINE_M]


def test_a_car_at_rest_out_of_sight_of_its_light_goes_up_to_where_it_sees_it():
    rule = Lights(PATH, np.array([LINE_M]), RULES, VIEW)
    rule.see(0.0, np.array([[110.0, 4.0]]), ["red"], np.array([3.0]))
    assert rule.closed(5.0, 96.0, 0.0) == [LINE_M]  # it stopped behind something
    assert rule.closed(5.1, 80.0, 0.0) == [LINE_M]


def test_a_line_that_nothing_is_known_of_slows_the_car_but_from_afar_it_does_not():
    rule = Lights(PATH, np.array([LINE_M]), RULES)
    assert rule.limit_mps(0.0, 40.0) == np.inf
    # 20 m before it, 18.5 m to the stop: sqrt(2 * 2 * 18.5).
    assert rule.limit_mps(0.0, 80.0) == pytest.approx(74**0.5)


def yields(movers):
    return Yields(PATH, RULES).update(95.0, 4.0, [LINE_M], movers)


def test_a_yield_sign_slows_to_a_crawl_at_its_line():
    closed, limit = yields([])
    assert closed == []
    # sqrt(2^2 + 2 * 2 * 5)
    assert limit == pytest.approx(24**0.5)


def test_at_a_yield_sign_what_crosses_goes_first():
    crossing = (np.array([107.0, -20.0]), np.array([0.0, 8.0]))
    assert yields([crossing])[0] == [LINE_M]


@pytest.mark.parametrize(
    ("place", "velocity"),
    [((107, -20), (0, -8)), ((115, -8), (-8, 1)), ((107, -29), (0, 2)), ((107, -60), (0, 8))],
    ids=["leaves", "comes towards", "far in time", "far away"],
)
def test_at_a_yield_sign_others_need_not_be_waited_for(place, velocity):
    assert yields([(np.array(place, float), np.array(velocity, float))])[0] == []


def test_a_limit_holds_from_its_sign_to_the_next():
    limits = Limits()
    signs = [(50.0, 30 / 3.6), (150.0, 60 / 3.6)]
    limits.update(40.0, signs)
    assert limits.limit_mps == np.inf
    limits.update(51.0, signs)
    assert limits.limit_mps == pytest.approx(8.333, abs=1e-3)
    limits.update(151.0, signs)
    assert limits.limit_mps == pytest.approx(16.667, abs=1e-3)


def box_of(x_m, y_m, z_m, size_m, car_x_m):
    """(1, 4) box of a square plate across x, seen by the car at ``car_x_m``."""
    half = size_m / 2
    plate = np.array([(x_m, y_m + i * half, z_m + j * half) for i in (-1, 1) for j in (-1, 1)])
    corners = project(plate, CAR.camera, Pose(car_x_m + CAR.camera.mount.x_m, 0, 1.5))
    return np.concatenate([corners.min(0), corners.max(0)])[None]


def test_a_word_counts_once_three_of_five_pictures_read_it_and_its_place_is_known():
    tracker = PostTracker(CAR.camera, PostRules(0.65))
    words = ["limit 30", "limit 60", "limit 30"]
    for number, word in enumerate(words):
        box = box_of(40.0, 3.5, 2.2, 0.65, float(number))
        tracker.update(box, [word], np.array([float(number), 0.0, 0.0]))
    (post,) = tracker.posts
    assert post.word is None
    tracker.update(box_of(40.0, 3.5, 2.2, 0.65, 3.0), ["limit 30"], np.array([3.0, 0.0, 0.0]))
    assert post.word == "limit 30"
    assert post.place == pytest.approx([40.0, 3.5], abs=0.3)


def test_a_light_that_changes_says_nothing_until_it_is_sure_again():
    rules = PostRules(1.3, narrowest=0.2, is_last=False)
    tracker = PostTracker(CAR.camera, rules)
    told = []
    for word in ["red", "red", "red", "green", "yellow", "yellow"]:
        tracker.update(box_of(40.0, 3.5, 3.2, 1.3, 0.0), [word], np.zeros(3))
        told.append(tracker.posts[0].word)
    # Of the newest five: rrrg and rrrgy are still red, rrgyy is nothing.
    assert told == [None, None, "red", "red", "red", None]


def test_a_post_that_should_show_and_does_not_is_given_up():
    tracker = PostTracker(CAR.camera, PostRules(0.65))
    for _ in range(3):
        tracker.update(box_of(30.0, 3.5, 2.2, 0.65, 0.0), ["yield"], np.zeros(3))
    nothing = np.zeros((0, 4))
    for _ in range(9):
        tracker.update(nothing, [], np.zeros(3))
    assert len(tracker.posts) == 1
    tracker.update(nothing, [], np.zeros(3))
    assert tracker.posts == []


def test_a_light_that_the_detector_overlooks_is_looked_for_where_it_must_be():
    tracker = PostTracker(CAR.camera, PostRules(1.3, narrowest=0.2, is_last=False))
    for x in (0.0, 2.0, 4.0, 6.0, 8.0):
        tracker.update(box_of(20.0, 2.5, 3.3, 1.3, x), ["red"], np.array([x, 0.0, 0.0]))
    assert tracker.overlooked(np.array([8.0, 0.0, 0.0])) == []
    now = np.array([11.0, 0.0, 0.0])
    tracker.update(np.zeros((0, 4)), [], now)
    ((post, box),) = tracker.overlooked(now)
    assert box == pytest.approx(box_of(20.0, 2.5, 3.3, 1.3, 11.0)[0], abs=3)
    post.read("red")
    assert post.stale == 0 and tracker.overlooked(now) == []
    # So near that a third of it is above the picture, it cannot be read.
    tracker.update(np.zeros((0, 4)), [], np.array([16.6, 0.0, 0.0]))
    assert tracker.overlooked(np.array([16.6, 0.0, 0.0])) == []
    post.read("red")
    # A box on a part of it, on which no lamp is seen, is not what the light says.
    tracker.update(box_of(20.0, 2.5, 3.3, 1.3, 11.0), ["off"], now)
    assert tracker.overlooked(now) == []
    ((post, _),) = tracker.overlooked(now, "off")
    for _ in range(2):
        post.amend("green")
        tracker.update(box_of(20.0, 2.5, 3.3, 1.3, 11.0), ["off"], now)
    post.amend("green")
    assert post.word == "green"
