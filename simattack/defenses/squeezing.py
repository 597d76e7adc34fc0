"""Looks twice, at the image and at a squeezed one, and is alarmed when they disagree.

What either look finds is kept. A disagreement raises the camera's alarm: a patch that hides or
makes up something in one of them mostly does not in the other.

Source: Xu, Evans, Qi: Feature squeezing: detecting adversarial examples in deep neural networks,
NDSS 2018, sections III and V (joint detection), for boxes instead of labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simattack.checks import number
from simattack.defenses.median import Median
from simattack.geometry import box_iou
from simattack.guarding import latency, straight_through
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Detections, Detector, Image, Observation, Verdict

if TYPE_CHECKING:
    from torch import Tensor

_SAME_IOU = 0.4


@register("defenses", "squeezing")
@dataclass(frozen=True)
class Squeezing:
    """Keep what the detector finds in the image or in its median; alarm by their difference."""

    needs = ("camera",)
    family = Family.DETECTION

    window_px: int = 5
    """Of the median; 1 squeezes nothing, and nothing is done."""
    difference: float = 1.2
    """Of an object's score between the looks, at which the alarm would reach 1. At half of it it
    counts, which one of a hundred pictures of clean drives reaches (`benchmarks/alarms.py`)."""
    latency_s: float = 0.07
    """A second pass of the detector; the first is the detector's own."""

    def __post_init__(self) -> None:
        Median(self.window_px)
        number("difference", self.difference, 1e-6, 2.0)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Twofold:
        return Twofold(self)

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """One of the two looks by chance for each image, so that both are attacked (EOT, BPDA)."""
        import torch

        squeezed = straight_through(images, Median(self.window_px).filter)
        is_first = torch.from_numpy(rng.random(len(images)) < 0.5).to(images.device)
        return torch.where(is_first[:, None, None, None], images, squeezed)


class Twofold:
    """One run."""

    def __init__(self, recipe: Squeezing) -> None:
        self._recipe = recipe
        self._median = Median(recipe.window_px)
        self._alarm = 0.0

    def clean(self, obs: Observation) -> Observation:
        return {**obs, "camera": np.array(obs["camera"])}

    def wrap(self, detector: Detector) -> Detector:
        return detector if self._recipe.window_px == 1 else _Twice(self, detector)

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        return Verdict(seen, {"camera": self._alarm})

    def look(self, detector: Detector, image: Image) -> Detections:
        """Both looks at an image (H, W, 3), joined."""
        plain = detector.detect(image[None])[0]
        squeezed = detector.detect(self._median.filter(image)[None])[0]
        joined, difference = join(plain, squeezed)
        self._alarm = min(1.0, difference / self._recipe.difference)
        return joined


class _Twice:
    def __init__(self, run: Twofold, detector: Detector) -> None:
        self._run, self._detector = run, detector
        self.latency_s = detector.latency_s

    def detect(self, images: Image) -> list[Detections]:
        return [self._run.look(self._detector, image) for image in images]


def join(one: Detections, other: Detections) -> tuple[Detections, float]:
    """What either found, the stronger of a pair, and the largest difference of a score.

    A pair is of one class and overlaps by an IoU of 0.4; what has no partner differs by its score.
    """
    keep = list(range(len(one)))
    best = one.scores.copy()
    boxes = one.boxes.copy()
    added: list[int] = []
    differences = [0.0]
    overlap = box_iou(other.boxes, one.boxes) if len(one) and len(other) else None
    paired: set[int] = set()
    for k in range(len(other)):
        partner = None
        if overlap is not None:
            fits = [
                i for i in keep
                if i not in paired and one.labels[i] == other.labels[k]
                and overlap[k, i] >= _SAME_IOU
            ]  # fmt: skip
            partner = max(fits, key=lambda i: overlap[k, i], default=None)
        if partner is None:
            added.append(k)
            differences.append(float(other.scores[k]))
            continue
        paired.add(partner)
        differences.append(abs(float(one.scores[partner] - other.scores[k])))
        if other.scores[k] > best[partner]:
            best[partner], boxes[partner] = other.scores[k], other.boxes[k]
    differences += [float(one.scores[i]) for i in keep if i not in paired]
    extra = other.select(np.array(added, int))
    return (
        Detections(
            np.concatenate([boxes, extra.boxes]),
            np.concatenate([best, extra.scores]),
            (*one.labels, *extra.labels),
        ),
        max(differences),
    )
