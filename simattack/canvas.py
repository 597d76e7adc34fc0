"""Textures in the form CARLA's client takes them.

Part of the session's floor: it is handed CARLA's module and never imports it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.types import Image


class Canvases:
    """Turns pictures into ``carla.TextureColor``.

    The client takes one pixel by pixel, a microsecond each, so a canvas is kept for every size and
    only what differs from its last content is set.
    """

    def __init__(self, carla: Any) -> None:
        self._carla = carla
        self._kept: dict[tuple[int, int], tuple[Any, NDArray[np.int16]]] = {}

    def texture(self, picture: Image) -> Any:
        """``picture`` (H, W, 3 or 4) uint8 as CARLA's object; valid until the next call."""
        height, width = picture.shape[:2]
        if picture.shape[2] == 3:
            picture = np.dstack([picture, np.full((height, width), 255, np.uint8)])
        if (height, width) not in self._kept:
            blank = self._carla.TextureColor(width, height)
            self._kept[height, width] = (blank, np.full((height, width, 4), -1, np.int16))
        colors, content = self._kept[height, width]
        rows, columns = np.nonzero((content != picture).any(2))
        color, put = self._carla.Color, colors.set
        for x, y, (red, green, blue, alpha) in zip(
            columns.tolist(), rows.tolist(), picture[rows, columns].tolist(), strict=True
        ):
            put(x, y, color(red, green, blue, alpha))
        content[rows, columns] = picture[rows, columns]
        return colors
