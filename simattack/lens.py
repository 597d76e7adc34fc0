"""What stands on a camera's window, as the camera sees it: far out of focus.

Conventions:
    A deposit is on a flat window ``distance_m`` before the entrance pupil, square to the axis.
    Images of light are (..., 3, H, W), linear (see light.py). A place on the window is named by
    the pixel whose line of sight through the middle of the pupil meets it: x right, y down [px].
    Arrays are numpy's or torch's: one code draws for both, so that gradients are those of what
    the car sees. Maps are float64.

A pixel gathers the light of the whole pupil, which reaches the window as a disc about the pixel's
own place there. Seen in the picture, the deposit is convolved with that disc: the circle of
confusion of the thin lens, diameter aperture * focal_px * |1 / distance - 1 / focus| [px].
What passes and what the deposit sheds itself make the picture,

    light = scene * (1 - opacity * disc) + ambient * (opacity * colour) * disc,

where ``*`` before disc is the convolution and ``ambient`` the mean light of the scene.

Source: Gu, Ramamoorthi, Belhumeur & Nayar, Removing image artifacts due to dirty camera lenses and
thin occluders, ACM Trans. Graph. 28(5), 2009 (one layer attenuates and scatters, both defocused);
the disc: Hecht, Optics, 4th ed., chapter 5.2 (thin lens). Simplified: no diffraction or aberration,
the same disc for the whole picture, the ambient light is the picture's own mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from simattack.checks import is_number
from simattack.raster import (
    Array,
    axis,
    between,
    disc,
    library,
    like,
    means,
    overlap,
    same,
    wrapped,
)
from simattack.types import Floats

CLEAN_BELOW, OPAQUE_FROM = 0.02, 0.1
"""Opacity classes of soiling: clean, semi-transparent, opaque. Source: the thresholds on mud masks
of JannLi's soiling generator; they are low: what dims by a tenth counts as opaque there."""
GRADES = {"semi": (CLEAN_BELOW, OPAQUE_FROM), "opaque": (OPAQUE_FROM, 1.0)}
_CELLS = 12
"""A disc is drawn with at least so many cells along its radius, or with whole pixels."""


@dataclass(frozen=True)
class Optics:
    """A camera behind a window; the default: 6 mm at f/2, a window 30 mm before the pupil.

    The default is a usual automotive front camera in a housing (assumed, no one product).

    Raises:
        ValueError: a value makes no sense.
    """

    distance_m: float = 0.03
    """From the entrance pupil to the deposit: 0.01 m is a protruding front element, 0.03 m a
    housing's window, 0.1 m a windscreen."""
    focal_mm: float = 6.0
    f_number: float = 2.0
    focus_m: float | None = None
    """What is sharp; None: infinity."""
    fov_deg: float = 60.0
    """Horizontal field of view; the car's own camera has 60."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "focus_m" and value is None:
                continue
            number(f"optics.{field.name}", value, 0.0, 1e6, is_open=True)
        if not 0.002 <= self.distance_m <= 0.3:
            raise ValueError(f"optics.distance_m must be 0.002 to 0.3, got {self.distance_m}")
        if self.fov_deg >= 170:
            raise ValueError(f"optics.fov_deg must be below 170, got {self.fov_deg}")
        if self.focus_m is not None and self.focus_m <= self.distance_m:
            raise ValueError(
                f"optics.focus_m must be beyond distance_m {self.distance_m}, got {self.focus_m}"
            )

    @classmethod
    def of(cls, value: object) -> Optics:
        """What an option holds: Optics, or the mapping that a scenario file gives.

        Raises:
            ValueError: it is neither, or names something unknown.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(f"optics must be a mapping such as {{f_number: 2}}, got {value!r}")
        known = [field.name for field in fields(cls)]
        if unknown := sorted(map(str, set(value) - set(known))):
            raise ValueError(f"optics has no {unknown[0]!r}; it takes: {', '.join(known)}")
        return cls(**value)

    @property
    def aperture_mm(self) -> float:
        return self.focal_mm / self.f_number

    @property
    def footprint_mm(self) -> float:
        """Diameter of what one pixel sees of the window."""
        nearer = 0.0 if self.focus_m is None else self.distance_m / self.focus_m
        return self.aperture_mm * (1 - nearer)


