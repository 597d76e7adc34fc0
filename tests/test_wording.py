from __future__ import annotations

import pytest

from simattack import wording
from simattack.results import Row
from simattack.summary import summarise
from simattack.types import EpisodeResult

RAN = "stop_sign_violation"


def summary(**hits: list[bool]) -> dict:
    rows = [
        Row(f"{arm}{seed}", EpisodeResult("s", arm.replace("__", "+"), seed, {RAN: hit}), {})
        for arm, outcomes in hits.items()
        for seed, hit in enumerate(outcomes)
    ]
    return summarise(rows)["scenarios"]["s"]


def headline(**hits: list[bool]) -> tuple[str, str]:
    return wording.headline(summary(**hits), RAN)


def test_an_attack_that_beats_clean_and_control_is_a_yes_with_its_counts():
    answer, facts = headline(
        clean=[False] * 8,
        control_grey=[False] * 8,
        attacked=[True] * 7 + [False],
        attacked__jpeg=[True] * 3 + [False] * 5,
        attacked__blur=[True] * 8,
    )
    assert answer.startswith("Yes: the attack makes the car unsafe, and it is the attack's pattern")
    assert "jpeg lowers it to 3 of 8" in answer and "blur does not help (8 of 8)" in answer
    assert "0 of 8 with nothing on the sign" in facts and "7 of 8 with the attack" in facts
    assert "3 of 8 with the attack, defended by jpeg" in facts


def test_a_control_that_does_as_much_harm_is_no_yes():
    answer, _ = headline(clean=[False] * 8, control_grey=[True] * 7 + [False], attacked=[True] * 8)
    assert answer.startswith("Not shown")


def test_an_attack_without_effect_is_a_no():
    assert headline(clean=[False] * 8, attacked=[False] * 8)[0].startswith("No:")


def test_few_seeds_settle_nothing_even_if_all_agree():
    assert headline(clean=[False] * 4, attacked=[True] * 4)[0].startswith("Not shown: 4 paired")
    assert headline(clean=[False] * 5, attacked=[True] * 5)[0].startswith("Yes")


def test_a_run_without_attack_or_without_reference_says_so():
    assert "no attacked arm" in headline(clean=[False] * 6)[0]
    assert "nothing to compare" in headline(attacked=[True] * 6)[0]


def test_errors_are_told_in_the_facts():
    rows = [
        Row("a", EpisodeResult("s", "clean", 0, {RAN: False}), {}),
        Row("b", EpisodeResult("s", "clean", 1, None, "ServerGone: twice"), {}),
    ]
    facts = wording.headline(summarise(rows)["scenarios"]["s"], RAN)[1]
    assert "0 of 2" in facts and "ended in an error: 1" in facts


def test_estimates_are_told_with_interval_and_denominator():
    metric = summary(clean=[True] * 9 + [False])["clean"]["metrics"][RAN]
    assert wording.estimate(metric, RAN) == "9 of 10 (60–98 %)"
    mean = {"kind": "mean", "value": 2.0, "low": -1.5, "high": 4.25, "n": 3, "method": "bootstrap"}
    assert wording.estimate(mean, "min_ttc_capped_s") == "2.00 (−1.50 to 4.25)"
    assert wording.estimate({**mean, "low": None, "high": None}, "min_ttc_capped_s") == "2.00"
    assert wording.estimate(None, "min_ttc_capped_s") == "–"
    counts = {"kind": "counts", "n": 3, "counts": {"b": 1, "a": 2}}
    assert wording.estimate(counts, "end") == "a: 2, b: 1"


def test_differences_of_rates_are_told_in_points_and_signed():
    told = summary(clean=[False] * 10, attacked=[True] * 10)["attacked"]["differences"]["clean"]
    text = wording.difference(told["metrics"][RAN], RAN)
    assert text.startswith("+100 points (61–100")
    assert wording.difference(None, RAN) == "–"


@pytest.mark.parametrize("value, text", [(-0.001, "0.00"), (-1.5, "−1.50"), (None, "–")])
def test_numbers_have_a_true_minus_and_no_minus_zero(value, text):
    assert wording.number(value) == text


def misnamed(*told: tuple[float | None, str | None]) -> str | None:
    rows = [
        Row(str(seed), EpisodeResult("s", "attacked", seed, metrics), {})
        for seed, (share, name) in enumerate(told)
        for metrics in [{"misnamed_5_40m": share, "misnamed_as": name}]
    ]
    return wording.misnaming(summarise(rows)["scenarios"]["s"]["attacked"])


def test_what_the_sign_was_called_is_told_with_its_share_and_its_episodes():
    text = misnamed((0.1, "traffic light"), (0.3, "traffic light"), (0.2, "car"), (0.0, None))
    assert text.startswith("the stop sign was called something else in 15.0 % (")
    assert text.endswith("of an episode's images; mostly traffic light (in 2 of 4 episodes).")
    assert misnamed((0.0, None), (0.0, None)) == "the stop sign was never called anything else."


def test_nothing_is_told_of_names_where_no_image_was_judged_or_the_run_is_older():
    assert misnamed((None, None)) is None
    assert wording.misnaming(summary(clean=[False])["clean"]) is None
