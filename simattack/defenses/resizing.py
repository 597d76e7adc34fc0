"""Each image shrunk a little at random and put back at random: what a patch aims at moves.

Gradient masking by chance: an attack that averages over the chance (EOT) gets past it.

Source: Xie, Wang, Zhang, Ren, Yuille: Mitigating adversarial effects through randomization, ICLR
2018. There the image is padded to a larger one; here its size stays the camera's and boxes are
put back to where they belong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.checks import number
from simattack.guarding import latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Detections, Detector, Image, Observation, Verdict

if TYPE_CHECKING:
    from torch import Tensor

_PADDING = 114
"""The grey that detectors are trained to ignore."""


@register("defenses", "resizing")
@dataclass(frozen=True)
class Resizing:
    """Shrink each image by up to ``shrink`` and lay it at a random place on grey."""

    needs = ("camera",)
    family = Family.MASKING

    shrink: float = 0.15
    """At most this part of the size is lost; 0 leaves the image as it is."""
    latency_s: float = 0.004

    def __post_init__(self) -> None:
        number("shrink", self.shrink, 0.0, 0.9)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Resized:
        return Resized(self, rng)

    def draw(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """A random place for the image: left, top, width, height [px]."""
        scale = 1 - float(rng.uniform(0, self.shrink))
        wide, tall = max(1, round(scale * width)), max(1, round(scale * height))
        left, top = (int(rng.integers(0, spare + 1)) for spare in (width - wide, height - tall))
        return left, top, wide, tall

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """One draw for each image, by bilinear sampling, so that gradients pass (EOT).

        A crop is moved about within its own frame; ``surrogate_at`` says where its target then is.
        """
        return self._moved(images, rng)[0]

    def surrogate_at(
        self, images: Tensor, targets: Sequence[Detections], rng: np.random.Generator
    ) -> tuple[Tensor, list[Detections]]:
        """``surrogate``, and where the targets of the images (B, 3, H, W) then lie."""
        height, width = images.shape[2:]
        moved, places = self._moved(images, rng)
        found = []
        for target, (left, top, wide, tall) in zip(targets, places, strict=True):
            boxes = target.boxes * ([wide / width, tall / height] * 2) + [left, top, left, top]
            found.append(Detections(boxes, target.scores, target.labels))
        return moved, found

    def _moved(
        self, images: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, list[tuple[int, int, int, int]]]:
        """Each image at a place of its own, and the places."""
        import torch
        from torch.nn.functional import interpolate, pad

        height, width = images.shape[2:]
        if self.shrink == 0:
            return images, [(0, 0, width, height)] * len(images)
        moved, places = [], []
        for image in images:
            left, top, wide, tall = place = self.draw(height, width, rng)
            small = interpolate(image[None], (tall, wide), mode="bilinear", antialias=True)
            sides = (left, width - wide - left, top, height - tall - top)
            moved.append(pad(small, sides, value=_PADDING / 255))
            places.append(place)
        return torch.cat(moved), places


class Resized:
    """One run; a new draw for each new image."""

    def __init__(self, recipe: Resizing, rng: np.random.Generator) -> None:
        self._recipe, self._rng = recipe, rng
        self._last: tuple[Any, Image, tuple[int, int, int, int]] | None = None

    def clean(self, obs: Observation) -> Observation:
        image = obs["camera"]
        if self._last is None or self._last[0] is not image:
            self._last = (image, *self._moved(image))
        return {**obs, "camera": self._last[1]}

    def wrap(self, detector: Detector) -> Detector:
        return detector

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        """Boxes where they are in the camera's own image; none of what lies beside it."""
        if self._last is None or self._recipe.shrink == 0:
            return Verdict(seen)
        image, _, (left, top, wide, tall) = self._last
        height, width = image.shape[:2]
        scale = np.array([width / wide, height / tall] * 2)
        boxes = ((seen.boxes - [left, top, left, top]) * scale).clip(0, [width, height] * 2)
        moved = Detections(boxes, seen.scores, seen.labels)
        return Verdict(moved.select((boxes[:, 2:] > boxes[:, :2]).all(axis=1)))

    def _moved(self, image: Image) -> tuple[Image, tuple[int, int, int, int]]:
        height, width = image.shape[:2]
        if self._recipe.shrink == 0:
            return image.copy(), (0, 0, width, height)
        import cv2

        left, top, wide, tall = place = self._recipe.draw(height, width, self._rng)
        canvas = np.full_like(image, _PADDING)
        small = cv2.resize(image, (wide, tall), interpolation=cv2.INTER_AREA)
        canvas[top : top + tall, left : left + wide] = small
        return canvas, place
