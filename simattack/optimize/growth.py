"""The harm of a drive while it goes on: what an adversary earns from one moment to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simattack.metrics import lane, safety
from simattack.metrics.episode import measure
from simattack.optimize.drives import Metrics, harm
from simattack.types import EpisodeTruth, Tick

Rule = Callable[[Sequence[Tick], EpisodeTruth], Metrics]
_NEWEST: tuple[tuple[tuple[str, ...], Rule, int], ...] = (
    (("lane", "road"), lane.measure, 0),
    (("collision", "ttc"), safety.measure, 8),
)
"""Parts of a metric's name, what tells its harm by the newest ticks alone, being a maximum, and how
many older ticks it looks at again: a collision is told some ticks late."""


class Growth:
    """The harm of one drive so far; it never shrinks before the end.

    Args:
        unsafe: the scenario's own metric.
    """

    def __init__(self, unsafe: str) -> None:
        self._unsafe = unsafe
        self._rule = next(
            (entry for entry in _NEWEST if any(name in unsafe for name in entry[0])), None
        )
        self._looked = 0
        self.harm = 0.0

    def grown(self, ticks: Sequence[Tick], truth: EpisodeTruth) -> float:
        """By how much, since it was last asked; ``ticks`` are all so far."""
        if self._rule is None:
            now = harm(measure(ticks, truth), self._unsafe)
        else:
            _, rule, again = self._rule
            now = harm(rule(ticks[max(self._looked - again, 0) :], truth), self._unsafe)
        self._looked = len(ticks)
        grown = max(now - self.harm, 0.0)
        self.harm += grown
        return grown

    def last(self, harm_of_all: float) -> float:
        """What is missing, for better or worse, to the harm of the whole drive."""
        missing = harm_of_all - self.harm
        self.harm = harm_of_all
        return missing
