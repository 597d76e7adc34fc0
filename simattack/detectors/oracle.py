"""A detector that is told the truth: for tests, and to part driving faults from seeing faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from simattack.geometry import compose, project, to_body
from simattack.objects import actor_corners, class_of, faces
from simattack.registry import register
from simattack.types import (
    Camera,
    CarInfo,
    Detections,
    Floats,
    Frame,
    Image,
    Pose,
    Surface,
)


@register("detectors", "oracle")
@dataclass(frozen=True)
class Oracle:
    """The recipe; ``begin`` gives the detector of one episode. Sees through walls."""

    min_height_px: float = 10.0
    max_distance_m: float = 60.0
    latency_s: float = 0.0
    is_privileged: bool = field(default=True, init=False)

    def begin(self, car: CarInfo, signs: Sequence[Surface] = ()) -> Seer:
        """One episode's detector; ``signs`` are the stop signs of the map."""
        return Seer(self, car.camera, tuple(signs))


class Seer:
    """Reports where actors and signs stand, for the frame it was last shown."""

    def __init__(self, recipe: Oracle, camera: Camera, signs: tuple[Surface, ...]) -> None:
        self.latency_s = recipe.latency_s
        self._recipe, self._camera, self._signs = recipe, camera, signs
        self._seen = Detections.none()

    def watch(self, frame: Frame) -> None:
        """Take in the truth at the tick of the next image; before ``detect``."""
        pose = compose(frame.ego.pose, self._camera.mount)
        boxes, labels = [], []
        for actor in frame.others:
            label = class_of(actor.kind)
            box = self._box(actor_corners(actor), pose) if label else None
            if label and box is not None:
                boxes.append(box)
                labels.append(label)
        for sign in self._signs:
            box = self._box(sign.corners_m, pose) if faces(sign, pose) else None
            if box is not None:
                boxes.append(box)
                labels.append("stop sign")
        self._seen = Detections(
            np.array(boxes, float).reshape(-1, 4), np.ones(len(boxes)), tuple(labels)
        )

    def detect(self, images: Image) -> list[Detections]:
        return [self._seen for _ in images]

    def _box(self, corners: Floats, pose: Pose) -> Floats | None:
        """The image box around world points, or None where it is not worth telling."""
        if np.linalg.norm(corners.mean(0) - (pose.x_m, pose.y_m, pose.z_m)) > (
            self._recipe.max_distance_m
        ):
            return None
        if np.any(to_body(corners, pose)[:, 0] < 0.1):
            return None
        points = project(corners, self._camera, pose)
        size = self._camera.width_px, self._camera.height_px
        low, high = np.clip(points.min(0), 0, size), np.clip(points.max(0), 0, size)
        if high[1] - low[1] < self._recipe.min_height_px or high[0] - low[0] < 1:
            return None
        return np.concatenate([low, high])
