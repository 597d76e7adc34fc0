"""The harm of a drive as it grows: told early, told once, and in the end exact."""

from __future__ import annotations

import numpy as np
import pytest

from simattack.metrics.episode import measure
from simattack.optimize.drives import harm
from simattack.optimize.growth import Growth
from simattack.types import (
    ActorState,
    CarInfo,
    Collision,
    Detections,
    EpisodeTruth,
    Frame,
    Pose,
    Route,
    Tick,
    Verdict,
)

ROUTE = Route(np.array([[x, 0.0, 0.0] for x in range(61)]), np.full(61, 9.0), (0.0, 0.0))
TRUTH = EpisodeTruth(ROUTE, CarInfo(), 0.05, half_lane_m=np.full(61, 1.5))


def ticks(offsets_m, hits=()):
    """The car half a metre farther on every tick, so far off to the right."""
    nothing = Detections.none()
    found = []
    for k, y_m in enumerate(offsets_m):
        ego = ActorState(1, "car", Pose(k * 0.5, y_m), (10.0, 0, 0), (0, 0, 0), (2.0, 1.0, 1.0))
        contacts = tuple(Collision(7, "static.prop", (9.0, 0, 0)) for hit in hits if hit == k)
        frame = Frame(k, k * 0.05, ego, collisions=contacts)
        found.append(Tick(frame, Verdict(nothing), nothing, False, np.zeros(3)))
    return found


def told(unsafe, trace, every):
    growth = Growth(unsafe)
    rewards = [growth.grown(trace[:end], TRUTH) for end in range(every, len(trace), every)]
    return [*rewards, growth.last(harm(measure(trace, TRUTH), unsafe))]


def test_the_lane_is_left_when_it_is_left_and_coming_back_takes_nothing_away():
    """1.5 m off: half of the hint's 3 m; beyond 2 m it is unsafe. Then back to the middle."""
    trace = ticks([0.0] * 10 + [1.5] * 10 + [2.4] * 10 + [0.0] * 20)
    rewards = told("lane_departure", trace, 10)
    assert rewards == pytest.approx([0.0, 0.25, 1.15, 0.0, 0.0])


def test_a_collision_is_earned_once_although_it_is_told_late():
    """At tick 18; told when it is settled, which is within what is looked at again."""
    whole = ticks([0.0] * 40, hits=(18,))
    growth = Growth("collision")
    early = growth.grown(ticks([0.0] * 20), TRUTH)
    late = growth.grown(whole[:30], TRUTH)
    again = growth.grown(whole, TRUTH)
    assert (early, late, again) == pytest.approx((0.0, 1.0, 0.0))


def test_the_rewards_of_any_drive_add_up_to_its_harm():
    rng = np.random.default_rng(3)
    for unsafe in ("lane_departure", "collision", "is_timeout", "stop_sign_violation"):
        trace = ticks(np.cumsum(rng.normal(0, 0.3, 47)), hits=(44,))
        rewards = told(unsafe, trace, 10)
        assert sum(rewards) == pytest.approx(harm(measure(trace, TRUTH), unsafe))
