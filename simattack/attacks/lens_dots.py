"""Translucent coloured dots stuck on the camera's window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simattack.errors import BudgetError
from simattack.lens import WINDOW, Optics, Veil, View, number, whole
from simattack.onlens import ALWAYS, OnLens, counts, normalise, within
from simattack.raster import Array, length, library, like
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timing
from simattack.types import Floats, World

_WIDTH = 7


@register("attacks", "lens_dots")
@dataclass(frozen=True)
class LensDots:
    """Round translucent stickers: each blends its colour into what is seen through it.

    In linear light a dot of opacity a and colour c makes (1 - a) * scene + a * c * ambient, one
    over the other, defocused by the pupil. The parameters are seven a dot, dot after dot: x, y in
    0..1 of the picture, radius [mm], opacity, red, green, blue.

    Source: Li, Schmidt & Kolter, Adversarial camera stickers, ICML 2019 (dots on the lens, their
    positions, radii and colours optimised, alpha-blended with a soft edge); Zolfi, Kravchik,
    Elovici & Shabtai, The Translucent Patch, CVPR 2021 (coloured shapes on the lens against a
    stop-sign detector). Simplified: the soft edge is the pupil's disc, not a fitted falloff;
    blending is in light, not in display codes; shapes are round.

    Raises:
        ValueError: at construction: a value makes no sense.
        BudgetError: at ``begin`` and ``set``: too many, too opaque or too large in all.
    """

    needs = ("camera",)

    MOST_DOTS: ClassVar[int] = 10
    """Assumed: what somebody can stick on unseen."""
    MOST_OPACITY: ClassVar[float] = 0.5
    """Translucent: more than half of the light passes (assumed)."""
    MOST_COVERAGE: ClassVar[float] = 0.25
    """Share of the picture, before blur (assumed): a passer-by sees no sticker at a glance."""
    is_growing: ClassVar[bool] = False

    dots: tuple[tuple[float, ...], ...] = ()
    """Seven numbers a dot, as above; empty for ``count`` random ones."""
    count: int = 9
    """Of the random dots."""
    radius_mm: float = 1.3
    """Of the random dots: a window 30 mm away shows 18.5 px a millimetre."""
    opacity: float = 0.4
    """Of the random dots; 0 is no effect."""
    optics: Optics = WINDOW
    surface: str = ""
    timing: Timing = ALWAYS

    def __post_init__(self) -> None:
        normalise(self)
        whole("count", self.count, 1, 100)
        number("radius_mm", self.radius_mm, 0.2, 10.0)
        number("opacity", self.opacity, 0.0, 1.0)
        if isinstance(self.dots, str) or not all(
            isinstance(dot, list | tuple) and len(dot) == _WIDTH for dot in self.dots
        ):
            raise ValueError(
                f"dots needs x, y, radius, opacity, red, green, blue each, got {self.dots!r}"
            )
        for dot in self.dots:
            for name, value in zip(("x", "y", "radius", "opacity", *"rgb"), dot, strict=True):
                number(f"dots {name}", value, 0.0, 10.0 if name == "radius" else 1.0)
        object.__setattr__(self, "count", int(len(self.dots) or self.count))
        object.__setattr__(self, "dots", tuple(tuple(map(float, dot)) for dot in self.dots))

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR, Knowledge.WHITE, Frequency.ONE_SHOT, Target.HIDE, Scope.UNIVERSAL
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        low = [0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0]
        high = [1.0, 1.0, 4.0, self.MOST_OPACITY, 1.0, 1.0, 1.0]
        return np.tile(low, self.count), np.tile(high, self.count)

    def begin(self, world: World | None, rng: np.random.Generator) -> OnLens:
        return OnLens(self, world, rng)

    def draw(self, rng: np.random.Generator) -> tuple[Floats, None]:
        if self.dots:
            return np.ravel(self.dots), None
        rows = rng.uniform(0, 1, (self.count, _WIDTH))
        rows[:, 2], rows[:, 3] = self.radius_mm, self.opacity
        # Saturated colours: one channel is full, one is none.
        rows[:, 4:] -= rows[:, 4:].min(1, keepdims=True)
        rows[:, 4:] /= rows[:, 4:].max(1, keepdims=True)
        return rows.ravel(), None

    def film(self, parameters: Array, grain: None, view: View, elapsed_s: float) -> Veil:
        through, glow = self._sharp(parameters, view)
        xp = library(parameters)
        return Veil(1 - view.defocus(1 - through)[None], view.defocus(xp.stack(glow)))

    def check(self, parameters: Floats, grain: None, view: View) -> None:
        rows = parameters.reshape(-1, _WIDTH)
        if len(rows) > self.MOST_DOTS:
            raise BudgetError(
                f"expected at most {self.MOST_DOTS} dots on the lens, got {len(rows)}"
            )
        if rows[:, 3].max() > self.MOST_OPACITY:
            raise BudgetError(
                f"expected dots of opacity {self.MOST_OPACITY} at most, got {rows[:, 3].max():g}"
            )
        rows = rows.copy()
        rows[:, 3] = counts(rows[:, 3])
        covered = 1 - self._sharp(rows.ravel(), view)[0]
        within("lens_dots", covered, view, self.MOST_COVERAGE, "LensDots.MOST_COVERAGE")

    def _sharp(self, parameters: Array, view: View) -> tuple[Array, list[Array]]:
        """(h, w) what passes, and three maps of the light shed, before blur."""
        xp = library(parameters)
        x, y = like(view.x, parameters), like(view.y, parameters)
        through = xp.ones_like(x + y)
        glow = [xp.zeros_like(through) for _ in range(3)]
        for row in parameters.reshape(-1, _WIDTH):
            away = length(x - row[0] * view.width_px, y - row[1] * view.height_px)
            opacity = row[3] * view.cover(away, row[2] * view.px_per_mm)
            through = through * (1 - opacity)
            glow = [
                shed * (1 - opacity) + opacity * part
                for shed, part in zip(glow, row[4:], strict=True)
            ]
        return through, glow
