"""Sound at the resonance of a MEMS accelerometer or gyroscope."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simattack.checks import choice, is_number, number
from simattack.onsensor import Moment, OnSensor, at_most
from simattack.radio import require_not_negative
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timing
from simattack.types import Floats, World

MAX_SOUND_DBSPL = 140.0
"""At 1 m, of a loud source that one person can carry (assumed)."""
MAX_PPM = 1000.0
"""Far more than a clock without a crystal is off."""
AXES = ("x", "y", "z")
WAVES = ("sine", "side_swing")
_CLOSEST_M = 0.01


@dataclass(frozen=True)
class Part:
    """What a MEMS sensor makes of sound."""

    first: int
    """Of its three numbers in ``imu``."""
    resonance_hz: float
    quality: float
    """Of the resonance: its frequency over its width."""
    amplitude: float
    """Of the false reading at the resonance, in the sensor's unit (m/s2 or rad/s), ..."""
    at_dbspl: float
    """... under this sound pressure level at the sensor."""
    full_scale: float
    """Largest reading."""
    step: float
    """Smallest difference between readings."""


PARTS = {
    "adxl103": Part(0, 5500.0, 5.0, 4.97, 115.0, 1.7 * 9.80665, 2 * 1.7 * 9.80665 / 4096),
    "l3g4200d": Part(3, 8100.0, 20.0, 0.5, 110.0, math.radians(2000), math.radians(0.07)),
}
"""``adxl103``: an accelerometer; its amplitude was measured by Guo et al., Sensors 21 (2021) 945.
``l3g4200d``: a gyroscope. All their other figures are assumed."""


@register("attacks", "imu_acoustic")
@dataclass(frozen=True)
class ImuAcoustic:
    """A loudspeaker shakes a MEMS sensor's mass at its resonance; samples show it at an alias.

    Physically: the mass swings with the sound, which the sensor takes for motion; where its filter
    lets the swing through, a converter at ``sample_hz`` shows a sinusoid of the frequency
    ``|f - n * sample_hz|`` with the nearest n: a slow oscillation, or at f = n * sample_hz a bias
    (Trippel et al., WALNUT, EuroS&P 2017; on gyroscopes Son et al., Rocking Drones, USENIX Security
    2015). ``side_swing`` lowers the sound whenever the sample would have the wrong sign, so that
    the reading has a mean (Tu et al., Injected and Delivered, USENIX Security 2018).

    The amplitude is the part's, in proportion to the sound's pressure, which falls with distance,
    off the resonance with the response of a damped oscillator, and limited by the part's range.
    Half a step of the part and less does not show.

    Simplified: one axis; no low-pass filter at all; the car reads the newest sample at each tick,
    so what is faster than half of *its* rate aliases again; the compass hears nothing.

    Raises:
        BudgetError: at ``begin``: louder than there are sources.
    """

    needs = ("imu",)

    part: str = "l3g4200d"
    """``l3g4200d``: the gyroscope; ``adxl103``: the accelerometer."""
    axis: str = "z"
    """Of the sensor; z is up, so the gyroscope's is the turning of the car."""
    sound_dbspl: float = 120.0
    """At 1 m from the source."""
    distance_m: float = 1.0
    """From the source to the sensor."""
    loss_db: float = 0.0
    """On the way, on top of distance: a door, a case (a stiff case takes about 20 dB)."""
    alias_hz: float = 1.0
    """What the attacker tunes to: the frequency in the samples; 0 for a bias."""
    frequency_hz: float | None = None
    """Of the sound; None for that nearest to the resonance that shows as ``alias_hz``."""
    sample_hz: float = 100.0
    """Of the sensor's converter, as its maker says."""
    clock_ppm: float = 0.0
    """By which that clock is fast in fact; it makes a bias drift into an oscillation."""
    phase_deg: float | None = None
    """Of the first sample, 90 for the peak; None draws it, as nobody knows it in advance."""
    wave: str = "sine"
    """``sine``, or ``side_swing``: only what has the sign of ``sign``."""
    sign: int = 1
    surface: str = ""
    """For timing's ``near`` only; empty for the episode's own sign."""
    timing: Timing = Timing()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        object.__setattr__(self, "timing", Timing.of(self.timing))
        for name, choices in (("part", tuple(PARTS)), ("axis", AXES), ("wave", WAVES)):
            choice(name, getattr(self, name), choices)
        require_not_negative(self, "sound_dbspl", "distance_m", "loss_db")
        number("clock_ppm", self.clock_ppm, -MAX_PPM, MAX_PPM)
        number("sample_hz", self.sample_hz, 1.0, 1e6)
        if not is_number(self.alias_hz):
            raise ValueError(f"alias_hz must be a number, got {self.alias_hz!r}")
        if abs(self.alias_hz) > self.sample_hz / 2:
            raise ValueError(
                f"alias_hz must be within half of sample_hz, got {self.alias_hz:g} at "
                f"{self.sample_hz:g}"
            )
        if self.frequency_hz is not None:
            number("frequency_hz", self.frequency_hz, 0.0, 1e6)
        if self.phase_deg is not None:
            number("phase_deg", self.phase_deg, -360.0, 360.0)
        if self.sign not in (1, -1):
            raise ValueError(f"sign must be 1 or -1, got {self.sign!r}")

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR,
            Knowledge.BLACK if self.wave == "sine" else Knowledge.GREY,
            Frequency.ONE_SHOT if self.wave == "sine" else Frequency.CONTINUOUS,
            Target.MISLOCALISE,
            Scope.INDIVIDUAL,
            countermeasures=("imu_check",),
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest sound pressure level at 1 m (1,) [dB SPL]."""
        return np.zeros(1), np.full(1, MAX_SOUND_DBSPL)

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        at_most("sound_dbspl", self.sound_dbspl, MAX_SOUND_DBSPL, "of a source, at 1 m")
        shaken = Shaken(self, rng)
        return OnSensor(self, world, "imu", shaken.swing, shaken.set)

    def sounded_hz(self) -> float:
        """The sound's frequency."""
        if self.frequency_hz is not None:
            return self.frequency_hz
        resonance_hz = PARTS[self.part].resonance_hz
        count = round((resonance_hz - self.alias_hz) / self.sample_hz)
        return count * self.sample_hz + self.alias_hz

    def amplitude(self, sound_dbspl: float) -> float:
        """Of the false reading [m/s2 or rad/s], at a sound pressure level at 1 m."""
        part, sounded_hz = PARTS[self.part], self.sounded_hz()
        if sounded_hz == 0:
            return 0.0
        level = sound_dbspl - 20 * math.log10(max(self.distance_m, _CLOSEST_M)) - self.loss_db
        off = part.quality * (sounded_hz / part.resonance_hz - part.resonance_hz / sounded_hz)
        swing = part.amplitude * 10 ** ((level - part.at_dbspl) / 20) / math.hypot(1, off)
        return 0.0 if swing <= part.step / 2 else min(swing, part.full_scale)


