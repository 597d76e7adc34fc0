"""The short table of what happens to the car behind each defense."""

from __future__ import annotations

import pytest

from simattack.compare import board, roads

ROWS = [
    {"attack": attack, "defense": defense}
    for attack in ("mud", "sticker")
    for defense in ("none", "good", "parked", "only_seen")
]


def line(arm, metric, without, with_, n=30, scenario="sticker"):
    return {
        "scenario": scenario, "arm": arm, "defense": arm.partition("+")[2], "metric": metric,
        "without": without, "with": with_, "value": with_ - without, "low": None, "high": None,
        "n": n, "is_unsafe": metric == "stop_sign_violation",
    }  # fmt: skip


DRIVEN = [
    line("clean+good", "stop_sign_violation", 0.1, 0.0),
    line("clean+good", "phantom_braking", 0.0, 0.3),
    line("clean+good", "route_completion", 0.99, 1.0),
    line("clean+good", "leaderboard_2_1_score", 95.0, 97.6),
    line("attacked+good", "stop_sign_violation", 1.0, 0.2),
    line("attacked+good", "route_completion", 0.9, 0.4),
    line("adaptive+good", "stop_sign_violation", 1.0, 0.5, n=28),
    line("adaptive_all+good", "stop_sign_violation", 0.9, 0.4, n=28),
    line("adaptive_all+good", "route_completion", 0.9, 0.8, n=28),
    line("clean+parked", "stop_sign_violation", 0.1, 0.0, n=4),
    line("clean+parked", "route_completion", 0.99, 0.06, n=4),
    line("clean+good", "stop_sign_violation", 0.7, 0.7, scenario="mud"),
]


def test_each_defense_that_was_driven_has_a_line_beside_the_car_without_one():
    body = roads.cells(DRIVEN, ROWS)
    assert [cells[:2] for cells in body] == [
        ["mud", "none"], ["mud", "good"], ["sticker", "none"], ["sticker", "good"],
        ["sticker", "parked"],
    ]  # fmt: skip
    assert all(len(cells) == len(roads.HEAD) for cells in body)
    told = {cells[1]: cells[2:] for cells in body if cells[0] == "sticker"}
    assert told["good"] == [
        "0 % / 20 % / 40 %", "100 % / 40 % / 80 %", "98 / – / –", "30 %", "28",
    ]  # fmt: skip
    assert told["none"] == [
        "10 % / 100 % / 90 %", "99 % / 90 % / 90 %", "95 / – / –", "0 %", "4",
    ]  # fmt: skip
    assert told["parked"] == ["0 % / – / –", "6 % / – / –", "– / – / –", "–", "4"]


def test_several_attacks_by_who_knows_the_defense_count_together():
    metric = "stop_sign_violation"
    assert roads.mean(DRIVEN, "sticker", "good", "adaptive", metric) == pytest.approx(0.4)
    assert roads.mean(DRIVEN, "sticker", "none", "adaptive", metric) == pytest.approx(0.9)
    without = [one for one in DRIVEN if not one["arm"].startswith("adaptive_all")]
    assert roads.mean(without, "sticker", "good", "adaptive", metric) == pytest.approx(0.5)
    assert roads.mean(DRIVEN, "sticker", "parked", "adaptive", metric) is None


def test_the_page_tells_what_happens_to_the_car_before_every_difference():
    rows = [
        {
            **row, "family": "", "adaptive": None, "adaptive_missing": "only driven",
            "oblivious": None, "clean_hidden": None, "certified": None, "frames": None,
            "latency": None, "checks": {}, "flags": [], "masks_gradients": False,
        }
        for row in ROWS
    ]  # fmt: skip
    page = board.page("x", rows, DRIVEN, (["attack"], []))
    short, _, all_of_them = page.partition("<details>")
    assert "<td>0 % / 20 % / 40 %</td>" in short and "adaptive_all+good" not in short
    assert f"All {len(DRIVEN)} differences" in all_of_them and "adaptive_all+good" in all_of_them
