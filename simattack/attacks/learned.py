"""A trained adversary that steers another attack, drive after drive, as it has learned to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simattack import actor, registry
from simattack.actor import Actor
from simattack.adversary import Levers, Puppet, Steered, Terms
from simattack.errors import ConfigError, WeightsError
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Attack, Floats, World


@register("attacks", "learned")
@dataclass(frozen=True)
class Learned:
    """The attack in ``attack``, its parameters chosen anew every control interval by ``weights``.

    How often it chooses, what it sees and how much energy it has is what it was trained with, and
    stands in the card beside the weights. It acts without any chance of its own.

    Raises:
        ConfigError: at construction: no such attack, or one without parameters.
        WeightsError: the weights are not there, damaged, or made for another attack.
    """

    weights: str = ""
    """A .safetensors file that `simattack train-adversary` or ``actor.save`` wrote."""
    attack: Any = None
    """An attack, or the mapping of its kind and options; by default the one it was trained with."""
    surface: str = ""
    """For an attack that names none; empty for the sign of the episode's own site."""

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError("weights needs a .safetensors file, got ''")
        trained = _trained(self.weights)
        attack = trained.card.attack if self.attack is None else self.attack
        if isinstance(attack, Mapping):
            options = {key: value for key, value in attack.items() if key != "kind"}
            attack = registry.build("attacks", str(attack.get("kind")), options, "learned: attack")
        if not isinstance(attack, Attack):
            raise ValueError(f"attack must be an attack with its kind, got {attack!r}")
        if len(Levers(attack)) != trained.count:
            raise WeightsError(
                f"{self.weights} chooses {trained.count} parameters, but "
                f"{getattr(attack, 'kind', attack)!r} has {len(Levers(attack))}"
            )
        object.__setattr__(self, "attack", attack)

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

    def begin(self, world: World, rng: np.random.Generator) -> Steered:
        trained = _trained(self.weights)
        puppet = Puppet(self.attack, terms_of(trained), Chooser(trained), self.surface)
        return puppet.begin(world, rng)


class Chooser:
    """A trained adversary in one drive."""

    def __init__(self, trained: Actor) -> None:
        self._trained = trained

    def __call__(self, steered: Steered) -> Floats:
        told, learnt = steered.told(), tuple(self._trained.card.sees)
        if steered.sees != learnt:
            missing = [name for name in learnt if name not in steered.sees]
            raise ConfigError(
                f"the adversary was trained to see {len(learnt)} numbers, this car gives "
                f"{len(told)}; missing: {', '.join(missing) or 'none'}; let the scenario's "
                "'sensors' be those that it was trained with"
            )
        return self._trained.act(told)


def terms_of(trained: Actor) -> Terms:
    """What it was trained to do and know.

    Raises:
        WeightsError: its card does not tell.
    """
    try:
        return Terms(**trained.card.terms)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"the card's 'terms' are none: {error}") from error


def _trained(weights: str) -> Actor:
    path = Path(weights).expanduser()
    return actor.load(path)
