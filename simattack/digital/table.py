"""Digital attacks on the same recorded pictures, as one table.

::

    out/progress.jsonl   a line a picture while it lasts: what a resumed run need not do again
        baselines.csv    a row an attack; holds no clock, so equal runs are equal bytes
        baselines.json   the same
        timing.json      seconds each row took

Beside every attack stand the pictures as they were recorded, and the same change at random.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simattack.digital.frames import Changing, Digital, Frames, check
from simattack.errors import ConfigError, ResultsError
from simattack.guarding import tensor_of
from simattack.optimize.blackbox import BlackBox
from simattack.optimize.runs import Report
from simattack.resources import sha256
from simattack.results import Appender, write_json, write_text
from simattack.terminal import columns
from simattack.types import Detections, Image

VERSION = 1
PROGRESS = "progress.jsonl"
_LESSON = -1
"""Stands for a picture's number where a row tells what came before the first."""


@dataclass(frozen=True)
class Row:
    """One attack's figures; recalls are shares of pictures in which the target is reported."""

    method: str
    is_physical: bool
    """False; said in every row, so that it cannot be mixed up with what was built."""
    knowledge: str
    """Of the model: ``white`` gradients, ``grey`` scores."""
    norm: str
    epsilon_255: int
    """Most that a channel changes."""
    pixels: int
    """Most pixels that change; 0 for all."""
    steps: int
    """Iterations, or queries of a method without gradients."""
    gradients: float
    """Looks with a gradient, a picture."""
    queries: float
    """Looks at the scores alone, a picture."""
    lesson_gradients: int
    """Looks with a gradient before the first picture."""
    frames: int
    recall_clean: float
    recall_noise: float
    recall_attacked: float
    score_clean: float
    """Mean of the best reported scores; 0 where nothing is reported."""
    score_noise: float
    score_attacked: float
    seed: int


def measure(
    recipes: Sequence[Digital],
    judged: Frames,
    lesson: Frames,
    detector: Any,
    out: Path,
    seed: int = 0,
    report: Report | None = None,
) -> list[Row]:
    """A row a recipe; what the folder has of them already is not done again.

    Args:
        recipes: of the room ``digital``.
        judged: pictures to change and to look at.
        lesson: others, for what is learnt beforehand.
        detector: looks at them; with gradients, for those that follow some.
        out: the folder.
        seed: of all random draws.
        report: told of each picture.

    Raises:
        ConfigError: no pictures, or no gradients where some are followed.
        ResultsError: the folder's progress is damaged.
        BudgetError: an attack breaks its own norm.
    """
    if not len(judged):
        raise ConfigError("expected at least one recorded picture, got none")
    out.mkdir(parents=True, exist_ok=True)
    looks = BlackBox(detector)
    done = read(out / PROGRESS)
    clean = [_score(looks, image, target) for image, target in judged]
    rows, seconds = [], []
    with Appender(out / PROGRESS) as file:
        for recipe in recipes:
            key = _key(recipe, judged, lesson, detector, seed)
            known = done.setdefault(key, {})
            if len(known) < len(judged) + 1:
                _complete(
                    recipe, judged, lesson, detector, looks, out, key, seed, known, file, report
                )
            rows.append(_row(recipe, known, clean, seed))
            seconds.append(round(sum(line["seconds"] for line in known.values()), 2))
    plain = [asdict(row) for row in rows]
    write_json(out / "baselines.json", plain)
    write_text(out / "baselines.csv", _csv(plain))
    names = ("method", "norm", "epsilon_255", "pixels")
    write_json(
        out / "timing.json",
        [
            {name: row[name] for name in names} | {"seconds": took}
            for row, took in zip(plain, seconds, strict=True)
        ],
    )
    return rows


