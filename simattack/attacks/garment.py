"""A printed garment on a pedestrian: one picture on chest and back.

Who says so: Thys et al., Fooling Automated Surveillance Cameras (CVPR workshops 2019), with a board
held before the body; Xu et al., Adversarial T-shirt (ECCV 2020).

Simplified: the cloth is flat, follows the torso and has no folds; arms and bags may hide it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.prints import Format, Printed, Shown, placed
from simattack.registry import register
from simattack.types import World


@register("attacks", "garment")
@dataclass(frozen=True)
class Garment(Printed):
    """A picture of stated size on both sides of a walker of the scene; it moves with it.

    Raises:
        PatchError: at construction: the patch is missing or has another size.
        BudgetError: at ``begin``: it is larger than the torso.
        ConfigError: at ``begin``: there is no such walker.
    """

    USUAL_SIZE_M = (0.3, 0.4)
    FORMAT = Format(distance_m=(5.0, 40.0))

    who: str = "nearest"
    """The walker: a role of the scenario, an actor's id, or the nearest one ahead at the start."""
    is_on_back: bool = True
    """Whether the back shows it, too."""
    centre: tuple[float, float] | None = None
    """u, v of its middle on the torso, 0..1; None for the torso's middle."""

    def begin(self, world: World, rng: np.random.Generator) -> Shown:
        sheet = self.sheet()
        sides = ("front", "back") if self.is_on_back else ("front",)
        panels = [world.surface(f"walker:{self.who}:{side}") for side in sides]
        return Shown(self, world, sheet, [placed(panel, sheet) for panel in panels])
