"""Whole episodes on a CARLA server that somebody else started, as ``simattack run --host``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from simattack.config import read_scenario
from simattack.episode import run_episode
from simattack.overrides import changes
from simattack.session import Session
from simattack.types import Observation, Tick

TICKS = 20


def test_twenty_ticks_of_the_shipped_scenario_end_in_metrics(session: Session) -> None:
    scenario = changes(detector="oracle")(read_scenario("stop_sign"))
    conditions = scenario.draw(0)
    seen: list[tuple[Tick, tuple[int, ...]]] = []

    def record(tick: Tick, obs: Observation) -> None:
        seen.append((tick, obs["camera"].shape))

    result = run_episode(
        session, scenario, conditions, scenario.arms()[0], 0, record, max_ticks=TICKS
    )
    assert result.error is None and result.metrics is not None
    assert len(seen) == TICKS + 1
    assert {shape for _, shape in seen} == {(480, 640, 3)}
    poses = [tick.frame.ego.pose for tick, _ in seen]
    went_m = float(np.hypot(poses[-1].x_m - poses[0].x_m, poses[-1].y_m - poses[0].y_m))
    # A second at the speed it was given, less what an engine and a policy make of it.
    assert 0.5 * conditions.speed_mps < went_m < 1.5 * conditions.speed_mps
    assert any(tick.is_new_image for tick, _ in seen)


def test_the_command_line_drives_there_and_writes_its_results(
    address: tuple[str, int], tmp_path: Path
) -> None:
    host, port = address
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "simattack", "run", "stop_sign", "--arms", "clean"),
            *("--seeds", "1", "--detector", "oracle", "--max-ticks", str(TICKS)),
            *("--host", host, "--port", str(port), "--out", str(tmp_path / "x")),
        ],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert ended.returncode == 0, ended.stderr
    (line,) = (tmp_path / "x/episodes.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert row["error"] is None and row["arm"] == "clean"
