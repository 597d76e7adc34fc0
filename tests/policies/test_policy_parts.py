from __future__ import annotations

import numpy as np
import pytest
from closed_loop import CAR, boxes, straight
from closed_loop import stop_sign as sign_at

from simattack.policies.boxes import Boxes
from simattack.policies.control import Pedals, pure_pursuit
from simattack.policies.following import follow_mps2
from simattack.policies.path import Path
from simattack.policies.signs import SignRules, SignTracker
from simattack.policies.stopping import StopRules, StopSigns
from simattack.policies.tracking import Hits
from simattack.types import Detections, Pose, Route

FOCAL_PX = 554.256


def route(points, speed=10.0):
    points = np.array([(x, y, 0.0) for x, y in points])
    return Route(points, np.full(len(points), speed), (0.0, 0.0))


def test_a_place_beside_a_corner_has_its_length_and_its_side():
    path = Path(route([(0, 0), (10, 0), (10, 10)]))
    assert path.length_m == 20
    assert path.locate(np.array([4.0, 1.5])) == pytest.approx((4.0, 1.5))  # +y is to the right
    assert path.locate(np.array([12.0, 6.0])) == pytest.approx((16.0, -2.0))
    assert path.locate(np.array([-3.0, 0.0])) == pytest.approx((-3.0, 0.0))
    assert path.locate(np.array([10.0, 14.0])) == pytest.approx((24.0, 0.0))
    assert path.point(24.0) == pytest.approx([10.0, 14.0])


def test_the_lock_shrinks_with_speed():
    # 70 degrees at rest; at 40 km/h halfway between 0.9 and 0.8 of it
    assert np.rad2deg(CAR.lock_rad(0.0)) == pytest.approx(70.0)
    assert np.rad2deg(CAR.lock_rad(40 / 3.6)) == pytest.approx(59.5)
    assert np.rad2deg(CAR.lock_rad(-40 / 3.6)) == pytest.approx(59.5)


def test_a_path_that_crosses_itself_is_followed_in_order():
    there = [(x, 0.0) for x in range(0, 101, 10)]
    back = [(100.0, 50.0), (50.0, 50.0), (50.0, -50.0)]
    path = Path(route(there + back))
    crossing = np.array([50.0, 0.5])
    assert path.locate(crossing, 45.0)[0] == pytest.approx(50.0)
    assert path.locate(crossing, 240.0)[0] == pytest.approx(249.5)


def test_many_places_at_once_are_where_each_of_them_is():
    turn = np.linspace(0, np.pi / 2, 25)
    corner = [(40 + 15 * np.sin(a), 15 - 15 * np.cos(a)) for a in turn]
    path = Path(route([(x, 0.0) for x in range(40)] + corner + [(55.0, y) for y in range(16, 60)]))
    points = np.random.default_rng(0).uniform([-8, -8], [63, 45], (300, 2))
    places = path.place(points, 20.0)
    near = np.abs(places[:, 1]) < 8.0
    assert near.sum() > 100
    for point, place in zip(points[near], places[near], strict=True):
        # As near to two pieces alike, a point may be told beside the one or the other.
        assert place == pytest.approx(path.locate(point, 20.0), abs=0.02)
    assert path.beside(*places[0]) == pytest.approx(points[0], abs=0.5)


def test_a_path_needs_two_places():
    with pytest.raises(ValueError, match="two different points"):
        Path(route([(1, 1), (1, 1)]))


def test_speed_falls_in_time_for_a_lower_limit():
    points = np.array([(x, 0.0, 0.0) for x in range(31)])
    limit = np.where(np.arange(31) < 20, 10.0, 4.0)
    speed = Path(Route(points, limit, (0.0, 0.0))).speed_profile(2.5, 2.0)
    # v^2 = 4^2 + 2 * 2 * d: 6 m/s at 5 m before, 10 m/s at 21 m before.
    assert speed[15] == pytest.approx(6.0)
    assert speed[20] == 4.0
    assert speed[0] == pytest.approx(np.sqrt(16 + 80))


def test_three_of_five_counts_and_forgets_the_sixth():
    hits = Hits(3, 5)
    for is_seen in (True, False, True, False):
        hits.note(is_seen)
    assert not hits.is_enough
    hits.note(True)
    assert hits.is_enough
    hits.note(False)
    assert not hits.is_enough
    assert hits.misses == 1


