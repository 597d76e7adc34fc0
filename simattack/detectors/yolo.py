"""YOLO as a detector whose scores have gradients: one private network for all uses.

Driving, scoring and attacking see the same float32 weights at the camera's own scale: no
letterbox, no resizing, only grey padding to the network's stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from simattack.detectors.looking import Look, looking, plain
from simattack.detectors.weights import Card, find_weights, load, prepare_ultralytics, read_card
from simattack.errors import WeightsError
from simattack.registry import register
from simattack.types import CLASS_NAMES, Detections, Image

if TYPE_CHECKING:
    from torch import Tensor, nn

STRIDE_PX = 32
PADDING = 114 / 255
"""The grey that ultralytics pads with in training."""
MAX_DETECTIONS = 100
NEAR = 1.3
"""A prediction belongs to a target if its centre lies in the target's box, enlarged so much."""
TOP_ANCHORS = 10
HIDDEN_LOGIT = -4.0
"""The best logit the hiding loss still pushes down: a score of 0.018."""
HINGE_WEIGHT = 0.05
ABSENT_LOGIT = -20.0
"""For classes that the network does not know."""


@register("detectors", "yolo")
@dataclass(frozen=True)
class Yolo:
    """An ultralytics network, at camera scale.

    Raises:
        WeightsError: at construction: weights missing, changed, of foreign classes, or a pickle
            nobody said to trust.
    """

    weights: str = "town_yolo11n"
    """Name of shipped weights, or a path to .safetensors (card beside it) or .pt."""
    confidence: float = 0.25
    iou: float = 0.6
    """Of two boxes of one class that overlap more, the weaker is dropped."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1`` ..."""
    latency_s: float = 0.05
    trust_pickle: bool = False
    """Load .pt files, which can run any code in them."""

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1 or not 0 < self.iou <= 1:
            raise ValueError(
                f"confidence must lie in (0, 1) and iou in (0, 1], "
                f"got {self.confidence}, {self.iou}"
            )
        path = find_weights(self.weights)
        if path.suffix == ".pt" and not self.trust_pickle:
            raise WeightsError(
                f"{path} is a pickle, which can run any code when loaded; if you trust where it "
                "comes from, say so with --trust-pickle"
            )
        if path.suffix != ".pt":
            _columns(read_card(path).classes, path)

    def __getstate__(self) -> dict[str, Any]:
        # The recipe travels to other processes, the network does not.
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @property
    def path(self) -> Path:
        return find_weights(self.weights)

    @cached_property
    def card(self) -> Card:
        """What the weights are; for a .pt, only its classes are known."""
        return self._network[1]

    @cached_property
    def _network(self) -> tuple[nn.Module, Card]:
        return _load(self.path, self.device, self.path.stat().st_mtime_ns)

    @cached_property
    def _looking(self) -> Look:
        """The same network without gradients, faster."""
        return _looking(self.path, self.device, self.path.stat().st_mtime_ns)

    def detect(self, images: Image) -> list[Detections]:
        """Boxes above ``confidence``, best first.

        One image at a time, so that a result does not depend on its neighbours in the batch.
        """
        import torch

        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise ValueError(
                f"images must be (B, H, W, 3) uint8, got {images.shape} {images.dtype}"
            )
        found = []
        device = next(self._network[0].parameters()).device
        for image in images:
            pixels = torch.from_numpy(np.array(image)).to(device)  # a copy: torch must own it
            with torch.no_grad():  # inference_mode would poison anchors cached for gradients
                tensor = pixels.permute(2, 0, 1)[None].float() / 255
                boxes, logits = self._run(self._looking, tensor)
                found.append(self._select(boxes[0], logits[0], image.shape[:2]))
        return found

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Every prediction before any threshold, differentiable.

        Args:
            images: (B, 3, H, W) float in 0..1; H and W free; on any device.

        Returns:
            boxes (B, A, 4) xyxy [px] and logits (B, A, 8) in the order of CLASS_NAMES, on the
            images' device wherever the network is.
        """
        network = self._network[0]
        boxes, logits = self._run(plain(network), images.to(next(network.parameters()).device))
        return boxes.to(images.device), logits.to(images.device)

    def _run(self, look: Look, images: Tensor) -> tuple[Tensor, Tensor]:
        import torch
        from torch.nn.functional import pad

        height, width = images.shape[2:]
        below, right = -height % STRIDE_PX, -width % STRIDE_PX
        if below or right:
            images = pad(images, (0, right, 0, below), value=PADDING)
        boxes, logits = look(images)
        centre, size = boxes[:, :2], boxes[:, 2:]
        boxes = torch.cat([centre - size / 2, centre + size / 2], 1).transpose(1, 2)
        scores = logits.float().transpose(1, 2)
        columns = _columns(self.card.classes, self.path)
        if columns == tuple(range(len(CLASS_NAMES))) == tuple(range(scores.shape[2])):
            return boxes.float(), scores
        absent = torch.full_like(scores[..., 0], ABSENT_LOGIT)
        picked = [absent if c is None else scores[..., c] for c in columns]
        return boxes.float(), torch.stack(picked, 2)

    def loss(self, images: Tensor, targets: Sequence[Detections]) -> Tensor:
        """Hiding loss (B,), low when the targets go unseen; the mean over an image's targets.

        Per target, over the predictions whose box is centred near it: the mean score of its class
        among the strongest few, plus a hinge that keeps pushing the strongest logit down after
        its score has saturated. Zero, with a zero gradient, where nothing is predicted near.
        """
        import torch

        boxes, logits = self.raw(images)
        losses = []
        for row, wanted in enumerate(_checked(images, targets)):
            terms = []
            for near in _near_logits(boxes[row], logits[row], wanted):
                top = near.topk(min(TOP_ANCHORS, len(near))).values
                hinge = torch.relu(top[0] - HIDDEN_LOGIT)
                terms.append(top.sigmoid().mean() + HINGE_WEIGHT * hinge)
            # Multiplied by zero, not a constant, so that the image stays part of the graph.
            losses.append(torch.stack(terms).mean() if terms else logits[row].sum() * 0.0)
        return torch.stack(losses)

    def scores_near(self, images: Tensor, targets: Sequence[Detections]) -> Tensor:
        """The best score (B,) of a target's class near it: 0 where nothing is predicted there.

        With several targets in an image, that of the best seen.
        """
        import torch

        boxes, logits = self.raw(images)
        best = []
        for row, wanted in enumerate(_checked(images, targets)):
            tops = [near.max().sigmoid() for near in _near_logits(boxes[row], logits[row], wanted)]
            best.append(torch.stack(tops).max() if tops else logits[row].sum() * 0.0)
        return torch.stack(best)

    def _select(self, boxes: Tensor, logits: Tensor, size: tuple[int, int]) -> Detections:
        """Threshold and suppression, class by class, of one image's predictions."""
        from torchvision.ops import batched_nms

        scores, labels = logits.sigmoid().max(1)
        keep = scores > self.confidence
        boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
        order = batched_nms(boxes, scores, labels, self.iou)[:MAX_DETECTIONS]
        picked = boxes[order].double().cpu().numpy()
        height, width = size
        picked = picked.clip(0, [width, height, width, height])
        return Detections(
            picked,
            scores[order].double().cpu().numpy(),
            tuple(CLASS_NAMES[int(label)] for label in labels[order]),
        )


