"""All faces that take paint: the map's signs and billboards, and boards that actors carry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import moderngl
import numpy as np
from numpy.typing import NDArray

from simattack.geometry import matrix
from simattack.server.render import camera, library
from simattack.server.render.context import write
from simattack.server.render.faces import Face, base_picture
from simattack.server.render.view import Mover, View
from simattack.types import Floats

if TYPE_CHECKING:
    from simattack.server.town import SceneryObject

REACH_M = 250.0
UNIT = np.array([[0, -0.5, 0.5, 1], [0, 0.5, 0.5, 1], [0, 0.5, -0.5, 1], [0, -0.5, -0.5, 1]])
"""A face's corners in its own frame: a square with sides of 1 across x."""


class Painted:
    """The faces and the pictures on them."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._faces: dict[str, Face] = {}
        self._arrays: dict[tuple[str, int], moderngl.VertexArray] = {}
        self.place([])

    @property
    def names(self) -> tuple[str, ...]:
        """Of the map's faces."""
        return tuple(o.name for o in self._objects)

    def place(self, objects: Sequence[SceneryObject]) -> None:
        """Say which of the map's faces there are; paint stays."""
        self._objects = list(objects)
        self._corners = np.array([o.corners_m for o in objects]).reshape(-1, 4, 3)

    def paint(self, name: str, rgba: NDArray[np.uint8], is_single: bool) -> None:
        """Show a picture on a face; see ``Renderer.paint``."""
        if name in self._faces:
            self._faces[name].paint(rgba, is_single)
        else:
            self._faces[name] = Face(self._context, rgba, is_single)

    def forget(self, name: str) -> None:
        """Give a face its own picture back."""
        face = self._faces.pop(name, None)
        if face is not None:
            face.release()

    def forget_all(self) -> None:
        """Of another map."""
        for face in self._faces.values():
            face.release()
        self._faces.clear()

    def draw(
        self,
        p: moderngl.Program,
        view: View,
        eye: Floats,
        inside: Callable[[Floats, Floats], NDArray[np.bool_]],
        movers: Sequence[Mover],
    ) -> None:
        """Draw those within sight."""
        middles = self._corners.mean(axis=1)
        radii = np.linalg.norm(self._corners[:, 0] - middles, axis=1)
        near = np.linalg.norm(middles - eye, axis=1) < REACH_M
        for k in np.flatnonzero(inside(middles, radii) & near):
            o = self._objects[k]
            self._draw_face(p, view, eye, o.name, o.mesh, o.transform, o.texture or "", o.tag, o.id)
        for mover in movers:
            if mover.mesh != "board":
                continue
            length, width, height = mover.size_m
            for side in (-1.0, 1.0):
                # Both sides show the picture the right way round to whoever looks at them.
                scale = np.diag([1.0, width, height, 1.0])
                shift = np.eye(4)
                shift[0, 3], shift[2, 3] = -length / 2, height / 2
                turn = np.diag([-side, -side, 1.0, 1.0])
                model = matrix(mover.pose) @ turn @ shift @ scale
                self._draw_face(
                    p, view, eye, f"Actor_{mover.id}", "face:square", model, "", mover.tag, mover.id
                )

    def _draw_face(
        self,
        p: moderngl.Program,
        view: View,
        eye: Floats,
        name: str,
        mesh: str,
        model: Floats,
        texture: str,
        tag: int,
        number: int,
    ) -> None:
        corners = (UNIT @ model.T)[:, :3]
        normal = -model[:3, 0] / np.linalg.norm(model[:3, 0])
        if normal @ (eye - corners[0]) < 1e-3:
            return
        if name not in self._faces:
            # Signs of one kind share their own picture until one of them is painted.
            name = f"base:{texture}"
            if name not in self._faces:
                self._faces[name] = Face(self._context, base_picture(texture))
        face = self._faces[name]
        face.use(2)
        p["picture"] = 2
        write(p, "model", model)
        write(p, "pixel_to_texture", camera.pixels_to_texture(view, corners))
        p["texels"], p["last_level"] = face.texels, face.last_level
        p["normal"] = tuple(normal)
        p["code"] = (tag / 255, (number & 255) / 255, (number >> 8) / 255)
        key = (mesh, p.glo)
        if key not in self._arrays:
            points = library.mesh(mesh)
            self._arrays[key] = self._context.vertex_array(
                p,
                [(self._context.buffer(points.vertices[:, :3].tobytes()), "3f", "position")],
                self._context.buffer(points.indices.tobytes()),
            )
        self._arrays[key].render()
