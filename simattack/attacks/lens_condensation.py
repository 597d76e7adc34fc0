"""Condensation on the camera's window: a breath of droplets too small to be seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simattack.errors import BudgetError
from simattack.lens import WINDOW, Optics, Scatter, Spread, View, number, pattern, turned_rad, waves
from simattack.onlens import ALWAYS, SOILING, OnLens, normalise
from simattack.raster import Array, library, like, overlap
from simattack.registry import register
from simattack.taxonomy import ThreatModel
from simattack.timing import Timing
from simattack.types import Floats, World

WATER = 1.333
"""Index of refraction."""


@register("attacks", "lens_condensation")
@dataclass(frozen=True)
class LensCondensation:
    """Droplets, each a cap of water far smaller than the pupil, on a share of the glass.

    Light between the droplets makes the sharp picture; light through them is turned aside by up to
    asin(n sin t) - t at a rim of contact angle t, in proportion to how far out it passes. Seen
    together that is a wide disc about every point: contrast goes, light stays. Parameter: the mean
    share of the glass under water.

    Source: Snell's law; the share: breath figures settle where droplets merge as fast as they
    grow, at 1 - t / 200 degrees of the glass (assumed). Simplified: the disc is even (exact for
    thin caps), no reflection, nothing drips;
    the pattern (8 to 60 mm) is assumed.

    Raises:
        ValueError: at construction: a value makes no sense.
        BudgetError: at ``begin`` and ``set``: more water than stays in drops.
    """

    needs = ("camera",)

    is_growing: ClassVar[bool] = False
    threat: ClassVar[ThreatModel] = SOILING

    coverage: float = 0.7
    """Mean share of the glass; 0 is no effect."""
    contact_deg: float = 30.0
    """Contact angle: 20 to 50 on glass that is not quite clean (assumed)."""
    patchiness: float = 0.1
    """Standard deviation of the share across the window, relative; 0 is even."""
    optics: Optics = WINDOW
    surface: str = ""
    timing: Timing = ALWAYS

    def __post_init__(self) -> None:
        normalise(self)
        number("coverage", self.coverage, 0.0, 1.0)
        # Beyond 48.6 degrees a rim reflects all; then the disc would be a hemisphere.
        number("contact_deg", self.contact_deg, 5.0, 45.0)
        number("patchiness", self.patchiness, 0.0, 0.5)

    @property
    def most_coverage(self) -> float:
        """The share at which droplets of this contact angle settle."""
        return 1 - self.contact_deg / 200

    @property
    def box(self) -> tuple[Floats, Floats]:
        return np.zeros(1), np.array([self.most_coverage])

    def begin(self, world: World | None, rng: np.random.Generator) -> OnLens:
        return OnLens(self, world, rng)

    def draw(self, rng: np.random.Generator) -> tuple[Floats, tuple[Floats, Floats]]:
        return np.array([self.coverage]), waves(rng, 24, 8.0, 60.0)

    def spread_px(self, view: View) -> float:
        """Radius of the disc that droplets make of a point."""
        return view.focal_px * math.tan(turned_rad(math.radians(self.contact_deg), WATER))

    def film(
        self, parameters: Array, grain: tuple[Floats, Floats], view: View, elapsed_s: float
    ) -> Scatter:
        here = np.clip(1 + self.patchiness * pattern(view, *grain), 0, None)
        here = here / view.inside(here).mean()
        share = view.defocus(parameters[0] * like(here, parameters))[None]
        radius = self.spread_px(view)
        spread = Spread(view.width_px, view.height_px, radius, min(4, max(1, int(radius // 8))))
        x, y = spread.offsets
        kernel = overlap(np.hypot(x, y), np.float64(radius), float(spread.step))
        return Scatter(
            library(parameters).clip(share, 0.0, 1.0), spread.by(like(kernel, parameters))
        )

    def check(self, parameters: Floats, grain: tuple[Floats, Floats], view: View) -> None:
        if parameters[0] > self.most_coverage + 1e-9:
            raise BudgetError(
                f"expected condensation on at most {self.most_coverage:.1%} of the glass at a "
                f"contact angle of {self.contact_deg:g} degrees, got {parameters[0]:.1%}"
            )
