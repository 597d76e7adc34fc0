"""JPEG compression of the camera's image: fine patterns are rounded away.

Source: Dziugaite, Ghahramani, Roy: A study of the effect of JPG compression on adversarial
images, 2016.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from simattack.registry import register
from simattack.types import CarInfo, Detections, Detector, Observation, Verdict

if TYPE_CHECKING:
    from torch import Tensor

OFF = 100
"""The quality at which nothing is done."""


@register("defenses", "jpeg")
@dataclass(frozen=True)
class Jpeg:
    """Compress and decompress every image before the detector sees it."""

    needs = ("camera",)

    quality: int = 50
    """1..99 as libjpeg counts, chroma halved; 100 leaves the image as it is."""
    latency_s: float = 0.01

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= OFF:
            raise ValueError(f"quality must be 1 to {OFF}, got {self.quality}")
        if self.latency_s < 0:
            raise ValueError(f"latency_s must not be negative, got {self.latency_s}")

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Compressing:
        return Compressing(self)

    def compress(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image (H, W, 3) after a trip through JPEG; always a new array."""
        if self.quality == OFF:
            return image.copy()
        buffer = io.BytesIO()
        Pictures.fromarray(image).save(buffer, "JPEG", quality=self.quality)
        with Pictures.open(buffer) as picture:
            return np.array(picture.convert("RGB"))

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """True JPEG forward, the identity's gradient backward (BPDA).

        Source: Athalye, Carlini, Wagner: Obfuscated gradients give a false sense of security, 2018.
        """
        import torch

        pixels = (images.detach().clamp(0, 1) * 255).round().to(torch.uint8)
        arrays = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        packed = np.stack([self.compress(array) for array in arrays])
        after = torch.from_numpy(packed).to(images.device).permute(0, 3, 1, 2).to(images) / 255
        return images + (after - images).detach()


class Compressing:
    """One run; compresses each new image once."""

    def __init__(self, recipe: Jpeg) -> None:
        self._recipe = recipe
        self._last: tuple[Any, NDArray[np.uint8]] | None = None

    def clean(self, obs: Observation) -> Observation:
        image = obs["camera"]
        # Ticks between two captures repeat the image: the very same array.
        if self._last is None or self._last[0] is not image:
            self._last = (image, self._recipe.compress(image))
        return {**obs, "camera": self._last[1]}

    def wrap(self, detector: Detector) -> Detector:
        return detector

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        return Verdict(seen)
