"""Dust on the camera's window: a grey veil that dims and shines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simattack.errors import BudgetError
from simattack.lens import WINDOW, Optics, Veil, View, number, pattern, waves
from simattack.onlens import ALWAYS, SOILING, OnLens, normalise
from simattack.raster import Array, library, like
from simattack.registry import register
from simattack.taxonomy import ThreatModel
from simattack.timing import Timing
from simattack.types import Floats, World

DENSITY_KG_M3 = 2650.0
"""Of quartz."""


@register("attacks", "lens_dust")
@dataclass(frozen=True)
class LensDust:
    """A stated mass of dust a square metre, thicker here and thinner there.

    Grains are far smaller than the pupil, so each pixel sees their shadows' share of its disc.
    Spheres of diameter d and density r, thrown at random, shade 1 - exp(-3 m / (2 r d)) of a window
    with the load m. What they take, they shed again as a veil of ``colour``. Parameter: the mean
    load [g/m2].

    Source: random discs cover 1 - exp(-area a square metre) (Hall, Introduction to the Theory of
    Coverage Processes, 1988); Mastekbayeva & Kumar, Solar Energy 68(2), 2000: 3.72 g/m2 of natural
    dust take transmittance from 87.9 % to 75.8 %, which a diameter of 15 um gives. Simplified:
    shadows by geometry alone, no forward diffraction, the veil of the scene's mean light; the
    pattern (log-normal, 4 to 40 mm) is assumed.

    Raises:
        ValueError: at construction: a value makes no sense.
        BudgetError: at ``begin`` and ``set``: there is more dust than stays on glass.
    """

    needs = ("camera",)

    MOST_LOAD_G_M2: ClassVar[float] = 16.0
    """About the heaviest natural load on glass (assumed)."""
    is_growing: ClassVar[bool] = False
    threat: ClassVar[ThreatModel] = SOILING

    load_g_m2: float = 8.0
    """0 is no effect."""
    diameter_um: float = 15.0
    """Of a grain."""
    patchiness: float = 0.5
    """Standard deviation of the load's logarithm; 0 is even."""
    colour: tuple[float, float, float] = (0.60, 0.55, 0.45)
    """Linear, of what it sheds towards the camera, against a white deposit (assumed)."""
    optics: Optics = WINDOW
    surface: str = ""
    timing: Timing = ALWAYS

    def __post_init__(self) -> None:
        normalise(self)
        number("load_g_m2", self.load_g_m2, 0.0, 1000.0)
        number("diameter_um", self.diameter_um, 1.0, 1000.0)
        number("patchiness", self.patchiness, 0.0, 2.0)

    @property
    def box(self) -> tuple[Floats, Floats]:
        return np.zeros(1), np.array([self.MOST_LOAD_G_M2])

    def begin(self, world: World | None, rng: np.random.Generator) -> OnLens:
        return OnLens(self, world, rng)

    def draw(self, rng: np.random.Generator) -> tuple[Floats, tuple[Floats, Floats]]:
        return np.array([self.load_g_m2]), waves(rng, 24, 4.0, 40.0)

    def film(
        self, parameters: Array, grain: tuple[Floats, Floats], view: View, elapsed_s: float
    ) -> Veil:
        here = np.exp(self.patchiness * pattern(view, *grain))
        shadow = 3 * 1e-3 / (2 * DENSITY_KG_M3 * self.diameter_um * 1e-6)
        sharp = 1 - library(parameters).exp(
            -shadow * parameters[0] * like(here / view.inside(here).mean(), parameters)
        )
        shaded = view.defocus(sharp)[None]
        return Veil(1 - shaded, shaded * like(np.array(self.colour)[:, None, None], shaded))

    def check(self, parameters: Floats, grain: tuple[Floats, Floats], view: View) -> None:
        if not parameters[0] <= self.MOST_LOAD_G_M2 or math.isnan(parameters[0]):
            raise BudgetError(
                f"expected dust of at most {self.MOST_LOAD_G_M2:g} g/m2 on the lens, got "
                f"{parameters[0]:g}"
            )
