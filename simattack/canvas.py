"""Textures in the form CARLA's client takes them.

Part of the session's floor: it is handed CARLA's module and never imports it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from simattack.types import Image

KEPT = 16
"""Canvases of a size: a twin is measured with about a dozen paints, again and again."""


class Canvases:
    """Turns pictures into ``carla.TextureColor``.

    The client takes one pixel by pixel, a microsecond each: so pictures that come again are kept as
    they were, the latest ``KEPT`` of every size, and of another only what differs is set.
    """

    def __init__(self, carla: Any) -> None:
        self._carla = carla
        self._kept: dict[tuple[int, int], dict[bytes, tuple[Any, Image]]] = {}
        """Size -> digest of a picture -> its canvas and content, the latest last."""

    def texture(self, picture: Image) -> Any:
        """``picture`` (H, W, 3 or 4) uint8 as CARLA's object; valid until the next call."""
        height, width = picture.shape[:2]
        if picture.shape[2] == 3:
            picture = np.dstack([picture, np.full((height, width), 255, np.uint8)])
        kept = self._kept.setdefault((height, width), {})
        key = hashlib.blake2b(picture.tobytes()).digest()
        if key in kept:
            kept[key] = kept.pop(key)
            return kept[key][0]
        if len(kept) < KEPT:
            colors, differs = (
                self._carla.TextureColor(width, height),
                np.ones((height, width), bool),
            )
        else:
            colors, content = kept.pop(next(iter(kept)))
            differs = (content != picture).any(2)
        rows, columns = np.nonzero(differs)
        color, put = self._carla.Color, colors.set
        for x, y, (red, green, blue, alpha) in zip(
            columns.tolist(), rows.tolist(), picture[rows, columns].tolist(), strict=True
        ):
            put(x, y, color(red, green, blue, alpha))
        kept[key] = colors, picture.copy()
        return colors
