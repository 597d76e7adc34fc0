"""Did the car keep to the rules of the road: red lights, and letting others pass.

Pure functions of an episode's ticks and its truth. Stop signs are judged in ``safety``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simattack.metrics.boxes import outlines, times_to_contact_s
from simattack.metrics.safety import CAPPED_TTC_S, CRITICAL_TTC_S, Value, crossings, past_line_m
from simattack.types import EpisodeTruth, Tick


def measure(ticks: Sequence[Tick], truth: EpisodeTruth) -> dict[str, Value]:
    """All metrics of the rules of one episode; see the functions for definitions."""
    return {**red_lights(ticks, truth), **yielding(ticks, truth)}


def red_lights(ticks: Sequence[Tick], truth: EpisodeTruth) -> dict[str, Value]:
    """How the car dealt with the traffic lights on its route; all None where there are none.

    ``red_light_violation``: the front bumper passed a light's line at a tick at which it was red.
    ``red_lights_run``: how often that was.
    ``red_light_speed_mps``: the speed as it passed the first of them; None if it passed none.

    CARLA's leaderboard judges the car's rear at the same line; the bumper is what enters first.
    """
    if not truth.light_lines_m:
        return dict.fromkeys(("red_light_violation", "red_lights_run", "red_light_speed_mps"))
    speeds = []
    for number, line in enumerate(truth.light_lines_m):
        past = past_line_m(ticks, line, truth)
        for crossing in crossings(ticks, line, truth):
            if ticks[crossing + 1].frame.lights[number] != "red":
                continue
            share = past[crossing] / (past[crossing] - past[crossing + 1])
            before, after = (ticks[crossing + i].frame.ego.speed_mps for i in (0, 1))
            speeds.append((crossing, float(before + share * (after - before))))
    return {
        "red_light_violation": bool(speeds),
        "red_lights_run": len(speeds),
        "red_light_speed_mps": min(speeds)[1] if speeds else None,
    }


def yielding(ticks: Sequence[Tick], truth: EpisodeTruth) -> dict[str, Value]:
    """How the car treated those whom it has to let pass; None where there is nobody.

    ``yield_violation``: the car was in the way of one of them: on their present ways they would
        have met within 1.5 s, so that the other had to brake hard to be safe, or they did meet.
    ``min_ttc_priority_s``: the least time to collision with any of them, at most 10 s.
    """
    if not truth.priority:
        return dict.fromkeys(("yield_violation", "min_ttc_priority_s"))
    least = CAPPED_TTC_S
    for tick in ticks:
        others = [other for other in tick.frame.others if other.id in truth.priority]
        if not others:
            continue
        ego = tick.frame.ego
        velocity = np.array([other.velocity_mps[:2] for other in others]) - ego.velocity_mps[:2]
        times = times_to_contact_s(outlines([ego])[0], outlines(others), velocity)
        least = min(least, float(times.min()))
        if any(contact.other_id in truth.priority for contact in tick.frame.collisions):
            least = 0.0
    return {"yield_violation": least < CRITICAL_TTC_S, "min_ttc_priority_s": least}
