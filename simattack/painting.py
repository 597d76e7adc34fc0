"""Pictures on the surfaces of one world: painted where the server paints, else carried.

Part of the session's floor: it is handed CARLA's module and never imports it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simattack.canvas import Canvases
from simattack.carrier import Carriers
from simattack.errors import ConfigError
from simattack.types import Image, Surface

_REFUSED = "takes no texture"
"""In the words of a server that will not paint an object."""


class Painting:
    """What a session has painted; see docs/textures.md."""

    def __init__(self, carla: Any, where: str) -> None:
        """``where`` tells errors which server it is."""
        self._carla = carla
        self._where = where
        self._canvases = Canvases(carla)
        self.carriers = Carriers(carla)
        self._painted: dict[str, Surface] = {}

    def show(self, world: Any, surface: Surface, texture: Image, holder: Any = None) -> None:
        """Show ``texture`` (H, W, 3 or 4) uint8 on the whole surface from the next tick on.

        Args:
            world: CARLA's.
            surface: where.
            texture: where a fourth channel is 0, nothing is stuck on.
            holder: the actor that the surface is on.

        Raises:
            ConfigError: this world has no such object, or none that could carry the texture.
        """
        if surface.object_name:
            texture = over(surface, texture)
        if self.carriers.is_needed(surface):
            self._carry(world, surface, texture, holder)
            return
        if surface.object_name not in set(world.get_names_of_all_objects()):
            raise ConfigError(
                f"{self._where} has no object {surface.object_name!r} to paint; is another map "
                f"loaded than that of {surface.name!r}?"
            )
        try:
            self._apply(world, surface.object_name, texture)
        except RuntimeError as error:
            if _REFUSED not in str(error):
                raise
            self.carriers.refused.add(surface.object_name)
            self._carry(world, surface, texture, holder)
            return
        self._painted[surface.name] = surface

    def restore(self, world: Any, surface: Surface) -> None:
        """Show the surface's own texture again; nothing happens where it was never painted."""
        self.carriers.remove(surface.name)
        if surface.name in self._painted:
            self._apply(world, surface.object_name, surface.texture)
            del self._painted[surface.name]

    def restore_all(self, world: Any) -> None:
        """Every surface that was painted."""
        for surface in list(self._painted.values()):
            self.restore(world, surface)

    def forget(self) -> None:
        """The world has been reset: nothing is painted any more."""
        self._painted.clear()

    def _carry(self, world: Any, surface: Surface, texture: Image, holder: Any) -> None:
        for name, picture in self.carriers.carry(world, surface, texture, holder):
            self._apply(world, name, picture)

    def _apply(self, world: Any, object_name: str, texture: Image) -> None:
        world.apply_color_texture_to_object(
            object_name,
            self._carla.MaterialParameter.Diffuse,
            self._canvases.texture(texture),
        )


def over(surface: Surface, texture: Image) -> Image:
    """A texture (H, W, 3), its transparent parts showing the surface's own."""
    if texture.shape[2] == 3:
        return texture
    share = texture[:, :, 3:] / 255
    mixed = texture[:, :, :3] * share + surface.texture * (1 - share)
    return np.asarray(np.rint(mixed), np.uint8)
