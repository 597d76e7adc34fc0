"""A student of the detector in its place, taught at a temperature: gradients of its scores vanish.

Gradient masking, and named so: it stops who follows gradients of scores, neither who follows logits
nor who asks without gradients. Made by ``simattack train NAME --lesson distilled``.

Source: Papernot et al., Distillation as a defense to adversarial perturbations against deep neural
networks, 2016 (assumed); that it masks gradients: Carlini and Wagner, Towards evaluating the
robustness of neural networks, 2017 (assumed).
"""

from __future__ import annotations

from dataclasses import dataclass

from simattack.defenses.retrained import Retrained
from simattack.registry import register


@register("defenses", "distilled")
@dataclass(frozen=True)
class Distilled(Retrained):
    """The car looks with a distilled student instead of its detector."""

    weights: str = "town_yolo11n_distilled"
    """Name of shipped weights, or a path to .safetensors with its card."""
