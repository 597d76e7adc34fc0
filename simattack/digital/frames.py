"""Recorded pictures to change, and the contract of what changes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from simattack.errors import BudgetError
from simattack.guarding import arrays_of
from simattack.optimize.runs import Report
from simattack.taxonomy import ThreatModel
from simattack.twin import Twin
from simattack.types import Detections, Image

if TYPE_CHECKING:
    pass

NORMS = ("linf", "l0")
"""``linf``: the largest change of any channel counts; ``l0``: the number of changed pixels."""
_BATCH = 8


@dataclass(frozen=True, eq=False)
class Frames:
    """Pictures (N, S, S, 3) of a target, with one set of targets each.

    Cut from what the car's camera saw, at its own scale, in 8 bits, with nothing stuck on.
    """

    images: Image
    targets: tuple[Detections, ...]

    @classmethod
    def of(cls, twin: Twin) -> Frames:
        """The views of a twin, where its surface shows its own texture."""
        import torch

        nothing = torch.zeros(4, 1, 1)  # a sticker of which no cell is printed
        with torch.no_grad():
            shown = [
                twin.render(nothing, torch.from_numpy(part))
                for part in np.array_split(np.arange(len(twin)), -(-len(twin) // _BATCH))
            ]
        return cls(arrays_of(torch.cat(shown)), tuple(twin.target(i) for i in range(len(twin))))

    def __len__(self) -> int:
        return len(self.targets)

    def __iter__(self) -> Iterator[tuple[Image, Detections]]:
        return iter(zip(self.images, self.targets, strict=True))

    def first(self, count: int) -> Frames:
        """At most so many of them."""
        return Frames(self.images[:count], self.targets[:count])


@dataclass(frozen=True, eq=False)
class Changed:
    """What became of one picture, and what it took."""

    image: Image
    """(S, S, 3)"""
    gradients: int = 0
    """Looks at the network with a gradient."""
    queries: int = 0
    """Looks at its scores alone."""


class Changing(Protocol):
    """A digital attack that has learnt what it learns beforehand."""

    lesson_gradients: int
    """Looks at the network with a gradient that it learnt by, each of one picture."""

    def change(self, image: Image, target: Detections, rng: np.random.Generator) -> Changed: ...

    def noise(self, image: Image, target: Detections, rng: np.random.Generator) -> Image:
        """The control: changed at random, by as much as the norm allows."""
        ...


class Digital(Protocol):
    """A digital attack's recipe, a frozen dataclass in the room ``digital``."""

    threat: ThreatModel
    """``is_physical`` is False."""
    norm: str
    """One of ``NORMS``."""
    epsilon: int
    """Most that a channel may change, of 255."""

    @property
    def pixels(self) -> int:
        """Most pixels that may change in a picture; 0 for all."""
        ...

    def begin(
        self,
        lesson: Frames,
        detector: Any,
        rng: np.random.Generator,
        folder: Path,
        report: Report | None = None,
    ) -> Changing:
        """Learn what is the same for all pictures, from other ones than those to be changed."""
        ...


def check(recipe: Digital, before: Image, after: Image) -> None:
    """Hold a changed picture against its recipe's norm.

    Raises:
        BudgetError: it changes more than that.
    """
    away = np.abs(after.astype(int) - before.astype(int))
    touched = int(away.any(2).sum())
    if away.max(initial=0) > recipe.epsilon or (recipe.pixels and touched > recipe.pixels):
        limit = f" in {recipe.pixels} pixels" if recipe.pixels else ""
        raise BudgetError(
            f"{getattr(recipe, 'kind', recipe)} may change a channel by {recipe.epsilon} of 255"
            f"{limit}; it changed {touched} pixels by up to {away.max()}"
        )
