"""Walks from point to point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.acting import Acting, Cue, Post, Span, settle
from simattack.errors import ConfigError
from simattack.registry import register
from simattack.types import Frame

_THERE_M = 0.3


@dataclass(frozen=True)
class Mark:
    """A point to walk to, told as a role's place is."""

    ahead_m: float
    right_m: float = 0.0


@register("cast", "walk")
@dataclass(frozen=True)
class Walk:
    """Waits for a cue and walks by points, straight from one to the next; stops at the last."""

    to: tuple[Mark, ...] = ()
    """In YAML a list, such as ``[{ahead_m: 40, right_m: -4}]``."""
    speed_mps: Span = Span(1.4, 1.4)
    when: Cue = Cue()

    def __post_init__(self) -> None:
        settle(self)
        if not 0 < self.speed_mps[0] <= self.speed_mps[1] <= 8.0:
            raise ValueError(f"speed_mps must be above 0, up to 8, got {self.speed_mps}")

    def begin(self, post: Post, rng: np.random.Generator) -> Acting:
        if not post.kind.startswith("walker."):
            raise ConfigError(f"only somebody on foot can 'walk', got {post.kind}")
        return Walking(self, post, rng)


class Walking:
    """One run of it."""

    def __init__(self, recipe: Walk, post: Post, rng: np.random.Generator) -> None:
        self._post = post
        self._speed_mps = float(rng.uniform(*recipe.speed_mps))
        self._cue = recipe.when.draw(rng)
        poses = [post.route.pose(mark.ahead_m, mark.right_m) for mark in recipe.to]
        self._ways = [(pose.x_m, pose.y_m) for pose in poses]
        self._yaw_rad = post.pose.yaw_rad
        self._is_walking = False

    def act(self, frame: Frame) -> None:
        """Start at the cue, turn at each point, stop at the last."""
        if not self._cue.is_due(frame, self._post):
            return
        state = self._post.state(frame)
        if state is None:
            return
        while self._ways:
            x, y = self._ways[0]
            away = np.array([x - state.pose.x_m, y - state.pose.y_m])
            # Passed, or so near that the next tick would be past it.
            ahead = away @ (np.cos(self._yaw_rad), np.sin(self._yaw_rad))
            if self._is_walking and np.hypot(*away) < 1.0 and ahead < 0:
                del self._ways[0]
                continue
            if np.hypot(*away) < _THERE_M:
                del self._ways[0]
                continue
            self._yaw_rad = float(np.arctan2(away[1], away[0]))
            self._is_walking = True
            self._post.mover.walk(self._post.actor_id, self._yaw_rad, self._speed_mps)
            return
        if self._is_walking:
            self._post.mover.walk(self._post.actor_id, self._yaw_rad, 0.0)
            self._is_walking = False