def _checked(images: Tensor, targets: Sequence[Detections]) -> Sequence[Detections]:
    if len(images) != len(targets):
        raise ValueError(f"{len(images)} images need as many sets of targets, got {len(targets)}")
    return targets


def _near_logits(boxes: Tensor, logits: Tensor, wanted: Detections) -> list[Tensor]:
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


def _columns(classes: Sequence[str], path: Path) -> tuple[int | None, ...]:
    """Where each of CLASS_NAMES stands among a network's outputs, None if it does not.

    Raises:
        WeightsError: the network knows none of them.
    """
    columns = tuple(classes.index(name) if name in classes else None for name in CLASS_NAMES)
    if all(column is None for column in columns):
        raise WeightsError(
            f"{path} detects {', '.join(classes[:5]) or 'nothing'}; expected some of COCO's "
            f"{', '.join(CLASS_NAMES)}"
        )
    return columns


@lru_cache(maxsize=4)
def _load(path: Path, device: str, modified_ns: int) -> tuple[nn.Module, Card]:
    """A network ready for use, and its card.

    ``modified_ns`` only tells a changed file from a known one.
    """
    import torch

    prepare_ultralytics()
    network, card = _load_pickle(path) if path.suffix == ".pt" else load(path)
    _columns(card.classes, path)
    # The head of YOLO26 and v10 is asked for what the others give: every anchor, before NMS.
    head = cast(Any, network).model[-1]
    if getattr(head, "end2end", False):
        head.end2end = False
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    network = cast(Any, network.float().eval()).fuse(verbose=False)
    network.requires_grad_(False)
    network = network.to(place, memory_format=torch.channels_last)
    return network, card


@lru_cache(maxsize=4)
def _looking(path: Path, device: str, modified_ns: int) -> Look:
    return looking(_load(path, device, modified_ns)[0])


def _load_pickle(path: Path) -> tuple[nn.Module, Card]:
    import torch
    import ultralytics

    threads = torch.get_num_threads()
    try:
        network = cast(Any, ultralytics).YOLO(str(path)).model
        names = [str(name) for _, name in sorted(network.names.items())]
    except Exception as error:  # a pickle can fail in any way
        first = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path} is not an ultralytics detection model: {first}") from error
    finally:
        torch.set_num_threads(threads)
    return network, Card(architecture=Path(path).name, classes=tuple(names))
