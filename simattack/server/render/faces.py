"""Painted faces: one texture each, sampled by a rule that can be computed again elsewhere.

For a pixel centre p = (x, y, 1) with x, y in pixels (.5 at the first centre) and the face's map
M = ``camera.pixels_to_texture``, with rows M0, M1, M2 and texture size (W, H):

    u = M0.p / M2.p      v = M1.p / M2.p
    ax = (W (M00 - u M20), H (M10 - v M20)) / M2.p      texels a pixel step in x moves
    ay = (W (M01 - u M21), H (M11 - v M21)) / M2.p      texels a pixel step in y moves
    level = clamp(log2(max(|ax|, |ay|)), 0, last level)
    coded = (1 - f) * bilinear(floor(level)) + f * bilinear(floor(level) + 1),  f = fraction

Bilinear taps clamp at the texture's border; level n is ``textures.pyramid`` of the painted
picture. Values are averaged coded, 8 bits a channel a level, and made linear (squared) last.

A fourth channel is filtered alike; where it comes out below one half, nothing is there.
"""

from __future__ import annotations

import moderngl
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from simattack.resources import find
from simattack.server.render import textures


class Face:
    """One texture on the graphics card."""

    def __init__(
        self, context: moderngl.Context, picture: NDArray[np.uint8], is_single: bool = False
    ) -> None:
        self._context = context
        self._texture: moderngl.Texture | None = None
        self.paint(picture, is_single)

    def paint(self, picture: NDArray[np.uint8], is_single: bool = False) -> None:
        """Show ``picture`` (H, W, 3 or 4) uint8; any size.

        With ``is_single`` its finest level serves at all distances.
        """
        levels = textures.pyramid(_with_alpha(picture))
        height, width = levels[0].shape[:2]
        if self._texture is None or self._texture.size != (width, height):
            self.release()
            self._texture = self._context.texture((width, height), 4, alignment=1)
            self._texture.build_mipmaps()
            self._texture.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
            self._texture.repeat_x = self._texture.repeat_y = False
        for level, data in enumerate(levels):
            self._texture.write(data.tobytes(), level=level, alignment=1)
        self.texels = (float(width), float(height))
        self.last_level = 0.0 if is_single else float(len(levels) - 1)

    def use(self, unit: int) -> None:
        assert self._texture is not None
        self._texture.use(unit)

    def release(self) -> None:
        if self._texture is not None:
            self._texture.release()
            self._texture = None


def _with_alpha(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if picture.shape[2] == 4:
        return picture
    return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])


def base_picture(name: str) -> NDArray[np.uint8]:
    """What a face shows unpainted, (H, W, 3), by its texture name."""
    kind, _, rest = name.partition(":")
    if kind == "stop_sign":
        # The committed picture, so that every version of Pillow shows the same letters.
        with Pictures.open(find("scenarios/maps/textures/stop_sign.png")) as picture:
            return np.asarray(picture.convert("RGB"))
    if kind == "speed_limit":
        return textures.speed_limit(float(rest))
    if kind == "yield":
        return textures.yield_sign()
    if kind == "poster":
        return textures.poster(int(rest))
    return np.full((4, 4, 3), 160, np.uint8)
