"""A laser that overwrites the LiDAR's echoes, so that what is there is not seen.

Who says so: Cao et al., You Can't See Me: Physical Removal Attacks on LiDAR-based Autonomous
Vehicles Driving Frameworks (USENIX Security 2023), with pulses in time with the sensor; Sato et
al., LiDAR Spoofing Meets the New-Gen (NDSS 2024), with pulses at a high frequency.

What is done: ``synchronised`` pulses arrive so early that they look nearer than the sensor's least
range, which the sensor filters out, so that nothing is left. Pulses at a ``high_frequency`` arrive
at any time: a firing that hears one while it listens, for 2 R / c, tells a random range; what of
that is below the least range is filtered out, too. Either takes the firings of a sector around
the spoofer's direction, or of those the ones that look at one actor. Each works by chance, and
only if the pulse is stronger than the echo that it replaces (laser.py).

Simplified: the sensor tells the strongest light only, and all pulses are equally strong; the beam
follows the sensor. The widths of the sectors and the least range are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.checks import choice, number
from simattack.emplacement import Beamed, Sight, actor_ahead, corners_m
from simattack.geometry import compose, to_body
from simattack.laser import lidar_of, turn_to
from simattack.onsensor import Moment, OnSensor, at_most
from simattack.radio import LIGHT_MPS
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Floats, Frame, Lidar, Pose, World

SECTOR_DEG: Mapping[str, float] = {"synchronised": 45.0, "high_frequency": 60.0}
"""The widest that each method reaches; assumed."""
TARGETS = ("sector", "actor")


@register("attacks", "lidar_removal")
@dataclass(frozen=True, kw_only=True)
class LidarRemoval(Beamed):
    """A spoofing laser takes the points of a sector, or of one actor, out of the LiDAR's scan.

    Raises:
        BudgetError: at ``begin``: a wider sector or more power than there is.
    """

    needs = ("lidar",)

    MAX_W = 75.0
    """Peak of a pulsed laser diode of 905 nm; assumed."""
    MAX_MEAN_W = 2.0
    """Of such a diode that fires all the time, on average; assumed."""

    method: str = "synchronised"
    """``synchronised`` or ``high_frequency``."""
    target: str = "sector"
    """``sector``: all of it; ``actor``: the nearest one in the path ahead, as far as it lies in
    the sector."""
    actor: str = ""
    """Part of the type id of the one to hide, such as ``walker``; empty: whoever it is."""
    margin_deg: float = 1.0
    """Around the actor's bounding box."""
    sector_deg: float = 45.0
    """Full width, around the spoofer's direction."""
    success: float = 0.985
    """Chance of each firing; assumed as for ``lidar_injection``."""
    least_range_m: float = 1.0
    """Of the sensor."""
    is_filtered: bool = True
    """The sensor drops what is nearer than its least range; false: it tells it."""
    pulse_mhz: float = 5.0
    """For ``high_frequency``."""
    pulse_ns: float = 5.0
    distance_m: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("method", self.method, tuple(SECTOR_DEG))
        choice("target", self.target, TARGETS)
        if not isinstance(self.actor, str):
            raise ValueError(f"actor needs part of a type id, got {self.actor!r}")
        number("margin_deg", self.margin_deg, 0.0, 90.0)
        number("sector_deg", self.sector_deg, 0.0, 360.0)
        number("success", self.success, 0.0, 1.0)
        number("least_range_m", self.least_range_m, 0.01, 20.0)
        number("pulse_mhz", self.pulse_mhz, 0.001, 1000.0)
        number("pulse_ns", self.pulse_ns, 0.1, 1000.0)

    @property
    def threat(self) -> ThreatModel:
        is_timed = self.method == "synchronised"
        knowledge = Knowledge.GREY if is_timed else Knowledge.BLACK
        return ThreatModel(
            Stage.SENSOR,
            knowledge,
            Frequency.CONTINUOUS,
            Target.HIDE,
            Scope.UNIVERSAL,
            countermeasures=("lidar_void",),
        )

    @property
    def mean_w(self) -> float:
        """Of pulses at the high frequency."""
        return self.power_w * self.pulse_ns * self.pulse_mhz / 1000

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest (2,) power [W] and sector [deg]."""
        most_w = self.MAX_W
        if self.method == "high_frequency":
            most_w = min(most_w, self.MAX_MEAN_W * 1000 / (self.pulse_ns * self.pulse_mhz))
        return np.zeros(2), np.array([most_w, SECTOR_DEG[self.method]])

    @property
    def idle(self) -> Floats:
        """(2,) no power; a sector by itself costs nothing."""
        return np.array([0.0, np.nan])

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        at_most("sector_deg", self.sector_deg, SECTOR_DEG[self.method], f"of {self.method} pulses")
        at_most("power_w", self.power_w, self.MAX_W, "of a laser diode")
        if self.method == "high_frequency":
            name = "the mean of power_w * pulse_ns * pulse_mhz [W]"
            at_most(name, self.mean_w, self.MAX_MEAN_W, "of a laser diode")
        acting = Removing(self, world, rng)
        return OnSensor(self, world, "lidar", acting.remove, acting.set)

    def collected_w(self, distance_m: float) -> float:
        """Peak power that a firing at the spoofer collects."""
        return self.beam.irradiance_w_m2(distance_m) * self.receiver.area_m2

    def chance(self, lidar: Lidar) -> float:
        """Of a firing within the sector to be overwritten by a pulse that is strong enough."""
        if self.method == "synchronised":
            return self.success
        listens_s = 2 * lidar.range_m / LIGHT_MPS
        return self.success * min(self.pulse_mhz * 1e6 * listens_s, 1.0)


class Removing:
    """One episode of it."""

    def __init__(self, recipe: LidarRemoval, world: World, rng: np.random.Generator) -> None:
        self._recipe = recipe
        self._rng = rng
        self._stand_m = recipe.emplacement.stand_m(world, recipe.surface)

    def set(self, parameters: Floats) -> None:
        """Another power [W] and sector [deg] (2,) from the next scan on."""
        power_w, sector_deg = parameters
        self._recipe = replace(self._recipe, power_w=float(power_w), sector_deg=float(sector_deg))

    def remove(self, scan: NDArray[Any], moment: Moment) -> NDArray[Any] | None:
        """Firings lose what they met."""
        r = self._recipe
        lidar = lidar_of(scan)
        # Drawn for every scan, so that what stands in the way moves no other scan's draw.
        is_lucky = self._rng.random(scan.shape[:2]) < r.chance(lidar)
        told = 1 - self._rng.random(scan.shape)
        pose = compose(moment.frame.ego.pose, lidar.mount)
        sight = r.emplacement.seen(pose, moment.frame, self._stand_m)
        if sight is None:
            return None
        power_w = r.collected_w(sight.distance_m)
        is_hit = is_lucky & r.receiver.beats(power_w, scan[..., 0], lidar.range_m)
        is_hit &= self._aimed(lidar, pose, moment.frame, sight)
        if not is_hit.any():
            return None
        told[..., 0] *= r.least_range_m if r.method == "synchronised" else lidar.range_m
        if r.is_filtered:
            told[told[..., 0] < r.least_range_m] = 0.0
        out = scan.copy()
        out[is_hit] = told[is_hit]
        return out

    def _aimed(self, lidar: Lidar, pose: Pose, frame: Frame, sight: Sight) -> NDArray[np.bool_]:
        """(channels, columns) firings to overwrite."""
        r = self._recipe
        is_in = np.abs(turn_to(lidar, sight.azimuth_rad)) <= np.deg2rad(r.sector_deg) / 2
        in_sector = np.broadcast_to(is_in, (lidar.channels, lidar.columns))
        if r.target == "sector":
            return in_sector
        actor = actor_ahead(frame, r.actor)
        if actor is None:
            return np.zeros_like(in_sector)
        return in_sector & looking_at(lidar, to_body(corners_m(actor), pose), r.margin_deg)


def looking_at(lidar: Lidar, corners_m: Floats, margin_deg: float) -> NDArray[np.bool_]:
    """(channels, columns) firings within a box's outermost angles, widened by a margin.

    Args:
        lidar: the sensor.
        corners_m: (N, 3) in the sensor's frame.
        margin_deg: on every side.
    """
    middle = corners_m.mean(0)
    towards = float(np.arctan2(middle[1], middle[0]))
    x, y, z = corners_m.T
    # Seen from its middle, so that no box lies on both sides of straight back.
    beside = (np.arctan2(y, x) - towards + np.pi) % (2 * np.pi) - np.pi
    up = np.arctan2(z, np.hypot(x, y))
    margin = np.deg2rad(margin_deg)
    turn, rise = turn_to(lidar, towards)[None], lidar.elevation_rad[:, None]
    return np.asarray(
        (beside.min() - margin <= turn)
        & (turn <= beside.max() + margin)
        & (up.min() - margin <= rise)
        & (rise <= up.max() + margin)
    )
