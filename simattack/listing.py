"""What there is to choose from: names with a line of text, and the attacks on their axes."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from simattack import config, registry, resources
from simattack.patchfile import load_patch
from simattack.taxonomy import ThreatModel

AXES = ("stage", "knowledge", "frequency", "target", "scope")
"""Of the survey, in its order."""


def listed(what: str) -> list[tuple[str, str]]:
    """Names and a line about each: a room of the registry, or shipped files.

    Raises:
        SimattackError: something that ships is damaged.
    """
    if what in registry.ROOMS:
        return [(kind, _first_line(registry.lookup(what, kind))) for kind in registry.kinds(what)]
    if what == "scenarios":
        names = resources.shipped("scenarios", ".yaml")
        return [(name, _scenario_text(config.read_scenario(name))) for name in names]
    if what == "suites":
        names = resources.shipped("scenarios/suites", ".yaml")
        return [(name, _suite_text(config.read(name))) for name in names]
    if what == "patches":
        return [(name, _patch_text(name)) for name in resources.shipped("patches", ".png")]
    raise ValueError(f"nothing is listed under {what!r}")


def described(what: str) -> list[dict[str, Any]]:
    """The same for programs: ``name``, ``text``, and of what is registered its ``options``.

    An option is told by its name, its type and its default; without a default it is required.

    Raises:
        SimattackError: something that ships is damaged.
    """
    rows: list[dict[str, Any]] = [{"name": name, "text": text} for name, text in listed(what)]
    if what in registry.ROOMS:
        for row in rows:
            row["options"] = _options(registry.lookup(what, row["name"]))
    return rows


def _options(cls: type) -> list[dict[str, Any]]:
    told = []
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        option: dict[str, Any] = {"name": field.name, "type": str(field.type)}
        if field.default is not dataclasses.MISSING:
            value = field.default
            is_nested = dataclasses.is_dataclass(value) and not isinstance(value, type)
            option["default"] = dataclasses.asdict(value) if is_nested else value
        elif field.default_factory is not dataclasses.MISSING:
            option["default"] = field.default_factory()
        told.append(option)
    return told


def taxonomy(room: str = "attacks") -> list[dict[str, Any]]:
    """One row an attack: its kind, the five axes, whether it is physical, its countermeasures.

    Args:
        room: ``attacks``, all physical, or ``digital``, none of which is.
    """
    return [_threat(kind, room) for kind in registry.kinds(room)]


def _threat(kind: str, room: str = "attacks") -> dict[str, Any]:
    cls = registry.lookup(room, kind)
    # A recipe of defaults only, unchecked: some accept themselves only with a patch, and
    # where an attack stands in the taxonomy does not depend on that.
    threat: ThreatModel = object.__new__(cls).threat
    known = registry.kinds("defenses")
    return {
        "attack": kind,
        "stage": threat.stage.value,
        "knowledge": threat.knowledge.value,
        "frequency": threat.frequency.value,
        "target": threat.target.value,
        "scope": threat.scope.value,
        "physical": threat.is_physical,
        "countermeasures": [name for name in threat.countermeasures if name in known],
    }


def _first_line(cls: type) -> str:
    return (inspect.getdoc(cls) or "").split("\n")[0]


def _scenario_text(scenario: config.Scenario) -> str:
    arms = [arm.name for arm in scenario.arms()]
    return f"{len(scenario.seeds)} seeds; arms: {', '.join(arms)}"


def _suite_text(suite: config.Suite) -> str:
    n = sum(len(entry.arms) * len(entry.seeds) for entry in suite.entries)
    return f"{n} episodes of {', '.join(entry.scenario.name for entry in suite.entries)}"


def _patch_text(name: str) -> str:
    width, height = load_patch(name).size_m
    return f"{width:g} x {height:g} m"
