"""Going down a gradient in the unit box: the loop that all methods share, and Adam.

The other rules are in ``rules.py`` and ``lbfgs.py``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simattack.registry import register
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


Gradient = NDArray[np.float32]


class Rule(Protocol):
    """How one gradient becomes a step; what it remembers is in ``arrays``, so that runs resume."""

    arrays: dict[str, Gradient]

    def move(
        self,
        point: Gradient,
        gradient: Gradient,
        again: Callable[[Gradient], Gradient],
        rate: np.float32,
        iteration: int,
    ) -> Gradient:
        """The next point, before it is clipped to the box.

        Args:
            point: where the gradient was taken.
            gradient: of the loss there, on a random batch.
            again: the gradient elsewhere, on the very same batch.
            rate: how far to go, in the unit box.
            iteration: counted from 1.
        """
        ...


@dataclass(frozen=True)
class Descent:
    """What all gradient methods have in common; each says its ``rule`` and, if need be, its rate.

    Raises:
        ValueError: at construction: the options make no run.
    """

    iterations: int = 400
    rate: float = 0.02
    """At the start; falls to a twentieth of it along a cosine."""
    check_every: int = 20
    """Iterations between two looks at the held-out value."""

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.check_every < 1 or self.rate <= 0:
            raise ValueError(
                "iterations and check_every must be at least 1 and rate above 0, got "
                f"{self.iterations}, {self.check_every}, {self.rate}"
            )

    def rule(self, count: int) -> Rule:
        """A fresh rule for a vector of so many numbers."""
        raise NotImplementedError

    def steps(
        self,
        objective: DifferentiableObjective,
        start: Floats,
        rng: np.random.Generator,
        state: Any = None,
    ) -> Iterator[Step]:
        return descend(self, self.rule(len(start)), objective, start, rng, state)


@register("optimize", "adam")
@dataclass(frozen=True)
class Adam(Descent):
    """Steps by the mean gradient over its own size; keeps the best by ``objective.judge``.

    Source: Kingma and Ba: Adam, a method for stochastic optimization, ICLR 2015, algorithm 1.
    """

    rate: float = 0.03

    def rule(self, count: int) -> Rule:
        return _Moments(count)


class _Moments:
    def __init__(self, count: int) -> None:
        self.arrays = {name: np.zeros(count, np.float32) for name in ("first", "second")}

    def move(
        self,
        point: Gradient,
        gradient: Gradient,
        again: Callable[[Gradient], Gradient],
        rate: np.float32,
        iteration: int,
    ) -> Gradient:
        first, second = self.arrays["first"], self.arrays["second"]
        first += (1 - _BETAS[0]) * (gradient - first)
        second += (1 - _BETAS[1]) * (gradient**2 - second)
        mean = first / (1 - _BETAS[0] ** iteration)
        spread = np.sqrt(second / (1 - _BETAS[1] ** iteration))
        return np.asarray(point - rate * mean / (spread + _EPSILON), np.float32)


def descend(
    recipe: Descent,
    rule: Rule,
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
        done, best, value = 0, point.copy(), objective.judge(point.astype(float))[0]
    else:
        point, best = (np.array(state[name], np.float32) for name in ("point", "best"))
        rule.arrays = {name: np.array(state[name], np.float32) for name in rule.arrays}
        done, value = int(state["iteration"]), float(state["value"])
        rng.bit_generator.state = state["rng"]
        objective.memory[:] = state["memory"]

    def slope(at: Gradient) -> tuple[Gradient, float, dict[str, float]]:
        leaf = torch.from_numpy(at.copy()).requires_grad_(True)
        with repeatable():
            loss, scalars = objective.loss(leaf, rng)
            (found,) = torch.autograd.grad(loss, leaf)
        return np.asarray(found.numpy(), np.float32), float(loss.detach()), scalars

    for iteration in range(done + 1, recipe.iterations + 1):
        drawn, known = rng.bit_generator.state, objective.memory.copy()
        gradient, loss, scalars = slope(point)

        def again(at: Gradient, drawn: Any = drawn, known: Floats = known) -> Gradient:
            after, learnt = rng.bit_generator.state, objective.memory.copy()
            rng.bit_generator.state, objective.memory[:] = drawn, known
            try:
                return slope(at)[0]
            finally:
                rng.bit_generator.state, objective.memory[:] = after, learnt

        rate = recipe.rate * (0.05 + 0.475 * (1 + np.cos(np.pi * iteration / recipe.iterations)))
        moved = rule.move(point, gradient, again, np.float32(rate), iteration)
        point = np.clip(moved, 0, 1).astype(np.float32)
        scalars = {"loss": loss, "rate": float(rate), **scalars}
        if iteration % recipe.check_every == 0 or iteration == recipe.iterations:
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
                **{name: array.copy() for name, array in rule.arrays.items()},
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