def tracked(size_factor, noise_px, from_m=40.0, to_m=8.0, step_m=0.8):
    """The only track after driving towards a sign 3.55 m to the right at x = 50."""
    tracker = SignTracker(CAR.camera, SignRules(0.4, 3, 5, 10, 0.75))
    rng = np.random.default_rng(2)
    for distance in np.arange(from_m, to_m, -step_m):
        x = 50.0 - distance - CAR.camera.mount.x_m
        seen = boxes([sign_at(50.0, 3.55)], Pose(x), 0.0, rng, noise_px, max_m=60)
        middle = np.tile((seen.boxes[:, :2] + seen.boxes[:, 2:]) / 2, 2)
        seen = Detections(middle + size_factor * (seen.boxes - middle), seen.scores, seen.labels)
        tracker.update(seen, np.array([x, 0.0, 0.0]))
    (track,) = tracker.tracks
    return track


def test_a_sign_is_found_where_it_stands():
    track = tracked(1.0, 0.0)
    assert track.is_confirmed
    assert track.place == pytest.approx([50.0, 3.55], abs=0.01)


def test_bearings_correct_boxes_of_the_wrong_size():
    # By size alone a box 15 % too small puts the sign 15 % too far: 1.3 m at 9 m.
    assert tracked(0.87, 1.0).place == pytest.approx([50.0, 3.55], abs=0.5)
    assert tracked(1.15, 1.0).place == pytest.approx([50.0, 3.55], abs=0.5)


def test_one_wild_box_does_not_move_a_sign():
    tracker = SignTracker(CAR.camera, SignRules(0.4, 3, 5, 10, 0.75))
    rng = np.random.default_rng(0)
    for step in range(30):
        x = 20.0 + 0.5 * step
        seen = boxes([sign_at(50.0, 3.55)], Pose(x), 0.0, rng, 0.5)
        if step == 25:
            grown = seen.boxes + np.array([[-12.0, -12.0, 2.0, 2.0]])
            seen = Detections(grown, seen.scores, seen.labels)
        tracker.update(seen, np.array([x, 0.0, 0.0]))
    places = [track.place for track in tracker.tracks if track.is_confirmed]
    assert len(places) == 1
    assert places[0] == pytest.approx([50.0, 3.55], abs=0.4)


def test_one_far_sign_with_ragged_boxes_stays_one_sign():
    for seed in range(8):
        tracker = SignTracker(CAR.camera, SignRules(0.4, 3, 5, 10, 0.75))
        rng = np.random.default_rng(seed)
        for x in np.arange(8.0, 35.0, 0.8):
            seen = boxes([sign_at(50.0, 3.55)], Pose(x), 0.0, rng, 1.0)
            tracker.update(seen, np.array([x, 0.0, 0.0]))
            assert len(tracker.tracks) == 1


def test_a_narrow_face_speaks_to_other_traffic():
    tracker = SignTracker(CAR.camera, SignRules(0.4, 3, 5, 10, 0.75))
    edge_on = Detections(np.array([[400.0, 180.0, 412.0, 210.0]]), np.ones(1), ("stop sign",))
    for _ in range(5):
        tracker.update(edge_on, np.zeros(3))
    assert tracker.tracks == []


def test_a_stop_before_the_window_is_no_stop_and_one_within_lasts_the_dwell():
    rule = StopSigns(StopRules(aim_m=1.5, braking_mps2=2.0, dwell_s=2.0))
    early = rule.update(0.0, 10.0, 0.0, [20.0])  # stands 10 m before: behind something
    assert not early.is_hold and early.limit_mps2 > 0
    assert rule.update(1.0, 18.5, 0.0, [20.0]).is_hold
    assert rule.update(2.95, 18.5, 0.0, []).is_hold
    assert not rule.update(3.0, 18.5, 0.0, []).is_hold
    assert rule.update(3.05, 18.5, 0.0, [20.3]).limit_mps2 == np.inf  # never twice


