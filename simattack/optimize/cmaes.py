"""Covariance matrix adaptation, by the package ``cma``: the first choice up to some 200 numbers.

Source: Hansen, The CMA Evolution Strategy: A Tutorial, arXiv 1604.00772.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from simattack.checks import number
from simattack.optimize.asking import counted, search, seed_of
from simattack.registry import register
from simattack.types import Floats, Objective, Step


@register("optimize", "cma")
@dataclass(frozen=True)
class CmaEs:
    """Samples a normal distribution and bends it towards what worked."""

    queries: int = 2000
    spread: float = 0.3
    """Standard deviation at the start, of the unit box."""
    population: int | None = None
    """Points a generation; None for the package's own 4 + 3 ln n."""

    def __post_init__(self) -> None:
        counted("cma", {"queries": self.queries, "population": self.population or 1})
        number("spread", self.spread, 1e-6, 1.0)

    def steps(
        self, objective: Objective, start: Floats, rng: np.random.Generator, state: Any = None
    ) -> Iterator[Step]:
        return search(_Asker(self, start, seed_of(rng)), objective, start, self.queries, state)


class _Asker:
    def __init__(self, recipe: CmaEs, start: Floats, seed: int) -> None:
        import cma

        options: dict[str, Any] = {"bounds": [0.0, 1.0], "seed": seed, "verbose": -9}
        # A search ends by its queries alone.
        options |= {"tolfun": 0, "tolfunhist": 0, "tolx": 0, "tolflatfitness": 10**9}
        if recipe.population is not None:
            options["popsize"] = recipe.population
        # Above some hundred numbers a full covariance costs more than it brings.
        options["CMA_diagonal"] = len(start) > 100
        with contextlib.redirect_stdout(io.StringIO()):
            self._strategy = cma.CMAEvolutionStrategy(
                np.clip(start, 0.01, 0.99), recipe.spread, options
            )

    def begin(self, value: float) -> None:
        """It needs no value of where it begins."""

    def ask(self) -> Floats:
        return np.array(self._strategy.ask(), float)

    def tell(self, points: Floats, values: Floats) -> None:
        self._strategy.tell(list(points), list(values))