def read(path: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """Key -> picture -> line; a torn last line is dropped.

    Raises:
        ResultsError: another line is damaged.
    """
    found: dict[str, dict[int, dict[str, Any]]] = {}
    if not path.is_file():
        return found
    for number, text in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            line = json.loads(text)
            found.setdefault(str(line["key"]), {})[int(line["frame"])] = line
        except (ValueError, KeyError, TypeError) as error:
            raise ResultsError(
                f"{path}:{number}: expected a line of progress: {error!r}; remove the line"
            ) from error
    return found


def table(rows: Sequence[Row], out: Path) -> str:
    """For people, with the seconds that ``out`` tells."""
    took = [entry["seconds"] for entry in json.loads((out / "timing.json").read_text())]
    head = ["digital", "norm", "gradients", "queries", "clean", "noise", "attacked", "seconds"]
    return columns(
        head,
        [
            [
                row.method, _limit(row), f"{row.gradients + row.lesson_gradients:g}",
                f"{row.queries:g}", f"{row.recall_clean:.0%}", f"{row.recall_noise:.0%}",
                f"{row.recall_attacked:.0%}", f"{seconds:.1f}",
            ]
            for row, seconds in zip(rows, took, strict=True)
        ],
    )  # fmt: skip


def _limit(row: Row) -> str:
    if row.norm == "linf":
        return f"each channel by {row.epsilon_255}/255"
    return f"{row.pixels} pixel{'s' * (row.pixels > 1)} at will"


def _complete(
    recipe: Digital,
    judged: Frames,
    lesson: Frames,
    detector: Any,
    looks: BlackBox,
    out: Path,
    key: str,
    seed: int,
    known: dict[int, dict[str, Any]],
    file: Appender,
    report: Report | None,
) -> None:
    """Do what ``known`` lacks of one recipe's row."""
    kind = str(getattr(recipe, "kind", type(recipe).__name__))
    stage = f"{kind} {recipe.norm} {recipe.epsilon}/255"

    def keep(line: dict[str, Any]) -> None:
        known[line["frame"]] = line
        file.append(json.dumps({"key": key, **line}, sort_keys=True))

    # Of the recipe alone: another place of the weights is no other run.
    own = int(hashlib.sha256(repr(recipe).encode()).hexdigest()[:8], 16)
    began = time.monotonic()
    rng = np.random.default_rng([seed, own])
    attack: Changing = recipe.begin(lesson, detector, rng, out / f"{kind}_{key}.run", report)
    if _LESSON not in known:
        took = time.monotonic() - began
        keep({"frame": _LESSON, "gradients": attack.lesson_gradients, "seconds": took})
    for number, (image, target) in enumerate(judged):
        if number in known:
            continue
        began = time.monotonic()
        rng = np.random.default_rng([seed, own, number])
        noise = attack.noise(image, target, rng)
        changed = attack.change(image, target, rng)
        for made in (noise, changed.image):
            check(recipe, image, made)
        keep(
            {
                "frame": number,
                "noise": _score(looks, noise, target),
                "attacked": _score(looks, changed.image, target),
                "gradients": changed.gradients,
                "queries": changed.queries,
                "seconds": time.monotonic() - began,
            }
        )
        if report is not None:
            report(stage, number + 1, len(judged), {"score": known[number]["attacked"]})


def _row(
    recipe: Digital, known: Mapping[int, Mapping[str, Any]], clean: Sequence[float], seed: int
) -> Row:
    def column(name: str) -> Any:
        return np.array([known[number][name] for number in range(len(clean))], float)

    scores = {"clean": np.array(clean), "noise": column("noise"), "attacked": column("attacked")}
    figures = {f"recall_{name}": float((s > 0).mean()) for name, s in scores.items()}
    figures |= {f"score_{name}": float(s.mean()) for name, s in scores.items()}
    return Row(
        method=str(getattr(recipe, "kind", type(recipe).__name__)),
        is_physical=recipe.threat.is_physical,
        knowledge=recipe.threat.knowledge.value,
        norm=recipe.norm,
        epsilon_255=recipe.epsilon,
        pixels=recipe.pixels,
        steps=int(getattr(recipe, "iterations", 0) or getattr(recipe, "queries", 0)),
        gradients=float(column("gradients").mean()),
        queries=float(column("queries").mean()),
        lesson_gradients=int(known[_LESSON]["gradients"]),
        frames=len(clean),
        seed=seed,
        **{name: round(value, 4) for name, value in figures.items()},
    )


def _score(looks: BlackBox, image: Image, target: Detections) -> float:
    """Best reported score of the target; 0 where it is not reported."""
    return float(looks.scores_near(tensor_of(image[None]), [target])[0])


def _key(recipe: Digital, judged: Frames, lesson: Frames, detector: Any, seed: int) -> str:
    """Hex; over everything that decides a row."""
    path = getattr(detector, "path", None)
    options = asdict(recipe)  # type: ignore[call-overload]  # a recipe is a dataclass
    decides = {
        "version": VERSION,
        "kind": getattr(recipe, "kind", type(recipe).__name__),
        "options": options,
        "detector": sha256(path) if isinstance(path, Path) else "",
        "looks": repr(detector) if is_dataclass(detector) else type(detector).__name__,
        "seed": seed,
        "frames": [_digest(frames) for frames in (judged, lesson)],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]


def _digest(frames: Frames) -> str:
    boxes = b"".join(target.boxes.tobytes() for target in frames.targets)
    return hashlib.sha256(frames.images.tobytes() + boxes).hexdigest()


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
