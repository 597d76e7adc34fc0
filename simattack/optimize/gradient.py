"""Adam on a vector in the unit box.

Source: Kingma and Ba: Adam, a method for stochastic optimization, ICLR 2015, algorithm 1.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from simattack.types import Floats, Step

if TYPE_CHECKING:
    from torch import Tensor

_BETAS = (0.9, 0.99)
_EPSILON = 1e-8


class DifferentiableObjective(Protocol):
    """What a gradient optimiser needs: a loss to follow and a value to choose by."""

    memory: Floats
    """What the objective has learnt so far; part of the state a run resumes from."""

    def loss(self, point: Tensor, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]: ...

    def judge(self, point: Floats) -> tuple[float, Mapping[str, float]]: ...


@dataclass(frozen=True)
class Adam:
    """Minimises ``objective.loss`` by its gradient; keeps the best by ``objective.judge``."""

    iterations: int = 400
    rate: float = 0.03
    """At the start; falls to a twentieth of it along a cosine."""
    check_every: int = 20
    """Iterations between two looks at the held-out value."""

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.check_every < 1 or self.rate <= 0:
            raise ValueError(
                "iterations and check_every must be at least 1 and rate above 0, got "
                f"{self.iterations}, {self.check_every}, {self.rate}"
            )

    def steps(
        self,
        objective: DifferentiableObjective,
        start: Floats,
        rng: np.random.Generator,
        state: Any = None,
    ) -> Iterator[Step]:
        """One step an iteration; ``point`` is the best so far, ``value`` its held-out value.

        ``state`` of a step, given again with the same recipe and objective, goes on from there
        exactly as if the run had not ended.
        """
        import torch

        if state is None:
            point = np.asarray(start, np.float32).copy()
            first, second = np.zeros_like(point), np.zeros_like(point)
            done, best, value = 0, point.copy(), objective.judge(point.astype(float))[0]
        else:
            point, first, second, best = (
                np.array(state[name], np.float32) for name in ("point", "first", "second", "best")
            )
            done, value = int(state["iteration"]), float(state["value"])
            rng.bit_generator.state = state["rng"]
            objective.memory[:] = state["memory"]
        for iteration in range(done + 1, self.iterations + 1):
            leaf = torch.from_numpy(point.copy()).requires_grad_(True)
            with repeatable():
                loss, scalars = objective.loss(leaf, rng)
                (slope,) = torch.autograd.grad(loss, leaf)
            gradient = np.asarray(slope.numpy(), np.float32)
            first += (1 - _BETAS[0]) * (gradient - first)
            second += (1 - _BETAS[1]) * (gradient**2 - second)
            mean = first / (1 - _BETAS[0] ** iteration)
            spread = np.sqrt(second / (1 - _BETAS[1] ** iteration))
            rate = self.rate * (0.05 + 0.475 * (1 + np.cos(np.pi * iteration / self.iterations)))
            point = np.clip(point - np.float32(rate) * mean / (spread + _EPSILON), 0, 1)
            point = point.astype(np.float32)
            scalars = {"loss": float(loss.detach()), "rate": float(rate), **scalars}
            if iteration % self.check_every == 0 or iteration == self.iterations:
                candidate, report = objective.judge(point.astype(float))
                if candidate < value:
                    value, best = candidate, point.copy()
                scalars = {**scalars, **report, "held_out": candidate}
            yield Step(
                iteration,
                best.astype(float),
                value,
                {
                    "iteration": iteration,
                    "point": point,
                    "first": first,
                    "second": second,
                    "best": best,
                    "value": value,
                    "rng": rng.bit_generator.state,
                    "memory": objective.memory.copy(),
                },
                scalars,
            )


@contextmanager
def repeatable() -> Iterator[None]:
    """The same gradient each time on a GPU, too, whose sums else add up in any order.

    Without a GPU it changes nothing: the CPU repeats itself, and by its faster kernels.
    """
    import torch

    if not torch.cuda.is_available():
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    with warnings.catch_warnings():
        # An operation that knows no repeatable way goes on as it is.
        warnings.filterwarnings("ignore", message=".*does not have a deterministic.*")
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
