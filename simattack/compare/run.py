"""A comparison into a folder: ``rows.jsonl``, ``timing.jsonl``, tables, and attacks of its own.

A row that is there is not measured again, as long as nothing that decides it has changed; what
was interrupted goes on. Times are of this machine and stand in a file of their own, without which
they are taken again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from simattack import inputs
from simattack.compare import offline, onclean, onframes, onprints
from simattack.compare.bench import Bench
from simattack.compare.looking import extra_latency
from simattack.comparison import Comparison, Effort, Versus
from simattack.errors import ConfigError, ResultsError
from simattack.optimize.plan import prints_of_all
from simattack.optimize.runs import Report
from simattack.reading import frozen
from simattack.resources import find, sha256, shipped
from simattack.results import Appender, digest, tidy
from simattack.scenario import UNDEFENDED as NONE
from simattack.scenario import Control, Part, Scenario
from simattack.standpoints import Scene

VERSION = 5
_MAPS = "scenarios/maps"
OpenScene = Callable[[Scenario], AbstractContextManager[Scene]]
Row = dict[str, Any]


def screen(
    comparison: Comparison,
    out: Path,
    open_scene: OpenScene,
    report: Report | None = None,
    tell: Callable[[list[Row]], object] = lambda rows: None,
) -> list[Row]:
    """Measure the cells that the folder lacks; all its rows, in the comparison's order.

    Args:
        comparison: what is to be measured.
        out: its folder.
        open_scene: called for an attack of which a cell is missing.
        report: told how far a cell is.
        tell: told all rows that there are whenever one is new.

    Raises:
        ConfigError: a print has no picture, or the detector has no gradients.
        ResultsError: the folder's rows are damaged.
    """
    for versus in comparison.attacks:
        versus.scenario.check()
        if _is_print(versus.scenario):
            onprints.patch_of(versus.scenario)
    out.mkdir(parents=True, exist_ok=True)
    rows = read(out / "rows.jsonl")
    of_all = [
        {_title(part): _key(comparison, versus, part) for part in (None, *versus.scenario.defenses)}
        for versus in comparison.attacks
    ]

    declared = declared_s(comparison.defenses)

    def told() -> list[Row]:
        every = [key for keys in of_all for key in keys.values() if key in rows]
        return timed([rows[key] for key in every], out, declared)

    for versus, keys in zip(comparison.attacks, of_all, strict=True):
        scenario = versus.scenario
        _leave(versus, out, keys, rows)
        times = read(out / "timing.jsonl")
        if not any(_is_wanting(key, rows, times) for key in keys.values()):
            continue
        detector = scenario.detector.build("detectors", f"scenario {scenario.name!r}")
        if not hasattr(detector, "scores_near"):
            raise ConfigError(
                f"scenario {scenario.name!r}: expected a detector with gradients, such as "
                f"yolo; got {scenario.detector.kind!r}"
            )
        clean = onclean.folder_of(comparison, scenario, out, open_scene, report)
        with open_scene(scenario) as scene:
            for _ in _measure(versus, scene, detector, clean, out, keys, rows, report):
                tell(told())
    return told()


def declared_s(defenses: Sequence[Part]) -> dict[str, float]:
    """Defense -> the time that it declares by now."""
    built = {part.title: part.build("defenses", part.title) for part in defenses}
    return {title: float(defense.latency_s) for title, defense in built.items()}


def timed(rows: Sequence[Row], out: Path, declared: Mapping[str, float]) -> list[Row]:
    """Rows with the ``latency`` that the folder knows, and what is ``declared``, not what was."""
    times = read(out / "timing.jsonl")
    found = []
    for row in rows:
        latency = times.get(row["key"], {}).get("latency")
        if latency is not None and row["defense"] in declared:
            latency = {**latency, "declared_s": declared[row["defense"]]}
        found.append({**row, "latency": latency})
    return found


def adaptive_of(rows: list[Row]) -> dict[str, tuple[Control, ...]]:
    """Attack -> its options as made through each defense and without one, for the closed loop."""
    made: dict[str, tuple[Control, ...]] = {}
    for row in rows:
        controls = tuple(Control(row["defense"], frozen(one)) for one in row["made"])
        made[row["attack"]] = (*made.get(row["attack"], ()), *controls)
    return made


def exhibits_of(out: Path, attack: str, defense: str) -> Path:
    """Where the pictures of a defense's page lie; no two rows share a place."""
    return out / "defenses" / "+".join(quote(name, safe="") for name in (attack, defense))


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
                f"{path}:{number}: expected a row, JSON with a key: {error!r}; remove the line"
            ) from error
    return found


def _is_print(scenario: Scenario) -> bool:
    return scenario.attack is not None and scenario.attack.kind in prints_of_all()


def _unseen(scenario: Scenario) -> str:
    """Why single pictures do not tell of the attack; empty if they do."""
    if _is_print(scenario) or scenario.attack is None:
        return ""
    needs = tuple(getattr(scenario.attack.build("attacks"), "needs", ()))
    if needs == ("camera",):
        return ""
    if "camera" in needs:
        return "the attack is on other sensors than the camera, too: only driven"
    return "the attack shows in no picture: only driven"


