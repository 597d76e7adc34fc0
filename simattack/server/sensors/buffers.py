"""The renderer's own buffers as CARLA hands them out, by GBufferTextureID.

All come as BGRA bytes of the straight picture: neither film nor lens acts on them, as in CARLA.
Which of Unreal's buffers have a meaning for this renderer, and what their bytes are:

- SceneColor: the picture under the declared exposure;
- SceneDepth, CustomDepth: as the depth camera codes it (CARLA squeezes it into 8 bits);
- SceneStencil, CustomStencil: the semantic label, in all three channels;
- GBufferA: world normals, (n + 1) / 2;
- GBufferC: the colour of the surfaces themselves, display-coded;
- Velocity: v / 4 + 1/2, in red x and in green y, with v by the convention of ``flow.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.server.render.view import GBuffer
from simattack.server.sensors.flow import Flow

Bgra = NDArray[np.uint8]

NAMES = (
    "SceneColor",
    "SceneDepth",
    "SceneStencil",
    "GBufferA",
    "GBufferB",
    "GBufferC",
    "GBufferD",
    "GBufferE",
    "GBufferF",
    "Velocity",
    "SSAO",
    "CustomDepth",
    "CustomStencil",
)
"""By CARLA's id."""
DEPTHS = ("SceneDepth", "CustomDepth")
VELOCITY = "Velocity"
RICH = ("GBufferA", "GBufferC")
"""These need a rich picture."""
LACKING = {
    "GBufferB": "materials here have neither metallic nor roughness",
    "GBufferD": "materials here have no custom data",
    "GBufferE": "no light is baked here",
    "GBufferF": "surfaces here have no tangents",
    "SSAO": "the shade under things is drawn, not computed on the screen",
}
"""Why a buffer cannot be had."""


def bgra(rgb: NDArray[Any]) -> Bgra:
    """(H, W, 4) bytes of (H, W, 3), opaque."""
    height, width, _ = rgb.shape
    out = np.empty((height, width, 4), np.uint8)
    out[..., 0], out[..., 1], out[..., 2] = rgb[..., 2], rgb[..., 1], rgb[..., 0]
    out[..., 3] = 255
    return out


def stencil(picture: GBuffer) -> Bgra:
    """Labels in all channels."""
    out = np.repeat(picture.tag[..., None], 4, axis=2)
    out[..., 3] = 255
    return out


def normals(picture: GBuffer) -> Bgra:
    """World normals, x in red, y in green, z in blue."""
    if picture.normal is None:
        raise RuntimeError("expected a rich picture for normals")
    return bgra(picture.normal)


def paint(picture: GBuffer) -> Bgra:
    """The surfaces' own colours."""
    if picture.paint is None:
        raise RuntimeError("expected a rich picture for colours of surfaces")
    return bgra(picture.paint)


def coded_velocity(flow: Flow) -> Bgra:
    """The velocity buffer, 8 bits a component."""
    out = np.zeros((*flow.shape[:2], 3), np.uint8)
    out[..., :2] = np.rint(np.clip(flow / 4 + 0.5, 0.0, 1.0) * 255)
    return bgra(out)


PLAIN: dict[str, Callable[[GBuffer], Bgra]] = {
    "SceneColor": lambda picture: bgra(picture.rgb),
    "SceneStencil": stencil,
    "CustomStencil": stencil,
    "GBufferA": normals,
    "GBufferC": paint,
}
"""Those that the picture alone gives."""
