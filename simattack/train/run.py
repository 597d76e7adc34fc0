"""``simattack train``: gather, clean, split, train, score, write weights and card.

Everything lies in one folder and every step resumes: frames by scene, the training by epoch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.detectors.weights import Card, save
from simattack.detectors.yolo import Yolo
from simattack.errors import ConfigError
from simattack.resources import sha256
from simattack.train import recipe as recipes
from simattack.train import score as scoring
from simattack.train.approach import gather_approaches, stable_distances, stable_share
from simattack.train.clean import clean
from simattack.train.dataset import INDEX, Example, read_records, visibility
from simattack.train.gather import FRAMES_A_SCENE, gather, survey
from simattack.train.split import held_out, plan_scenes, split
from simattack.types import CLASS_NAMES

if TYPE_CHECKING:
    from simattack.session import Session

LATENCY_S = 0.05


@dataclass(frozen=True)
class Plan:
    """What to gather and how to learn from it."""

    frames: int = 2940
    approaches: int = 3
    """Drives up to each held-out stop sign, in different weathers; for scoring only."""
    seed: int = 0
    recipe: recipes.Recipe = field(default_factory=recipes.Recipe)
    confidence: float = 0.25
    """The working threshold that recall and stability are measured at."""


Say = Callable[[str], None]
Progress = Callable[[str, int, int, Mapping[str, float]], None]
"""Told the stage's name, how much is done, how much there is, and its newest numbers."""


def collect(
    open_session: Callable[[], Session], folder: Path, plan: Plan, say: Say, progress: Progress
) -> tuple[str, ...]:
    """Gather whatever of the frames is missing; returns the held-out places.

    Raises:
        ConfigError: the folder was gathered with another plan.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {"frames": plan.frames, "approaches": plan.approaches, "seed": plan.seed}
    marker = folder / "plan.json"
    if marker.exists():
        found = json.loads(marker.read_text())
        if {key: found.get(key) for key in wanted} != wanted:
            raise ConfigError(
                f"{folder} was gathered with { ({k: found.get(k) for k in wanted}) }, "
                f"asked for {wanted}; choose another folder"
            )
        if found["is_complete"]:
            return tuple(found["held_out"])
    with open_session() as session:
        places = survey(session).places
        held = held_out(places, np.random.default_rng([plan.seed, 2]))
        say(f"{len(places)} places, held out for evaluation: {', '.join(held)}")
        state = {**wanted, "held_out": held, "is_complete": False}
        marker.write_text(json.dumps(state))
        train, evaluation = plan_scenes(places, held, -(-plan.frames // FRAMES_A_SCENE))
        gather(
            session, folder / "frames", train | evaluation, plan.seed,
            lambda done, of: progress("gathering frames", done, of, {}),
        )  # fmt: skip
        gather_approaches(
            session, folder / "approaches", held, plan.approaches, plan.seed,
            lambda done, of: progress("gathering approaches", done, of, {}),
        )  # fmt: skip
    marker.write_text(json.dumps({**state, "is_complete": True}))
    return held


def train(
    open_session: Callable[[], Session],
    folder: Path,
    weights: Path,
    plan: Plan,
    say: Say,
    progress: Progress,
) -> Card:
    """All steps; returns the card of the written weights.

    Args:
        open_session: called only if frames are missing.
        folder: for everything in between; the same folder resumes.
        weights: the .safetensors file to write.
        plan: of the whole.
        say: told results, a line or several at a time.
        progress: told how far a step is.
    """
    held = collect(open_session, folder, plan, say, progress)
    frames = folder / "frames"
    records = read_records(frames)
    fill = visibility(records)
    dealt = split(records, held)
    examples = [scoring.evaluation_example(record, fill) for record in dealt.evaluation]
    say(f"evaluation set, fixed now: {_count_line(examples)}")
    cleaned = clean(frames, dealt.train, fill)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in dealt.shares().items())
    say(
        f"training set: {len(cleaned.kept)} of {len(dealt.train)} frames "
        f"(dropped: {cleaned.counts()}; {dealt.left_out} left out for balance); "
        f"held-out share of objects: {shares}"
    )
    lessons = [recipes.training_example(record, fill) for record in cleaned.kept]
    crops = folder / "crops"
    counts = recipes.write_crops(frames, crops, lessons, plan.recipe)
    state = recipes.fit(
        crops, folder / "fit", plan.recipe,
        lambda done, of, loss: progress("training", done, of, {"loss": loss}),
    )  # fmt: skip
    card = Card(
        architecture=plan.recipe.architecture,
        classes=CLASS_NAMES,
        seed=plan.recipe.seed,
        data={
            "frames_sha256": sha256(frames / INDEX),
            "seed": plan.seed,
            "held_out_places": list(held),
            "training_frames": len(cleaned.kept),
            "dropped": cleaned.counts(),
            "left_out_for_balance": dealt.left_out,
            "training_objects_in_crops": counts,
            "evaluation_frames": len(examples),
        },
        recipe=recipes.as_card(plan.recipe),
        versions=_versions(),
        latency_s=LATENCY_S,
    )
    card = save(weights, state, card)
    return evaluate(folder, weights, plan, card, say, progress)


def evaluate(
    folder: Path, weights: Path, plan: Plan, card: Card, say: Say, progress: Progress
) -> Card:
    """Score written weights, as anyone would load them, and enter the scores into their card."""
    import torch
    from safetensors.torch import load_file

    records = read_records(folder / "frames")
    fill = visibility(records)
    held = set(json.loads((folder / "plan.json").read_text())["held_out"])
    examples = [scoring.evaluation_example(r, fill) for r in records if r.place in held]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        scores = scoring.score(
            Yolo(str(weights), confidence=scoring.AP_CONFIDENCE), folder / "frames", examples,
            plan.confidence, lambda done, of: progress("scoring frames", done, of, {}),
        )  # fmt: skip
        distances = stable_distances(
            Yolo(str(weights), confidence=plan.confidence), folder / "approaches",
            read_records(folder / "approaches"),
            lambda done, of: progress("scoring approaches", done, of, {}),
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    share = stable_share(distances)
    known = sorted(d for d in distances.values() if d is not None)
    say(scoring.table(scores))
    say(
        f"stable by 25 m in {share:.1%} of {len(distances)} clean approaches "
        f"(median {np.median(known) if known else float('nan'):.1f} m)"
    )
    metrics: dict[str, Any] = {
        **scoring.as_card(scores),
        "rule": "objects >= 10 px high, >= 40 % visible, within 60 m; COCO 101-point AP at IoU 0.5",
        "confidence": plan.confidence,
        "approaches": len(distances),
        "stable_by_25_m": round(share, 4) if distances else None,
        "stable_distances_m": [None if d is None else round(d, 1) for d in distances.values()],
    }
    return save(weights, load_file(str(weights)), replace(card, metrics=metrics))


def _count_line(examples: Sequence[Example]) -> str:
    counts = {
        name: sum(item.label == name for e in examples for item in e.objects)
        for name in CLASS_NAMES
    }
    places = len({example.record.place for example in examples})
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"{len(examples)} frames in {places} places: {listed}"


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "ultralytics", "numpy")}
