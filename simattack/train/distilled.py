"""Distillation at a temperature: a student learns its teacher's soft answers with cooled logits.

While it learns, the student's class logits are divided by the temperature; in use they are not.
So its scores are as good as 0 or 1 nearly everywhere, and gradients of scores vanish. That is
*gradient masking*: an attacker who follows logits, or asks without gradients, is not held up. It
is here to be measured, not to be trusted.

The student has its teacher's architecture, starts from its teacher's features and boxes, and
learns its class branches from scratch. Their last layers are trained in units of the temperature
and multiplied by it at the end, which is the same as dividing the logits while training.

Source: Papernot et al., Distillation as a defense to adversarial perturbations against deep neural
networks, 2016 (assumed); that it masks gradients: Carlini and Wagner, Towards evaluating the
robustness of neural networks, 2017 (assumed).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from simattack.checks import number
from simattack.detectors.weights import build
from simattack.train.adversarial import divergence, predictions
from simattack.train.lesson import Batch, Labels, Loss, floats, starting

if TYPE_CHECKING:
    from torch import Tensor, nn

    from simattack.twin import Twin

_CLASS_GAIN = 0.5
"""Of the class loss beside that of boxes: ultralytics' own."""


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """Which teacher, and how hot.

    Raises:
        ValueError: at construction: the temperature is none.
    """

    start: str = "town_yolo11n"
    """Name or path of the teacher's weights."""
    temperature: float = 10.0
    """1 masks nothing."""

    needs_views: ClassVar[int] = 0
    size_m: ClassVar[float] = 0.0
    soiled: ClassVar[int] = 0

    def __post_init__(self) -> None:
        number("temperature", self.temperature, 1.0, 100.0)

    def begin(self, twin: Twin | None, seed: int) -> Student:
        """The student of one training."""
        return Student(self, seed)


class Student:
    """One distillation."""

    def __init__(self, recipe: Distilled, seed: int) -> None:
        import torch

        self._recipe = recipe
        self._teacher, card = starting(recipe.start)
        self._teacher.eval().requires_grad_(False)
        before = torch.random.get_rng_state()
        torch.manual_seed(seed)
        fresh = floats(build(card.architecture, len(card.classes)))
        torch.random.set_rng_state(before)
        head = max(int(name.split(".")[1]) for name in fresh)
        self._branch = re.compile(rf"model\.{head}\.cv3\.")
        self._last = re.compile(rf"model\.{head}\.cv3\.\d+\.2\.(weight|bias)$")
        self.weights: Mapping[str, Tensor] = {
            name: fresh[name] if self._branch.match(name) else value
            for name, value in floats(self._teacher).items()
        }

    def ready(self, network: nn.Module) -> None:
        """Nothing: its branches have to measure their inputs."""

    def loss(self, network: nn.Module, batch: Batch, labels: Labels) -> Loss:
        """Boxes and edges by the labels, classes by the teacher's scores."""
        import torch

        found = network(batch["img"])
        total, parts = labels(batch, found)
        with torch.no_grad():
            soft = predictions(self._teacher(batch["img"]))[1].sigmoid()
        # Already divided by the temperature: ``finished`` multiplies.
        cooled = found["scores"].float().transpose(1, 2)
        apart = _CLASS_GAIN * divergence(cooled, soft)
        whole = torch.stack([total[0], apart * len(batch["img"]), total[2]])
        return whole, {**parts, "cls_loss": apart.detach()}

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass

    def finished(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        hot = self._recipe.temperature
        return {
            name: value * hot if self._last.match(name) else value
            for name, value in weights.items()
        }
