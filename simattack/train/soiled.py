"""Learning from dirt and disturbance alone: windows through dirty lenses and disturbed sensors.

Data augmentation with the corruptions themselves. No attacker takes part: nothing is made against
the network, so it is to be robust to what it was shown and to nothing else.

Source: corruptions as training data for detectors that drive: Michaelis et al., Benchmarking
robustness in object detection, 2019 (assumed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from simattack.checks import whole
from simattack.train.lesson import Batch, Labels, Loss, floats, starting

if TYPE_CHECKING:
    from torch import Tensor, nn

    from simattack.twin import Twin


@dataclass(frozen=True, kw_only=True)
class Soiled:
    """Which weights, and how much of what they are shown is soiled.

    Raises:
        ValueError: at construction: no window would be soiled.
    """

    start: str = "town_yolo11n"
    """Name or path of the weights to start from."""
    soiled: int = 2
    """Windows a frame through a dirty lens or a disturbed sensor."""

    needs_views: ClassVar[int] = 0
    size_m: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        whole("soiled", self.soiled, 1)

    def begin(self, twin: Twin | None, seed: int) -> Windows:
        return Windows(self)


class Windows:
    """One training: the labels of all windows, clean and soiled."""

    def __init__(self, recipe: Soiled) -> None:
        network, _ = starting(recipe.start)
        self.weights: Mapping[str, Tensor] = floats(network)

    def ready(self, network: nn.Module) -> None:
        """What the network has measured of clean inputs stays: most of what a car sees is clean."""
        network.eval()

    def loss(self, network: nn.Module, batch: Batch, labels: Labels) -> Loss:
        return labels(batch)

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass

    def finished(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(weights)
