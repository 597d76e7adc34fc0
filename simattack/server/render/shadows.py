"""The shadow map of a camera's surroundings; that of the fixed things is kept while it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import moderngl
import numpy as np
from numpy.typing import NDArray

from simattack.geometry import rotation
from simattack.server.render import camera
from simattack.server.render.batches import Fixed, Instanced
from simattack.server.render.context import write
from simattack.server.render.daylight import Daylight
from simattack.server.render.placed import Drawn, Group
from simattack.server.render.view import View
from simattack.types import Floats

SIZE_PX = 768
HALF_M = 36.0
AHEAD_M = 28.0
"""The shadowed square's middle lies so far before the camera."""
STEP_M = 8.0
"""The middle moves in such steps, so that the fixed things' shadows can be kept."""
REACH_M = 130.0
KEPT = 8
"""For cameras that look several ways; 3 MB each."""


class Shadows:
    """The map that surfaces look into, and those of the fixed things alone."""

    def __init__(
        self,
        context: moderngl.Context,
        depth: moderngl.Program,
        instances: Callable[[str, bool], Instanced],
    ) -> None:
        """Makes an empty map.

        Args:
            depth: the program that draws nothing but how far things are from the sun.
            instances: gives a mesh by name and by whether it is the coarse one.
        """
        self._context, self._depth, self._instances = context, depth, instances
        self.texture, self._frame = self._blank()
        self._fixed: dict[tuple[float, ...], moderngl.Framebuffer] = {}
        """By what they depend on; the last one used comes last."""

    def draw(
        self,
        view: View,
        light: Daylight,
        drawn: Drawn,
        groups: Sequence[Group],
        houses: Fixed | None,
    ) -> Floats:
        """Fill the map; returns (4, 4) world to its clip space."""
        forward = rotation(view.pose)[:, 0]
        flat = forward[:2] / max(float(np.linalg.norm(forward[:2])), 1e-6)
        ahead = np.array([view.pose.x_m, view.pose.y_m]) + AHEAD_M * flat
        middle = np.round(np.array([*ahead, view.pose.z_m]) / STEP_M) * STEP_M
        to_shadow = camera.shadow_projection(middle, light.sun, HALF_M, REACH_M)
        self._context.enable_only(moderngl.DEPTH_TEST)
        write(self._depth, "world_to_shadow", to_shadow)

        def inside(centres: Floats, radii: Floats) -> NDArray[np.bool_]:
            at = centres @ to_shadow[:2, :3].T + to_shadow[:2, 3]
            return np.asarray((np.abs(at) < 1 + radii[:, None] / HALF_M).all(axis=1))

        key = (*middle, *light.sun)
        fixed = self._fixed.pop(key, None)
        if fixed is None:
            fixed = self._unused()
            fixed.use()
            fixed.clear(depth=1.0)
            for group in groups:
                seen = inside(group.centres, group.radii)
                is_far = np.isfinite(group.far_m)
                self._instances(group.name, bool(is_far)).draw(self._depth, group.rows[seen])
            if houses is not None:
                houses.draw(self._depth, inside(houses.centres, houses.radii))
        self._fixed[key] = fixed
        self._context.copy_framebuffer(self._frame, fixed)
        self._frame.use()
        for name, placed in drawn.items():
            seen = inside(placed.centres, placed.radii)
            # A board's own mesh is its rim alone.
            solid = "box" if name.startswith("board") else name
            self._instances(solid, True).draw(self._depth, placed.rows[seen])
        return to_shadow

    def forget(self) -> None:
        """What is fixed has changed."""
        for frame in self._fixed.values():
            for attachment in (*frame.color_attachments, frame.depth_attachment):
                attachment.release()
            frame.release()
        self._fixed.clear()

    def _blank(self) -> tuple[moderngl.Texture, moderngl.Framebuffer]:
        texture = self._context.depth_texture((SIZE_PX, SIZE_PX))
        texture.compare_func = "<="
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        texture.repeat_x = texture.repeat_y = False
        # Nothing is drawn into the colour, but only a frame that has one can be copied.
        color = self._context.texture((SIZE_PX, SIZE_PX), 1)
        frame = self._context.framebuffer([color], texture)
        frame.color_mask = (False,) * 4
        return texture, frame

    def _unused(self) -> moderngl.Framebuffer:
        """A map to draw into; the one not used for longest, if there are enough."""
        if len(self._fixed) < KEPT:
            return self._blank()[1]
        return self._fixed.pop(next(iter(self._fixed)))
