"""Sound at the resonance of a stabiliser's gyroscope: the lens moves while the picture is exposed.

Who says so: Ji et al., Poltergeist: Acoustic Adversarial Machine Learning against Cameras and
Computer Vision (IEEE S&P 2021).

What is done: the stabiliser answers a rate that is not there, and smears the picture by the angle
that it turns in the exposure: a point becomes a line of focal length [px] * rate * exposure for
yaw and pitch (linear blur), an arc of radius [px] * rate * exposure for roll (rotational blur).
With ``frequency_hz``, what is left of the sound's after sampling, the rate swings as a cosine,
and the picture also sways as a whole. Light is averaged along the path, in linear light.

Simplified: rates are given, not sound pressures, since what a gyroscope makes of a sound differs
from part to part; every row has the same path (no bending by a rolling shutter); a constant rate
is taken to begin again from half its way before the middle at each picture; the outermost pixels
stand in for what is beyond the edge; no blur by accelerometers along the axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simattack.checks import number
from simattack.errors import BudgetError
from simattack.light import Light, codes_of, light_of
from simattack.onsensor import Moment, OnSensor
from simattack.registry import register
from simattack.shutter import EXPOSURE_S
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timing
from simattack.types import Camera, Floats, Image, World

AXES = ("yaw_dps", "pitch_dps", "roll_dps")
_TAPS_A_PX = 64
"""Places along a path of one pixel; those in the same pixel are shifted together."""


@register("attacks", "shake")
@dataclass(frozen=True)
class Shake:
    """False rates of a stabilised camera; largest rates where they swing.

    Raises:
        BudgetError: at ``begin``: the stabiliser cannot move so far.
    """

    needs = ("camera",)

    MAX_TRAVEL_DEG = 3.0
    """From stop to stop, each axis: 1.5 to either side, as stabilised lenses and sensors have
    (assumed; makers speak of one to a few degrees)."""
    MAX_DPS = 2000.0
    """Full scale of usual gyroscopes, such as TDK InvenSense's ICM-20948."""

    yaw_dps: float = 300.0
    """Degrees a second; to the right."""
    pitch_dps: float = 0.0
    """Up."""
    roll_dps: float = 0.0
    """Clockwise, seen from behind."""
    frequency_hz: float = 0.0
    """Of the rate's swinging; 0 for a constant rate."""
    exposure_s: float = EXPOSURE_S
    surface: str = ""
    """Where ``timing: {event: near}`` is measured from; empty for the site's own sign."""
    timing: Timing = Timing()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        for name in AXES:
            number(name, getattr(self, name), -1e6, 1e6)
        number("frequency_hz", self.frequency_hz, 0.0, 1e5)
        number("exposure_s", self.exposure_s, 1e-6, 0.1)
        object.__setattr__(self, "timing", Timing.of(self.timing))

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR, Knowledge.BLACK, Frequency.CONTINUOUS, Target.HIDE, Scope.UNIVERSAL
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest parameters (3,): rates of yaw, pitch and roll [deg/s]."""
        if self.frequency_hz > 0:
            most = self.MAX_TRAVEL_DEG * math.pi * self.frequency_hz
        else:
            most = self.MAX_TRAVEL_DEG / self.exposure_s
        most = min(most, self.MAX_DPS)
        return np.full(3, -most), np.full(3, most)

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        most = float(self.box[1][0])
        for name in AXES:
            if abs(getattr(self, name)) > most * (1 + 1e-9):
                raise BudgetError(
                    f"{name} is {getattr(self, name):g}, allowed are {most:.4g}: "
                    f"{self.MAX_TRAVEL_DEG:g} degrees of travel, {self.MAX_DPS:g} deg/s"
                )
        shaking = Shaking(self, rng)
        return OnSensor(self, world, "camera", shaking.smear, shaking.set)


class Shaking:
    """One episode of it."""

    def __init__(self, recipe: Shake, rng: np.random.Generator) -> None:
        self._recipe = recipe
        self._rates = np.array([getattr(recipe, name) for name in AXES])
        self._phase = float(rng.random())

    def set(self, parameters: Floats) -> None:
        """Other rates (3,) [deg/s]."""
        self._rates = parameters

    def smear(self, image: Image, moment: Moment) -> Image | None:
        """The mean of the picture along the exposure's path."""
        r, captured_s = self._recipe, moment.captured_s
        if not self._rates.any():
            return None
        rows, columns = image.shape[:2]
        focal_px = Camera(width_px=columns, height_px=rows).focal_px
        corner_px = math.hypot(rows, columns) / 2

        def path(count: int) -> Floats:
            """(count, 3) right, down [px] and turn [rad] of the view along the exposure."""
            part = (np.arange(count) + 0.5) / count
            if r.frequency_hz == 0:
                reach = (part - 0.5) * r.exposure_s
            else:
                turns = (captured_s + part * r.exposure_s) * r.frequency_hz + self._phase
                reach = np.sin(2 * np.pi * turns) / (2 * np.pi * r.frequency_hz)
            angle = np.radians(reach[:, None] * self._rates)
            return np.asarray(angle * (focal_px, -focal_px, 1.0))

        rough = path(257)
        steps = np.abs(np.diff(rough, axis=0)).sum(0) * 257 / 256
        length_px = math.ceil(math.hypot(steps[0], steps[1]) + steps[2] * corner_px)
        light = light_of(image)
        if self._rates[2] == 0:
            return codes_of(_shifted(light, path(max(_TAPS_A_PX * length_px, 1))))
        return codes_of(_turned(light, path(length_px + 1)))


def _shifted(light: Light, path: Floats) -> Light:
    """Mean of a picture seen from each place of a path that does not turn."""
    places, counts = np.unique(np.rint(path[:, :2]).astype(int), axis=0, return_counts=True)
    rows, columns = light.shape[:2]
    most = np.abs(places).max(0)
    wide = np.pad(light, ((most[1], most[1]), (most[0], most[0]), (0, 0)), mode="edge")
    out = np.zeros_like(light)
    for (right, down), count in zip(places, counts, strict=True):
        top, left = most[1] + down, most[0] + right
        out += np.float32(count / len(path)) * wide[top : top + rows, left : left + columns]
    return out


def _turned(light: Light, path: Floats) -> Light:
    """The same for one that does; the nearest pixel stands for each place."""
    rows, columns = light.shape[:2]
    y = (np.arange(rows, dtype=np.float32) + 0.5 - rows / 2)[:, None]
    x = (np.arange(columns, dtype=np.float32) + 0.5 - columns / 2)[None]
    flat = light.reshape(-1, 3)
    out = np.zeros_like(flat)
    for right, down, turn in path.astype(np.float32):
        cos, sin = np.cos(turn), np.sin(turn)
        column = np.floor(cos * x - sin * y + (right + columns / 2)).clip(0, columns - 1)
        row = np.floor(sin * x + cos * y + (down + rows / 2)).clip(0, rows - 1)
        index = row.astype(np.intp) * columns + column.astype(np.intp)
        out += flat.take(index.ravel(), axis=0)
    mean: Light = (out / np.float32(len(path))).reshape(light.shape)
    return mean
