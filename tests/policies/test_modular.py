from __future__ import annotations

import numpy as np
import pytest
from closed_loop import CAR, boxes, car, drive, person, stop_sign, straight

from simattack import registry
from simattack.errors import ConfigError
from simattack.policies.path import Path
from simattack.types import Detections, Pose

LINE_M = 65.0
SIGN = stop_sign(LINE_M + 0.5, 3.55)


def approach(start_m: float, speed_mps: float, things, **options):
    """An approach that begins with the line ``start_m`` ahead; x counts from the start."""
    return drive(straight(start_m + 30, speed_mps), things, start_mps=speed_mps, **options)


@pytest.mark.parametrize(
    "start_m, speed_mps, seed, scale",
    [(50, 6, 0, 1.0), (50, 10, 1, 0.8), (65, 8, 2, 1.2), (80, 6, 3, 0.8), (80, 10, 4, 1.2)],
)
def test_it_stops_before_the_line_of_a_stop_sign_waits_and_goes_on(start_m, speed_mps, seed, scale):
    run = approach(
        start_m, speed_mps, [stop_sign(start_m + 0.5, 3.55)], seed=seed, scale=scale, seconds=19
    )
    before = start_m - run.standing_x_m()
    assert 0.5 < before < 2.5
    there = np.abs(run.bumper_x_m - run.standing_x_m()) < 0.05
    waited = np.sum(np.array(run.speed_mps)[there] < 0.05) * CAR.tick_s
    assert 2.0 <= waited < 2.3
    assert run.bumper_x_m[-1] > start_m + 3
    assert max(abs(y) for _, y, _ in run.pose) < 0.4


def test_a_comfortable_stop_brakes_gently():
    run = approach(65, 8, [SIGN], seconds=14)
    assert np.diff(run.speed_mps).min() / CAR.tick_s > -4.0


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_it_stops_in_the_window_when_boxes_are_too_tight_or_too_wide(factor):
    def resize(seen: Detections, image: int) -> Detections:
        middle = np.tile((seen.boxes[:, :2] + seen.boxes[:, 2:]) / 2, 2)
        return Detections(middle + factor * (seen.boxes - middle), seen.scores, seen.labels)

    run = approach(65, 8, [SIGN], edit=resize, latency_ticks=3, seconds=14)
    assert 0.5 < LINE_M - run.standing_x_m() < 2.5


def test_it_runs_past_a_sign_that_nothing_detects():
    run = approach(65, 8, [SIGN], edit=lambda seen, image: Detections.none(), seconds=9)
    assert min(run.speed_mps) > 7.5
    assert run.bumper_x_m[-1] > LINE_M


def test_it_runs_past_a_sign_seen_in_two_of_five_images_only():
    run = approach(
        65, 8, [SIGN], edit=lambda seen, i: seen if i % 5 < 2 else Detections.none(), seconds=9
    )
    assert min(run.speed_mps) > 7.5


def test_late_verdicts_are_put_where_the_car_was_at_the_capture():
    run = approach(65, 8, [SIGN], latency_ticks=8, noise_px=0.0, seconds=14)
    assert LINE_M - run.standing_x_m() == pytest.approx(1.5, abs=0.25)


def test_it_runs_past_a_sign_detected_below_the_working_threshold():
    def weaken(seen: Detections, image: int) -> Detections:
        return Detections(seen.boxes, 0.39 + 0 * seen.scores, seen.labels)

    run = approach(65, 8, [SIGN], edit=weaken, seconds=9)
    assert min(run.speed_mps) > 7.5


@pytest.mark.parametrize("side_m", [-5.3, 9.0])
def test_it_does_not_stop_for_a_sign_beside_other_lanes(side_m):
    run = approach(65, 8, [stop_sign(LINE_M + 0.5, side_m)], seconds=9)
    assert min(run.speed_mps) > 7.5


def test_a_sign_first_seen_close_by_is_braked_for_hard_and_too_late_is_left():
    def hide_until(height_px: float):
        return lambda seen, image: seen.select(seen.boxes[:, 3] - seen.boxes[:, 1] > height_px)

    hard = approach(65, 8, [SIGN], edit=hide_until(42), seconds=12)
    assert np.diff(hard.speed_mps).min() / CAR.tick_s < -5.5
    assert 0 < LINE_M - hard.standing_x_m() < 2.5
    late = approach(65, 8, [SIGN], edit=hide_until(55), seconds=9)
    assert min(late.speed_mps) > 7.5


def test_a_sign_hidden_again_in_full_view_is_given_up():
    run = approach(
        65, 6, [SIGN], edit=lambda seen, i: seen if i < 55 else Detections.none(), seconds=14
    )
    assert run.standing_x_m() is None


def test_it_stops_for_two_signs_one_after_the_other_and_once_for_each():
    things = [stop_sign(45.5, 3.55), stop_sign(105.5, 3.55)]
    run = drive(straight(150, 8), things, seconds=30)
    still = np.array(run.speed_mps) < 0.05
    starts = np.flatnonzero(still & ~np.concatenate([[False], still[:-1]]))
    stands = run.bumper_x_m[starts]
    assert len(stands) == 2
    assert np.all((np.array([45, 105]) - stands > 0.5) & (np.array([45, 105]) - stands < 2.5))


