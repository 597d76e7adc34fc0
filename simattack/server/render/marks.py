"""Draws debug marks into the colour of a picture: depth, labels and ids stay the scene's own."""

from __future__ import annotations

import moderngl
import numpy as np
from numpy.typing import NDArray

from simattack.geometry import rotation
from simattack.server.render.context import Target, color_mask, program, write
from simattack.server.render.look import Marks
from simattack.server.render.view import View
from simattack.types import Floats

_QUAD = np.array([0, 1, 2, 2, 1, 3])
"""Two triangles of the corners begin left, begin right, end left, end right."""


class Pen:
    """Its buffer grows with what it draws."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._program = program(context, "mark.vert", "mark.frag")
        self._buffer: moderngl.Buffer | None = None
        self._array: moderngl.VertexArray | None = None

    def draw(self, target: Target, view: View, to_clip: Floats, marks: Marks) -> None:
        """Draw marks as seen from ``view``; what stands before them hides them."""
        vertices = triangles(marks, view)
        if not len(vertices):
            return
        data = vertices.tobytes()
        if self._buffer is None or self._buffer.size < len(data):
            self._make_room(2 * len(data))
        assert self._buffer is not None and self._array is not None
        self._buffer.write(data)
        write(self._program, "world_to_clip", to_clip)
        self._context.enable_only(moderngl.DEPTH_TEST)
        color_mask(target, is_code=False)
        self._array.render(vertices=len(vertices))
        color_mask(target, is_code=True)

    def _make_room(self, size: int) -> None:
        if self._buffer is not None and self._array is not None:
            self._array.release()
            self._buffer.release()
        self._buffer = self._context.buffer(reserve=size, dynamic=True)
        content = [(self._buffer, "3f 3f", "position", "color")]
        self._array = self._context.vertex_array(self._program, content)


def triangles(marks: Marks, view: View) -> NDArray[np.float32]:
    """(K, 6) corners of triangles: position [m], colour; all turned towards the camera."""
    forward, right, up = rotation(view.pose).T
    eye = np.array([view.pose.x_m, view.pose.y_m, view.pose.z_m])
    pixel = 2 * np.tan(view.fov_rad / 2) / view.width_px
    along = marks.lines[:, 1] - marks.lines[:, 0]
    to_eye = marks.lines - eye
    side = np.cross(along[:, None], to_eye)
    side /= np.maximum(np.linalg.norm(side, axis=2, keepdims=True), 1e-9)
    deep = np.abs(to_eye @ forward)
    half = np.maximum(marks.widths_m[:, None], pixel * deep)[..., None] / 2
    corners = np.stack([marks.lines - side * half, marks.lines + side * half], axis=2)
    lines = _colored(corners.reshape(-1, 4, 3), marks.line_colors)
    size = (np.abs((marks.points - eye) @ forward) * pixel * marks.sizes_px)[:, None, None] / 2
    square = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]) @ np.stack([right, up])
    points = _colored(marks.points[:, None] + size * square, marks.point_colors)
    return np.concatenate([lines, points])


def _colored(corners: Floats, colors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(6 N, 6) rows of quads (N, 4, 3) in colours (N, 3)."""
    whole = np.concatenate([corners, np.repeat(colors[:, None], 4, axis=1)], axis=2)
    return whole[:, _QUAD].reshape(-1, 6).astype(np.float32)
