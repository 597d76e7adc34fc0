"""The camera's response, both ways: linear light on the film, and the display codes of a picture.

Conventions: ``Light`` is linear, a channel each, in the film's own unit: 1 is what the renderer's
declared exposure makes of it; white paper in full sun has about 2, and ``BRIGHTEST`` saturates.
The response is coded = sqrt(film(light)) a channel, as in server/render/shaders/light.glsl: fixed,
rising, and without bloom, automatic exposure or grain. Whatever mixes, dims or adds light in front
of the sensor goes through ``light_of``, acts, and goes back through ``codes_of``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simattack.types import Image

if TYPE_CHECKING:
    from torch import Tensor

Light = NDArray[np.float32]

_A, _B, _C, _D, _E = 2.51, 0.03, 2.43, 0.59, 0.14
"""film(x) = x (a x + b) / (x (c x + d) + e), as the shader has it."""


def film(x: Light) -> Light:
    """The renderer's curve: exposed light to 0..1, linear; see shaders/light.glsl."""
    out = x * (_A * x + _B) / (x * (_C * x + _D) + _E)
    return np.clip(out, 0.0, 1.0).astype(np.float32, copy=False)


def light_of(codes: Image) -> Light:
    """The light behind display codes; what was too bright for the film comes out as its limit."""
    return _DECODED[codes]


def codes_of(light: Light) -> Image:
    """Display codes of light under the declared response; undoes ``light_of`` to the byte."""
    return coded(np.sqrt(film(light)))


def coded(part: Light) -> Image:
    """Display codes of values in 0..1, rounded."""
    return np.asarray(part * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)


def shown(light: Tensor) -> Tensor:
    """Display values in 0..1 of light, unrounded: ``codes_of`` as torch differentiates it.

    Black has a gradient of 0, where the response's own has none.
    """
    out = light * (_A * light + _B) / (light * (_C * light + _D) + _E)
    return out.clamp(1e-12, 1.0).sqrt()


def behind(values: Tensor) -> Tensor:
    """The light behind display values in 0..1: ``light_of`` as torch differentiates it."""
    f = values.clamp(0.0, 1.0) ** 2
    a, b, c = _A - _C * f, _B - _D * f, -_E * f
    # The product under the root is 0 at black only; b there is positive.
    return (-b + (b * b - 4 * a * c).sqrt()) / (2 * a)


def _decoded() -> Light:
    f = (np.arange(256) / 255.0) ** 2
    a, b, c = _A - _C * f, _B - _D * f, -_E * f
    return ((-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)).astype(np.float32)


_DECODED = _decoded()
BRIGHTEST = float(_DECODED[255])
"""The light at which a channel saturates."""