def test_braking_for_a_late_sign_is_what_the_distance_demands():
    rule = StopSigns(StopRules(aim_m=1.5, braking_mps2=2.0, dwell_s=2.0))
    # 8^2 / (2 * (9.5 - 1.5)) = 4
    assert rule.update(0.0, 0.0, 8.0, [9.5]).limit_mps2 == pytest.approx(-4.0)
    fresh = StopSigns(StopRules(aim_m=1.5, braking_mps2=2.0, dwell_s=2.0))
    # 8^2 / (2 * 3.9) > 8: it cannot stop before the line at all, and lets it be.
    assert fresh.update(0.0, 0.0, 8.0, [3.9]).limit_mps2 == np.inf


def test_a_passed_line_is_not_reversed_to():
    rule = StopSigns(StopRules(aim_m=1.5, braking_mps2=2.0, dwell_s=2.0))
    assert rule.update(0.0, 10.0, 5.0, [9.0]).limit_mps2 == np.inf


def observed(label, box):
    seen = Detections(np.array([box], float), np.array([0.9]), (label,))
    (one,) = Boxes(CAR.camera, 0.4).find(seen, lambda depth: 0.0)
    return one


def test_a_person_stands_where_the_box_meets_the_ground():
    # Feet at 1.5 m below a camera 0.9 m ahead: 554.26 * 1.5 / 12 = 69.28 px below the middle.
    top = 240 + FOCAL_PX * (1.5 - 1.75) / 12
    middle = 320 + FOCAL_PX * 2.0 / 12
    one = observed("person", (middle - 14, top, middle + 14, 240 + 69.28))
    assert (one.depth_m, one.right_m) == pytest.approx((12.0, 2.0), abs=0.01)


def test_a_car_beside_the_route_does_not_reach_into_it_with_its_side():
    # Near face 1.6 to 3.5 m to the right at 8 m, its far end at 12.6 m.
    inner, outer = 320 + FOCAL_PX * 1.6 / 12.6, 320 + FOCAL_PX * 3.5 / 8
    bottom = 240 + FOCAL_PX * 1.5 / 8
    top = bottom - FOCAL_PX * 1.55 / 8
    one = observed("car", (inner, top, outer, bottom))
    inner_m = one.right_m - one.half_width_m
    assert inner_m == pytest.approx(1.6, abs=0.02)


def test_following_brakes_no_less_than_physics_asks():
    # 10 m/s towards something standing 25 m ahead, to stop 5 m before it: 100 / (2 * 20) = 2.5.
    asked = follow_mps2(25.0, 10.0, 0.0, 5.0, 2.0, 8.0)
    assert -3.5 < asked <= -2.5
    assert follow_mps2(11.0, 10.0, 0.0, 5.0, 2.0, 8.0) == -8.0
    # Slow and close: 3^2 / (2 * 1) = 4.5, more than a calm follower would.
    assert follow_mps2(6.0, 3.0, 0.0, 5.0, 2.0, 8.0) == pytest.approx(-4.5)
    # What comes towards us at 10 m/s in all is here in 1.19 s.
    assert follow_mps2(11.9, 5.0, -5.0, 5.0, 2.0, 8.0) == -8.0
    assert follow_mps2(100.0, 10.0, 10.0, 5.0, 2.0, 8.0) > 1.0


@pytest.mark.parametrize("real_gain", [0.7, 1.3])
def test_the_pedals_learn_a_car_that_answers_otherwise(real_gain):
    pedals, speed = Pedals(4.0, 8.0), 15.0
    speeds = []
    for _ in range(80):
        throttle, brake = pedals.press(-2.0, speed, 0.05)
        speed = max(speed + 0.05 * real_gain * (4.0 * throttle - 8.0 * brake), 0.0)
        speeds.append(speed)
    assert (speeds[79] - speeds[59]) / 1.0 == pytest.approx(-2.0, abs=0.15)


def test_steering_points_to_the_side_the_path_lies_on():
    path = Path(straight(50, 8))
    assert pure_pursuit(np.array([10.0, -1.0, 0.0]), 10.0, 5.0, path, CAR) > 0.02
    assert pure_pursuit(np.array([10.0, 0.0, 0.2]), 10.0, 5.0, path, CAR) < -0.02
    assert pure_pursuit(np.array([10.0, 0.0, 0.0]), 10.0, 5.0, path, CAR) == pytest.approx(0.0)
