"""What a command line changes in a scenario: patch, detector, length of the drive, maps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from simattack import registry
from simattack.errors import ConfigError
from simattack.scenario import Part, Scenario
from simattack.types import CarInfo


def changes(
    patch: str | None = None,
    size_m: float | None = None,
    detector: str | None = None,
    trust_pickle: bool = False,
    max_ticks: int | None = None,
    maps: Path | None = None,
) -> Callable[[Scenario], Scenario]:
    """What the flags of those names make of a scenario; see ``simattack run --help``.

    Raises:
        ConfigError: a flag fits nothing; some are only found out about with a scenario.
    """
    if trust_pickle and detector is None:
        raise ConfigError("--trust-pickle says to trust the file of --detector; got no --detector")
    if max_ticks is not None and max_ticks < 1:
        raise ConfigError(f"expected at least 1 tick, got --max-ticks {max_ticks}")
    if maps is not None and not maps.is_dir():
        raise ConfigError(f"expected a folder of .xodr files, got --maps {str(maps)!r}")

    def change(scenario: Scenario) -> Scenario:
        if patch is not None or size_m is not None:
            if scenario.attack is None:
                raise ConfigError(f"scenario {scenario.name!r} has no attack to give a --patch to")
            options = {"patch": patch, "size_m": size_m}
            # Another picture is of another size, so the scenario's own size must not stay.
            given = {k: v for k, v in options.items() if v is not None or patch is not None}
            attack = scenario.attack.with_options(**given)
            scenario = dataclasses.replace(scenario, attack=attack)
        if detector is not None:
            if detector in registry.kinds("detectors"):
                part = Part(detector)
            else:
                part = scenario.detector.with_options(weights=detector)
            if trust_pickle:
                part = part.with_options(trust_pickle=True)
            scenario = dataclasses.replace(scenario, detector=part)
        if maps is not None:
            scenario = dataclasses.replace(scenario, maps=str(maps.resolve()))
        if max_ticks is not None:
            limit_s = max_ticks * CarInfo().tick_s
            scenario = dataclasses.replace(scenario, max_time_s=limit_s)
        return scenario

    return change
