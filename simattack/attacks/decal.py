"""A decal on another car: its rear, its front or its side.

Who says so: Wang et al., Dual Attention Suppression Attack (CVPR 2021), and Suryanto et al., DTA
(CVPR 2022), who camouflage vehicles; here it is a flat print on one panel.

Simplified: the print is flat and lies before the body's outermost point there; a bulging panel
leaves a gap of a few centimetres at its edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.checks import choice
from simattack.prints import Printed, Shown, placed, within_m2
from simattack.registry import register
from simattack.types import World

SIDES = ("rear", "front", "left", "right")


@register("attacks", "decal")
@dataclass(frozen=True)
class Decal(Printed):
    """A picture of stated size on a vehicle of the scene; it moves with it.

    Raises:
        PatchError: at construction: the patch is missing or has another size.
        BudgetError: at ``begin``: it is too large, or hangs over the panel's edge.
        ConfigError: at ``begin``: there is no such vehicle.
    """

    MAX_AREA_M2 = 2.0
    """Of its rectangle: more is a wrapped car; assumed."""
    USUAL_SIZE_M = (0.5, 0.4)

    who: str = "nearest"
    """The vehicle: a role of the scenario, an actor's id, or the nearest one ahead at the start."""
    side: str = "rear"
    """``rear``, ``front``, ``left`` or ``right``."""
    centre: tuple[float, float] | None = None
    """u, v of its middle on the panel, 0..1; None for the panel's middle."""

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("side", self.side, SIDES)

    def begin(self, world: World, rng: np.random.Generator) -> Shown:
        sheet = self.sheet()
        within_m2("a decal", sheet.area_m2, self.MAX_AREA_M2, "Decal.MAX_AREA_M2")
        panel = world.surface(f"vehicle:{self.who}:{self.side}")
        return Shown(self, world, sheet, [placed(panel, sheet)])
