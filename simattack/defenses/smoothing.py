"""Local gradient smoothing: dims image regions whose gradients are dense, as patches' are.

Source: Naseer, Khan, Porikli: Local gradients smoothing: defense against localized adversarial
attacks, WACV 2019; block 15 px, overlap 5 px, threshold 0.1, factor 2.3 are the paper's; the alarm
is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simattack.guarding import PerImage, arrays_of, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Image

if TYPE_CHECKING:
    from torch import Tensor

_GREY = (0.299, 0.587, 0.114)
_FLAT = 1e-6


@register("defenses", "smoothing")
@dataclass(frozen=True)
class Smoothing:
    """Multiply the image by 1 - factor * g, where g is the gradient in busy blocks, else 0."""

    needs = ("camera",)
    family = Family.DETECTION

    block_px: int = 15
    overlap_px: int = 5
    threshold: float = 0.1
    """Mean of a block's gradients, normalised to 0..1 over the image, above which it is busy."""
    factor: float = 2.3
    """0 leaves the image as it is."""
    alarm_share: float = 0.55
    """Share of busy pixels at which the alarm reaches 1. At half of it it counts, which one of a
    hundred pictures of clean drives reaches (`benchmarks/alarms.py`)."""
    latency_s: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.overlap_px < self.block_px:
            raise ValueError(
                f"overlap_px must be 0 to block_px - 1, got {self.overlap_px} of {self.block_px}"
            )
        if self.factor < 0 or not 0 <= self.threshold <= 1 or self.alarm_share <= 0:
            raise ValueError(
                f"factor must not be negative, threshold in 0..1, alarm_share above 0; got "
                f"{self.factor}, {self.threshold}, {self.alarm_share}"
            )
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> PerImage:
        def clean(image: Image) -> tuple[Image, float]:
            smoothed, share = self.smooth(image)
            return smoothed, min(1.0, share / self.alarm_share)

        return PerImage(clean)

    def busy(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W): the normalised gradient in busy blocks of an image (H, W, 3), 0 elsewhere."""
        grey = image.astype(np.float32) @ np.array(_GREY, np.float32) / 255
        dx = np.diff(grey, axis=1, append=grey[:, -1:])
        dy = np.diff(grey, axis=0, append=grey[-1:])
        size = np.hypot(dx, dy)
        low, high = float(size.min()), float(size.max())
        if high - low < _FLAT:
            return np.zeros_like(size)
        gradient = (size - low) / (high - low)
        keep = np.zeros(size.shape, bool)
        total = np.zeros((size.shape[0] + 1, size.shape[1] + 1))
        total[1:, 1:] = gradient.cumsum(0, dtype=np.float64).cumsum(1)
        top, bottom = self._blocks(size.shape[0])
        left, right = self._blocks(size.shape[1])
        sums = (
            total[np.ix_(bottom, right)]
            - total[np.ix_(top, right)]
            - total[np.ix_(bottom, left)]
            + total[np.ix_(top, left)]
        )
        area = np.outer(bottom - top, right - left)
        for i, j in np.argwhere(sums / area > self.threshold):
            keep[top[i] : bottom[i], left[j] : right[j]] = True
        return np.where(keep, gradient, np.float32(0))

    def smooth(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
        """The defended image (a new array) and the share of its pixels in busy blocks."""
        if self.factor == 0:
            return image.copy(), 0.0
        gradient = self.busy(image)
        gain = np.clip(1 - self.factor * gradient, 0, 1)
        dimmed = np.rint(image * gain[:, :, None]).astype(np.uint8)
        return dimmed, float((gradient > 0).mean())

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """The same dimming; which pixels are dimmed, and how much, passes no gradient (BPDA).

        On a crop, gradients are normalised to the crop's own range.
        """
        import torch

        if self.factor == 0:
            return images
        arrays = arrays_of(images)
        busy = torch.from_numpy(np.stack([self.busy(array) for array in arrays])).to(images)
        # A pixel that is dimmed to nothing would hide its gradient: leave it a little.
        gain = (1 - self.factor * busy).clamp(0, 1)[:, None]
        through = gain.clamp(min=0.1)
        return images * through + (images * (gain - through)).detach()

    def _blocks(self, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Starts and ends of the blocks that cover 0..length; the last may be cut short."""
        step = self.block_px - self.overlap_px
        start = np.arange(0, max(length - self.overlap_px, 1), step)
        return start, np.minimum(start + self.block_px, length)
