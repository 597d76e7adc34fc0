"""A poster over the whole face of a sign or a billboard.

Who says so: Eykholt et al., Robust Physical-World Attacks on Deep Learning Visual Classification
(CVPR 2018), whose subtle posters are printed signs stuck over signs; Patel et al., Adaptive
Adversarial Videos on Roadside Billboards (IROS 2019).

Simplified: the paper has no gloss, no folds and no edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.patchfile import check_aspect, load_picture
from simattack.placement import Placement
from simattack.placement import printed as matter_of
from simattack.prints import GREY, Printed, Sheet, Shown, within_m2
from simattack.registry import register
from simattack.types import World


@register("attacks", "poster")
@dataclass(frozen=True)
class Poster(Printed):
    """A picture as large as the face, whatever size its card names.

    Raises:
        PatchError: at construction: no picture; at ``begin``: it has another aspect than the face.
        BudgetError: at ``begin``: the face is larger than anybody would paper over.
    """

    MAX_AREA_M2 = 18.0
    """A large roadside board's; assumed."""
    GOAL = "misclassify"

    surface: str = ""
    """Name in the map's catalogue, such as ``speed_limit_2002`` or ``billboard_3``, or of a part of
    an actor; empty for the sign of the episode's own site."""

    def sheet(self) -> Sheet:
        """The picture; its size is the face's own."""
        if self.fill == "image" and self.patch is not None:
            return Sheet(load_picture(self.patch), self.USUAL_SIZE_M)
        if self.fill == "noise":
            noise = np.random.default_rng(self.seed)
            shape = (self.cells, self.cells, 3)
            return Sheet(noise.integers(0, 256, shape, dtype=np.uint8), self.USUAL_SIZE_M)
        shape = (*self.code, 3) if self.fill == "code" else (1, 1, 3)
        return Sheet(np.full(shape, GREY, np.uint8), self.USUAL_SIZE_M)

    def begin(self, world: World, rng: np.random.Generator) -> Shown:
        surface = world.surface(self.surface)
        width_m, height_m = surface.size_m
        within_m2(f"a poster on {surface.name!r}", width_m * height_m, self.MAX_AREA_M2,
                  "Poster.MAX_AREA_M2")  # fmt: skip
        sheet = self.sheet()
        if self.fill == "image":
            check_aspect(sheet.image, surface.size_m, f"{self.patch} on {surface.name!r}")
        matter = matter_of(sheet.image)
        whole = Placement.over(surface.texture.shape[:2], (0.0, 0.0, 1.0, 1.0), matter)
        return Shown(self, world, sheet, [(surface, whole)])
