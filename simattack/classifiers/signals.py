"""What a traffic light shows and what a sign says, by a small network on the detector's boxes.

The detector tells *where* a light or a sign is, in COCO's classes; this tells which. It is a file
of its own so that any detector with COCO's classes drops in. Boxes are cut out by RoIAlign, so
that gradients flow to the picture: an attack may aim at what a sign is taken for.

Source of the cut: He et al., Mask R-CNN, ICCV 2017, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simattack.classifiers.trained import Trained
from simattack.types import Floats, Image

if TYPE_CHECKING:
    from torch import Tensor, nn

ARCHITECTURE = "signals-1"
LIGHTS = ("red", "yellow", "green", "off")
"""``off`` also stands for one seen from behind or too badly."""
SPEEDS_KMH = (30, 50, 60, 90)
LIMITS = tuple(f"limit {speed}" for speed in SPEEDS_KMH)
SIGNS = ("stop", "yield", *LIMITS, "none")
"""``none``: a box without a sign's face in it."""
CLASSES = (*LIGHTS, *SIGNS)
CROP_PX = 32
CONTEXT = 1.25
"""Side of the square that is looked at, over the longer side of the box."""
WIDTHS = (24, 48, 80, 128)


@dataclass(frozen=True)
class Signals(Trained):
    """The classifier of lights and signs."""

    architecture = ARCHITECTURE
    classes = CLASSES

    weights: str = "town_signals"

    @staticmethod
    def build() -> nn.Module:
        return build()

    def lights(self, image: Image, boxes: Floats) -> Floats:
        """(N, 4) shares of ``LIGHTS`` for boxes (N, 4) xyxy [px] of traffic lights."""
        return self._shares(image, boxes, LIGHTS)

    def signs(self, image: Image, boxes: Floats) -> Floats:
        """(N, 7) shares of ``SIGNS`` for boxes (N, 4) xyxy [px] of whatever may be a sign."""
        return self._shares(image, boxes, SIGNS)

    def read(self, cut: Image) -> Floats:
        """(N, 11) of ``CLASSES`` for crops (N, 32, 32, 3), before any share is made of them."""
        import torch

        with torch.no_grad():
            found: Tensor = self._network(torch.from_numpy(cut).permute(0, 3, 1, 2).float() / 255)
        logits: Floats = found.double().numpy()
        return logits

    def logits(self, images: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """(N, 11) of ``CLASSES`` for all boxes of a batch in order, differentiable.

        Args:
            images: (B, 3, H, W) float in 0..1.
            boxes: for each image (N_b, 4) xyxy [px].
        """
        found: Tensor = self._network(crops(images, boxes))
        return found

    def _shares(self, image: Image, boxes: Floats, names: tuple[str, ...]) -> Floats:
        import torch

        if not len(boxes):
            return np.zeros((0, len(names)))
        with torch.no_grad():
            # Only the rows that are looked at are turned into numbers.
            reach = CONTEXT * np.max(boxes[:, 2:] - boxes[:, :2]) + 2
            top = int(max(boxes[:, 1].min() - reach, 0))
            end = int(min(boxes[:, 3].max() + reach, len(image)))
            strip = torch.from_numpy(np.ascontiguousarray(image[top:end]))
            tensor = strip.permute(2, 0, 1)[None].float() / 255
            rows = torch.from_numpy(boxes - [0, top, 0, top]).float()
            logits = self.logits(tensor, [rows])
            own = logits[:, [CLASSES.index(name) for name in names]]
            shares: Floats = own.softmax(1).double().numpy()
        return shares


def crops(images: Tensor, boxes: Sequence[Tensor]) -> Tensor:
    """(N, 3, 32, 32) squares around boxes; black beyond the picture.

    Args:
        images: (B, 3, H, W).
        boxes: for each image (N_b, 4) xyxy [px].
    """
    import torch
    from torchvision.ops import roi_align

    squares = []
    for rows in boxes:
        middle = (rows[:, :2] + rows[:, 2:]) / 2
        half = (rows[:, 2:] - rows[:, :2]).max(1, keepdim=True).values * (CONTEXT / 2)
        squares.append(torch.cat([middle - half, middle + half], 1))
    cut: Tensor = roi_align(images, squares, CROP_PX, aligned=True)
    return cut


def build() -> nn.Module:
    """The network with random weights: (N, 3, 32, 32) in 0..1 -> (N, 11) logits."""
    import torch
    from torch import nn

    class Normal(nn.Module):
        """Each crop's own brightness taken out, so that a night's signs look like a day's."""

        def forward(self, x: Tensor) -> Tensor:
            spread = x.std((1, 2, 3), keepdim=True)
            return (x - x.mean((1, 2, 3), keepdim=True)) / (spread + 0.02)

    layers: list[nn.Module] = [Normal()]
    before = 3
    for number, width in enumerate(WIDTHS):
        layers += [
            nn.Conv2d(before, width, 3, 1 if number == 0 else 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        before = width
    layers += [nn.Flatten(), nn.Linear(before * (CROP_PX // 8) ** 2, len(CLASSES))]
    network = nn.Sequential(*layers)
    return network.to(memory_format=torch.channels_last)
