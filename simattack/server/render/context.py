"""The OpenGL context, the programs and the picture buffers."""

from __future__ import annotations

import ctypes
from importlib import resources
from typing import Any

import moderngl
import numpy as np

from simattack.errors import RenderError
from simattack.server.render.daylight import Daylight
from simattack.server.render.edges import soften
from simattack.server.render.response import settle
from simattack.server.render.view import GBuffer
from simattack.types import Floats, Image

_PACKAGES = "apt-get install libegl1 libopengl0 libgl1-mesa-dri"
_MOST_DEVICES = 16
_NO_SUCH_DEVICE = "requested device index"
"""How glcontext begins to say that there are fewer devices."""


def create_context(gpu: int | None) -> moderngl.Context:
    """A context without a window, on EGL device ``gpu``, or on the best that EGL offers.

    That is the first GPU that works, else the first device that does: software. The context
    belongs to the thread that makes it.

    Raises:
        RenderError: EGL, OpenGL or a driver is missing.
    """
    if gpu is not None:
        return _context(gpu, f" on GPU {gpu}")
    first_error: RenderError | None = None
    software: int | None = None
    for index in range(_MOST_DEVICES):
        try:
            context = _context(index)
        except RenderError as error:
            first_error = first_error or error
            if _NO_SUCH_DEVICE in str(error):
                break
            continue
        if not is_software(str(context.info["GL_RENDERER"])):
            return context
        software = index if software is None else software
        context.release()
    if software is not None:
        # Made anew: what was tried since has taken its place on this thread.
        return _context(software)
    raise first_error or RenderError("expected an EGL device, found none")


def is_software(gl_renderer: str) -> bool:
    """Whether a renderer of that name draws on the CPU."""
    return any(name in gl_renderer.lower() for name in ("llvmpipe", "softpipe", "swrast"))


def _context(device: int, where: str = "") -> moderngl.Context:
    names = {"libegl": "libEGL.so.1", "libgl": "libOpenGL.so.0"}
    try:
        ctypes.CDLL(names["libgl"])
    except OSError:
        # Older machines have the whole of OpenGL in one library.
        names["libgl"] = "libGL.so.1"
    # moderngl's annotations do not know the settings it passes on to EGL.
    settings: dict[str, Any] = {"backend": "egl", "device_index": device, **names}
    try:
        return moderngl.create_context(require=330, standalone=True, **settings)
    except Exception as error:  # moderngl raises plain Exception for everything
        reason = " ".join(str(error).split()) or type(error).__name__
        hint = (
            "leave --gpu away, or count from 0"
            if where and _NO_SUCH_DEVICE in reason
            else _PACKAGES
        )
        raise RenderError(
            f"expected an OpenGL 3.3 context from EGL{where}, got: {reason}; try: {hint}"
        ) from None


def _source(name: str) -> str:
    return (resources.files(__package__) / "shaders" / name).read_text()


def program(
    context: moderngl.Context, vertex: str, fragment: str, lamps: int = 0
) -> moderngl.Program:
    """Compile two shader files; fragments without a version line get the light functions.

    With ``lamps``, so many lamps light what is drawn. Software rasterisers pay for them even while
    they are dark.
    """
    text = _source(fragment)
    if not text.startswith("#version"):
        define = f"#define LAMPS {lamps}\n" if lamps else ""
        text = "#version 330\n" + define + _source("light.glsl") + text
    return context.program(vertex_shader=_source(vertex), fragment_shader=text)


class Target:
    """Picture buffers of one size; a rich one has light, normals and paint besides."""

    def __init__(
        self, context: moderngl.Context, width_px: int, height_px: int, is_rich: bool = False
    ) -> None:
        size = (width_px, height_px)
        self.size = size
        self.is_rich = is_rich
        self.color = context.texture(size, 4)
        self.depth = context.texture(size, 1, dtype="f4")
        self.code = context.texture(size, 4)
        self._layers = [self.color, self.depth, self.code]
        if is_rich:
            light = context.texture(size, 4, dtype="f4")
            self._layers += [light, context.texture(size, 4), context.texture(size, 4)]
        self._context = context
        self._over: tuple[moderngl.Framebuffer, moderngl.Texture] | None = None
        self.frame = context.framebuffer(self._layers, context.depth_renderbuffer(size))

    def shown(self) -> tuple[moderngl.Framebuffer, moderngl.Texture]:
        """A frame over the colour alone, and a copy of the colour drawn so far.

        ``half`` is ready from then on: a frame of half the size.
        """
        if self._over is None:
            copy = self._context.texture(self.size, 4)
            copy.filter = (moderngl.LINEAR, moderngl.LINEAR)
            copy.repeat_x = copy.repeat_y = False
            only = self._context.framebuffer([self.color])
            self._over = (only, copy)
            half = self._context.texture(((self.size[0] + 1) // 2, (self.size[1] + 1) // 2), 4)
            half.repeat_x = half.repeat_y = False
            self.half = self._context.framebuffer([half])
            self.half_color = half
            self._copied = self._context.framebuffer([copy])
            for texture in (self.depth, self.code):
                texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
                texture.repeat_x = texture.repeat_y = False
        only, copy = self._over
        self._context.copy_framebuffer(self._copied, only)
        return only, copy

    def read(self) -> GBuffer:
        """What was drawn into it, outlines softened."""
        width, height = self.size
        rgb: Image = np.empty((height, width, 3), np.uint8)
        depth = np.empty((height, width), np.float32)
        code = np.empty((height, width, 4), np.uint8)
        self.frame.read_into(rgb, components=3, alignment=1)
        self.frame.read_into(depth, components=1, attachment=1, dtype="f4")
        self.frame.read_into(code, components=4, attachment=2)
        # As one little-endian number a pixel: tag, id low, id high, 255.
        packed = code.view("<u4")[..., 0]
        number = ((packed >> 8) & 0xFFFF).astype(np.uint32)
        tag = np.ascontiguousarray(code[..., 0])
        if not self.is_rich:
            soften(rgb, packed)
            return GBuffer(rgb, depth, tag, number)
        light = np.empty((height, width, 3), np.float32)
        normal, paint = np.empty_like(rgb), np.empty_like(rgb)
        self.frame.read_into(light, components=3, attachment=3, dtype="f4")
        settle(light, rgb)
        soften(rgb, packed)
        self.frame.read_into(normal, components=3, attachment=4, alignment=1)
        self.frame.read_into(paint, components=3, attachment=5, alignment=1)
        return GBuffer(rgb, depth, tag, number, light, normal, paint)


def color_mask(target: Target, is_code: bool, is_light: bool = True) -> None:
    """Let drawing touch all attachments, or the colour only: coded and as light, or coded."""
    on, rest = (True,) * 4, (is_code,) * 4
    more = ((is_light,) * 4, rest, rest) if target.is_rich else ()
    # One mask for each attachment; they are drawn to together.
    target.frame.color_mask = (on, rest, rest, *more)


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
