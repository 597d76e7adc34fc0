"""Random search by squares of one colour: the strongest simple search for a printed picture.

Source: Andriushchenko et al., Square Attack (ECCV 2020), algorithms 1 and 2 (squares that shrink,
with colours at the corners of the box); Croce et al., Sparse-RS (AAAI 2022), for pictures of a
patch. The schedule is our own: the paper's, for pictures of 224 pixels a side, would leave a print
of a dozen cells nothing but single cells after a tenth of the queries, and those find less.
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

_SIDES = ((0.05, 1.0), (0.15, 2 / 3), (0.35, 1 / 2), (0.75, 1 / 3), (np.inf, 1 / 6))
"""Up to which part of the budget squares have which share of the first ones' side."""


@register("optimize", "square")
@dataclass(frozen=True)
class Square:
    """Changes one square at a time, and keeps the change if it helped.

    Of a vector that is no picture it changes a run of neighbouring numbers instead.
    """

    queries: int = 10_000
    part: float = 0.3
    """Of the picture's area that the first squares take."""
    shape: tuple[int, int] | None = None
    """Rows and columns, of three colours each; None for a vector."""
    has_planes: bool = True
    """Whether the vector is one colour after the other, or each cell's three together."""

    def __post_init__(self) -> None:
        counted("square", {"queries": self.queries})
        number("part", self.part, 1e-4, 1.0)
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(self.shape))

    def steps(
        self, objective: Objective, start: Floats, rng: np.random.Generator, state: Any = None
    ) -> Iterator[Step]:
        if self.shape is not None and np.size(start) != 3 * np.prod(self.shape):
            raise ValueError(
                f"square: shape {self.shape} needs {3 * np.prod(self.shape)} numbers, "
                f"got {np.size(start)}"
            )
        return search(_Asker(self, start, seed_of(rng)), objective, start, self.queries, state)


class _Asker:
    def __init__(self, recipe: Square, start: Floats, seed: int) -> None:
        self._recipe = recipe
        self._rng = np.random.default_rng(seed)
        self._best, self._value = np.array(start, float), np.inf
        self._asked = 1  # the start

    def begin(self, value: float) -> None:
        """What follows has to be better than the start."""
        self._value = value

    def ask(self) -> Floats:
        shape = self._recipe.shape
        if self._asked == 1:
            # Stripes of the box's corners, as the paper begins.
            point = self._stripes()
        elif shape is None:
            point = self._best.copy()
            length = max(1, round(self._part() * len(point)))
            at = int(self._rng.integers(len(point) - length + 1))
            point[at : at + length] = self._rng.integers(0, 2, length)
            if length == 1:  # the corners alone would leave the inside of the box unseen
                point[at] = self._rng.random()
        else:
            picture = self._picture().copy()
            side = np.sqrt(self._part() * shape[0] * shape[1])
            tall, wide = (int(np.clip(round(side), 1, limit)) for limit in shape)
            top, left = (
                int(self._rng.integers(limit - size + 1))
                for limit, size in zip(shape, (tall, wide), strict=True)
            )
            picture[top : top + tall, left : left + wide] = self._rng.integers(0, 2, 3)
            point = self._vector(picture)
        self._asked += 1
        return np.asarray(point, float)[None]

    def tell(self, points: Floats, values: Floats) -> None:
        if values[0] < self._value:
            self._best, self._value = np.array(points[0]), float(values[0])

    def _part(self) -> float:
        """Of the area that a square takes now."""
        done = self._asked / self._recipe.queries
        share = next(share for until, share in _SIDES if done <= until)
        return self._recipe.part * share**2

    def _stripes(self) -> Floats:
        shape = self._recipe.shape
        if shape is None:
            return np.asarray(self._rng.integers(0, 2, len(self._best)), float)
        stripes = self._rng.integers(0, 2, (1, shape[1], 3)).astype(float)
        return self._vector(np.broadcast_to(stripes, (*shape, 3)))

    def _picture(self) -> Floats:
        """(rows, columns, 3) the best so far."""
        assert self._recipe.shape is not None
        if self._recipe.has_planes:
            return self._best.reshape(3, *self._recipe.shape).transpose(1, 2, 0)
        return self._best.reshape(*self._recipe.shape, 3)

    def _vector(self, picture: Floats) -> Floats:
        return (picture.transpose(2, 0, 1) if self._recipe.has_planes else picture).ravel()
