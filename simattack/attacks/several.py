"""Several attacks at once, each with its own timing: what one adversary does together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simattack import registry
from simattack.errors import ConfigError
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Attack, Floats, Frame, Observation, Running, World

_MOST_KNOWN = (Knowledge.WHITE, Knowledge.GREY, Knowledge.BLACK)
_MOST_OFTEN = (Frequency.CONTINUOUS, Frequency.ITERATIVE, Frequency.ONE_SHOT)


@register("attacks", "several")
@dataclass(frozen=True)
class Several:
    """The attacks in ``parts``, in that order: each finds what those before it left.

    Raises:
        ConfigError: at construction: a part is no attack.
        BudgetError: at ``begin``: a part breaks its own budget; none has begun then.
    """

    parts: tuple[Any, ...] = ()
    """Attacks, or mappings of their kind and options as a scenario file has them."""
    surface: str = ""
    """For the parts that name none; empty for the sign of the episode's own site."""

    def __post_init__(self) -> None:
        if not self.parts or isinstance(self.parts, str | Mapping):
            raise ValueError(f"parts needs a list of attacks, got {self.parts!r}")
        built = tuple(_attack(part, k) for k, part in enumerate(self.parts))
        object.__setattr__(self, "parts", built)

    @property
    def threat(self) -> ThreatModel:
        """The most that any part needs; what the parts share of the rest. None: the least."""
        if not self.parts:  # a list of all attacks asks the bare class
            return ThreatModel(
                Stage.SENSOR, Knowledge.BLACK, Frequency.ONE_SHOT, Target.DEGRADE, Scope.INDIVIDUAL
            )
        threats = [part.threat for part in self.parts]
        answers = dict.fromkeys(name for threat in threats for name in threat.countermeasures)
        return ThreatModel(
            threats[0].stage if _is_one([t.stage for t in threats]) else Stage.SENSOR,
            next(k for k in _MOST_KNOWN if any(t.knowledge is k for t in threats)),
            next(f for f in _MOST_OFTEN if any(t.frequency is f for t in threats)),
            threats[0].target if _is_one([t.target for t in threats]) else Target.DEGRADE,
            threats[0].scope if _is_one([t.scope for t in threats]) else Scope.INDIVIDUAL,
            is_physical=all(t.is_physical for t in threats),
            countermeasures=tuple(answers),
        )

    def begin(self, world: World, rng: np.random.Generator) -> Together:
        running: list[Running] = []
        try:
            for part, own in zip(self.parts, rng.spawn(len(self.parts)), strict=True):
                placed = part
                if getattr(part, "surface", None) == "" and self.surface:
                    placed = dataclasses.replace(part, surface=self.surface)
                running.append(placed.begin(world, own))
        except BaseException:
            Together(running).end()
            raise
        return Together(running)


class Together:
    """The parts of one episode."""

    def __init__(self, parts: list[Running]) -> None:
        self._parts = parts

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        for part in self._parts:
            obs = part.tamper(obs, frame)
        return obs

    def set(self, parameters: Floats) -> None:
        raise ConfigError("expected an attack with parameters, got 'several'; tune its parts alone")

    def end(self) -> None:
        # Backwards: what was painted last is what covers the rest.
        for part in reversed(self._parts):
            part.end()


def _attack(part: Any, index: int) -> Attack:
    if isinstance(part, Mapping):
        if not isinstance(part.get("kind"), str):
            raise ValueError(f"parts[{index}] needs a kind, got {dict(part)!r}")
        options = {key: value for key, value in part.items() if key != "kind"}
        part = registry.build("attacks", part["kind"], options, f"parts[{index}]")
    if not isinstance(part, Attack):
        raise ValueError(f"parts[{index}] must be an attack, got {part!r}")
    return part


def _is_one(values: list[Any]) -> bool:
    return len(set(values)) == 1
