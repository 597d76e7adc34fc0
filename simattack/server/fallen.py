"""Pedestrians that were run over: from then on they are bodies, and after a while they vanish."""

from __future__ import annotations

from simattack.server.actors import Actor
from simattack.server.codec import WalkerControl
from simattack.server.physics import Physics

LIES_S = 10.0
"""How long CARLA leaves a dead walker in the world."""


class Fallen:
    """The dead walkers of an episode."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}

    def add(self, walker: Actor, physics: Physics, now_s: float) -> None:
        """Stops a walker for good, and lets what hits it push it; once is enough."""
        if walker.id in self._until:
            return
        self._until[walker.id] = now_s + LIES_S
        walker.walk = WalkerControl()
        if walker.has_physics:
            physics.walk(walker.id, (0.0, 0.0, 0.0), 0.0)
            physics.simulate(walker.id, True)
            physics.set_collisions(walker.id, True)

    def due(self, now_s: float) -> list[int]:
        """The ids of those whose time is over; each is told once."""
        # Counted ticks add up to a little less than whole seconds.
        over = [number for number, end_s in self._until.items() if now_s >= end_s - 1e-6]
        for number in over:
            del self._until[number]
        return over
