"""Checks of CARLA's TrafficManager on our town and on CARLA's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from acceptance.hardiness import MAPS
from acceptance.record import ROOT, Figures, Finding, Target, at_least
from acceptance.work import Failed, Work, say

TOWNS = ("Town01", "Town02", "Town10HD")
_MANY = ("--cars", "50", "--minutes", "10", "--seed", "0")
_TRIES = 3
_MOST_S = 600.0
"""Several times what a run takes."""


def traffic(work: Work) -> Finding:
    """CARLA's TrafficManager with 20 cars for 5 simulated minutes in the town."""
    figures = _driven("--cars", "20", "--minutes", "5", "--seed", "0")
    wrong = {name: len(figures[name]) for name in ("stuck", "off_road", "lost")}
    measured = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in wrong.items())
    text = "20 cars, 5 simulated minutes: none stuck, off road or lost"
    is_met = not any(wrong.values()) and figures["simulated_s"] >= 300 and figures["cars"] == 20
    return Finding([Target(text, measured, is_met)], figures)


def towns(work: Work) -> Finding:
    """The same with 50 cars for 10 simulated minutes, and on CARLA's towns where they are.

    A car that is stuck, off the road or gone must be explained by what the log says was in its way
    or hit it: the TrafficManager lets two cars wait for each other and long ones cut corners.
    """
    folder = os.environ.get(MAPS, "")
    targets: list[Target] = []
    figures: Figures = {}
    for name in ("town", *TOWNS):
        path = Path(folder) / f"{name}.xodr"
        if name != "town" and not (folder and path.is_file()):
            text = f"{name}: 50 cars, 10 simulated minutes"
            targets.append(Target(text, f"no map: set {MAPS} to CARLA's towns", False))
            continue
        flags = [] if name == "town" else ["--map", str(path)]
        found = work.once(name, lambda flags=flags: _driven(*flags, *_MANY))
        figures[name] = found
        seen = ", ".join(f"{len(found[kind])} {kind}" for kind in ("stuck", "off_road", "lost"))
        bare = {kind: ids for kind, ids in found["unexplained"].items() if ids}
        targets += [
            at_least(f"{name}: cars >= 50", found["cars"], 50),
            Target(
                f"{name}: no car stuck, off the road or gone without a cause in its log",
                f"{seen}; without a cause: {bare or 'none'}", not bare,
            ),
        ]  # fmt: skip
    return Finding(targets, figures)


def _driven(*flags: str) -> Figures:
    """What ``traffic_check.py`` reports."""
    command = [sys.executable, str(ROOT / "benchmarks" / "traffic_check.py"), *flags]
    ended: subprocess.CompletedProcess[str] | None = None
    for hung in range(_TRIES):
        try:
            ended = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_MOST_S
            )
            break
        except subprocess.TimeoutExpired:
            # Two threads of CARLA's own client can wait for each other for ever: docs/limits.md.
            say(f"CARLA's client hung in its TrafficManager ({hung + 1} x)")
    if ended is None:
        raise Failed(f"CARLA's client hung in its TrafficManager in {_TRIES} attempts")
    found = re.search(r"^\{.*^\}", ended.stdout, re.DOTALL | re.MULTILINE)
    if found is None:
        raise Failed(f"traffic_check.py said nothing: {ended.stderr.strip()[-200:]}")
    return {**json.loads(found[0]), "client_hung_before": hung}
