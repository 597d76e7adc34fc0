"""A few pixels of any colour, found by evolution, without gradients.

Source: Su, Vargas and Sakurai, One Pixel Attack for Fooling Deep Neural Networks (2019): one
candidate is place and colour of each pixel, and differential evolution searches them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from simattack.digital.frames import Changed, Frames
from simattack.guarding import tensor_of
from simattack.optimize.asking import counted
from simattack.optimize.blackbox import BlackBox
from simattack.optimize.evolution import Evolution
from simattack.optimize.goals import NEAR
from simattack.optimize.runs import Report
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Detections, Floats, Image


@register("digital", "one_pixel")
@dataclass(frozen=True)
class OnePixel:
    """A pixel near the target gets another colour, searched for by the detector's scores alone."""

    pixels: int = 1
    queries: int = 200

    threat: ClassVar[ThreatModel] = ThreatModel(
        Stage.INFERENCE,
        Knowledge.GREY,
        Frequency.ITERATIVE,
        Target.HIDE,
        Scope.INDIVIDUAL,
        is_physical=False,
        countermeasures=("median",),
    )
    norm: ClassVar[str] = "l0"
    epsilon: ClassVar[int] = 255

    def __post_init__(self) -> None:
        counted("one_pixel", {"pixels": self.pixels, "queries": self.queries})

    def begin(
        self,
        lesson: Frames,
        detector: Any,
        rng: np.random.Generator,
        folder: Path,
        report: Report | None = None,
    ) -> _Dots:
        return _Dots(self, detector if hasattr(detector, "scores_near") else BlackBox(detector))


class _Dots:
    lesson_gradients = 0

    def __init__(self, recipe: OnePixel, detector: Any) -> None:
        self._recipe, self._detector = recipe, detector

    def change(self, image: Image, target: Detections, rng: np.random.Generator) -> Changed:
        import torch

        def score(point: Floats) -> float:
            with torch.no_grad():
                shown = tensor_of(dotted(image, target, point)[None])
                return float(self._detector.scores_near(shown, [target])[0])

        method = Evolution(queries=self._recipe.queries)
        # From the middle of the box, in black and white: a candidate as good as any.
        start = np.tile([0.5, 0.5, 0.0, 0.0, 0.0], self._recipe.pixels)
        *_, last = method.steps(score, start, rng)
        return Changed(dotted(image, target, last.point), queries=last.iteration)

    def noise(self, image: Image, target: Detections, rng: np.random.Generator) -> Image:
        return dotted(image, target, rng.random(5 * self._recipe.pixels))


def dotted(image: Image, target: Detections, point: Floats) -> Image:
    """The picture with pixels set near its target: (5 k,) in 0..1, x, y, red, green, blue of each.

    Places are counted over the first target's box, a little enlarged, as far as it is in sight.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = target.boxes[0]
    middle = np.array([left + right, top + bottom]) / 2
    half = NEAR * np.array([right - left, bottom - top]) / 2
    size = np.array([width, height])
    low, high = (middle - half).clip(0, size - 1), (middle + half).clip(1, size)
    out = image.copy()
    for x, y, *colour in np.asarray(point).reshape(-1, 5):
        at = np.floor(low + (high - low) * (x, y)).clip(0, size - 1).astype(int)
        out[at[1], at[0]] = np.rint(np.array(colour) * 255).astype(np.uint8)
    return out
