"""Did the car brake for nothing.

Pure functions of an episode's ticks and its truth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simattack.metrics.boxes import is_road_user, outlines, times_to_contact_s
from simattack.metrics.safety import STOPPED_MPS, Value
from simattack.polyline import Polyline
from simattack.types import EpisodeTruth, Frame, Tick

BRAKING_MPS2 = 3.0
"""From here on braking is hard to those inside and behind. Ours; telematics begin at 3 to 4
(assumed)."""
OVER_S = 0.25
"""Deceleration is taken over so long: single ticks would report the integrator's steps."""
EASY_MPS2 = 2.0
"""What a driver who sees it early brakes with."""
LOOKS_M, BESIDE_M = 10.0, 1.0
"""Beyond the way to stop, and beside the car: what is nearer may be a reason to brake."""
EARLY_S = 1.0
"""A reason so long ago still counts: a car is slow to let go."""
BEND_MPS2 = 2.5
"""Whoever would be pushed aside by so much at the present speed slows down for a bend (assumed)."""
CLOSE_TTC_S = 4.0
"""Somebody on the way to a contact in that time is a reason, though not on the route yet."""


def measure(ticks: Sequence[Tick], truth: EpisodeTruth) -> dict[str, Value]:
    """``phantom_brakings``: how often the car braked for nothing; ``phantom_braking``: if ever.

    It braked hard (3 m/s2 over 0.25 s) or came to a stand, and neither then nor in the second
    before was there a reason: on its route, up to 10 m beyond its easy way to stop and up to 1 m
    beside its width, something that stands or moves, a bend too tight for its speed, a stop
    sign's line, a light that is not green, or the end; or anybody within 4 s of a contact.
    """
    count = sum(
        not any(_has_reason(tick.frame, truth) for tick in ticks[first : last + 1])
        for first, last in brakings(ticks, truth)
    )
    return {"phantom_braking": count > 0, "phantom_brakings": count}


def brakings(ticks: Sequence[Tick], truth: EpisodeTruth) -> list[tuple[int, int]]:
    """(first, last) ticks of every hard braking or coming to a stand, the second before included.

    Brakings less than a second apart are one.
    """
    speed = np.array([tick.frame.ego.speed_mps for tick in ticks])
    window, early = round(OVER_S / truth.tick_s), round(EARLY_S / truth.tick_s)
    loss = np.zeros(len(speed))
    loss[window:] = (speed[:-window] - speed[window:]) / OVER_S
    still = speed < STOPPED_MPS
    stands = still & ~np.concatenate([[True], still[:-1]])
    found: list[tuple[int, int]] = []
    # A thousandth of slack: differences of float32 speeds must not decide.
    for index in np.flatnonzero((loss >= BRAKING_MPS2 - 1e-3) | stands):
        first = max(int(index) - window - early, 0)
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], int(index))
        else:
            found.append((first, int(index)))
    return found


def _has_reason(frame: Frame, truth: EpisodeTruth) -> bool:
    line = Polyline(truth.route.points)
    ego = frame.ego
    mine, _ = line.locate((ego.pose.x_m, ego.pose.y_m))
    front = mine + ego.half_extent_m[0]
    reach = ego.speed_mps**2 / (2 * EASY_MPS2) + LOOKS_M
    if line.length_m - front <= reach:
        return True
    if ego.speed_mps**2 * _tightest(line, mine, front + reach) > BEND_MPS2:
        return True
    lines = list(truth.stop_lines_m)
    lines += [
        ends
        for ends, state in zip(truth.light_lines_m, frame.lights, strict=True)
        if state != "green"
    ]
    for ends in lines:
        x, y = ends.mean(axis=0)[:2]
        if -ego.half_extent_m[0] <= line.locate((float(x), float(y)))[0] - front <= reach:
            return True
    half = ego.half_extent_m[1] + BESIDE_M
    for corners in outlines(frame.others) if frame.others else ():
        along, right = np.array([line.locate((float(x), float(y))) for x, y in corners]).T
        is_ahead = along.max() > mine and along.min() - front <= reach
        if is_ahead and right.min() <= half and right.max() >= -half:
            return True
    users = [other for other in frame.others if is_road_user(other)]
    if not users:
        return False
    velocity = np.array([user.velocity_mps[:2] for user in users]) - ego.velocity_mps[:2]
    times = times_to_contact_s(outlines([ego])[0], outlines(users), velocity)
    return bool(times.min() < CLOSE_TTC_S)


def _tightest(line: Polyline, start_m: float, end_m: float) -> float:
    """The greatest curvature between two places along a line, over 5 m [1/m]."""
    places = np.arange(start_m, max(end_m, start_m) + 1.0)
    yaws = np.unwrap([line.pose(place).yaw_rad for place in places])
    return float(np.abs(yaws[5:] - yaws[:-5]).max(initial=0.0)) / 5.0
