"""Wet ground mirrors what the picture shows; drawn over roads and sidewalks, in codes only.

Only what is in the picture can be mirrored; where the ray leaves it, the sky stands in.
"""

from __future__ import annotations

import moderngl
import numpy as np

from simattack.geometry import rotation
from simattack.server.render import camera
from simattack.server.render.context import Target, program, set_light, write
from simattack.server.render.daylight import Daylight
from simattack.server.render.view import View
from simattack.types import Floats

_FIRST_UNIT = 3
"""Texture units below are the renderer's own."""


def _horizon(rays: Floats) -> float:
    """How far below the picture's top ground may first show, as a part of its height."""
    a, b, c = rays[2]
    if b >= -1e-6:
        return 0.0  # the camera is on its side, or upside down
    return float(np.clip((min((c - a) / -b, (c + a) / -b) + 1) / 2, 0.0, 1.0))


class Mirror:
    """The program and its square."""

    def __init__(self, context: moderngl.Context, corners: moderngl.Buffer) -> None:
        self._context = context
        self._program = program(context, "sky.vert", "mirror.frag")
        self._wet = program(context, "sky.vert", "wet.frag")
        self._over = context.vertex_array(self._wet, [(corners, "2f", "position")])
        self._quad = context.vertex_array(self._program, [(corners, "2f", "position")])

    def draw(
        self, target: Target, view: View, light: Daylight, pictures: moderngl.TextureArray
    ) -> None:
        """Lay the mirror images over what ``target`` shows so far."""
        frame, shown = target.shown()
        p = self._program
        set_light(p, light)
        write(p, "world_to_clip", camera.view_projection(view))
        write(p, "clip_to_ray", camera.rays(view))
        p["eye"] = (view.pose.x_m, view.pose.y_m, view.pose.z_m)
        p["forward"] = tuple(float(v) for v in rotation(view.pose)[:, 0])
        width, height = target.half_color.size
        p["pixels"] = (float(width), float(height))
        p["wetness"], p["water"] = light.wetness, light.water
        pictures.use(_FIRST_UNIT)
        p["pictures"] = _FIRST_UNIT
        layers = {"shown": shown, "depth": target.depth, "code": target.code}
        for unit, (name, texture) in enumerate(layers.items(), _FIRST_UNIT + 1):
            texture.use(unit)
            p[name] = unit
        # At half the size: software rasterisers pay for each step of each ray.
        top = _horizon(camera.rays(view))
        for each, (columns, rows) in ((target.half, (width, height)), (frame, target.size)):
            first = min(int(top * rows), rows - 1)
            each.scissor = (0, first, columns, rows - first)
        target.half.use()
        self._context.enable_only(moderngl.NOTHING)
        self._quad.render(moderngl.TRIANGLE_STRIP)
        frame.use()
        target.half_color.use(_FIRST_UNIT)
        for name, unit in (("mirrored", 0), ("shown", 1), ("code", 3)):
            self._wet[name] = _FIRST_UNIT + unit
        self._wet["pixels"] = (float(view.width_px), float(view.height_px))
        self._over.render(moderngl.TRIANGLE_STRIP)
        target.frame.use()
