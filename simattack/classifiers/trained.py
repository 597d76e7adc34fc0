"""Small networks by their weights: found, checked against their card, loaded once a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from simattack.detectors.weights import Card, read_card
from simattack.errors import ConfigError, WeightsError
from simattack.resources import locate

if TYPE_CHECKING:
    from torch import nn

FOLDER = "classifiers/weights"


@dataclass(frozen=True)
class Trained:
    """A recipe of a network; a subclass says which.

    Raises:
        WeightsError: at construction: weights missing, changed, or of something else.
    """

    architecture: ClassVar[str]
    classes: ClassVar[tuple[str, ...]]

    weights: str
    """Name of shipped weights, or a path to .safetensors with its card beside it."""

    def __post_init__(self) -> None:
        card = self.card
        if card.architecture != self.architecture or card.classes != self.classes:
            raise WeightsError(
                f"{self.path} is of {card.architecture!r} with classes {', '.join(card.classes)}; "
                f"expected {self.architecture!r} with {', '.join(self.classes)}"
            )

    def __getstate__(self) -> dict[str, Any]:
        # The recipe travels to other processes, the network does not.
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @staticmethod
    def build() -> nn.Module:
        """The network with random weights."""
        raise NotImplementedError

    @property
    def path(self) -> Path:
        try:
            return locate(self.weights, FOLDER, ".safetensors")
        except ConfigError as error:
            raise WeightsError(str(error)) from None

    @property
    def card(self) -> Card:
        """What the weights are."""
        return read_card(self.path)

    @cached_property
    def _network(self) -> nn.Module:
        return _load(self.build, self.architecture, self.path, self.path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _load(
    build: Callable[[], nn.Module], architecture: str, path: Path, mtime_ns: int
) -> nn.Module:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = build()
    try:
        state = {n: v.float() for n, v in load_file(str(path)).items() if v.is_floating_point()}
        missing = set(dict(network.named_parameters())) - set(state)
        network.load_state_dict(state, strict=False)
    except (SafetensorError, RuntimeError) as error:
        first = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path} does not fit {architecture}: {first}") from error
    if missing:
        lacks = ", ".join(sorted(missing))
        raise WeightsError(f"{path} does not fit {architecture}: it lacks {lacks}")
    return network.eval().requires_grad_(False)
