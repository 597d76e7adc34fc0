"""Splashes of mud on the camera's window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simattack.checks import choice
from simattack.lens import GRADES, WINDOW, Optics, Veil, View, number, view_of, whole
from simattack.onlens import ALWAYS, SOILING, OnLens, counts, normalise, within
from simattack.raster import Array, length, library, like
from simattack.registry import register
from simattack.taxonomy import ThreatModel
from simattack.timing import Timing
from simattack.types import Camera, Floats, World

_WIDTH = 4
_LOBES = range(2, 7)
"""Waves around a splash's outline."""
_WIDEST = 2.0
"""Mean radii that an outline reaches at most."""
_WHOLE = (slice(None), slice(None))


@register("attacks", "lens_mud")
@dataclass(frozen=True)
class LensMud:
    """Ragged splashes of many sizes that together cover a stated share of the picture.

    Parameters, four a splash: x, y in 0..1 of the picture, mean radius [mm], opacity. The outlines
    are the episode's own.

    Source: the layer's optics: Gu et al. 2009 (see lens.py); opacity classes: the mud masks of
    JannLi's soiling generator, semi 0.02 to 0.1, opaque 0.1 to 1. Assumed: log-normal radii
    (0.6 in the logarithm), outlines of five waves, the colour of wet soil seen from behind.

    Raises:
        ValueError: at construction: a value makes no sense.
        BudgetError: at ``begin`` and ``set``: it covers too much of the picture.
    """

    needs = ("camera",)

    MOST_COVERAGE: ClassVar[float] = 0.6
    """Share of the picture, before blur (assumed): beyond it a camera's own blockage alarm is
    taken to end the drive."""
    is_growing: ClassVar[bool] = False
    threat: ClassVar[ThreatModel] = SOILING

    coverage: float = 0.3
    """Share of the picture that the splashes cover before blur; 0 is no effect."""
    count: int = 24
    grade: str = "opaque"
    """Class of opacity, each splash drawn from its range: ``semi`` or ``opaque``."""
    opacity: float | None = None
    """Of every splash, instead of the class."""
    colour: tuple[float, float, float] = (0.10, 0.075, 0.05)
    """Linear, of what it sheds towards the camera, against a white deposit."""
    optics: Optics = WINDOW
    surface: str = ""
    timing: Timing = ALWAYS

    def __post_init__(self) -> None:
        normalise(self)
        number("coverage", self.coverage, 0.0, 1.0)
        whole("count", self.count, 1, 200)
        choice("grade", self.grade, tuple(GRADES))
        if self.opacity is not None:
            number("opacity", self.opacity, 0.0, 1.0)
        object.__setattr__(self, "count", int(self.count))

    @property
    def box(self) -> tuple[Floats, Floats]:
        return np.tile([0.0, 0.0, 0.2, 0.0], self.count), np.tile([1.0, 1.0, 30.0, 1.0], self.count)

    def begin(self, world: World | None, rng: np.random.Generator) -> OnLens:
        return OnLens(self, world, rng)

    def draw(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        rows = rng.uniform(0, 1, (self.count, _WIDTH))
        rows[:, 2] = rng.lognormal(0.0, 0.6, self.count)
        low, high = GRADES[self.grade] if self.opacity is None else (self.opacity, self.opacity)
        rows[:, 3] = rng.uniform(low, high, self.count) if self.coverage > 0 else 0.0
        sizes = 0.25 / np.array(_LOBES) * rng.normal(1.0, 0.5, (self.count, len(_LOBES)))
        grain = np.stack([sizes, rng.uniform(0, 2 * np.pi, sizes.shape)], 1)
        # Where the nearest splash ends at so many times its radius, that many cover the share.
        camera = Camera()
        view = view_of(camera.width_px // 4, camera.height_px // 4, self.optics)
        reach = [
            self._away(row, outline, view) / (row[2] * view.px_per_mm)
            for row, outline in zip(rows, grain, strict=True)
        ]
        nearest = view.inside(np.min(reach, axis=0))
        rows[:, 2] *= np.quantile(nearest, self.coverage)
        low_, high_ = self.box
        return rows.ravel().clip(low_, high_), grain

    def film(self, parameters: Array, grain: Floats, view: View, elapsed_s: float) -> Veil:
        blocked = view.defocus(self._sharp(parameters, grain, view))[None]
        return Veil(1 - blocked, blocked * like(np.array(self.colour)[:, None, None], blocked))

    def check(self, parameters: Floats, grain: Floats, view: View) -> None:
        rows = parameters.reshape(-1, _WIDTH).copy()
        rows[:, 3] = counts(rows[:, 3])
        covered = self._sharp(rows.ravel(), grain, view)
        within("lens_mud", covered, view, self.MOST_COVERAGE, "LensMud.MOST_COVERAGE")

    def _sharp(self, parameters: Array, grain: Floats, view: View) -> Array:
        """(h, w) opacity before blur."""
        is_plain = library(parameters) is np  # and may be worked on in place, without gradients
        through: Array = np.ones((view.y.size, view.x.size)) if is_plain else 1.0
        part = _WHOLE
        for row, outline in zip(parameters.reshape(-1, _WIDTH), grain, strict=True):
            radius_px = row[2] * view.px_per_mm
            if is_plain:
                x_px, y_px = row[0] * view.width_px, row[1] * view.height_px
                part = view.near(x_px, y_px, _WIDEST * radius_px)
            left = 1 - row[3] * view.cover(self._away(row, outline, view, part), radius_px)
            if is_plain:
                through[part] *= left
            else:
                through = through * left
        return 1 - through

    def _away(
        self, row: Array, outline: Floats, view: View, part: tuple[slice, slice] = _WHOLE
    ) -> Array:
        """(h, w) [px] from a splash's middle, longer where its outline is nearer."""
        xp = library(row)
        x, y = like(view.x[:, part[1]], row), like(view.y[part[0]], row)
        dx, dy = x - row[0] * view.width_px, y - row[1] * view.height_px
        turn = xp.arctan2(dy + 0 * dx, dx + 0 * dy + 1e-9)
        shape = 1.0
        for lobes, size, phase in zip(_LOBES, *outline, strict=True):
            shape = shape + float(size) * xp.cos(lobes * turn + float(phase))
        return length(dx, dy) / xp.clip(shape, 0.3, _WIDEST)
