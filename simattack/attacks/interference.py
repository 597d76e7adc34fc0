"""Radio waves into the camera's electronics: stripes of noise, and rows that are lost.

Who says so: Koehler, Baker and Martinovic, Signal Injection Attacks against CCD Image Sensors
(AsiaCCS 2022), who add a voltage to the rows as they are read; Jiang et al., GlitchHiker (USENIX
Security 2023), and Kang et al., Anti-ESIA (2024), on rows that are lost on the way from sensor to
processor: those below move up, and colours swap where an odd number is missing.

What is done: the emitter's field at the camera, E = sqrt(30 P G) / d [V/m] (free space, far
field), times a coupling gives the amplitude that adds to a row as it is read, in the sensor's
linear values. It is one value for all of a row, since the injected envelope is slow against a row;
a row of ours is made of two of the sensor, one with red and green pixels and one with green and
blue, read one after the other.

Simplified: the coupling and the field at which rows are lost differ from camera to camera and are
options (assumed); no resonances over the carrier's frequency, no shielding by the car's body.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number
from simattack.geometry import compose
from simattack.light import BRIGHTEST, codes_of, light_of
from simattack.onsensor import Moment, OnSensor, at_most, middle
from simattack.registry import register
from simattack.shutter import ROW_TIME_S
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timing
from simattack.types import CarInfo, Floats, Frame, Image, World


def field_vpm(power_w: float, gain_dbi: float, distance_m: float) -> float:
    """Electric field [V/m], root mean square, in free space; ITU-R P.525-4, eq. 1 in these units.

    Source: E^2 / (120 pi) = P G / (4 pi d^2).
    """
    return math.sqrt(30 * power_w * 10 ** (gain_dbi / 10)) / distance_m


@register("attacks", "interference")
@dataclass(frozen=True)
class Interference:
    """An emitter of stated power, at a stated distance from the camera or at a surface.

    Raises:
        BudgetError: at ``begin``: more power than anybody would carry.
    """

    needs = ("camera",)

    MAX_W = 50.0
    """A portable amplifier on batteries; assumed."""
    MAX_DBI = 20.0
    """A horn or a long directional antenna; assumed."""

    power_w: float = 10.0
    gain_dbi: float = 9.0
    """Of the antenna."""
    distance_m: float | None = 1.0
    """From the camera, as from the next lane; None for an emitter at ``surface``."""
    modulation_hz: float | None = None
    """Of the injected envelope; None for noise, a value of its own for every row."""
    coupling_per_vpm: float = 0.001
    """Part of the sensor's full scale for 1 V/m; assumed. At 30 V/m it is 3 %."""
    loss_field_vpm: float | None = None
    """A field at which two in three rows of the sensor are lost; None if none ever is. The
    chance is 1 - exp(-(E / this)^2); assumed."""
    row_time_s: float = ROW_TIME_S
    surface: str = ""
    """Where the emitter stands; empty for the sign of the episode's own site."""
    timing: Timing = Timing()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        number("power_w", self.power_w)
        number("gain_dbi", self.gain_dbi, -20.0, 60.0)
        if self.distance_m is not None:
            number("distance_m", self.distance_m, 0.1, 10_000.0)
        if self.modulation_hz is not None:
            number("modulation_hz", self.modulation_hz, 0.1, 1e9)
        number("coupling_per_vpm", self.coupling_per_vpm, 0.0, 1.0)
        if self.loss_field_vpm is not None:
            number("loss_field_vpm", self.loss_field_vpm, 0.001, 1e6)
        number("row_time_s", self.row_time_s, 1e-7, 1e-3)
        object.__setattr__(self, "timing", Timing.of(self.timing))

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR,
            Knowledge.BLACK,
            Frequency.CONTINUOUS,
            Target.DEGRADE,
            Scope.UNIVERSAL,
            countermeasures=("glare_check",),
        )

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        at_most("power_w", self.power_w, self.MAX_W)
        at_most("gain_dbi", self.gain_dbi, self.MAX_DBI)
        place = middle(self, world) if self.distance_m is None else None
        return OnSensor(self, world, "camera", Injecting(self, place, rng).inject)


class Injecting:
    """One episode of it."""

    def __init__(
        self, recipe: Interference, place: Floats | None, rng: np.random.Generator
    ) -> None:
        self._recipe = recipe
        self._place = place
        self._phase = float(rng.random())
        self._rng = rng

    def inject(self, image: Image, moment: Moment) -> Image | None:
        """Rows get what the field adds to them, or are lost."""
        r = self._recipe
        field = field_vpm(r.power_w, r.gain_dbi, self._distance_m(moment.frame))
        rows = image.shape[0]
        added = r.coupling_per_vpm * field * self._envelope(rows, moment.captured_s)
        # Red is in the first of a row's two, blue in the second, green in both.
        red, blue = added[0::2], added[1::2]
        out = image
        if added.any():
            offset = np.stack([red, (red + blue) / 2, blue], 1)[:, None]
            light = light_of(image) + np.asarray(offset * BRIGHTEST, np.float32)
            out = codes_of(np.maximum(light, 0))
        if r.loss_field_vpm is not None:
            lost = self._rng.random(2 * rows) < 1 - math.exp(-((field / r.loss_field_vpm) ** 2))
            if lost.any():
                out = without(out, lost)
        return None if out is image else out

    def _envelope(self, rows: int, captured_s: float) -> Floats:
        """(2 rows,) of the sensor's rows, of root mean square 1."""
        r = self._recipe
        if r.modulation_hz is None:
            return self._rng.standard_normal(2 * rows)
        time_s = captured_s + np.arange(2 * rows) * r.row_time_s / 2
        turns = (time_s * r.modulation_hz + self._phase) % 1.0
        wave: Floats = math.sqrt(2) * np.sin(2 * np.pi * turns)
        return wave

    def _distance_m(self, frame: Frame) -> float:
        if self._recipe.distance_m is not None:
            return self._recipe.distance_m
        assert self._place is not None  # begin fetched it
        pose = compose(frame.ego.pose, CarInfo().camera.mount)
        away = self._place - (pose.x_m, pose.y_m, pose.z_m)
        return max(float(np.linalg.norm(away)), 0.1)


def without(image: Image, lost: NDArray[np.bool_]) -> Image:
    """The picture of a sensor of which rows are lost: what is below moves up, black at the end.

    Args:
        image: (H, W, 3); row r is made of the sensor's rows 2 r and 2 r + 1.
        lost: (2 H,) rows of the sensor.
    """
    left = np.flatnonzero(~lost)
    count = len(left) // 2
    first = left[: 2 * count : 2]
    out = np.zeros_like(image)
    out[:count] = image[first // 2]
    # A row of green and blue pixels, taken for one of red and green.
    swapped = np.flatnonzero(first % 2)
    out[swapped] = out[swapped][:, :, ::-1]
    return out
