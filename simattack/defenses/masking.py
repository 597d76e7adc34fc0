"""Detection that is certified against a patch: what is seen with half of the image masked counts.

The image is masked on one side of each of a few vertical and horizontal lines, the detector looks
at every masked image, and what it finds there and nowhere else is added to what it finds in the
whole. A patch, wherever it is and whatever it shows, lies wholly under some of the masks. An
object is *certified* against patches of a size if for every place of the patch there is a mask
that covers it and under which the object is still detected: nothing painted there can hide it.

A certificate speaks of hiding alone, of one patch, and of the masked detections of this image: a
detection of the object's class is left that holds most of a masked one, however large a patch may
make it. It does not say that there are no false alarms; a patch can make some.

Source: Xiang, Valtchanov, Mahloujifar, Mittal: ObjectSeeker: certifiably robust object detection
against patch hiding attacks via patch-agnostic masking, IEEE S&P 2023, sections III and IV
(half-image masks, pruning by intersection over area).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number, whole
from simattack.guarding import Looking, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Detections, Detector, Floats, Image, Observation, Verdict

_FILL = 114
"""The grey that detectors are trained to ignore."""


@register("defenses", "masking")
@dataclass(frozen=True)
class Masking:
    """Add what the detector finds in half-masked images to what it finds in the whole.

    It takes ``4 * lines`` passes an image; the latency is of as many, side by side or not.
    """

    needs = ("camera",)
    family = Family.CERTIFIED

    lines: int = 5
    """Of each direction; both sides of each are masked in turn. 0 masks nothing."""
    score: float = 0.4
    """From which on a masked detection counts."""
    inside: float = 0.6
    """A masked detection with this part of its area in a detection of the whole adds nothing."""
    pass_s: float = 0.06
    """Of one more look of the detector."""

    def __post_init__(self) -> None:
        whole("lines", self.lines)
        number("score", self.score, 0.0, 1.0)
        number("inside", self.inside, 0.0, 1.0)
        latency(self.pass_s)

    @property
    def latency_s(self) -> float:
        """Declared: all passes, one after the other."""
        return 4 * self.lines * self.pass_s

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Masked:
        return Masked(self)

    def masks(self, height: int, width: int) -> list[tuple[int, int, int, int]]:
        """The masked rectangles: left, top, right, bottom [px]; 4 for each line."""
        found = []
        for k in range(1, self.lines + 1):
            x = round(width * k / (self.lines + 1))
            y = round(height * k / (self.lines + 1))
            found += [(0, 0, x, height), (x, 0, width, height)]
            found += [(0, 0, width, y), (0, y, width, height)]
        return found

    def looks(self, detector: Detector, image: Image) -> list[Detections]:
        """What the detector surely finds under each of ``masks``."""
        found = []
        for left, top, right, bottom in self.masks(*image.shape[:2]):
            masked = image.copy()
            masked[top:bottom, left:right] = _FILL
            seen = detector.detect(masked[None])[0]
            found.append(seen.select(seen.scores >= self.score))
        return found

    @property
    def certifies_against(self) -> str:
        return "a patch of this size, anywhere"

    def is_certified(
        self, detector: Detector, image: Image, target: Detections, patch_px: tuple[int, int] | None
    ) -> bool | None:
        """Whether no patch of that height and width hides the image's one target.

        None: the attack is no patch, and nothing can be said. Beside a patch out of sight, (0, 0),
        the target counts as not certified.
        """
        if patch_px is None:
            return None
        if 0 in patch_px:
            return False
        looks, size = self.looks(detector, image), image.shape[:2]
        found = self.certificate(looks, size, target.boxes, target.labels, patch_px)
        return bool(found[0])

    def certificate(
        self,
        looks: Sequence[Detections],
        size: tuple[int, int],
        boxes: Floats,
        labels: Sequence[str],
        patch_px: tuple[int, int],
        overlap: float = 0.5,
    ) -> NDArray[np.bool_]:
        """(N,) whether each object is certified against a patch of that height and width.

        Args:
            looks: of the image as it is: ``looks``. A patch under a mask changes nothing of them.
            size: height and width of the image [px].
            boxes: (N, 4) the objects, xyxy [px].
            labels: their N classes.
            patch_px: height and width of the patch, which may lie anywhere wholly in the image.
            overlap: part of a masked detection's area that has to lie in the object.
        """
        masks = self.masks(*size)
        certified = np.zeros(len(boxes), bool)
        free = _covered(masks, size, patch_px)  # (masks, places)
        for k, (box, label) in enumerate(zip(boxes, labels, strict=True)):
            good = [
                any(
                    seen.labels[i] == label and part >= overlap
                    for i, part in enumerate(_within(seen.boxes, box))
                )
                for seen in looks
            ]
            certified[k] = bool(free[np.array(good, bool)].any(0).all())
        return certified

    def join(self, whole: Detections, looks: Sequence[Detections]) -> Detections:
        """The whole image's detections, and of the masked ones those that lie in none sure of them.

        Of masked detections that lie in each other the largest stands for all.
        """
        kept = [(whole.boxes[i], whole.scores[i], whole.labels[i]) for i in range(len(whole))]
        masked = [
            (seen.boxes[i], seen.scores[i], seen.labels[i])
            for seen in looks
            for i in range(len(seen))
        ]
        # Large ones first, so that a part of an object never stands in its place.
        masked.sort(key=lambda item: -float(np.prod(item[0][2:] - item[0][:2])))
        for box, score, label in masked:
            # What the car would not believe must not take the place of what it would: a patch that
            # leaves a weak box of its target would hide it otherwise.
            same = np.array(
                [other for other, sure, name in kept if name == label and sure >= self.score]
            ).reshape(-1, 4)
            if not any(_within(box[None], other)[0] >= self.inside for other in same):
                kept.append((box, score, label))
        return Detections(
            np.array([box for box, _, _ in kept], float).reshape(-1, 4),
            np.array([score for _, score, _ in kept], float),
            tuple(label for _, _, label in kept),
        )


class Masked:
    """One run; the alarm is 1 where a mask shows more than the whole image does."""

    def __init__(self, recipe: Masking) -> None:
        self._recipe = recipe
        self._alarm = 0.0

    def clean(self, obs: Observation) -> Observation:
        return {**obs, "camera": np.array(obs["camera"])}

    def wrap(self, detector: Detector) -> Detector:
        return detector if self._recipe.lines == 0 else Looking(self.look, detector)

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        return Verdict(seen, {"camera": self._alarm})

    def look(self, detector: Detector, image: Image) -> Detections:
        whole = detector.detect(image[None])[0]
        joined = self._recipe.join(whole, self._recipe.looks(detector, image))
        self._alarm = float(len(joined) > len(whole))
        return joined


def _covered(
    masks: Sequence[tuple[int, int, int, int]], size: tuple[int, int], patch_px: tuple[int, int]
) -> NDArray[np.bool_]:
    """(masks, places) whether a mask covers the patch at each place of its upper left corner."""
    (height, width), (tall, wide) = size, patch_px
    if tall > height or wide > width or min(patch_px) < 1:
        raise ValueError(f"a patch of {tall} x {wide} px does not lie in {height} x {width} px")
    top, left = np.meshgrid(
        np.arange(height - tall + 1), np.arange(width - wide + 1), indexing="ij"
    )
    rows = [
        (left >= x0) & (top >= y0) & (left + wide <= x1) & (top + tall <= y1)
        for x0, y0, x1, y1 in masks
    ]
    return np.array(rows, bool).reshape(len(masks), top.size)


def _within(boxes: Floats, outer: Floats) -> Floats:
    """(N,) part of each box's area that lies in ``outer`` (4,)."""
    low = np.maximum(boxes[:, :2], outer[:2])
    high = np.minimum(boxes[:, 2:], outer[2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    return np.asarray(shared / np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-9))
