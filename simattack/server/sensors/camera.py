"""Cameras: one drawing of the scene serves all that look from the same place.

Cameras with one pose, size and field of view are read out of one picture buffer, whatever their
kinds; ``eye.py`` makes of it what the attributes of each ask for. Pixels travel as BGRA, top row
first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from simattack.errors import ConfigError
from simattack.server import stream
from simattack.server.actors import Actor
from simattack.server.render.view import GBuffer, View
from simattack.server.sensors import buffers
from simattack.server.sensors import lens as lens_model
from simattack.server.sensors.eye import Eye, Moment

Bgra: TypeAlias = NDArray[np.uint8]
Draw: TypeAlias = Callable[[View, bool], GBuffer]
Parts: TypeAlias = Sequence[bytes | memoryview]

DEPTH_RANGE_M = 1000.0
_DEPTH_STEPS = 2**24 - 1
_OPAQUE = np.uint32(0xFF000000)
_LOW_BYTE, _BYTE, _TWO_BYTES = np.uint32(0xFF), np.uint32(8), np.uint32(16)
MAX_SIDE_PX = 8192
BUFFER_KIND = 18
"""Of a buffer's message, in CARLA's registry of sensors."""


def is_camera(type_id: str) -> bool:
    """Whether ``capture`` knows the kind."""
    return type_id in _ENCODERS or type_id in _OTHERS


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
    cameras: Iterable[Actor], moment: Moment, draw: Draw, is_heard: Callable[[int], bool]
) -> Iterator[tuple[Actor, int, int, Parts]]:
    """What each camera sees: its actor, the stream and the kind of a message, and the message's
    parts after the header.

    Args:
        cameras: all of a kind for which ``is_camera`` holds.
        moment: this tick.
        draw: the scene as seen through a view; with light, normals and paint if asked for.
        is_heard: whether anybody listens to a stream.
    """
    groups: dict[tuple[View, float], list[tuple[Actor, Eye]]] = {}
    for camera in cameras:
        width, height, fov_deg = lens(camera.attributes)
        view = View(camera.pose, width, height, math.radians(fov_deg))
        groups.setdefault((view, fov_deg), []).append((camera, _eye(camera)))
    for (view, fov_deg), members in groups.items():
        eyes = [eye for _, eye in members]
        is_rich = any(eye.needs_light or _needs_rich(c, is_heard) for c, eye in members)
        picture = draw(view, is_rich)
        for eye in eyes:
            eye.meter(picture, moment)
        if not is_rich and any(eye.needs_light for eye in eyes):
            picture = draw(view, True)
        head = stream.image_head(view.width_px, view.height_px, fov_deg)
        shared: dict[str, memoryview] = {}
        for camera, eye in members:
            for name, number in camera.buffers.items():
                if is_heard(number):
                    pixels = _buffer(name, picture, eye, view, moment).data.cast("B")
                    yield camera, number, BUFFER_KIND, (head, pixels)
            if is_heard(camera.stream):
                body = _body(camera.type_id, picture, eye, view, moment, shared)
                # Like CARLA's, an event camera that saw nothing change is silent.
                if len(body):
                    yield camera, camera.stream, stream.SENSOR_TYPES[camera.type_id], (head, body)
            eye.remember(view, moment)


def _eye(camera: Actor) -> Eye:
    if camera.eye is None:
        rng = camera.rng if camera.rng is not None else np.random.default_rng(camera.id)
        camera.eye = Eye(camera.type_id, camera.attributes, rng)
    return camera.eye


def _needs_rich(camera: Actor, is_heard: Callable[[int], bool]) -> bool:
    if camera.type_id == "sensor.camera.normals":
        return True
    return any(is_heard(n) for name, n in camera.buffers.items() if name in buffers.RICH)


def _buffer(
    name: str, picture: GBuffer, eye: Eye, view: View, moment: Moment
) -> NDArray[np.uint8] | NDArray[np.uint32]:
    if name in buffers.DEPTHS:
        return _depth(picture)
    if name == buffers.VELOCITY:
        return buffers.coded_velocity(eye.flow(picture, view, moment))
    return buffers.PLAIN[name](picture)


def _body(
    type_id: str,
    picture: GBuffer,
    eye: Eye,
    view: View,
    moment: Moment,
    shared: dict[str, memoryview],
) -> memoryview:
    """What follows the head; ``shared`` keeps what all cameras of a kind send alike."""
    if eye.has_film:
        rgb = eye.picture(picture, view, moment)
        if eye.retina is not None:
            return memoryview(eye.retina.see(rgb, moment.time_s).tobytes())
        if rgb is not picture.rgb:
            return _color(replace(picture, rgb=rgb)).data.cast("B")
    elif type_id == "sensor.camera.optical_flow":
        flow = eye.flow(picture, view, moment)
        bent = lens_model.bend(flow, eye.options) if eye.options.is_bent else flow
        return memoryview(bent.tobytes())
    elif eye.options.is_bent:
        outside = 0 if type_id == "sensor.camera.normals" else _OPAQUE
        pixels = _ENCODERS[type_id](picture)
        return memoryview(lens_model.bend(pixels, eye.options, outside).tobytes())
    if type_id not in shared:
        shared[type_id] = encode(type_id, picture)
    return shared[type_id]


def encode(type_id: str, picture: GBuffer) -> memoryview:
    """The pixels that a camera of that kind sends, H * W * 4 bytes."""
    return _ENCODERS[type_id](picture).data.cast("B")


def _color(picture: GBuffer) -> Bgra:
    return buffers.bgra(picture.rgb)


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
    "sensor.camera.normals": buffers.normals,
}
_OTHERS = ("sensor.camera.dvs", "sensor.camera.optical_flow")
"""Kinds whose messages are no pictures."""
