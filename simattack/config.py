"""Scenarios and suites out of YAML files; errors name the file and the field.

A suite is what one run does: scenarios, each with some of its arms and seeds. What a scenario is
stands in ``scenario``. A comparison (``comparison``), run as a suite, has all arms but those of
attacks made through a defense, which ``simattack compare`` makes first.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simattack import reading, resources
from simattack.errors import ConfigError
from simattack.places import Point, read_point
from simattack.scenario import UNDEFENDED
from simattack.scenario import Arm as Arm
from simattack.scenario import Conditions as Conditions
from simattack.scenario import Control as Control
from simattack.scenario import Count as Count
from simattack.scenario import Part as Part
from simattack.scenario import Role as Role
from simattack.scenario import Scenario as Scenario
from simattack.scenario import Span as Span
from simattack.scenario import Traffic as Traffic
from simattack.scenario import WeatherRanges as WeatherRanges

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""Of arms and files, in which it is a part."""
_DEFENSE = re.compile(r"(^|\.)defenses\[\d+\]$")
"""Places in a file at which a defense stands."""


@dataclass(frozen=True)
class Entry:
    """A scenario with the arms and seeds to run of it."""

    scenario: Scenario
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Suite:
    """What one ``simattack run`` does."""

    name: str
    entries: tuple[Entry, ...]

    def select(self, arms: Sequence[str] | None, seeds: int | None) -> Suite:
        """Only those arms and the first so many seeds; None leaves them as they are.

        Raises:
            ConfigError: an entry has no arm of that name, or too few seeds are asked for.
        """
        if seeds is not None and seeds < 1:
            raise ConfigError(f"expected at least 1 seed, got --seeds {seeds}")
        return Suite(
            self.name,
            tuple(
                Entry(
                    entry.scenario,
                    entry.arms if arms is None else _choose(entry.scenario, arms, "--arms"),
                    entry.seeds if seeds is None else first_seeds(entry.seeds, seeds),
                )
                for entry in self.entries
            ),
        )

    def change(self, change: Callable[[Scenario], Scenario]) -> Suite:
        """Every scenario replaced by what ``change`` makes of it; arms and seeds stay chosen."""
        entries = []
        for entry in self.entries:
            scenario = change(entry.scenario)
            names = [arm.name for arm in entry.arms]
            entries.append(Entry(scenario, _choose(scenario, names, "suite"), entry.seeds))
        return Suite(self.name, tuple(entries))


def read(name: str, maps: str = "", tell: Callable[[str], None] | None = None) -> Suite:
    """The suite, or the scenario as a suite of one, of that name or path.

    Args:
        name: of a shipped one, or a path: of a YAML file or of OpenSCENARIO (.xosc).
        maps: the user's own folder of maps, for OpenSCENARIO.
        tell: is told what of OpenSCENARIO was taken in another way than it is written.

    Raises:
        ConfigError: no such file, or something in it is wrong.
    """
    if (scenario := _foreign(name, maps, tell)) is not None:
        return Suite(scenario.name, (Entry(scenario, scenario.arms(), scenario.seeds),))
    path = locate(name)
    content = reading.load_yaml(path)
    if "attacks" in content:
        from simattack import comparison  # which reads its entries as those of a suite

        return comparison.from_yaml(path, content).suite()
    if "entries" not in content:
        scenario = _scenario(path, content)
        return Suite(scenario.name, (Entry(scenario, scenario.arms(), scenario.seeds),))
    reader = reading.Reader(str(path))
    reader.only_known(content, ("entries", "name"), "")
    entries = content["entries"]
    if not isinstance(entries, list) or not entries:
        raise reader.wrong("entries", "a list of scenarios", entries)
    return Suite(
        str(content.get("name", path.stem)),
        tuple(read_entry(reader, f"entries[{i}]", entry) for i, entry in enumerate(entries)),
    )


def read_scenario(name: str) -> Scenario:
    """The scenario of that name or path.

    Raises:
        ConfigError: no such file, it is a suite, or something in it is wrong.
    """
    if (scenario := _foreign(name)) is not None:
        return scenario
    path = locate(name)
    content = reading.load_yaml(path)
    if "entries" in content:
        raise ConfigError(f"{path}: expected a scenario, got a suite of scenarios")
    return _scenario(path, content)


