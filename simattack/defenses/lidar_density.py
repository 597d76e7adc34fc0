"""Takes out of the scan what is no body: things that light goes through, or whose face is ragged.

A body stops every firing at its outline, and its face is as smooth as the sensor's noise lets it
be. A thing made of pulses that a laser sends is seldom complete, so that other firings see through
it, and its points are scattered by the spoofer's timing. Foliage and fences are like that as well.

Source: Sun, Cao, Chen, Mao: Towards robust LiDAR-based perception in autonomous driving: general
black-box adversarial sensor attack and countermeasures, USENIX Security 2020: occlusion patterns as
physical invariants (CARLO), in spirit; grouping, the roughness and the limits are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number, whole
from simattack.guarding import Turns, Watching, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Lidar, Observation

_BODY_M = (0.35, 2.3)
"""Height above flat ground of what is looked at."""
_NEAREST_M = 2.5
_GAP_M = 1.0
"""Points of neighbouring columns farther apart in range belong to two things."""
_BEHIND_M = 1.0
"""An echo from so far behind a thing's face has gone through it."""


@register("defenses", "lidar_density")
@dataclass(frozen=True)
class LidarDensity:
    """Drop what is too thin or too ragged for a body."""

    needs = ("lidar",)
    family = Family.DETECTION

    max_m: float = 30.0
    """What is nearer is looked at; 0 leaves the scan as it is."""
    through: float = 0.35
    """Share of the firings at a thing's face that go through it, from which on it is none."""
    rough_m: float = 0.07
    """Scatter of a face's points, from which on it is none; the sensor's noise is 0.03."""
    points: int = 10
    """What has fewer is left as it is."""
    columns: int = 4
    """What is narrower is left as it is."""
    half_width_m: float = 4.0
    """How far to each side of the car's heading is looked."""
    latency_s: float = 0.003

    def __post_init__(self) -> None:
        number("max_m", self.max_m, 0.0, 200.0)
        number("through", self.through, 0.0, 1.0)
        number("rough_m", self.rough_m)
        number("half_width_m", self.half_width_m, 0.1)
        for name, least in (("points", 1), ("columns", 3)):
            whole(name, getattr(self, name), least)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Watching:
        assert car.lidar is not None  # needs
        lidar, turns = car.lidar, Turns(car.camera_period_s)
        told: tuple[NDArray[Any] | None, float] = (None, 0.0)

        def watch(obs: Observation) -> tuple[Observation, Mapping[str, float]]:
            nonlocal told
            if turns.is_new(obs):
                is_ghost = self.ghosts(obs["lidar"], lidar)
                scan = obs["lidar"] * ~is_ghost[..., None] if is_ghost.any() else None
                told = scan, float(is_ghost.any())
            scan, level = told
            return (obs if scan is None else {**obs, "lidar": scan}), {"lidar": level}

        return Watching(watch)

    def ghosts(self, scan: NDArray[Any], lidar: Lidar) -> NDArray[np.bool_]:
        """(channels, columns) whether a firing's echo is from a thing that is no body."""
        ranges = np.asarray(scan[..., 0], float)
        height = ranges * np.sin(lidar.elevation_rad)[:, None] + lidar.mount.z_m
        level = ranges * np.cos(lidar.elevation_rad)[:, None]
        ahead, right = level * np.cos(lidar.azimuth_rad), level * np.sin(lidar.azimuth_rad)
        is_body = (height > _BODY_M[0]) & (height < _BODY_M[1]) & (level < self.max_m)
        is_body &= (ahead > _NEAREST_M) & (np.abs(right) < self.half_width_m)
        near = np.where(is_body, level, np.inf).min(axis=0)
        is_ghost = np.zeros(ranges.shape, bool)
        for columns in _runs(near):
            face = is_body[:, columns] & (level[:, columns] < near[columns] + _BEHIND_M)
            if len(columns) < self.columns or face.sum() < self.points:
                continue
            is_thin = self._seen_through(level[:, columns], face, near[columns]) >= self.through
            if is_thin or self._roughness(ranges[:, columns], face) >= self.rough_m:
                is_ghost[:, columns] |= face
        return is_ghost

    def _seen_through(
        self, level: NDArray[Any], face: NDArray[np.bool_], near: NDArray[Any]
    ) -> float:
        """Share of the firings between a face's outermost ones of each ring that go on behind."""
        through, fired = 0, 0
        for row in np.flatnonzero(face.sum(axis=1) >= 2):
            first, last = np.flatnonzero(face[row])[[0, -1]]
            hull = level[row, first : last + 1]
            through += int(((hull == 0) | (hull > near[first : last + 1] + _BEHIND_M)).sum())
            fired += last + 1 - first
        return through / fired if fired else 0.0

    def _roughness(self, ranges: NDArray[Any], face: NDArray[np.bool_]) -> float:
        """Standard deviation [m] of a face's points from straight lines along its rings; 0 if
        there are too few.
        """
        bends = ranges[:, 2:] - 2 * ranges[:, 1:-1] + ranges[:, :-2]
        bends = bends[face[:, 2:] & face[:, 1:-1] & face[:, :-2]]
        if len(bends) < self.points:
            return 0.0
        # A bend has six times a point's variance; a normal's median size is 0.6745 deviations.
        return float(np.median(np.abs(bends)) / 0.6745 / np.sqrt(6))


def _runs(near: NDArray[Any]) -> list[NDArray[np.int_]]:
    """Columns side by side whose nearest points hang together."""
    found: list[list[int]] = []
    for column in np.flatnonzero(np.isfinite(near)):
        if (
            found
            and column - found[-1][-1] == 1
            and abs(near[column] - near[found[-1][-1]]) < _GAP_M
        ):
            found[-1].append(int(column))
        else:
            found.append([int(column)])
    return [np.array(run) for run in found]
