"""Something that creeps over the camera's window: ice, snow, a sliding film of mud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simattack.checks import choice
from simattack.lens import WINDOW, Optics, Veil, View, number
from simattack.onlens import ALWAYS, SOILING, OnLens, limit, normalise
from simattack.raster import Array, edge_spread, library, like
from simattack.registry import register
from simattack.taxonomy import ThreatModel
from simattack.timing import Timing
from simattack.types import Floats, World

SIDES = ("left", "right", "top", "bottom")


@register("attacks", "lens_blockage")
@dataclass(frozen=True)
class LensBlockage:
    """A straight edge that moves in from one side, at a stated speed, up to a stated share.

    The share is of the window that the camera looks through, which is the picture and half a
    pupil's disc more on either side: at 0 nothing is dimmed, at 1 all is covered. The edge's
    picture is the area of the pupil's disc beyond it. Parameter: the largest share.

    Source: the edge spread of a uniform disc, by the area of a circle's segment. Assumed: the edge
    is straight and moves evenly; time counts from the moment the timing sets it on.

    Raises:
        ValueError: at construction: a value makes no sense.
        BudgetError: at ``begin`` and ``set``: it would cover too much.
    """

    needs = ("camera",)

    MOST_COVERAGE: ClassVar[float] = 0.9
    """Share of the window (assumed): all of it is a blackout, which is another attack."""
    is_growing: ClassVar[bool] = True
    threat: ClassVar[ThreatModel] = SOILING

    side: str = "bottom"
    """Where it comes from: left, right, top or bottom of the picture."""
    coverage: float = 0.6
    """The largest share; 0 is no effect."""
    rate_per_s: float = 0.05
    """Share a second, from none; 0: it is there at once."""
    opacity: float = 1.0
    colour: tuple[float, float, float] = (0.05, 0.05, 0.05)
    """Linear, of what it sheds towards the camera, against a white deposit (assumed)."""
    optics: Optics = WINDOW
    surface: str = ""
    timing: Timing = ALWAYS

    def __post_init__(self) -> None:
        normalise(self)
        choice("side", self.side, SIDES)
        number("coverage", self.coverage, 0.0, 1.0)
        number("rate_per_s", self.rate_per_s, 0.0, 100.0)
        number("opacity", self.opacity, 0.0, 1.0)

    @property
    def box(self) -> tuple[Floats, Floats]:
        return np.zeros(1), np.array([self.MOST_COVERAGE])

    def begin(self, world: World | None, rng: np.random.Generator) -> OnLens:
        return OnLens(self, world, rng)

    def draw(self, rng: np.random.Generator) -> tuple[Floats, None]:
        return np.array([self.coverage]), None

    def film(self, parameters: Array, grain: None, view: View, elapsed_s: float) -> Veil:
        xp = library(parameters)
        is_flat = self.side in ("top", "bottom")
        across_px = view.height_px if is_flat else view.width_px
        at = np.arange(across_px) + 0.5
        at = like(at if self.side in ("left", "top") else across_px - at, parameters)
        share = parameters[0]
        if self.rate_per_s > 0:
            share = xp.clip(share, 0.0, self.rate_per_s * elapsed_s)
        radius = max(view.disc_px, 0.5)
        edge = share * (across_px + 2 * radius) - radius
        blocked = self.opacity * edge_spread((edge - at) / radius)
        blocked = blocked[None, :, None] if is_flat else blocked[None, None, :]
        return Veil(1 - blocked, blocked * like(np.array(self.colour)[:, None, None], blocked))

    def check(self, parameters: Floats, grain: None, view: View) -> None:
        share = float(parameters[0])
        limit("lens_blockage", share, self.MOST_COVERAGE, "LensBlockage.MOST_COVERAGE")
