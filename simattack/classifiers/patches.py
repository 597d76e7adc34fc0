"""Where in a picture something printed covers what is there, pixel by pixel, by a small network.

Made by ``simattack train NAME --what patches`` (``train/patch_masks.py``); the defense
``segmenter`` looks through it. Differentiable, so that an attack can be made against it.

Source of the principle: Liu, Levine, Lau, Chellappa, Feizi: Segment and complete: defending object
detectors against adversarial patch attacks with robust patch detection, CVPR 2022; of the shape of
the network: Ronneberger, Fischer, Brox: U-Net, MICCAI 2015; Shi et al., CVPR 2016, for the pixels
that are shuffled out of channels at its end.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simattack.detectors.weights import read_card
from simattack.errors import ConfigError, WeightsError
from simattack.guarding import tensor_of
from simattack.resources import locate
from simattack.types import Image

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDER = "classifiers/weights"
ARCHITECTURE = "patches-1"
CLASSES = ("print",)
WIDTHS = (16, 32, 64)
"""Channels at a half, a quarter and an eighth of the picture's size."""
SURE = 0.95
"""Share from which on a pixel counts as printed over; with less, much of a street does."""
STEP_PX = 8
"""Both sides of what the network sees are multiples of it."""


@dataclass(frozen=True)
class PatchMasks:
    """The segmenter of prints.

    Raises:
        WeightsError: at construction: weights missing, changed, or of something else.
    """

    weights: str = "town_patches"
    """Name of shipped weights, or a path to .safetensors with its card beside it."""

    def __post_init__(self) -> None:
        card = read_card(self.path)
        if card.architecture != ARCHITECTURE or card.classes != CLASSES:
            raise WeightsError(
                f"{self.path} is of {card.architecture!r} with classes {', '.join(card.classes)}; "
                f"expected {ARCHITECTURE!r} with {', '.join(CLASSES)}"
            )

    def __getstate__(self) -> dict[str, Any]:
        # The recipe travels to other processes, the network does not.
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @property
    def path(self) -> Path:
        try:
            return locate(self.weights, FOLDER, ".safetensors")
        except ConfigError as error:
            raise WeightsError(str(error)) from None

    @cached_property
    def _network(self) -> nn.Module:
        return _load(self.path, self.path.stat().st_mtime_ns)

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


@lru_cache(maxsize=4)
def _load(path: Path, mtime_ns: int) -> nn.Module:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = build()
    try:
        state = {n: v.float() for n, v in load_file(str(path)).items() if v.is_floating_point()}
        missing = set(dict(network.named_parameters())) - set(state)
        network.load_state_dict(state, strict=False)
    except (SafetensorError, RuntimeError) as error:
        first = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path} does not fit {ARCHITECTURE}: {first}") from error
    if missing:
        raise WeightsError(f"{path} does not fit {ARCHITECTURE}: it lacks {', '.join(missing)}")
    return network.eval().requires_grad_(False)
