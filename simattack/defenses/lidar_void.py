"""Tells that echoes are missing, or come from where the ground is in between.

A ring that looks down meets the ground, or something that stands on it, at no more than about the
distance at which flat ground would be. A stretch of a ring without echoes, or with echoes from far
behind that, is a hole: a saturated receiver, or pulses that overwrite the echoes.

Source: that voids in a point cloud have causes which can be told: Hau, Demetriou, Lupu: Using 3D
shadows to detect object hiding attacks on autonomous vehicle perception (arXiv 2204.13973), in
spirit; the rule by rings is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number
from simattack.guarding import Turns, Watching, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Lidar, Observation


@register("defenses", "lidar_void")
@dataclass(frozen=True)
class LidarVoid:
    """Look for holes in the rings that meet the ground."""

    needs = ("lidar",)
    family = Family.DETECTION

    sector_deg: float = 3.0
    """Width of the stretch of a ring that is looked at as one; 0 looks at none."""
    ground_m: float = 30.0
    """Rings that would meet flat ground beyond this are left out."""
    beyond: float = 2.5
    """An echo from beyond so many times the flat ground's distance has gone through it; a road
    that falls by 5 % gets there at 22 m."""
    latency_s: float = 0.002

    def __post_init__(self) -> None:
        number("sector_deg", self.sector_deg, 0.0, 180.0)
        number("ground_m", self.ground_m, 1.0, 200.0)
        number("beyond", self.beyond, 1.0)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Watching:
        assert car.lidar is not None  # needs
        lidar, turns, level = car.lidar, Turns(car.camera_period_s), 0.0

        def watch(obs: Observation) -> tuple[Observation, Mapping[str, float]]:
            nonlocal level
            if self.sector_deg == 0:
                return obs, {}
            if turns.is_new(obs):
                level = self.hole(obs["lidar"], lidar)
            return obs, {"lidar": level}

        return Watching(watch)

    def hole(self, scan: NDArray[Any], lidar: Lidar) -> float:
        """The largest share, 0..1, of odd firings in any stretch of any ring of a scan."""
        down = np.sin(-lidar.elevation_rad)
        rows = np.flatnonzero(down > lidar.mount.z_m / self.ground_m)
        if not len(rows):
            return 0.0
        ranges = np.asarray(scan[rows, :, 0], float)
        flat_m = (lidar.mount.z_m / down[rows])[:, None]
        is_odd = (ranges <= 0) | (ranges > self.beyond * flat_m)
        width = max(round(np.deg2rad(self.sector_deg) / (2 * np.pi) * lidar.columns), 1)
        width = min(width, lidar.columns)
        turned = np.concatenate([is_odd, is_odd[:, : width - 1]], axis=1)
        sums = np.cumsum(np.pad(turned.astype(float), ((0, 0), (1, 0))), axis=1)
        return float((sums[:, width:] - sums[:, :-width]).max() / width)
