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
from simattack.detectors.predictions import (
    best_scores,
    check_images,
    columns,
    hiding_loss,
    in_order,
    select,
    thresholds,
)
from simattack.detectors.weights import Card, find_weights, load, prepare_ultralytics, read_card
from simattack.errors import WeightsError
from simattack.registry import register
from simattack.types import Detections, Image

if TYPE_CHECKING:
    from torch import Tensor, nn

STRIDE_PX = 32
PADDING = 114 / 255
"""The grey that ultralytics pads with in training."""


@register("detectors", "yolo")
@dataclass(frozen=True)
class Yolo:
    """An ultralytics network, at camera scale.

    Raises:
        WeightsError: at construction: weights missing, changed, of foreign classes, or a pickle
            nobody said to trust.
    """

    weights: str = "town_yolo11n"
    """Name of shipped weights, or a path to .safetensors (card beside it) or .pt: of any family
    that ultralytics can detect with, RT-DETR too."""
    confidence: float = 0.25
    iou: float = 0.6
    """Of two boxes of one class that overlap more, the weaker is dropped."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1`` ..."""
    latency_s: float = 0.05
    trust_pickle: bool = False
    """Load .pt files, which can run any code in them."""

    def __post_init__(self) -> None:
        thresholds(self.confidence, self.iou)
        path = find_weights(self.weights)
        if path.suffix == ".pt" and not self.trust_pickle:
            raise WeightsError(
                f"{path} is a pickle, which can run any code when loaded; if you trust where it "
                "comes from, say so with --trust-pickle"
            )
        if path.suffix != ".pt":
            columns(read_card(path).classes, path)

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

        check_images(images)
        found = []
        device = next(self._network[0].parameters()).device
        for image in images:
            pixels = torch.from_numpy(np.array(image)).to(device)  # a copy: torch must own it
            with torch.no_grad():  # inference_mode would poison anchors cached for gradients
                tensor = pixels.permute(2, 0, 1)[None].float() / 255
                boxes, logits = self._run(self._looking, tensor)
                found.append(
                    select(boxes[0], logits[0], image.shape[:2], self.confidence, self.iou)
                )
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
        return boxes.float(), in_order(scores, columns(self.card.classes, self.path))

    def loss(self, images: Tensor, targets: Sequence[Detections]) -> Tensor:
        """Hiding loss (B,); see ``hiding_loss``."""
        return hiding_loss(*self.raw(images), targets)

    def scores_near(self, images: Tensor, targets: Sequence[Detections]) -> Tensor:
        """The best score (B,) of a target's class near it; see ``best_scores``."""
        return best_scores(*self.raw(images), targets)


@lru_cache(maxsize=4)
def _load(path: Path, device: str, modified_ns: int) -> tuple[nn.Module, Card]:
    """A network ready for use, and its card.

    ``modified_ns`` only tells a changed file from a known one.
    """
    import torch

    prepare_ultralytics()
    network, card = _load_pickle(path) if path.suffix == ".pt" else load(path)
    columns(card.classes, path)
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
