"""A detector that only tells boxes, as an adversary sees it: scores of what it reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.guarding import arrays_of
from simattack.optimize.goals import NEAR
from simattack.types import Detections, Detector

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class BlackBox:
    """Takes a detector's place where no gradients are needed; it has no ``loss``."""

    detector: Detector

    def __getattr__(self, name: str) -> Any:
        # What a patch's card tells of a detector, and nothing that would give gradients.
        if name in ("weights", "path"):
            return getattr(self.detector, name)
        raise AttributeError(name)

    def scores_near(self, images: Tensor, targets: Sequence[Detections]) -> Tensor:
        """(B,) the best score reported of a target's class and centred near it; 0 for none."""
        import torch

        best = [
            max((_best(seen, box, label) for box, label in zip(t.boxes, t.labels, strict=True)),
                default=0.0)
            for seen, t in zip(self.detector.detect(arrays_of(images)), targets, strict=True)
        ]  # fmt: skip
        return torch.tensor(best)


def _best(seen: Detections, box: Any, label: str) -> float:
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    centres = (seen.boxes[:, :2] + seen.boxes[:, 2:]) / 2
    near = (np.abs(centres - middle) <= NEAR * half).all(1)
    near &= np.array([name == label for name in seen.labels], bool)
    return float(seen.scores[near].max(initial=0.0))
