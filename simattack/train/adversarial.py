"""Adversarial training: the detector learns from signs under stickers made against itself.

A few stickers of different sizes and pieces, at different places on the sign, live through the
training. In every step one of them is seen through a twin in a few views, moves against the
network as it is now, and the network learns to find the sign all the same and to say of the rest
of the picture what it says without the sticker. Old stickers give way to fresh ones. Windows of
labelled frames, some through dirty lenses and disturbed sensors, are learnt beside it.

Source: Madry et al., Towards deep learning models resistant to adversarial attacks, 2018; keeping
the attack from step to step: Shafahi et al., Adversarial training for free, 2019; the penalty on
what differs between clean and attacked: Zhang et al., TRADES, 2019 (all assumed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.checks import number, whole
from simattack.detectors.predictions import best_scores, hiding_loss, in_order, select
from simattack.geometry import box_iou
from simattack.optimize.layout import Inset, Layout
from simattack.optimize.objective import Hiding
from simattack.placement import MAX_SHARE
from simattack.train.lesson import Batch, Labels, Loss, floats, starting
from simattack.twin import Twin
from simattack.types import CLASS_NAMES, Detections, Floats, Image

if TYPE_CHECKING:
    from torch import Tensor, nn

FACE_M2 = 0.467
"""Of a stop sign of 0.75 m."""
SURE = 0.4
"""Score from which on the starting network's word counts as a label in the twin's views."""
_MOMENTUM = 0.9
_INSIDE = 0.6
"""A label stays in a window that shows so much of its box."""


@dataclass(frozen=True, kw_only=True)
class Adversarial:
    """How hard the detector is attacked while it learns.

    Raises:
        ValueError: at construction: a value makes no sense.
    """

    start: str = "town_yolo11n"
    """Name or path of the weights to start from."""
    views: int = 48
    """Of the twin, at training places only."""
    size_m: float = 0.5
    """Side of the square on the sign that stickers may lie in."""
    cells: int = 60
    """Along that side."""
    stickers: int = 4
    """That live at a time."""
    lifetime: int = 80
    """Steps against the network until a sticker gives way to a fresh one."""
    attack_rate: float = 0.06
    """Of a cell's colour, a step."""
    batch: int = 8
    """Views of a sticker, a step."""
    window_px: int = 192
    attacked: float = 1.0
    """Weight of the labels under stickers, beside those of clean windows."""
    consistency: float = 1.0
    """Weight of what differs between a view with the sticker and the same without."""
    soiled: int = 1
    """Windows a frame through a dirty lens or a disturbed sensor."""

    def __post_init__(self) -> None:
        for name, low in (("stickers", 1), ("lifetime", 1), ("batch", 1), ("soiled", 0),
                          ("views", 16), ("cells", 8)):  # fmt: skip
            whole(name, getattr(self, name), low)
        for name in ("size_m", "attack_rate", "attacked", "consistency"):
            number(name, getattr(self, name))

    @property
    def needs_views(self) -> int:
        return self.views

    def begin(self, twin: Twin | None, seed: int) -> Attacks:
        """The attacks of one training, through this twin."""
        if twin is None:
            raise ValueError("adversarial training needs a twin to show its stickers through")
        return Attacks(self, twin, seed)


@dataclass(eq=False)
class Sticker:
    """One that lives; its cells (3, h, w) in 0..1."""

    layout: Inset
    cells: Tensor
    drift: Tensor
    age: int = 0


