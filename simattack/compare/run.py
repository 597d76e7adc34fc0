"""A comparison into a folder: ``rows.jsonl``, ``timing.jsonl``, tables, and patches of its own.

A row that is there is not measured again, as long as nothing that decides it has changed; what
was interrupted goes on. Times are of this machine and stand in a file of their own.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from simattack import inputs
from simattack.compare import offline
from simattack.compare.looking import Defended, extra_latency
from simattack.config import Comparison, Control, Effort, Part, Scenario, Versus
from simattack.errors import ConfigError, ResultsError
from simattack.optimize.runs import Report
from simattack.patchfile import find_patch
from simattack.resources import sha256
from simattack.results import Appender, tidy
from simattack.standpoints import Scene
from simattack.train import score
from simattack.train.dataset import read_records, visibility

VERSION = 2
NONE = "none"
"""The row of the car without a defense."""
OpenScene = Callable[[Scenario], AbstractContextManager[Scene]]
Row = dict[str, Any]


def screen(
    comparison: Comparison, out: Path, open_scene: OpenScene, report: Report | None = None
) -> list[Row]:
    """Measure the cells that the folder lacks; all its rows, in the comparison's order.

    Raises:
        ConfigError: an attack is no sticker with a picture, or the detector has no gradients.
        ResultsError: the folder's rows are damaged.
    """
    scenarios = [(versus, comparison.scenario(versus)) for versus in comparison.attacks]
    for _, scenario in scenarios:
        scenario.check()
        _patch_of(scenario)
    out.mkdir(parents=True, exist_ok=True)
    rows, times = read(out / "rows.jsonl"), read(out / "timing.jsonl")
    told = []
    for versus, scenario in scenarios:
        kinds: list[Part | None] = [None, *comparison.defenses]
        keys = {_kind(part): _key(comparison, versus, scenario, part) for part in kinds}
        if any(key not in rows for key in keys.values()):
            detector = scenario.detector.build("detectors", f"scenario {scenario.name!r}")
            if not hasattr(detector, "scores_near"):
                raise ConfigError(
                    f"scenario {scenario.name!r}: expected a detector with gradients, such as "
                    f"yolo; got {scenario.detector.kind!r}"
                )
            with open_scene(scenario) as scene:
                _measure(comparison, versus, scenario, scene, detector, out, keys, rows, report)
        times = read(out / "timing.jsonl")
        told += [
            rows[key] | {"latency": times.get(key, {}).get("latency")} for key in keys.values()
        ]
    return told


def adaptive_of(rows: list[Row]) -> dict[str, tuple[Control, ...]]:
    """Scenario -> the attack's options made through each defense, for the closed loop."""
    made: dict[str, tuple[Control, ...]] = {}
    for row in rows:
        if row["patch"] and row["defense"] != NONE:
            control = Control(row["defense"], {"patch": row["patch"]})
            made[row["attack"]] = (*made.get(row["attack"], ()), control)
    return made


def exhibits_of(out: Path, attack: str, defense: str) -> Path:
    """Where the pictures of a defense's page lie."""
    return out / "defenses" / f"{Path(attack).stem}_{defense}"


def read(path: Path) -> dict[str, Row]:
    """Key -> row; a torn last line is dropped.

    Raises:
        ResultsError: another line is damaged.
    """
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            row = json.loads(line)
            found[str(row["key"])] = row
        except (ValueError, KeyError, TypeError) as error:
            raise ResultsError(
                f"{path}:{number}: expected a row of a comparison: {error!r}; remove the line"
            ) from error
    return found


def _measure(
    comparison: Comparison,
    versus: Versus,
    scenario: Scenario,
    scene: Scene,
    detector: Any,
    out: Path,
    keys: Mapping[str, str],
    rows: dict[str, Row],
    report: Report | None,
) -> None:
    effort = versus.adaptive or Effort()
    token = hashlib.sha256(f"{scenario.digest()}{effort!r}".encode()).hexdigest()[:12]
    folder = out / "attacks" / f"{scenario.name}_{token}"
    bench = offline.prepare(scene, detector, scenario.sites, effort, folder, report)
    parts = {_kind(part): part for part in (None, *comparison.defenses)}
    for kind, key in keys.items():
        if key in rows:
            continue
        part = parts[kind]
        defense = None if part is None else part.build("defenses", f"comparison: {kind!r}")
        name = kind if part is None else f"{kind}_{key[:8]}"
        is_adaptive = versus.adaptive is not None
        cell = offline.cell(bench, name, defense, _patch_of(scenario), is_adaptive, report)
        frames = _on_frames(comparison, scenario, defense)
        row = {"attack": versus.scenario, "defense": kind, **cell, "frames": frames}
        row = tidy({"version": VERSION, "key": key, **row})
        if defense is not None:
            latency = extra_latency(defense, detector, list(bench.bare()))
            _append(out / "timing.jsonl", {"key": key, "defense": kind, "latency": latency})
            stickers = {"oblivious": _patch_of(scenario)}
            if cell["patch"]:
                stickers["adaptive"] = cell["patch"]
            shown = exhibits_of(out, versus.scenario, kind)
            offline.exhibit(bench, shown, defense, stickers)
        _append(out / "rows.jsonl", row)
        rows[key] = row


def _append(path: Path, row: Row) -> None:
    with Appender(path) as file:
        file.append(json.dumps(tidy(row), sort_keys=True))


def _on_frames(comparison: Comparison, scenario: Scenario, defense: Any) -> Row | None:
    """How well stop signs are seen on labelled frames without any attack; None: no frames."""
    if not comparison.frames:
        return None
    folder = Path(comparison.frames).expanduser()
    records = read_records(folder)
    fill = visibility(records)
    examples = [score.evaluation_example(record, fill) for record in records]
    eager = scenario.detector.with_options(confidence=score.AP_CONFIDENCE)
    scores = score.score(
        Defended(eager.build("detectors", "comparison"), defense), folder, examples, 0.4
    )
    label = "stop sign"
    found = scores.recall[label] * scores.counts[label]
    precision = scores.precision[label]
    false = 0.0 if math.isnan(precision) or not precision else found / precision - found
    return {
        "frames": scores.frames,
        "ap50": scores.ap50[label],
        "recall": scores.recall[label],
        "false_alarms_a_frame": false / scores.frames,
    }


def _kind(part: Part | None) -> str:
    return NONE if part is None else part.kind


def _patch_of(scenario: Scenario) -> str:
    attack = scenario.attack
    patch = None if attack is None else attack.options.get("patch")
    if attack is None or attack.kind != "sticker" or not isinstance(patch, str):
        raise ConfigError(
            f"scenario {scenario.name!r}: expected a sticker with a patch, which the twin can "
            f"show; got {attack.kind if attack else 'no attack'!r}; drive this one with "
            "`simattack run`"
        )
    return patch


def _key(comparison: Comparison, versus: Versus, scenario: Scenario, part: Part | None) -> str:
    """Of all that decides a row; other defenses of the comparison do not."""
    told = scenario.content()
    told.pop("defenses")
    frames = Path(comparison.frames).expanduser() / "frames.jsonl"
    decided = {
        "version": VERSION,
        "scenario": told,
        "files": [sha256(path) for path in inputs.part_files("detectors", scenario.detector)],
        "patch": sha256(find_patch(_patch_of(scenario))),
        "defense": None if part is None else [part.kind, dict(part.options)],
        "effort": repr(versus.adaptive),
        "frames": sha256(frames) if comparison.frames and frames.is_file() else "",
        "simattack": inputs.versions(),
    }
    text = json.dumps(tidy(decided), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
