"""The other side: patch attacks of the Adversarial Robustness Toolbox (ART), an optional package.

``pip install adversarial-robustness-toolbox``; nothing of simattack needs it.

As shipped, its estimator for YOLO cannot take a gradient of today's ultralytics networks (see
``as_shipped``). Here it gets the same network and the same loss as our side, in the wrapper that
its estimator asks for. Of ``AdversarialPatchPyTorch`` there are two: its code as it is, which adds
every gradient to the sum of all before, and the same with that mended.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rivals.arena import Arena, Fixed, picture_of
from simattack.digital.frames import Frames
from simattack.optimize.patch import has_bfloat16
from simattack.types import CLASS_NAMES, Detections, Image

BATCH = 8
RATE = 5.0
"""Of both attacks, as shipped, of 255."""
ROTATION_DEG = 5.0
SIDES = ("patch", "patch_mended", "dpatch")


class Network(nn.Module):
    """Our detector with our loss in the form that ART's estimator for YOLO calls."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self._detector = detector

    def forward(self, images: Tensor, wanted: Tensor | None = None) -> Any:
        """In training ``{"loss_total"}``; else boxes, labels and scores.

        Args:
            images: (B, 3, H, W) in 0..1.
            wanted: (N, 6) number of the image, class, middle and size of the box as shares.
        """
        if self.training:
            height, width = images.shape[2:]
            size = np.array([width, height, width, height])
            targets = []
            for number in range(len(images)):
                rows = wanted[wanted[:, 0] == number].cpu().double().numpy()
                middle, half = rows[:, 2:4], rows[:, 4:] / 2
                boxes = np.concatenate([middle - half, middle + half], 1) * size
                labels = tuple(CLASS_NAMES[int(row[1])] for row in rows)
                targets.append(Detections(boxes, np.ones(len(rows)), labels))
            with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
                return {"loss_total": self._detector.loss(images, targets).float().mean()}
        pixels = (images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
        return [
            {
                "boxes": torch.from_numpy(seen.boxes),
                "labels": torch.tensor([CLASS_NAMES.index(name) for name in seen.labels]),
                "scores": torch.from_numpy(seen.scores),
            }
            for seen in self._detector.detect(np.ascontiguousarray(pixels))
        ]


class Toolbox:
    """One run of one of its attacks; a step is one gradient of a batch."""

    def __init__(self, arena: Arena, seed: int, name: str) -> None:
        self.name = f"art_{name}"
        self._arena, self._rng = arena, np.random.default_rng([seed, 5])
        lesson = arena.lesson
        if name == "dpatch" and not isinstance(arena, Fixed):
            # It knows no place but one and no size but one: the signs come to it instead.
            arena = Fixed(arena.twin, arena.detector)
            lesson = arena.lesson
        self._images = lesson.images.transpose(0, 3, 1, 2).astype(np.float32)
        self._targets = [
            {
                "boxes": target.boxes.astype(np.float32),
                "labels": np.array([CLASS_NAMES.index(name) for name in target.labels]),
                "scores": target.scores.astype(np.float32),
            }
            for target in lesson.targets
        ]
        self._estimator = _estimator(Network(arena.detector), self._images.shape[1:])
        self._masks: Any = None
        self._globals = _Globals(seed)
        with self._globals:
            self._begin(arena, lesson, name)

    def _begin(self, arena: Arena, lesson: Frames, name: str) -> None:
        if name == "dpatch":
            self._attack = _dpatch(self._estimator, arena)
        else:
            self._attack = _patch(self._estimator, arena)
            if not isinstance(arena, Fixed):
                self._masks = _centres(lesson.images.shape[:3], lesson.targets)
            if name == "patch_mended":
                self._zeroed(self._attack)

    def step(self) -> bool:
        """There is always one left."""
        index = self._rng.choice(len(self._images), min(BATCH, len(self._images)), False)
        targets = [self._targets[i] for i in index]
        extra = {} if self._masks is None else {"mask": self._masks[index]}
        with self._globals:
            self._attack.generate(self._images[index], targets, **extra)
        return True

    def picture(self) -> Image:
        """The patch as it is now."""
        patch = self._attack._patch
        patch = patch.detach().numpy() if isinstance(patch, Tensor) else patch
        return picture_of(patch / 255, patch.shape[1])

    @staticmethod
    def _zeroed(attack: Any) -> None:
        step = attack._train_step

        def mended(*args: Any, **kwargs: Any) -> Any:
            attack._optimizer.zero_grad()
            return step(*args, **kwargs)

        attack._train_step = mended


class _Globals:
    """The random generators of the process, as they were when this side last had its turn.

    ART's attacks draw from them; without this a side's draws would depend on the others' turns.
    """

    def __init__(self, seed: int) -> None:
        self._seed: int | None = seed
        self._states: Any = None

    def __enter__(self) -> None:
        if self._seed is not None:
            random.seed(self._seed)
            np.random.seed(self._seed)
            torch.manual_seed(self._seed)
            self._seed = None
        else:
            python, numpy_, torch_ = self._states
            random.setstate(python)
            np.random.set_state(numpy_)
            torch.set_rng_state(torch_)

    def __exit__(self, *_: object) -> None:
        self._states = random.getstate(), np.random.get_state(), torch.get_rng_state()


def as_shipped(weights: Any) -> str:
    """What happens to a gradient of its estimator as it is, with an ultralytics network."""
    from art.estimators.object_detection import PyTorchYolo

    network, _ = weights
    yolo = PyTorchYolo(
        network, input_shape=(3, 64, 64), clip_values=(0, 255), device_type="cpu",
        attack_losses=("loss_total",), is_ultralytics=True, model_name="yolov8n",
    )  # fmt: skip
    box = np.array([[10.0, 10, 40, 40]], np.float32)
    target = {"boxes": box, "labels": np.zeros(1, int), "scores": np.ones(1, np.float32)}
    try:
        yolo.loss_gradient(np.full((1, 3, 64, 64), 128, np.float32), [target])
    except Exception as error:  # whatever it is, it is the finding
        return f"{type(error).__name__}: {error}"
    return "works"


def _estimator(network: Network, shape: Any) -> Any:
    from art.estimators.object_detection import PyTorchYolo

    return PyTorchYolo(
        network, input_shape=tuple(shape), clip_values=(0, 255), device_type="cpu",
        attack_losses=("loss_total",),
    )  # fmt: skip


def _patch(estimator: Any, arena: Arena) -> Any:
    from art.attacks.evasion import AdversarialPatchPyTorch

    is_fixed = isinstance(arena, Fixed)
    options: dict[str, Any] = {"patch_location": arena.corner_px} if is_fixed else {}
    if not is_fixed:
        boxes = np.array([target.boxes[0] for target in arena.lesson.targets])
        side = arena.share * (boxes[:, 2] - boxes[:, 0])
        whole = arena.lesson.images.shape[1]
        options = {"scale_min": side.min() / whole, "scale_max": side.max() / whole}
    return AdversarialPatchPyTorch(
        estimator, rotation_max=0.0 if is_fixed else ROTATION_DEG, learning_rate=RATE, max_iter=1,
        batch_size=BATCH, patch_shape=(3, arena.side_px, arena.side_px), patch_type="square",
        targeted=True, verbose=False, **options,
    )  # fmt: skip


def _dpatch(estimator: Any, arena: Fixed) -> Any:
    from art.attacks.evasion import RobustDPatch

    left, top = arena.corner_px
    return RobustDPatch(
        estimator, patch_shape=(3, arena.side_px, arena.side_px), patch_location=(top, left),
        learning_rate=RATE, max_iter=1, batch_size=BATCH, targeted=True, verbose=False,
    )  # fmt: skip


def _centres(shape: tuple[int, ...], targets: tuple[Detections, ...]) -> Any:
    """(N, H, W) bool: where the middle of the patch may be, which is that of the sign."""
    masks = np.zeros(shape, bool)
    for mask, target in zip(masks, targets, strict=True):
        x, y = ((target.boxes[0, :2] + target.boxes[0, 2:]) / 2).round().astype(int)
        mask[y, x] = True
    return masks
