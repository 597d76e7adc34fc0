"""Several attacks at once, each with its own timing: what one adversary does together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from simattack import registry
from simattack.adversary import Levers, Switched, box_of
from simattack.errors import ConfigError
from simattack.registry import register
from simattack.surfaces import on_surface
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Attack, Floats, Frame, Insider, Observation, Running, Tick, World

T = TypeVar("T")

_MOST_KNOWN = (Knowledge.WHITE, Knowledge.GREY, Knowledge.BLACK)
_MOST_OFTEN = (Frequency.CONTINUOUS, Frequency.ITERATIVE, Frequency.ONE_SHOT)


@register("attacks", "several")
@dataclass(frozen=True)
class Several:
    """The attacks in ``parts``, in that order: each finds the sensors as those before it left them.

    Paint does not mix: of two parts that paint one surface the last one is seen.

    Raises:
        ConfigError: at construction: a part is no attack.
        BudgetError: at ``begin``: a part breaks its own budget; none has begun then.
    """

    parts: tuple[Any, ...] = ()
    """Attacks, or mappings of their kind and options as a scenario file has them."""
    surface: str = ""
    """For the parts that name none; empty for the sign of the episode's own site."""

    def __post_init__(self) -> None:
        if not self.parts or not isinstance(self.parts, list | tuple):
            raise ValueError(f"parts needs a list of attacks, got {self.parts!r}")
        built = tuple(_attack(part, k) for k, part in enumerate(self.parts))
        object.__setattr__(self, "parts", built)

    @property
    def needs(self) -> tuple[str, ...]:
        """Every sensor that some part needs."""
        named = (name for part in self.parts for name in getattr(part, "needs", ()))
        return tuple(dict.fromkeys(named))

    @property
    def threat(self) -> ThreatModel:
        """The most that any part needs; of the rest, what all parts share."""
        threats = [part.threat for part in self.parts]
        answers = dict.fromkeys(name for threat in threats for name in threat.countermeasures)
        return ThreatModel(
            _shared([t.stage for t in threats], Stage.SENSOR),
            _most([t.knowledge for t in threats], _MOST_KNOWN),
            _most([t.frequency for t in threats], _MOST_OFTEN),
            _shared([t.target for t in threats], Target.DEGRADE),
            _shared([t.scope for t in threats], Scope.INDIVIDUAL),
            is_physical=all(t.is_physical for t in threats),
            countermeasures=tuple(answers),
        )

    @property
    def box(self) -> tuple[Floats, Floats] | None:
        """Of all parts that have one, in their order; None if none has."""
        boxes = [box_of(part) for part in self.parts if _size(part)]
        if not boxes:
            return None
        lows, highs = zip(*boxes, strict=True)
        return np.concatenate(lows), np.concatenate(highs)

    @property
    def idle(self) -> Floats:
        """(n,) of all parts that have a box."""
        levers = [Levers(part, has_switch=False) for part in self.parts if _size(part)]
        return np.concatenate([one.idle_or_free for one in levers])

    @property
    def is_switched(self) -> bool:
        """Whether some part takes the same power whatever its parameters are: then all do, and are
        on or off together.
        """
        return any(getattr(part, "is_switched", False) for part in self.parts)

    def begin(self, world: World, rng: np.random.Generator) -> Together:
        running: list[Running] = []
        try:
            for part, own in zip(self.parts, rng.spawn(len(self.parts)), strict=True):
                running.append(on_surface(part, self.surface).begin(world, own))
        except BaseException:
            Together(running).end()
            raise
        idle = [Levers(part, has_switch=False).idle if _size(part) else None for part in self.parts]
        return Together(running, idle)


class Together:
    """The parts of one episode.

    Args:
        parts: as they run.
        idle: of each the parameters at which it does nothing, None if it has none; all None where
            that does not matter any more.
    """

    def __init__(self, parts: list[Running], idle: list[Floats | None] | None = None) -> None:
        self._parts = parts
        self._idle = [None] * len(parts) if idle is None else idle
        self._sizes = [0 if one is None else len(one) for one in self._idle]
        self._is_on = True

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        for part in self._parts:
            obs = part.tamper(obs, frame)
        return obs

    def watch(self, tick: Tick) -> None:
        """Tell those parts that want to know what the car made of the tick."""
        for part in self._parts:
            if isinstance(part, Insider):
                part.watch(tick)

    def set(self, parameters: Floats) -> None:
        """New parameters (n,) of all parts that have some, one after the other.

        Raises:
            ConfigError: no part has any, or these do not fit.
        """
        if not any(self._sizes):
            raise ConfigError(
                "expected an attack with parameters, got 'several' of which no part has any"
            )
        if np.shape(parameters) != (sum(self._sizes),):
            raise ConfigError(
                f"expected {sum(self._sizes)} parameters of 'several', got {np.size(parameters)}"
            )
        pieces = np.split(np.asarray(parameters, float), np.cumsum(self._sizes)[:-1])
        for part, idle, piece in zip(self._parts, self._idle, pieces, strict=True):
            if idle is not None:
                is_held = not self._is_on and not isinstance(part, Switched)
                part.set(idle if is_held else piece)

    def switch(self, is_on: bool) -> None:
        """All parts that an adversary steers; one without a switch is held where it does nothing,
        and its next parameters count when it is on again.
        """
        self._is_on = is_on
        for part, idle in zip(self._parts, self._idle, strict=True):
            if isinstance(part, Switched):
                part.switch(is_on)
            elif idle is not None and not is_on:
                part.set(idle)

    def end(self) -> None:
        # Backwards: what was painted last is what covers the rest.
        for part in reversed(self._parts):
            part.end()


def _size(part: object) -> int:
    """Of its parameters; 0 if it has none."""
    return 0 if getattr(part, "box", None) is None else len(box_of(part)[0])


def _attack(part: Any, index: int) -> Attack:
    if isinstance(part, Mapping):
        if not isinstance(part.get("kind"), str):
            raise ValueError(f"parts[{index}] needs a kind, got {dict(part)!r}")
        options = {key: value for key, value in part.items() if key != "kind"}
        part = registry.build("attacks", part["kind"], options, f"parts[{index}]")
    if not isinstance(part, Attack):
        raise ValueError(f"parts[{index}] must be an attack, got {part!r}")
    return part


def _shared(values: list[T], otherwise: T) -> T:
    return values[0] if len(set(values)) == 1 else otherwise


def _most(values: list[T], order: tuple[T, ...]) -> T:
    """The first of ``order`` that any has, its last if none does."""
    return next((value for value in order if value in values), order[-1])
