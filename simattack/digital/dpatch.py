"""One square for all pictures, put into them beside the target.

Source: Liu et al., DPatch: An Adversarial Patch Attack on Object Detectors (2018), in its form
that lets the target go unseen; the square lies close to the target and does not cover it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from simattack.digital.frames import Changed, Frames
from simattack.errors import ConfigError
from simattack.guarding import arrays_of, tensor_of
from simattack.optimize import runs
from simattack.optimize.asking import counted
from simattack.optimize.gradient import Adam
from simattack.optimize.runs import Report
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Detections, Floats, Image

if TYPE_CHECKING:
    from torch import Tensor

GAP_PX = 2
"""Between target and square."""
_JUDGED = 16
"""Pictures of the lesson that candidates are compared by."""


@register("digital", "dpatch")
@dataclass(frozen=True)
class DPatch:
    """A square close beside the target, not on it, learnt from other pictures."""

    side_px: int = 40
    iterations: int = 200
    rate: float = 0.05
    batch: int = 8

    threat: ClassVar[ThreatModel] = ThreatModel(
        Stage.INFERENCE,
        Knowledge.WHITE,
        Frequency.ONE_SHOT,
        Target.HIDE,
        Scope.UNIVERSAL,
        is_physical=False,
        countermeasures=("masking", "smoothing"),
    )
    norm: ClassVar[str] = "l0"
    epsilon: ClassVar[int] = 255

    def __post_init__(self) -> None:
        counted("dpatch", {"side_px": self.side_px, "batch": self.batch})
        _ = self.descent

    @property
    def pixels(self) -> int:
        return self.side_px**2

    @property
    def descent(self) -> Adam:
        return Adam(iterations=self.iterations, rate=self.rate)

    def begin(
        self,
        lesson: Frames,
        detector: Any,
        rng: np.random.Generator,
        folder: Path,
        report: Report | None = None,
    ) -> _Square:
        if not len(lesson):
            raise ConfigError("dpatch learns from other pictures than it changes; got none")
        lessons = Lesson(lesson, detector, self)
        start = rng.random(3 * self.pixels)
        runs.claim(folder, {"recipe": json.loads(json.dumps(dataclasses.asdict(self)))}, True)
        last = runs.drive(self.descent, lessons, start, rng, folder, report)
        looks = last.iteration * min(self.batch, len(lesson))
        return _Square(self, lessons.square(last.point), looks)


class _Square:
    def __init__(self, recipe: DPatch, square: Image, lesson_gradients: int) -> None:
        self._recipe, self._square = recipe, square
        self.lesson_gradients = lesson_gradients

    def change(self, image: Image, target: Detections, rng: np.random.Generator) -> Changed:
        return Changed(pasted(image, target, self._square))

    def noise(self, image: Image, target: Detections, rng: np.random.Generator) -> Image:
        return pasted(image, target, rng.integers(0, 256, self._square.shape, np.uint8))


@dataclass(eq=False)
class Lesson:
    """A square's vector (3 h w,) in 0..1 -> how visible the targets of the lesson stay."""

    frames: Frames
    detector: Any
    recipe: DPatch
    memory: Floats = field(default_factory=lambda: np.zeros(0))

    def loss(self, point: Tensor, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        count = min(self.recipe.batch, len(self.frames))
        shown, targets = self._with(point, rng.choice(len(self.frames), count, False))
        return self.detector.loss(shown, targets).mean(), {}

    def judge(self, point: Floats) -> tuple[float, dict[str, float]]:
        import torch

        few = np.linspace(0, len(self.frames) - 1, min(_JUDGED, len(self.frames))).astype(int)
        found = []
        with torch.no_grad():
            for part in np.array_split(few, -(-len(few) // self.recipe.batch)):
                shown, targets = self._with(_coded(point), part)
                found.append(self.detector.scores_near(shown, targets))
        return float(torch.cat(found).mean()), {}

    def square(self, point: Floats) -> Image:
        """(h, w, 3)"""
        square: Image = arrays_of(self._shaped(_coded(point))[None])[0]
        return square

    def _shaped(self, point: Tensor) -> Tensor:
        return point.reshape(3, self.recipe.side_px, self.recipe.side_px)

    def _with(self, point: Tensor, index: Any) -> tuple[Tensor, list[Detections]]:
        import torch
        from torch.nn.functional import pad

        images, targets = (
            tensor_of(self.frames.images[index]),
            [self.frames.targets[i] for i in index],
        )
        square, side = self._shaped(point), self.recipe.side_px
        height, width = images.shape[2:]
        shown = []
        for image, target in zip(images, targets, strict=True):
            left, top = beside(target, (height, width), side)
            around = (left, width - side - left, top, height - side - top)
            shown.append(
                image * pad(torch.zeros_like(square), around, value=1.0) + pad(square, around)
            )
        return torch.stack(shown), targets


def _coded(point: Floats) -> Tensor:
    import torch

    return (torch.from_numpy(np.asarray(point, np.float32)).clamp(0, 1) * 255).round() / 255


def beside(target: Detections, size: tuple[int, int], side: int) -> tuple[int, int]:
    """Left and top of the square in a picture (height, width): where there is more room.

    Raises:
        ConfigError: it would cover the target there.
    """
    height, width = size
    left, top, right, bottom = target.boxes[0]
    is_left = left + right > width
    x = np.floor(left) - GAP_PX - side if is_left else np.ceil(right) + GAP_PX
    y = np.clip(round((top + bottom - side) / 2), 0, height - side)
    if x < 0 or x + side > width or side > height:
        raise ConfigError(
            f"dpatch: no room for a square of {side} px beside the target at "
            f"{target.boxes[0].round()}; give it a smaller side_px"
        )
    return int(x), int(y)


def pasted(image: Image, target: Detections, square: Image) -> Image:
    """The picture with a square (h, h, 3) beside its target."""
    out = image.copy()
    side = len(square)
    left, top = beside(target, image.shape[:2], side)
    out[top : top + side, left : left + side] = square
    return out
