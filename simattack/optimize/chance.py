"""Points at random: what every other method has to beat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from simattack.optimize.asking import counted, search, seed_of
from simattack.registry import register
from simattack.types import Floats, Objective, Step


@register("optimize", "random")
@dataclass(frozen=True)
class Chance:
    """Uniform draws from the box, each by itself."""

    queries: int = 2000

    def __post_init__(self) -> None:
        counted("random", {"queries": self.queries})

    def steps(
        self, objective: Objective, start: Floats, rng: np.random.Generator, state: Any = None
    ) -> Iterator[Step]:
        return search(_Asker(len(start), seed_of(rng)), objective, start, self.queries, state)


class _Asker:
    def __init__(self, count: int, seed: int) -> None:
        self._count, self._rng = count, np.random.default_rng(seed)

    def begin(self, value: float) -> None:
        """It needs no value of where it begins."""

    def ask(self) -> Floats:
        return self._rng.random((1, self._count))

    def tell(self, points: Floats, values: Floats) -> None:
        """It learns nothing."""
