"""Noise on L1 from a jammer beside the road or carried near the car."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simattack.checks import choice, number
from simattack.geodesy import moved
from simattack.onsensor import Moment, OnSensor, at_most
from simattack.radio import (
    QUALITY,
    Emitter,
    Outbox,
    code_noise_m,
    effective_cn0_dbhz,
    require_not_negative,
    triple,
)
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timing
from simattack.types import Floats, World

MAX_POWER_MW = 1000.0
"""What a jammer that is plugged into a car radiates at most (assumed)."""
MAX_DBHZ = 60.0
"""No antenna that sees the sky has more."""


@register("attacks", "gnss_jamming")
@dataclass(frozen=True)
class GnssJamming:
    """A jammer lowers the carrier to noise density, and so spoils or takes the receiver's fix.

    Physically: noise from an isotropic antenna, weakened by free space and ``loss_db``, adds to the
    receiver's own (Kaplan & Hegarty, Understanding GPS, 2nd ed., section 6.2). The code loops'
    thermal noise grows (eq. 5.23) and shows in the fix. Below ``track_dbhz`` tracking fails and
    the fix is lost; it is back ``reacquire_s`` after the density has come to stay above
    ``acquire_dbhz``.

    Simplified: all satellites are equally strong and jammed alike; the noise of a fix is the code
    loops' times the dilution of precision, on top of what the receiver shows without a jammer, and
    correlated as by a first-order loop (time constant 1 / 4B); neither carrier smoothing nor
    saturation of the front end. The loop's figures are assumed, of the kind that the book plots.

    Raises:
        BudgetError: at ``begin``: more power than such jammers have.
    """

    needs = ("gnss",)

    power_mw: float = 10.0
    """Radiated (EIRP)."""
    at: str = "car"
    """``car``: carried near the car; ``surface``: at the attack's surface; ``place``."""
    distance_m: float = 10.0
    """Of a jammer that is carried, from the car's antenna."""
    place_m: tuple[float, float, float] | None = None
    """World frame, for ``place``."""
    loss_db: float = 0.0
    """On top of free space."""
    quality: float = QUALITY
    """Of the jammer's spectrum: 1 a tone, 2 noise over the signal's band."""
    cn0_dbhz: float = 45.0
    """Without the jammer."""
    track_dbhz: float = 25.0
    """Below it, tracking fails."""
    acquire_dbhz: float = 33.0
    """Above it, signals are found again."""
    reacquire_s: float = 2.0
    """For finding them (assumed; receivers state 1 to 2 s)."""
    lost_fix: str = "none"
    """What the receiver delivers without a fix: ``none`` (three times inf), or the last fix
    ``frozen``."""
    loop_bandwidth_hz: float = 1.0
    spacing_chips: float = 0.5
    """Between early and late."""
    integration_s: float = 0.02
    """Before detection; a data bit lasts as long."""
    front_hz: float = 8e6
    """Bandwidth of the front end, on both sides."""
    hdop: float = 1.0
    """Horizontal dilution of precision."""
    vdop: float = 1.5
    surface: str = ""
    """For ``at: surface`` and for timing's ``near``; empty for the episode's own sign."""
    timing: Timing = Timing()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        object.__setattr__(self, "timing", Timing.of(self.timing))
        object.__setattr__(self, "place_m", triple("place_m", self.place_m))
        _ = self.emitter
        require_not_negative(self, "reacquire_s", "hdop", "vdop")
        for name in ("cn0_dbhz", "track_dbhz", "acquire_dbhz"):
            number(name, getattr(self, name), 0.0, MAX_DBHZ)
        for name, low, high in (
            ("quality", 0.01, 100.0),
            ("loop_bandwidth_hz", 0.001, 1000.0),
            ("spacing_chips", 0.01, 1.0),
            ("integration_s", 1e-4, 10.0),
            ("front_hz", 1e5, 1e9),
        ):
            number(name, getattr(self, name), low, high)
        if not self.track_dbhz <= self.acquire_dbhz <= self.cn0_dbhz:
            raise ValueError(
                "track_dbhz <= acquire_dbhz <= cn0_dbhz expected, got "
                f"{self.track_dbhz}, {self.acquire_dbhz}, {self.cn0_dbhz}"
            )
        choice("lost_fix", self.lost_fix, Outbox.CHOICES)

    @property
    def emitter(self) -> Emitter:
        return Emitter(self.power_mw, self.at, self.distance_m, self.place_m, self.loss_db)

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR,
            Knowledge.BLACK,
            Frequency.ONE_SHOT,
            Target.DEGRADE,
            Scope.UNIVERSAL,
            countermeasures=("gnss_gate",),
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest power (1,) [mW]."""
        return np.zeros(1), np.full(1, MAX_POWER_MW)

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        at_most("power_mw", self.power_mw, MAX_POWER_MW, "of a jammer")
        jammed = Jammed(self, world, rng)
        return OnSensor(self, world, "gnss", jammed.fix, jammed.set, is_lingering=True)

    def effective_dbhz(self, distance_m: float, power_mw: float | None = None) -> float:
        """C/N0 of the jammed receiver at a distance from the jammer."""
        js_db = self.emitter.over_signal_db(distance_m, power_mw)
        return effective_cn0_dbhz(self.cn0_dbhz, js_db, self.quality)

    def range_noise_m(self, cn0_dbhz: float) -> float:
        """Standard deviation of one range."""
        return code_noise_m(
            cn0_dbhz,
            self.loop_bandwidth_hz,
            self.spacing_chips,
            self.integration_s,
            self.front_hz,
        )


class Jammed:
    """A receiver in the jammer's field."""

    def __init__(self, recipe: GnssJamming, world: World, rng: np.random.Generator) -> None:
        self._recipe = recipe
        self._origin_deg = world.geo_origin
        self._rng = rng
        self._emitter = recipe.emitter
        self._stand = self._emitter.standing(world, recipe.surface)
        self._outbox = Outbox(recipe.lost_fix)
        self._power_mw = recipe.power_mw
        self._is_locked = True
        self._found_s: float | None = None
        self._wander: Floats | None = None
        self._time_s = 0.0
        self.cn0_dbhz = recipe.cn0_dbhz
        """At the last tick."""

    def fix(self, told: Floats, moment: Moment) -> Floats | None:
        """A noisier fix, or none."""
        recipe, time_s = self._recipe, moment.frame.time_s
        distance_m = self._emitter.distance_to(moment.frame.ego.pose, self._stand)
        power_mw = 0.0 if moment.on_s is None else self._power_mw
        self.cn0_dbhz = recipe.effective_dbhz(distance_m, power_mw)
        wander = self._wandered(time_s)
        if not self._has_fix(time_s):
            return self._outbox.without_fix()
        own = recipe.range_noise_m(recipe.cn0_dbhz)
        # Rounding alone may make a faint jammer's a hair less than none's.
        extra_m = math.sqrt(max(recipe.range_noise_m(self.cn0_dbhz) ** 2 - own**2, 0.0))
        if extra_m == 0:
            self._outbox.sent(told)
            return None
        each = recipe.hdop / math.sqrt(2)
        error = extra_m * wander * (each, each, recipe.vdop)
        return self._outbox.sent(moved(told, error, self._origin_deg))

    def set(self, parameters: Floats) -> None:
        """Another power (1,) [mW]."""
        self._power_mw = float(parameters[0])

    def _has_fix(self, time_s: float) -> bool:
        recipe = self._recipe
        if self._is_locked:
            self._is_locked = self.cn0_dbhz >= recipe.track_dbhz
            self._found_s = None
        elif self.cn0_dbhz < recipe.acquire_dbhz:
            self._found_s = None
        else:
            if self._found_s is None:
                self._found_s = time_s
            self._is_locked = time_s - self._found_s >= recipe.reacquire_s - 1e-9
        return self._is_locked

    def _wandered(self, time_s: float) -> Floats:
        """(3,) the error of x, y, z in standard deviations; one draw a tick."""
        draw = self._rng.standard_normal(3)
        if self._wander is None:
            self._wander = draw
        else:
            keep = math.exp(-4 * self._recipe.loop_bandwidth_hz * (time_s - self._time_s))
            self._wander = keep * self._wander + math.sqrt(1 - keep**2) * draw
        self._time_s = time_s
        return self._wander
