"""Torchvision's detectors, built without weights of their own: the user's file brings them.

A picture smaller than the camera's frame is first set into a frame of grey, so that torchvision,
which resizes whatever it gets, sees a crop at the scale at which it sees the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.detectors.predictions import (
    ABSENT_LOGIT,
    best_scores,
    check_images,
    columns,
    hiding_loss,
    in_order,
    select,
    thresholds,
)
from simattack.errors import WeightsError
from simattack.registry import register
from simattack.types import Camera, Detections, Image

if TYPE_CHECKING:
    from torch import Tensor, nn

PADDING = 114 / 255
_PICKLES = (".pt", ".pth")
_CAMERA = Camera()


@register("detectors", "torchvision")
@dataclass(frozen=True)
class Torchvision:
    """A detector out of torchvision: Faster R-CNN, RetinaNet, FCOS, SSD, SSDlite.

    Raises:
        WeightsError: at construction: file missing, foreign classes, or a pickle nobody said to
            trust; when first used: another network's weights, or no such architecture.
    """

    weights: str
    """Path to a state dict: .safetensors, .pth or .pt. Nothing is downloaded."""
    architecture: str = "fasterrcnn_mobilenet_v3_large_320_fpn"
    """Name of torchvision's function that builds it."""
    classes: tuple[str, ...] = ()
    """Name of each output, the background first; by default torchvision's 91 of COCO."""
    confidence: float = 0.25
    iou: float = 0.5
    """Of two boxes of one class that overlap more, the weaker is dropped."""
    frame_px: tuple[int, int] = (_CAMERA.width_px, _CAMERA.height_px)
    """Width and height of what it looks at, at least."""
    device: str = "cpu"
    latency_s: float = 0.05
    trust_pickle: bool = False
    """Load .pt and .pth files, which can run code that is in them."""

    def __post_init__(self) -> None:
        thresholds(self.confidence, self.iou)
        object.__setattr__(self, "classes", tuple(self.classes))  # YAML gives lists
        object.__setattr__(self, "frame_px", tuple(self.frame_px))
        if not self.path.is_file():
            raise WeightsError(
                f"expected weights at {self.path}, found no file; torchvision's own are not "
                "downloaded: save a state dict yourself and name it"
            )
        if self.path.suffix in _PICKLES and not self.trust_pickle:
            raise WeightsError(
                f"{self.path} is a pickle, which can run any code when loaded; if you trust where "
                "it comes from, say so with --trust-pickle"
            )
        if self.classes:
            columns(self.classes, self.path)

    def __getstate__(self) -> dict[str, Any]:
        # The recipe travels to other processes, the network does not.
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @property
    def path(self) -> Path:
        return Path(self.weights).expanduser()

    @cached_property
    def _network(self) -> nn.Module:
        return _load(
            self.path, self.architecture, len(self.classes), self.device,
            self.path.stat().st_mtime_ns,
        )  # fmt: skip

    @cached_property
    def _columns(self) -> tuple[int | None, ...]:
        return columns(self.classes or _coco(), self.path)

    def detect(self, images: Image) -> list[Detections]:
        """Boxes above ``confidence``, best first; one image at a time."""
        import torch

        check_images(images)
        found = []
        for image in images:
            tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
            with torch.no_grad():
                boxes, logits = self.raw(tensor)
            size = image.shape[:2]
            found.append(select(boxes[0], logits[0], size, self.confidence, self.iou))
        return found

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Every prediction before any threshold, differentiable; as ``Yolo.raw``.

        Of Faster R-CNN: every class of every proposal, each with its own box. The places of the
        proposals have no gradient, as torchvision computes them.
        """
        from torch.nn.functional import pad

        below = max(0, self.frame_px[1] - images.shape[2])
        right = max(0, self.frame_px[0] - images.shape[3])
        framed = pad(images.to(self.device), (0, right, 0, below), value=PADDING)
        boxes, logits = _predict(self._network, framed, self._columns)
        return boxes.to(images.device), logits.to(images.device)

    def loss(self, images: Tensor, targets: Sequence[Detections]) -> Tensor:
        """Hiding loss (B,); see ``hiding_loss``."""
        return hiding_loss(*self.raw(images), targets)

    def scores_near(self, images: Tensor, targets: Sequence[Detections]) -> Tensor:
        """The best score (B,) of a target's class near it; see ``best_scores``."""
        return best_scores(*self.raw(images), targets)


def _predict(network: Any, images: Tensor, picked: Sequence[int | None]) -> tuple[Tensor, Tensor]:
    """Boxes (B, A, 4) in the pixels of ``images`` and logits (B, A, 8)."""
    import torch

    height, width = images.shape[2:]
    shown, _ = network.transform(list(images))
    features = network.backbone(shown.tensors)
    levels = [features] if isinstance(features, torch.Tensor) else list(features.values())
    if hasattr(network, "roi_heads"):
        boxes, logits = _of_proposals(network, shown, features, picked)
    else:
        said = network.head(levels)
        anchors = network.anchor_generator(shown, levels)
        boxes = torch.stack(
            [
                _decoded(network, deltas, places)
                for deltas, places in zip(said["bbox_regression"], anchors, strict=True)
            ]
        )
        if "bbox_ctrness" in said:
            # FCOS scores by the root of both probabilities' product.
            both = torch.nn.functional.logsigmoid(said["cls_logits"])
            both = (both + torch.nn.functional.logsigmoid(said["bbox_ctrness"])) / 2
            logits = in_order(both - torch.log(-torch.expm1(both.clamp(max=-1e-6))), picked)
        elif type(network).__name__ == "SSD":
            logits = _one_against_rest(said["cls_logits"], picked)
        else:
            logits = in_order(said["cls_logits"], picked)
    seen_height, seen_width = shown.image_sizes[0]
    back = [width / seen_width, height / seen_height] * 2
    return boxes.float() * boxes.new_tensor(back), logits.float()


