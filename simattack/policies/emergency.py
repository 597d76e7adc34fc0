"""Emergency braking: full brakes when nothing less will do, and until it is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simattack.policies.corridor import Obstacle


@dataclass(frozen=True)
class EmergencyRules:
    """When to brake in full; see ``Modular`` for the meaning of the numbers."""

    needed_mps2: float
    ttc_s: float


class Emergency:
    """One run of it.

    Only for what a sensor that measures distance has confirmed: a camera alone is wrong by a fifth
    of the distance, and full brakes are a danger to those behind.
    """

    LEFT_M = 1.0
    """The gap that is to remain."""
    AT_HAND_S = 1.0
    """What will be in the way counts from this long before it is."""
    OVER_MPS2 = 1.0
    """Once on, it is over when the deceleration needed is below this."""
    STANDING_MPS = 0.1

    def __init__(self, rules: EmergencyRules) -> None:
        self._rules = rules
        self.is_on = False

    def update(self, obstacles: Iterable[Obstacle], speed_mps: float) -> bool:
        """Whether to brake in full at this tick."""
        needed, ttc_s = 0.0, float("inf")
        for one in obstacles:
            closing = speed_mps - one.along_mps
            if closing <= 0 or not one.track.is_ranged or one.enters_s > self.AT_HAND_S:
                continue
            needed = max(needed, closing**2 / (2 * max(one.gap_m - self.LEFT_M, 0.1)))
            ttc_s = min(ttc_s, max(one.gap_m, 0.0) / closing)
        if speed_mps < self.STANDING_MPS or needed < self.OVER_MPS2:
            self.is_on = False
        elif needed > self._rules.needed_mps2 or ttc_s < self._rules.ttc_s:
            self.is_on = True
        return self.is_on