class Attacks:
    """One adversarial training; everything random is drawn from its own stream."""

    def __init__(self, recipe: Adversarial, twin: Twin, seed: int) -> None:
        network, _ = starting(recipe.start)
        self.weights: Mapping[str, Tensor] = floats(network)
        self._recipe = recipe
        self._rng = np.random.default_rng([seed, 5])
        self._views = Hiding(
            twin=twin, held_out=twin, detector=_NOBODY, layout=Layout((1, 1)),
            batch=recipe.batch, window_px=recipe.window_px,
        )  # fmt: skip
        self._bare = _picture(twin.bare[0])
        self._others = _others(network, twin)
        self._turn = 0
        self._stickers = [self._fresh() for _ in range(recipe.stickers)]

    def ready(self, network: nn.Module) -> None:
        """What the network has measured of its inputs stays: it is to see as the car will."""
        network.eval()

    def loss(self, network: nn.Module, batch: Batch, labels: Labels) -> Loss:
        """Labels of the clean windows, labels under a sticker, and what the sticker changes."""
        import torch

        recipe = self._recipe
        total, parts = labels(batch)
        sticker = self._next()
        index = self._views.draw(self._rng)
        drawn = self._rng.bit_generator.state
        cells = sticker.cells.clone().requires_grad_(True)
        with torch.autocast("cpu", enabled=False):
            images, targets = self._views.look(sticker.layout.expand(cells), index, self._rng)
            after, self._rng.bit_generator.state = self._rng.bit_generator.state, drawn
            with torch.no_grad():
                bare, _ = self._views.look(self._bare, index, self._rng)
            self._rng.bit_generator.state = after
        found = network(images)
        boxes, logits = predictions(found)
        self._move(sticker, cells, hiding_loss(boxes, logits, targets).mean())
        told = self._labels(index, targets, images.shape[2])
        under, _ = labels({"img": images, **told}, found)
        with torch.no_grad():
            clean = predictions(network(bare))[1].sigmoid()
        apart = divergence(logits, clean) * len(batch["img"])
        # ultralytics' loss grows with the batch: both parts count as if they had as many images.
        under = under * (len(batch["img"]) / len(images))
        seen = best_scores(boxes.detach(), logits.detach(), targets).mean()
        whole = torch.cat([total + recipe.attacked * under, (recipe.consistency * apart)[None]])
        return whole, {**parts, "apart": apart.detach() / len(batch["img"]), "seen": seen}

    def state(self) -> dict[str, Any]:
        return {
            "rng": self._rng.bit_generator.state,
            "turn": self._turn,
            "stickers": [
                (s.layout.plain(), s.cells, s.drift, s.age) for s in self._stickers
            ],
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
        self._turn = int(state["turn"])
        self._stickers = [
            Sticker(Inset.of(layout), cells, drift, int(age))
            for layout, cells, drift, age in state["stickers"]
        ]

    def finished(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(weights)

    def _next(self) -> Sticker:
        place = self._turn % len(self._stickers)
        self._turn += 1
        if self._stickers[place].age >= self._recipe.lifetime:
            self._stickers[place] = self._fresh()
        return self._stickers[place]

    def _fresh(self) -> Sticker:
        import torch

        layout = some_layout(self._recipe, self._rng)
        start = self._rng.uniform(0, 1, 3)[:, None, None] if self._rng.random() < 0.5 else 0.5
        noise = 0.1 * self._rng.standard_normal((3, *layout.shape))
        cells = torch.from_numpy((start + noise).clip(0, 1)).float()
        return Sticker(layout, cells, torch.zeros_like(cells))

    def _move(self, sticker: Sticker, cells: Tensor, loss: Tensor) -> None:
        import torch

        (slope,) = torch.autograd.grad(loss, cells, retain_graph=True)
        size = slope.abs().mean().clamp(min=1e-12)
        sticker.drift = _MOMENTUM * sticker.drift + slope / size
        moved = sticker.cells - self._recipe.attack_rate * sticker.drift.sign()
        sticker.cells = moved.clamp(0, 1).detach()
        sticker.age += 1

    def _labels(
        self, index: Sequence[int] | np.ndarray[Any, Any], targets: Sequence[Detections], side: int
    ) -> dict[str, Tensor]:
        """What is to be found in the windows, as ultralytics has it."""
        import torch

        rows: list[tuple[int, int]] = []
        boxes: list[Floats] = []
        for number_, (view, target) in enumerate(zip(index, targets, strict=True)):
            shift = np.array(self._views.twin.views[int(view)].box)[:2] - target.boxes[0][:2]
            others = self._others[int(view)]
            moved = others.boxes - np.tile(shift, 2)
            every = [(target.boxes[0], target.labels[0]), *zip(moved, others.labels, strict=True)]
            for box, label in every:
                inside = np.clip(box, 0, side)
                share = np.prod(inside[2:] - inside[:2]) / max(np.prod(box[2:] - box[:2]), 1e-9)
                if share >= _INSIDE:
                    rows.append((number_, CLASS_NAMES.index(label)))
                    middle, size = (inside[:2] + inside[2:]) / 2, inside[2:] - inside[:2]
                    boxes.append(np.concatenate([middle, size]) / side)
        table = torch.tensor(rows).reshape(-1, 2)
        return {
            "batch_idx": table[:, 0].float(),
            "cls": table[:, 1:].float(),
            "bboxes": torch.tensor(np.array(boxes).reshape(-1, 4)).float(),
        }


def some_layout(recipe: Adversarial, rng: np.random.Generator) -> Inset:
    """One to nine equal pieces that together cover half to all of what a sticker may."""
    pieces = int(rng.integers(1, 4))
    cell_m = recipe.size_m / recipe.cells
    area_m2 = float(rng.uniform(0.5, 1.0)) * MAX_SHARE * FACE_M2
    piece = max(1, round(np.sqrt(area_m2) / pieces / cell_m))
    most_gap = (recipe.cells - pieces * piece) // max(pieces - 1, 1)
    gap = int(rng.integers(0, max(most_gap, 0) + 1)) if pieces > 1 else 0
    side = min(pieces * piece + (pieces - 1) * gap, recipe.cells)
    spare = recipe.cells - side
    top, left = (int(value) for value in rng.integers(0, spare + 1, 2))
    return Inset(Layout((piece, piece), pieces, gap), (top, left), recipe.cells)


def predictions(found: Any) -> tuple[Tensor, Tensor]:
    """Boxes (B, A, 4) xyxy [px] and logits (B, A, 8) of what a network in use gives."""
    import torch

    decoded, raw = found
    middle, size = decoded[:, :2].float(), decoded[:, 2:4].float()
    boxes = torch.cat([middle - size / 2, middle + size / 2], 1).transpose(1, 2)
    logits = raw["scores"].float().transpose(1, 2)
    return boxes, in_order(logits, tuple(range(len(CLASS_NAMES))))


def divergence(logits: Tensor, clean: Tensor) -> Tensor:
    """How far scores (B, A, C) are from clean ones in 0..1: 0 where they are the same.

    Kullback and Leibler's, of each score by itself; summed, and divided by the sum of the clean
    scores, as detection losses are by the number of objects.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as cross

    sure = clean.clamp(1e-6, 1 - 1e-6)
    own = -(sure * torch.log(sure) + (1 - sure) * torch.log(1 - sure))
    return (cross(logits, sure, reduction="none") - own).sum() / sure.sum().clamp(min=1.0)


def _picture(image: Image) -> Tensor:
    """(3, h, w) in 0..1 of an image (h, w, 3)."""
    import torch

    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def _others(network: nn.Module, twin: Twin) -> list[Detections]:
    """What else the starting network is sure of in each bare view, apart from the target."""
    import torch

    network.eval()
    picture, found = _picture(twin.bare[0]), []
    for view in range(len(twin)):
        with torch.no_grad():
            images = twin.render(picture, torch.tensor([view]))
            boxes, logits = predictions(network(images))
        seen = select(boxes[0], logits[0], (twin.side_px, twin.side_px), SURE, 0.6)
        is_other = box_iou(seen.boxes, twin.target(view).boxes).reshape(-1) < 0.3
        found.append(seen.select(is_other))
    return found


_NOBODY: Any = object()
"""Nobody is asked through ``Hiding`` here: the network in training is."""
