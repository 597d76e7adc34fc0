"""What a picture is to make a detector say: nothing, something, something else, or too much.

An ``Aim`` turns a goal and one or more detectors into the two numbers that the optimisers follow:
a loss with gradients, and a score in 0..1 of how far the goal still is. It takes the place of a
detector there.

Source: the goals are those of the surveys (hiding, appearing, misclassifying, overloading); the
last is the flood of boxes of Shapira et al., Phantom Sponges (WACV 2023), in its simplest form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from simattack.checks import choice
from simattack.types import CLASS_NAMES, Detections

if TYPE_CHECKING:
    from torch import Tensor

GOALS = ("hide", "appear", "misclassify", "overload")
GOALS_OF_PRINTS = ("appear", "overload")
"""Whose target is the print itself, whatever it is on."""
TOP_ANCHORS = 10
NEAR = 1.3
"""A prediction belongs to a target if its centre lies in the target's box, enlarged so much."""
SURE_LOGIT = 2.0
"""Up to here a wanted class is still pushed: a score of 0.88."""
HINGE_WEIGHT = 0.05
FLOOD = 100
"""Predictions above the threshold that count as a full flood: as many as a detector reports."""
FLOOD_LOGIT = 0.0


class RawDetector(Protocol):
    """A detector that tells every prediction before any threshold."""

    def loss(self, images: Tensor, targets: Sequence[Detections]) -> Tensor: ...

    def scores_near(self, images: Tensor, targets: Sequence[Detections]) -> Tensor: ...

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True, eq=False)
class Aim:
    """A goal held against detectors; each of several has to fall for it.

    Raises:
        ValueError: an unknown goal or class, or a goal without the class that it needs.
    """

    detectors: tuple[RawDetector, ...]
    goal: str = "hide"
    label: str = ""
    """Class to be seen, for ``appear`` and ``misclassify``."""

    def __post_init__(self) -> None:
        choice("goal", self.goal, GOALS)
        if not self.detectors:
            raise ValueError("an aim needs at least one detector")
        if self.goal in ("appear", "misclassify"):
            choice(f"label (of goal {self.goal!r})", self.label, CLASS_NAMES)

    def loss(self, images: Tensor, targets: Sequence[Detections]) -> Tensor:
        """(B,) low where the goal is reached; the mean over the detectors."""
        import torch

        return torch.stack([self._loss(d, images, targets) for d in self.detectors]).mean(0)

    def scores_near(self, images: Tensor, targets: Sequence[Detections]) -> Tensor:
        """(B,) 0 where the goal is reached, 1 where nothing of it is; that of the worst detector.

        ``hide``: the target's best score. ``appear``: what the wanted class lacks to a score of 1.
        ``misclassify``: the worse of both. ``overload``: the part of a flood that is missing.
        """
        import torch

        return torch.stack([self._score(d, images, targets) for d in self.detectors]).amax(0)

    def _loss(self, detector: RawDetector, images: Tensor, targets: Sequence[Detections]) -> Tensor:
        import torch

        if self.goal == "hide":
            return detector.loss(images, targets)
        boxes, logits = detector.raw(images)
        if self.goal == "overload":
            best = logits.amax(2)
            short = torch.relu(SURE_LOGIT - best)
            # The strongest few hundred: the others are not within reach, and would drown these.
            return short.topk(min(3 * FLOOD, short.shape[1]), largest=False).values.mean(1)
        losses = []
        for row, wanted in enumerate(targets):
            near = _near(boxes[row], wanted)
            if not bool(near.any()):
                losses.append(logits[row].sum() * 0.0 + 1.0)
                continue
            inside = logits[row, near]
            rise = inside[:, CLASS_NAMES.index(self.label)].amax()
            loss = 1 - rise.sigmoid() + HINGE_WEIGHT * torch.relu(SURE_LOGIT - rise)
            if self.goal == "misclassify":
                own = inside[:, [CLASS_NAMES.index(label) for label in wanted.labels]].flatten()
                top = own.topk(min(TOP_ANCHORS, len(own))).values
                loss = loss + top.sigmoid().mean()
            losses.append(loss)
        return torch.stack(losses)

    def _score(
        self, detector: RawDetector, images: Tensor, targets: Sequence[Detections]
    ) -> Tensor:
        import torch

        if self.goal == "hide":
            return detector.scores_near(images, targets)
        boxes, logits = detector.raw(images)
        if self.goal == "overload":
            many = (logits.amax(2) > FLOOD_LOGIT).sum(1)
            return 1 - (many / FLOOD).clamp(max=1.0)
        scores = []
        for row, wanted in enumerate(targets):
            near = _near(boxes[row], wanted)
            if not bool(near.any()):
                scores.append(logits.new_tensor(1.0))
                continue
            inside = logits[row, near].sigmoid()
            missing = 1 - inside[:, CLASS_NAMES.index(self.label)].amax()
            if self.goal == "misclassify":
                own = inside[:, [CLASS_NAMES.index(label) for label in wanted.labels]].amax()
                missing = torch.maximum(missing, own)
            scores.append(missing)
        return torch.stack(scores)


def _near(boxes: Tensor, wanted: Detections) -> Tensor:
    """(A,) whether a prediction is centred near any of the targets."""
    centres = (boxes[:, :2] + boxes[:, 2:]).detach() / 2
    found = boxes.new_zeros(len(boxes)).bool()
    for box in wanted.boxes:
        target = boxes.new_tensor(box)
        middle, half = (target[:2] + target[2:]) / 2, (target[2:] - target[:2]) / 2
        found |= ((centres - middle).abs() <= NEAR * half).all(1)
    return found
