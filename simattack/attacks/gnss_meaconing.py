"""Genuine GNSS signals, received elsewhere or earlier and sent again near the car."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from simattack.checks import choice, is_number
from simattack.errors import BudgetError
from simattack.geodesy import moved
from simattack.radio import (
    LIGHT_MPS,
    Emitter,
    Lock,
    Outbox,
    fitted,
    require_not_negative,
    surface_place,
    triple,
)
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timer, Timing
from simattack.types import Floats, Frame, Observation, Pose, World

ANTENNAS = ("car", "place")
MAX_POWER_MW = 1000.0
"""The same as a jammer's."""
TAKEOVER_DB = 2.0
"""By which the replayed signals must be the stronger (assumed)."""
MAX_DELAY_S = 3600.0
"""Orbits broadcast for the time of recording hold for hours; no episode is longer."""


@register("attacks", "gnss_meaconing")
@dataclass(frozen=True)
class GnssMeaconing:
    """A repeater: the signals at its receiving antenna are sent out again beside the car.

    Physically: every pseudorange is the one of the receiving antenna plus the same delay, of the
    cable or the record and of the way from the sender to the car. What is common to all ranges is
    the clock's, so the fix is the place of the *receiving antenna*, wherever the car is, and the
    clock is late by the delay (Kaplan & Hegarty, Understanding GPS, 2nd ed., section 2.4, on
    four unknowns; on repeaters Humphreys et al., ION GNSS 2008). With an antenna that moves, the
    fix is where it was a ``delay_s`` ago: recorded on the car itself, its own past.

    Simplified: every satellite's signal is replayed and the receiver tracks only replayed ones;
    its clock takes any delay (``clock_shift_s`` tells how much, for those who would check it); its
    noise stays as it is. The change over costs the lock, as nothing is aligned.

    Raises:
        BudgetError: at ``begin``: more power, or a longer record, than there is.
    """

    needs = ("gnss",)

    antenna: str = "car"
    """``car``: the receiving antenna moves along with the car; ``place``: it stands."""
    antenna_m: tuple[float, float, float] | None = None
    """World frame, for ``place``."""
    antenna_ahead_m: float = -30.0
    """For ``car``: ahead of it, such as on a vehicle that follows (negative)."""
    antenna_right_m: float = 0.0
    """For ``car``: to the right of it."""
    delay_s: float = 0.0
    """From the antenna to the sender: cable and amplifier, or a record."""
    takeover_s: float = 2.0
    """Without a fix while the receiver changes from one set of signals to the other (assumed;
    receivers state 1 to 2 s)."""
    lost_fix: str = "none"
    """What the receiver delivers meanwhile: ``none`` (three times inf), or the last fix
    ``frozen``."""
    power_mw: float = 0.01
    """Radiated (EIRP)."""
    at: str = "car"
    """The sender. ``car``: carried near the car; ``surface``: at the attack's surface;
    ``place``."""
    distance_m: float = 10.0
    """Of a sender that is carried, from the car's antenna."""
    place_m: tuple[float, float, float] | None = None
    """World frame, for ``place``."""
    loss_db: float = 0.0
    """On top of free space."""
    surface: str = ""
    """For ``at: surface`` and for timing's ``near``; empty for the episode's own sign."""
    timing: Timing = Timing()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        object.__setattr__(self, "timing", Timing.of(self.timing))
        for name in ("place_m", "antenna_m"):
            object.__setattr__(self, name, triple(name, getattr(self, name)))
        _ = self.emitter
        require_not_negative(self, "delay_s", "takeover_s")
        for name in ("antenna_ahead_m", "antenna_right_m"):
            if not is_number(getattr(self, name)):
                raise ValueError(f"{name} must be a number, got {getattr(self, name)!r}")
        for name, choices in (("antenna", ANTENNAS), ("lost_fix", Outbox.CHOICES)):
            choice(name, getattr(self, name), choices)
        if (self.antenna == "place") != (self.antenna_m is not None):
            raise ValueError(
                f"antenna_m needs x, y, z with antenna 'place' and None otherwise, got "
                f"{self.antenna_m!r} with antenna {self.antenna!r}"
            )

    @property
    def emitter(self) -> Emitter:
        return Emitter(self.power_mw, self.at, self.distance_m, self.place_m, self.loss_db)

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR, Knowledge.BLACK, Frequency.ONE_SHOT, Target.MISLOCALISE, Scope.UNIVERSAL
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest power (1,) [mW]."""
        return np.zeros(1), np.full(1, MAX_POWER_MW)

    def begin(self, world: World, rng: np.random.Generator) -> Meaconed:
        if self.power_mw > MAX_POWER_MW:
            raise BudgetError(
                f"power_mw: a repeater radiates at most {MAX_POWER_MW:g} mW, got {self.power_mw:g}"
            )
        if self.delay_s > MAX_DELAY_S:
            raise BudgetError(
                f"delay_s: a record is at most {MAX_DELAY_S:g} s old, got {self.delay_s:g}"
            )
        is_placed = self.at == "surface" or self.timing.event == "near"
        surface_m = surface_place(world, self.surface) if is_placed else None
        return Meaconed(self, world.geo_origin, surface_m)


class Meaconed:
    """A receiver near a repeater."""

    def __init__(
        self, recipe: GnssMeaconing, origin_deg: tuple[float, float], surface_m: Floats | None
    ) -> None:
        self._recipe = recipe
        self._origin_deg = origin_deg
        self._emitter = recipe.emitter
        self._stand = self._emitter.stand(surface_m)
        self._timer = Timer(recipe.timing, surface_m)
        self._lock = Lock(recipe.takeover_s)
        self._outbox = Outbox(recipe.lost_fix)
        self._power_mw = recipe.power_mw
        self._past: deque[tuple[float, Floats]] = deque()
        self._is_over = False
        self.clock_shift_s = 0.0
        """By which the receiver's clock is late, at the last tick."""

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        if self._is_over:
            return obs
        is_on = self._timer.is_on(frame)
        ego = frame.ego.pose
        replayed = self._replayed(ego, frame.time_s)
        distance_m = self._emitter.distance_to(ego, self._stand)
        over_db = self._emitter.over_signal_db(distance_m, self._power_mw)
        is_false = is_on and replayed is not None and over_db >= TAKEOVER_DB
        tracked = self._lock.step(is_false, frame.time_s)
        self.clock_shift_s = 0.0
        if tracked == "none":
            return {**obs, "gnss": self._outbox.without_fix()}
        if tracked == "genuine" or replayed is None:
            self._outbox.sent(obs["gnss"])
            return obs
        self.clock_shift_s = self._recipe.delay_s + distance_m / LIGHT_MPS
        by_m = replayed - (ego.x_m, ego.y_m, ego.z_m)
        return {**obs, "gnss": self._outbox.sent(moved(obs["gnss"], by_m, self._origin_deg))}

    def set(self, parameters: Floats) -> None:
        """Another power (1,) [mW].

        Raises:
            ConfigError: not one number.
        """
        self._power_mw = float(fitted(parameters, self._recipe.box, "a power (1,) [mW]")[0])

    def end(self) -> None:
        self._is_over = True

    def _replayed(self, ego: Pose, time_s: float) -> Floats | None:
        """(3,) where the receiving antenna was a delay ago; None before the record begins."""
        recipe = self._recipe
        if recipe.antenna_m is not None:
            return np.array(recipe.antenna_m)
        cos, sin = math.cos(ego.yaw_rad), math.sin(ego.yaw_rad)
        ahead, right = recipe.antenna_ahead_m, recipe.antenna_right_m
        here = np.array(
            [ego.x_m + ahead * cos - right * sin, ego.y_m + ahead * sin + right * cos, ego.z_m]
        )
        self._past.append((time_s, here))
        then_s = time_s - recipe.delay_s + 1e-9
        if self._past[0][0] > then_s:
            return None
        while len(self._past) > 1 and self._past[1][0] <= then_s:
            self._past.popleft()
        return self._past[0][1]
