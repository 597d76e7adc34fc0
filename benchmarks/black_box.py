"""How far an attacker comes who may only ask the detector: methods side by side, then drives.

``python benchmarks/black_box.py`` lets each method make a set of stickers within the same number of
detector queries (each is one image of which the network tells its raw score near the target, before
weak boxes are left out), shows each result to the car on every seed of the scenario, and writes one
record with all of them. ``--labels hard`` tells the attacker only whether the car would act on it.
What is there is not made again: an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acceptance.record import ROOT, git
from acceptance.work import Failed, call, rows, say

from simattack import config, statistics
from simattack.patchfile import load_patch

METHODS = ("square", "cma", "nes", "de")
VIEWS_A_LOOK = 12
"""Queries of each look: with fewer, what is found holds in those views alone."""
CELLS = 15
"""Of the picture: more are too many to search; 13 leave gaps so small that too much is covered."""


def main() -> int:
    """Make, drive, write and print."""
    flags = arguments()
    scenario = config.read_scenario(flags.scenario)
    told = []
    try:
        for method in flags.methods:
            for seed in flags.seeds:
                # Other settings are another run.
                told_by = f"{flags.queries}_{flags.look}_{flags.views}_{flags.cells}"
                name = f"{scenario.name}_{method}_{flags.labels}_{told_by}_{seed}"
                patch = made(flags, method, seed, name)
                out = flags.work / f"{name}_{flags.drives}"
                told.append(figures(flags, scenario.unsafe, method, seed, patch, out))
                say(json.dumps(told[-1]))
    except Failed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    record = {
        "command": "python benchmarks/black_box.py " + " ".join(sys.argv[1:]),
        "commit": git("rev-parse", "HEAD"),
        "scenario": scenario.name,
        "labels": flags.labels,
        "cells": flags.cells,
        "views_a_look": flags.look,
        "drives": flags.drives,
        "found": told,
    }
    flags.out.parent.mkdir(parents=True, exist_ok=True)
    flags.out.write_text(json.dumps(record, indent=1) + "\n")
    sys.stdout.write(table(told))
    return 0


def made(flags: argparse.Namespace, method: str, seed: int, name: str) -> Path:
    """The stickers of a method."""
    path: Path = flags.work / "patches" / f"{name}.png"
    if not path.with_suffix(".json").is_file():
        looks = flags.queries // flags.look
        call(
            "optimize", flags.scenario, "--name", name, "--out", str(path.parent),
            "--method", method, "--iterations", str(looks), "--labels", flags.labels,
            "--seed", str(seed), "--views", str(flags.views), "--gap-views", "0",
            "--cells", str(flags.cells), "--query-views", str(flags.look),
        )  # fmt: skip
    return path


def figures(
    flags: argparse.Namespace, unsafe: str, method: str, seed: int, patch: Path, out: Path
) -> dict[str, Any]:
    """What the card tells of the making, and what came of the drives."""
    if not (out / "episodes.jsonl").is_file():
        call(
            "run", flags.scenario, "--arms", "attacked", "--seeds", str(flags.drives),
            "--patch", str(patch), "--workers", str(flags.workers), "--out", str(out),
            allowed=(0, 1),
        )  # fmt: skip
    if not (out / "episodes.jsonl").is_file():
        raise Failed(f"the drives with {patch.name} did not come to their end; run this again")
    driven = [row["metrics"] for row in rows(out) if row["metrics"] is not None]
    share = statistics.rate(sum(bool(one[unsafe]) for one in driven), len(driven))
    card = load_patch(patch).card
    return {
        "method": method,
        "seed": seed,
        "queries": card.queries,
        "held_out_scores": card.scores,
        unsafe: asdict(share),
    }


def table(told: Sequence[dict[str, Any]]) -> str:
    """One line a method and seed."""
    lines = [f"{'method':8s} {'seed':>4s} {'queries':>8s} {'highest score':>14s} {'unsafe':>7s}"]
    for one in told:
        share = next(value for value in one.values() if isinstance(value, dict) and "n" in value)
        worst = max(one["held_out_scores"].values())
        lines.append(
            f"{one['method']:8s} {one['seed']:4d} {one['queries']:8d} {worst:14.2f} "
            f"{share['value'] * share['n']:4.0f} of {share['n']}"
        )
    return "\n".join(lines) + "\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("scenario", nargs="?", default="stop_sign")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the search")
    parser.add_argument("--queries", type=int, default=10_000, help="images the detector is shown")
    parser.add_argument("--labels", choices=("scores", "hard"), default="scores")
    parser.add_argument("--cells", type=int, default=CELLS, help="of the picture")
    parser.add_argument("--look", type=int, default=VIEWS_A_LOOK, help="views of each look")
    parser.add_argument("--views", type=int, default=96, help="standpoints of the twin")
    parser.add_argument("--drives", type=int, default=10, help="seeds of the scenario")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "black_box")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "black_box" / "scores.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
