"""Drives by a list of steps: each changes its speed, or moves it to the side, at its cue."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simattack.acting import Acting, Cue, DrawnCue, Follower, Post, Span, settle
from simattack.registry import register
from simattack.types import Frame

HARDEST_MPS2 = 10.0
"""No tyre of a street car holds more on a dry road."""


@dataclass(frozen=True)
class Step:
    """One change, begun at its cue."""

    when: Cue = field(default_factory=Cue)
    is_next: bool = False
    """Whether it waits until the step before it is done."""
    to_mps: float | None = None
    """The speed it comes to; None: this step leaves it as it is."""
    by_mps2: float = 3.0
    """How fast."""
    to_right_m: float | None = None
    """Where it moves to, right of the middle of the lane it began on; None: it stays."""
    lasts_s: float = 3.0
    """How long it moves over."""


@register("cast", "drive")
@dataclass(frozen=True)
class Drive:
    """Drives along its lane from where it was put, and changes speed or side step by step.

    Steps begin in their order: none before the one that stands before it has begun.
    """

    speed_mps: Span = Span(0.0, 0.0)
    """At the start; 0: it stands until a step says otherwise."""
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        settle(self)
        if self.speed_mps[0] < 0:
            raise ValueError(f"speed_mps must not be negative, got {self.speed_mps[0]:g}")
        for number, step in enumerate(self.steps):
            if step.to_mps is None and step.to_right_m is None:
                raise ValueError(f"steps[{number}] needs a to_mps or a to_right_m")
            if step.to_mps is not None and step.to_mps < 0:
                raise ValueError(f"steps[{number}].to_mps must not be negative, got {step.to_mps}")
            if not 0 < step.by_mps2 <= HARDEST_MPS2:
                raise ValueError(
                    f"steps[{number}].by_mps2 must be above 0, up to {HARDEST_MPS2:g}, "
                    f"got {step.by_mps2:g}"
                )
            if step.lasts_s <= 0:
                raise ValueError(f"steps[{number}].lasts_s must be above 0, got {step.lasts_s:g}")

    def begin(self, post: Post, rng: np.random.Generator) -> Acting:
        return Driving(self, post, rng)


class Driving:
    """One run of it."""

    def __init__(self, recipe: Drive, post: Post, rng: np.random.Generator) -> None:
        self._post = post
        self._speed_mps = float(rng.uniform(*recipe.speed_mps))
        self._waiting: list[tuple[Step, DrawnCue]] = [
            (step, step.when.draw(rng)) for step in recipe.steps
        ]
        self._follower = Follower(post, post.lane())
        self._right_m = self._follower.right_m
        self._faster: Step | None = None
        self._aside: tuple[Step, float, float] | None = None
        """The step, and when and where it began."""

    def act(self, frame: Frame) -> None:
        """Begin what is due, go on with what has begun."""
        while self._waiting:
            step, cue = self._waiting[0]
            is_busy = self._faster is not None or self._aside is not None
            if (step.is_next and is_busy) or not cue.is_due(frame, self._post):
                break
            del self._waiting[0]
            if step.to_mps is not None:
                self._faster = step
            if step.to_right_m is not None:
                self._aside = step, frame.time_s, self._right_m
        if self._faster is not None and self._faster.to_mps is not None:
            change = self._faster.by_mps2 * self._post.tick_s
            gap = self._faster.to_mps - self._speed_mps
            self._speed_mps += float(np.clip(gap, -change, change))
            if abs(gap) <= change:
                self._speed_mps, self._faster = self._faster.to_mps, None
        if self._aside is not None:
            step, since_s, from_m = self._aside
            share = min((frame.time_s - since_s) / step.lasts_s, 1.0)
            # Half a wave: it begins and ends without a jerk of the wheel.
            to_m = from_m if step.to_right_m is None else step.to_right_m
            self._right_m = float(from_m + (to_m - from_m) * (1.0 - np.cos(np.pi * share)) / 2)
            if share >= 1.0:
                self._aside = None
        self._follower.go(frame, self._speed_mps, self._right_m)
