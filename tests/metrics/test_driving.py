from __future__ import annotations

import numpy as np
import pytest
from traces import LINE, TICK_S, from_speeds, tick, truth

from simattack.metrics import driving
from simattack.metrics.episode import measure
from simattack.types import Collision, EpisodeTruth, Route


def test_route_completion_is_the_share_of_the_length_come_by():
    ticks = [tick(0, 0.0, 5.0), tick(1, 10.0, 5.0, y=1.0), tick(2, 25.0, 5.0), tick(3, 20.0, 0.0)]
    assert driving.route_completion(ticks, truth()) == pytest.approx(0.25)


def test_a_route_counts_as_driven_from_ninety_nine_per_cent():
    steps = [tick(i, float(x), 5.0) for i, x in enumerate(range(0, 99, 7))]
    assert driving.route_completion(steps, truth()) == pytest.approx(0.98)
    assert driving.route_completion([*steps, tick(99, 99.2, 5.0)], truth()) == 1.0


def test_nothing_is_gained_far_from_the_route():
    ticks = [tick(0, 0.0, 5.0), tick(1, 10.0, 5.0), tick(2, 25.0, 5.0, y=31.0)]
    assert driving.route_completion(ticks, truth()) == pytest.approx(0.10)


def test_a_route_that_passes_its_start_again_is_not_complete_at_the_start():
    turn = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([50 * np.sin(turn), 50 - 50 * np.cos(turn), 0 * turn], axis=1)
    route = Route(circle, np.ones(200), (0.0, 0.0))
    ring = EpisodeTruth(route, truth().car, TICK_S)
    assert driving.route_completion([tick(0, -0.5, 5.0)], ring) < 0.01


def infractions(*kinds, drives_past=False, length=101.0):
    """The whole route driven, with these collisions on the way; maybe past the stop line."""
    contacts = [Collision(10 + i, kind, (1.0, 0.0, 0.0)) for i, kind in enumerate(kinds)]
    ticks = [tick(i, 5.0 * i, 5.0, collisions=contacts if i == 3 else []) for i in range(21)]
    return driving.leaderboard_scores(
        ticks, truth(length_m=length, line=LINE if drives_past else None)
    )


@pytest.mark.parametrize(
    "kinds, drives_past, score_20, score_21",
    [
        ((), False, 100.0, 100.0),
        (("walker.pedestrian.0001",), False, 50.0, 100 / 2.0),
        (("vehicle.audi.tt",), False, 60.0, 100 / 1.7),
        (("static.pole",), False, 65.0, 100 / 1.6),
        ((), True, 80.0, 100 / 1.25),
        (("walker.pedestrian.0001", "vehicle.audi.tt"), True, 24.0, 100 / 2.95),
        (("vehicle.audi.tt", "vehicle.audi.tt"), False, 36.0, 100 / 2.4),
    ],
)
def test_leaderboard_scores_are_those_of_its_tables(kinds, drives_past, score_20, score_21):
    assert infractions(*kinds, drives_past=drives_past) == pytest.approx((score_20, score_21))


def test_leaderboard_scores_scale_with_the_route_driven():
    assert infractions("static.pole", length=201.0) == pytest.approx((32.5, 50 / 1.6))


def test_hard_braking_is_counted_once_a_run_of_ticks():
    speeds = [10.0]
    for braking in [0, 5.9, 0, 7.0, 5.9, 5.8, 6.0, 0]:
        speeds.append(speeds[-1] - braking * TICK_S)
    # 5.9; 7.0 with 5.9; and 6.0 after 5.8, which is not hard.
    assert driving.hard_braking_count(from_speeds(speeds, 10.0), TICK_S) == 3


def test_speeding_up_hard_is_not_braking():
    assert driving.hard_braking_count(from_speeds([0.0, 0.5, 1.0], 10.0), TICK_S) == 0


def test_jerk_is_the_change_of_acceleration():
    time_s = np.arange(40) * TICK_S
    ticks = from_speeds(list(20 - 1.5 * time_s**2), 0.0)  # a = -3 t, so 3 m/s3
    assert driving.max_jerk_mps3(ticks, TICK_S) == pytest.approx(3.0)
    assert driving.max_jerk_mps3(ticks[:4], TICK_S) is None
    assert driving.max_jerk_mps3(from_speeds([7.0] * 30, 0.0), TICK_S) == pytest.approx(0, abs=1e-9)


def test_an_episode_is_measured_under_distinct_names_and_plain_values():
    found = measure(from_speeds([8.0] * 200, 20.0), truth())
    assert {"stop_sign_violation", "leaderboard_2_0_score", "recall_10_15m"} <= set(found)
    assert all(isinstance(value, float | int | bool | None) for value in found.values())
    assert not any(isinstance(value, np.generic) for value in found.values())
    assert found["duration_s"] == pytest.approx(10.0)
    assert found["mean_speed_mps"] == pytest.approx(8.0)
    parts = driving.measure(from_speeds([8.0] * 200, 20.0), truth())
    assert len(found) > len(parts) and parts.items() <= found.items()


def test_an_episode_without_ticks_is_refused():
    with pytest.raises(ValueError, match="at least one tick"):
        measure([], truth())
