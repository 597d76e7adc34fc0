"""Drives on: ahead of the car, towards it, or on a road that crosses its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.acting import Acting, Cue, DrawnCue, Follower, Post, Span, settle
from simattack.registry import register
from simattack.types import Frame


@register("cast", "cruise")
@dataclass(frozen=True)
class Cruise:
    """Holds a speed along its lane, straight on at forks, from a cue on; stands before it.

    Its lane is the one nearest to its place whose traffic goes most the way it looks: towards the
    car with a heading of 180 degrees.
    """

    speed_mps: Span = Span(8.0, 8.0)
    when: Cue = Cue()

    is_on_lane = True

    def __post_init__(self) -> None:
        settle(self)
        if self.speed_mps[0] <= 0:
            raise ValueError(f"speed_mps must be above 0, got {self.speed_mps[0]:g}")

    def begin(self, post: Post, rng: np.random.Generator) -> Acting:
        return Cruising(post, float(rng.uniform(*self.speed_mps)), self.when.draw(rng))


class Cruising:
    """One run of it."""

    def __init__(self, post: Post, speed_mps: float, cue: DrawnCue) -> None:
        self._post, self._speed_mps, self._cue = post, speed_mps, cue
        self._follower = Follower(post, post.lane())

    def act(self, frame: Frame) -> None:
        """Go on, once the cue has come."""
        if self._cue.is_due(frame, self._post):
            self._follower.go(frame, self._speed_mps, 0.0)
