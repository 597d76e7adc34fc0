"""The OpenGL context, the programs and the picture buffers."""

from __future__ import annotations

import ctypes
from importlib import resources
from typing import Any

import moderngl
import numpy as np

from simattack.errors import RenderError
from simattack.server.render.daylight import Daylight
from simattack.types import Floats

_PACKAGES = "apt-get install libegl1 libopengl0 libgl1-mesa-dri"


def create_context(gpu: int | None) -> moderngl.Context:
    """A context without a window, on EGL device ``gpu``, or on EGL's own choice.

    It belongs to the thread that makes it.

    Raises:
        RenderError: EGL, OpenGL or a driver is missing.
    """
    names = {"libegl": "libEGL.so.1", "libgl": "libOpenGL.so.0"}
    try:
        ctypes.CDLL(names["libgl"])
    except OSError:
        # Older machines have the whole of OpenGL in one library.
        names["libgl"] = "libGL.so.1"
    # moderngl's annotations do not know the settings it passes on to EGL.
    settings: dict[str, Any] = {"backend": "egl", **names}
    if gpu is not None:
        settings["device_index"] = gpu
    try:
        return moderngl.create_context(require=330, standalone=True, **settings)
    except Exception as error:  # moderngl raises plain Exception for everything
        reason = " ".join(str(error).split()) or type(error).__name__
        where = "" if gpu is None else f" on GPU {gpu}"
        raise RenderError(
            f"expected an OpenGL 3.3 context from EGL{where}, got: {reason}; try: {_PACKAGES}"
        ) from None


def _source(name: str) -> str:
    return (resources.files(__package__) / "shaders" / name).read_text()


def program(context: moderngl.Context, vertex: str, fragment: str) -> moderngl.Program:
    """Compile two shader files; fragments without a version line get the light functions."""
    text = _source(fragment)
    if not text.startswith("#version"):
        text = "#version 330\n" + _source("light.glsl") + text
    return context.program(vertex_shader=_source(vertex), fragment_shader=text)


class Target:
    """Picture buffers of one size."""

    def __init__(self, context: moderngl.Context, width_px: int, height_px: int) -> None:
        size = (width_px, height_px)
        self.size = size
        self.color = context.texture(size, 4)
        self.depth = context.texture(size, 1, dtype="f4")
        self.code = context.texture(size, 4)
        self.frame = context.framebuffer(
            [self.color, self.depth, self.code], context.depth_renderbuffer(size)
        )


def color_mask(target: Target, is_code: bool) -> None:
    """Let drawing touch all attachments, or the colour only."""
    rest = (is_code,) * 4
    # The annotation knows one mask for all attachments only; a mask for each works as well.
    target.frame.color_mask = ((True,) * 4, rest, rest)  # type: ignore[assignment]


def set_light(shader: moderngl.Program, light: Daylight) -> None:
    """Set whatever a program knows of sky and air."""
    names = ("sun", "sun_light", "sky_light", "ground_light", "zenith", "haze", "fog", "exposure")
    for name in names:
        if name in shader:
            value = getattr(light, name)
            is_number = isinstance(value, float)
            shader[name] = value if is_number else tuple(float(v) for v in value)


def write(shader: moderngl.Program, name: str, value: Floats) -> None:
    """Set a matrix, given by rows."""
    uniform = shader[name]
    assert isinstance(uniform, moderngl.Uniform)
    uniform.write(np.ascontiguousarray(value.T, np.float32).tobytes())
