"""Our patch attack beside those of the Adversarial Robustness Toolbox (ART), in one process.

``python benchmarks/toolbox_race.py`` lets all sides take turns on the same detector and frames,
with one size of patch and one loss, and writes how long each works until at most a fifth of the
held-out stop signs is seen: ``results/art/<placement>_<seed>.json`` with every look on the way, and
``results/art/cost.json``, what our iteration costs beside the detector's own. What is recorded for
this code and at least this limit is not done again; more seeds are added. ART is no dependency:
``pip install adversarial-robustness-toolbox``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acceptance import record
from rivals.race import GOAL, TURNS, Course, race, ratio

from simattack.errors import SimattackError
from simattack.terminal import columns

OUT = record.ROOT / "results" / "art"
WORK = record.ROOT / "runs" / "art"
COST_ROUNDS = 15
MOST_COST = 1.3
LEAST_GAIN = {"signs": 3.0, "fixed": 1 / 1.2}
"""How many times longer than ours each of the others is to take at least."""


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 if a target is missed or something is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--placements", nargs="+", choices=list(LEAST_GAIN), default=list(LEAST_GAIN)
    )
    parser.add_argument("--limit-s", type=float, default=600.0, help="CPU of each side")
    parser.add_argument("--twin", type=Path, help="a twin.npz of the stop sign, to measure none")
    parser.add_argument("--table", action="store_true", help="print what is kept; measure nothing")
    flags = parser.parse_args(arguments)
    if not flags.table:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        try:
            measure(flags)
        except (SimattackError, ImportError) as error:
            sys.stderr.write(f"toolbox_race.py: {error}\n")
            return 1
        except KeyboardInterrupt:
            sys.stderr.write("interrupted; what is recorded is kept\n")
            return 130
    text, is_met = table()
    sys.stdout.write(text)
    return 0 if is_met else 1


def measure(flags: Any) -> None:
    """Race what is not recorded yet."""
    import torch
    from rivals import arena as arenas
    from rivals import toolbox
    from rivals.ours import RATE, Ours

    from simattack.detectors.yolo import Yolo
    from simattack.twin import Twin

    torch.set_num_threads(1)
    detector = Yolo()
    twin = Twin.load(flags.twin) if flags.twin is not None else _twin()
    makers = {"signs": arenas.Signs, "fixed": arenas.Fixed}
    todo = [
        (placement, seed)
        for seed in flags.seeds
        for placement in flags.placements
        if not _is_done(placement, seed, flags.limit_s)
    ]
    if not _is_current("cost"):
        _keep("cost", cost(arenas.Signs(twin, detector)))
    for placement, seed in todo:
        arena = makers[placement](twin, detector)
        sides = [Ours(arena, seed), *(toolbox.Toolbox(arena, seed, side) for side in toolbox.SIDES)]
        controls = arenas.controls(arena, seed)
        _say(f"{placement}, seed {seed}: {controls}")
        courses = race(
            sides, lambda picture, on=arena: arenas.recall(on, picture), flags.limit_s,
            TURNS[placement], lambda course: _say(f"  {course.side}: {course.trace[-1]}"),
        )  # fmt: skip
        _keep(
            f"{placement}_{seed}",
            {
                "placement": placement, "seed": seed, "limit_s": flags.limit_s,
                "rates": {"ours": RATE[placement], "art": toolbox.RATE / 255},
                "controls": controls, "courses": [asdict(course) for course in courses],
                "as_shipped": toolbox.as_shipped(_fresh(detector)),
                "versions": versions(),
            },
        )  # fmt: skip


def cost(arena: Any) -> dict[str, Any]:
    """CPU ms of our iteration, and of the detector's way forward and back alone, in turns."""
    import numpy as np
    import torch
    from rivals.ours import objective

    follows = objective(arena)
    rng = np.random.default_rng(0)
    point = torch.full((3 * arena.side_px**2,), 0.5)
    seen: list[Any] = []

    class Watched:
        """Notes what the detector is shown, so that it can be shown the same again."""

        def loss(self, images: Any, targets: Any) -> Any:
            seen[:] = [images.detach().clone(), targets]
            return arena.detector.loss(images, targets)

    follows.detector = Watched()
    times: dict[str, list[float]] = {"iteration": [], "detector": []}
    for _ in range(COST_ROUNDS):
        began = time.process_time()
        leaf = point.clone().requires_grad_(True)
        torch.autograd.grad(follows.loss(leaf, rng)[0], leaf)
        times["iteration"].append(time.process_time() - began)
        began = time.process_time()
        images = seen[0].requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16, enabled=follows.is_bfloat16):
            loss = arena.detector.loss(images, seen[1]).float().sum()
        torch.autograd.grad(loss, images)
        times["detector"].append(time.process_time() - began)
    # The first round warms up.
    medians = {name: 1000 * statistics.median(each[1:]) for name, each in times.items()}
    return {
        "iteration_ms": round(medians["iteration"], 1),
        "detector_ms": round(medians["detector"], 1),
        "ratio": round(medians["iteration"] / medians["detector"], 3),
        "rounds": COST_ROUNDS - 1,
        "images": list(seen[0].shape),
    }


