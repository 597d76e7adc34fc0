"""A lens that bends straight lines, and one that splits colours.

CARLA keeps the formula of its distortion inside a compiled material; only its attributes and
their neutral values are known. Here it is Brown's radial model (Brown, Decentering Distortion of
Lenses, 1966) with those names. A point that a pinhole camera puts at (x, y), measured from the
image's middle in halves of its width, appears at

    (x, y) g,   g = 1 + multiplier (1 - exp(-falloff r^2)) (k r^2 + kcube r^3) / 10
    r^2 = (x x_size / 0.08)^2 + (y y_size / 0.08)^2

so k < 0 is a barrel and the default multiplier of 0 bends nothing. What a pinhole camera did not
see is black.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from simattack.server.sensors.options import DEFAULT, Options
from simattack.types import Floats, Image

_STRENGTH = 0.1
_REACH = 3.0
"""Halves of the width up to which the inverse is looked for."""
_WAVELENGTHS_NM = (611.3, 549.1, 464.3)
"""Of red, green and blue; the split is taken as linear between them."""


def growth(x: Floats, y: Floats, options: Options) -> Floats:
    """``g`` of the formula above."""
    square = (x * options.lens_x_size / DEFAULT.lens_x_size) ** 2
    square = square + (y * options.lens_y_size / DEFAULT.lens_y_size) ** 2
    onset = 1 - np.exp(-options.lens_circle_falloff * square)
    bend = options.lens_k * square + options.lens_kcube * square**1.5
    return np.asarray(1 + _STRENGTH * options.lens_circle_multiplier * onset * bend)


@lru_cache(maxsize=16)
def source(width_px: int, height_px: int, options: Options) -> tuple[Floats, Floats]:
    """(H, W) rows and columns at which the straight picture shows what the bent one does.

    NaN for what lies outside it.
    """
    x, y = np.meshgrid(
        (np.arange(width_px) + 0.5 - width_px / 2) * 2 / width_px,
        (np.arange(height_px) + 0.5 - height_px / 2) * 2 / width_px,
    )
    # Along each direction the model is a function of the radius alone: look it up backwards.
    radius = np.hypot(x, y)
    safe = np.maximum(radius, 1e-9)
    if options.lens_x_size == options.lens_y_size:
        radii = np.linspace(0.0, float(radius.max()), 4096)
        one = np.ones_like(radii)
        back = np.interp(radius, radii, _undone(radii, one, 0 * one, options)) / safe
    else:
        back = _undone(radius, x / safe, y / safe, options) / safe
    rows = y * back * width_px / 2 + height_px / 2 - 0.5
    columns = x * back * width_px / 2 + width_px / 2 - 0.5
    inside = (rows > -0.5) & (rows < height_px - 0.5)
    inside &= (columns > -0.5) & (columns < width_px - 0.5)
    return np.where(inside, rows, np.nan), np.where(inside, columns, np.nan)


def _undone(radius: Floats, cos: Floats, sin: Floats, options: Options) -> Floats:
    """The radius that the lens makes ``radius`` of; infinite where it makes it of none.

    By bisection up to where the model stops growing.
    """
    steps = np.linspace(0.0, _REACH, 301)[:, None]
    ways = np.linspace(0.0, np.pi / 2, 33)
    bent = steps * growth(steps * np.cos(ways), steps * np.sin(ways), options)
    falls = np.diff(bent, axis=0) <= 0
    last = np.where(falls.any(axis=0), falls.argmax(axis=0), len(steps) - 1)
    end = np.interp(np.arctan2(np.abs(sin), np.abs(cos)), ways, steps[last, 0])
    low, high = np.zeros_like(radius), end
    for _ in range(40):
        middle = (low + high) / 2
        is_short = middle * growth(middle * cos, middle * sin, options) < radius
        low, high = np.where(is_short, middle, low), np.where(is_short, high, middle)
    return np.where(high >= end - 1e-9, np.inf, low)


def bend_colors(rgb: Image, options: Options) -> Image:
    """A picture (H, W, 3) through the lens, between pixels by their four neighbours."""
    height, width, _ = rgb.shape
    rows, columns = source(width, height, options)
    at = np.stack([rows, columns])
    seen = ~np.isnan(rows)
    out = np.zeros_like(rgb)
    for channel in range(3):
        values = ndimage.map_coordinates(
            rgb[..., channel].astype(np.float32), at[:, seen], order=1, mode="nearest"
        )
        out[..., channel][seen] = np.rint(values)
    return out


def bend(values: NDArray[Any], options: Options, outside: Any = 0) -> NDArray[Any]:
    """Labels or distances (H, W, ...) through the lens: each pixel keeps a value that is there."""
    height, width = values.shape[:2]
    rows, columns = source(width, height, options)
    seen = ~np.isnan(rows)
    out = np.full_like(values, outside)
    out[seen] = values[np.rint(rows[seen]).astype(int), np.rint(columns[seen]).astype(int)]
    return out


def split_colors(rgb: Image, options: Options) -> Image:
    """Chromatic aberration: red is drawn larger than blue, by a part that grows with the radius.

    At the corner red is ``chromatic_aberration_intensity`` percent of the radius farther out.
    """
    height, width, _ = rgb.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    radius = np.hypot(x, y) / np.hypot(width / 2, height / 2)
    onset = np.clip(radius - options.chromatic_aberration_offset, 0.0, None)
    onset /= np.maximum(radius, 1e-6)
    red, green, blue = _WAVELENGTHS_NM
    out = rgb.copy()
    for channel, nm in ((0, red), (1, green)):
        part = options.chromatic_aberration_intensity / 100 * (nm - blue) / (red - blue)
        scale = 1 - part * onset
        at = np.stack([y * scale + (height - 1) / 2, x * scale + (width - 1) / 2])
        values = ndimage.map_coordinates(
            rgb[..., channel].astype(np.float32), at, order=1, mode="nearest"
        )
        out[..., channel] = np.rint(values)
    return out
