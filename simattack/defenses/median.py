"""A median filter over each colour: single pixels that stick out vanish.

Gradient masking: what is passed on is the slope of one neighbour only.

Source: Xu, Evans, Qi: Feature squeezing: detecting adversarial examples in deep neural networks,
NDSS 2018, section III (local smoothing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simattack.guarding import PerImage, latency, straight_through
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Image

if TYPE_CHECKING:
    from torch import Tensor

OFF = 1


@register("defenses", "median")
@dataclass(frozen=True)
class Median:
    """Replace every pixel by the median of its window, colour by colour."""

    needs = ("camera",)
    family = Family.MASKING

    window_px: int = 3
    """Odd; 1 leaves the image as it is."""
    latency_s: float = 0.005

    def __post_init__(self) -> None:
        if not isinstance(self.window_px, int) or self.window_px < 1 or self.window_px % 2 == 0:
            raise ValueError(f"window_px must be an odd number from 1 on, got {self.window_px}")
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> PerImage:
        return PerImage(lambda image: (self.filter(image), 0.0))

    def filter(self, image: Image) -> Image:
        """The filtered image (H, W, 3); its border is mirrored."""
        if self.window_px == OFF:
            return image.copy()
        import cv2

        wide = self.window_px // 2
        # cv2 repeats the border; a wider image with a mirrored one makes it ours.
        padded = cv2.copyMakeBorder(image, wide, wide, wide, wide, cv2.BORDER_REFLECT_101)
        filtered = cv2.medianBlur(padded, self.window_px)
        return np.ascontiguousarray(filtered[wide:-wide, wide:-wide])

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """True median forward, the identity's gradient backward (BPDA)."""
        return straight_through(images, self.filter)
