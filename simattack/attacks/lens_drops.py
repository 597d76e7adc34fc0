"""Water drops on the camera's window: small lenses that show the world upside down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_array

from simattack.errors import BudgetError
from simattack.lens import WINDOW, Optics, View, number, whole
from simattack.onlens import ALWAYS, SOILING, OnLens, limit, normalise
from simattack.raster import Array, axis, between, length, library, like, means, overlap, same
from simattack.registry import register
from simattack.taxonomy import ThreatModel
from simattack.timing import Timing
from simattack.types import Floats, World

WATER = 1.333
"""Index of refraction."""
_WIDTH = 3
_RAYS = 61
"""Through each pixel's part of the window."""
_STEP = 4
"""Side of a cell [px] in which the drops' light is shown: it is never sharp."""
_USUAL_MM = 1.5
"""Radius of the drop for which the cells are as wide as its rays lie apart."""


@register("attacks", "lens_drops")
@dataclass(frozen=True)
class LensDrops:
    """Drops as caps of spheres, each ray through them bent by Snell's law.

    Each pixel's light is the mean over the pupil: rays that miss the drops see the scene straight,
    rays that hit one at a distance q from its middle meet a surface of slope asin(q sin(t) / r)
    (radius r, contact angle t) and see the scene elsewhere: a drop is a lens of focal length
    r / (sin(t) (n - 1)), so near that it turns the world over. A ray that the rim reflects
    totally is dark. Parameters: x, y in 0..1 of the picture and radius [mm] of each drop.

    Source: Snell's law in vector form; that a drop is a cap of a sphere is assumed. Simplified: no
    thickness, no reflection at the front, no motion of the drop; what lies beyond the picture looks
    like its edge; drops are expected not to overlap.

    Raises:
        ValueError: at construction: a value makes no sense.
        BudgetError: at ``begin`` and ``set``: they cover too much, or are too large to hang on.
    """

    needs = ("camera",)

    MOST_COVERAGE: ClassVar[float] = 0.5
    """Share of the picture (assumed): more runs together and off."""
    MOST_RADIUS_MM: ClassVar[float] = 3.0
    """About the capillary length of water, 2.7 mm: larger ones run down."""
    is_growing: ClassVar[bool] = False
    threat: ClassVar[ThreatModel] = SOILING

    count: int = 20
    """0 is no effect."""
    radius_mm: float = 1.5
    """Of a drop's foot; they vary by a third."""
    contact_deg: float = 40.0
    """Contact angle; 20 to 50 on glass, above on coated glass (assumed)."""
    optics: Optics = WINDOW
    surface: str = ""
    timing: Timing = ALWAYS

    def __post_init__(self) -> None:
        normalise(self)
        whole("count", self.count, 0, 400)
        number("radius_mm", self.radius_mm, 0.3, 20.0)
        number("contact_deg", self.contact_deg, 5.0, 90.0)
        object.__setattr__(self, "count", int(self.count))

    @property
    def box(self) -> tuple[Floats, Floats]:
        high = [1.0, 1.0, self.MOST_RADIUS_MM]
        return np.tile([0.0, 0.0, 0.3], self.count), np.tile(high, self.count)

    def begin(self, world: World | None, rng: np.random.Generator) -> OnLens:
        return OnLens(self, world, rng)

    def draw(self, rng: np.random.Generator) -> tuple[Floats, None]:
        """Drops one by one, each where none is yet, as far as a few tries tell."""
        view = View(640, 480, self.optics)
        size_mm = np.array([view.width_px, view.height_px]) / view.px_per_mm
        rows = np.zeros((0, _WIDTH))
        for _ in range(self.count):
            radius = self.radius_mm * rng.uniform(2 / 3, 4 / 3)
            for _ in range(50):
                at = rng.uniform(0, 1, 2)
                gaps = np.hypot(*((rows[:, :2] - at) * size_mm).T) - rows[:, 2] - radius
                if (gaps > 0).all():
                    break
            rows = np.vstack([rows, [*at, radius]])
        return rows.ravel(), None

    def film(self, parameters: Array, grain: None, view: View, elapsed_s: float) -> Drops:
        return Drops(parameters.reshape(-1, _WIDTH), math.radians(self.contact_deg), view)

    def check(self, parameters: Floats, grain: None, view: View) -> None:
        rows = parameters.reshape(-1, _WIDTH)
        if len(rows) and rows[:, 2].max() > self.MOST_RADIUS_MM:
            raise BudgetError(
                f"expected drops of radius {self.MOST_RADIUS_MM:g} mm at most, got "
                f"{rows[:, 2].max():g} mm"
            )
        dry = np.ones((view.y + view.x).shape)
        for x, y, radius in rows:
            away = np.hypot(view.x - x * view.width_px, view.y - y * view.height_px)
            dry = dry * (1 - view.cover(away, np.float64(radius * view.px_per_mm)))
        share = float(1 - view.inside(dry).mean())
        limit("lens_drops", share, self.MOST_COVERAGE, "LensDrops.MOST_COVERAGE")


