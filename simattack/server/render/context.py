"""The OpenGL context, the programs and the picture buffers."""

from __future__ import annotations

import ctypes
from importlib import resources
from typing import Any

import moderngl

from simattack.errors import RenderError

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
