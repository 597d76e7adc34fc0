"""Printed frames of glasses on a pedestrian's face.

Who says so: Sharif et al., Accessorize to a Crime (CCS 2016). Made against recognisers of faces: at
the car's distances a frame 15 cm wide is a few pixels, and what detects people hardly sees it.

Simplified: the frame is flat and has no bows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simattack.placement import in_outline
from simattack.prints import Printed, Sheet, Shown, placed
from simattack.registry import register
from simattack.types import Image, World


@register("attacks", "glasses")
@dataclass(frozen=True)
class Glasses(Printed):
    """A picture in the outline of a frame with two holes; it moves with the walker.

    Raises:
        PatchError: at construction: the patch is missing or has another size.
        BudgetError: at ``begin``: it is much larger than the face.
        ConfigError: at ``begin``: there is no such walker.
    """

    USUAL_SIZE_M = (0.145, 0.05)
    GOAL = "misclassify"
    LEAST_FIT = 0.75
    """A frame is made as much smaller as a face is narrow, down to this; the narrowest adult frames
    are about 11 cm wide; assumed."""

    who: str = "nearest"
    """The walker: a role of the scenario, an actor's id, or the nearest one ahead at the start."""
    centre: tuple[float, float] | None = None
    """u, v of its middle on the face, 0..1; None for the eyes."""

    def sheet(self) -> Sheet:
        whole = super().sheet()
        return replace(whole, image=in_outline(whole.image[:, :, :3], frame()))

    def begin(self, world: World, rng: np.random.Generator) -> Shown:
        face = world.surface(f"walker:{self.who}:face")
        sheet = self.sheet()
        width_m, height_m = sheet.size_m
        fit = min(1.0, face.size_m[0] / width_m)
        if fit >= self.LEAST_FIT:
            sheet = replace(sheet, size_m=(fit * width_m, fit * height_m))
        return Shown(self, world, sheet, [placed(face, sheet)])


def frame() -> Image:
    """(20, 58, 4): a rim 3 cells wide around each of two lenses, and the bridge between them."""
    rows, columns = np.mgrid[0:20, 0:58]
    is_rim = np.zeros((20, 58), bool)
    for middle in (14, 43):
        across, down = np.abs(columns - middle), np.abs(rows - 9.5)
        is_rim |= (across <= 14) & (down <= 9.5) & ~((across <= 11) & (down <= 6.5))
    is_rim |= (np.abs(columns - 28.5) <= 2) & (np.abs(rows - 6) <= 2)
    return np.dstack([np.zeros((20, 58, 3), np.uint8), np.where(is_rim, 255, 0).astype(np.uint8)])
