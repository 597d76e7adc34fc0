"""Each image shrunk a little at random and put back at random: what a patch aims at moves.

Gradient masking by chance: an attack that averages over the chance (EOT) gets past it.

Source: Xie, Wang, Zhang, Ren, Yuille: Mitigating adversarial effects through randomization, ICLR
2018. There the image is padded to a larger one; here its size stays the camera's and boxes are
put back to where they belong.
"""

from __future__ import annotations

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
    latency_s: float = 0.003

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

        A crop is moved about within its own frame; where its target then lies is the place times
        the scale, which a loss that looks near the target has to allow for.
        """
        import torch
        from torch.nn.functional import interpolate, pad

        if self.shrink == 0:
            return images
        height, width = images.shape[2:]
        moved = []
        for image in images:
            left, top, wide, tall = self.draw(height, width, rng)
            small = interpolate(image[None], (tall, wide), mode="bilinear", antialias=True)
            sides = (left, width - wide - left, top, height - tall - top)
            moved.append(pad(small, sides, value=_PADDING / 255))
        return torch.cat(moved)


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
        """Boxes where they are in the camera's own image."""
        if self._last is None or self._recipe.shrink == 0:
            return Verdict(seen)
        image, _, (left, top, wide, tall) = self._last
        height, width = image.shape[:2]
        scale = np.array([width / wide, height / tall] * 2)
        boxes = ((seen.boxes - [left, top, left, top]) * scale).clip(0, [width, height] * 2)
        return Verdict(Detections(boxes, seen.scores, seen.labels))

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
