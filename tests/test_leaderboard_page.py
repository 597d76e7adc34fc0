"""The page and the README's table of what defenses were measured to do."""

from __future__ import annotations

import json

import pytest

from tests.docscripts import script


@pytest.fixture(scope="module")
def leaderboard():
    return script("leaderboard")


def share(value):
    return {"value": value, "low": 0.0, "high": 1.0, "n": 32}


def row(defense, adaptive, **more):
    return {
        "key": defense, "attack": "stop_sign", "defense": defense, "family": "detection",
        "adaptive": None if adaptive is None else share(adaptive), "adaptive_missing": "no way",
        "masks_gradients": False, "oblivious": share(0.5), "clean_hidden": share(0.25),
        "certified": None, "checks": {}, "flags": [],
        "frames": {"ap50": 0.875, "false_alarms_a_frame": 0.0}, **more,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A finished comparison of one attack and three defenses."""
    rows = [
        row("none", 1.0, family=""), row("good", 0.125), row("weak", 0.0, flags=["square"]),
        row("unknown", None), row("other", 0.0, attack="curve", key="x"),
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    latency = {"mean_s": 0.001, "p99_s": 0.002, "declared_s": 0.012}
    time = {"key": "good", "latency": latency}
    (tmp_path / "timing.jsonl").write_text(json.dumps(time) + "\n")
    (tmp_path / "driven.csv").write_text(
        "scenario,arm,defense,metric,without,with,value,low,high,n,method,is_unsafe\n"
        "stop_sign,clean+good,good,stop_sign_violation,0.0,0.25,0.25,-0.1,0.6,4,newcombe,True\n"
        "stop_sign,attacked+good,good,stop_sign_violation,1.0,0.0,-1.0,-1.0,-0.4,4,newcombe,True\n"
        "stop_sign,adaptive+good,good,stop_sign_violation,1.0,0.5,-0.5,-0.9,-0.1,4,newcombe,True\n"
        "stop_sign,adaptive+good,good,hard_braking_count,1.0,2.0,1.0,,,1,bootstrap,False\n"
        "stop_sign,clean+good,good,route_completion,1.0,0.75,-0.25,,,4,bootstrap,False\n"
    )
    return tmp_path


def lines(leaderboard, folder, *others):
    roads = [leaderboard.driven(folder), *others]
    declared_s = {"good": 0.012, "unknown": 0.0}
    text = leaderboard.short(leaderboard.measured(folder), roads, "stop_sign", declared_s)
    return {line.split("`")[1]: line for line in text.splitlines()[2:]}


def test_the_short_table_tells_each_defense_of_the_attack_and_what_is_missing(leaderboard, folder):
    told = lines(leaderboard, folder)
    assert list(told) == ["none", "good", "weak", "unknown"]
    good = (
        "| `good` | detection | 50 % | 12 % | 25 % | 0.88 | 25 % / 0 % / 50 % "
        "| 75 % / – / – | – | 12 ms |"
    )
    assert told["good"] == good
    assert "| 0 % / 100 % / 100 % | 100 % / – / – | – |" in told["none"], (
        "of the same seeds without the defense"
    )
    assert "| 0 % (attack too weak) |" in told["weak"]
    assert "| missing |" in told["unknown"]
    assert "| – / – / – | – / – / – | – | 0 ms |" in told["unknown"], (
        "declared, though nobody took its time"
    )
    assert told["weak"].endswith("| – |")


def test_what_this_comparison_did_not_drive_is_told_by_another_that_did(leaderboard, folder):
    driven = {
        "scenario": "stop_sign", "arm": "clean+weak", "defense": "weak",
        "metric": "stop_sign_violation", "without": 0.5, "with": 0.75, "is_unsafe": True, "n": 2,
    }  # fmt: skip
    told = lines(leaderboard, folder, [driven, {**driven, "arm": "clean+good", "defense": "good"}])
    assert "| 75 % / – / – |" in told["weak"]
    assert "| 25 % / 0 % / 50 % |" in told["good"], "by the first that drove it"
    assert "| – / – / – |" in told["unknown"]


def test_the_page_has_all_cells_and_the_drives_that_safety_is_told_by(leaderboard, folder):
    text = leaderboard.page([folder])
    assert f"## {folder.name}" in text and "| curve | other |" in text
    assert "| `adaptive+good` | stop_sign_violation | 1 | 0.5 | -0.5 (-0.9 to -0.1) | 4 |" in text
    assert "hard_braking_count" not in text
    assert "| stop_sign | good | 25 % / 0 % / 50 % | 75 % / – / – | – / – / – | – | 4 |" in text


def test_of_what_was_measured_again_the_newest_is_told(leaderboard, folder, monkeypatch):
    with (folder / "rows.jsonl").open("a") as file:
        file.write(json.dumps(row("jpeg", 0.75, key="old")) + "\n")
        file.write(json.dumps(row("jpeg", 0.25, key="new")) + "\n")
    named = folder.rename(folder.with_name("defenses"))
    monkeypatch.setattr(leaderboard, "FOLDERS", (named,))
    told = leaderboard.measured(named)
    assert [(one["defense"], one["adaptive"]["value"]) for one in told] == [
        ("none", 1.0), ("jpeg", 0.25),
    ]  # fmt: skip


def test_the_readme_changes_between_its_marks_alone(leaderboard):
    begin, end = leaderboard.MARKS
    before = f"# Me\n\n{begin}\nold\n{end}\n\nmore\n"
    assert leaderboard.with_table(before, "| new |") == f"# Me\n\n{begin}\n| new |\n{end}\n\nmore\n"
    with pytest.raises(ValueError, match="expected the marks"):
        leaderboard.with_table("# Me\n", "| new |")


def test_page_and_readme_are_what_the_rows_say(leaderboard):
    folders = [folder for folder in leaderboard.FOLDERS if (folder / "rows.jsonl").is_file()]
    if folders:
        assert leaderboard.page(folders) == leaderboard.PAGE.read_text(encoding="utf-8")
        assert leaderboard.readme_table(folders) in leaderboard.README.read_text(encoding="utf-8")
