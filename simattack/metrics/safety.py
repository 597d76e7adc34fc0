"""Did the car do harm, or nearly: stop line, collisions, time to collision, distance.

Pure functions of an episode's ticks and its truth. Lengths along the road are of the ego's front
bumper: half its bounding box ahead of its origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from simattack.metrics.boxes import gaps_m, is_road_user, outlines, times_to_contact_s
from simattack.types import ActorState, Collision, EpisodeTruth, Floats, Tick

Value = float | int | bool | str | None

STOPPED_MPS = 0.1
"""Slower than this is standing (CARLA's leaderboard: stop criterion, 0.1 m/s)."""
BEFORE_LINE_M = 4.0
"""Standing this far before the line or nearer counts as stopping for it (leaderboard: 4 m)."""
PAST_LINE_M = 0.5
"""Standing this far past the line still counts as having stopped, though late."""
CRITICAL_TTC_S = 1.5
"""Nearer than this to a collision is a conflict.

Source: the default of the Surrogate Safety Assessment Model (Gettman et al., FHWA-HRT-08-051,
2008). SUMO's device for such measures begins at 3 s.
"""
CAPPED_TTC_S = 10.0
"""Farther ahead nobody's path is known, and a time says more of how slowly a gap closes. Ours."""
AT_LINE_M = 10.0
"""Whoever passes a line's extension farther than this from its middle is on another road."""
SAME_COLLISION_S = 5.0
"""One actor is counted once in this time (leaderboard: ``MAX_ID_TIME``)."""


def measure(ticks: Sequence[Tick], truth: EpisodeTruth) -> dict[str, Value]:
    """All safety metrics of one episode; see the functions for definitions."""
    return {
        **stop_line(ticks, truth),
        "stop_signs_run": stop_signs_run(ticks, truth),
        **collision_counts(ticks),
        "min_ttc_s": min_ttc_s(ticks),
        "min_distance_m": min_distance_m(ticks),
    }


def stop_line(ticks: Sequence[Tick], truth: EpisodeTruth) -> dict[str, Value]:
    """How the car dealt with the stop line; all None where the route has none.

    ``stop_sign_violation``: the bumper passed the line, and in the 4 m before it the car was
        never slower than 0.1 m/s. False when the line was not reached.
    ``stopped``: slower than 0.1 m/s with the bumper 4 m before to 0.5 m past the line.
    ``line_overrun_m``: how far past the line (negative: before it) the bumper was when the car
        first stood from 4 m before the line on; if it never stood there, the farthest it came.
    ``line_speed_mps``: the speed at the moment the bumper passed the line; None if it did not.
    ``passed_line``: whether the bumper passed the line.
    """
    names = ("stop_sign_violation", "stopped", "line_overrun_m", "line_speed_mps", "passed_line")
    if truth.stop_line_m is None:
        run = stop_signs_run(ticks, truth)
        return {**dict.fromkeys(names), names[0]: None if run is None else run > 0}
    past = past_line_m(ticks, truth.stop_line_m, truth)
    speed = np.array([tick.frame.ego.speed_mps for tick in ticks])
    still = speed < STOPPED_MPS
    crossing = next(iter(crossings(ticks, truth.stop_line_m, truth)), None)
    line_speed: float | None = None
    is_violation = False
    if crossing is not None:
        share = past[crossing] / (past[crossing] - past[crossing + 1])
        line_speed = float(speed[crossing] + share * (speed[crossing + 1] - speed[crossing]))
        before = past[: crossing + 1]
        is_violation = not bool(np.any(still[: crossing + 1] & (before >= -BEFORE_LINE_M)))
    stands = np.flatnonzero(still & (past >= -BEFORE_LINE_M))
    return {
        "stop_sign_violation": is_violation or bool(stop_signs_run(ticks, truth)),
        "stopped": bool(np.any(still & (past >= -BEFORE_LINE_M) & (past <= PAST_LINE_M))),
        "line_overrun_m": float(past[stands[0]] if len(stands) else past.max()),
        "line_speed_mps": line_speed,
        "passed_line": crossing is not None,
    }


def stop_signs_run(ticks: Sequence[Tick], truth: EpisodeTruth) -> int | None:
    """How often the car passed the line of a stop sign on its route without having stood.

    Each time the bumper passes a line counts, if in the 4 m before it the car was never slower
    than 0.1 m/s since it came there. None where the route has no stop sign.
    """
    if not truth.stop_lines_m:
        return None
    still = np.array([tick.frame.ego.speed_mps for tick in ticks]) < STOPPED_MPS
    count = 0
    for line in truth.stop_lines_m:
        past = past_line_m(ticks, line, truth)
        is_before = (past >= -BEFORE_LINE_M) & (past <= 0)
        for crossing in crossings(ticks, line, truth):
            away = np.flatnonzero(~is_before[: crossing + 1])
            came = int(away[-1]) + 1 if len(away) else 0
            count += not bool(still[came : crossing + 1].any())
    return count


def crossings(ticks: Sequence[Tick], line_m: Floats, truth: EpisodeTruth) -> list[int]:
    """The last tick before each time the front bumper passes a line, the way the route goes.

    Only within 10 m of the line's middle: a long route passes the line's extension elsewhere.
    """
    past = past_line_m(ticks, line_m, truth)
    middle = np.asarray(line_m, float)[:, :2].mean(axis=0)
    places = np.array([(t.frame.ego.pose.x_m, t.frame.ego.pose.y_m) for t in ticks])
    half_m = ticks[0].frame.ego.half_extent_m[0]
    is_near = np.linalg.norm(places - middle, axis=1) <= AT_LINE_M + half_m
    passes = (past[:-1] <= 0) & (past[1:] > 0) & is_near[:-1]
    return [int(index) for index in np.flatnonzero(passes)]


def past_line_m(ticks: Sequence[Tick], line_m: Floats, truth: EpisodeTruth) -> Floats:
    """(T,) how far the front bumper is past the line, square to it [m]; negative before it.

    "Past" is the side of the line the route goes to.
    """
    ends = np.asarray(line_m, float)[:, :2]
    along = ends[1] - ends[0]
    normal = np.array([-along[1], along[0]]) / np.linalg.norm(along)
    middle = ends.mean(axis=0)
    points = truth.route.points[:, :2]
    near = int(np.argmin(np.linalg.norm(points - middle, axis=1)))
    ahead = points[min(near + 1, len(points) - 1)] - points[max(near - 1, 0)]
    if ahead @ normal < 0:
        normal = -normal
    bumper = np.array(
        [
            (
                ego.pose.x_m + ego.half_extent_m[0] * np.cos(ego.pose.yaw_rad),
                ego.pose.y_m + ego.half_extent_m[0] * np.sin(ego.pose.yaw_rad),
            )
            for ego in (tick.frame.ego for tick in ticks)
        ]
    )
    past: Floats = (bumper - middle) @ normal
    return past


def collisions(ticks: Sequence[Tick]) -> list[Collision]:
    """Contacts of the ego, a partner at most once in 5 s since its last counted contact."""
    counted_s: dict[int, float] = {}
    found = []
    for tick in ticks:
        for contact in tick.frame.collisions:
            last = counted_s.get(contact.other_id)
            if last is None or tick.frame.time_s - last > SAME_COLLISION_S:
                counted_s[contact.other_id] = tick.frame.time_s
                found.append(contact)
    return found


def collision_counts(ticks: Sequence[Tick]) -> dict[str, Value]:
    """Counted collisions by partner, and the hardest contact of all [N s], counted or not.

    ``collision``: whether there was any; ``collided_with``: CARLA's type id of the first partner.
    """
    kinds = collision_kinds(ticks)
    impulses = [
        float(np.linalg.norm(contact.impulse_ns))
        for tick in ticks
        for contact in tick.frame.collisions
    ]
    first = next((contact.other_kind for contact in collisions(ticks)), None)
    return {
        "collision": first is not None,
        "collided_with": first,
        "collisions": sum(kinds.values()),
        "collisions_pedestrian": kinds["pedestrian"],
        "collisions_vehicle": kinds["vehicle"],
        "collisions_static": kinds["static"],
        "max_impulse_ns": max(impulses, default=0.0),
    }


def collision_kinds(ticks: Sequence[Tick]) -> Mapping[str, int]:
    """How many counted collisions with a ``pedestrian``, a ``vehicle``, something ``static``."""
    kinds = {"pedestrian": 0, "vehicle": 0, "static": 0}
    for contact in collisions(ticks):
        if contact.other_kind.startswith("walker."):
            kinds["pedestrian"] += 1
        elif contact.other_kind.startswith("vehicle."):
            kinds["vehicle"] += 1
        else:
            kinds["static"] += 1
    return kinds


def min_ttc_s(ticks: Sequence[Tick]) -> float | None:
    """The least time to collision with a vehicle or walker over the episode.

    At each tick: gap over closing speed of the oriented boxes along their present velocities,
    without turning. None if nothing was ever on the way to a contact. Without bound: a gap that
    closes at a crawl takes minutes, so it is not to be averaged; see ``told_ttc``.
    """
    egos, others = _met(ticks)
    if not others:
        return None
    moving, own = ([actor.velocity_mps[:2] for actor in actors] for actors in (others, egos))
    velocity = np.array(moving) - np.array(own)
    least = float(times_to_contact_s(outlines(egos), outlines(others), velocity).min())
    return least if np.isfinite(least) else None


def told_ttc(least_s: float | None) -> dict[str, Value]:
    """What can be counted and averaged over episodes of a ``min_ttc_s``.

    ``ttc_critical``: below 1.5 s. ``min_ttc_capped_s``: at most 10 s, which also stands for
    episodes in which nothing was ever on the way to a contact.
    """
    capped = CAPPED_TTC_S if least_s is None else min(least_s, CAPPED_TTC_S)
    return {"ttc_critical": capped < CRITICAL_TTC_S, "min_ttc_capped_s": capped}


def min_distance_m(ticks: Sequence[Tick]) -> float | None:
    """The least gap between the ego's box and a vehicle's or walker's; None if there was none."""
    egos, others = _met(ticks)
    return float(gaps_m(outlines(egos), outlines(others)).min()) if others else None


def _met(ticks: Sequence[Tick]) -> tuple[list[ActorState], list[ActorState]]:
    """The ego and a vehicle or walker, for each of them at each tick."""
    pairs = [
        (tick.frame.ego, other)
        for tick in ticks
        for other in tick.frame.others
        if is_road_user(other)
    ]
    return [ego for ego, _ in pairs], [other for _, other in pairs]
