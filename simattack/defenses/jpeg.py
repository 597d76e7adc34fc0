"""JPEG compression of the camera's image: fine patterns are rounded away.

Source: Dziugaite, Ghahramani, Roy: A study of the effect of JPG compression on adversarial
images, 2016.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from simattack.guarding import PerImage, latency, straight_through
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo

if TYPE_CHECKING:
    from torch import Tensor

OFF = 100
"""The quality at which nothing is done."""


@register("defenses", "jpeg")
@dataclass(frozen=True)
class Jpeg:
    """Compress and decompress every image before the detector sees it."""

    needs = ("camera",)
    family = Family.MASKING

    quality: int = 50
    """1..99 as libjpeg counts, chroma halved; 100 leaves the image as it is."""
    latency_s: float = 0.01

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= OFF:
            raise ValueError(f"quality must be 1 to {OFF}, got {self.quality}")
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> PerImage:
        return PerImage(lambda image: (self.compress(image), 0.0))

    def compress(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image (H, W, 3) after a trip through JPEG; always a new array."""
        if self.quality == OFF:
            return image.copy()
        buffer = io.BytesIO()
        Pictures.fromarray(image).save(buffer, "JPEG", quality=self.quality)
        with Pictures.open(buffer) as picture:
            return np.array(picture.convert("RGB"))

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """True JPEG forward, the identity's gradient backward (BPDA)."""
        return straight_through(images, self.compress)
