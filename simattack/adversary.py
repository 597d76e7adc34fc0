"""An adversary that acts again and again during one drive: what it may do, and what it has left.

Its means are the free parameters of an attack. Every control interval it chooses them anew; in
between they stay. Power costs energy, of which there is only so much; when it is spent, the attack
is held where it does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from simattack.checks import choice, number
from simattack.errors import ConfigError
from simattack.insight import LEVELS, Insight, names
from simattack.surfaces import on_surface
from simattack.types import Attack, Floats, Frame, Insider, Observation, Running, Tick, World


@dataclass(frozen=True)
class Terms:
    """What an adversary may do and know.

    Raises:
        ValueError: a value makes no sense.
    """

    knowledge: str = "black"
    """Out of ``insight.LEVELS``."""
    control_s: float = 0.5
    """From one choice to the next, in whole ticks."""
    energy_s: float = 3.0
    """So many seconds of full power, or more of less."""

    def __post_init__(self) -> None:
        choice("knowledge", self.knowledge, LEVELS)
        number("control_s", self.control_s, 0.01, 1000.0)
        number("energy_s", self.energy_s)

    def ticks(self, tick_s: float) -> int:
        """In a control interval."""
        return max(1, round(self.control_s / tick_s))


_ON_ABOVE = 0.5
"""Of a switch in 0..1."""


class Levers:
    """The free parameters of an attack, as an action (n,) in -1..1 and by what they cost.

    The power of an action is its distance from the attack's idle point, where it does nothing, by
    the axis that is farthest off: 0 there, 1 at the end of the box. An attack says so by ``idle``
    (n,), NaN for what costs nothing, such as a place; else it is the box's point nearest to zero.

    An attack that needs the same power whatever its parameters are says ``is_switched``. It has a
    switch besides, the last of n + 1 parameters: off up to a half, full power above. Its runs have
    a ``switch`` (``Switched``).

    Args:
        attack: what is steered.
        has_switch: False: its parameters alone, for a whole drive of it.

    Raises:
        ConfigError: the attack has nothing to tune.
    """

    def __init__(self, attack: object, has_switch: bool = True) -> None:
        self.low, self.high = box_of(attack)
        told = getattr(attack, "idle", None)
        idle = np.clip(0.0, self.low, self.high) if told is None else np.asarray(told, float)
        self.is_switched = has_switch and bool(getattr(attack, "is_switched", False))
        if self.is_switched:
            idle = np.append(np.full(len(self.low), np.nan), 0.0)
            self.low, self.high = np.append(self.low, 0.0), np.append(self.high, 1.0)
        self.idle_or_free: Floats = idle
        self._is_free = np.isnan(idle)
        self.idle: Floats = np.where(self._is_free, (self.low + self.high) / 2, idle)
        reach = np.maximum(self.high - self.idle, self.idle - self.low)
        self._reach = np.where(reach > 0, reach, 1.0)

    def __len__(self) -> int:
        return len(self.low)

    def parameters(self, action: Floats) -> Floats:
        """(n,) in the attack's units."""
        share = (np.clip(np.asarray(action, float), -1.0, 1.0) + 1.0) / 2
        made: Floats = self.low + share * (self.high - self.low)
        return made

    def action(self, parameters: Floats) -> Floats:
        """(n,) in -1..1 that stands for parameters."""
        span = np.where(self.high > self.low, self.high - self.low, 1.0)
        made: Floats = 2 * (parameters - self.low) / span - 1
        return made

    def power(self, parameters: Floats) -> float:
        """In 0..1."""
        if self.is_switched:
            return float(parameters[-1] > _ON_ABOVE)
        shares = np.abs(parameters - self.idle) / self._reach
        return float(np.max(np.where(self._is_free, 0.0, shares), initial=0.0))


@runtime_checkable
class Switched(Protocol):
    """A run of an attack that can be off, as if it were not there, and on again."""

    def switch(self, is_on: bool) -> None: ...


Choose = Callable[["Steered"], Floats]
"""An adversary: the action (n,) in -1..1 for the next control interval."""


