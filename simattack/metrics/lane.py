"""Did the car stay where it should drive, and did it know where it was.

Pure functions of an episode's ticks and its truth. Places are of the ego's origin, the middle of
the car.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simattack.metrics.safety import Value
from simattack.polyline import Polyline
from simattack.types import EpisodeTruth, Floats, Tick

TOLERANCE_M = 0.5
"""So far beyond half the lane's width is still in the lane (leaderboard's outside-lane test)."""


def measure(ticks: Sequence[Tick], truth: EpisodeTruth) -> dict[str, Value]:
    """All metrics of the lane of one episode.

    ``max_lane_offset_m``: the greatest distance to the middle of the route's lane.
    ``lane_departure``: it was ever more than half the lane's width and 0.5 m.
    ``off_road``: the car was ever on no driving lane of any direction.
    ``outside_lane_share``: of the distance driven, the share during which either was so.
    ``localisation_error_m``: from where the car was to where it held itself to be, mean.
    ``max_localisation_error_m``: the greatest of it.

    None where it is not known: how wide the lane is, what is a road, what the car believes.
    """
    offsets = lane_offsets_m(ticks, truth)
    departed = beyond_lane(offsets, truth)
    roads = [tick.frame.is_on_road for tick in ticks]
    is_known = any(road is not None for road in roads)
    return {
        "max_lane_offset_m": float(np.abs(offsets[:, 1]).max()),
        "lane_departure": None if departed is None else bool(departed.any()),
        "off_road": any(road is False for road in roads) if is_known else None,
        "outside_lane_share": _share_off(departed, ticks, truth),
        **localisation(ticks),
    }


def lane_offsets_m(ticks: Sequence[Tick], truth: EpisodeTruth) -> Floats:
    """(T, 2) how far along the route the ego is, and how far to the right of its middle [m]."""
    line = Polyline(truth.route.points)
    found: list[tuple[float, float]] = []
    near_m = None
    for tick in ticks:
        pose = tick.frame.ego.pose
        found.append(line.locate((pose.x_m, pose.y_m), near_m))
        near_m = found[-1][0]
    return np.array(found)


def beyond_lane(offsets: Floats, truth: EpisodeTruth) -> NDArray[np.bool_] | None:
    """(T,) whether the ego was out of its lane; None where the lane's width is not known."""
    if truth.half_lane_m is None:
        return None
    steps = np.linalg.norm(np.diff(truth.route.points[:, :2], axis=0), axis=1)
    starts_m = np.concatenate([[0.0], np.cumsum(steps)])
    half = np.interp(offsets[:, 0], starts_m, truth.half_lane_m)
    return np.asarray(np.abs(offsets[:, 1]) > half + TOLERANCE_M)


def outside_lane_share(ticks: Sequence[Tick], truth: EpisodeTruth) -> float | None:
    """Of the distance driven, the share out of the lane or off the road; None: not known."""
    return _share_off(beyond_lane(lane_offsets_m(ticks, truth), truth), ticks, truth)


def _share_off(
    departed: NDArray[np.bool_] | None, ticks: Sequence[Tick], truth: EpisodeTruth
) -> float | None:
    if departed is None:
        return None
    off = np.array([tick.frame.is_on_road is False for tick in ticks])
    steps_m = np.array([tick.frame.ego.speed_mps for tick in ticks]) * truth.tick_s
    total = float(steps_m.sum())
    return float(steps_m[departed | off].sum()) / total if total > 0 else 0.0


def localisation(ticks: Sequence[Tick]) -> dict[str, Value]:
    """How far off the car's own belief of its place was; None where it told none."""
    errors = [
        float(np.hypot(tick.belief[0] - pose.x_m, tick.belief[1] - pose.y_m))
        for tick in ticks
        if tick.belief is not None and np.isfinite(tick.belief).all()
        for pose in (tick.frame.ego.pose,)
    ]
    return {
        "localisation_error_m": float(np.mean(errors)) if errors else None,
        "max_localisation_error_m": max(errors, default=None),
    }