class Shaken:
    """An inertial unit in the sound."""

    def __init__(self, recipe: ImuAcoustic, rng: np.random.Generator) -> None:
        self._recipe = recipe
        drawn_rad = float(rng.uniform(0, 2 * math.pi))
        given_deg = recipe.phase_deg
        self._phase_rad = drawn_rad if given_deg is None else math.radians(given_deg)
        self._sounded_hz = recipe.sounded_hz()
        self._amplitude = recipe.amplitude(recipe.sound_dbspl)
        self._channel = PARTS[recipe.part].first + AXES.index(recipe.axis)

    def swing(self, told: Floats, moment: Moment) -> Floats | None:
        """One axis with the sound's alias added, as far as the part's range goes."""
        recipe, on_s = self._recipe, moment.on_s
        if on_s is None or self._amplitude == 0:
            return None
        rate_hz = recipe.sample_hz * (1 + recipe.clock_ppm * 1e-6)
        sample_s = math.floor(on_s * rate_hz + 1e-6) / rate_hz
        # Whole turns are taken away first: thousands of them would cost digits.
        turns = self._sounded_hz * sample_s % 1.0
        swing = math.sin(2 * math.pi * turns + self._phase_rad)
        if recipe.wave == "side_swing":
            swing = recipe.sign * max(recipe.sign * swing, 0.0)
        reading, most = told.copy(), PARTS[recipe.part].full_scale
        reading[self._channel] = np.clip(told[self._channel] + self._amplitude * swing, -most, most)
        return reading

    def set(self, parameters: Floats) -> None:
        """Another sound pressure level at 1 m (1,) [dB SPL]."""
        self._amplitude = self._recipe.amplitude(float(parameters[0]))
