"""What a detector behind a defense sees of single images, and how long the defense takes."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.geometry import box_iou
from simattack.optimize.objective import FOUND_SCORE
from simattack.types import Camera, CarInfo, Defense, Detections, Detector, Floats, Image

FOUND_IOU = 0.3
"""With the target; loose, since a sign that is found half is one to stop at."""
_WARM = 2
"""First looks, left out of the times."""


@dataclass(frozen=True, eq=False)
class Look:
    """One image on its way through a defense."""

    image: Image
    """As the camera had it."""
    handed_on: Image
    """As the detector got it."""
    left: Detections
    """What the car is told."""
    alarm: float = 0.0
    """For the camera."""


@dataclass(frozen=True)
class Defended:
    """A detector behind a defense, for images that have nothing to do with each other."""

    detector: Detector
    defense: Defense | None = None

    @property
    def weights(self) -> str:
        """What a patch's card tells of what it was made for."""
        name = str(getattr(self.detector, "weights", type(self.detector).__name__))
        return name if self.defense is None else f"{name} behind {self.defense!r}"

    @property
    def path(self) -> Any:
        """Where the detector's weights lie, of one that has such."""
        return getattr(self.detector, "path", None)

    def detect(self, images: Image) -> list[Detections]:
        """What is left after the defense, for images (B, H, W, 3); each begins a run of its own.

        A random defense draws anew for every other picture, and alike for the same one.
        """
        return [self.look(image).left for image in images]

    def look(self, image: Image) -> Look:
        """What becomes of one image (H, W, 3)."""
        if self.defense is None:
            return Look(image, image, self.detector.detect(image[None])[0])
        height, width = image.shape[:2]
        car = CarInfo(camera=Camera(width_px=width, height_px=height))
        guard = self.defense.begin(car, np.random.default_rng(zlib.crc32(image.tobytes())))
        obs = guard.clean({"camera": image, "clock": np.zeros(2)})
        seen = guard.wrap(self.detector).detect(obs["camera"][None])[0]
        verdict = guard.judge(obs, seen)
        alarm = float(verdict.alarm.get("camera", 0.0))
        return Look(image, np.asarray(obs["camera"]), verdict.detections, alarm)


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
