"""What defenses change on the road: each arm beside the same seeds without the defense."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from simattack import statistics
from simattack.metrics.safety import told_ttc
from simattack.results import Row

METRICS = (
    "stop_sign_violation",
    "collision",
    "collisions",
    "ttc_critical",
    "min_ttc_capped_s",
    "leaderboard_2_0_score",
    "leaderboard_2_1_score",
    "hard_braking_count",
    "duration_s",
)
"""Where an episode has them."""
AGAINST = {"attacked": "attacked", "adaptive": "attacked", "clean": "clean"}
"""The undefended arm that an arm with a defense is compared with."""


def differences(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One plain row a scenario, defended arm and metric: the arm minus the undefended one.

    Episodes that ended in an error have no pair; ``n`` says how many pairs are left.
    """
    arms: dict[tuple[str, str], dict[int, Row]] = {}
    for row in rows:
        arms.setdefault((row.result.scenario, row.result.arm), {})[row.result.seed] = row
    told = []
    for (scenario, arm), episodes in sorted(arms.items()):
        before, plus, defense = arm.partition("+")
        other = arms.get((scenario, AGAINST.get(before, "")), {})
        if not plus:
            continue
        pairs = [
            (_plain(row), _plain(other[seed])) for seed, row in episodes.items() if seed in other
        ]
        for metric in METRICS:
            values = [(one.get(metric), two.get(metric)) for one, two in pairs]
            whole = [(a, b) for a, b in values if a is not None and b is not None]
            if whole:
                told.append(
                    {
                        "scenario": scenario,
                        "arm": arm,
                        "defense": defense,
                        "metric": metric,
                        "without": sum(float(b) for _, b in whole) / len(whole),
                        "with": sum(float(a) for a, _ in whole) / len(whole),
                        **_difference(whole),
                    }
                )
    return told


def _plain(row: Row) -> Mapping[str, Any]:
    metrics: dict[str, Any] = dict(row.result.metrics or {})
    least_s = metrics.pop("min_ttc_s", None)
    if metrics:
        is_none = least_s is None or least_s != least_s
        metrics |= told_ttc(None if is_none else least_s)
    return metrics


def _difference(pairs: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
    first, second = zip(*pairs, strict=True)
    if all(isinstance(value, bool) for pair in pairs for value in pair):
        return dataclasses.asdict(statistics.paired_rate(first, second))
    return dataclasses.asdict(statistics.paired_mean([*map(float, first)], [*map(float, second)]))
