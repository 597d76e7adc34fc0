"""Stands: a parked car, a cone, somebody who waits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.acting import Acting, Post
from simattack.registry import register
from simattack.types import Frame


@register("cast", "stand")
@dataclass(frozen=True)
class Stand:
    """Stands where it was put."""

    def begin(self, post: Post, rng: np.random.Generator) -> Acting:
        return Standing()


class Standing:
    """One run of it."""

    def act(self, frame: Frame) -> None:
        """Nothing is done."""
