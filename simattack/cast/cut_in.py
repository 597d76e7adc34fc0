"""Overtakes and pulls in before the car."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.acting import Acting, Follower, Post, Span, gap_to_m, settle
from simattack.registry import register
from simattack.types import Frame

_CHANGING_MPS2 = 3.0
"""How fast it comes to its new speed."""


@register("cast", "cut_in")
@dataclass(frozen=True)
class CutIn:
    """Drives beside the car's route and moves over once its rear is so far before the car.

    Out of the neighbouring lane, or, on a road with one lane a way, out of the oncoming one.
    """

    speed_mps: Span = Span(13.0, 13.0)
    """Until it moves over; more than the car's, if it starts behind it."""
    lead_m: Span = Span(5.0, 8.0)
    """From the car's front bumper to its rear as it begins to move over."""
    lasts_s: Span = Span(2.0, 2.0)
    """How long it moves over."""
    then_mps: Span = Span(5.0, 5.0)
    """Its speed from then on."""
    to_right_m: float = 0.0
    """Where it moves to, right of the middle of the car's lane."""

    def __post_init__(self) -> None:
        settle(self)
        for name in ("speed_mps", "lasts_s"):
            if getattr(self, name)[0] <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)[0]:g}")
        if self.then_mps[0] < 0:
            raise ValueError(f"then_mps must not be negative, got {self.then_mps[0]:g}")

    def begin(self, post: Post, rng: np.random.Generator) -> Acting:
        return CuttingIn(self, post, rng)


class CuttingIn:
    """One run of it."""

    def __init__(self, recipe: CutIn, post: Post, rng: np.random.Generator) -> None:
        self._post, self._to_m = post, recipe.to_right_m
        spans = (recipe.speed_mps, recipe.lead_m, recipe.lasts_s, recipe.then_mps)
        self._speed_mps, self._lead_m, self._lasts_s, self._then_mps = (
            float(rng.uniform(*span)) for span in spans
        )
        self._follower = Follower(post, post.route)
        self._from_m = self._follower.right_m
        self._since_s: float | None = None

    def act(self, frame: Frame) -> None:
        """Drive beside the route, move over, then drive on it."""
        state = self._post.state(frame)
        half_m = 0.0 if state is None else state.half_extent_m[0]
        if self._since_s is None and gap_to_m(frame, self._post) - half_m >= self._lead_m:
            self._since_s = frame.time_s
        right_m = self._from_m
        if self._since_s is not None:
            share = min((frame.time_s - self._since_s) / self._lasts_s, 1.0)
            # Half a wave: it begins and ends without a jerk of the wheel.
            right_m += (self._to_m - self._from_m) * (1.0 - np.cos(np.pi * share)) / 2
            change = _CHANGING_MPS2 * self._post.tick_s
            gap = self._then_mps - self._speed_mps
            self._speed_mps += float(np.clip(gap, -change, change))
        self._follower.go(frame, self._speed_mps, float(right_m))
