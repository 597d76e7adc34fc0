"""Differential evolution, by the package ``nevergrad``: for few numbers and rough ground.

Source: Storn and Price, Differential Evolution (Journal of Global Optimization 11, 1997).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from simattack.errors import ConfigError
from simattack.optimize.asking import counted, search, seed_of
from simattack.registry import register
from simattack.types import Floats, Objective, Step


@register("optimize", "de")
@dataclass(frozen=True)
class Evolution:
    """Crosses a population's members and lets the better of parent and child live.

    ``optimizer`` may be any other of the package's own names, such as ``OnePlusOne`` or ``NGOpt``.
    """

    queries: int = 2000
    optimizer: str = "TwoPointsDE"

    def __post_init__(self) -> None:
        counted("de", {"queries": self.queries})

    def steps(
        self, objective: Objective, start: Floats, rng: np.random.Generator, state: Any = None
    ) -> Iterator[Step]:
        return search(_Asker(self, start, seed_of(rng)), objective, start, self.queries, state)


class _Asker:
    def __init__(self, recipe: Evolution, start: Floats, seed: int) -> None:
        import nevergrad

        known = nevergrad.optimizers.registry
        if recipe.optimizer not in known:
            raise ConfigError(
                f"expected the name of one of nevergrad's optimizers, got {recipe.optimizer!r}; "
                "such as TwoPointsDE, DE, OnePlusOne, CMA, PSO, NGOpt"
            )
        # A sixth of the box, as the package wants it between bounds.
        self._start = np.asarray(start, float)
        box = nevergrad.p.Array(init=np.asarray(start, float)).set_mutation(sigma=1 / 6)
        box.set_bounds(0.0, 1.0)
        box.random_state.seed(seed)
        self._search = known[recipe.optimizer](box, budget=recipe.queries)
        self._asked: Any = None

    def begin(self, value: float) -> None:
        """The start is a member of the first population."""
        self._search.suggest(self._start)
        self._search.tell(self._search.ask(), value)

    def ask(self) -> Floats:
        self._asked = self._search.ask()
        return np.asarray(self._asked.value, float)[None]

    def tell(self, points: Floats, values: Floats) -> None:
        self._search.tell(self._asked, float(values[0]))
