"""Light that goes astray in the lens: bloom around what is bright, and its mirror images.

Both start from the light above ``THRESHOLD``, a little more than a white sheet sends in full sun
under the declared exposure. Unreal lets all light bloom; here a daylit street keeps its pixels.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from simattack.light import Light
from simattack.server.sensors.options import Options

THRESHOLD = 2.5
BRIGHT_CODE = 247
"""The display code of ``THRESHOLD`` under a gain of 1."""
_SHRINK = 4
_BLOOM = ((0.3, 0.35), (1.0, 0.14), (2.5, 0.12), (8.0, 0.07))
"""Standard deviation [percent of the width] and weight of each halo; after Unreal's sizes."""
_GHOSTS = ((-0.45, (1.0, 0.8, 0.4)), (-0.9, (1.0, 1.0, 0.6)), (0.55, (0.8, 0.8, 1.0)))
"""Size against the picture, below zero turned about its middle, and tint of each mirror image."""
_GHOST_SIGMA = 1.0
_GHOST_PART = 0.1


def is_bright(light: Light, gain: float) -> bool:
    """Whether anything in the picture would glow."""
    return bool(light.max() * gain > THRESHOLD)


def glow(light: Light, options: Options) -> Light:
    """What to add to exposed light (H, W, 3): halos and mirror images."""
    height, width, _ = light.shape
    excess = np.maximum(light - np.float32(THRESHOLD), 0.0)
    small = _shrunk(excess)
    percent = width / _SHRINK / 100
    sums = np.zeros_like(small)
    if options.bloom_intensity > 0:
        for sigma, weight in _BLOOM:
            spread = (sigma * percent, sigma * percent, 0)
            halo = ndimage.gaussian_filter(small, spread, mode="constant")
            sums += np.float32(weight * options.bloom_intensity) * halo
    if options.lens_flare_intensity > 0:
        spread = (_GHOST_SIGMA * percent, _GHOST_SIGMA * percent, 0)
        soft = ndimage.gaussian_filter(small, spread, mode="constant")
        middle = (np.array(small.shape[:2]) - 1) / 2
        for size, tint in _GHOSTS:
            offset = middle - middle / size
            for channel in range(3):
                ghost = ndimage.affine_transform(
                    soft[..., channel], np.array([1 / size] * 2), offset, order=1, mode="constant"
                )
                part = options.lens_flare_intensity * _GHOST_PART * tint[channel]
                sums[..., channel] += np.float32(part) * ghost
    out = np.empty_like(light)
    for channel in range(3):
        out[..., channel] = ndimage.zoom(
            sums[..., channel],
            (height / small.shape[0], width / small.shape[1]),
            order=1,
            mode="nearest",
            grid_mode=True,
        )
    return out


def _shrunk(light: Light) -> Light:
    """Means of squares of ``_SHRINK`` pixels; the last row and column stand in beyond the edge."""
    height, width, _ = light.shape
    room = ((0, -height % _SHRINK), (0, -width % _SHRINK), (0, 0))
    whole = np.pad(light, room, mode="edge")
    rows, columns = whole.shape[0] // _SHRINK, whole.shape[1] // _SHRINK
    return np.asarray(whole.reshape(rows, _SHRINK, columns, _SHRINK, 3).mean(axis=(1, 3)))
