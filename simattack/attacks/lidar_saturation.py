"""A strong light that blinds a sector of the LiDAR.

Who says so: Petit et al., Remote Attacks on Automated Vehicles Sensors (Black Hat Europe 2015);
Shin et al., Illusion and Dazzle (CHES 2017), who saw points at random places where a light was
weak, and a sector without points where it was strong (as remembered, not read again).

What is done: the irradiance at the sensor (beam.py) times the area of its lens is what a firing
straight at the source collects; one beside it collects less by the receiver's field of view
(laser.py). From ``dazzle_w`` on a firing tells a random range, from ``saturation_w`` on none. So
the sector is as wide as fov * sqrt(log2(collected / threshold)).

Simplified: steady light; the wavelength is not looked at but by ``in_band``; nothing stands
between source and sensor; the receiver is at once as good as before. Its figures are assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number
from simattack.emplacement import Beamed, Sight
from simattack.geometry import compose
from simattack.laser import lidar_of, turn_to
from simattack.onsensor import Moment, OnSensor, at_most
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Floats, World


@register("attacks", "lidar_saturation")
@dataclass(frozen=True, kw_only=True)
class LidarSaturation(Beamed):
    """A light of stated power, shone at the LiDAR from beside the car, a place or another car.

    Raises:
        BudgetError: at ``begin``: more power than anybody would carry.
    """

    needs = ("lidar",)

    MAX_W = 20.0
    """A diode laser of light that runs on a battery; assumed."""

    power_w: float = 0.5
    """Of light, not of current."""
    in_band: float = 1.0
    """Part of it that passes the sensor's optical filter: a laser of its wavelength has 1."""
    divergence_mrad: float = 20.0
    aperture_mm: float = 5.0
    distance_m: float = 15.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number("in_band", self.in_band, 0.0, 1.0)

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR,
            Knowledge.BLACK,
            Frequency.CONTINUOUS,
            Target.DEGRADE,
            Scope.UNIVERSAL,
            countermeasures=("lidar_void",),
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest power (1,) [W]."""
        return np.zeros(1), np.full(1, self.MAX_W)

    def begin(self, world: World, rng: np.random.Generator) -> OnSensor:
        at_most("power_w", self.power_w, self.MAX_W, "of a light")
        acting = Saturating(self, world, rng)
        return OnSensor(self, world, "lidar", acting.blind, acting.set)

    def collected_w(self, distance_m: float) -> float:
        return super().collected_w(distance_m) * self.in_band

    def reach_m(self, least_w: float) -> float:
        """Farthest distance at which a well-aimed beam gives a firing ``least_w``; 0 if none."""
        wide_m = math.sqrt(
            4 * self.power_w * self.in_band * self.receiver.area_m2 / (math.pi * least_w)
        )
        spread = 2 * math.tan(self.divergence_mrad / 2000)
        return max(wide_m - self.aperture_mm / 1000, 0.0) / spread


class Saturating:
    """One episode of it."""

    def __init__(self, recipe: LidarSaturation, world: World, rng: np.random.Generator) -> None:
        self._recipe = recipe
        self._rng = rng
        self._stand_m = recipe.emplacement.stand_m(world, recipe.surface)

    def set(self, parameters: Floats) -> None:
        """Another power (1,) [W] from the next scan on."""
        self._recipe = replace(self._recipe, power_w=float(parameters[0]))

    def blind(self, scan: NDArray[Any], moment: Moment) -> NDArray[Any] | None:
        """Firings are blinded."""
        r = self._recipe
        lidar = lidar_of(scan)
        frame = moment.frame
        sight = r.emplacement.seen(compose(frame.ego.pose, lidar.mount), frame, self._stand_m)
        if sight is None:
            return None
        light_w = self._light_w(scan, sight)
        is_dazzled = light_w >= r.receiver.dazzle_w
        if not is_dazzled.any():
            return None
        out = scan.copy()
        # From 1, so that a range of 0, which is none, is not drawn.
        drawn = 1 - self._rng.random((int(is_dazzled.sum()), 2))
        out[is_dazzled] = drawn * (lidar.range_m, 1.0)
        out[light_w >= r.receiver.saturation_w] = 0.0
        return out

    def _light_w(self, scan: NDArray[Any], sight: Sight) -> Floats:
        """(channels, columns) that each firing collects of the source."""
        r, lidar = self._recipe, lidar_of(scan)
        above = lidar.elevation_rad[:, None] - sight.elevation_rad
        part = r.receiver.response(turn_to(lidar, sight.azimuth_rad)[None], above)
        return r.collected_w(sight.distance_m) * part
