"""How well the car drove: progress, comfort, and CARLA's leaderboard scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import savgol_filter

from simattack.metrics.lane import outside_lane_share
from simattack.metrics.rules import red_lights
from simattack.metrics.safety import Value, collision_kinds, stop_signs_run
from simattack.types import EpisodeTruth, Floats, Tick

HARD_BRAKING_MPS2 = 5.89
"""21.2 km/h per second, the bound of DriveFuzz (Kim et al., CCS 2022) as its code has it."""
_COMPLETE = 0.99
"""From here on a route counts as driven (leaderboard: 99 %)."""
_LB20 = {"pedestrian": 0.50, "vehicle": 0.60, "static": 0.65, "stop": 0.80, "red": 0.70}
"""Factor per infraction, multiplied."""
_LB21 = {"pedestrian": 1.00, "vehicle": 0.70, "static": 0.60, "stop": 0.25, "red": 0.40}
"""Coefficient per infraction, summed."""


def measure(ticks: Sequence[Tick], truth: EpisodeTruth) -> dict[str, Value]:
    """All driving metrics of one episode; see the functions for definitions."""
    completion = route_completion(ticks, truth)
    score_20, score_21 = leaderboard_scores(ticks, truth)
    speed = np.array([tick.frame.ego.speed_mps for tick in ticks])
    return {
        "route_completion": completion,
        "leaderboard_2_0_score": score_20,
        "leaderboard_2_1_score": score_21,
        "hard_braking_count": hard_braking_count(ticks, truth.tick_s),
        "max_jerk_mps3": max_jerk_mps3(ticks, truth.tick_s),
        "mean_speed_mps": float(speed.mean()),
        "duration_s": len(ticks) * truth.tick_s,
        "is_timeout": truth.is_timeout,
        "is_blocked": truth.is_blocked,
    }


def route_completion(ticks: Sequence[Tick], truth: EpisodeTruth) -> float:
    """The farthest point of the route that the ego's origin came abreast of, 0..1 of its length.

    Followed in order, so a route that meets itself is not cut short; nothing is gained farther
    than 30 m from the route. From 99 % on the route counts as driven.
    """
    points = np.asarray(truth.route.points, float)[:, :2]
    steps = np.diff(points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    total = float(starts[-1])
    if total <= 0:
        raise ValueError("a route needs two different points to be completed")
    safe = np.maximum(lengths, 1e-9)
    reached = 0.0
    for tick in ticks:
        here = np.array([tick.frame.ego.pose.x_m, tick.frame.ego.pose.y_m])
        first = max(int(np.searchsorted(starts, reached, "right")) - 1, 0)
        last = max(int(np.searchsorted(starts, reached + 20.0, "left")), first + 1)
        window = slice(first, last)
        away = here - points[:-1][window]
        share = np.clip(np.sum(away * steps[window], axis=1) / safe[window] ** 2, 0.0, 1.0)
        miss = np.linalg.norm(away - share[:, None] * steps[window], axis=1)
        if len(miss) == 0:
            break
        best = int(np.argmin(miss))
        if miss[best] <= 30.0:
            along = starts[first + best] + share[best] * lengths[first + best]
            reached = max(reached, float(along))
    return 1.0 if reached >= _COMPLETE * total else reached / total


def leaderboard_scores(ticks: Sequence[Tick], truth: EpisodeTruth) -> tuple[float, float]:
    """CARLA's driving scores of this route, leaderboard 2.0 and 2.1, each 0..100.

    Route completion [%] times a penalty over the infractions. 2.0 multiplies a factor for each;
    2.1 divides by one plus the sum of a coefficient for each; both multiply by the share of the
    way that was inside the route's lanes. A declared subset of infractions is judged: collisions
    (pedestrian, vehicle, static), stop signs, red lights, leaving the lanes. A time-out or a
    blocked car costs what is left of the route. Minimum speed, time-outs of scenarios inside a
    route and yielding to emergency vehicles are not judged, so scores are upper bounds.

    Source: carla-simulator/leaderboard, statistics_manager.py, branches leaderboard-2.0 and 2.1.
    """
    counts = dict(collision_kinds(ticks))
    counts["stop"] = stop_signs_run(ticks, truth) or 0
    counts["red"] = int(red_lights(ticks, truth)["red_lights_run"] or 0)
    inside = 1.0 - (outside_lane_share(ticks, truth) or 0.0)
    percent = 100.0 * route_completion(ticks, truth) * inside
    factor = float(np.prod([_LB20[kind] ** number for kind, number in counts.items()]))
    total = sum(_LB21[kind] * number for kind, number in counts.items())
    return percent * factor, percent / (1.0 + total)


def forward_speed_mps(ticks: Sequence[Tick]) -> Floats:
    """(T,) the ego's velocity along its own heading."""
    return np.array(
        [
            ego.velocity_mps[0] * np.cos(ego.pose.yaw_rad)
            + ego.velocity_mps[1] * np.sin(ego.pose.yaw_rad)
            for ego in (tick.frame.ego for tick in ticks)
        ]
    )


def hard_braking_count(ticks: Sequence[Tick], tick_s: float) -> int:
    """How often braking reached 5.89 m/s2 from one tick to the next; a run of ticks is one."""
    # A thousandth of slack: differences of float32 speeds must not decide.
    hard = np.diff(forward_speed_mps(ticks)) / tick_s <= -HARD_BRAKING_MPS2 + 1e-3
    return int(np.sum(hard & ~np.concatenate([[False], hard[:-1]])))


def max_jerk_mps3(ticks: Sequence[Tick], tick_s: float) -> float | None:
    """The greatest change of forward acceleration, either way; None for less than 5 ticks.

    The second derivative of the forward speed, by a Savitzky-Golay filter of cubics over 0.5 s,
    as single ticks would report the integrator's steps.
    """
    speed = forward_speed_mps(ticks)
    window = min(11, len(speed) - 1 + len(speed) % 2)
    if window < 5:
        return None
    jerk = savgol_filter(speed, window, 3, deriv=2, delta=tick_s)
    return float(np.abs(jerk).max())
