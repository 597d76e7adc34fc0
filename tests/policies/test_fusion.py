from __future__ import annotations

import numpy as np
import pytest

from simattack.policies.fusion import Measurement, Tracker

RULES = {"camera": (2, 3), "lidar": (2, 3), "radar": (3, 4)}
HERE = np.zeros(3)


def face(depth_m, right_m=0.0, std_m=0.2, label="", **more):
    return Measurement(label, depth_m, right_m, 0.9, std_m, std_m, **more)


def test_each_sensor_alone_confirms_by_its_own_rule():
    tracker = Tracker(RULES)
    tracker.update("lidar", [face(20.0)], HERE, 0.0, 0.0)
    assert tracker.confirmed() == []
    tracker.update("camera", [face(20.5, label="car")], HERE, 0.0, 0.0)
    assert tracker.confirmed() == []  # once each is not twice by one
    tracker.update("lidar", [face(20.0)], HERE, 0.1, 0.0)
    (track,) = tracker.confirmed()
    assert track.support == ("lidar",)
    assert track.label == "car"
    tracker.update("camera", [face(20.5, label="car")], HERE, 0.1, 0.0)
    assert track.support == ("camera", "lidar")
    assert len(tracker.tracks) == 1


def test_the_others_cannot_deny_what_one_has_seen_and_all_must_miss_it_to_forget():
    tracker = Tracker(RULES)
    for tick in range(6):
        tracker.update("lidar", [face(20.0)], HERE, tick * 0.1, 0.0)
        tracker.update("camera", [], HERE, tick * 0.1, 0.0)
        tracker.update("radar", [], HERE, tick * 0.1, 0.0)
    assert [track.support for track in tracker.confirmed()] == [("lidar",)]
    for tick in range(6, 9):
        tracker.update("lidar", [], HERE, tick * 0.1, 0.0)
    assert tracker.tracks == []


def test_weak_returns_neither_begin_nor_confirm_a_track_but_correct_one():
    tracker = Tracker(RULES)
    weak = face(20.4, is_strong=False)
    for tick in range(5):
        tracker.update("radar", [weak], HERE, tick * 0.1, 0.0)
    assert tracker.tracks == []
    tracker.update("lidar", [face(20.0)], HERE, 0.5, 0.0)
    for tick in range(6, 9):
        tracker.update("radar", [weak], HERE, tick * 0.1, 0.0)
    assert tracker.confirmed() == []
    assert tracker.tracks[0].state[0] > 20.05


def test_a_place_is_weighed_by_the_errors_of_both_sensors():
    tracker = Tracker(RULES)
    tracker.update("camera", [face(22.0, std_m=2.0, label="car")], HERE, 0.0, 0.0)
    tracker.update("lidar", [face(20.0, std_m=0.2)], HERE, 0.0, 0.0)
    # Weights 1 / 4 and 1 / 0.04: (22 * 0.25 + 20 * 25) / 25.25 = 20.02.
    assert tracker.tracks[0].state[0] == pytest.approx(20.02, abs=0.001)


def test_a_late_image_is_held_against_where_the_thing_was():
    tracker = Tracker(RULES)
    for tick in range(20):  # 5 m/s away
        tracker.update("lidar", [face(20.0 + 0.5 * tick)], HERE, tick * 0.1, 0.0)
    before = tracker.tracks[0].state.copy()
    # An image of 1.5 s, told at 1.9 s, shows it at 27.5 m, as it was.
    tracker.update("camera", [face(27.5, label="car")], HERE, 1.5, 0.0)
    assert len(tracker.tracks) == 1
    assert tracker.tracks[0].state == pytest.approx(before, abs=0.15)


def test_a_speed_along_the_line_of_sight_is_known_at_once():
    tracker = Tracker(RULES)
    seen = face(30.0, apart_mps=5.0, apart_std_mps=0.3, sight_rad=0.0)
    tracker.update("radar", [seen], np.array([0.0, 0.0, np.pi / 2]), 0.0, 8.0)
    (track,) = tracker.tracks
    # The sensor looks along +y; 4 m/s were thought possible: 5 * 16 / 16.09 = 4.97.
    assert track.state[:2] == pytest.approx([0.0, 30.0])
    assert track.state[2:] == pytest.approx([0.0, 4.97], abs=0.01)


def test_two_things_side_by_side_stay_two():
    tracker = Tracker(RULES)
    for tick in range(5):
        seen = [face(15.0, -1.5), face(15.2, 1.5)]
        tracker.update("lidar", seen, HERE, tick * 0.1, 0.0)
    assert len(tracker.confirmed()) == 2


def test_only_fitted_sensors_are_waited_for():
    tracker = Tracker({"lidar": (2, 3)})
    for tick in range(2):
        tracker.update("lidar", [face(15.0)], HERE, tick * 0.1, 0.0)
    assert len(tracker.confirmed()) == 1
    for tick in range(2, 5):
        tracker.update("lidar", [], HERE, tick * 0.1, 0.0)
    assert tracker.tracks == []
