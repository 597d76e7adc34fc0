"""What a detector behind a defense sees of single images, and how long the defense takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.geometry import box_iou
from simattack.types import Camera, CarInfo, Defense, Detections, Detector, Floats, Image

FOUND_SCORE = 0.4
"""From which on a detection counts."""
FOUND_IOU = 0.3
"""With the target; loose, since a sign that is found half is one to stop at."""
_WARM = 2
"""First looks, left out of the times."""


@dataclass(frozen=True)
class Defended:
    """A detector behind a defense, for images that have nothing to do with each other."""

    detector: Detector
    defense: Defense | None = None

    def detect(self, images: Image) -> list[Detections]:
        """What is left after the defense, for images (B, H, W, 3); each begins a run of its own."""
        return [self._look(image) for image in images]

    def _look(self, image: Image) -> Detections:
        if self.defense is None:
            return self.detector.detect(image[None])[0]
        height, width = image.shape[:2]
        car = CarInfo(camera=Camera(width_px=width, height_px=height))
        guard = self.defense.begin(car, np.random.default_rng(0))
        obs = guard.clean({"camera": image, "clock": np.zeros(2)})
        seen = guard.wrap(self.detector).detect(obs["camera"][None])[0]
        return guard.judge(obs, seen).detections


def found(seen: Sequence[Detections], targets: Sequence[Detections]) -> NDArray[np.bool_]:
    """(N,) whether each image's one target is among what is seen in it."""
    return np.array([_is_found(*pair) for pair in zip(seen, targets, strict=True)], bool)


def _is_found(seen: Detections, target: Detections) -> bool:
    sure = seen.select(seen.scores >= FOUND_SCORE)
    own = sure.select(np.array([label == target.labels[0] for label in sure.labels], bool))
    return bool(len(own)) and float(box_iou(own.boxes, target.boxes).max()) >= FOUND_IOU


def extra_latency(defense: Defense, detector: Detector, images: Sequence[Image]) -> dict[str, Any]:
    """What the defense takes beyond the bare detector here, by image [s], beside what it declares.

    ``p99_s`` of few images is the longest.
    """
    bare = _times(Defended(detector), images)
    guarded = _times(Defended(detector, defense), images)
    extra = np.maximum(guarded - float(np.median(bare)), 0.0)
    return {
        "declared_s": float(defense.latency_s),
        "mean_s": float(extra.mean()),
        "p99_s": float(np.quantile(extra, 0.99, method="higher")),
        "images": len(extra),
    }


def _times(looks: Defended, images: Sequence[Image]) -> Floats:
    taken = []
    for image in [*images[:_WARM], *images]:
        start_s = time.perf_counter()
        looks.detect(image[None])
        taken.append(time.perf_counter() - start_s)
    return np.array(taken[min(_WARM, len(images)) :])
