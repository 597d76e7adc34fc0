"""A comparison into a folder: ``rows.jsonl``, ``timing.jsonl``, tables, and attacks of its own.

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
from simattack.compare import offline, onframes, onprints
from simattack.compare.bench import Bench
from simattack.compare.looking import Defended, extra_latency
from simattack.comparison import Comparison, Effort, Versus
from simattack.errors import ConfigError, ResultsError
from simattack.optimize.plan import prints_of_all
from simattack.optimize.runs import Report
from simattack.resources import sha256
from simattack.results import Appender, tidy
from simattack.scenario import UNDEFENDED as NONE
from simattack.scenario import Control, Part, Scenario
from simattack.standpoints import Scene
from simattack.train import score
from simattack.train.dataset import read_records, visibility

VERSION = 3
_NO_FRAMES: Mapping[str, Any] = {"frames": None, "frames_key": ""}
OpenScene = Callable[[Scenario], AbstractContextManager[Scene]]
Row = dict[str, Any]


def screen(
    comparison: Comparison, out: Path, open_scene: OpenScene, report: Report | None = None
) -> list[Row]:
    """Measure the cells that the folder lacks; all its rows, in the comparison's order.

    Raises:
        ConfigError: a print has no picture, or the detector has no gradients.
        ResultsError: the folder's rows are damaged.
    """
    for versus in comparison.attacks:
        versus.scenario.check()
        if _is_print(versus.scenario):
            onprints.patch_of(versus.scenario)
    out.mkdir(parents=True, exist_ok=True)
    rows, times = read(out / "rows.jsonl"), read(out / "timing.jsonl")
    told = []
    for versus in comparison.attacks:
        scenario = versus.scenario
        kinds: list[Part | None] = [None, *scenario.defenses]
        keys = {_kind(part): _key(comparison, versus, part) for part in kinds}
        if any(key not in rows for key in keys.values()):
            if _is_seen(scenario):
                detector = scenario.detector.build("detectors", f"scenario {scenario.name!r}")
                if not hasattr(detector, "scores_near"):
                    raise ConfigError(
                        f"scenario {scenario.name!r}: expected a detector with gradients, such as "
                        f"yolo; got {scenario.detector.kind!r}"
                    )
                with open_scene(scenario) as scene:
                    _measure(comparison, versus, scene, detector, out, keys, rows, report)
            else:
                _leave(versus, out, keys, rows)
        times = read(out / "timing.jsonl")
        told += [
            rows[key] | {"latency": times.get(key, {}).get("latency")} for key in keys.values()
        ]
    return told


def adaptive_of(rows: list[Row]) -> dict[str, tuple[Control, ...]]:
    """Attack -> its options as made through each defense and without one, for the closed loop."""
    made: dict[str, tuple[Control, ...]] = {}
    for row in rows:
        controls = tuple(Control(row["defense"], _tuples(one)) for one in row["made"])
        made[row["attack"]] = (*made.get(row["attack"], ()), *controls)
    return made


def _tuples(value: Any) -> Any:
    """Plain JSON as a scenario's options have it."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


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


def _is_print(scenario: Scenario) -> bool:
    return scenario.attack is not None and scenario.attack.kind in prints_of_all()


def _is_seen(scenario: Scenario) -> bool:
    """Whether the attack shows in single pictures."""
    if _is_print(scenario) or scenario.attack is None:
        return True
    needs = getattr(scenario.attack.build("attacks"), "needs", ())
    return tuple(needs) == ("camera",)


def _measure(
    comparison: Comparison,
    versus: Versus,
    scene: Scene,
    detector: Any,
    out: Path,
    keys: Mapping[str, str],
    rows: dict[str, Row],
    report: Report | None,
) -> None:
    scenario, effort = versus.scenario, versus.adaptive or Effort()
    undefended = scenario.content() | {"defenses": [], "adaptive": []}
    token = _digest([undefended, repr(effort)])[:12]
    folder = out / "attacks" / f"{scenario.name}_{token}"
    prepare: Any = onprints.prepare if _is_print(scenario) else onframes.prepare
    bench: Bench = prepare(scene, detector, scenario, effort, folder, report)
    parts = {_kind(part): part for part in (None, *scenario.defenses)}
    for kind, key in keys.items():
        if key in rows:
            continue
        part = parts[kind]
        defense = None if part is None else part.build("defenses", f"comparison: {kind!r}")
        frames = _NO_FRAMES
        if (cell := _beyond_pictures(defense)) is None:
            frames = _on_frames(comparison, scenario, part, rows)
            name = kind if part is None else f"{kind}_{key[:8]}"
            patches = 0 if versus.adaptive is None else effort.patches
            cell = offline.cell(bench, name, defense, patches, report)
            if defense is not None:
                _show(bench, scenario, kind, key, defense, cell, out)
        _told(out, rows, key, {"attack": versus.name, "defense": kind, **cell, **frames})


