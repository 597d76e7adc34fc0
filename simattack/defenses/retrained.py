"""Another network in the detector's place, such as one that was trained against attacks.

Source: adversarial training: Madry et al., Towards deep learning models resistant to adversarial
attacks, 2018 (assumed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack import registry
from simattack.guarding import latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Detections, Detector, Observation, Verdict

if TYPE_CHECKING:
    from torch import Tensor


@register("defenses", "retrained")
@dataclass(frozen=True)
class Retrained:
    """The car looks with these weights instead of its detector's.

    An adaptive attack is made for ``network``: optimise with ``--detector`` of the same weights.

    Raises:
        WeightsError: at construction: weights missing, changed, or of foreign classes.
    """

    needs = ("camera",)

    weights: str
    """Name of shipped weights, or a path to .safetensors with its card."""
    confidence: float = 0.25
    latency_s: float = 0.0
    """On top of the detector's own, whose place it takes."""

    def __post_init__(self) -> None:
        if self.latency_s:
            latency(self.latency_s)
        _ = self.network

    @property
    def network(self) -> Any:
        """What an adaptive attack has to fool."""
        options = {"weights": self.weights, "confidence": self.confidence}
        return registry.build("detectors", "yolo", options, "defense 'retrained'")

    @property
    def family(self) -> Family:
        return Family.MASKING if self.masks_gradients else Family.ROBUSTNESS

    @property
    def masks_gradients(self) -> bool:
        """Whether its weights were made for vanishing gradients, which hold up nobody for long."""
        lesson = self.network.card.recipe.get("lesson", {})
        return bool(lesson.get("kind") == "distilled" and lesson.get("temperature", 1.0) > 1.0)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Swapped:
        return Swapped(self.network)

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """The image is left alone."""
        return images


class Swapped:
    """One run."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def clean(self, obs: Observation) -> Observation:
        return obs

    def wrap(self, detector: Detector) -> Detector:
        swapped: Detector = self._network
        return swapped

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        return Verdict(seen)
