"""Where in a picture something printed covers what is there, pixel by pixel, by a small network.

Made by ``simattack train NAME --what patches`` (``train/patch_masks.py``); the defense
``segmenter`` looks through it. Differentiable, so that an attack can be made against it.

Source of the principle: Liu, Levine, Lau, Chellappa, Feizi: Segment and complete: defending object
detectors against adversarial patch attacks with robust patch detection, CVPR 2022; of the shape of
the network: Ronneberger, Fischer, Brox: U-Net, MICCAI 2015; Shi et al., CVPR 2016, for the pixels
that are shuffled out of channels at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simattack.classifiers.trained import Trained
from simattack.guarding import tensor_of
from simattack.types import Image

if TYPE_CHECKING:
    from torch import Tensor, nn

ARCHITECTURE = "patches-1"
CLASSES = ("print",)
WIDTHS = (16, 32, 64)
"""Channels at a half, a quarter and an eighth of the picture's size."""
SURE = 0.95
"""Share from which on a pixel counts as printed over; with less, much of a street does."""
STEP_PX = 8
"""Both sides of what the network sees are multiples of it."""


@dataclass(frozen=True)
class PatchMasks(Trained):
    """The segmenter of prints."""

    architecture = ARCHITECTURE
    classes = CLASSES

    weights: str = "town_patches"

    @staticmethod
    def build() -> nn.Module:
        return build()

    def logits(self, images: Tensor) -> Tensor:
        """(B, H, W) of being printed over, for images (B, 3, H, W) in 0..1; differentiable."""
        return logits(self._network, images)

    def shares(self, image: Image) -> NDArray[np.float32]:
        """(H, W) in 0..1 how sure each pixel of an image (H, W, 3) is printed over."""
        import torch

        with torch.no_grad():
            found: Tensor = self.logits(tensor_of(image[None])).sigmoid()
        shares: NDArray[np.float32] = found[0].numpy()
        return shares


def logits(network: nn.Module, images: Tensor) -> Tensor:
    """As ``PatchMasks.logits``, of any network that ``build`` made."""
    from torch.nn.functional import pad

    height, width = images.shape[-2:]
    below, right = -height % STEP_PX, -width % STEP_PX
    found: Tensor = network(pad(images, (0, right, 0, below), mode="replicate"))
    return found[:, 0, :height, :width]


def build() -> nn.Module:
    """The network with random weights: (B, 3, H, W) in 0..1 -> (B, 1, H, W) logits."""
    import torch
    from torch import nn
    from torch.nn.functional import interpolate

    def block(inner: int, outer: int, size: int = 3) -> nn.Sequential:
        conv = nn.Conv2d(inner, outer, size, 1, size // 2, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outer), nn.ReLU())

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            fine, middle, coarse = WIDTHS
            self.fine = nn.Sequential(block(12, fine), block(fine, fine))
            self.middle = nn.Sequential(block(fine, middle), block(middle, middle))
            self.coarse = nn.Sequential(block(middle, coarse), block(coarse, coarse))
            self.joined = nn.Sequential(block(coarse + middle, middle, 1), block(middle, middle))
            self.head = nn.Sequential(block(middle + fine, fine, 1), block(fine, fine))
            self.told = nn.Conv2d(fine, 4, 1)

        def forward(self, images: Tensor) -> Tensor:
            fine = self.fine(nn.functional.pixel_unshuffle(images - 0.5, 2))
            middle = self.middle(nn.functional.max_pool2d(fine, 2))
            coarse = self.coarse(nn.functional.max_pool2d(middle, 2))
            up = interpolate(coarse, scale_factor=2.0, mode="nearest")
            middle = self.joined(torch.cat([up, middle], 1))
            up = interpolate(middle, scale_factor=2.0, mode="nearest")
            told: Tensor = self.told(self.head(torch.cat([up, fine], 1)))
            return nn.functional.pixel_shuffle(told, 2)

    return Net().to(memory_format=torch.channels_last)
