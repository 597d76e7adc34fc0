"""Detection that is certified against bounded noise: what half of many noisy images show counts.

The image is seen many times, with other normal noise each time. A detection's smoothed score is
the median, over the looks, of the best score of its class near it; what keeps that score is
reported. A change of the image of Euclidean norm e moves the median no further than to the quantile
Phi(e / std) of the scores without it. So an object is *certified* if more than that share of noisy
images shows it, surely enough for the number of looks taken.

A certificate speaks of changes small in norm, over the whole image: of sensor noise and faint
digital changes. A printed patch is far beyond any such norm, and nothing is said of it here.

Source: Chiang, Curry, Abdelkader, Kumar, Dickerson, Goldstein: Detection as regression: certified
object detection by median smoothing, NeurIPS 2020, lemma 1 and section 4; Cohen, Rosenfeld, Kolter,
ICML 2019, section 3.2 for the bound of few looks. That scores are smoothed around each box, and
boxes are left as one look has them, is ours: detections need no sorting into bins then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number, whole
from simattack.defenses.noise import Noise
from simattack.geometry import box_iou
from simattack.guarding import Looking, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Detections, Detector, Floats, Image, Observation, Verdict

if TYPE_CHECKING:
    from torch import Tensor

OVERLAP = 0.7
"""With the object, from which on a noisy look shows it for the certificate."""
TOGETHER = 0.4
"""Overlap of boxes that speak of one thing.

1 - intersection over union is a metric: two boxes that overlap a third by ``OVERLAP`` overlap each
other by at least 1 - 2 (1 - OVERLAP) = TOGETHER. So all looks that show a certified object vote for
each other's boxes.
"""
_SAME = 0.6
"""Overlap from which on of two reported boxes the lower is dropped.

A box that shows a certified object overlaps it by ``OVERLAP``; what is reported in its stead then
still does by 1 - (1 - OVERLAP) - (1 - _SAME) = 0.3, which counts as found.
"""


@register("defenses", "median_smoothing")
@dataclass(frozen=True)
class MedianSmoothing:
    """Report what keeps its score in the median of many noisy looks.

    The latency is of as many passes of the detector, one after the other.
    """

    needs = ("camera",)
    family = Family.CERTIFIED

    looks: int = 15
    """At each image; 1 with ``std: 0`` leaves the detector as it is."""
    std: float = 12.0
    """Of the noise, of 255."""
    score: float = 0.4
    """From which on a detection counts."""
    norm: float = 0.05
    """Of the change that is certified against: Euclidean, over all pixels, of full scale 1."""
    certificate_looks: int = 100
    chance: float = 0.001
    """That a certificate is wrong because its looks were lucky."""
    pass_s: float = 0.075
    """Of one more look of the detector, with its noise."""

    def __post_init__(self) -> None:
        for name in ("looks", "certificate_looks"):
            whole(name, getattr(self, name), 1)
        number("std", self.std, 0.0, 255.0)
        number("score", self.score, 0.01, 1.0)
        number("norm", self.norm)
        number("chance", self.chance, 1e-9, 0.5)
        latency(self.pass_s)

    @property
    def latency_s(self) -> float:
        """Declared: all looks beyond the one that there would be anyway."""
        return (self.looks - 1) * self.pass_s

    @property
    def certifies_against(self) -> str:
        return f"any change of norm {self.norm:g}"

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Smoothed:
        return Smoothed(self, rng)

    def noisy_looks(
        self, detector: Detector, image: Image, count: int, rng: np.random.Generator
    ) -> list[Detections]:
        """What the detector surely finds in so many noisy images of one (H, W, 3)."""
        noise, found = Noise(self.std), []
        for _ in range(count):
            seen = detector.detect(noise.add(image, rng)[None])[0]
            found.append(seen.select(seen.scores >= self.score))
        return found

    def join(self, looks: Sequence[Detections]) -> Detections:
        """Boxes of any look that keep their score in the median, the best of each thing."""
        kept = [
            (smoothed, seen.boxes[i], seen.labels[i])
            for seen in looks
            for i in range(len(seen))
            if (smoothed := _median([_best(o, seen.boxes[i], seen.labels[i]) for o in looks])) > 0
        ]
        kept.sort(key=lambda item: -item[0])
        left: list[tuple[float, Floats, str]] = []
        for score, box, label in kept:
            same = [other for _, other, name in left if name == label]
            if not same or box_iou(np.array(same), box[None]).max() < _SAME:
                left.append((score, box, label))
        return Detections(
            np.array([box for _, box, _ in left], float).reshape(-1, 4),
            np.array([score for score, _, _ in left], float),
            tuple(label for _, _, label in left),
        )

    def radius(self, shown: NDArray[np.bool_]) -> float:
        """Norm up to which a thing stays reported that such looks show; 0 if none is sure.

        Up to a ``chance``, and of the median over endlessly many looks, as is usual.
        """
        from scipy.stats import beta, norm

        hits, count = int(shown.sum()), len(shown)
        least = float(beta.ppf(self.chance, hits, count - hits + 1)) if hits else 0.0
        return max(0.0, self.std / 255 * float(norm.ppf(least))) if least > 0.5 else 0.0

    def is_certified(
        self, detector: Detector, image: Image, target: Detections, patch_px: object = None
    ) -> bool:
        """Whether no change of the image (H, W, 3) within ``norm`` hides its one target."""
        looks = self.noisy_looks(detector, image, self.certificate_looks, np.random.default_rng(0))
        box, label = target.boxes[0], target.labels[0]
        shown = np.array([_best(seen, box, label, OVERLAP) > 0 for seen in looks], bool)
        return self.radius(shown) >= self.norm

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """One noisy look: averaged over many (EOT), what the median of scores follows."""
        return Noise(self.std).surrogate(images, rng)


class Smoothed:
    """One run; it raises no alarm."""

    def __init__(self, recipe: MedianSmoothing, rng: np.random.Generator) -> None:
        self._recipe, self._rng = recipe, rng

    def clean(self, obs: Observation) -> Observation:
        return {**obs, "camera": np.array(obs["camera"])}

    def wrap(self, detector: Detector) -> Detector:
        is_off = self._recipe.looks == 1 and self._recipe.std == 0
        return detector if is_off else Looking(self.look, detector)

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        return Verdict(seen, {"camera": 0.0})

    def look(self, detector: Detector, image: Image) -> Detections:
        recipe = self._recipe
        return recipe.join(recipe.noisy_looks(detector, image, recipe.looks, self._rng))


def _median(scores: Sequence[float]) -> float:
    """The lower one of an even number, so that more than half are as high."""
    return sorted(scores)[(len(scores) - 1) // 2]


def _best(seen: Detections, box: Floats, label: str, overlap: float = TOGETHER) -> float:
    """The best score of that class that overlaps a box; 0 for none."""
    near = np.array([name == label for name in seen.labels], bool)
    if near.any():
        near &= box_iou(seen.boxes, box[None])[:, 0] >= overlap
    return float(seen.scores[near].max(initial=0.0))
