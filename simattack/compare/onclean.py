"""What a defense costs where nobody attacks: average precision, recall and false alarms.

On labelled frames as `simattack train` gathers them: a folder of the user's, or frames gathered for
the comparison in places that the scenario's detector never learnt from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from simattack import inputs
from simattack.compare.looking import Defended
from simattack.comparison import Comparison
from simattack.detectors.weights import read_card
from simattack.errors import ConfigError
from simattack.optimize.objective import FOUND_SCORE
from simattack.optimize.runs import Report
from simattack.resources import sha256
from simattack.results import digest
from simattack.scenario import Part, Scenario
from simattack.standpoints import Scene
from simattack.train import gather, score
from simattack.train.dataset import INDEX, read_picture, read_records, visibility
from simattack.types import Image

if TYPE_CHECKING:
    from simattack.session import Session

NOT_MEASURED: Mapping[str, Any] = {"frames": None, "frames_key": ""}
"""Of a row, where the comparison has no frames."""
TIMED = 32
"""Frames by which a defense's time is taken."""
SEED = 20_000
"""Of gathered frames; trainings begin at 0, so that no detector has learnt from them."""


def identity(comparison: Comparison) -> str:
    """What decides the frames, as text; empty without any.

    Raises:
        ConfigError: the comparison names a folder that has none.
    """
    if comparison.frames:
        index = Path(comparison.frames).expanduser() / INDEX
        if not index.is_file():
            raise ConfigError(
                f"comparison {comparison.name!r}: field 'frames': expected a folder of labelled "
                f"frames with {INDEX}, as `simattack train` gathers them; got {comparison.frames!r}"
            )
        return sha256(index)
    return f"{comparison.clean_frames} gathered" if comparison.clean_frames else ""


def folder_of(
    comparison: Comparison,
    scenario: Scenario,
    out: Path,
    open_scene: Callable[[Scenario], AbstractContextManager[Scene]],
    report: Report | None = None,
) -> Path | None:
    """Where the frames lie, those missing gathered now; None without any.

    Args:
        comparison: says which.
        scenario: its map is the place, its detector's card says what was held out of training.
        out: of the comparison.
        open_scene: called only if frames are missing.
        report: told how far it is.
    """
    if comparison.frames:
        return Path(comparison.frames).expanduser()
    if not comparison.clean_frames:
        return None
    folder = out / "frames"
    count = -(-comparison.clean_frames // gather.FRAMES_A_SCENE)
    if len(read_records(folder)) == count * gather.FRAMES_A_SCENE:
        return folder
    with open_scene(scenario) as scene:
        session = cast("Session", scene)
        places = [place.name for place in gather.survey(session).places]
        held = [name for name in _held_out(scenario) if name in places] or places
        gather.gather(
            session,
            folder,
            {number: held[number % len(held)] for number in range(count)},
            SEED,
            lambda done, of: (
                None if report is None else report("gathering clean frames", done, of, {})
            ),
        )
    return folder


def _held_out(scenario: Scenario) -> tuple[str, ...]:
    """Places that the detector never learnt from, by its card."""
    detector = scenario.detector.build("detectors", f"scenario {scenario.name!r}")
    path = getattr(detector, "path", None)
    if not isinstance(path, Path) or path.suffix != ".safetensors":
        return ()
    return tuple(read_card(path).data.get("held_out_places", ()))


def whole_pictures(folder: Path | None) -> list[Image]:
    """The first frames (H, W, 3), as the camera has them; none without any."""
    if folder is None:
        return []
    return [read_picture(folder, record) for record in read_records(folder)[:TIMED]]


def measure(
    scenario: Scenario,
    part: Part | None,
    label: str,
    folder: Path | None,
    rows: Mapping[str, Mapping[str, Any]],
) -> Mapping[str, Any]:
    """``frames`` and ``frames_key`` of a row: how well ``label`` is seen behind the defense.

    The same detector behind the same defense on the same frames is measured once.
    """
    if folder is None:
        return NOT_MEASURED
    parts = [("detectors", scenario.detector)]
    parts += [("defenses", part)] if part is not None else []
    decided = {
        "parts": [[one.kind, dict(one.options)] for _, one in parts],
        "files": [sha256(path) for room, one in parts for path in inputs.part_files(room, one)],
        "frames": sha256(folder / INDEX) if (folder / INDEX).is_file() else "",
        "label": label,
        "simattack": inputs.versions(),
    }
    if own := inputs.own_files(parts, scenario.plugins):
        decided["own"] = [sha256(path) for path in own]
    key = digest(decided)
    for row in rows.values():
        if row.get("frames_key") == key:
            return {"frames": row["frames"], "frames_key": key}
    defense = None if part is None else part.build("defenses", "comparison")
    return {"frames": _scored(folder, scenario, defense, label), "frames_key": key}


def _scored(folder: Path, scenario: Scenario, defense: Any, label: str) -> dict[str, Any]:
    records = read_records(folder)
    fill = visibility(records)
    examples = [score.evaluation_example(record, fill) for record in records]
    eager = scenario.detector.with_options(confidence=score.AP_CONFIDENCE)
    looks = Defended(eager.build("detectors", "comparison"), defense)
    scores = score.score(looks, folder, examples, FOUND_SCORE)
    known = [value for value in scores.ap50.values() if not math.isnan(value)]
    return {
        "frames": scores.frames,
        "label": label,
        "objects": scores.counts[label],
        "ap50": scores.ap50[label],
        "ap50_mean": float(np.mean(known)) if known else math.nan,
        "recall": scores.recall[label],
        "false_alarms_a_frame": scores.false_alarms[label] / scores.frames,
    }
