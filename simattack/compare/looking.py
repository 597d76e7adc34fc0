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
from simattack.types import Camera, CarInfo, Defense, Detections, Detector, Image

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

    Each image is looked at by both in turn, so that what else the machine does meets both.
    ``mean_s`` and ``p99_s`` are what the defended mean and 99th percentile are above the bare mean,
    at least 0; of few images the percentile is the longest.
    """
    bare, guarded = Defended(detector), Defended(detector, defense)
    taken = [[_time(look, image) for look in (bare, guarded)]
             for image in [*images[:_WARM], *images]]  # fmt: skip
    times = np.array(taken[min(_WARM, len(images)) :])
    without = float(times[:, 0].mean())
    slowest = float(np.quantile(times[:, 1], 0.99, method="higher"))
    return {
        "declared_s": float(defense.latency_s),
        "mean_s": max(float(times[:, 1].mean()) - without, 0.0),
        "p99_s": max(slowest - without, 0.0),
        "images": len(times),
    }


def _time(looks: Defended, image: Image) -> float:
    start_s = time.perf_counter()
    looks.detect(image[None])
    return time.perf_counter() - start_s
