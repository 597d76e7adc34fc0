"""A trained adversary on disk and at work: a small network in a safetensors file, and its card.

The card (``<name>.json``) says how the layers go together, what the adversary may do and know, and
how it was trained, and pins the file by its SHA-256. Nothing in either file can run code, and
neither torch nor the trainer is needed to act: a linear layer is a matrix, an LSTM a few lines.

Tensors, in the order of the signal: ``lstm.weight_x`` (4h, n), ``lstm.weight_h`` (4h, h) and
``lstm.bias`` (4h,), gates as torch has them (input, forget, cell, output), if there is one; then
``<k>.weight`` (out, in) and ``<k>.bias`` (out,) of layer k = 0, 1, ...
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from simattack.errors import WeightsError
from simattack.resources import sha256
from simattack.types import Floats

FORMAT = 1
ACTIVATIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0)}
"""Between the layers."""
SQUASHES = ("clip", "tanh")
"""Of what leaves the last layer, into -1..1."""


@dataclass(frozen=True, eq=False)
class Card:
    """What a trained adversary is and where it comes from."""

    algorithm: str
    """Of its training, such as ``ppo``."""
    attack: Mapping[str, Any]
    """Kind and options of the attack whose parameters it chooses."""
    terms: Mapping[str, Any]
    """The fields of an ``adversary.Terms``."""
    sees: tuple[str, ...]
    """Name of each number that it is told."""
    activation: str = "tanh"
    squash: str = "clip"
    training: Mapping[str, Any] = field(default_factory=dict)
    """Scenario, steps, seed, versions."""
    sha256: str = ""
    """Of the safetensors file; filled by ``save``."""
    format: int = FORMAT


class Actor:
    """A network at work: what it sees (n,) in, its action (m,) in -1..1 out, without any chance.

    Raises:
        WeightsError: the tensors are no such network.
    """

    def __init__(self, tensors: Mapping[str, Any], card: Card) -> None:
        self.card = card
        try:
            self._build({name: np.asarray(value, float) for name, value in tensors.items()})
        except (KeyError, ValueError, TypeError) as error:
            raise WeightsError(
                f"the tensors are no adversary that sees {len(card.sees)} numbers: {error}"
            ) from error
        self.reset()

    @property
    def count(self) -> int:
        """Numbers of an action."""
        return len(self._layers[-1][1])

    def reset(self) -> None:
        """Forget the drive before."""
        self._hidden = self._cell = np.zeros(0 if self._lstm is None else self._lstm[1].shape[1])

    def act(self, seen: Floats) -> Floats:
        """The action for what is seen now; asked once a control interval."""
        signal = np.asarray(seen, float)
        if self._lstm is not None:
            signal = self._remember(signal)
        for k, (weight, bias) in enumerate(self._layers):
            signal = weight @ signal + bias
            if k < len(self._layers) - 1:
                signal = self._activation(signal)
        done = np.tanh(signal) if self.card.squash == "tanh" else np.clip(signal, -1.0, 1.0)
        return np.asarray(done, float)

    def _build(self, tensors: dict[str, Floats]) -> None:
        self._activation: Any = ACTIVATIONS[self.card.activation]
        if self.card.squash not in SQUASHES:
            raise ValueError(f"squash must be one of {', '.join(SQUASHES)}")
        width = len(self.card.sees)
        self._lstm: tuple[Floats, Floats, Floats] | None = None
        if "lstm.bias" in tensors:
            weight_x, weight_h, bias = (
                tensors.pop(f"lstm.{name}") for name in ("weight_x", "weight_h", "bias")
            )
            hidden = weight_h.shape[1]
            _need(weight_x.shape == (4 * hidden, width), "lstm.weight_x", weight_x)
            _need(weight_h.shape == (4 * hidden, hidden), "lstm.weight_h", weight_h)
            _need(bias.shape == (4 * hidden,), "lstm.bias", bias)
            self._lstm, width = (weight_x, weight_h, bias), hidden
        self._layers: list[tuple[Floats, Floats]] = []
        for k in range(len(tensors) // 2):
            weight, bias = tensors.pop(f"{k}.weight"), tensors.pop(f"{k}.bias")
            _need(weight.ndim == 2 and weight.shape[1] == width, f"{k}.weight", weight)
            width = len(weight)
            _need(bias.shape == (width,), f"{k}.bias", bias)
            self._layers.append((weight, bias))
        if not self._layers or tensors:
            raise ValueError(f"left over are {', '.join(tensors) or 'no layers'}")

    def _remember(self, signal: Floats) -> Floats:
        assert self._lstm is not None  # asked only then
        weight_x, weight_h, bias = self._lstm
        gates = weight_x @ signal + weight_h @ self._hidden + bias
        into, forget, cell, out = np.split(gates, 4)
        self._cell = _sigmoid(forget) * self._cell + _sigmoid(into) * np.tanh(cell)
        self._hidden = _sigmoid(out) * np.tanh(self._cell)
        return self._hidden


def save(path: Path, tensors: Mapping[str, Any], card: Card) -> Card:
    """Write a network as float32 and its card; returns the card with its hash.

    Raises:
        WeightsError: the tensors are no such network.
    """
    from safetensors.numpy import save_file

    Actor(tensors, card)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()},
        str(path),
    )
    path.chmod(0o644)  # safetensors keeps others from reading it
    card = replace(card, sha256=sha256(path))
    path.with_suffix(".json").write_text(json.dumps(asdict(card), indent=1, sort_keys=True) + "\n")
    return card


def load(path: Path) -> Actor:
    """The network of a safetensors file with its card beside it.

    Raises:
        WeightsError: a file is missing, damaged, or not what its card says.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    card = read_card(path)
    try:
        return Actor(load_file(str(path)), card)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}") from error
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def read_card(path: Path) -> Card:
    """The card of a trained adversary, once the file's hash is found to match it.

    Raises:
        WeightsError: file or card missing, card unreadable, or another hash than the card's.
    """
    beside = path.with_suffix(".json")
    for file, what in ((path, "a trained adversary"), (beside, f"the card of {path.name}")):
        if file.suffix not in (".safetensors", ".json") or not file.is_file():
            raise WeightsError(f"expected {what} at {file} (.safetensors), found no such file")
    try:
        found = json.loads(beside.read_text())
        known = {item.name for item in fields(Card)}
        card = Card(**{name: value for name, value in found.items() if name in known})
        card = replace(
            card,
            sees=tuple(str(name) for name in card.sees),
            attack={str(key): _tuples(value) for key, value in card.attack.items()},
            terms=dict(card.terms),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{beside} is not the card of an adversary: {error}") from error
    if card.format != FORMAT:
        raise WeightsError(f"{beside} has format {card.format!r}, this version reads {FORMAT}")
    if (digest := sha256(path)) != card.sha256:
        raise WeightsError(
            f"{path} has sha256 {digest[:12]}..., its card {beside.name} expects "
            f"{str(card.sha256)[:12]}...: the file was changed or replaced"
        )
    return card


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _need(is_right: bool, name: str, tensor: Floats) -> None:
    if not is_right:
        raise ValueError(f"{name} has the shape {tensor.shape}")


def _sigmoid(x: Floats) -> Floats:
    made: Floats = 1.0 / (1.0 + np.exp(-x))
    return made
