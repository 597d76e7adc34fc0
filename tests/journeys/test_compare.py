"""`simattack compare` as a user types it: tiny, twice, with drives of a second."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # several minutes

MINE = """
defenses: [jpeg, persistence]
attacks:
  - scenario: stop_sign
    adaptive: {iterations: 4, queries: 2, blackbox: 2, views: 16, judged_views: 8, cells: 39,
               query_views: 2}
screening: 1
clean_frames: 12
"""


def compare(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simattack", "compare", "mine.yaml", "--drive"]
    return subprocess.run(
        [*command, "--max-ticks", "20"], cwd=folder, capture_output=True, text=True, timeout=1100
    )


def test_a_comparison_makes_a_leaderboard_and_measures_nothing_twice(tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE)
    first = compare(tmp_path)
    assert first.returncode == 0, first.stderr
    assert "persistence" in first.stdout and "missing" not in first.stdout
    out = tmp_path / "runs" / "mine"
    board = list(csv.DictReader((out / "leaderboard.csv").read_text().splitlines()))
    assert [row["defense"] for row in board] == ["none", "jpeg", "persistence"]
    assert all(float(row["frames_ap50"]) > 0.3 for row in board)
    assert board[2]["rank"] != "" and board[1]["rank"] != ""
    arms = {row["arm"] for row in csv.DictReader((out / "driven.csv").read_text().splitlines())}
    assert arms == {
        "attacked+jpeg", "attacked+persistence", "adaptive+jpeg", "adaptive+persistence",
        "clean+jpeg", "clean+persistence",
    }  # fmt: skip
    for defense in ("jpeg", "persistence"):
        page = (out / "defenses" / f"stop_sign+{defense}.html").read_text()
        assert page.count("data:image/jpeg") == 9 and "<h3>speed</h3>" in page
    rows = (out / "rows.jsonl").read_bytes()
    again = compare(tmp_path)
    assert again.returncode == 0 and "optimising" not in again.stderr
    assert (out / "rows.jsonl").read_bytes() == rows
