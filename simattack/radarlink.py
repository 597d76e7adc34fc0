"""What a car's radar receives: its own echo, noise, and an adversary's transmitter.

The radar sends chirps and integrates all of a look coherently, so that an echo lies in one cell
of range and velocity as wide as one look takes: ``1 / T``. Noise and jamming are counted in that
cell. A jammer whose noise is narrower than a chirp's sweep hits each chirp for that part of its
time: no gain to it. The figures are assumed, of a usual 77 GHz radar for long range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simattack.checks import number
from simattack.radio import LIGHT_MPS
from simattack.types import Floats

NOISE_W_HZ = 1.380649e-23 * 290.0
"""Thermal noise of a matched receiver at 290 K."""


def watts(dbm: float) -> float:
    """Of decibels over a milliwatt."""
    return float(10 ** (dbm / 10 - 3))


@dataclass(frozen=True)
class RadarLink:
    """A radar's transmitter, antenna and receiver.

    Raises:
        ValueError: a value makes no sense.
    """

    eirp_dbm: float = 33.0
    gain_dbi: float = 20.0
    """Of the receiving antenna, along a beam."""
    frequency_hz: float = 76.5e9
    sweep_hz: float = 500e6
    """Of one chirp."""
    look_s: float = 0.005
    """For which one look is integrated."""
    noise_figure_db: float = 12.0
    loss_db: float = 10.0
    """Of an echo: the bumper, windows, what integration loses."""
    snr_db: float = 13.0
    """Least ratio at which an echo is told as a return."""
    beam_deg: float = 6.0
    """Full width of a beam, to half its power, to the sides."""
    sidelobe_db: float = 25.0
    """By which a beam is weaker far beside its axis."""

    def __post_init__(self) -> None:
        number("eirp_dbm", self.eirp_dbm, -50.0, 70.0)
        number("gain_dbi", self.gain_dbi, -20.0, 60.0)
        number("frequency_hz", self.frequency_hz, 1e9, 1e12)
        number("sweep_hz", self.sweep_hz, 1e5, 1e11)
        number("look_s", self.look_s, 1e-6, 1.0)
        number("noise_figure_db", self.noise_figure_db, 0.0, 60.0)
        number("loss_db", self.loss_db, 0.0, 60.0)
        number("snr_db", self.snr_db, -20.0, 60.0)
        number("beam_deg", self.beam_deg, 0.1, 360.0)
        number("sidelobe_db", self.sidelobe_db, 0.0, 80.0)

    @property
    def noise_w(self) -> float:
        """In the cell of an echo."""
        return float(NOISE_W_HZ * 10 ** (self.noise_figure_db / 10) / self.look_s)

    @property
    def snr(self) -> float:
        """``snr_db`` as a ratio."""
        return float(10 ** (self.snr_db / 10))

    def echo_w(self, range_m: Floats, rcs_m2: Floats) -> Floats:
        """Of a target; the radar equation, P = EIRP G l^2 rcs / ((4 pi)^3 R^4 L).

        Source: Skolnik, Introduction to Radar Systems, 3rd ed. (2001), chapter 2.
        """
        return np.asarray(self._at_one_metre * np.asarray(rcs_m2) / np.asarray(range_m) ** 4)

    def received_w(self, eirp_mw: float, distance_m: float) -> float:
        """Of a transmitter that a beam points at, in free space (Friis)."""
        wave_m = LIGHT_MPS / self.frequency_hz
        gain = 10 ** (self.gain_dbi / 10)
        return float(eirp_mw / 1000 * gain * (wave_m / (4 * math.pi * distance_m)) ** 2)

    def jamming_w(self, eirp_mw: float, distance_m: float, band_hz: float) -> float:
        """Noise of a jammer that a beam points at, in the cell of an echo.

        Args:
            eirp_mw: of all its noise.
            distance_m: to the radar.
            band_hz: over which the noise is spread.
        """
        wide_hz = max(band_hz, self.sweep_hz)
        return self.received_w(eirp_mw, distance_m) / (wide_hz * self.look_s)

    def beside(self, angle_rad: Floats) -> Floats:
        """Gain of a beam so far beside its axis, against that along it."""
        turn = (np.asarray(angle_rad) + np.pi) % (2 * np.pi) - np.pi
        down_db = np.minimum(12 * (turn / math.radians(self.beam_deg)) ** 2, self.sidelobe_db)
        return np.asarray(10 ** (-down_db / 10))

    def detection_m(self, rcs_m2: float, jamming_w: float = 0.0) -> float:
        """Range within which a target is told: without a jammer its detection range, with one
        its burn-through range.
        """
        least_w = (self.noise_w + jamming_w) * self.snr
        return float((self._at_one_metre * rcs_m2 / least_w) ** 0.25)

    def imitating_mw(self, rcs_m2: float, range_m: float, distance_m: float) -> float:
        """EIRP by which a repeater at a distance looks as strong as a target at a range."""
        echo_w = float(self.echo_w(np.array(range_m), np.array(rcs_m2)))
        return echo_w / self.received_w(1.0, distance_m)

    @property
    def _at_one_metre(self) -> float:
        """Echo of 1 m2 at 1 m."""
        wave_m = LIGHT_MPS / self.frequency_hz
        gain = 10 ** ((self.gain_dbi - self.loss_db) / 10)
        return float(watts(self.eirp_dbm) * gain * wave_m**2 / (4 * math.pi) ** 3)
