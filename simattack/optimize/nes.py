"""Natural evolution strategies: a gradient felt for with pairs of random steps.

Source: Ilyas et al., Black-box Adversarial Attacks with Limited Queries and Information (ICML
2018), section 2.1 (antithetic samples), with the steps of Adam.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from simattack.checks import number
from simattack.optimize.asking import counted, search, seed_of
from simattack.registry import register
from simattack.types import Floats, Objective, Step

_BETAS = (0.9, 0.99)
_EPSILON = 1e-12


@register("optimize", "nes")
@dataclass(frozen=True)
class Nes:
    """Looks at pairs of points on both sides of where it is, and goes down what they show."""

    queries: int = 10_000
    pairs: int = 10
    """Of points for one step."""
    reach: float = 0.1
    """Standard deviation of the points from where it is."""
    rate: float = 0.03
    """Length of a step in every direction."""

    def __post_init__(self) -> None:
        counted("nes", {"queries": self.queries, "pairs": self.pairs})
        number("reach", self.reach, 1e-6, 1.0)
        number("rate", self.rate, 1e-6, 1.0)

    def steps(
        self, objective: Objective, start: Floats, rng: np.random.Generator, state: Any = None
    ) -> Iterator[Step]:
        return search(_Asker(self, start, seed_of(rng)), objective, start, self.queries, state)


class _Asker:
    def __init__(self, recipe: Nes, start: Floats, seed: int) -> None:
        self._recipe = recipe
        self._rng = np.random.default_rng(seed)
        self._here = np.array(start, float)
        self._first, self._second = np.zeros_like(self._here), np.zeros_like(self._here)
        self._away = np.zeros((0, len(self._here)))
        self._count = 0

    def begin(self, value: float) -> None:
        """It needs no value of where it begins."""

    def ask(self) -> Floats:
        self._away = self._rng.standard_normal((self._recipe.pairs, len(self._here)))
        steps = self._recipe.reach * self._away
        return np.asarray(np.concatenate([self._here + steps, self._here - steps]).clip(0, 1))

    def tell(self, points: Floats, values: Floats) -> None:
        plus, minus = np.split(values, 2)
        slope = (plus - minus) @ self._away / (2 * self._recipe.pairs * self._recipe.reach)
        self._count += 1
        self._first += (1 - _BETAS[0]) * (slope - self._first)
        self._second += (1 - _BETAS[1]) * (slope**2 - self._second)
        mean = self._first / (1 - _BETAS[0] ** self._count)
        size = np.sqrt(self._second / (1 - _BETAS[1] ** self._count))
        self._here = (self._here - self._recipe.rate * mean / (size + _EPSILON)).clip(0, 1)
