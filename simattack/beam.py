"""A beam of light into a camera: irradiance at the lens, and what the camera makes of it.

Everything is radiometric. What the film calls 1 is tied to watts by white paper in full sun,
which sends 1 / pi of the sun's irradiance into each steradian and has ``PAPER_LIGHT`` on the film.
A point source of irradiance E looks, at an angle from its own direction, as bright as a surface
of radiance E * spread(angle), where ``spread`` [1/sr] is the lens's point spread and integrates
to 1: a narrow core of what is imaged, and wings of what is scattered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simattack.types import Floats

SUN_W_PER_M2_NM = 1.4
"""Spectral irradiance of sunlight from 450 to 680 nm, to 10 %: ASTM G173-03, global, AM 1.5."""
PAPER_LIGHT = 2.16
"""White paper in full sun, on the film: 3 by the renderer's daylight times its exposure of 0.72."""
BAND_NM = (400.0, 700.0)
"""What the infrared filter and the glass let pass."""
_PEAK_NM = np.array([600.0, 535.0, 460.0])
_SIGMA_NM = np.array([38.0, 40.0, 32.0])
"""Red, green and blue pixels, each as a bell curve; assumed, after usual Bayer filters."""
ROLL_OFF, SLOPE = 0.01, -1.5
"""Of the scattered light: sine of the angle at which it begins to fall, and the power by which it
falls. Polished and coated glass; assumed within what is usual for it."""
LASER_CLASSES = ((0.39, "1"), (1.0, "2"), (5.0, "3R"), (500.0, "3B"))
"""Most power [mW] of a class: continuous, visible. IEC 60825-1:2014."""


def irradiance_w_m2(
    power_mw: float,
    distance_m: float,
    divergence_mrad: float,
    aperture_mm: float,
    off_axis_deg: float = 0.0,
) -> float:
    """Irradiance of a round Gaussian beam at a distance and an angle off its axis.

    ``aperture_mm`` and ``divergence_mrad`` (the full angle) are where the beam falls to 1/e.

    Source: E = 4 P / (pi (a + 2 r tan(phi / 2))^2), the formula of IEC 60825-14 and ANSI Z136.1,
    which write r phi for small angles; off the axis, the Gaussian it stands for.
    """
    width_m = aperture_mm / 1000 + 2 * distance_m * math.tan(divergence_mrad / 2000)
    beside_m = distance_m * math.tan(math.radians(min(abs(off_axis_deg), 89.0)))
    axial = 4 * power_mw / 1000 / (math.pi * width_m**2)
    return axial * math.exp(-4 * (beside_m / width_m) ** 2)


def laser_class(power_mw: float) -> str:
    """Of a continuous, visible laser: 1, 2, 3R, 3B or 4."""
    return next((name for most, name in LASER_CLASSES if power_mw <= most), "4")


def light_per_radiance(wavelength_nm: float | None) -> Floats:
    """(3,) film light of red, green and blue pixels for 1 W/(m2 sr); None: white, 400..700 nm."""
    paper = SUN_W_PER_M2_NM / math.pi / PAPER_LIGHT  # W/(m2 sr nm) a unit of light
    if wavelength_nm is None:
        return np.full(3, 1 / (paper * (BAND_NM[1] - BAND_NM[0])))
    passed = np.exp(-(((wavelength_nm - _PEAK_NM) / _SIGMA_NM) ** 2) / 2)
    return np.asarray(passed / (paper * _SIGMA_NM * math.sqrt(2 * math.pi)))


@dataclass(frozen=True)
class Spread:
    """A lens's point spread; ``scatter`` is the part of the light that goes into the wings."""

    core_rad: float
    """Standard deviation of the core, a Gaussian."""
    scatter: float

    @property
    def peak(self) -> float:
        """b0 of the wings [1/sr], by their total integrated scatter.

        Source: Harvey's BSDF b0 (1 + (sin(angle) / l)^2)^(s/2) with its total, 2 pi b0 l^2
        / (s + 2) ((1 + 1 / l^2)^((s + 2) / 2) - 1), as in Fest, Stray Light Analysis and Control
        (2013); for dazzled cameras Ritt et al., Sensors 20 (2020) 6308.
        """
        total: float = (1 + 1 / ROLL_OFF**2) ** ((SLOPE + 2) / 2) - 1
        return self.scatter * (SLOPE + 2) / (2 * math.pi * ROLL_OFF**2 * total)

    def at(self, cosine: Floats) -> Floats:
        """[1/sr] by the cosine of the angle to the source; 0 behind."""
        sine2 = np.clip(1 - cosine**2, 0.0, 1.0)
        wings = self.peak * (1 + sine2 / ROLL_OFF**2) ** (SLOPE / 2)
        core = np.exp(-sine2 / (2 * self.core_rad**2)) / (2 * math.pi * self.core_rad**2)
        both: Floats = np.where(cosine > 0, wings + (1 - self.scatter) * core, 0.0)
        return both
