"""What an optimiser is: an objective to make small, and the steps it takes.

``types`` names all of this as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from simattack.types import Floats


class Objective(Protocol):
    """What an optimiser minimises; a point is the attack's flat parameter vector."""

    def __call__(self, point: Floats) -> float: ...


@dataclass(frozen=True, eq=False)
class Step:
    """One iteration of an optimiser; ``state`` is picklable, so a run resumes from it."""

    iteration: int
    point: Floats
    value: float
    state: Any
    scalars: Mapping[str, float] = field(default_factory=dict)


class Optimizer(Protocol):
    """Minimises an objective, one step an iteration."""

    def steps(
        self, objective: Any, start: Floats, rng: np.random.Generator, state: Any = None
    ) -> Iterator[Step]: ...
