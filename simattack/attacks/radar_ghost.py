"""A repeater that answers the radar's chirps later and shifted, as a car would that is not there.

Who says so: Komissarov and Wool, Spoofing Attacks Against Vehicular FMCW Radar (ASHES 2021), and
Hunt et al., MadRadar (NDSS 2024), who made a radar see a car at ranges and speeds of their choice.

What is done: a repeated chirp looks as far away as it is late, 2 R / c, and as fast as it is
shifted, 2 v / l; it comes from where the repeater is. As strong as a target of ``rcs_m2`` at that
range needs the power that the radar equation gives (radarlink.py); with less the ghost is weaker,
and below ``snr_db`` it is not told. A repeater that is not in time with the radar's next chirps
can only be late: its ghost is not nearer than itself and the way through it.

Simplified: the ghost makes ``returns`` returns, scattered a little; the real echo of what carries
the repeater stays; no sidebands and no second ghost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.checks import choice, number
from simattack.emplacement import Emplaced
from simattack.geometry import compose
from simattack.onsensor import Moment, OnSensor, at_most
from simattack.radarlink import RadarLink
from simattack.radio import LIGHT_MPS
from simattack.reading import option
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Floats, Frame, Radar, World

PROFILES = ("standing", "following", "approaching")
NEAREST_M = 1.0
"""A ghost that has come so near is over."""


@register("attacks", "radar_ghost")
@dataclass(frozen=True, kw_only=True)
class RadarGhost(Emplaced):
    """A repeater makes the radar see a car that stands, drives along or comes nearer.

    Raises:
        BudgetError: at ``begin``: more power than anybody would carry, or a shift beyond it.
    """

    needs = ("radar",)

    MAX_MW = 100_000.0
    """An amplifier of 0.1 W at 77 GHz behind a horn of 30 dBi; assumed."""
    MAX_MPS = 100.0
    """Of speed that a shift tells; assumed."""

    power_mw: float = 100.0
    """Radiated (EIRP), at most."""
    range_m: float = 20.0
    """Of the ghost from the radar, when the attack goes on."""
    profile: str = "standing"
    """``standing`` on the road; ``following``: stays where it is seen; ``approaching`` at
    ``closing_mps``."""
    closing_mps: float = 10.0
    rcs_m2: float = 10.0
    """Radar cross section that is imitated."""
    is_synchronised: bool = False
    """In time with the radar's next chirps, so that a ghost may be nearer than the repeater."""
    latency_ns: float = 30.0
    """Of the way through the repeater, otherwise."""
    returns: int = 4
    """In a look."""
    range_std_m: float = 0.2
    """Scatter of the returns; assumed, as are the other two."""
    velocity_std_mps: float = 0.1
    azimuth_std_deg: float = 0.3
    radar: RadarLink = RadarLink()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        super().__post_init__()
        number("power_mw", self.power_mw)
        number("range_m", self.range_m, NEAREST_M, 1000.0)
        choice("profile", self.profile, PROFILES)
        number("closing_mps", self.closing_mps, -1000.0, 1000.0)
        number("rcs_m2", self.rcs_m2, 1e-3, 1e6)
        number("latency_ns", self.latency_ns, 0.0, 1e6)
        number("returns", self.returns, 1, 50)
        if self.returns != int(self.returns):
            raise ValueError(f"returns must be a whole number, got {self.returns!r}")
        number("range_std_m", self.range_std_m, 0.0, 10.0)
        number("velocity_std_mps", self.velocity_std_mps, 0.0, 10.0)
        number("azimuth_std_deg", self.azimuth_std_deg, 0.0, 10.0)
        object.__setattr__(self, "radar", option(self.radar, RadarLink, "radar"))

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR,
            Knowledge.GREY,
            Frequency.CONTINUOUS,
            Target.APPEAR,
            Scope.UNIVERSAL,
            countermeasures=("radar_check",),
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest (2,) power [mW] and range [m]."""
        return np.array([0.0, NEAREST_M]), np.array([self.MAX_MW, Radar().range_m])

    @property
    def idle(self) -> Floats:
        """(2,) no power; a range costs nothing."""
        return np.array([0.0, np.nan])

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        at_most("power_mw", self.power_mw, self.MAX_MW, "of a repeater")
        at_most("closing_mps", abs(self.closing_mps), self.MAX_MPS, "either way")
        acting = Repeating(self, world, rng)
        return OnSensor(self, world, "radar", acting.repeat, acting.set)

    def nearest_m(self, distance_m: float) -> float:
        """Least range of a ghost from a repeater at a distance."""
        if self.is_synchronised:
            return NEAREST_M
        return distance_m + LIGHT_MPS * self.latency_ns * 1e-9 / 2

    def snr(self, range_m: float, distance_m: float) -> float:
        """Of a ghost at a range over the receiver's noise, made as strong as the power allows."""
        wanted_mw = self.radar.imitating_mw(self.rcs_m2, range_m, distance_m)
        sent_mw = min(self.power_mw, wanted_mw)
        return self.radar.received_w(sent_mw, distance_m) / self.radar.noise_w


