"""Our side: Adam of ``simattack.optimize``, through the twin, or on pictures with a fixed patch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rivals.arena import Arena, Fixed, picture_of
from simattack.guarding import tensor_of
from simattack.optimize.gradient import Adam
from simattack.optimize.objective import Hiding
from simattack.optimize.patch import has_bfloat16
from simattack.types import Floats, Image

BATCH = 8
RATE = {"signs": 0.03, "fixed": 0.2}
"""First step: that of ``simattack optimize``; with nothing that varies, as long as it helps."""
ITERATIONS = {"signs": 300, "fixed": 200}
"""Length of the schedule; a side that has not arrived by then stays where it is."""


class _Unjudged:
    """The race judges, outside the time that counts; a side's own looks would be paid twice."""

    def judge(self, point: Floats) -> tuple[float, dict[str, float]]:
        return 0.0, {}


class _OnSigns(_Unjudged, Hiding):
    pass


@dataclass(eq=False)
class _OnFixed(_Unjudged):
    arena: Fixed

    def __post_init__(self) -> None:
        self.memory = np.zeros(0)
        self._images = tensor_of(self.arena.lesson.images)

    def loss(self, point: Tensor, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        count = len(self._images)
        index = rng.choice(count, min(BATCH, count), False)
        patch = point.reshape(3, self.arena.side_px, self.arena.side_px)
        shown = self.arena.paste(self._images[index], patch)
        targets = [self.arena.lesson.targets[i] for i in index]
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            return self.arena.detector.loss(shown, targets).float().mean(), {}


def objective(arena: Arena) -> Any:
    """What the method follows."""
    if isinstance(arena, Fixed):
        return _OnFixed(arena)
    learnt, held_out = arena.halves
    return _OnSigns(
        learnt, held_out, arena.detector, arena.layout, batch=BATCH, is_bfloat16=has_bfloat16()
    )


class Ours:
    """One run of it; a step is one gradient of a batch."""

    name = "ours"

    def __init__(self, arena: Arena, seed: int) -> None:
        count = 3 * arena.side_px**2
        start = 0.5 + 0.05 * np.random.default_rng([seed, 4]).standard_normal(count)
        length = ITERATIONS[arena.placement]
        method = Adam(iterations=length, rate=RATE[arena.placement], check_every=length)
        rng = np.random.default_rng([seed, 3])
        self._steps = method.steps(objective(arena), start.clip(0, 1), rng)
        self._point, self._side_px = start.clip(0, 1), arena.side_px

    def step(self) -> bool:
        """Whether there was one left."""
        last = next(self._steps, None)
        if last is not None:
            self._point = last.state["point"]
        return last is not None

    def picture(self) -> Image:
        """The patch as it is now."""
        return picture_of(self._point, self._side_px)
