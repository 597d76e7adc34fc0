from __future__ import annotations

import pytest

from simattack.results import Row
from simattack.summary import summarise
from simattack.types import EpisodeResult


def row(arm: str, seed: int, **metrics: object) -> Row:
    error = None if metrics else "ServerGone: twice"
    return Row(f"{arm}{seed}", EpisodeResult("stop", arm, seed, metrics or None, error), {})


def describe(rows: list[Row]) -> dict:
    return summarise(rows)["scenarios"]["stop"]


def test_an_errored_episode_counts_in_the_denominator_and_is_never_a_hit():
    rows = [row("clean", seed, ran=True) for seed in range(3)] + [row("clean", 3)]
    arm = describe(rows)["clean"]
    assert (arm["n"], arm["n_error"]) == (4, 1)
    assert arm["errors"] == {"ServerGone: twice": 1}
    assert (arm["metrics"]["ran"]["value"], arm["metrics"]["ran"]["n"]) == (0.75, 4)
    assert arm["metrics"]["ran"]["measured"]["value"] == 1.0
    assert arm["metrics"]["ran"]["measured"]["n"] == 3


def test_a_metric_without_a_value_leaves_the_denominator():
    rows = [row("clean", 0, ttc=None), row("clean", 1, ttc=4.0), row("clean", 2, ttc=2.0)]
    metric = describe(rows)["clean"]["metrics"]["ttc"]
    assert (metric["kind"], metric["value"], metric["n"]) == ("mean", 3.0, 2)


def test_a_metric_with_no_value_at_all_and_a_text_are_told_as_what_they_are():
    rows = [row("clean", seed, ttc=None, end="timeout") for seed in range(2)]
    metrics = describe(rows)["clean"]["metrics"]
    assert metrics["ttc"] == {"kind": "none", "n": 0}
    assert metrics["end"] == {"kind": "counts", "n": 2, "counts": {"timeout": 2}}


def test_differences_pair_the_seeds_that_both_arms_measured():
    rows = [row("clean", seed, v=float(seed), ran=False) for seed in range(4)]
    rows += [row("attacked", seed, v=seed + 2.0, ran=True) for seed in (1, 2, 9)]
    rows += [row("attacked", 3)]
    difference = describe(rows)["attacked"]["differences"]["clean"]
    assert (difference["n_seeds"], difference["n_pairs"]) == (3, 2)
    assert difference["metrics"]["v"]["value"] == pytest.approx(2.0)
    assert difference["metrics"]["ran"]["value"] == 1.0
    assert difference["metrics"]["ran"]["method"] == "newcombe"
    assert difference["metrics"]["ran"]["low"] < 1.0


def test_every_arm_is_compared_with_clean_and_each_control_but_not_with_itself():
    names = ("clean", "control_grey", "control_noise", "attacked", "clean+jpeg")
    arms = describe([row(name, 0, v=1.0) for name in names])
    controls = {"control_grey", "control_noise"}
    assert set(arms["attacked"]["differences"]) == {"clean", *controls}
    assert set(arms["clean"]["differences"]) == controls
    assert set(arms["control_grey"]["differences"]) == {"clean", "control_noise"}


def test_a_gap_that_closes_at_a_crawl_does_not_carry_the_mean_time_to_collision():
    least = (311.0, None, float("nan"), 1.4, 1.5, 3.1)
    rows = [row("clean", seed, min_ttc_s=value) for seed, value in enumerate(least)]
    metrics = describe([*rows, row("clean", 6)])["clean"]["metrics"]
    assert "min_ttc_s" not in metrics
    critical = metrics["ttc_critical"]
    assert (critical["kind"], critical["hits"], critical["n"]) == ("rate", 1, 7)
    capped = metrics["min_ttc_capped_s"]
    assert capped["n"] == 6
    assert capped["value"] == pytest.approx((10 + 10 + 10 + 1.4 + 1.5 + 3.1) / 6)


def test_times_to_collision_are_compared_by_their_bounded_forms():
    rows = [row("clean", seed, min_ttc_s=None) for seed in range(5)]
    rows += [row("attacked", seed, min_ttc_s=1.0) for seed in range(5)]
    told = describe(rows)["attacked"]["differences"]["clean"]["metrics"]
    assert told["ttc_critical"]["value"] == 1.0
    assert told["min_ttc_capped_s"]["value"] == pytest.approx(-9.0)
    assert "min_ttc_s" not in told


def test_rows_that_measured_no_time_to_collision_are_told_none():
    assert set(describe([row("clean", 0, v=1.0)])["clean"]["metrics"]) == {"v"}