class Drops:
    """Rays through drops (n, 3): x, y in 0..1, radius [mm]; traced once, used for every picture."""

    def __init__(self, rows: Array, contact_rad: float, view: View) -> None:
        xp = library(rows)
        # Rays through the pupil part in a drop: between two of them the scene must not be missed.
        apart = view.optics.footprint_mm / math.sqrt(_RAYS) / _USUAL_MM
        apart *= math.sin(contact_rad) * (WATER - 1) * view.focal_px
        self._cell = min(max(int(apart), _STEP), 8 * _STEP)
        self._scene = (axis(view.width_px, self._cell, 1), axis(view.height_px, self._cell, 1))
        self._down = (
            means(self._scene[0], self._cell, view.width_px),
            means(self._scene[1], self._cell, view.height_px),
        )
        self._x, self._y = axis(view.width_px, _STEP, 1), axis(view.height_px, _STEP, 1)
        self._up = between(self._x, _STEP, view.width_px), between(self._y, _STEP, view.height_px)
        pupil = like(sunflower(_RAYS) * view.optics.footprint_mm / 2, rows)
        self._seen = []
        wet = like(np.zeros((len(self._y), len(self._x))), rows)
        for row in rows:
            window = self._near(row, view)
            if window is None:
                continue
            hit, passed, (at_x, at_y) = trace(
                row,
                contact_rad,
                view,
                pupil,
                like(self._x[window[1]][None, :], rows),
                like(self._y[window[0]][:, None], rows),
            )
            share = xp.zeros_like(wet)
            share[window] = xp.clip(hit.sum(0) / _RAYS, 0.0, 1.0)
            wet = wet + share
            self._seen.append((window, self._taps(passed / _RAYS, at_x, at_y)))
        up_x, up_y = self._up
        covered = like(up_y, rows) @ wet @ like(up_x, rows).T
        self._through = xp.clip(1 - covered, 0.0, 1.0)[None]
        # Where drops overlap their light is shared out, not doubled.
        self._most = 1 / xp.clip(wet, 1.0, None)

    def over(self, light: Array) -> Array:
        """(..., 3, H, W) the light past the drops and through them."""
        if not self._seen:
            return light
        (down_x, down_y), (up_x, up_y) = self._down, self._up
        cells = like(down_y, light) @ light @ like(down_x, light).T
        flat = cells.reshape(*cells.shape[:-2], -1)
        shape = *light.shape[:-2], len(self._y), len(self._x)
        if isinstance(light, np.ndarray):
            columns = flat.reshape(-1, flat.shape[-1]).T
            gathered = (self._sums @ columns).T.astype(light.dtype, copy=False).reshape(shape)
        else:
            gathered = self._gather(flat, shape)
        gathered = gathered * same(self._most, light)
        refracted = like(up_y, light) @ gathered @ like(up_x, light).T
        return light * same(self._through, light) + refracted

    def _gather(self, flat: Array, shape: tuple[int, ...]) -> Array:
        """What the rays see in cells (..., n), summed where it is shown; with gradients."""
        gathered = like(np.zeros(shape), flat)
        for window, taps in self._seen:
            bent: Array = 0.0
            for weight, index in taps:
                bent = bent + same(weight, flat) * flat[..., index]
            gathered[(..., *window)] += bent.sum(-3)
        return gathered

    @cached_property
    def _sums(self) -> Any:
        """``_gather`` as a matrix: rays of neighbours see the same cells, summed once here."""
        shown = np.arange(len(self._y) * len(self._x)).reshape(len(self._y), len(self._x))
        size = shown.size, len(self._scene[0]) * len(self._scene[1])
        sums: Any = csr_array(size)
        for window, taps in self._seen:
            weights = np.concatenate([weight.ravel() for weight, _ in taps])
            columns = np.concatenate([index.ravel() for _, index in taps])
            rows = np.broadcast_to(shown[window], (len(taps), _RAYS, *shown[window].shape)).ravel()
            sums += csr_array((weights, (rows, columns)), shape=size)
        return sums

    def _near(self, row: Array, view: View) -> tuple[slice, slice] | None:
        """The cells whose rays may meet a drop; None: it is out of the picture."""
        x, y, radius = row.tolist()
        reach = radius * view.px_per_mm + view.disc_px + _STEP
        window = tuple(
            slice(*np.searchsorted(middles, [at - reach, at + reach]))
            for middles, at in ((self._y, y * view.height_px), (self._x, x * view.width_px))
        )
        is_seen = all(part.stop > part.start for part in window)
        return (window[0], window[1]) if is_seen else None

    def _taps(self, share: Array, at_x: Array, at_y: Array) -> list[tuple[Array, Array]]:
        """Weights and flat indices of the four cells about each place [px]."""
        xp, (x, y), wide = library(at_x), self._scene, len(self._scene[0])
        column = xp.clip((at_x - x[0]) / self._cell, 0.0, wide - 1.001)
        row = xp.clip((at_y - y[0]) / self._cell, 0.0, len(y) - 1.001)
        left, top = floor(column), floor(row)
        right, down = column - left, row - top
        index = top * wide + left
        return [
            (share * (1 - right) * (1 - down), index),
            (share * right * (1 - down), index + 1),
            (share * (1 - right) * down, index + wide),
            (share * right * down, index + wide + 1),
        ]


