"""Genuine GNSS signals, received elsewhere or earlier and sent again near the car."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from simattack.checks import choice, is_number
from simattack.geodesy import moved
from simattack.onsensor import Moment, OnSensor, at_most
from simattack.radio import (
    LIGHT_MPS,
    Emitter,
    Lock,
    Outbox,
    require_not_negative,
    triple,
)
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timing
from simattack.types import Floats, Pose, World

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
            Stage.SENSOR,
            Knowledge.BLACK,
            Frequency.ONE_SHOT,
            Target.MISLOCALISE,
            Scope.UNIVERSAL,
            countermeasures=("gnss_gate",),
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest power (1,) [mW]."""
        return np.zeros(1), np.full(1, MAX_POWER_MW)

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        at_most("power_mw", self.power_mw, MAX_POWER_MW, "of a repeater")
        at_most("delay_s", self.delay_s, MAX_DELAY_S, "of a record")
        meaconed = Meaconed(self, world)
        return OnSensor(self, world, "gnss", meaconed.fix, meaconed.set, is_lingering=True)


class Meaconed:
    """A receiver near a repeater."""

    def __init__(self, recipe: GnssMeaconing, world: World) -> None:
        self._recipe = recipe
        self._origin_deg = world.geo_origin
        self._emitter = recipe.emitter
        self._stand = self._emitter.standing(world, recipe.surface)
        self._lock = Lock(recipe.takeover_s)
        self._outbox = Outbox(recipe.lost_fix)
        self._power_mw = recipe.power_mw
        self._past: deque[tuple[float, Floats]] = deque()
        self.clock_shift_s = 0.0
        """By which the receiver's clock is late, at the last tick."""

    def fix(self, told: Floats, moment: Moment) -> Floats | None:
        """The receiving antenna's place, or none while the receiver changes over."""
        frame, ego = moment.frame, moment.frame.ego.pose
        replayed = self._replayed(ego, frame.time_s)
        distance_m = self._emitter.distance_to(ego, self._stand)
        over_db = self._emitter.over_signal_db(distance_m, self._power_mw)
        is_there = moment.on_s is not None and replayed is not None
        tracked = self._lock.step(is_there and over_db >= TAKEOVER_DB, frame.time_s)
        self.clock_shift_s = 0.0
        if tracked == "none":
            return self._outbox.without_fix()
        if tracked == "genuine" or replayed is None:
            self._outbox.sent(told)
            return None
        self.clock_shift_s = self._recipe.delay_s + distance_m / LIGHT_MPS
        by_m = replayed - (ego.x_m, ego.y_m, ego.z_m)
        return self._outbox.sent(moved(told, by_m, self._origin_deg))

    def set(self, parameters: Floats) -> None:
        """Another power (1,) [mW]."""
        self._power_mw = float(parameters[0])

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
