"""Fewer levels of each colour: small differences between neighbours are rounded away.

Gradient masking: rounding has no useful slope, and an attack that steps past it does not mind.

Source: Xu, Evans, Qi: Feature squeezing: detecting adversarial examples in deep neural networks,
NDSS 2018, section III (squeezing colour bits).
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

OFF = 8


@register("defenses", "bit_depth")
@dataclass(frozen=True)
class BitDepth:
    """Round every colour of every image to ``bits``."""

    needs = ("camera",)
    family = Family.MASKING

    bits: int = 4
    """1..7; 8 leaves the image as it is."""
    latency_s: float = 0.001

    def __post_init__(self) -> None:
        if not isinstance(self.bits, int) or not 1 <= self.bits <= OFF:
            raise ValueError(f"bits must be 1 to {OFF}, got {self.bits}")
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> PerImage:
        return PerImage(lambda image: (self.squeeze(image), 0.0))

    def squeeze(self, image: Image) -> Image:
        """An image (H, W, 3) on ``2 ** bits`` levels that reach from black to white."""
        if self.bits == OFF:
            return image.copy()
        most = 2**self.bits - 1
        table = np.rint(np.rint(np.arange(256) / 255 * most) * 255 / most).astype(np.uint8)
        return np.asarray(table[image], np.uint8)

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """True rounding forward, the identity's gradient backward (BPDA)."""
        return straight_through(images, self.squeeze)
