"""Tells a soiled, covered or misted lens by what does not change while the car moves.

The lower part of the picture, where the road is, is looked at in cells. While the car moves, what a
clean lens shows there flows: a cell that hardly changes from picture to picture is covered. A cell
without any contrast is covered or misted, or plain road; too many of them are mist.

Source: ours; that soiling stays while the scene moves is what detectors of it commonly use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number, whole
from simattack.guarding import Watching, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Floats, Observation


@register("defenses", "lens_check")
@dataclass(frozen=True)
class LensCheck:
    """Two shares of cells, each with the limit that is an alarm of 0.5."""

    needs = ("camera", "speed")
    family = Family.DETECTION

    covered: float = 0.025
    """Share of cells that do not change; 1: never."""
    misted: float = 0.6
    """Share of cells without contrast; 1: never."""
    change: float = 1.2
    """Mean change between two pictures, of 255, below which a cell does not change."""
    contrast: float = 0.7
    """Mean step from pixel to pixel, of 255, below which a cell has none."""
    memory: int = 10
    """Pictures over which changes are averaged."""
    moving_mps: float = 2.0
    """Slower than that, the alarm stays as it is."""
    latency_s: float = 0.003

    def __post_init__(self) -> None:
        number("covered", self.covered, 1e-3, 1.0)
        number("misted", self.misted, 1e-3, 1.0)
        number("change", self.change, 0.0, 255.0)
        number("contrast", self.contrast, 0.0, 255.0)
        number("moving_mps", self.moving_mps)
        whole("memory", self.memory, 2)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Watching:
        return Watching(_Check(self).watch)


class _Check:
    """One run."""

    CELL_PX = 20
    TOP = 0.55
    """Where the lower part begins, from the top."""

    def __init__(self, recipe: LensCheck) -> None:
        self._recipe = recipe
        self._captured_s: float | None = None
        self._grey: Floats | None = None
        self._change: Floats | None = None
        """Of each cell, averaged."""
        self._contrast: Floats | None = None
        self._pictures = 0
        self._level = 0.0

    def watch(self, obs: Observation) -> tuple[Observation, Mapping[str, float]]:
        captured_s = float(obs["clock"][1])
        if captured_s != self._captured_s:
            self._captured_s = captured_s
            self._look(obs["camera"], float(obs["speed"][0]) >= self._recipe.moving_mps)
        return obs, {"camera": self._level}

    def _look(self, image: NDArray[Any], is_moving: bool) -> None:
        """Take in a new picture."""
        before, recipe = self._grey, self._recipe
        self._grey = np.asarray(image[int(self.TOP * len(image)) :], np.float32).mean(axis=2)
        if before is None or not is_moving:
            return
        change = self._cells(np.abs(self._grey - before))
        contrast = self._cells(np.abs(np.diff(self._grey, axis=1, append=self._grey[:, -1:])))
        if self._change is None or self._contrast is None:
            self._change, self._contrast = change, contrast
        self._change = self._change + (change - self._change) / recipe.memory
        self._contrast = self._contrast + (contrast - self._contrast) / recipe.memory
        self._pictures += 1
        if self._pictures < recipe.memory:
            return
        level = 0.0
        for values, limit, share in (
            (self._change, recipe.change, recipe.covered),
            (self._contrast, recipe.contrast, recipe.misted),
        ):
            if share < 1:
                level = max(level, float((values < limit).mean()) / share)
        self._level = min(1.0, level / 2)

    def _cells(self, values: NDArray[Any]) -> Floats:
        """(rows, columns) means over whole cells, of a small picture over smaller ones."""
        size = min(self.CELL_PX, *values.shape)
        rows, columns = (length // size for length in values.shape)
        cells = values[: rows * size, : columns * size].reshape(rows, size, columns, size)
        return np.asarray(cells.mean(axis=(1, 3)), np.float64)
