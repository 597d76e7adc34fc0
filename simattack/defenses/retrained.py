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
    confidence: float | None = None
    """From which score on a detection counts; None: as in the detector whose place they take."""
    latency_s: float = 0.0
    """On top of the detector's own, whose place it takes."""

    def __post_init__(self) -> None:
        if self.latency_s:
            latency(self.latency_s)
        _ = self.network

    @property
    def network(self) -> Any:
        """What an adaptive attack has to fool."""
        return self.network_from(self.confidence)

    def network_from(self, confidence: float | None) -> Any:
        """The weights as a detector that reports from that score on, or from its usual one."""
        options: dict[str, Any] = {"weights": self.weights}
        if confidence is not None:
            options["confidence"] = confidence
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
        return Swapped(self)

    def surrogate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """The image is left alone."""
        return images


class Swapped:
    """One run."""

    def __init__(self, recipe: Retrained) -> None:
        self._recipe = recipe

    def clean(self, obs: Observation) -> Observation:
        return obs

    def wrap(self, detector: Detector) -> Detector:
        own = self._recipe.confidence
        swapped: Detector = self._recipe.network_from(
            getattr(detector, "confidence", None) if own is None else own
        )
        return swapped

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        return Verdict(seen)
