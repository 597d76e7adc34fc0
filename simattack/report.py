"""A results folder -> ``report.html``: one page, self-contained, for somebody who was not there."""

from __future__ import annotations

import base64
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures

from simattack import figures, results, surfaces, wording
from simattack.errors import ResultsError, SimattackError
from simattack.placement import printed
from simattack.places import catalogue
from simattack.recording import PICTURES_AT_M, PICTURES_AT_S, load_trace
from simattack.results import Folder, Manifest, Plain, Row
from simattack.sensors import SENSORS
from simattack.summary import summarise

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_FILM_BYTES = 8_000_000
"""Films beyond this are left beside the page, so that it stays below 15 MB."""


@dataclass(frozen=True)
class _Scenario:
    """What the page needs of one scenario."""

    name: str
    summary: Mapping[str, Any]
    """Arm -> its part of ``summary.json``."""
    content: Mapping[str, Any]
    arms: tuple[str, ...]
    """In the order of the plan."""

    def about_places(self) -> bool:
        """Whether its sites are places, not stop signs."""
        own = {place["name"] for place in self.content.get("places", ())}
        known = {*own, *catalogue(Path(self.content["map"]).stem)}
        return all(site in known for site in self.content["sites"])


def write(path: Path) -> Path:
    """Write the report of a results folder, finished or not; the page's path.

    Raises:
        ResultsError: it is no results folder, is damaged, or holds no episode yet.
    """
    folder = Folder(path)
    manifest = folder.manifest()
    rows, notes = folder.rows()
    if not rows:
        raise ResultsError(f"{path} holds no finished episode yet; run it first")
    if not folder.final.exists() or folder.partial.exists():
        notes.append("This run is not finished: what stands here covers a part of it.")
    page = _page(folder, manifest, rows, notes)
    results.write_text(folder.report, page)
    return folder.report


def table(summary: Plain, manifest: Manifest) -> list[tuple[str, list[str], list[list[str]]]]:
    """The main table as text: per scenario its headline, column names and one row an arm."""
    found = []
    for scenario in _scenarios(summary, manifest):
        unsafe = str(scenario.content["unsafe"])
        names = _main_metrics(scenario, unsafe)
        head = ["arm", "episodes", *(_heading(name) for name in names)]
        body = [
            [arm, _episodes(told), *(wording.estimate(told["metrics"].get(n), n) for n in names)]
            for arm, told in _ordered(scenario)
        ]
        ordered = dict(_ordered(scenario))
        found.append((" ".join(wording.headline(ordered, unsafe, _has_sign(scenario))), head, body))
    return found


