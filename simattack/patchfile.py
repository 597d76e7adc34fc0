"""A patch on disk: ``<name>.png``, what is printed, and ``<name>.json``, its card.

The card says how large the print is and how it came to be, and holds the picture's hash: a patch
and a card that do not belong together are refused.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures

from simattack.errors import ConfigError, PatchError
from simattack.resources import locate, sha256
from simattack.types import Image

FOLDER = "patches"
CARD_VERSION = 1
ASPECT_TOLERANCE = 0.02
"""Largest relative difference between the picture's aspect and the stated size's."""


@dataclass(frozen=True, kw_only=True)
class PatchCard:
    """Where a patch came from, and how large it is printed."""

    width_m: float
    height_m: float
    sha256: str = ""
    """Of the PNG file; empty for a picture that has no card."""
    attack: str = ""
    """Kind of attack it was made for, such as ``decal``."""
    surface: str = ""
    """Kind of surface it was made for, such as ``stop_sign``."""
    goal: str = ""
    """What it is to make of what it is on: ``hide``, ``appear``, ``misclassify``, ``overload``;
    empty: the first of these that its attack is for."""
    centre: tuple[float, float] = (0.5, 0.5)
    """Where on the face its middle goes: u right, v down, each 0..1."""
    label: str = ""
    """The class to be seen, of a goal that wants one."""
    optimizer: str = ""
    iterations: int = 0
    queries: int = 0
    """Of the detector, where the optimizer had no gradients."""
    seed: int | None = None
    detector: str = ""
    """Name of the weights it was made against."""
    detector_sha256: str = ""
    defense: str = ""
    """Kind of the defense it was made to get past; empty for none."""
    loss: str = ""
    sites: tuple[str, ...] = ()
    """Where the twin was calibrated: signs, or drawn scenes by place and seed."""
    command: str = ""
    """That makes it."""
    eot: Mapping[str, float] = field(default_factory=dict)
    """Ranges of the random transforms."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Best scores of the target on held-out views of the twin, by distance."""
    gap: Mapping[str, Any] = field(default_factory=dict)
    """How far the twin was from the simulator; see ``gap.Gap``."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A picture to print: ``image`` (h, w, 3) uint8 RGB, top row first.

    With a fourth channel (h, w, 4) it is cut out: 255 where printed, 0 where nothing is stuck on.
    """

    name: str
    image: Image
    card: PatchCard

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height."""
        return self.card.width_m, self.card.height_m


def load_patch(name: str | Path, size_m: tuple[float, float] | None = None) -> Patch:
    """The shipped patch of that bare name, or the picture at that path.

    Args:
        name: with or without ``.png``.
        size_m: width and height; needed for a picture without a card, and must agree with a card.

    Raises:
        PatchError: missing, not a picture, no size, the wrong size, or not the card's picture.
    """
    path = find_patch(name)
    image = load_picture(name)
    card_path = path.with_suffix(".json")
    if card_path.is_file():
        card = read_card(card_path)
        if card.sha256 and card.sha256 != sha256(path):
            raise PatchError(
                f"{path} is not the picture its card was written for (SHA-256 differs); restore "
                f"it, or remove {card_path.name} and state the size"
            )
        if size_m is not None and not np.allclose(size_m, (card.width_m, card.height_m), rtol=0.01):
            raise PatchError(
                f"{path} is made to be {card.width_m:g} x {card.height_m:g} m, but "
                f"{size_m[0]:g} x {size_m[1]:g} m is asked for; leave the size away, or copy the "
                "picture without its card"
            )
    elif size_m is None:
        raise PatchError(
            f"{path} has no card {card_path.name} beside it; state its size in metres (--size-m)"
        )
    else:
        card = PatchCard(width_m=size_m[0], height_m=size_m[1])
    check_aspect(image, (card.width_m, card.height_m), str(path))
    image.setflags(write=False)
    return Patch(path.stem, image, card)


def load_picture(name: str | Path) -> Image:
    """The picture (h, w, 3) alone, or (h, w, 4) where it is transparent somewhere; of any size.

    Raises:
        PatchError: missing, or not a picture.
    """
    path = find_patch(name)
    try:
        with Pictures.open(path) as picture:
            image = np.asarray(picture.convert("RGBA"))
    except (OSError, ValueError) as error:
        raise PatchError(f"{path} is not a picture that can be read: {error}") from error
    return image[:, :, :3].copy() if image[:, :, 3].min() == 255 else image


def save_patch(folder: Path, patch: Patch) -> Path:
    """Write picture and card; the card gets the picture's hash. The picture's path."""
    check_aspect(patch.image, patch.size_m, patch.name)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{patch.name}.png"
    Pictures.fromarray(np.ascontiguousarray(patch.image)).save(path, optimize=True)
    card = dataclasses.replace(patch.card, sha256=sha256(path))
    content = {"version": CARD_VERSION, **dataclasses.asdict(card)}
    path.with_suffix(".json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def find_patch(name: str | Path) -> Path:
    """The picture's path.

    Raises:
        PatchError: there is none; names the shipped ones.
    """
    text = str(name)
    try:
        # A card or a name with a folder but no suffix stands for the picture beside it.
        beside = Path(text).with_suffix(".png")
        return beside if beside.is_file() else locate(text, FOLDER, ".png")
    except ConfigError as error:
        raise PatchError(str(error)) from None


def read_card(path: Path) -> PatchCard:
    """The card in a JSON file.

    Raises:
        PatchError: unreadable, of a newer version, or a field is missing, unknown or wrong.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("expected a mapping")
        version = content.pop("version", None)
        if version != CARD_VERSION:
            raise ValueError(f"version {version}, this simattack reads version {CARD_VERSION}")
        content["sites"] = tuple(content.get("sites", ()))
        u, v = content.get("centre", (0.5, 0.5))
        content["centre"] = (float(u), float(v))
        card = PatchCard(**content)
        sizes = float(card.width_m), float(card.height_m)
    except (OSError, ValueError, TypeError) as error:
        raise PatchError(f"{path} is not a patch's card: {error}") from error
    if not all(np.isfinite(size) and size > 0 for size in sizes):
        raise PatchError(f"{path}: width_m and height_m must be above 0, got {sizes}")
    return card


def check_aspect(image: Image, size_m: tuple[float, float], where: str) -> None:
    """Refuse a picture that a print of that size would distort.

    Raises:
        PatchError: empty picture, or its aspect is not the size's.
    """
    height, width = image.shape[:2]
    if min(height, width) < 1 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise PatchError(f"{where}: expected an RGB or RGBA picture, got {image.shape}")
    if image.shape[2] == 4 and not image[:, :, 3].any():
        raise PatchError(
            f"{where}: the picture is transparent everywhere; nothing would be stuck on"
        )
    if abs(width / height * size_m[1] / size_m[0] - 1) > ASPECT_TOLERANCE:
        raise PatchError(
            f"{where}: a picture of {width} x {height} px cannot be printed at "
            f"{size_m[0]:g} x {size_m[1]:g} m without distortion; state a size of its own aspect"
        )
