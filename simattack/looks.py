"""One episode of an attack on LiDAR or radar: when it acts, on which look, and that it ends.

They look every 0.1 s and repeat their newest data in between: each look is tampered with once, and
what came of it is repeated, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simattack.errors import ConfigError
from simattack.shutter import Capture
from simattack.timing import Timer, Timing
from simattack.types import Floats, Frame, Observation, World


@dataclass(frozen=True)
class Moment:
    """When an attack acts, and the truth there, which the adversary may use."""

    frame: Frame
    on_s: float
    """Since the attack last went on."""


class Tunable(Protocol):
    """The recipe of an attack that has a time and parameters."""

    @property
    def timing(self) -> Timing: ...
    @property
    def surface(self) -> str: ...
    @property
    def box(self) -> tuple[Floats, Floats]: ...


class Looks:
    """The looks of one sensor under attack; a car without that sensor has nothing to attack.

    Args:
        recipe: the attack.
        world: what it stands in.
        sensor: the observation's key.
        act: what it makes of a look, which it may not write to; None leaves it as it is.
        tune: takes new parameters (n,), which are in the recipe's ``box``.

    Raises:
        ConfigError: the timing is ``near`` a surface that the world does not have.
    """

    def __init__(
        self,
        recipe: Tunable,
        world: World,
        sensor: str,
        act: Callable[[NDArray[Any], Moment], NDArray[Any] | None],
        tune: Callable[[Floats], None],
    ) -> None:
        self._recipe, self._sensor = recipe, sensor
        self._act, self._tune = act, tune
        is_near = recipe.timing.event == "near"
        place = world.surface(recipe.surface).corners_m.mean(0) if is_near else None
        self._timer = Timer(recipe.timing, place)
        self._capture = Capture(sensor)
        self._is_over = False

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        """The sensor's data under attack; the other sensors as they are."""
        if self._is_over or self._sensor not in obs:
            return obs
        on_s = self._timer.elapsed_s(frame)
        return self._capture.tell(
            obs, lambda data: None if on_s is None else self._act(data, Moment(frame, on_s))
        )

    def set(self, parameters: Floats) -> None:
        """New parameters (n,), held within the recipe's box; they show from the next look on.

        Raises:
            ConfigError: not as many as the box has, or one is no number.
        """
        low, high = self._recipe.box
        wanted = np.asarray(parameters, float)
        if wanted.shape != low.shape or np.isnan(wanted).any():
            kind = getattr(self._recipe, "kind", "this attack")
            raise ConfigError(f"expected {low.size} numbers for {kind!r}, got {wanted}")
        self._tune(wanted.clip(low, high))

    def end(self) -> None:
        self._is_over = True
