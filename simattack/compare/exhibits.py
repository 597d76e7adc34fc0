"""What a defense made of single views, as pictures: kept when it is measured, shown on its page.

Three of the judged views, near, in the middle and far, each bare, under the scenario's own sticker
and under the one made through the defense. A picture is three panes side by side: what the camera
saw with the boxes of the detector alone, what the defense handed on with the boxes that were left,
and what it did.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures

from simattack.compare.looking import Look, found
from simattack.results import write_text
from simattack.types import Detections, Floats, Image
from simattack.video import with_boxes

INDEX = "exhibits.json"
_GAIN = 4
"""What was changed is shown so many times stronger."""
_QUALITY = 88
_AT = (0.1, 0.5, 0.9)
"""Quantiles of distance at which the views are taken."""


@dataclass(frozen=True)
class Exhibit:
    """One picture of a defense's page and what is to be read of it."""

    file: str
    sticker: str
    """``bare``, ``oblivious`` or ``adaptive``."""
    distance_m: float
    before: bool
    """Whether the detector alone finds the sign."""
    after: bool
    """Whether it is found behind the defense."""
    alarm: float
    """Of the defense, for the camera."""
    did: str
    """What the third pane shows."""


def chosen(distances_m: Floats) -> list[int]:
    """Which views are shown: a near, a middling and a far one, each once."""
    order = np.argsort(distances_m, kind="stable")
    places = [round(at * (len(order) - 1)) for at in _AT]
    return [int(order[place]) for place in dict.fromkeys(places)]


def keep(
    folder: Path,
    looks: Sequence[tuple[str, float, Detections, Look]],
    detector: Any,
    defense: Any,
) -> None:
    """Write the pictures of some looks and their index; what was there goes.

    Args:
        folder: of this defense's exhibits alone.
        looks: sticker, distance [m], target, and what became of each image.
        detector: the car's own.
        defense: whose page it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.jpg"):
        old.unlink()
    kept = []
    for number, (sticker, distance_m, target, look) in enumerate(looks):
        alone = detector.detect(look.image[None])[0]
        pane, did = _third(look, detector, defense, target)
        panes = [with_boxes(look.image, alone), with_boxes(look.handed_on, look.left), pane]
        file = f"{number:02d}_{sticker}.jpg"
        Pictures.fromarray(np.hstack(panes)).save(folder / file, quality=_QUALITY)
        kept.append(
            Exhibit(
                file=file,
                sticker=sticker,
                distance_m=round(float(distance_m), 1),
                before=bool(found([alone], [target])[0]),
                after=bool(found([look.left], [target])[0]),
                alarm=round(float(look.alarm), 3),
                did=did,
            )
        )
    write_text(folder / INDEX, json.dumps([asdict(one) for one in kept], indent=1) + "\n")


def read(folder: Path) -> list[Exhibit]:
    """What ``keep`` wrote; nothing where it did not."""
    path = folder / INDEX
    if not path.is_file():
        return []
    return [Exhibit(**one) for one in json.loads(path.read_text(encoding="utf-8"))]


def _third(look: Look, detector: Any, defense: Any, target: Detections) -> tuple[Image, str]:
    if hasattr(defense, "looks") and hasattr(defense, "masks"):
        shown = _under_masks(look.image, detector, defense, target)
        return shown, "bright: what was to be seen in the masked looks that found the sign"
    change = np.abs(look.handed_on.astype(int) - look.image).clip(0, 255)
    if change.any():
        shown = np.asarray((_GAIN * change).clip(0, 255), np.uint8)
        return shown, f"what the defense changed in the picture, {_GAIN} times as strong"
    return _boxes_alone(look), "boxes that the defense left or added; it changed no pixel"


def _under_masks(image: Image, detector: Any, defense: Any, target: Detections) -> Image:
    """The image, as bright as the share of the masked looks with the sign that show a pixel."""
    height, width = image.shape[:2]
    seen, count = np.zeros((height, width)), 0
    masks = defense.masks(height, width)
    for (left, top, right, bottom), one in zip(
        masks, defense.looks(detector, image), strict=True
    ):  # fmt: skip
        if found([one], [target])[0]:
            shown = np.ones((height, width))
            shown[top:bottom, left:right] = 0
            seen += shown
            count += 1
    share = 0.15 + 0.85 * seen / max(count, 1)
    return np.asarray(image * share[..., None], np.uint8)


def _boxes_alone(look: Look) -> Image:
    return with_boxes(np.full_like(look.image, 40), look.left)
