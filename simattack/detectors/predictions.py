"""What all detectors make of a network's predictions: a loss, the best score, boxes to report.

Predictions are boxes (B, A, 4) xyxy [px] and logits (B, A, 8) in the order of CLASS_NAMES, before
any threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simattack.errors import WeightsError
from simattack.types import CLASS_NAMES, Detections, Image

if TYPE_CHECKING:
    from torch import Tensor

MAX_DETECTIONS = 100
NEAR = 1.3
"""A prediction belongs to a target if its centre lies in the target's box, enlarged so much."""
TOP_ANCHORS = 10
HIDDEN_LOGIT = -4.0
"""The best logit the hiding loss still pushes down: a score of 0.018."""
HINGE_WEIGHT = 0.05
ABSENT_LOGIT = -20.0
"""For classes that the network does not know."""


def hiding_loss(boxes: Tensor, logits: Tensor, targets: Sequence[Detections]) -> Tensor:
    """Hiding loss (B,), low when the targets go unseen; the mean over an image's targets.

    Per target, over the predictions whose box is centred near it: the mean score of its class
    among the strongest few, plus a hinge that keeps pushing the strongest logit down after
    its score has saturated. Zero, with a zero gradient, where nothing is predicted near.
    """
    import torch

    losses = []
    for row, wanted in enumerate(_checked(boxes, targets)):
        terms = []
        for near in near_logits(boxes[row], logits[row], wanted):
            top = near.topk(min(TOP_ANCHORS, len(near))).values
            hinge = torch.relu(top[0] - HIDDEN_LOGIT)
            terms.append(top.sigmoid().mean() + HINGE_WEIGHT * hinge)
        # Multiplied by zero, not a constant, so that the image stays part of the graph.
        losses.append(torch.stack(terms).mean() if terms else logits[row].sum() * 0.0)
    return torch.stack(losses)


def best_scores(boxes: Tensor, logits: Tensor, targets: Sequence[Detections]) -> Tensor:
    """The best score (B,) of a target's class near it: 0 where nothing is predicted there.

    With several targets in an image, that of the best seen.
    """
    import torch

    best = []
    for row, wanted in enumerate(_checked(boxes, targets)):
        tops = [near.max().sigmoid() for near in near_logits(boxes[row], logits[row], wanted)]
        best.append(torch.stack(tops).max() if tops else logits[row].sum() * 0.0)
    return torch.stack(best)


def near_logits(boxes: Tensor, logits: Tensor, wanted: Detections) -> list[Tensor]:
    """Per target with any prediction near it, those predictions' logits (n,) of its class."""
    centres = (boxes[:, :2] + boxes[:, 2:]).detach() / 2
    found = []
    for box, label in zip(wanted.boxes, wanted.labels, strict=True):
        target = boxes.new_tensor(box)
        middle, half = (target[:2] + target[2:]) / 2, (target[2:] - target[:2]) / 2
        inside = ((centres - middle).abs() <= NEAR * half).all(1)
        if bool(inside.any()):
            found.append(logits[inside, CLASS_NAMES.index(label)])
    return found


def select(
    boxes: Tensor, logits: Tensor, size: tuple[int, int], confidence: float, iou: float
) -> Detections:
    """Threshold and suppression, class by class, of one image's predictions (A, 4) and (A, 8)."""
    from torchvision.ops import batched_nms

    scores, labels = logits.sigmoid().max(1)
    keep = scores > confidence
    boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
    order = batched_nms(boxes, scores, labels, iou)[:MAX_DETECTIONS]
    picked = boxes[order].double().cpu().numpy()
    height, width = size
    picked = picked.clip(0, [width, height, width, height])
    return Detections(
        picked,
        scores[order].double().cpu().numpy(),
        tuple(CLASS_NAMES[int(label)] for label in labels[order]),
    )


def columns(classes: Sequence[str], path: Path) -> tuple[int | None, ...]:
    """Where each of CLASS_NAMES stands among a network's outputs, None if it does not.

    Raises:
        WeightsError: the network knows none of them.
    """
    found = tuple(classes.index(name) if name in classes else None for name in CLASS_NAMES)
    if all(column is None for column in found):
        raise WeightsError(
            f"{path} detects {', '.join(classes[:5]) or 'nothing'}; expected some of COCO's "
            f"{', '.join(CLASS_NAMES)}"
        )
    return found


def in_order(logits: Tensor, picked: Sequence[int | None]) -> Tensor:
    """A network's logits (B, A, C) as (B, A, 8) in the order of CLASS_NAMES."""
    import torch

    if tuple(picked) == tuple(range(logits.shape[2])):
        return logits
    absent = torch.full_like(logits[..., 0], ABSENT_LOGIT)
    return torch.stack([absent if c is None else logits[..., c] for c in picked], 2)


def check_images(images: Image) -> None:
    """Refuse what is no batch of pictures.

    Raises:
        ValueError: another shape or type than (B, H, W, 3) uint8.
    """
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise ValueError(f"images must be (B, H, W, 3) uint8, got {images.shape} {images.dtype}")


def thresholds(confidence: float, iou: float) -> None:
    """Refuse thresholds out of range.

    Raises:
        ValueError: names both.
    """
    if not 0 < confidence < 1 or not 0 < iou <= 1:
        raise ValueError(
            f"confidence must lie in (0, 1) and iou in (0, 1], got {confidence}, {iou}"
        )


def _checked(boxes: Tensor, targets: Sequence[Detections]) -> Sequence[Detections]:
    if len(boxes) != len(targets):
        raise ValueError(f"{len(boxes)} images need as many sets of targets, got {len(targets)}")
    return targets