def _measure(
    versus: Versus,
    scene: Scene,
    detector: Any,
    clean: Path | None,
    out: Path,
    keys: Mapping[str, str],
    rows: dict[str, Row],
    report: Report | None,
) -> Iterator[None]:
    """Measure the rows that are missing; yields after each."""
    scenario, effort = versus.scenario, versus.adaptive or Effort()
    undefended = scenario.content() | {"defenses": [], "adaptive": []}
    token = digest([undefended, repr(effort), *_own_map(scenario)])[:12]
    folder = out / "attacks" / f"{scenario.name}_{token}"
    prepare: Any = onprints.prepare if _is_print(scenario) else onframes.prepare
    times, pictures = read(out / "timing.jsonl"), onclean.whole_pictures(clean)
    bench: Bench | None = None
    parts = {_title(part): part for part in (None, *scenario.defenses)}
    for title, key in keys.items():
        if not _is_wanting(key, rows, times):
            continue
        part = parts[title]
        defense = None if part is None else part.build("defenses", f"comparison: {title!r}")
        if bench is None and (key not in rows or not pictures):
            bench = prepare(scene, detector, scenario, effort, folder, report)
        if defense is not None:
            latency = _known_time(key, rows, times)
            if latency is None:
                seen = pictures or list(cast(Bench, bench).bare())
                latency = extra_latency(defense, detector, seen)
            _time(out, times, key, title, latency)
        if key in rows:
            yield
            continue
        assert bench is not None
        label = bench.targets()[0].labels[0]
        frames = onclean.measure(scenario, part, label, clean, rows)
        name = title if part is None else f"{title}_{key[:8]}"
        patches = 0 if versus.adaptive is None else effort.patches
        cell = offline.cell(bench, name, defense, patches, report)
        if defense is not None:
            _show(bench, scenario, title, defense, cell, out)
        _told(out, rows, key, _headed(versus, defense, title) | cell | dict(frames))
        yield


def _is_wanting(key: str, rows: Mapping[str, Row], times: Mapping[str, Row]) -> bool:
    """Whether a cell, or the time that its defense takes, is still to be measured."""
    row = rows.get(key)
    return row is None or (row["defense"] != NONE and row["views"] > 0 and key not in times)


def _known_time(key: str, rows: Mapping[str, Row], times: Mapping[str, Row]) -> Row | None:
    """The time of another row with the same defense, detector and frames; None without any."""
    own = rows[key]["frames_key"] if key in rows else ""
    same = (name for name, row in rows.items() if own and row["frames_key"] == own)
    return next((times[name]["latency"] for name in same if name in times), None)


def _time(out: Path, times: dict[str, Row], key: str, title: str, latency: Row) -> None:
    times[key] = {"key": key, "defense": title, "latency": latency}
    _append(out / "timing.jsonl", times[key])


def _show(bench: Bench, scenario: Scenario, title: str, defense: Any, cell: Row, out: Path) -> None:
    shown = {"oblivious": bench.oblivious()}
    if cell["made"]:
        shown["adaptive"] = bench.under(frozen(cell["made"][0]))
    offline.exhibit(bench, exhibits_of(out, scenario.name, title), defense, shown)


def _leave(versus: Versus, out: Path, keys: Mapping[str, str], rows: dict[str, Row]) -> None:
    """Rows of what single pictures say nothing of: the attack, or what a defense needs."""
    unseen = _unseen(versus.scenario)
    for part in (None, *versus.scenario.defenses):
        title = _title(part)
        if (key := keys[title]) in rows:
            continue
        defense = None if part is None else part.build("defenses", f"comparison: {title!r}")
        others = [name for name in getattr(defense, "needs", ()) if name != "camera"]
        why = unseen
        if not unseen and others:
            why = f"it needs the car's {' and '.join(others)}, too: only driven"
        if why:
            row = _headed(versus, defense, title) | offline.empty(adaptive_missing=why)
            _told(out, rows, key, row | dict(onclean.NOT_MEASURED))


def _headed(versus: Versus, defense: Any, title: str) -> Row:
    family = getattr(defense, "family", "")
    return {
        "attack": versus.name,
        "defense": title,
        "family": str(getattr(family, "value", family)),
    }


def _told(out: Path, rows: dict[str, Row], key: str, row: Row) -> None:
    rows[key] = tidy({"version": VERSION, "key": key, **row})
    _append(out / "rows.jsonl", rows[key])


def _append(path: Path, row: Row) -> None:
    with Appender(path) as file:
        file.append(json.dumps(tidy(row), sort_keys=True))


def _named(part: Part) -> tuple[str, ...]:
    """The name that a defense was given; most have none."""
    return (part.name,) if part.name else ()


def _title(part: Part | None) -> str:
    return NONE if part is None else part.title


def _own_map(scenario: Scenario) -> tuple[str, ...]:
    """What the user's own map is, as text; shipped ones change with the version."""
    path = scenario.map_file()
    ships = path.stem in shipped(_MAPS, ".xodr") and path == find(f"{_MAPS}/{path.name}")
    return () if ships else (sha256(path),)


def _key(comparison: Comparison, versus: Versus, part: Part | None) -> str:
    """Of all that decides a row; other defenses of the comparison do not."""
    scenario = versus.scenario
    told = scenario.content()
    told.pop("defenses")
    parts = [("detectors", scenario.detector)]
    parts += [("attacks", scenario.attack)] if scenario.attack is not None else []
    parts += [("defenses", part)] if part is not None else []
    decided = {
        "version": VERSION,
        "scenario": told,
        "files": [sha256(path) for room, one in parts for path in inputs.part_files(room, one)],
        "defense": None if part is None else [part.kind, dict(part.options), *_named(part)],
        "effort": repr(versus.adaptive),
        "frames": onclean.identity(comparison),
        "simattack": inputs.versions(),
    }
    if own_map := _own_map(scenario):
        decided["map"] = list(own_map)
    if own := inputs.own_files(parts, scenario.plugins):
        decided["own"] = [sha256(path) for path in own]
    return digest(decided)
