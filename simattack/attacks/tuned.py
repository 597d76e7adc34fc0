"""Another attack, with its free parameters set: what a search has found, ready for a suite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simattack import registry
from simattack.adversary import box_of
from simattack.checks import is_number
from simattack.errors import ConfigError
from simattack.reading import frozen
from simattack.registry import register
from simattack.surfaces import on_surface
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Attack, Floats, Running, World


@register("attacks", "tuned")
@dataclass(frozen=True)
class Tuned:
    """The attack in ``attack`` with ``parameters`` of its box, or what a ``design`` file says.

    Raises:
        ConfigError: at construction: no such attack, one without a box, or parameters outside it.
    """

    attack: Any = None
    """An attack, or the mapping of its kind and options as a scenario file has it."""
    parameters: tuple[float, ...] = ()
    """Inside the attack's box, in its order and units."""
    design: str = ""
    """File that `simattack optimize --on drives` wrote; instead of the other two."""
    surface: str = ""
    """For an attack that names none; empty for the sign of the episode's own site."""

    def __post_init__(self) -> None:
        attack, parameters = self.attack, self.parameters
        if self.design:
            if attack is not None or parameters:
                raise ValueError("design stands for attack and parameters; give one or the other")
            attack, parameters = read_design(Path(self.design))
        if isinstance(attack, Mapping):
            options = {key: value for key, value in attack.items() if key != "kind"}
            attack = registry.build("attacks", str(attack.get("kind")), options, "tuned: attack")
        if not isinstance(attack, Attack):
            raise ValueError(f"attack must be an attack with its kind, got {attack!r}")
        if isinstance(parameters, str) or not all(is_number(value) for value in parameters):
            raise ValueError(f"parameters must be a list of numbers, got {parameters!r}")
        low, high = box_of(attack)
        given = np.asarray(parameters, float)
        if given.shape != low.shape:
            raise ValueError(
                f"{attack.kind!r} takes {low.size} parameters, got {given.size}"  # type: ignore[attr-defined]  # registered classes have a kind
            )
        outside = np.flatnonzero((given < low - 1e-9) | (given > high + 1e-9))
        if len(outside):
            k = int(outside[0])
            raise ValueError(
                f"parameters[{k}] must be from {low[k]:g} to {high[k]:g}, got {given[k]:g}"
            )
        object.__setattr__(self, "attack", attack)
        object.__setattr__(self, "parameters", tuple(float(value) for value in given))
        object.__setattr__(self, "design", "")

    @property
    def threat(self) -> ThreatModel:
        if self.attack is None:  # the kind by itself, as a list of kinds asks for it
            return ThreatModel(
                Stage.SENSOR, Knowledge.BLACK, Frequency.ITERATIVE, Target.DEGRADE, Scope.UNIVERSAL
            )
        threat: ThreatModel = self.attack.threat
        return threat

    @property
    def needs(self) -> tuple[str, ...]:
        """The sensors that the attack needs."""
        return tuple(getattr(self.attack, "needs", ()))

    @property
    def box(self) -> tuple[Floats, Floats]:
        """The attack's own."""
        return box_of(self.attack)

    def begin(self, world: World, rng: np.random.Generator) -> Running:
        running: Running = on_surface(self.attack, self.surface).begin(world, rng)
        try:
            running.set(np.array(self.parameters))
        except BaseException:
            running.end()
            raise
        return running


def read_design(path: Path) -> tuple[Mapping[str, Any], tuple[float, ...]]:
    """The attack and the parameters of a design file.

    Raises:
        ConfigError: no such file, or it is damaged.
    """
    try:
        content = json.loads(path.read_text())
        attack, parameters = content["attack"], content["parameters"]
        return {str(key): frozen(value) for key, value in attack.items()}, tuple(parameters)
    except OSError as error:
        raise ConfigError(f"expected a design file, got {path}: {error.strerror}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{path} is no design that `simattack optimize --on drives` wrote "
            f"({type(error).__name__}: {error})"
        ) from error