def trace(
    row: Array, contact_rad: float, view: View, pupil: Array, x_px: Array, y_px: Array
) -> tuple[Array, Array, tuple[Array, Array]]:
    """Rays of pixels through one drop.

    Args:
        row: x, y in 0..1, radius [mm].
        contact_rad: contact angle.
        view: of the window.
        pupil: (k, 2) where the rays pass the window, from a pixel's own place [mm].
        x_px, y_px: (1, w), (h, 1) the pixels.

    Returns:
        (k, h, w) how much of each ray meets the drop, 0..1; how much it sends on; and x, y [px]
        of what the ray then sees, at infinity.
    """
    xp = library(row)
    middle_x, middle_y = view.width_px / 2, view.height_px / 2
    radius = row[2]
    # Where rays pass the window, from the drop's middle [mm].
    q_x = (x_px - row[0] * view.width_px) / view.px_per_mm + pupil[:, 0, None, None]
    q_y = (y_px - row[1] * view.height_px) / view.px_per_mm + pupil[:, 1, None, None]
    q_x, q_y = q_x + 0 * q_y, q_y + 0 * q_x
    away = length(q_x, q_y)
    hit = overlap(away, radius, view.optics.footprint_mm / math.sqrt(_RAYS))
    # The cap's outward normal; a hair inside the rim, where a right angle has no gradient.
    within = xp.minimum(0 * away + 1, 0.9999 * radius / away)
    n_x, n_y = (q * within * math.sin(contact_rad) / radius for q in (q_x, q_y))
    n_z = xp.sqrt(1 - n_x**2 - n_y**2)
    # The ray in air, then in water behind the flat foot, whose sideways parts shrink by the index.
    s_x, s_y = (x_px - middle_x) / view.focal_px, (y_px - middle_y) / view.focal_px
    size = WATER * xp.sqrt(1 + s_x**2 + s_y**2)
    a_x, a_y = s_x / size, s_y / size
    a_z = xp.sqrt(1 - a_x**2 - a_y**2)
    cos_in = a_x * n_x + a_y * n_y + a_z * n_z
    rest = 1 - WATER**2 * (1 - cos_in**2)
    turn = xp.sqrt(xp.clip(rest, 1e-6, None)) - WATER * cos_in
    t_x, t_y, t_z = (WATER * a + turn * n for a, n in ((a_x, n_x), (a_y, n_y), (a_z, n_z)))
    t_z = xp.clip(t_z, 0.05, None)
    is_out = xp.clip(rest / 0.05, 0.0, 1.0)
    seen = middle_x + view.focal_px * t_x / t_z, middle_y + view.focal_px * t_y / t_z
    return hit, hit * is_out, seen


def sunflower(count: int) -> Floats:
    """(count, 2) points spread evenly over a disc of radius 1.

    Source: Vogel, A better way to construct the sunflower head, 1979.
    """
    k = np.arange(count) + 0.5
    turn = k * math.pi * (3 - math.sqrt(5))
    return np.asarray(np.sqrt(k / count)[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1))


def floor(values: Array) -> Array:
    """Rounded down, as an index."""
    return values.astype(np.int64) if isinstance(values, np.ndarray) else values.long()