@pytest.mark.parametrize("yaw_deg", [90.0, -135.0])
def test_it_stops_the_same_on_a_route_that_leads_elsewhere(yaw_deg):
    yaw = np.deg2rad(yaw_deg)
    start = Pose(120.0, -190.0, yaw_rad=float(yaw))
    ahead, right = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    at = np.array([120.0, -190.0]) + 60.5 * ahead + 3.55 * right
    # A ball of the sign's height: its outline is the same from everywhere.
    sign = stop_sign(*at)
    sign = type(sign)("stop sign", sign.place, (0.6, 0.6, 0.75))
    run = drive(straight(90, 8, start), [sign], seconds=14)
    still = int(np.flatnonzero(np.array(run.speed_mps) < 0.05)[0])
    came = (np.array(run.pose[still][:2]) - [120.0, -190.0]) @ ahead + CAR.length_m / 2
    assert 0.5 < 60 - came < 2.5


@pytest.mark.parametrize(
    "thing, speed_mps",
    [(person(50, 0), 10), (person(50, 0.8), 6), (car(52, 0), 10), (car(52, 1.9), 8)],
)
def test_it_comes_to_a_stand_four_metres_before_what_blocks_its_way(thing, speed_mps):
    run = approach(70, speed_mps, [thing], seconds=13)
    near_face = thing.place[0] - thing.size[0] / 2
    assert 4.0 < near_face - run.bumper_x_m[-1] < 6.5
    assert run.speed_mps[-1] < 0.05


def test_it_stops_for_a_person_who_walks_into_its_way():
    walker = person(50, 8.75, velocity=(0, -1.4))  # on the route's centre when the car is due
    run = approach(70, 8, [walker], seconds=14)
    met = (np.array(run.time_s) * 1.4 > 7.0) & (np.array(run.time_s) * 1.4 < 10.5)
    assert np.all(49.8 - run.bumper_x_m[met] > 1.0)
    assert run.bumper_x_m[-1] > 55


@pytest.mark.parametrize(
    "thing",
    [
        person(50, 2.5),
        person(50, -2.5),
        car(50, 2.8),
        car(50, -3.5),
        car(100, -3.5, velocity=(-8, 0)),
    ],
)
def test_it_does_not_brake_for_what_stands_or_comes_beside_its_way(thing):
    run = approach(70, 8, [thing], seconds=8)
    assert min(run.speed_mps) > 7.5
    assert run.bumper_x_m[-1] > 55


def test_it_follows_a_slower_car_without_hitting_it():
    run = drive(straight(200, 10), [car(30, 0, velocity=(5, 0))], start_mps=10, seconds=15)
    gap = 30 - 2.3 + 5 * np.array(run.time_s) - run.bumper_x_m
    assert gap.min() > 4.0
    assert gap[-1] < 20
    assert run.speed_mps[-1] == pytest.approx(5, abs=0.7)


def test_a_car_close_ahead_that_flows_along_is_not_braked_for_as_if_it_stood():
    run = drive(straight(120, 8), [car(15, 0, velocity=(6, 0))], start_mps=8, seconds=6)
    assert np.diff(run.speed_mps).min() / CAR.tick_s > -6.0
    assert run.speed_mps[-1] > 5


def test_it_goes_round_a_bend_in_its_lane_and_slows_down_for_it():
    turn = np.linspace(0, np.pi / 2, 24)
    bend = np.stack([40 + 15 * np.sin(turn), 15 - 15 * np.cos(turn), 0 * turn], axis=1)
    first = np.stack([np.arange(40.0), np.zeros(40), np.zeros(40)], axis=1)
    last = np.stack([np.full(40, 55.0), 16 + np.arange(40.0), np.zeros(40)], axis=1)
    route = straight(1, 8)
    points = np.concatenate([first, bend, last])
    route = type(route)(points, np.full(len(points), 10.0), route.geo_origin)
    run = drive(route, [], start_mps=8, seconds=12)
    came = np.array([pose[:2] for pose in run.pose])
    offset = [abs(Path(route).locate(place)[1]) for place in came]
    assert max(offset) < 0.6
    assert came[-1, 1] > 30
    in_bend = (came[:, 0] > 42) & (came[:, 1] < 13)
    assert np.array(run.speed_mps)[in_bend].max() < 6.8  # sqrt(2.5 * 15) = 6.1


def test_two_runs_with_the_same_sensors_act_the_same():
    first, second = (approach(65, 8, [SIGN], seed=3, seconds=6) for _ in range(2))
    assert np.array_equal(np.array(first.action), np.array(second.action))


def test_every_action_is_within_its_limits():
    run = approach(65, 10, [SIGN, person(40, 0.5, velocity=(0, 0.3))], seconds=10)
    action = np.array(run.action)
    assert action.shape[1:] == (3,)
    assert np.all((action >= [-1, 0, 0]) & (action <= 1))
    assert not np.any((action[:, 1] > 0) & (action[:, 2] > 0))


def test_the_registry_knows_it_and_tells_wrong_options():
    recipe = registry.build("policies", "modular", {"sign_right_m": [2.0, 5.0]}, "here")
    assert recipe.sign_right_m == (2.0, 5.0)
    hash(recipe)
    with pytest.raises(ConfigError, match=r"sign_hits must be 1 to sign_window \(5\), got 6"):
        registry.build("policies", "modular", {"sign_hits": 6}, "here")
    with pytest.raises(ConfigError, match="dwell_s must be 0 or more, got -1"):
        registry.build("policies", "modular", {"dwell_s": -1}, "here")


def test_the_drawn_sign_has_the_size_that_the_pinhole_gives():
    camera_x = CAR.camera.mount.x_m
    seen = boxes([stop_sign(camera_x + 20, 0, 1.5)], Pose(), 0.0, np.random.default_rng(0), 0.0)
    # f = 320 / tan 30 deg = 554.26 px; 554.26 * 0.75 / 20 = 20.78 px
    assert seen.boxes[0] == pytest.approx([309.61, 229.61, 330.39, 250.39], abs=0.01)
