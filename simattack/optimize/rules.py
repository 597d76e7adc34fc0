"""Gradient methods of one line each: by sign, with momentum, by the root mean square."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from simattack.checks import number
from simattack.optimize.gradient import DifferentiableObjective, Gradient, check, descend
from simattack.registry import register
from simattack.types import Floats, Step

_EPSILON = 1e-12


@register("optimize", "pgd")
@dataclass(frozen=True)
class Pgd:
    """The same step in every direction, by the gradient's sign, back into the box.

    Source: Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks (ICLR
    2018), section 2.1.
    """

    iterations: int = 400
    rate: float = 0.02
    """At the start; falls to a twentieth of it along a cosine."""
    check_every: int = 20
    """Iterations between two looks at the held-out value."""

    def __post_init__(self) -> None:
        check(self)

    def steps(
        self,
        objective: DifferentiableObjective,
        start: Floats,
        rng: np.random.Generator,
        state: Any = None,
    ) -> Iterator[Step]:
        return descend(self, _Sign(), objective, start, rng, state)


class _Sign:
    def __init__(self) -> None:
        self.arrays: dict[str, Gradient] = {}

    def move(
        self,
        point: Gradient,
        gradient: Gradient,
        again: Callable[[Gradient], Gradient],
        rate: np.float32,
        iteration: int,
    ) -> Gradient:
        return np.asarray(point - rate * np.sign(gradient), np.float32)


@register("optimize", "momentum")
@dataclass(frozen=True)
class Momentum:
    """The sign of a sum of gradients, each over its own mean size.

    Source: Dong et al., Boosting Adversarial Attacks with Momentum (CVPR 2018), algorithm 1.
    """

    iterations: int = 400
    rate: float = 0.02
    """At the start; falls to a twentieth of it along a cosine."""
    check_every: int = 20
    """Iterations between two looks at the held-out value."""
    decay: float = 0.9
    """Of the sum, an iteration."""

    def __post_init__(self) -> None:
        check(self)
        number("decay", self.decay, 0.0, 1.0)

    def steps(
        self,
        objective: DifferentiableObjective,
        start: Floats,
        rng: np.random.Generator,
        state: Any = None,
    ) -> Iterator[Step]:
        return descend(self, _Sum(len(start), self.decay), objective, start, rng, state)


class _Sum:
    def __init__(self, count: int, decay: float) -> None:
        self.arrays = {"sum": np.zeros(count, np.float32)}
        self._decay = np.float32(decay)

    def move(
        self,
        point: Gradient,
        gradient: Gradient,
        again: Callable[[Gradient], Gradient],
        rate: np.float32,
        iteration: int,
    ) -> Gradient:
        size = np.float32(np.abs(gradient).mean() + _EPSILON)
        self.arrays["sum"] = self._decay * self.arrays["sum"] + gradient / size
        return np.asarray(point - rate * np.sign(self.arrays["sum"]), np.float32)


@register("optimize", "rms")
@dataclass(frozen=True)
class RmsGradient:
    """The gradient over its own root mean square: large slopes move more than small ones.

    Steps are ``rate`` long on the average of all directions.
    """

    iterations: int = 400
    rate: float = 0.02
    """At the start; falls to a twentieth of it along a cosine."""
    check_every: int = 20
    """Iterations between two looks at the held-out value."""

    def __post_init__(self) -> None:
        check(self)

    def steps(
        self,
        objective: DifferentiableObjective,
        start: Floats,
        rng: np.random.Generator,
        state: Any = None,
    ) -> Iterator[Step]:
        return descend(self, _Scaled(), objective, start, rng, state)


class _Scaled:
    def __init__(self) -> None:
        self.arrays: dict[str, Gradient] = {}

    def move(
        self,
        point: Gradient,
        gradient: Gradient,
        again: Callable[[Gradient], Gradient],
        rate: np.float32,
        iteration: int,
    ) -> Gradient:
        size = np.float32(np.sqrt(np.square(gradient).mean()) + _EPSILON)
        return np.asarray(point - rate * gradient / size, np.float32)
