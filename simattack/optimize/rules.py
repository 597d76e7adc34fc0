"""Gradient methods of one line each: by sign, with momentum, by the root mean square."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simattack.checks import number
from simattack.optimize.gradient import Descent, Gradient, Rule
from simattack.registry import register

_EPSILON = 1e-12


@register("optimize", "pgd")
@dataclass(frozen=True)
class Pgd(Descent):
    """The same step in every direction, by the gradient's sign, back into the box.

    Source: Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks (ICLR
    2018), section 2.1.
    """

    def rule(self, count: int) -> Rule:
        return _Sign()


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
class Momentum(Descent):
    """The sign of a sum of gradients, each over its own mean size.

    Source: Dong et al., Boosting Adversarial Attacks with Momentum (CVPR 2018), algorithm 1.
    """

    decay: float = 0.9
    """Of the sum, an iteration."""

    def __post_init__(self) -> None:
        super().__post_init__()
        number("decay", self.decay, 0.0, 1.0)

    def rule(self, count: int) -> Rule:
        return _Sum(count, self.decay)


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
class RmsGradient(Descent):
    """The gradient over its own root mean square: large slopes move more than small ones.

    Steps are ``rate`` long on the average of all directions.
    """

    def rule(self, count: int) -> Rule:
        return _Scaled()


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