@dataclass(frozen=True)
class View:
    """The window as pixels see it: where its cells lie, how they blur, and back to pixels.

    Cells are ``step`` pixels wide and reach beyond the picture as far as the disc does.
    """

    width_px: int
    height_px: int
    optics: Optics

    @property
    def focal_px(self) -> float:
        return self.width_px / 2 / math.tan(math.radians(self.optics.fov_deg) / 2)

    @property
    def px_per_mm(self) -> float:
        """Pixels of the picture to a millimetre of the window."""
        return self.focal_px / (self.optics.distance_m * 1e3)

    @property
    def disc_px(self) -> float:
        """Radius of the circle of confusion [px]."""
        return self.optics.footprint_mm / 2 * self.px_per_mm

    @property
    def step(self) -> int:
        return max(1, int(self.disc_px // _CELLS))

    @cached_property
    def _axes(self) -> tuple[Floats, Floats]:
        margin = math.ceil(self.disc_px / self.step) + 2
        return (
            axis(self.width_px, self.step, margin),
            axis(self.height_px, self.step, margin),
        )

    @property
    def x(self) -> Floats:
        """(1, w) middles of the cells [px]."""
        return self._axes[0][None, :]

    @property
    def y(self) -> Floats:
        """(h, 1) middles of the cells [px]."""
        return self._axes[1][:, None]

    @cached_property
    def _disc(self) -> NDArray[np.complex128]:
        kernel = disc(self.disc_px / self.step, len(self._axes[1]), len(self._axes[0]))
        return np.fft.rfft2(kernel)

    @cached_property
    def _up(self) -> tuple[Floats, Floats]:
        x, y = self._axes
        return between(x, self.step, self.width_px), between(y, self.step, self.height_px)

    def defocus(self, sharp: Array) -> Array:
        """(..., H, W) what the pixels see of a map (..., h, w) on the window."""
        xp = library(sharp)
        spectrum = xp.fft.rfft2(sharp) * like(self._disc, sharp)
        blurred = xp.fft.irfft2(spectrum, s=sharp.shape[-2:])
        x, y = self._up
        return like(y, sharp) @ blurred @ like(x, sharp).T

    def inside(self, cells: Floats) -> Floats:
        """The part of a map (..., h, w) that lies in the picture."""
        x, y = self._axes
        columns = (x > 0) & (x < self.width_px)
        rows = (y > 0) & (y < self.height_px)
        return cells[..., rows, :][..., columns]

    def near(self, x_px: float, y_px: float, reach_px: float) -> tuple[slice, slice]:
        """Rows and columns of a map whose cells lie no farther than that from a place, and more."""
        far = reach_px + self.step
        rows, columns = (
            slice(*np.searchsorted(axis, (middle - far, middle + far)))
            for axis, middle in ((self._axes[1], y_px), (self._axes[0], x_px))
        )
        return rows, columns

    def cover(self, distance_px: Array, radius_px: Array) -> Array:
        """Share of a cell that lies within ``radius_px`` of where ``distance_px`` is 0."""
        return overlap(distance_px, radius_px, float(self.step))


@lru_cache(maxsize=8)
def view_of(width_px: int, height_px: int, optics: Optics) -> View:
    """The view of a picture's size; its cells and disc are worked out once."""
    return View(width_px, height_px, optics)


@dataclass(frozen=True, eq=False)
class Veil:
    """Light taken and light shed: scene * ``through`` + ambient * ``glow``; (1 or 3, H, W) each."""

    through: Array
    glow: Array

    def over(self, light: Array) -> Array:
        """(..., 3, H, W) the light that comes through."""
        return light * same(self.through, light) + ambient(light) * same(self.glow, light)


@dataclass(frozen=True, eq=False)
class Scatter:
    """Light turned aside: a ``share`` (1, H, W) of the scene spread by a kernel, none lost."""

    share: Array
    spread: Spread

    def over(self, light: Array) -> Array:
        """(..., 3, H, W) the light that comes through."""
        share = same(self.share, light)
        return light * (1 - share) + self.spread.over(light) * share


class Spread:
    """A wide convolution of a picture on cells of ``step`` pixels; beyond it the edge goes on.

    Args:
        width_px, height_px: of the picture.
        reach_px: how far the kernel goes.
        step: side of a cell [px].
    """

    def __init__(self, width_px: int, height_px: int, reach_px: float, step: int) -> None:
        margin = math.ceil(reach_px / step) + 1
        x, y = axis(width_px, step, margin), axis(height_px, step, margin)
        self.step = step
        self.shape = len(y), len(x)
        self._down = means(x, step, width_px), means(y, step, height_px)
        self._up = between(x, step, width_px), between(y, step, height_px)
        self._spectrum: Array = None

    @property
    def offsets(self) -> tuple[Floats, Floats]:
        """(1, w), (h, 1) [px] from the kernel's middle, as a cyclic convolution wants them."""
        (h, w), step = self.shape, self.step
        return wrapped(w)[None, :] * step, wrapped(h)[:, None] * step

    def by(self, kernel: Array) -> Spread:
        """Use this kernel (h, w), whatever its sum."""
        self._spectrum = library(kernel).fft.rfft2(kernel / kernel.sum())
        return self

    def over(self, light: Array) -> Array:
        """(..., 3, H, W) the light, spread."""
        xp = library(light)
        (down_x, down_y), (up_x, up_y) = self._down, self._up
        cells = like(down_y, light) @ light @ like(down_x, light).T
        spectrum = xp.fft.rfft2(cells) * same(self._spectrum, cells)
        return like(up_y, light) @ xp.fft.irfft2(spectrum, s=self.shape) @ like(up_x, light).T


def ambient(light: Array) -> Array:
    """(..., 3, 1, 1) the mean light of a picture (..., 3, H, W): what a white deposit sheds."""
    return light.mean((-2, -1))[..., None, None]


def turned_rad(slope_rad: float, index: float) -> float:
    """By how much a ray square to a window leaves a surface of that slope turned aside.

    Source: Snell's law at the surface, from the dense side; NaN past total reflection.
    """
    sine = index * math.sin(slope_rad)
    return math.asin(sine) - slope_rad if abs(sine) <= 1 else math.nan


def waves(
    rng: np.random.Generator, count: int, shortest_mm: float, longest_mm: float
) -> tuple[Floats, Floats]:
    """Wave vectors (count, 2) [rad/mm] and phases of a smooth random pattern on the window."""
    long = np.exp(rng.uniform(np.log(shortest_mm), np.log(longest_mm), count))
    turn = rng.uniform(0, 2 * np.pi, count)
    vectors = 2 * np.pi / long[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
    return vectors, rng.uniform(0, 2 * np.pi, count)


def pattern(view: View, vectors: Floats, phases: Floats) -> Floats:
    """(h, w) on the view's cells: mean about 0, variance 1."""
    x, y = view.x / view.px_per_mm, view.y / view.px_per_mm
    total = sum(
        np.cos(kx * x + ky * y + phase) for (kx, ky), phase in zip(vectors, phases, strict=True)
    )
    return np.asarray(total) * math.sqrt(2 / len(phases))


def number(name: str, value: object, low: float, high: float, is_open: bool = False) -> None:
    """Check an option: a number in ``low``..``high``, or above ``low`` if ``is_open``.

    Raises:
        ValueError: one line: the name, what was expected and what came.
    """
    if not (is_number(value) and low <= value <= high and not (is_open and value == low)):
        way = f"above {low:g}, at most {high:g}" if is_open else f"{low:g} to {high:g}"
        raise ValueError(f"{name} must be a number, {way}, got {value!r}")


def whole(name: str, value: object, low: int, high: int) -> None:
    """Check an option: a whole number in ``low``..``high``.

    Raises:
        ValueError: one line, as of ``number``.
    """
    number(name, value, low, high)
    if value != int(value):  # type: ignore[call-overload]  # number() has seen to it
        raise ValueError(f"{name} must be whole, got {value!r}")


WINDOW = Optics()
