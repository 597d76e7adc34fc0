"""The command `simattack train`: from its flags to weights."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from simattack.errors import ConfigError
from simattack.terminal import Stages

if TYPE_CHECKING:
    from simattack.session import Session

_OF_LESSONS: dict[str, tuple[str, ...]] = {
    "labels": (),
    "adversarial": ("start", "consistency"),
    "distilled": ("start", "temperature"),
    "soiled": ("start",),
}
"""Flags that only some lessons take."""


def train(
    name: tyro.conf.Positional[str],
    out: Path = Path("runs/train"),
    what: Literal["detector", "signals", "patches"] = "detector",
    lesson: Literal["labels", "adversarial", "distilled", "soiled"] = "labels",
    start: str | None = None,
    consistency: float | None = None,
    temperature: float | None = None,
    frames: int | None = None,
    approaches: int | None = None,
    epochs: int | None = None,
    architecture: Literal["yolov8n", "yolo11n", "yolo12n", "yolo26n"] = "yolo11n",
    seed: int = 0,
    map: str = "town",
    more_maps: tuple[str, ...] = (),
    host: str | None = None,
    port: int = 2000,
) -> int:
    """Train on frames gathered in the simulator, score in places never seen.

    Writes <out>/<name>.safetensors and its card; an interrupted run goes on where it stopped.
    Lessons of one --out with the same seed, frames and approaches share the frames.

    Args:
        name: Of the new weights.
        out: Folder for them, for the frames and for checkpoints.
        what: The detector of objects, the classifier that reads lights and signs, or the network
            that finds prints for the defense `segmenter`.
        lesson: labels: a detector from scratch. adversarial: --start learns from stickers made
            against it and from dirty lenses. distilled: a student of --start whose gradients
            vanish. soiled: --start learns from dirty lenses and disturbed sensors alone.
        start: Weights that a lesson begins with; by default the shipped ones.
        consistency: Weight of what a sticker changes, for adversarial.
        temperature: That the student's logits are divided by while it learns, for distilled.
        frames: To gather, of each map for signals; 30 % of them, or of the places, for scoring.
        approaches: Drives up to each sign held out, to score by; 3 for labels, 0 for other lessons.
        epochs: Passes over the training windows; not for patches, which draws them anew.
        architecture: Of a network from scratch.
        seed: Of every random draw.
        map: A shipped map's name or an OpenDRIVE file.
        more_maps: Besides it, for signals: such maps as the embedded server can load.
        host: Use a running CARLA server instead of an embedded one; not for signals.
        port: Of that server.
    """
    path = out / f"{name}.safetensors"
    given = {"start": start, "consistency": consistency, "temperature": temperature}
    options = {flag: value for flag, value in given.items() if value is not None}
    if frames is not None and frames < 1:
        raise ConfigError(f"--frames must be at least 1, got {frames}")
    if what != "detector" and (options or lesson != "labels" or approaches is not None):
        raise ConfigError("--lesson, its flags and --approaches go with --what detector")
    if what != "signals" and more_maps:
        raise ConfigError(
            f"--more-maps goes with --what signals, got {', '.join(more_maps)} for "
            f"{what}; give it one --map"
        )
    if what == "signals":
        _signals(out, path, frames, epochs, seed, (map, *more_maps), host)
    elif what == "patches":
        if epochs is not None:
            raise ConfigError("--epochs does not go with --what patches, whose windows are endless")
        _patches(out, path, frames, seed, map, host, port)
    else:
        _detector(
            out, path, lesson, options, frames, approaches, epochs, f"{architecture}.yaml", seed,
            map, host, port,
        )  # fmt: skip
    sys.stdout.write(f"weights: {path}\ncard: {path.with_suffix('.json')}\n")
    return 0


def _detector(
    out: Path,
    path: Path,
    lesson: str,
    options: dict[str, Any],
    frames: int | None,
    approaches: int | None,
    epochs: int | None,
    architecture: str,
    seed: int,
    map_name: str,
    host: str | None,
    port: int,
) -> None:
    from simattack.train import run

    wrong = [flag for flag in options if flag not in _OF_LESSONS[lesson]]
    if wrong:
        right = [name for name, flags in _OF_LESSONS.items() if wrong[0] in flags]
        raise ConfigError(
            f"--{wrong[0]} goes with --lesson {' or '.join(right)}, got --lesson {lesson}"
        )
    try:
        plan = run.plan(lesson, options, architecture, seed)
    except ValueError as error:
        raise ConfigError(f"--{error}") from error
    if epochs is not None:
        plan = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, epochs=epochs))
    if frames is not None:
        plan = dataclasses.replace(plan, frames=frames)
    if approaches is not None:
        plan = dataclasses.replace(plan, approaches=approaches)

    with Stages() as stages:
        run.train(_opener(map_name, host, port), out, path, plan, _say, stages.show)


def _opener(map_name: str, host: str | None, port: int) -> Callable[[], Session]:
    from simattack.session import Session

    def open_session() -> Session:
        if host is None:
            return Session.launch(map_name)
        return Session.connect(host, port, map_name)

    return open_session


def _patches(
    out: Path,
    path: Path,
    frames: int | None,
    seed: int,
    map_name: str,
    host: str | None,
    port: int,
) -> None:
    from simattack.train import patch_masks

    plan = patch_masks.Plan(seed=seed, recipe=patch_masks.Recipe(seed=seed))
    if frames is not None:
        plan = dataclasses.replace(plan, frames=frames)
    with Stages() as stages:
        patch_masks.train(_opener(map_name, host, port), out, path, plan, _say, stages.show)


def _signals(
    out: Path,
    path: Path,
    frames: int | None,
    epochs: int | None,
    seed: int,
    maps: tuple[str, ...],
    host: str | None,
) -> None:
    from simattack.session import Session
    from simattack.train import signals

    if host is not None:
        raise ConfigError(
            "--what signals changes the signs of maps, which a running server does not let "
            "it do; leave --host away"
        )
    recipe = signals.Recipe(seed=seed)
    if epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=epochs)
    plan = signals.Plan(maps=maps, seed=seed, recipe=recipe)
    if frames is not None:
        plan = dataclasses.replace(plan, frames=frames)
    with Stages() as stages:
        signals.train(Session.launch, out, path, plan, _say, stages.show)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
