"""Asks LiDAR and radar about what the camera tells, and the camera about what they tell.

A box of a body that is near must have echoes in its direction, at a distance that fits its size: a
poster, a projection or a box that a patch makes has none, or a wall's behind it. And what moves
ahead, by radar, must have a box: a camera that shows none there has missed it.

Source: ours; agreement between sensors is the surveys' common answer to phantoms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number, whole
from simattack.guarding import latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Detections, Detector, Floats, Observation, Verdict

HEIGHT_M = {
    "person": 1.75, "bicycle": 1.7, "car": 1.55, "motorcycle": 1.6, "bus": 3.1, "truck": 3.0,
}  # fmt: skip
"""Usual, of the bodies that are asked for."""


@register("defenses", "cross_sensor")
@dataclass(frozen=True)
class CrossSensor:
    """Lower the score of boxes without echoes; alarm for them, and for what moves unseen."""

    needs = ("camera", "lidar")
    family = Family.DETECTION

    max_m: float = 25.0
    """Boxes that must be nearer are looked at; 0 looks at none."""
    slack: float = 0.5
    """By which an echo's distance may differ from the box's, as a share of it."""
    keep: float = 0.3
    """Factor on the score of a box without an echo; 1 keeps it."""
    score: float = 0.4
    """From which on a box counts."""
    moving_mps: float = 2.0
    """Over ground; a radar return that moves so fast needs a box. 0: none does."""
    returns: int = 3
    """So many of them without one are an alarm."""
    latency_s: float = 0.003

    def __post_init__(self) -> None:
        number("max_m", self.max_m, 0.0, 200.0)
        number("slack", self.slack, 0.0, 5.0)
        number("keep", self.keep, 0.0, 1.0)
        number("score", self.score, 0.0, 1.0)
        number("moving_mps", self.moving_mps)
        whole("returns", self.returns, 1)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Asking:
        return Asking(self, car)


class Asking:
    """One run."""

    LOW_M = 0.25
    """An echo from below this is the road."""
    EDGE_DEG = 2.0
    """Around boxes, for what moves and was told a moment later."""

    def __init__(self, recipe: CrossSensor, car: CarInfo) -> None:
        self._recipe = recipe
        self._car = car

    def clean(self, obs: Observation) -> Observation:
        return {**obs}

    def wrap(self, detector: Detector) -> Detector:
        return detector

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        """Boxes with their score as far as echoes bear them out."""
        recipe = self._recipe
        if recipe.max_m == 0 or "lidar" not in obs or "camera" not in obs:
            return Verdict(seen)
        echoes = self._echoes(obs["lidar"])
        scores = seen.scores.copy()
        is_alarm = self._unseen(obs, seen) >= recipe.returns
        for k, label in enumerate(seen.labels):
            if label not in HEIGHT_M or scores[k] < recipe.score:
                continue
            if not self._is_borne_out(seen.boxes[k], HEIGHT_M[label], echoes):
                scores[k] *= recipe.keep
                is_alarm = True
        kept = (
            seen if (scores == seen.scores).all() else Detections(seen.boxes, scores, seen.labels)
        )
        return Verdict(kept, {"camera": float(is_alarm)})

    def _echoes(self, scan: NDArray[Any]) -> Floats:
        """(N, 2) depth and right [m] from the camera of what rises from the ground ahead."""
        assert self._car.lidar is not None  # needs
        mount = self._car.camera.mount
        points = self._car.lidar.points(scan)
        points = points[(points[:, 2] > self.LOW_M) & (points[:, 0] > mount.x_m + 0.5)]
        return np.asarray(points[:, :2] - [mount.x_m, mount.y_m])

    def _is_borne_out(self, box: Floats, height_m: float, echoes: Floats) -> bool:
        """Whether an echo is where the box must be; true where that cannot be said."""
        camera = self._car.camera
        # One that is cut above or below is nearer than its height tells.
        is_cut = box[1] < 2 or box[3] > camera.height_px - 2
        depth_m = camera.focal_px * height_m / max(float(box[3] - box[1]), 2.0)
        low = 0.0 if is_cut else depth_m * (1 - self._recipe.slack)
        high = depth_m * (1 + self._recipe.slack)
        if high > self._recipe.max_m:
            return True
        slopes = (box[[0, 2]] - camera.width_px / 2) / camera.focal_px
        slope = echoes[:, 1] / echoes[:, 0]
        is_there = (slope >= slopes[0]) & (slope <= slopes[1])
        is_there &= (echoes[:, 0] >= low) & (echoes[:, 0] <= high)
        return bool(is_there.any())

    def _unseen(self, obs: Observation, seen: Detections) -> int:
        """Radar returns of what moves, near and in the picture, without a box in front."""
        recipe, radar, camera = self._recipe, self._car.radar, self._car.camera
        if radar is None or "radar" not in obs or "speed" not in obs or not recipe.moving_mps:
            return 0
        rows = np.asarray(obs["radar"], float)
        range_m, azimuth, altitude, apart = rows[rows[:, 0] > 0].T
        own = float(obs["speed"][0]) * np.cos(azimuth) * np.cos(altitude)
        ahead = range_m * np.cos(azimuth) + radar.mount.x_m - camera.mount.x_m
        right = range_m * np.sin(azimuth) + radar.mount.y_m - camera.mount.y_m
        slope = right / np.maximum(ahead, 0.1)
        half = camera.width_px / 2 / camera.focal_px
        is_asked = (np.abs(apart + own) > recipe.moving_mps) & (range_m < recipe.max_m)
        is_asked &= np.abs(slope) < 0.9 * half
        edge = np.tan(np.deg2rad(self.EDGE_DEG))
        for k in np.flatnonzero(seen.scores >= recipe.score):
            left, rightmost = (seen.boxes[k, [0, 2]] - camera.width_px / 2) / camera.focal_px
            is_asked &= (slope < left - edge) | (slope > rightmost + edge)
        return int(is_asked.sum())