def restore(content: Mapping[str, Any], plugins: Sequence[str] = (), maps: str = "") -> Scenario:
    """The scenario that ``Scenario.content`` was taken of, as a manifest holds it.

    Raises:
        ConfigError: it is not such content.
    """
    special = {Part: _plain_part, Control: _plain_control, Point: read_point}
    reader = reading.Reader("manifest.json", special)
    # Until scenarios named them, all cars had these.
    content = {"sensors": ["camera", "gnss", "imu", "speed"], **content}
    scenario: Scenario = reader.read(content, Scenario, "")
    return dataclasses.replace(scenario, plugins=tuple(plugins), maps=maps)


def _plain_part(reader: reading.Reader, value: Any, place: str) -> Part:
    if not isinstance(value, dict) or {*value} - {"name"} != {"kind", "options"}:
        raise reader.wrong(place, "a mapping of kind and options", value)
    return Part(value["kind"], reading.frozen(value["options"]), str(value.get("name", "")))


def _plain_control(reader: reading.Reader, value: Any, place: str) -> Control:
    if not isinstance(value, dict) or set(value) != {"name", "options"}:
        raise reader.wrong(place, "a mapping of name and options", value)
    return Control(value["name"], reading.frozen(value["options"]))


def _foreign(
    name: str, maps: str = "", tell: Callable[[str], None] | None = None
) -> Scenario | None:
    """What an OpenSCENARIO file says; None: the name is of no such file."""
    if Path(name).suffix.lower() != ".xosc":
        return None
    from simattack.imports import foreign

    scenario, notes = foreign.read(Path(name), maps)
    if tell is not None:
        for note in notes:
            tell(note)
    return scenario


def locate(name: str) -> Path:
    """The YAML file of that name or path.

    Raises:
        ConfigError: there is none.
    """
    try:
        return resources.locate(name, "scenarios", ".yaml")
    except ConfigError:
        if name in resources.shipped("scenarios/suites", ".yaml"):
            return resources.locate(name, "scenarios/suites", ".yaml")
        shipped = resources.shipped("scenarios", ".yaml")
        suites = resources.shipped("scenarios/suites", ".yaml")
        near = difflib.get_close_matches(name, [*shipped, *suites], 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            f"expected a scenario or suite (.yaml), got {name!r}, which does not exist; {hint}"
            f"shipped scenarios: {', '.join(shipped) or 'none'}; "
            f"suites: {', '.join(suites) or 'none'}"
        ) from None


def read_entry(reader: reading.Reader, place: str, content: Any, also: Sequence[str] = ()) -> Entry:
    """A scenario as a suite names it; keys in ``also`` are known, and somebody else's.

    Raises:
        ConfigError: something in it is wrong.
    """
    if isinstance(content, str):
        content = {"scenario": content}
    if not isinstance(content, dict) or not isinstance(content.get("scenario"), str):
        raise reader.wrong(place, "a scenario's name, or a mapping with 'scenario'", content)
    reader.only_known(
        content, ("scenario", "name", "map", "sites", "arms", "seeds", *_REPLACED, *also), place
    )
    scenario = _replaced(reader, place, content, read_scenario(content["scenario"]))
    if content.get("map") is not None:
        other = reader.read(content["map"], str, f"{place}.map")
        name = f"{scenario.name}_{Path(other).stem}"
        scenario = dataclasses.replace(scenario, map=other, name=name)
    if content.get("sites") is not None:
        sites = reader.read(content["sites"], tuple[str, ...], f"{place}.sites")
        scenario = dataclasses.replace(scenario, sites=sites)
    arms, seeds = scenario.arms(), scenario.seeds
    if content.get("arms") is not None:
        names = reader.read(content["arms"], tuple[str, ...], f"{place}.arms")
        arms = _choose(scenario, names, f"{reader.source}: field '{place}.arms'")
    if content.get("seeds") is not None:
        seeds = _seeds(reader, content["seeds"], f"{place}.seeds")
    return Entry(scenario, arms, seeds)


