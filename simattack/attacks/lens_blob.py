"""An opaque blob on the camera's window: tape, paint, a bird's dropping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simattack.lens import WINDOW, Optics, Veil, View, number
from simattack.onlens import ALWAYS, OnLens, counts, normalise, within
from simattack.raster import Array, length, like
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timing
from simattack.types import Floats, World


@register("attacks", "lens_blob")
@dataclass(frozen=True)
class LensBlob:
    """One round spot that lets nothing through, at a place and of a diameter.

    A spot wider than what a pixel sees of the window (3 mm by default) has a black core; a smaller
    one takes only (diameter / 3 mm)^2 of the light: out of focus, it hides nothing. Parameters:
    x, y in 0..1 of the picture, diameter [mm].

    Source: Gu et al. 2009 (see lens.py); shadow and half-shadow by the areas of two circles.
    Simplified: round, of no thickness; what it sheds is ``colour`` of the scene's mean light.

    Raises:
        ValueError: at construction: a value makes no sense.
        BudgetError: at ``begin`` and ``set``: it covers too much of the picture.
    """

    needs = ("camera",)

    MOST_COVERAGE: ClassVar[float] = 0.3
    """Share of the picture, before blur (assumed): more is a blockage, not a spot."""
    is_growing: ClassVar[bool] = False

    x: float = 0.5
    """Of its middle, 0 left to 1 right in the picture."""
    y: float = 0.5
    """0 top to 1 bottom."""
    diameter_mm: float = 8.0
    """On the window; 30 mm away the picture is 34.6 mm wide."""
    opacity: float = 1.0
    """0 is no effect; opaque from 0.1 by the classes of soiling masks."""
    colour: tuple[float, float, float] = (0.02, 0.02, 0.02)
    """Linear, of what it sheds towards the camera, against a white deposit (assumed)."""
    optics: Optics = WINDOW
    surface: str = ""
    timing: Timing = ALWAYS

    def __post_init__(self) -> None:
        normalise(self)
        number("x", self.x, 0.0, 1.0)
        number("y", self.y, 0.0, 1.0)
        number("diameter_mm", self.diameter_mm, 0.4, 60.0)
        number("opacity", self.opacity, 0.0, 1.0)

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR, Knowledge.BLACK, Frequency.ONE_SHOT, Target.HIDE, Scope.UNIVERSAL
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        return np.array([0.0, 0.0, 0.4]), np.array([1.0, 1.0, 60.0])

    def begin(self, world: World | None, rng: np.random.Generator) -> OnLens:
        return OnLens(self, world, rng)

    def draw(self, rng: np.random.Generator) -> tuple[Floats, None]:
        return np.array([self.x, self.y, self.diameter_mm]), None

    def film(self, parameters: Array, grain: None, view: View, elapsed_s: float) -> Veil:
        blocked = self.opacity * view.defocus(self._spot(parameters, view))[None]
        return Veil(1 - blocked, blocked * like(np.array(self.colour)[:, None, None], blocked))

    def check(self, parameters: Floats, grain: None, view: View) -> None:
        covered = counts(np.array(self.opacity)) * self._spot(parameters, view)
        within("lens_blob", covered, view, self.MOST_COVERAGE, "LensBlob.MOST_COVERAGE")

    def _spot(self, parameters: Array, view: View) -> Array:
        """(h, w) share of each cell under it."""
        x, y = like(view.x, parameters), like(view.y, parameters)
        away = length(x - parameters[0] * view.width_px, y - parameters[1] * view.height_px)
        return view.cover(away, parameters[2] / 2 * view.px_per_mm)
