"""Random noise on every image: a fine pattern drowns, and gradients become noisy.

Gradient masking by chance: an attack that averages over the noise (EOT) gets past it.

Source: Cohen, Rosenfeld, Kolter: Certified adversarial robustness via randomized smoothing, ICML
2019, for the noise; a single draw certifies nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simattack.checks import number
from simattack.guarding import PerImage, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Image

if TYPE_CHECKING:
    from torch import Tensor


@register("defenses", "noise")
@dataclass(frozen=True)
class Noise:
    """Add normal noise, each pixel and colour by itself."""

    needs = ("camera",)
    family = Family.MASKING

    std: float = 12.0
    """Of 255; 0 leaves the image as it is."""
    latency_s: float = 0.01

    def __post_init__(self) -> None:
        number("std", self.std, 0.0, 255.0)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> PerImage:
        def clean(image: Image) -> tuple[Image, float]:
            return self.add(image, rng), 0.0

        return PerImage(clean)

    def add(self, image: Image, rng: np.random.Generator) -> Image:
        """A new image with one draw of the noise; without any, nothing is drawn."""
        if self.std == 0:
            return image.copy()
        added = rng.standard_normal(image.shape, np.float32) * np.float32(self.std)
        return np.asarray(np.rint(image + added).clip(0, 255), np.uint8)

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """One draw of the noise; the image's gradient passes as it is (EOT)."""
        import torch

        count, colours, height, width = images.shape
        drawn = rng.standard_normal((count, height, width, colours), np.float32)
        added = torch.from_numpy(drawn * np.float32(self.std / 255)).to(images).permute(0, 3, 1, 2)
        noisy = ((images + added).clamp(0, 1) * 255).round() / 255
        return images + (noisy - images).detach()
