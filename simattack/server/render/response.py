"""The camera's response backwards: which light a display code may stand for (shaders/light.glsl).

Shade, water and drops are blended in display codes. Where a picture also holds its light, the
light follows the codes, so that both tell of one scene.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simattack.types import Floats, Image


def _light_of(code: Floats) -> Floats:
    f = np.clip(code / 255.0, 0.0, 1.0) ** 2
    a, b = 2.51 - 2.43 * f, 0.03 - 0.59 * f
    return np.asarray((np.sqrt(b * b + 0.56 * a * f) - b) / (2 * a))


_CODES = np.arange(256.0)
_MIDDLE = _light_of(_CODES).astype(np.float32)
_LEAST = _light_of(_CODES - 1.0).astype(np.float32)
_MOST = _light_of(_CODES + 1.0).astype(np.float32)
_LEAST[:2] = 0.0
_MOST[254:] = np.inf


def settle(light: NDArray[np.float32], rgb: Image) -> None:
    """Where light (H, W, 3) is more than one code off ``rgb``, give it that code's, in place."""
    is_off = (light < _LEAST[rgb]) | (light > _MOST[rgb])
    light[is_off] = _MIDDLE[rgb[is_off]]