def table() -> tuple[str, bool]:
    """What is recorded, and whether every target is met."""
    rows, targets = [], []
    for placement, least in LEAST_GAIN.items():
        kept = [json.loads(path.read_text()) for path in sorted(OUT.glob(f"{placement}_*.json"))]
        if not kept:
            continue
        runs = [{c["side"]: Course(**c) for c in each["courses"]} for each in kept]
        for side in runs[0]:
            taken = [run[side] for run in runs]
            gains = [ratio(run["ours"], run[side]) for run in runs]
            arrived = sum(course.has_arrived for course in taken)
            # Where ours did not arrive it gained nothing; a median takes no NaN.
            middle = statistics.median(0.0 if math.isnan(gain) else gain for gain, _ in gains)
            is_bound = any(is_least for _, is_least in gains)
            told = f"{'>= ' if is_bound else ''}{middle:.1f}"
            rows.append(
                [
                    placement, side, f"{arrived} of {len(taken)}",
                    _span([course.cpu_s for course in taken]),
                    _span([course.wall_s for course in taken]),
                    _span([1000 * course.cpu_s / max(course.steps, 1) for course in taken]),
                    _span([course.best for course in taken], 2),
                    told if side != "ours" else "",
                ]
            )  # fmt: skip
            if side != "ours":
                targets.append(
                    (f"{placement}: {side} takes {least:.2f} times ours", middle >= least)
                )
    costs = OUT / "cost.json"
    if costs.is_file():
        share = json.loads(costs.read_text())["ratio"]
        targets.append((f"an iteration costs {share:g} of the detector's", share <= MOST_COST))
    head = ["placement", "side", "arrived", "CPU s", "wall s", "CPU ms a step", "least recall", "x"]
    verdicts = "".join(f"{'met   ' if is_met else 'MISSED'} {text}\n" for text, is_met in targets)
    shown = f"{columns(head, rows)}\n{verdicts}" if rows else "nothing is recorded yet\n"
    return f"held-out recall at most {GOAL}\n\n{shown}", all(is_met for _, is_met in targets)


def code() -> str:
    """Hex hash over simattack and the sides: what has to be the same for a record to hold."""
    whole = hashlib.sha256(record.code().encode())
    for path in sorted((record.ROOT / "benchmarks" / "rivals").glob("*.py")):
        whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Of what decides the figures, beside this code."""
    import importlib.metadata

    names = ("adversarial-robustness-toolbox", "torch", "torchvision", "ultralytics", "numpy")
    return {name: importlib.metadata.version(name) for name in names}


def _span(values: list[float], digits: int = 1) -> str:
    """The middle of several, and all of them where they are few."""
    shown = [f"{value:.{digits}f}" for value in values]
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({', '.join(shown)})"


def _twin() -> Any:
    from functools import partial

    from simattack.config import read_scenario
    from simattack.optimize import patch, scenes
    from simattack.optimize.plan import PatchPlan
    from simattack.session import Session
    from simattack.terminal import Stages
    from simattack.twin import Twin

    if (WORK / "twin.npz").is_file():
        return Twin.load(WORK / "twin.npz")
    scenario = read_scenario("stop_sign")
    plan = PatchPlan(scenes=scenario.digest())
    at = partial(scenes.settings_of, scenario, reach_m=plan.distance_m[1])
    WORK.mkdir(parents=True, exist_ok=True)
    with Session.launch(str(scenario.map_file())) as session, Stages() as stages:
        plan, settings, _ = patch.probed(session, plan, at, WORK)
        return patch.twin_of(session, plan, settings, WORK, stages.show)


def _fresh(detector: Any) -> Any:
    """The detector's network, of its own: ART's wrapper changes what it is given."""
    from simattack.detectors.weights import load

    return load(detector.path)


def _is_current(name: str) -> bool:
    kept = _read(name)
    return kept is not None and kept["code"] == code()


def _is_done(placement: str, seed: int, limit_s: float) -> bool:
    kept = _read(f"{placement}_{seed}")
    if kept is None or kept["code"] != code():
        return False
    return kept["limit_s"] >= limit_s or all(c["has_arrived"] for c in kept["courses"])


def _read(name: str) -> dict[str, Any] | None:
    path = OUT / f"{name}.json"
    plain: dict[str, Any] | None = json.loads(path.read_text()) if path.is_file() else None
    return plain


def _keep(name: str, figures: dict[str, Any]) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    made = {
        "commit": record.git("rev-parse", "HEAD"),
        "code": code(),
        "has_uncommitted_changes": bool(
            record.git("status", "--porcelain", "--untracked-files=no", "--", *record.DECISIVE)
        ),
        **figures,
    }
    part = OUT / f"{name}.part"
    part.write_text(json.dumps(made, indent=1) + "\n")
    part.replace(OUT / f"{name}.json")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
