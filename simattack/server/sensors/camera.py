"""Cameras: one drawing of the scene serves all that look from the same place.

Colour, depth, semantic and instance cameras with one pose, size and field of view are read out of
one picture buffer. Pixels travel as BGRA, top row first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from simattack.errors import ConfigError
from simattack.server import stream
from simattack.server.actors import Actor
from simattack.server.render.view import GBuffer, View

Bgra: TypeAlias = NDArray[np.uint8]
Draw: TypeAlias = Callable[[View], GBuffer]

DEPTH_RANGE_M = 1000.0
_DEPTH_STEPS = 2**24 - 1
_OPAQUE = np.uint32(0xFF000000)
_LOW_BYTE, _BYTE, _TWO_BYTES = np.uint32(0xFF), np.uint32(8), np.uint32(16)
MAX_SIDE_PX = 8192


def is_camera(type_id: str) -> bool:
    """Whether ``encode`` knows the kind."""
    return type_id in _ENCODERS


def lens(attributes: dict[str, str]) -> tuple[int, int, float]:
    """Width [px], height [px] and horizontal field of view [deg] of a camera.

    Raises:
        ConfigError: an attribute is no number or out of range.
    """
    try:
        width, height = int(attributes["image_size_x"]), int(attributes["image_size_y"])
        fov_deg = float(attributes["fov"])
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"expected a camera's image_size_x, image_size_y and fov as numbers: {error}"
        ) from error
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX and 0 < fov_deg < 180):
        raise ConfigError(
            f"expected a camera of 1..{MAX_SIDE_PX} px a side and a fov in 0..180 deg, "
            f"got {width} x {height}, {fov_deg}"
        )
    return width, height, fov_deg


def capture(
    cameras: Iterable[Actor], draw: Draw
) -> Iterator[tuple[Actor, Sequence[bytes | memoryview]]]:
    """What each camera sees: the parts of its message after the header.

    Args:
        cameras: all of a kind for which ``is_camera`` holds.
        draw: the scene as seen through a view.
    """
    groups: dict[tuple[View, float], list[Actor]] = {}
    for camera in cameras:
        width, height, fov_deg = lens(camera.attributes)
        view = View(camera.pose, width, height, math.radians(fov_deg))
        groups.setdefault((view, fov_deg), []).append(camera)
    for (view, fov_deg), members in groups.items():
        picture = draw(view)
        head = stream.image_head(view.width_px, view.height_px, fov_deg)
        images: dict[str, memoryview] = {}
        for camera in members:
            if camera.type_id not in images:
                images[camera.type_id] = encode(camera.type_id, picture)
            yield camera, (head, images[camera.type_id])


def encode(type_id: str, picture: GBuffer) -> memoryview:
    """The pixels that a camera of that kind sends, H * W * 4 bytes."""
    return _ENCODERS[type_id](picture).data.cast("B")


def _color(picture: GBuffer) -> Bgra:
    height, width, _ = picture.rgb.shape
    out = np.empty((height, width, 4), np.uint8)
    out[..., 0] = picture.rgb[..., 2]
    out[..., 1] = picture.rgb[..., 1]
    out[..., 2] = picture.rgb[..., 0]
    out[..., 3] = 255
    return out


def _depth(picture: GBuffer) -> NDArray[np.uint32]:
    # R + 256 G + 65536 B counts steps of 1000 m / (2**24 - 1); R is the third byte.
    part = np.clip(picture.depth_m / np.float64(DEPTH_RANGE_M), 0.0, 1.0)
    steps = np.rint(part * _DEPTH_STEPS).astype(np.uint32)
    middle = steps & (_LOW_BYTE << _BYTE)
    pixels: NDArray[np.uint32] = (
        (steps >> _TWO_BYTES) | middle | ((steps & _LOW_BYTE) << _TWO_BYTES) | _OPAQUE
    )
    return pixels


def _semantic(picture: GBuffer) -> NDArray[np.uint32]:
    pixels: NDArray[np.uint32] = (picture.tag.astype(np.uint32) << _TWO_BYTES) | _OPAQUE
    return pixels


def _instance(picture: GBuffer) -> NDArray[np.uint32]:
    # R is the label, G the low and B the high byte of the id.
    low, high = picture.id & _LOW_BYTE, (picture.id >> _BYTE) & _LOW_BYTE
    pixels: NDArray[np.uint32] = _semantic(picture) | (low << _BYTE) | high
    return pixels


_ENCODERS: dict[str, Callable[[GBuffer], NDArray[np.uint8] | NDArray[np.uint32]]] = {
    "sensor.camera.rgb": _color,
    "sensor.camera.depth": _depth,
    "sensor.camera.semantic_segmentation": _semantic,
    "sensor.camera.instance_segmentation": _instance,
}
