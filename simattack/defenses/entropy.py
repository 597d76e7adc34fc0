"""Finds patches by their entropy, which printed optimised patterns have more of, and fills them in.

Source: Tarchoun, Ben Khalifa, Mahjoub, Abu-Ghazaleh, Alouani: Jedi: entropy-based localization and
removal of adversarial patches, CVPR 2023, in its principle; the windows, thresholds and the filling
(a blur of the surroundings instead of a learned one) are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number
from simattack.guarding import PerImage, arrays_of, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Image

if TYPE_CHECKING:
    from torch import Tensor

_LEVELS = 16
"""Of grey, in the histogram of a window; 4 bits is the most entropy there can be."""
_GREY = (0.299, 0.587, 0.114)


@register("defenses", "entropy")
@dataclass(frozen=True)
class Entropy:
    """Blur away what is denser with information than streets are."""

    needs = ("camera",)
    family = Family.DETECTION

    window_px: int = 17
    """Odd; of the histogram around each pixel."""
    threshold_bits: float = 3.0
    """Of 4; 4 leaves the image as it is."""
    fill_px: float = 15.0
    """Reach of the blur that fills in."""
    alarm_share: float = 0.04
    """Share of filled pixels at which the alarm reaches 1. At half of it it counts, which fewer
    than one of a hundred pictures of clean drives reach (`benchmarks/alarms.py`)."""
    latency_s: float = 0.045

    def __post_init__(self) -> None:
        if not isinstance(self.window_px, int) or self.window_px < 3 or self.window_px % 2 == 0:
            raise ValueError(f"window_px must be an odd number from 3 on, got {self.window_px}")
        number("threshold_bits", self.threshold_bits, 0.0, 4.0)
        number("fill_px", self.fill_px, 0.5, 500.0)
        number("alarm_share", self.alarm_share, 1e-6, 1.0)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> PerImage:
        def clean(image: Image) -> tuple[Image, float]:
            filled, share = self.fill(image)
            return filled, min(1.0, share / self.alarm_share)

        return PerImage(clean)

    def bits(self, image: Image) -> NDArray[np.float32]:
        """(H, W) entropy of the grey levels in the window around each pixel, 0..4."""
        import cv2

        grey = image.astype(np.float32) @ np.array(_GREY, np.float32)
        level = np.minimum(grey * (_LEVELS / 256), _LEVELS - 1).astype(np.uint8)
        total = np.zeros(level.shape, np.float32)
        for k in range(_LEVELS):
            part = cv2.blur((level == k).astype(np.float32), (self.window_px, self.window_px))
            total -= part * np.log2(np.maximum(part, 1e-6))
        return np.clip(total, 0, 4)

    def fill(self, image: Image) -> tuple[Image, float]:
        """The image (a new array) without its densest parts, and their share of it."""
        import cv2

        if self.threshold_bits >= 4:
            return image.copy(), 0.0
        dense = self.bits(image) > self.threshold_bits
        if not dense.any():
            return image.copy(), 0.0
        # Windows reach half their width beyond a patch: what is dense lies inside of that.
        weight = cv2.GaussianBlur((~dense).astype(np.float32), (0, 0), self.fill_px)
        around = cv2.GaussianBlur(image * (~dense)[..., None].astype(np.float32), (0, 0),
                                  self.fill_px)  # fmt: skip
        filling = around / np.maximum(weight, 1e-3)[..., None]
        filled = np.where(dense[..., None], np.rint(filling), image).clip(0, 255)
        return filled.astype(np.uint8), float(dense.mean())

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """True filling forward; backward a filled pixel passes a tenth of its gradient (BPDA).

        Nothing at all would leave an attack that is filled in without a way out.
        """
        import torch

        arrays = arrays_of(images)
        filled = np.stack([self.fill(array)[0] for array in arrays])
        after = torch.from_numpy(filled).to(images.device).permute(0, 3, 1, 2).to(images) / 255
        dense = torch.from_numpy((filled != arrays).any(3)).to(images.device)[:, None]
        through = torch.where(dense, images * 0.1, images)
        return through + (after - through).detach()