def _page(folder: Folder, manifest: Manifest, rows: Sequence[Row], notes: list[str]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    summary = summarise(rows)
    scenarios = [_section(folder, item, rows) for item in _scenarios(summary, manifest)]
    return environment.get_template("report.html").render(
        title=", ".join(item["name"] for item in scenarios),
        scenarios=scenarios,
        notes=notes,
        methods=summary["methods"],
        commands=_commands(folder, manifest),
        manifest=json.dumps(results.tidy(vars(manifest)), indent=1, sort_keys=True),
    )


def _scenarios(summary: Plain, manifest: Manifest) -> list[_Scenario]:
    found = []
    for name, arms in summary["scenarios"].items():
        try:
            content = manifest.inputs["scenarios"][name]["content"]
            planned = manifest.plan[name]["arms"]
        except KeyError:
            raise ResultsError(
                f"the rows tell of scenario {name!r}, which manifest.json does not have"
            ) from None
        ordered = [arm for arm in planned if arm in arms]
        found.append(_Scenario(name, arms, content, tuple(ordered)))
    return found


def _ordered(scenario: _Scenario) -> list[tuple[str, Plain]]:
    return [(arm, scenario.summary[arm]) for arm in scenario.arms]


def _section(folder: Folder, scenario: _Scenario, rows: Sequence[Row]) -> Plain:
    """What the template shows of one scenario."""
    unsafe = str(scenario.content["unsafe"])
    main = _main_metrics(scenario, unsafe)
    arms = _ordered(scenario)
    answer, facts = wording.headline(dict(arms), unsafe, _has_sign(scenario))
    every = sorted({name for _, told in arms for name in told["metrics"]})
    seeds = sorted({row.result.seed for row in rows if row.result.scenario == scenario.name})
    return {
        "name": scenario.name,
        "answer": answer,
        "facts": facts,
        "setting": _setting(folder, scenario, len(seeds)),
        "main": _grid(arms, main),
        "every": _grid(arms, every),
        "misnamed": [(arm, text) for arm, told in arms if (text := wording.misnaming(told))],
        "differences": _differences(arms, main),
        "errors": [(arm, told["errors"]) for arm, told in arms if told["n_error"]],
        "is_privileged": any(told["is_privileged"] for _, told in arms),
        "pictures": _pictures(folder, scenario, seeds),
        "plots": _plots(folder, scenario, seeds),
        "films": _films(folder, scenario, seeds),
        "patch": _patch(folder, scenario),
    }


def _main_metrics(scenario: _Scenario, unsafe: str) -> list[str]:
    measured = {
        name
        for told in scenario.summary.values()
        for name, metric in told["metrics"].items()
        if metric["kind"] != "none" or name == unsafe
    }
    return [name for name in dict.fromkeys((unsafe, *wording.MAIN)) if name in measured]


def _has_sign(scenario: _Scenario) -> bool:
    """Whether the scenario is about a stop sign; one about a place has no sign to look at."""
    try:
        return not scenario.about_places()
    except SimattackError:
        return True


def _heading(name: str) -> str:
    label = wording.label(name)
    return f"{label.text} [{label.unit}]" if label.unit else label.text


def _episodes(told: Plain) -> str:
    return f"{told['n']} ({told['n_error']} errors)" if told["n_error"] else str(told["n"])


def _grid(arms: Sequence[tuple[str, Plain]], names: Sequence[str]) -> Plain:
    return {
        "head": [_heading(name) for name in names],
        "rows": [
            {
                "arm": arm,
                "color": figures.arm_color(arm),
                "episodes": _episodes(told),
                "cells": [wording.estimate(told["metrics"].get(name), name) for name in names],
            }
            for arm, told in arms
        ],
    }


def _differences(arms: Sequence[tuple[str, Plain]], names: Sequence[str]) -> Plain:
    """Every arm against clean and each control, over the seeds that both measured."""
    return {
        "head": [_heading(name) for name in names],
        "rows": [
            {
                "arm": f"{arm} − {other}",
                "pairs": against["n_pairs"],
                "cells": [wording.difference(against["metrics"].get(n), n) for n in names],
            }
            for arm, told in arms
            if not arm.startswith("control_")
            for other, against in told["differences"].items()
            # A defense without an attack is to be compared with the bare car, not with stickers.
            if other == "clean" or arm.startswith("attacked")
        ],
    }


def _setting(folder: Folder, scenario: _Scenario, n_seeds: int) -> list[tuple[str, str]]:
    content = scenario.content
    before = f"{_span(content['start_before_m'])} m before the line"
    if not _has_sign(scenario):
        before = f"{_span(content.get('start_m', (0.0, 0.0)))} m along the place's route"
    told = [
        ("seeds", f"{n_seeds}; all arms of a seed share place, start, speed, weather, traffic"),
        ("map", f"{content['map']}: {', '.join(content['sites'])}"),
        ("start", f"{before} at {_span(content['speed_mps'])} m/s"),
        ("who drives", str(content["policy"]["kind"])),
        ("what it sees with", str(content["detector"]["kind"])),
    ]
    if content.get("cast"):
        roles = (f"{role['who']} ({role['does']['kind']})" for role in content["cast"])
        told.append(("who else", ", ".join(roles)))
    if content["attack"] is not None:
        told.append(("attack", _attack_text(folder, scenario)))
    kinds = [part.get("name") or part["kind"] for part in content["defenses"]]
    driven = [kind for kind in kinds if any(arm.endswith(f"+{kind}") for arm in scenario.arms)]
    if driven:
        told.append(("defenses", ", ".join(driven)))
    return told


def _attack_text(folder: Folder, scenario: _Scenario) -> str:
    attack = scenario.content["attack"]
    size = _patch_size(folder, scenario)
    if size is None:
        return str(attack["kind"])
    text = f"{attack['kind']}, {size[0]:.3g} × {size[1]:.3g} m"
    share = _share(folder, scenario, size)
    return text if share is None else f"{text}: {100 * share:.0f} % of the sign's face"


def _share(folder: Folder, scenario: _Scenario, size: tuple[float, float]) -> float | None:
    """Of the face of the scenario's first sign that the printed matter of its patch covers."""
    try:
        known = surfaces.approaches(Path(scenario.content["map"]).stem)
        face = known[scenario.content["sites"][0]].surface
    except (SimattackError, KeyError):
        return None
    width, height = face.size_m
    covered = size[0] * size[1]
    if (found := _card(folder, scenario)) is not None:
        with Pictures.open(found[0]) as picture:
            covered *= float(printed(np.asarray(picture.convert("RGBA"))).mean())
    return covered / (float(face.face.mean()) * width * height)


def _card(folder: Folder, scenario: _Scenario) -> tuple[Path, Plain] | None:
    """The kept picture of the attack's patch, and its card, which may be empty."""
    attack = scenario.content["attack"]
    name = attack["options"].get("patch") if attack is not None else None
    if not isinstance(name, str):
        return None
    path = folder.path / "inputs" / f"{Path(name).stem}.png"
    if not path.is_file():
        return None
    card = path.with_suffix(".json")
    return path, json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}


def _patch_size(folder: Folder, scenario: _Scenario) -> tuple[float, float] | None:
    given = scenario.content["attack"]["options"].get("size_m")
    if isinstance(given, (int, float)):
        return float(given), float(given)
    if isinstance(given, Sequence) and len(given) == 2:
        return float(given[0]), float(given[1])
    found = _card(folder, scenario)
    if found is None or "width_m" not in found[1]:
        return None
    return float(found[1]["width_m"]), float(found[1]["height_m"])


