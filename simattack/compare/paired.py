"""What defenses change on the road: each arm beside the same seeds without the defense."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from simattack import statistics
from simattack.metrics.safety import told_ttc
from simattack.results import Row

Metrics = Mapping[str, Any]
Pair = tuple[Metrics, Metrics]
METRICS = (
    "stop_sign_violation",
    "collision",
    "lane_departure",
    "max_lane_offset_m",
    "phantom_braking",
    "collisions",
    "ttc_critical",
    "min_ttc_capped_s",
    "leaderboard_2_0_score",
    "leaderboard_2_1_score",
    "route_completion",
    "hard_braking_count",
    "duration_s",
)
"""Where an episode has them."""
_MADE = "adaptive"
"""Arms of attacks that were made anew begin so: ``adaptive``, ``adaptive_2`` and so on."""


def differences(rows: Sequence[Row], unsafe: Mapping[str, str]) -> list[dict[str, Any]]:
    """One plain row a scenario, defended arm and metric: the arm minus the undefended one.

    ``unsafe`` is the metric that a scenario is about; where the metric is that, ``is_unsafe``.

    An adaptive arm is held against the attack that was made as often without the defense, or
    against the scenario's own. Several adaptive arms of one defense are also told together, as
    ``adaptive_all``, over the seeds that all of them have.

    Episodes that ended in an error have no pair; ``n`` says how many pairs are left.
    """
    arms: dict[tuple[str, str], dict[int, Metrics]] = {}
    for row in rows:
        result = row.result
        arms.setdefault((result.scenario, result.arm), {})[result.seed] = _plain(row)
    told: list[dict[str, Any]] = []
    together: dict[tuple[str, str], list[dict[int, Pair]]] = {}
    for (scenario, arm), episodes in sorted(arms.items()):
        before, plus, defense = arm.partition("+")
        if not plus:
            continue
        other = _against(arms, scenario, before)
        pairs = {seed: (one, other[seed]) for seed, one in episodes.items() if seed in other}
        told += _rows(scenario, before, defense, [pairs])
        if before.startswith(_MADE):
            together.setdefault((scenario, defense), []).append(pairs)
    for (scenario, defense), tables in together.items():
        if len(tables) > 1:
            told += _rows(scenario, f"{_MADE}_all", defense, tables)
    for line in told:
        line["is_unsafe"] = line["metric"] == unsafe.get(line["scenario"])
    return sorted(told, key=lambda line: (line["scenario"], line["arm"]))


def _against(
    arms: Mapping[tuple[str, str], dict[int, Metrics]], scenario: str, before: str
) -> dict[int, Metrics]:
    """The episodes without the defense that those of an arm are held against."""
    own = arms.get((scenario, before))
    if own is None and before.startswith(_MADE):
        own = arms.get((scenario, "attacked"))
    return own or {}


def _rows(
    scenario: str, before: str, defense: str, tables: Sequence[Mapping[int, Pair]]
) -> list[dict[str, Any]]:
    told = []
    for metric in METRICS:
        shared = [
            seed
            for seed in sorted(set.intersection(*map(set, tables)))
            if all(side.get(metric) is not None for table in tables for side in table[seed])
        ]
        if not shared:
            continue
        whole = [[tuple(s[metric] for s in table[seed]) for seed in shared] for table in tables]
        flat = [pair for row in whole for pair in row]
        told.append(
            {
                "scenario": scenario,
                "arm": f"{before}+{defense}",
                "defense": defense,
                "metric": metric,
                "without": sum(float(b) for _, b in flat) / len(flat),
                "with": sum(float(a) for a, _ in flat) / len(flat),
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


def _difference(tables: Sequence[Sequence[tuple[Any, Any]]]) -> dict[str, Any]:
    """Of first minus second: of one row of pairs, or of several over the same seeds."""
    is_yes_or_no = all(isinstance(value, bool) for row in tables for pair in row for value in pair)
    if len(tables) > 1 and is_yes_or_no:
        return dataclasses.asdict(statistics.crossed_rate(tables))
    if len(tables) > 1:
        values = [[float(a) - float(b) for a, b in row] for row in tables]
        return dataclasses.asdict(statistics.crossed_mean(values))
    first, second = zip(*tables[0], strict=True)
    if is_yes_or_no:
        return dataclasses.asdict(statistics.paired_rate(first, second))
    return dataclasses.asdict(statistics.paired_mean([*map(float, first)], [*map(float, second)]))
