"""The way in: a file of another program, whichever it is, as a scenario or as our YAML."""

from __future__ import annotations

from pathlib import Path

from simattack.errors import ConfigError
from simattack.imports import openscenario, routes, writing, xmlfile
from simattack.imports.xmlfile import Doubts
from simattack.reading import FieldError
from simattack.scenario import Scenario


def read(
    path: Path,
    maps: str = "",
    route: str | None = None,
    ego: str | None = None,
    length_m: float | None = None,
    is_lenient: bool = False,
) -> tuple[Scenario, list[str]]:
    """The scenario, and one line each of what was skipped or taken in another way.

    Raises:
        ConfigError: the file cannot be read, or says what has no counterpart here.
    """
    doubts = Doubts(is_lenient)
    root = xmlfile.read(path)
    try:
        if root.tag == "OpenSCENARIO":
            if route is not None:
                raise ConfigError(f"{path}: --route chooses among CARLA's routes, this is none")
            scenario = openscenario.read(root, maps, doubts, ego, length_m)
        else:
            if ego is not None or length_m is not None:
                raise ConfigError(f"{path}: --ego and --length-m are for OpenSCENARIO, got a route")
            scenario = routes.read(routes.choose(root, route), maps, doubts)
    except FieldError as error:
        raise ConfigError(f"{path}: {error}") from error
    scenario.check()
    return scenario, doubts.notes


def write(scenario: Scenario, out: Path | None, source: Path, notes: list[str]) -> Path:
    """Where the scenario was written.

    Raises:
        ConfigError: it cannot be written there.
    """
    path = out or Path(f"{scenario.name}.yaml")
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"expected a .yaml file to write, got --out {str(path)!r}")
    head = [f"Imported from {source.name}.", *(note for note in notes)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(writing.text(scenario, head), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path