def _patch(folder: Folder, scenario: _Scenario) -> Plain | None:
    found = _card(folder, scenario)
    if found is None:
        return None
    path, card = found
    gap = card.pop("gap", None) or {}
    hidden = ("version", "sha256", "detector_sha256")
    flat = {name: value for name, value in card.items() if name not in hidden and value}
    return {"image": _data(path, "image/png"), "card": _pairs(flat), "gap": _pairs(gap)}


def _pairs(value: Mapping[str, Any], place: str = "") -> list[tuple[str, str]]:
    """Nested values as lines of name and text."""
    lines: list[tuple[str, str]] = []
    for name, item in value.items():
        full = f"{place} {name}".strip().replace("_", " ")
        if isinstance(item, Mapping):
            lines += _pairs(item, full)
        elif isinstance(item, float):
            lines.append((full, f"{item:.4g}"))
        elif isinstance(item, (list, tuple)):
            lines.append((full, ", ".join(str(part) for part in item)))
        else:
            lines.append((full, str(item)))
    return lines


def _pictures(folder: Folder, scenario: _Scenario, seeds: Sequence[int]) -> list[Plain]:
    """Per distance or time: every arm's picture there; of the first seed that has one."""
    found = []
    kept = {f"{at_m:.0f}m": f"{at_m:.0f} m before the line" for at_m in PICTURES_AT_M}
    kept |= {f"{at_s:.0f}s": f"after {at_s:.0f} s" for at_s in PICTURES_AT_S}
    for ending, where in kept.items():
        shown = []
        for arm in scenario.arms:
            for seed in seeds:
                media = folder.media(scenario.name, arm, seed)
                path = media.with_name(f"{media.name}_{ending}.png")
                if path.is_file():
                    shown.append({"arm": arm, "seed": seed, "image": photo(path)})
                    break
        if shown:
            # Clean beside attacked; the others follow.
            order = {"clean": 0, "attacked": 1}
            shown.sort(key=lambda item: order.get(str(item["arm"]), 2))
            found.append({"where": where, "shown": shown})
    return found


def _plots(folder: Folder, scenario: _Scenario, seeds: Sequence[int]) -> list[Plain]:
    traces = {}
    for arm in scenario.arms:
        paths = [folder.trace(scenario.name, arm, seed) for seed in seeds]
        found = [load_trace(path) for path in paths if path.is_file()]
        if found:
            traces[arm] = found
    if not traces:
        return []
    kinds = [("speed_mps", "speed [m/s]", "How fast the car is")]
    if _has_sign(scenario):
        title = "What the detector makes of the sign (0: no box on it)"
        kinds.insert(0, ("sign_score", "score of the sign", title))
    plots = [
        {"title": title, "svg": figures.against_distance(traces, column, label)}
        for column, label, title in kinds
    ]
    defended = {arm: found for arm, found in traces.items() if "+" in arm}
    return plots + [
        {"title": f"Alarms of the defenses for the {sensor}", "svg": svg}
        for sensor, svg in figures.alarms(defended, SENSORS)
    ]


def _films(folder: Folder, scenario: _Scenario, seeds: Sequence[int]) -> list[Plain]:
    films: list[Plain] = []
    total = 0
    for arm in scenario.arms:
        for seed in seeds:
            media = folder.media(scenario.name, arm, seed)
            path = media.with_name(media.name + ".mp4")
            if path.is_file():
                total += path.stat().st_size
                source = (
                    _data(path, "video/mp4")
                    if total <= _FILM_BYTES
                    else path.relative_to(folder.path).as_posix()
                )
                films.append({"arm": arm, "seed": seed, "source": source})
                break
    return films


def _commands(folder: Folder, manifest: Manifest) -> list[str]:
    """How somebody else gets the same numbers, and looks closer."""
    out = shlex.quote(folder.path.as_posix())
    replays = []
    for name, planned in manifest.plan.items():
        which = f" --scenario {name}" if len(manifest.plan) > 1 else ""
        arm, seed = planned["arms"][-1], planned["seeds"][0]
        replays.append(f"simattack replay {out}{which} --arm {arm} --seed {seed}")
    return [*manifest.commands, *replays, f"simattack report {out}"]


def _span(span: Sequence[float]) -> str:
    return f"{span[0]:g}" if span[0] == span[1] else f"{span[0]:g} to {span[1]:g}"


def _data(path: Path, kind: str) -> str:
    return _inline(path.read_bytes(), kind)


def photo(path: Path) -> str:
    """A camera picture as the content of an ``img``: a JPEG, a quarter of the size of a PNG.

    Nobody measures on a page.
    """
    if path.suffix == ".jpg":
        return _data(path, "image/jpeg")
    buffer = io.BytesIO()
    with Pictures.open(path) as picture:
        picture.convert("RGB").save(buffer, format="JPEG", quality=88)
    return _inline(buffer.getvalue(), "image/jpeg")


def _inline(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