class Repeating:
    """One episode of it."""

    def __init__(self, recipe: RadarGhost, world: World, rng: np.random.Generator) -> None:
        self._recipe = recipe
        self._rng = rng
        self._stand_m = recipe.emplacement.stand_m(world, recipe.surface)
        self._range_m: float | None = None
        """At the last look."""
        self._told_s = 0.0
        self._went_on_s: float | None = None

    def set(self, parameters: Floats) -> None:
        """Another power [mW] and range [m] (2,) from the next look on.

        Asked for the same range again, the ghost goes on as it was.
        """
        power_mw, range_m = (float(value) for value in parameters)
        if range_m != self._recipe.range_m:
            self._range_m = None
        self._recipe = replace(self._recipe, power_mw=power_mw, range_m=range_m)

    def repeat(self, returns: NDArray[Any], moment: Moment) -> NDArray[Any] | None:
        """Returns are added."""
        r, radar = self._recipe, Radar()
        # Drawn for every look, so that what is told moves no other look's draw.
        scatter = self._rng.standard_normal((int(r.returns), 3))
        frame = moment.frame
        pose = compose(frame.ego.pose, radar.mount)
        sight = r.emplacement.seen(pose, frame, self._stand_m)
        if sight is None:
            return None
        velocity_mps = self._velocity_mps(frame, sight.azimuth_rad)
        range_m = self._moved_m(moment, velocity_mps)
        is_seen = (
            abs(sight.azimuth_rad) <= radar.fov_rad / 2
            and abs(sight.elevation_rad) <= radar.fov_up_rad / 2
            and NEAREST_M <= range_m
        )
        range_m = max(range_m, r.nearest_m(sight.distance_m))
        if not (is_seen and range_m <= radar.range_m):
            return None
        if r.snr(range_m, sight.distance_m) < r.radar.snr:
            return None
        ghost = np.zeros((len(scatter), 4), returns.dtype)
        ghost[:, 0] = np.clip(range_m + r.range_std_m * scatter[:, 0], 0.1, radar.range_m)
        ghost[:, 1] = sight.azimuth_rad + math.radians(r.azimuth_std_deg) * scatter[:, 1]
        ghost[:, 2] = sight.elevation_rad
        ghost[:, 3] = velocity_mps + r.velocity_std_mps * scatter[:, 2]
        both = np.concatenate([returns[returns[:, 0] > 0], ghost])
        # As a radar tells them: nearest first, and the farthest are left out for want of a slot.
        both = both[np.argsort(both[:, 0], kind="stable")][: len(returns)]
        out = np.zeros_like(returns)
        out[: len(both)] = both
        return out

    def _velocity_mps(self, frame: Frame, azimuth_rad: float) -> float:
        """Along the line of sight, negative while it comes nearer."""
        r = self._recipe
        if r.profile == "following":
            return 0.0
        if r.profile == "approaching":
            return -r.closing_mps
        towards = frame.ego.pose.yaw_rad + azimuth_rad
        x, y, _ = frame.ego.velocity_mps
        return -(x * math.cos(towards) + y * math.sin(towards))

    def _moved_m(self, moment: Moment, velocity_mps: float) -> float:
        """The range that the ghost has come to."""
        time_s = moment.frame.time_s
        if self._range_m is None or moment.went_on_s != self._went_on_s:
            self._range_m = self._recipe.range_m
        else:
            self._range_m += velocity_mps * (time_s - self._told_s)
        self._told_s, self._went_on_s = time_s, moment.went_on_s
        return self._range_m
