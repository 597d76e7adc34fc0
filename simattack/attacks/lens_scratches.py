"""Scratches in the camera's window, all one way, as grit under a wiper or a glove leaves them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simattack.errors import BudgetError
from simattack.lens import WINDOW, Optics, Scatter, Spread, View, number, turned_rad, whole
from simattack.onlens import ALWAYS, SOILING, OnLens, normalise
from simattack.raster import Array, length, library, like, overlap
from simattack.registry import register
from simattack.taxonomy import ThreatModel
from simattack.timing import Timing
from simattack.types import Floats, World

GLASS = 1.52
"""Index of refraction of soda-lime glass."""
_WIDTH = 3


@register("attacks", "lens_scratches")
@dataclass(frozen=True)
class LensScratches:
    """Grooves whose flanks turn light aside, square to them: streaks from all that is bright.

    A scratch of width w takes 4 w / (pi D) of the light of a pixel that looks through its middle,
    D being what the pixel sees of the window (3 mm). Of the flanks' slopes, even up to
    ``slope_deg``, each turns light by asin(n sin s) - s: together an even streak either way. No
    light is lost. Parameters: the angle [rad], then x, y in 0..1 of the picture and length [mm] of
    each scratch.

    Source: Snell's law; the share by the chord of the pupil's disc. Simplified: no diffraction, no
    coating, straight scratches of one direction and width, the streak even.

    Raises:
        ValueError: at construction: a value makes no sense.
        BudgetError: at ``begin`` and ``set``: the scratches take too much of the window.
    """

    needs = ("camera",)

    MOST_COVERAGE: ClassVar[float] = 0.3
    """Share of the window under grooves, were none to cross (assumed)."""
    is_growing: ClassVar[bool] = False
    threat: ClassVar[ThreatModel] = SOILING

    count: int = 40
    """0 is no effect."""
    width_mm: float = 0.1
    length_mm: float = 15.0
    angle_deg: float = 30.0
    """Of the scratches, from the picture's x towards its y."""
    slope_deg: float = 20.0
    """Steepest flank (assumed)."""
    optics: Optics = WINDOW
    surface: str = ""
    timing: Timing = ALWAYS

    def __post_init__(self) -> None:
        normalise(self)
        whole("count", self.count, 0, 400)
        number("width_mm", self.width_mm, 0.001, 2.0)
        number("length_mm", self.length_mm, 0.5, 100.0)
        number("angle_deg", self.angle_deg, -180.0, 180.0)
        number("slope_deg", self.slope_deg, 1.0, 35.0)
        object.__setattr__(self, "count", int(self.count))

    @property
    def box(self) -> tuple[Floats, Floats]:
        low, high = np.tile([0.0, 0.0, 0.5], self.count), np.tile([1.0, 1.0, 100.0], self.count)
        return np.append(-math.pi, low), np.append(math.pi, high)

    def begin(self, world: World | None, rng: np.random.Generator) -> OnLens:
        return OnLens(self, world, rng)

    def draw(self, rng: np.random.Generator) -> tuple[Floats, None]:
        rows = rng.uniform(0, 1, (self.count, _WIDTH))
        rows[:, 2] = self.length_mm
        return np.append(math.radians(self.angle_deg), rows), None

    def spread_px(self, view: View) -> float:
        """Half the length of the streak that scratches make of a point."""
        return view.focal_px * math.tan(turned_rad(math.radians(self.slope_deg), GLASS))

    def film(self, parameters: Array, grain: None, view: View, elapsed_s: float) -> Scatter:
        xp = library(parameters)
        cos, sin = xp.cos(parameters[0]), xp.sin(parameters[0])
        x, y = like(view.x, parameters), like(view.y, parameters)
        clear = xp.ones_like(x + y)
        half_px = 0 * cos + self.width_mm / 2 * view.px_per_mm
        for row in parameters[1:].reshape(-1, _WIDTH):
            dx, dy = x - row[0] * view.width_px, y - row[1] * view.height_px
            across = view.cover(dy * cos - dx * sin, half_px)
            along = view.cover(dx * cos + dy * sin, row[2] / 2 * view.px_per_mm)
            clear = clear * (1 - across * along)
        radius = self.spread_px(view)
        spread = Spread(view.width_px, view.height_px, radius, min(2, max(1, int(radius // 8))))
        x, y = (like(axis, parameters) for axis in spread.offsets)
        step = float(spread.step)
        kernel = overlap(x * cos + y * sin, 0 * cos + step / 2, step) * overlap(
            length(0 * x, y * cos - x * sin), 0 * cos + radius, step
        )
        return Scatter(view.defocus(1 - clear)[None], spread.by(kernel))

    def check(self, parameters: Floats, grain: None, view: View) -> None:
        window_mm2 = view.width_px * view.height_px / view.px_per_mm**2
        share = float(parameters[3::_WIDTH].sum()) * self.width_mm / window_mm2
        if share > self.MOST_COVERAGE + 1e-9:
            raise BudgetError(
                f"expected scratches on at most {self.MOST_COVERAGE:.0%} of the window, got "
                f"{share:.1%}: fewer, shorter or narrower ones"
            )
