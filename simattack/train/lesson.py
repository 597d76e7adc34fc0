"""What a detector's training may learn beside its labels, or in their stead.

A lesson is a part of the recipe: a frozen dataclass with the weights to start from. Its ``begin``
gives a ``Teaching``, which ``recipe.fit`` asks for every batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from simattack.detectors.weights import Card, find_weights, load
from simattack.errors import ConfigError
from simattack.types import CLASS_NAMES

if TYPE_CHECKING:
    from torch import Tensor, nn

    from simattack.twin import Twin

Batch = Mapping[str, Any]
"""As ultralytics has it: ``img`` (B, 3, H, W) in 0..1, and of all its N objects ``batch_idx`` (N,),
``cls`` (N, 1) and ``bboxes`` (N, 4), middle and size in shares of the image."""
Loss = tuple["Tensor", Mapping[str, "Tensor"]]
"""The loss of boxes, classes and edges (3,), times the batch's size; its parts by name."""
Labels = Callable[..., Loss]
"""(batch, predictions=None) -> the loss by labels; without predictions the network makes them."""


class Lesson(Protocol):
    """A recipe's own way to learn."""

    @property
    def start(self) -> str:
        """Name or path of the weights that training begins with."""
        ...

    @property
    def needs_views(self) -> int:
        """So many views of a twin of training places; 0 for none."""
        ...

    @property
    def size_m(self) -> float:
        """Side of the square on the signs that these views measure."""
        ...

    @property
    def soiled(self) -> int:
        """Windows a frame seen through a dirty lens or a disturbed sensor."""
        ...

    def begin(self, twin: Twin | None, seed: int) -> Teaching: ...


@runtime_checkable
class Teaching(Protocol):
    """One training of a lesson."""

    weights: Mapping[str, Tensor]
    """That training begins with."""

    def ready(self, network: nn.Module) -> None:
        """An epoch begins, the network is in training mode."""
        ...

    def loss(self, network: nn.Module, batch: Batch, labels: Labels) -> Loss: ...

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to keep: tensors, numbers and what is made of these."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None: ...

    def finished(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The trained weights as they are used."""
        ...


def starting(name: str) -> tuple[nn.Module, Card]:
    """The network that a lesson begins with, float32, and its card.

    Raises:
        WeightsError: no such weights, or damaged ones.
        ConfigError: it does not tell the eight classes that training frames are labelled by.
    """
    network, card = load(find_weights(name))
    if card.classes != CLASS_NAMES:
        raise ConfigError(
            f"expected weights of {', '.join(CLASS_NAMES)} to start from, got {name!r} of "
            f"{', '.join(card.classes)}; use weights that `simattack train` made"
        )
    return network, card


def floats(network: nn.Module) -> dict[str, Tensor]:
    """All that a network has learnt, by name."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
