"""Finds prints by a network that learnt what they look like, completes their shape, paints over.

A mask of single pixels is easily torn by an attack: so pieces near each other are taken together
and filled to their convex hull before the picture is completed from its surroundings.

Source: Liu, Levine, Lau, Chellappa, Feizi: Segment and complete: defending object detectors against
adversarial patch attacks with robust patch detection, CVPR 2022, sections 3.1 and 3.3 (they
complete to squares of a known size); Telea, Journal of Graphics Tools 9 (2004), for the filling.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simattack.checks import number, whole
from simattack.classifiers.patches import SURE, PatchMasks
from simattack.guarding import PerImage, arrays_of, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Image

if TYPE_CHECKING:
    from torch import Tensor

_FILL_PX = 4.0
"""Radius that the filling looks at."""
_SOFTER = 4.0
"""What logits are divided by for gradients: a network that is sure would leave none."""


@register("defenses", "segmenter")
@dataclass(frozen=True)
class Segmenter:
    """Paint over what looks printed."""

    needs = ("camera",)
    family = Family.DETECTION

    weights: str = "town_patches"
    """Name of shipped weights, or a path to what ``simattack train --what patches`` made."""
    threshold: float = SURE
    """Share from which on a pixel counts as printed over; 1 leaves the picture as it is."""
    least_px: int = 6
    """Fewer printed pixels together are none."""
    join_px: int = 3
    """Pieces as far apart, or twice that, are one print."""
    alarm_share: float = 0.003
    """Share of filled pixels at which the alarm reaches 1."""
    latency_s: float = 0.07

    def __post_init__(self) -> None:
        number("threshold", self.threshold, 0.0, 1.0)
        for name in ("least_px", "join_px"):
            whole(name, getattr(self, name))
        number("alarm_share", self.alarm_share, 1e-6, 1.0)
        latency(self.latency_s)
        _ = self.files

    @property
    def files(self) -> tuple[Path, ...]:
        """What decides its outcome besides its options."""
        return (self._masks.path,)

    @cached_property
    def _masks(self) -> PatchMasks:
        return PatchMasks(self.weights)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> PerImage:
        def clean(image: Image) -> tuple[Image, float]:
            filled, mask = self.fill(image)
            return filled, min(1.0, float(mask.mean()) / self.alarm_share)

        return PerImage(clean)

    def complete(self, printed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(H, W) the whole prints of which such pixels are seen."""
        import cv2

        size = 2 * self.join_px + 1
        reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        joined = cv2.dilate(printed.astype(np.uint8), reach)
        count, parts = cv2.connectedComponents(joined)
        whole = np.zeros(printed.shape, np.uint8)
        for part in range(1, count):
            own = printed & (parts == part)
            if own.sum() < max(self.least_px, 1):
                continue
            rows, columns = np.nonzero(own)
            points = np.stack([columns, rows], 1).astype(np.int32)
            cv2.fillConvexPoly(whole, cv2.convexHull(points), 1)
        # An edge mixes print and surroundings; neither is to be left.
        return np.asarray(cv2.dilate(whole, np.ones((3, 3), np.uint8)) > 0)

    def fill(self, image: Image) -> tuple[Image, NDArray[np.bool_]]:
        """The image (a new array) without its prints, and where they were."""
        import cv2

        nothing = np.zeros(image.shape[:2], bool)
        if self.threshold >= 1:
            return image.copy(), nothing
        printed = self._masks.shares(image) >= self.threshold
        if not printed.any():
            return image.copy(), nothing
        mask = self.complete(printed)
        if not mask.any():
            return image.copy(), mask
        filled = cv2.inpaint(image, mask.astype(np.uint8), _FILL_PX, cv2.INPAINT_TELEA)
        return np.asarray(filled), mask

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """True filling forward; backward the network's own shares mix picture and filling (BPDA).

        So an attack feels both what it loses by being found and how to be found less.
        """
        import torch

        if self.threshold >= 1:
            return images
        filled = np.stack([self.fill(array)[0] for array in arrays_of(images)])
        after = torch.from_numpy(filled).to(images.device).permute(0, 3, 1, 2).to(images) / 255
        shares = (self._masks.logits(images) / _SOFTER).sigmoid()[:, None]
        mixed = images * (1 - shares) + after * shares
        return mixed + (after - mixed).detach()
