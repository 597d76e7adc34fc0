"""Limited-memory BFGS on random batches.

A plain quasi-Newton method compares gradients of two different batches and learns their noise. Here
both gradients of a pair are of one batch, at the price of a second look an iteration, and a step
is never longer than the rate says, since there is no line search to hold it.

Source: Nocedal and Wright, Numerical Optimization (2nd ed. 2006), algorithm 7.4 (two loops);
Schraudolph, Yu and Guenter, A Stochastic Quasi-Newton Method for Online Convex Optimization
(AISTATS 2007) for the pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simattack.optimize.asking import counted
from simattack.optimize.gradient import Descent, Gradient, Rule
from simattack.registry import register
from simattack.types import Floats

_FLAT = 1e-12
"""A pair with less curvature than this part of its lengths is not remembered."""


@register("optimize", "lbfgs")
@dataclass(frozen=True)
class Lbfgs(Descent):
    """Steps by the curvature that the last pairs of gradients show."""

    iterations: int = 200
    rate: float = 0.03
    """Root mean square of a step at most; falls to a twentieth of it along a cosine."""
    pairs: int = 8
    """Remembered."""

    def __post_init__(self) -> None:
        super().__post_init__()
        counted("lbfgs", {"pairs": self.pairs})

    def rule(self, count: int) -> Rule:
        return _Pairs(count, self.pairs)


class _Pairs:
    def __init__(self, count: int, pairs: int) -> None:
        self._count, self._most = count, pairs
        # Newest last; empty at the start.
        self.arrays = {name: np.zeros((0, count), np.float32) for name in ("moves", "bends")}

    def move(
        self,
        point: Gradient,
        gradient: Gradient,
        again: Callable[[Gradient], Gradient],
        rate: np.float32,
        iteration: int,
    ) -> Gradient:
        way = self._direction(gradient.astype(float))
        size = float(np.sqrt(np.square(way).mean()))
        if size == 0:
            return point
        longest = float(rate)
        # Before any pair is known a gradient's length means nothing: as long as allowed.
        scale = longest / size if not len(self.arrays["moves"]) else min(1.0, longest / size)
        there = np.clip(point + (scale * way).astype(np.float32), 0, 1)
        moved, bent = there - point, again(there) - gradient
        curved = float(moved.astype(float) @ bent.astype(float))
        if curved > _FLAT * float(np.linalg.norm(moved)) * float(np.linalg.norm(bent)):
            for name, new in (("moves", moved), ("bends", bent)):
                self.arrays[name] = np.concatenate([self.arrays[name], new[None]])[-self._most :]
        return there

    def _direction(self, gradient: Floats) -> Floats:
        moves, bends = (self.arrays[name].astype(float) for name in ("moves", "bends"))
        left, parts = gradient.copy(), []
        inverse = [1.0 / float(move @ bend) for move, bend in zip(moves, bends, strict=True)]
        for k in reversed(range(len(moves))):
            part = inverse[k] * float(moves[k] @ left)
            left -= part * bends[k]
            parts.append(part)
        if len(moves):
            left *= float(moves[-1] @ bends[-1]) / float(bends[-1] @ bends[-1])
        for k, part in enumerate(reversed(parts)):
            left += moves[k] * (part - inverse[k] * float(bends[k] @ left))
        return -left