def _show(
    bench: Bench, scenario: Scenario, kind: str, key: str, defense: Any, cell: Row, out: Path
) -> None:
    latency = extra_latency(defense, bench.detector, list(bench.bare()))
    _append(out / "timing.jsonl", {"key": key, "defense": kind, "latency": latency})
    shown = {"oblivious": bench.oblivious()}
    if cell["made"]:
        shown["adaptive"] = bench.under(_tuples(cell["made"][0]))
    offline.exhibit(bench, exhibits_of(out, scenario.name, kind), defense, shown)


def _beyond_pictures(defense: Any) -> Row | None:
    """The cell of a defense that single pictures say nothing of; None: it is to be measured."""
    others = [name for name in getattr(defense, "needs", ()) if name != "camera"]
    if not others:
        return None
    return offline.empty(
        adaptive_missing=f"it needs the car's {' and '.join(others)}, too: only driven"
    )


def _leave(versus: Versus, out: Path, keys: Mapping[str, str], rows: dict[str, Row]) -> None:
    """Rows of an attack that no picture shows."""
    for kind, key in keys.items():
        if key not in rows:
            cell = offline.empty(adaptive_missing="the attack shows in no picture: only driven")
            _told(out, rows, key, {"attack": versus.name, "defense": kind, **cell, **_NO_FRAMES})


def _told(out: Path, rows: dict[str, Row], key: str, row: Row) -> None:
    rows[key] = tidy({"version": VERSION, "key": key, **row})
    _append(out / "rows.jsonl", rows[key])


def _append(path: Path, row: Row) -> None:
    with Appender(path) as file:
        file.append(json.dumps(tidy(row), sort_keys=True))


def _on_frames(
    comparison: Comparison, scenario: Scenario, part: Part | None, rows: Mapping[str, Row]
) -> Mapping[str, Any]:
    """How well stop signs are seen on labelled frames without any attack, or what a row has of it.

    The same detector behind the same defense on the same frames is measured once.
    """
    if not comparison.frames:
        return _NO_FRAMES
    folder = Path(comparison.frames).expanduser()
    parts = [("detectors", scenario.detector)]
    parts += [("defenses", part)] if part is not None else []
    decided = {
        "parts": [[one.kind, dict(one.options)] for _, one in parts],
        "files": [sha256(path) for room, one in parts for path in inputs.part_files(room, one)],
        "frames": sha256(folder / "frames.jsonl") if (folder / "frames.jsonl").is_file() else "",
        "simattack": inputs.versions(),
    }
    key = _digest(decided)
    for row in rows.values():
        if row.get("frames_key") == key:
            return {"frames": row["frames"], "frames_key": key}
    defense = None if part is None else part.build("defenses", "comparison")
    return {"frames": _scored(folder, scenario, defense), "frames_key": key}


def _scored(folder: Path, scenario: Scenario, defense: Any) -> Row:
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


def _key(comparison: Comparison, versus: Versus, part: Part | None) -> str:
    """Of all that decides a row; other defenses of the comparison do not."""
    scenario = versus.scenario
    told = scenario.content()
    told.pop("defenses")
    frames = Path(comparison.frames).expanduser() / "frames.jsonl"
    parts = [("detectors", scenario.detector)]
    parts += [("attacks", scenario.attack)] if scenario.attack is not None else []
    parts += [("defenses", part)] if part is not None else []
    decided = {
        "version": VERSION,
        "scenario": told,
        "files": [sha256(path) for room, one in parts for path in inputs.part_files(room, one)],
        "defense": None if part is None else [part.kind, dict(part.options)],
        "effort": repr(versus.adaptive),
        "frames": sha256(frames) if comparison.frames and frames.is_file() else "",
        "simattack": inputs.versions(),
    }
    return _digest(decided)


def _digest(decided: Any) -> str:
    text = json.dumps(tidy(decided), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
