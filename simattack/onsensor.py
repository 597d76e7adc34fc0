"""One episode of an attack on a sensor: when it acts, on which reading, and that it ends.

An attack says what it makes of its sensor's reading; what is here is the same for all:

    def begin(self, world, rng):
        return OnSensor(self, world, "speed", lambda reading, moment: self.gain * reading)

Camera, LiDAR and radar look every 0.1 s and repeat their newest data in between: of those each
look is tampered with once, and what came of it is repeated, too. A look from before the attack
was on stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simattack.errors import BudgetError, ConfigError
from simattack.timing import Timer, Timing
from simattack.types import Floats, Frame, Observation, World

LOOKING = ("camera", "lidar", "radar")
"""The sensors of which ``clock[1]`` tells when they looked."""

Reading = NDArray[Any]


@dataclass(frozen=True)
class Moment:
    """When an attack acts, and the truth there, which the adversary may use."""

    frame: Frame
    captured_s: float
    """When camera, LiDAR and radar looked."""
    on_s: float | None
    """Since the attack went on; None while it is off, which only lingering attacks are told."""

    @property
    def went_on_s(self) -> float:
        """When the attack last went on, to the microsecond; now while it is off."""
        return round(self.frame.time_s - (self.on_s or 0.0), 6)


Act = Callable[[Reading, Moment], Reading | None]
"""What an attack makes of a reading, which it may not write to; None leaves it as it is."""


class Timed(Protocol):
    """The recipe of an attack that has a time, measured from a surface if it is near one."""

    @property
    def timing(self) -> Timing: ...
    @property
    def surface(self) -> str: ...


class OnSensor:
    """An attack on one sensor in one episode.

    Args:
        recipe: the attack.
        world: what it stands in; None where nothing is near anything.
        sensor: what it tampers with, a key of an observation.
        act: what it makes of a reading.
        tune: takes new parameters (n,), which are in the recipe's ``box``; None: there are none.
        is_lingering: ``act`` is asked while the attack is off, too, as its effect may last.

    Raises:
        ConfigError: the timing is ``near`` a surface that the world does not have.
    """

    def __init__(
        self,
        recipe: Timed,
        world: World | None,
        sensor: str,
        act: Act,
        tune: Callable[[Floats], None] | None = None,
        is_lingering: bool = False,
    ) -> None:
        self._recipe, self._sensor = recipe, sensor
        self._act, self._tune = act, tune
        self._is_lingering = is_lingering
        self._timer = timer(recipe, world)
        self._captured_s: float | None = None
        self._made: Reading | None = None
        self._is_over = False
        self._is_switched_off = False
        self.effect: object = getattr(act, "__self__", None)
        """The attack's own object that acts, which may tell of itself; None for a function."""

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        """The sensor's reading under attack; the other sensors as they are.

        Raises:
            ConfigError: the car has no such sensor.
        """
        on_s = self._timer.elapsed_s(frame)
        if self._is_over:
            return obs
        if self._sensor not in obs:
            raise ConfigError(
                f"{name_of(self._recipe)!r} attacks the {self._sensor}, which this car does not "
                f"have; it has {', '.join(obs)}: name it in the scenario's sensors"
            )
        moment = Moment(frame, float(obs["clock"][1]), None if self._is_switched_off else on_s)
        if self._sensor not in LOOKING or moment.captured_s != self._captured_s:
            self._captured_s = moment.captured_s
            is_asked = moment.on_s is not None or self._is_lingering
            self._made = self._act(obs[self._sensor], moment) if is_asked else None
        # A copy: whoever gets an observation may change it.
        return obs if self._made is None else {**obs, self._sensor: self._made.copy()}

    def set(self, parameters: Floats) -> None:
        """New parameters (n,), clipped to the recipe's box; they show from the next reading on.

        Raises:
            ConfigError: it has no parameters, or these do not fit.
        """
        if self._tune is None:
            raise ConfigError(f"expected an attack with parameters, got {name_of(self._recipe)!r}")
        self._tune(fitted(self._recipe, parameters))

    def switch(self, is_on: bool) -> None:
        """Off whatever its timing says, or back to what that says."""
        self._is_switched_off = not is_on

    def end(self) -> None:
        self._is_over = True


def name_of(recipe: object) -> str:
    """Its kind."""
    return str(getattr(recipe, "kind", type(recipe).__name__))


def timer(recipe: Timed, world: World | None) -> Timer:
    """The clock of a recipe's timing, measured from its surface if it is near that.

    A recipe without a ``timing`` is always on.

    Raises:
        ConfigError: the world has no such surface.
    """
    timing: Timing = getattr(recipe, "timing", Timing())
    if timing.event != "near":
        return Timer(timing)
    return Timer(timing, middle(recipe, world))


def middle(recipe: Timed, world: World | None) -> Floats:
    """(3,) the middle of a recipe's surface [m].

    Raises:
        ConfigError: the world has no such surface.
    """
    if world is None:
        raise ConfigError(f"{name_of(recipe)!r} needs a surface in a world, got no world")
    place: Floats = world.surface(getattr(recipe, "surface", "")).corners_m.mean(0)
    return place


def fitted(recipe: Any, parameters: Floats) -> Floats:
    """(n,) parameters, held within the recipe's ``box``.

    Raises:
        ConfigError: not as many as the box has, or not finite.
    """
    low, high = recipe.box
    if np.shape(parameters) != low.shape:
        few = "1 parameter" if low.size == 1 else f"{low.size} parameters"
        raise ConfigError(f"expected {few} of {name_of(recipe)!r}, got {np.size(parameters)}")
    wanted = np.asarray(parameters, float)
    if np.isnan(wanted).any():
        raise ConfigError(f"expected finite parameters of {name_of(recipe)!r}, got {wanted}")
    held: Floats = wanted.clip(low, high)
    return held


def at_most(name: str, value: float, most: float, whose: str = "") -> None:
    """Refuse more of something than an attack's budget has.

    Raises:
        BudgetError: names the option, what is allowed and to ``whom``.
    """
    if value > most:
        of = f" {whose}" if whose else ""
        raise BudgetError(f"{name} is {value:g}, allowed are at most {most:g}{of}")