def _decoded(network: Any, deltas: Tensor, anchors: Tensor) -> Tensor:
    coder: Any = network.box_coder
    decode = getattr(coder, "decode_single", None) or coder.decode
    boxes: Tensor = decode(deltas, anchors)
    return boxes


def _of_proposals(
    network: Any, shown: Any, features: Any, picked: Sequence[int | None]
) -> tuple[Tensor, Tensor]:
    """Of a second stage: an entry for each of CLASS_NAMES of each proposal."""
    import torch
    from torch.nn.functional import pad

    named = {"0": features} if isinstance(features, torch.Tensor) else features
    proposals, _ = network.rpn(shown, named)
    heads = network.roi_heads
    pooled = heads.box_head(heads.box_roi_pool(named, proposals, shown.image_sizes))
    said, deltas = heads.box_predictor(pooled)
    counts = [len(places) for places in proposals]
    # (P, K, 4); of no proposals at all, torchvision gives another shape.
    own = heads.box_coder.decode(deltas, proposals).reshape(len(said), said.shape[1], 4)
    said = _one_against_rest(said[None], picked)[0]  # (P, 8)
    known = [k for k, column in enumerate(picked) if column is not None]
    boxes, logits = [], []
    for k in known:
        boxes.append(own[:, picked[k]])
        alone = said[:, k, None]
        absent = torch.full_like(said, ABSENT_LOGIT)
        logits.append(torch.cat([absent[:, :k], alone, absent[:, k + 1 :]], 1))
    of_image: Any = torch.split  # untyped in torch
    rows = zip(
        of_image(torch.stack(boxes, 1), counts), of_image(torch.stack(logits, 1), counts),
        strict=True,
    )  # fmt: skip
    most = max(1, *counts) * len(known)
    padded = [
        (
            pad(b.flatten(0, 1), (0, 0, 0, most - b.shape[0] * b.shape[1])),
            pad(s.flatten(0, 1), (0, 0, 0, most - s.shape[0] * s.shape[1]), value=ABSENT_LOGIT),
        )
        for b, s in rows
    ]
    return torch.stack([b for b, _ in padded]), torch.stack([s for _, s in padded])


def _one_against_rest(logits: Tensor, picked: Sequence[int | None]) -> Tensor:
    """Logits (B, A, 8) whose sigmoid is the softmax of logits (B, A, K)."""
    import torch

    told = []
    for column in picked:
        if column is None:
            told.append(torch.full_like(logits[..., 0], ABSENT_LOGIT))
            continue
        rest = torch.cat([logits[..., :column], logits[..., column + 1 :]], -1)
        told.append(logits[..., column] - rest.logsumexp(-1))
    return torch.stack(told, -1)


def _coco() -> tuple[str, ...]:
    from torchvision.models._meta import _COCO_CATEGORIES

    return tuple(str(name) for name in _COCO_CATEGORIES)


@lru_cache(maxsize=2)
def _load(path: Path, architecture: str, classes: int, device: str, modified_ns: int) -> nn.Module:
    """A network ready for use; ``modified_ns`` only tells a changed file from a known one."""
    network = build(architecture, classes or len(_coco()))
    try:
        network.load_state_dict(_state(path))
    except (RuntimeError, TypeError) as error:
        first = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path} does not fit {architecture}: {first}") from error
    network.requires_grad_(False)
    return network.float().eval().to(device)


def build(architecture: str, classes: int) -> nn.Module:
    """One of torchvision's detectors with random weights; the background counts as a class.

    Raises:
        WeightsError: torchvision has no such detector.
    """
    from torchvision.models import detection

    names = sorted(
        name for name in dir(detection)
        if name.startswith(("fasterrcnn_", "retinanet_", "fcos_", "ssd"))
        and callable(getattr(detection, name))
    )  # fmt: skip
    if architecture not in names:
        raise WeightsError(
            f"torchvision has no detector {architecture!r} that this can look with; it has: "
            f"{', '.join(names)}"
        )
    make: Any = getattr(detection, architecture)
    network: nn.Module = make(weights=None, weights_backbone=None, num_classes=classes)
    return network


def _state(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        if path.suffix in _PICKLES:
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
        else:
            from safetensors.torch import load_file

            state = load_file(str(path))
        return {
            name: value.float() if value.is_floating_point() else value
            for name, value in state.items()
        }
    except Exception as error:  # a foreign file can fail in any way
        first = " ".join(str(error).split())[:160]
        raise WeightsError(
            f"{path} is no state dict, as torch.save(model.state_dict(), path) writes: {first}"
        ) from error
