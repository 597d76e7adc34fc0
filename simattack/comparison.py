"""What a comparison is: which defenses, against which attacks, and what an attacker may spend."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simattack import config, reading, registry
from simattack.errors import ConfigError
from simattack.scenario import Arm, Control, Part, Scenario


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What an attacker who knows the defense may spend on getting past it.

    Sizes that are None are as the attack's class has them.
    """

    iterations: int = 200
    """With gradients."""
    queries: int = 60
    """Looks without gradients, for the checks; each shows ``query_views`` images."""
    query_views: int = 16
    blackbox: int = 120
    """Looks of the attack on a defense that gradients have no way through, and of one that has no
    picture to make but numbers, once for a search and once for chance; 0: nobody makes it."""
    views: int = 64
    """To learn from."""
    judged_views: int = 32
    """Others, in weather never learnt from, to be judged by."""
    patches: int = 1
    """Made independently, from other seeds; the one that hides the most is told, all are driven."""
    cells: int | None = None
    size_m: float | None = None
    pieces: int | None = None
    gap_m: float | None = None
    batch: int = 8
    rate: float = 0.03
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("iterations", "queries", "query_views", "judged_views", "patches", "batch"):
            if getattr(self, name) < 1:
                raise reading.FieldError(name, f"must be at least 1, got {getattr(self, name)}")
        for name in ("blackbox", "seed"):
            if getattr(self, name) < 0:
                raise reading.FieldError(name, f"must not be negative, got {getattr(self, name)}")
        for name, least in (("views", 8), ("cells", 2), ("pieces", 1)):
            if (value := getattr(self, name)) is not None and value < least:
                raise reading.FieldError(name, f"must be at least {least}, got {value}")
        for name in ("rate", "size_m"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise reading.FieldError(name, f"must be above 0, got {value}")


@dataclass(frozen=True, kw_only=True)
class Versus:
    """An attack that the defenses are held against."""

    scenario: Scenario
    """With the defenses that this attack is to meet, and nothing made through them."""
    adaptive: Effort | None = None
    """None: nobody makes the attack anew, and its adaptive cells are missing."""
    driven: tuple[str, ...] | None = None
    """Names of those defenses that are driven against it; None: all."""

    @property
    def name(self) -> str:
        """In tables: the scenario's."""
        return self.scenario.name

    def is_driven(self, arm: Arm) -> bool:
        """Whether an arm of the scenario is put on the road."""
        if arm.name.startswith("control_"):
            return False
        return self.driven is None or arm.defense is None or arm.defense.title in self.driven


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Which defense keeps the car safe, against an attacker who knows about it, at what cost."""

    name: str
    defenses: tuple[Part, ...]
    attacks: tuple[Versus, ...]
    screening: int = 4
    """Seeds a closed-loop arm, to see where to look."""
    claims: int = 30
    """Seeds a closed-loop arm, to say something."""
    frames: str = ""
    """A folder of ``simattack train``'s labelled frames, for the cost on clean ones."""
    clean_frames: int = 0
    """Without such a folder: frames to gather, in places that the detector never learnt from."""
    plugins: tuple[str, ...] = ()
    """The user's own files, as in a scenario; all scenarios of the comparison know them."""

    def __post_init__(self) -> None:
        for name in ("defenses", "attacks"):
            if not getattr(self, name):
                raise reading.FieldError(name, "needs at least one")
        _once("defenses", [part.title for part in self.defenses], _AS)
        _once("attacks", [versus.name for versus in self.attacks])
        for name, least in (("screening", 1), ("claims", 1), ("clean_frames", 0)):
            if getattr(self, name) < least:
                value = getattr(self, name)
                raise reading.FieldError(name, f"must be at least {least}, got {value}")

    def suite(
        self, adaptive: Mapping[str, tuple[Control, ...]] | None = None, seeds: int | None = None
    ) -> config.Suite:
        """All closed-loop arms.

        Args:
            adaptive: attack -> the options of the attack made through each defense.
            seeds: an arm; the screening's if None.
        """
        entries = []
        for versus in self.attacks:
            made = (adaptive or {}).get(versus.name, ())
            scenario = dataclasses.replace(versus.scenario, adaptive=made)
            arms = tuple(arm for arm in scenario.arms() if versus.is_driven(arm))
            chosen = config.first_seeds(scenario.seeds, seeds or self.screening)
            entries.append(config.Entry(scenario, arms, chosen))
        return config.Suite(self.name, tuple(entries))


def read(name: str) -> Comparison:
    """The comparison of that name or path.

    Raises:
        ConfigError: no such file, it is something else, or something in it is wrong.
    """
    path = config.locate(name)
    content = reading.load_yaml(path)
    if "attacks" not in content:
        raise ConfigError(
            f"{path}: expected a comparison, with 'defenses' and 'attacks'; got a scenario or "
            "suite, which `simattack run` takes"
        )
    return from_yaml(path, content)


def from_yaml(path: Path, content: Mapping[str, Any]) -> Comparison:
    """The comparison that a file holds.

    Raises:
        ConfigError: something in it is wrong.
    """
    plain = reading.Reader(str(path), {Part: config.read_part})
    plugins: tuple[str, ...] = ()
    if content.get("plugins") is not None:
        relative = plain.read(content["plugins"], tuple[str, ...], "plugins")
        plugins = config.beside(path, relative)
        content = {**content, "plugins": list(plugins)}
        for plugin in plugins:
            registry.load_file(Path(plugin))
    named = content.get("defenses")
    known: tuple[Part, ...] = ()
    if named is not None:
        known = plain.read(named, tuple[Part, ...], "defenses")
        try:
            _once("defenses", [part.title for part in known], _AS)
        except reading.FieldError as error:
            raise ConfigError(f"{path}: {error}") from error

    def versus(reader: reading.Reader, value: Any, place: str) -> Versus:
        return _versus(reader, value, place, known, plugins)

    reader = reading.Reader(str(path), {Part: config.read_part, Versus: versus})
    compared: Comparison = reader.read({"name": path.stem, **content}, Comparison, "")
    return compared


_AS = "; 'as' beside 'kind' gives one of them another name"


def _once(name: str, values: Sequence[str], hint: str = "") -> None:
    """Refuse a field that names something twice; ``hint`` says what to do about it.

    Raises:
        FieldError: it does.
    """
    if twice := sorted({value for value in values if values.count(value) > 1}):
        raise reading.FieldError(name, f"names {', '.join(twice)} twice{hint}")


def _versus(
    reader: reading.Reader,
    value: Any,
    place: str,
    known: tuple[Part, ...],
    plugins: tuple[str, ...],
) -> Versus:
    """An entry of a suite with ``adaptive`` and the names of ``defenses`` that it is to meet."""
    if not isinstance(value, dict):
        raise reader.wrong(place, "a mapping with 'scenario'", value)
    own = ("adaptive", "defenses", "driven")
    entry = {key: item for key, item in value.items() if key not in own}
    scenario = config.read_entry(reader, place, entry, own).scenario
    if scenario.attack is None:
        raise ConfigError(
            f"{reader.source}: field '{place}.scenario': expected a scenario with an attack, but "
            f"{value['scenario']!r} has none"
        )
    adaptive = value.get("adaptive")
    effort = None if adaptive is None else reader.read(adaptive, Effort, f"{place}.adaptive")
    every = tuple(dict.fromkeys((*scenario.plugins, *plugins)))
    scenario = dataclasses.replace(scenario, adaptive=(), defenses=(), plugins=every)
    scenario.load_plugins()
    if value.get("defenses") is None:
        chosen = tuple(part for part in known if _suits(part, scenario))
    else:
        names = _names(reader, value["defenses"], f"{place}.defenses", known)
        chosen = tuple(part for part in known if part.title in names)
    driven = None
    if value.get("driven") is not None:
        driven = _names(reader, value["driven"], f"{place}.driven", chosen)
    scenario = dataclasses.replace(scenario, defenses=chosen)
    return Versus(scenario=scenario, adaptive=effort, driven=driven)


def _names(
    reader: reading.Reader, value: Any, place: str, known: Sequence[Part]
) -> tuple[str, ...]:
    """Names of defenses, each of which is among those ``known``.

    Raises:
        ConfigError: one is not.
    """
    names: tuple[str, ...] = reader.read(value, tuple[str, ...], place)
    titles = [part.title for part in known]
    for name in names:
        if name not in titles:
            near = difflib.get_close_matches(name, titles, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(titles)}"
            raise ConfigError(f"{reader.source}: field '{place}': no defense {name!r}; {hint}")
    return names


def _suits(part: Part, scenario: Scenario) -> bool:
    """Whether the scenario's car has the sensors that the defense needs."""
    needs = getattr(part.build("defenses", "comparison"), "needs", ())
    return {*needs} <= {*scenario.sensors}
