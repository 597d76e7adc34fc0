"""``simattack train``: gather, clean, split, train, score, write weights and card.

Everything lies in one folder and every step resumes: frames by scene, the training by epoch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.attacks.sticker import Sticker
from simattack.calibration import calibrate
from simattack.detectors.weights import Card, find_weights, read_card, save
from simattack.detectors.yolo import Yolo
from simattack.errors import ConfigError
from simattack.optimize.plan import WEATHERS
from simattack.prints import Shown, placed
from simattack.resources import sha256
from simattack.standpoints import Survey, before_sign, standpoints
from simattack.train import recipe as recipes
from simattack.train import score as scoring
from simattack.train.adversarial import Adversarial
from simattack.train.approach import gather_approaches, stable_distances, stable_share
from simattack.train.clean import clean
from simattack.train.dataset import INDEX, Example, read_records, visibility
from simattack.train.distilled import Distilled
from simattack.train.gather import FRAMES_A_SCENE, gather, survey
from simattack.train.lesson import Lesson, Teaching
from simattack.train.places import place_of
from simattack.train.soiled import Soiled
from simattack.train.split import held_out, plan_scenes, split
from simattack.twin import Twin
from simattack.types import CLASS_NAMES, World

if TYPE_CHECKING:
    from simattack.session import Session

LATENCY_S = 0.05
DISTANCE_M = (7.0, 45.0)
"""From the camera to the signs of a lesson's views."""


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


LESSONS: Mapping[str, Callable[..., Lesson]] = {
    "adversarial": Adversarial,
    "distilled": Distilled,
    "soiled": Soiled,
}
"""What is learnt beside labels, or in their stead, by its name."""


def plan(lesson: str, options: Mapping[str, Any], architecture: str, seed: int) -> Plan:
    """The plan of a lesson by its name.

    Args:
        lesson: ``labels``, or one of ``LESSONS``.
        options: of the lesson.
        architecture: of a network from scratch; a lesson keeps that of the weights it starts from.
        seed: of everything.

    Raises:
        ValueError: the lesson refuses an option.
        WeightsError: the weights to start from are missing or damaged.
    """
    if lesson == "labels":
        return Plan(seed=seed, recipe=recipes.Recipe(architecture, seed=seed))
    chosen = LESSONS[lesson](**options)
    card = read_card(find_weights(chosen.start))
    # Fewer frames than from nothing, and small steps: most of it is known already. Hardening needs
    # few: 72 steps were enough for signs that none of them showed (docs/training.md).
    is_short = lesson == "adversarial"
    recipe = recipes.Recipe(
        card.architecture, epochs=2 if is_short else 5, crops_a_frame=1 if is_short else 2,
        lr0=0.0005, threads=1, seed=seed, lesson=chosen,
    )  # fmt: skip
    return Plan(frames=480, approaches=0, seed=seed, recipe=recipe)


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
    lesson = plan.recipe.lesson
    begin = None
    if lesson is not None:
        begin = partial(_begin, lesson, open_session, folder, held, plan.recipe.seed, progress)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in dealt.shares().items())
    say(
        f"training set: {len(cleaned.kept)} of {len(dealt.train)} frames "
        f"(dropped: {cleaned.counts()}; {dealt.left_out} left out for balance); "
        f"held-out share of objects: {shares}"
    )
    to_learn = [recipes.training_example(record, fill) for record in cleaned.kept]
    crops = folder / "crops"
    counts = recipes.write_crops(
        frames, crops, to_learn, plan.recipe,
        lambda done, of: progress("cutting windows", done, of, {}),
    )  # fmt: skip
    state = recipes.fit(
        crops,
        folder / _fit_folder(lesson, weights),
        plan.recipe,
        partial(progress, "training"),
        begin,
    )
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


def _fit_folder(lesson: Lesson | None, weights: Path) -> str:
    """Where in a training's folder its checkpoints lie: lessons share the frames, not these."""
    return "fit" if lesson is None else f"fit_{weights.stem}"


def _begin(
    lesson: Lesson,
    open_session: Callable[[], Session],
    folder: Path,
    held: Sequence[str],
    seed: int,
    progress: Progress,
) -> Teaching:
    """The lesson's teaching; views that it needs and that are missing are measured now."""
    if not lesson.needs_views:
        return lesson.begin(None, seed)
    return lesson.begin(_twin(lesson, open_session, folder, held, seed, progress), seed)


@dataclass(frozen=True)
class Unbudgeted(Sticker):
    """To measure where stickers may be, not to attack: as large as the face takes."""

    fill: str = "grey"

    def begin(self, world: World, rng: np.random.Generator) -> Shown:
        sheet = self.sheet()
        return Shown(self, world, sheet, [placed(world.surface(self.surface), sheet, 1.0)])


def _twin(
    lesson: Lesson,
    open_session: Callable[[], Session],
    folder: Path,
    held: Sequence[str],
    seed: int,
    progress: Progress,
) -> Twin:
    """Views of stop signs at training places, with room for stickers of the lesson's size."""
    path = folder / f"twin_{lesson.needs_views}_{lesson.size_m:g}m.npz"
    if not path.is_file():
        with open_session() as session:
            stage = survey(session)
            sites = [
                sign.name
                for sign in stage.signs
                if place_of(stage.places, *map(float, sign.corners_m.mean(0)[:2])).name not in held
            ]
            rng = np.random.default_rng([seed, 6])
            settings = [before_sign(Unbudgeted(size_m=lesson.size_m), site) for site in sites]
            stands = standpoints(sites, lesson.needs_views, len(WEATHERS), rng, DISTANCE_M)
            calibrate(
                session,
                Survey(settings, stands, WEATHERS),
                progress=lambda stage, done, of: progress(stage, done, of, {}),
            ).save(path)
    return Twin.load(path)  # as a resumed training would see it


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
        lesson = plan.recipe.lesson
        names = [str(weights)] if lesson is None else [str(weights), lesson.start]
        scores, *before = [
            scoring.score(
                Yolo(name, confidence=scoring.AP_CONFIDENCE), folder / "frames", examples,
                plan.confidence, lambda done, of: progress("scoring frames", done, of, {}),
            )
            for name in names
        ]  # fmt: skip
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
    for other in before:
        say(f"what it started from, on the same frames\n{scoring.table(other)}")
    if distances:
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
    for other in before:
        metrics["before"] = scoring.as_card(other)
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
