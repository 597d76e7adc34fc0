"""Drives ahead and brakes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.acting import Acting, Cue, Follower, Post, Span, settle
from simattack.registry import register
from simattack.types import Frame

HARDEST_MPS2 = 10.0
"""No tyre of a street car holds more on a dry road."""


@register("cast", "brake")
@dataclass(frozen=True)
class Brake:
    """Drives along its lane at a speed and brakes at a cue, down to another speed, for good."""

    speed_mps: Span = Span(8.0, 8.0)
    braking_mps2: Span = Span(6.0, 6.0)
    to_mps: float = 0.0
    when: Cue = Cue(after_s=Span(3.0, 3.0))

    is_on_lane = True

    def __post_init__(self) -> None:
        settle(self)
        if not 0 <= self.to_mps <= self.speed_mps[0]:
            raise ValueError(
                f"to_mps must be 0 to speed_mps ({self.speed_mps[0]:g}), got {self.to_mps:g}"
            )
        if not 0 < self.braking_mps2[0] <= self.braking_mps2[1] <= HARDEST_MPS2:
            raise ValueError(
                f"braking_mps2 must be above 0, up to {HARDEST_MPS2:g}, got {self.braking_mps2}"
            )

    def begin(self, post: Post, rng: np.random.Generator) -> Acting:
        return Braking(self, post, rng)


class Braking:
    """One run of it."""

    def __init__(self, recipe: Brake, post: Post, rng: np.random.Generator) -> None:
        self._post, self._to_mps = post, recipe.to_mps
        self._speed_mps = float(rng.uniform(*recipe.speed_mps))
        self._braking_mps2 = float(rng.uniform(*recipe.braking_mps2))
        self._cue = recipe.when.draw(rng)
        self._follower = Follower(post, post.lane())

    def act(self, frame: Frame) -> None:
        """Hold the speed, or lose some of it."""
        if self._cue.is_due(frame, self._post):
            slower = self._speed_mps - self._braking_mps2 * self._post.tick_s
            self._speed_mps = max(slower, self._to_mps)
        self._follower.go(frame, self._speed_mps, 0.0)
