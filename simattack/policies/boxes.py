"""Camera: a detector's boxes of cars and people, as near faces on the flat ground.

Depth is where the box's bottom edge meets the ground, held against the usual height of the class.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simattack.policies.fusion import LONG, Measurement
from simattack.types import Camera, Detections, Floats

SIZE_M: dict[str, tuple[float, float]] = {
    "person": (0.6, 1.75),
    "bicycle": (0.6, 1.7),
    "car": (1.9, 1.55),
    "motorcycle": (0.8, 1.6),
    "bus": (2.6, 3.1),
    "truck": (2.5, 3.0),
}
"""Usual width and height by label; a bicycle or motorcycle with its rider."""


class Boxes:
    """Measures the boxes of one camera's images.

    Args:
        camera: what took them.
        score: weaker detections are not looked at.
    """

    def __init__(self, camera: Camera, score: float) -> None:
        self._camera = camera
        self._score = score

    def find(self, detections: Detections, axis: Callable[[float], float]) -> list[Measurement]:
        """What can be hit, in the camera's plane frame, surest first.

        Args:
            axis: how far right [m] of the optical axis the route lies at a depth [m].
        """
        return [
            self._measure(detections.boxes[row], detections.labels[row], axis)
            for row in np.argsort(-detections.scores, kind="stable")
            if detections.labels[row] in SIZE_M and detections.scores[row] >= self._score
        ]

    def _measure(self, box: Floats, label: str, axis: Callable[[float], float]) -> Measurement:
        focal, width_m, height_m = self._camera.focal_px, *SIZE_M[label]
        drop = max(float(box[3]) - self._camera.height_px / 2, 2.0)
        by_ground = focal * self._camera.mount.z_m / drop
        by_height = focal * height_m / max(float(box[3] - box[1]), 2.0)
        ground_std = by_ground**2 / (focal * self._camera.mount.z_m) * 2.5 + 0.1
        height_std = 0.2 * by_height + 0.1
        if box[3] > self._camera.height_px - 2:
            depth = min(by_ground, by_height)  # its feet are below the image: at least this near
        else:
            weight = height_std**2 / (ground_std**2 + height_std**2)
            depth = weight * by_ground + (1 - weight) * by_height
        left, right = ((float(box[i]) - self._camera.width_px / 2) / focal * depth for i in (0, 2))
        edge = 2.0
        cut_left = bool(box[0] < edge)
        cut_right = bool(box[2] > self._camera.width_px - edge)
        right_std = 0.15 + 2.5 / focal * depth
        if cut_left != cut_right:
            # Passing by: the bottom edge is where its side leaves the image, so it lies beyond.
            left, right = (left - width_m, left) if cut_left else (right, right + width_m)
            right_std += 1.0
        elif label in LONG and right - left > width_m:
            # A car beside the route shows its side towards the route, at a greater depth than its
            # near face: only the outer edge of the box belongs to the near face.
            middle = axis(depth)
            if left > middle:
                left = right - width_m
            elif right < middle:
                right = left + width_m
        return Measurement(
            label,
            depth,
            (left + right) / 2,
            (right - left) / 2,
            min(ground_std, height_std),
            right_std,
            is_cut=cut_left or cut_right,
            reach_m=(2.0 + 0.25 * depth, 1.2 + 0.03 * depth),
        )
