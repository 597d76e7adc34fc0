"""Rows -> per arm and metric: rates, means, paired differences, each with its denominator.

An episode that ended in an error has no metrics, yet it happened: it counts in ``n`` and in the
denominator of every rate, where it is never a hit. Beside that stands the rate among the
measured episodes only. Means and differences can only be taken over measured episodes and say
how many those are.

The least time to collision of an episode has no bound, and few slow approaches would make its mean
meaningless. The rows hold it as ``min_ttc_s``; here stand ``ttc_critical`` and
``min_ttc_capped_s`` instead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from simattack import statistics
from simattack.metrics.safety import told_ttc
from simattack.results import VERSION, Row

Plain = dict[str, Any]


def summarise(rows: Sequence[Row]) -> Plain:
    """The content of ``summary.json``: scenario -> arm -> metrics and differences.

    Per metric and arm: ``kind`` is ``rate`` (a yes-or-no metric), ``mean`` or ``counts``. A
    metric that is null in an episode has no value there; ``n`` is the denominator that is left.
    ``differences`` compares the arm with ``clean`` and every control, seed by seed.
    """
    scenarios: Plain = {}
    for scenario in sorted({row.result.scenario for row in rows}):
        arms = _by_arm(rows, scenario)
        references = [arm for arm in arms if arm == "clean" or arm.startswith("control_")]
        scenarios[scenario] = {
            arm: {
                **_describe(list(episodes.values())),
                "differences": {
                    other: _compare(episodes, arms[other]) for other in references if other != arm
                },
            }
            for arm, episodes in arms.items()
        }
    return {"version": VERSION, "methods": statistics.METHODS, "scenarios": scenarios}


def _by_arm(rows: Sequence[Row], scenario: str) -> dict[str, dict[int, Row]]:
    """Arm -> seed -> row, of one scenario."""
    arms: dict[str, dict[int, Row]] = {}
    for row in sorted(rows, key=lambda row: row.order):
        if row.result.scenario == scenario:
            arms.setdefault(row.result.arm, {})[row.result.seed] = row
    return arms


def _describe(rows: Sequence[Row]) -> Plain:
    measured = [_told(row.result.metrics) for row in rows if row.result.metrics is not None]
    errors = [row.result.error for row in rows if row.result.metrics is None]
    names = sorted({name for metrics in measured for name in metrics})
    return {
        "n": len(rows),
        "n_error": len(errors),
        "errors": dict(Counter(str(error) for error in errors)),
        "is_privileged": any(row.result.is_privileged for row in rows),
        "metrics": {
            name: _metric([metrics.get(name) for metrics in measured], len(errors))
            for name in names
        },
    }


def _told(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metrics of one episode as they are summarised."""
    if "min_ttc_s" not in metrics:
        return metrics
    least_s = metrics["min_ttc_s"]
    least_s = None if least_s is None or math.isnan(least_s) else least_s
    return {name: v for name, v in metrics.items() if name != "min_ttc_s"} | told_ttc(least_s)


def _metric(values: Sequence[Any], n_error: int) -> Plain:
    """One metric of one arm; ``values`` are those of the measured episodes."""
    given = [value for value in values if value is not None]
    if not given:
        return {"kind": "none", "n": 0}
    if any(isinstance(value, str) for value in given):
        return {"kind": "counts", "n": len(given), "counts": dict(Counter(map(str, given)))}
    if all(isinstance(value, bool) for value in given):
        hits = sum(given)
        measured = asdict(statistics.rate(hits, len(given)))
        everything = asdict(statistics.rate(hits, len(given) + n_error))
        return {"kind": "rate", "hits": hits, **everything, "measured": measured}
    return {"kind": "mean", **asdict(statistics.mean([float(value) for value in given]))}


def _compare(first: dict[int, Row], second: dict[int, Row]) -> Plain:
    """``first`` minus ``second`` for every metric, over the seeds that both measured."""
    pairs = [
        (one.result.metrics, second[seed].result.metrics)
        for seed, one in first.items()
        if seed in second
    ]
    whole = [(_told(one), _told(two)) for one, two in pairs if one is not None and two is not None]
    names = sorted({name for one, two in whole for name in one.keys() & two.keys()})
    metrics = {}
    for name in names:
        values = [(one[name], two[name]) for one, two in whole]
        values = [(a, b) for a, b in values if a is not None and b is not None]
        if not values or any(isinstance(value, str) for pair in values for value in pair):
            continue
        left, right = zip(*values, strict=True)
        if all(isinstance(value, bool) for value in (*left, *right)):
            interval = statistics.paired_rate(left, right)
        else:
            interval = statistics.paired_mean([*map(float, left)], [*map(float, right)])
        metrics[name] = asdict(interval)
    return {"n_seeds": len(pairs), "n_pairs": len(whole), "metrics": metrics}
