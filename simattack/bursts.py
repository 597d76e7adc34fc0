"""What an adversary tries before it has learned anything: bursts.

An attack that has little energy does harm by a burst at the right moment. Actions that are drawn
anew every control interval spend everything at once and cancel each other out, so that nothing is
seen to pay. A burst waits, and then holds one action for many intervals. It knows nothing of drives
and of energy: one that is on when a drive ends is on when the next one begins, and one that lasts
longer than the energy does nothing for the rest of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simattack.adversary import Levers
from simattack.types import Floats

BEGINS = 1 / 12
"""Chance of a burst in a control interval without one: after 6 s, as a rule, of intervals of half a
second."""
ENDS = 1 / 24
"""Chance that one ends in an interval."""


_AT_ENDS = 2 / 3
"""Chance of a parameter to be at one end of its box; else it is drawn from all of it."""
_LEAST_POWER = 0.5
_DRAWS = 100


class Bursts:
    """Actions (workers, n) in -1..1, interval after interval.

    Args:
        levers: of the attack.
        workers: each with bursts of its own.
        seed: of all draws.
    """

    def __init__(self, levers: Levers, workers: int, seed: Any) -> None:
        self._levers = levers
        self._idle = levers.action(levers.idle).astype(np.float32)
        self._rng = np.random.default_rng(seed)
        self._held: list[Floats | None] = [None] * workers

    def next(self) -> Floats:
        """The actions of the next interval."""
        for k, held in enumerate(self._held):
            if self._rng.random() < (BEGINS if held is None else ENDS):
                self._held[k] = self._drawn() if held is None else None
        return np.stack([self._idle if held is None else held for held in self._held])

    def _drawn(self) -> Floats:
        """Of half the power at least, if the attack has powers."""
        count = len(self._levers)
        for _ in range(_DRAWS):
            ends = self._rng.choice([-1.0, 1.0], count)
            somewhere = self._rng.uniform(-1.0, 1.0, count)
            drawn = np.where(self._rng.random(count) < _AT_ENDS, ends, somewhere)
            if self._levers.power(self._levers.parameters(drawn)) >= _LEAST_POWER:
                break
        return drawn.astype(np.float32)
