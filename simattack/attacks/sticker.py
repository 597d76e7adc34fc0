"""A printed sticker, or a set of them, on a surface of the scene, such as a stop sign's face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.placement import MAX_SHARE
from simattack.prints import Format, Printed, Shown, placed
from simattack.registry import register
from simattack.types import World


@register("attacks", "sticker")
@dataclass(frozen=True)
class Sticker(Printed):
    """A picture of stated size on a stated surface, painted before the first tick.

    Where the picture is transparent nothing is stuck on; what is stuck on counts as its area. A
    square of the usual size covers 29.4 % of an octagon 0.75 m across.

    Raises:
        PatchError: at construction: the patch is missing or has another size.
        BudgetError: at ``begin``: it covers too much of the face.
    """

    FORMAT = Format((0.468, 0.468), pieces=3, gap_m=0.048, cells=117)
    """Nine small ones hide a sign that one of their area does not (docs/results.md)."""

    surface: str = ""
    """Name in the map's catalogue, or of a part of an actor, such as ``vehicle:lead:rear``; empty
    for the sign of the episode's own site."""
    centre: tuple[float, float] | None = None
    """u, v of its middle on the face, 0..1; None for what the card says, or the face's middle."""

    def begin(self, world: World, rng: np.random.Generator) -> Shown:
        sheet = self.sheet()
        return Shown(self, world, sheet, [placed(world.surface(self.surface), sheet, MAX_SHARE)])
