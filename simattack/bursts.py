"""What an adversary tries before it has learned anything: bursts.

An attack that has little energy does harm by a burst at the right moment. Actions that are drawn
anew every control interval spend everything at once and cancel each other out, so that nothing is
seen to pay. A burst waits, and then holds one action until all energy is gone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simattack.types import Floats

BEGINS = 1 / 12
"""Chance of a burst in a control interval without one: after 6 s, as a rule, of intervals of half a
second."""
ENDS = 1 / 24
"""Chance that one ends in an interval."""


class Bursts:
    """Actions (workers, n) in -1..1, interval after interval.

    Args:
        idle: (n,) the action that does nothing.
        workers: each with bursts of its own.
        seed: of all draws.
    """

    def __init__(self, idle: Floats, workers: int, seed: Any) -> None:
        self._idle = np.asarray(idle, np.float32)
        self._rng = np.random.default_rng(seed)
        self._held: list[Floats | None] = [None] * workers

    def next(self) -> Floats:
        """The actions of the next interval."""
        for k, held in enumerate(self._held):
            if self._rng.random() < (BEGINS if held is None else ENDS):
                begins = held is None
                drawn = self._rng.uniform(-1.0, 1.0, len(self._idle)).astype(np.float32)
                self._held[k] = drawn if begins else None
        return np.stack([self._idle if held is None else held for held in self._held])