_REPLACED: Mapping[str, Any] = {
    "attack": Part,
    "controls": tuple[Control, ...],
    "defenses": tuple[Part, ...],
    "policy": Part,
    "sensors": tuple[str, ...],
    "unsafe": str,
}
"""Fields of a scenario that an entry may replace, with their types."""


def _replaced(
    reader: reading.Reader, place: str, content: Mapping[str, Any], scenario: Scenario
) -> Scenario:
    """The scenario with what an entry says instead, under a name of its own.

    Without a ``name`` it is called after its new attack.
    """
    special = {Part: read_part, tuple[Control, ...]: _controls}
    inner = reading.Reader(reader.source, special)
    changes: dict[str, Any] = {}
    for field_name, kind in _REPLACED.items():
        if content.get(field_name) is not None:
            changes[field_name] = inner.read(content[field_name], kind, f"{place}.{field_name}")
    if "attack" in changes and "controls" not in changes:
        changes["controls"] = ()
    name = content.get("name")
    if name is not None:
        changes["name"] = reader.read(name, str, f"{place}.name")
    elif "attack" in changes:
        changes["name"] = f"{scenario.name}_{changes['attack'].kind}"
    elif changes:
        raise reader.wrong(f"{place}.name", "a name for the changed scenario", None)
    if changes and not scenario.drawn_as:
        changes["drawn_as"] = scenario.name
    try:
        return dataclasses.replace(scenario, **changes)
    except reading.FieldError as error:
        raise ConfigError(f"{reader.source}: {place}: {error}") from error


def _scenario(path: Path, content: dict[str, Any]) -> Scenario:
    special = {Part: read_part, tuple[Control, ...]: _controls, Point: read_point}
    reader = reading.Reader(str(path), special)
    content = {"name": path.stem, **content}
    if "seeds" in content:
        content["seeds"] = list(_seeds(reader, content["seeds"], "seeds"))
    scenario: Scenario = reader.read(content, Scenario, "")
    return dataclasses.replace(scenario, plugins=beside(path, scenario.plugins))


def beside(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Files that one of YAML names relative to itself, in full."""
    return tuple(str((path.parent / name).resolve()) for name in names)


def read_part(reader: reading.Reader, value: Any, place: str) -> Part:
    """A part as YAML writes it: a name, or a mapping of kind and options."""
    if isinstance(value, str):
        return Part(value)
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise reader.wrong(place, "a name, or a mapping with 'kind' and options", value)
    name = value.get("as", "")
    if "as" in value:
        if not _DEFENSE.search(place):
            raise reader.wrong(place, "no 'as', which is for the names of defenses", name)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == UNDEFENDED:
            wanted = f"a name of letters, digits, '_', '-' and '.', but not {UNDEFENDED!r}"
            raise reader.wrong(f"{place}.as", wanted, name)
    options = {
        key: reading.frozen(item) for key, item in value.items() if key not in ("kind", "as")
    }
    return Part(value["kind"], options, name)


def _controls(reader: reading.Reader, value: Any, place: str) -> tuple[Control, ...]:
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise reader.wrong(place, "a mapping: name -> options that replace the attack's", value)
    return tuple(
        Control(str(name), {key: reading.frozen(item) for key, item in options.items()})
        for name, options in value.items()
    )


def _seeds(reader: reading.Reader, value: Any, place: str) -> tuple[int, ...]:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise reader.wrong(place, "at least 1 seed", value)
        return tuple(range(value))
    seeds: tuple[int, ...] = reader.read(value, tuple[int, ...], place)
    return seeds


def first_seeds(seeds: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The first so many seeds; more than there are continue after the highest."""
    return (*seeds, *range(max(seeds) + 1, max(seeds) + 1 + count - len(seeds)))[:count]


def _choose(scenario: Scenario, names: Sequence[str], where: str) -> tuple[Arm, ...]:
    known = {arm.name: arm for arm in scenario.arms()}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, list(known), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(known)}"
            raise ConfigError(f"{where}: scenario {scenario.name!r} has no arm {name!r}; {hint}")
    # Each once, in the scenario's order, whatever order they were named in.
    return tuple(arm for name, arm in known.items() if name in names)