class Steered:
    """One run of an attack whose parameters an adversary chooses anew every control interval.

    At the first tick the attack is idle. ``told`` is what the adversary sees.
    """

    def __init__(self, attack: Attack, running: Running, terms: Terms, world: World, choose: Choose,
                 surface: str = "") -> None:  # fmt: skip
        self.levers = Levers(attack)
        self.terms = terms
        self.energy_s = terms.energy_s
        self._running, self._world, self._choose = running, world, choose
        self._inside = running if isinstance(running, Insider) else None
        self._surface = surface
        self._insight: Insight | None = None
        self._state: tuple[Frame, Observation] | None = None
        self._tick: Tick | None = None
        self._wanted = self.levers.idle
        self.parameters = self.levers.idle
        """In effect, in the attack's units."""
        self._use(self.parameters)

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        if self._state is not None:
            tick_s = frame.time_s - self._state[0].time_s
            if (frame.tick - 1) % self.terms.ticks(tick_s) == 0:
                self._wanted = self.levers.parameters(self._choose(self))
            self._pay(tick_s)
        told = self._running.tamper(obs, frame)
        self._state = (frame, told)
        return told

    def watch(self, tick: Tick) -> None:
        self._tick = tick
        if self._inside is not None:
            self._inside.watch(tick)

    def set(self, parameters: Floats) -> None:
        """Nobody else may: it is refused."""
        raise ConfigError("expected an attack whose parameters may be set, got one that is steered")

    def end(self) -> None:
        self._running.end()

    @property
    def sees(self) -> tuple[str, ...]:
        """What each number of ``told`` is; of a drive under way."""
        sensors = () if self._state is None else tuple(self._state[1])
        return told_names(self.terms.knowledge, sensors, self.levers)

    @property
    def power(self) -> float:
        """Of what is in effect."""
        return self.levers.power(self.parameters)

    def told(self) -> Floats:
        """What the adversary sees after the last tick: ``told_names`` says what.

        Raises:
            ConfigError: nothing was driven yet, or the world knows no route.
        """
        if self._state is None or self._tick is None:
            raise ConfigError("expected a drive under way, got none; reset the environment")
        frame, obs = self._state
        if self._insight is None:
            self._insight = self._begin(obs)
        share = self.energy_s / self.terms.energy_s if self.terms.energy_s else 0.0
        seen = self._insight.told(share, frame, obs, self._tick)
        return np.append(seen, self.levers.action(self.parameters))

    def _begin(self, obs: Observation) -> Insight:
        world, route = self._world, self._world.route
        if route is None:
            raise ConfigError("an adversary that acts needs a world with a route, got none")
        # On an actor (its name has a colon) it moves: that is whoever is nearest, as a rule.
        is_standing = self._surface and ":" not in self._surface
        target = world.surface(self._surface).corners_m.mean(0) if is_standing else None
        return Insight(self.terms.knowledge, tuple(obs), route, target, world.geo_origin)

    def _pay(self, tick_s: float) -> None:
        """Spend the tick's energy, or be idle for want of it."""
        cost_s = self.levers.power(self._wanted) * tick_s
        is_enough = cost_s <= self.energy_s + 1e-9
        parameters = self._wanted if is_enough else self.levers.idle
        if is_enough:
            self.energy_s = max(self.energy_s - cost_s, 0.0)
        # Some attacks begin anew with whatever they are told.
        if not np.array_equal(parameters, self.parameters):
            self.parameters = parameters
            self._use(parameters)

    def _use(self, parameters: Floats) -> None:
        if not self.levers.is_switched:
            self._running.set(parameters)
            return
        if not isinstance(self._running, Switched):
            raise ConfigError(
                f"an attack that is_switched needs runs with a switch, got {self._running!r}"
            )
        self._running.switch(self.levers.power(parameters) > 0)
        self._running.set(parameters[:-1])


def told_names(level: str, sensors: Sequence[str], levers: Levers) -> tuple[str, ...]:
    """What each number of ``Steered.told`` is."""
    return (*names(level, sensors), *(f"parameter {k}, -1..1" for k in range(len(levers))))


@dataclass(frozen=True, eq=False)
class Puppet:
    """The recipe of an attack that ``choose`` steers."""

    attack: Any
    terms: Terms
    choose: Choose
    surface: str = ""
    """For an attack that names none; empty for the sign of the episode's own site."""

    @property
    def threat(self) -> Any:
        return self.attack.threat

    @property
    def needs(self) -> tuple[str, ...]:
        """The sensors that the attack needs."""
        return tuple(getattr(self.attack, "needs", ()))

    def begin(self, world: World, rng: np.random.Generator) -> Steered:
        surface = getattr(self.attack, "surface", "") or self.surface
        running = on_surface(self.attack, surface).begin(world, rng)
        try:
            return Steered(self.attack, running, self.terms, world, self.choose, surface)
        except BaseException:
            running.end()
            raise


def box_of(attack: object) -> tuple[Floats, Floats]:
    """Lowest and highest parameters of an attack.

    Raises:
        ConfigError: it has nothing to tune.
    """
    box = getattr(attack, "box", None)
    if box is None:
        raise ConfigError(
            f"attack {getattr(attack, 'kind', attack)!r} has no parameters to tune (no 'box')"
        )
    low, high = box
    return np.asarray(low, float), np.asarray(high, float)
