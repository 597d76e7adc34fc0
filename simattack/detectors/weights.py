"""Weights on disk: a safetensors file and, beside it, a card that says what it is.

The card (``<name>.json``) names the architecture and the classes, tells the data, seed, recipe and
measured metrics, and pins the file by its SHA-256. Nothing in either file can run code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from simattack.errors import ConfigError, WeightsError
from simattack.resources import locate, sha256

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDER = "detectors/weights"
"""Where shipped weights lie, inside the package."""
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Card:
    """What a weights file is, where it comes from and how good it was measured to be."""

    architecture: str
    """An ultralytics model yaml with its scale, such as ``yolo11n.yaml``."""
    classes: tuple[str, ...]
    """Name of each output column."""
    seed: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    latency_s: float = 0.05
    """Declared; charged to the control loop."""
    sha256: str = ""
    """Of the safetensors file; filled by ``save``."""
    format: int = FORMAT


def card_path(path: Path) -> Path:
    """Where the card of a weights file lies."""
    return path.with_suffix(".json")


def save(path: Path, state: Mapping[str, Tensor], card: Card) -> Card:
    """Write weights (floats as float16) and their card; returns the card with its hash."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in state.items()
    }
    save_file(tensors, str(path))
    path.chmod(0o644)  # safetensors keeps others from reading it
    card = replace(card, sha256=sha256(path))
    card_path(path).write_text(json.dumps(asdict(card), indent=1, sort_keys=True) + "\n")
    return card


def read_card(path: Path) -> Card:
    """The card of a weights file, once the file's hash is found to match it.

    Raises:
        WeightsError: file or card missing, card unreadable, or another hash than the card's.
    """
    beside = card_path(path)
    if not path.is_file():
        raise WeightsError(f"expected weights at {path}, found no file")
    if not beside.is_file():
        raise WeightsError(f"expected the card of {path} at {beside}, found no file")
    try:
        found = json.loads(beside.read_text())
        known = {item.name for item in fields(Card)}
        card = Card(**{name: value for name, value in found.items() if name in known})
        card = replace(card, classes=tuple(str(name) for name in card.classes))
    except (ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{beside} is not a card of weights: {error}") from error
    if card.format != FORMAT:
        raise WeightsError(f"{beside} has format {card.format!r}, this version reads {FORMAT}")
    digest = sha256(path)
    if digest != card.sha256:
        raise WeightsError(
            f"{path} has sha256 {digest[:12]}..., its card {beside.name} expects "
            f"{str(card.sha256)[:12]}...: the file was changed or replaced; fetch it anew"
        )
    return card


def load(path: Path) -> tuple[nn.Module, Card]:
    """The float32 network of a safetensors file whose card fits it.

    Raises:
        WeightsError: as ``read_card``, or the tensors do not fit the architecture.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    card = read_card(path)
    network = build(card.architecture, len(card.classes))
    try:
        state = load_file(str(path))
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}") from error
    state = {n: v.float() if v.is_floating_point() else v for n, v in state.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path} does not fit {card.architecture}: {first}") from error
    return network, card


def build(architecture: str, classes: int) -> nn.Module:
    """A network of ultralytics' yaml with random weights.

    Raises:
        WeightsError: ultralytics has no such architecture.
    """
    prepare_ultralytics()
    from ultralytics.nn import tasks

    try:
        kind = "RTDETRDetectionModel" if "rtdetr" in architecture else "DetectionModel"
        network: nn.Module = getattr(cast(Any, tasks), kind)(
            architecture, nc=classes, verbose=False
        )
    except (FileNotFoundError, OSError) as error:
        raise WeightsError(f"ultralytics has no architecture {architecture!r}") from error
    return network


def find_weights(name: str) -> Path:
    """A user's file, or a shipped one by its bare name.

    Raises:
        WeightsError: neither exists; names what ships.
    """
    suffix = Path(name).suffix
    if suffix == ".pt":
        path = Path(name).expanduser()
        if not path.is_file():
            raise WeightsError(f"expected weights at {path}, found no file")
        return path
    try:
        return locate(name, FOLDER, ".safetensors")
    except ConfigError as error:
        raise WeightsError(str(error)) from None


def prepare_ultralytics() -> None:
    """Import ultralytics without downloads, telemetry, or a change of torch's thread count.

    Its switches are environment variables read at import. It would also set OMP_NUM_THREADS for
    this process and every child; what the user set, or did not set, is put back.
    """
    import torch
    from PIL import Image

    open_picture = Image.open
    threads, before = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "simattack"
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    os.environ.setdefault("YOLO_CONFIG_DIR", str(cache))
    cache.mkdir(parents=True, exist_ok=True)
    import ultralytics.utils.patches  # noqa: F401  # for its side effects, under these switches

    # It puts its own opener in Pillow's place, which asks for a plugin where a file is no picture.
    Image.open = open_picture
    if before is None:
        os.environ.pop("OMP_NUM_THREADS", None)
    torch.set_num_threads(threads)
