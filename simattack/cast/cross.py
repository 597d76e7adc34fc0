"""Walks across the car's way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.acting import Acting, Cue, Post, Span, settle
from simattack.errors import ConfigError
from simattack.registry import register
from simattack.types import Frame


@register("cast", "cross")
@dataclass(frozen=True)
class Cross:
    """Waits for a cue and walks straight across the route, to as far on its other side."""

    speed_mps: Span = Span(1.4, 1.4)
    to_right_m: float | None = None
    """Where it stops, right of the middle of the car's lane; by default its start mirrored."""
    when: Cue = Cue(eta_s=Span(3.0, 3.0))

    def __post_init__(self) -> None:
        settle(self)
        if not 0 < self.speed_mps[0] <= self.speed_mps[1] <= 8.0:
            raise ValueError(f"speed_mps must be above 0, up to 8, got {self.speed_mps}")

    def begin(self, post: Post, rng: np.random.Generator) -> Acting:
        if not post.kind.startswith("walker."):
            raise ConfigError(f"only somebody on foot can 'cross', got {post.kind}")
        return Crossing(self, post, rng)


class Crossing:
    """One run of it."""

    def __init__(self, recipe: Cross, post: Post, rng: np.random.Generator) -> None:
        self._post = post
        self._speed_mps = float(rng.uniform(*recipe.speed_mps))
        self._cue = recipe.when.draw(rng)
        along_m, right_m = post.route.locate((post.pose.x_m, post.pose.y_m))
        self._to_m = -right_m if recipe.to_right_m is None else recipe.to_right_m
        self._side = float(np.sign(self._to_m - right_m))
        self._yaw_rad = post.route.pose(along_m).yaw_rad + self._side * np.pi / 2
        self._is_walking = self._is_done = False

    def act(self, frame: Frame) -> None:
        """Start at the cue, stop on the other side."""
        if self._is_done or not self._cue.is_due(frame, self._post):
            return
        if not self._is_walking:
            self._post.mover.walk(self._post.actor_id, self._yaw_rad, self._speed_mps)
            self._is_walking = True
        state = self._post.state(frame)
        if state is None:
            return
        _, right_m = self._post.route.locate((state.pose.x_m, state.pose.y_m))
        if self._side * (right_m - self._to_m) >= 0:
            self._post.mover.walk(self._post.actor_id, self._yaw_rad, 0.0)
            self._is_done = True
