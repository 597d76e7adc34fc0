"""Flat props that carry a picture in front of a surface that takes none.

Part of the session's floor: it is handed CARLA's module and never imports it.

A carrier is CARLA's ``static.prop.mesh``, the one prop whose size a client can choose, and by one
factor only. It covers the part of the surface that is to look different, and what of it is not
sticker shows the surface's own texture. Its pose comes from its own bounding box, so any flat mesh
will do. Checked on real CARLA: not yet.

Convention: u runs right and v down over the surface's rectangle, each 0..1, as in ``placement``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from simattack.errors import ConfigError
from simattack.geometry import to_world
from simattack.roadmap import transform_of
from simattack.types import Floats, Image, Pose, Surface

_LOG = logging.getLogger(__name__)

BLUEPRINT = "static.prop.mesh"
MESH = "/Engine/BasicShapes/Plane.Plane"
"""A square of 1 m; the embedded server shows an upright board of that size whatever is asked."""
GAP_M = 0.01
"""Between the surface and the carrier's back."""
FINEST_PX = 64
"""Texels along a carrier's longer side. It has one level of detail: more would flicker from afar,
fewer would blur close by (docs/textures.md)."""
_PARKED_M = 30.0
"""Above the surface, where a carrier waits until its size is known."""
_FLAT = 0.1
"""A prop is flat whose thickness is at most this share of its shorter side."""
_UPRIGHT = 0.02
"""Largest rise of a surface's normal."""


@dataclass(frozen=True)
class Rectangle:
    """A part of a surface in u and v; it may reach beyond the surface."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, other: Rectangle) -> bool:
        """Whether all of ``other`` lies inside, to a thousandth."""
        slack = 1e-3
        return (
            self.left <= other.left + slack
            and self.top <= other.top + slack
            and self.right >= other.right - slack
            and self.bottom >= other.bottom - slack
        )


@dataclass(eq=False)
class Carrier:
    """One prop in front of one surface."""

    actor: Any
    object_name: str
    """What texture calls know it by."""
    covers: Rectangle


class Carriers:
    """A session's carriers by surface name; none is among the session's actors."""

    def __init__(self, carla: Any) -> None:
        self._carla = carla
        self.is_always = False
        """Whether surfaces get carriers even where the server would paint them."""
        self.finest_px = FINEST_PX
        self.refused: set[str] = set()
        """Objects that the server has refused to paint: asking costs a second each time."""
        self._by_surface: dict[str, Carrier] = {}

    def __contains__(self, surface_name: object) -> bool:
        return surface_name in self._by_surface

    def is_needed(self, surface: Surface) -> bool:
        """Whether it is known that a picture on ``surface`` needs a carrier."""
        is_refused = surface.object_name in self.refused
        return self.is_always or is_refused or surface.name in self._by_surface

    def carry(self, world: Any, surface: Surface, texture: Image) -> tuple[str, Image] | None:
        """The object to paint so that ``surface`` looks like ``texture``, and with what.

        None where it looks like that without a carrier.

        Raises:
            ConfigError: the server has no prop that could be a carrier, or it cannot stand there.
        """
        wanted = changed(surface, texture)
        if wanted is None:
            self.remove(surface.name)
            return None
        carrier = self._by_surface.get(surface.name)
        if carrier is None or not carrier.covers.holds(wanted):
            self.remove(surface.name)
            carrier = self._by_surface[surface.name] = self._put(world, surface, wanted)
        return carrier.object_name, excerpt(texture, carrier.covers, self.finest_px)

    def remove(self, surface_name: str) -> bool:
        """Take a surface's carrier away; whether there was one."""
        carrier = self._by_surface.pop(surface_name, None)
        if carrier is not None:
            carrier.actor.destroy()
        return carrier is not None

    def drop(self) -> list[str]:
        """Take all away; the names of their surfaces."""
        names = list(self._by_surface)
        for name in names:
            self.remove(name)
        return names

    def _put(self, world: Any, surface: Surface, wanted: Rectangle) -> Carrier:
        wide_m, high_m = _size_m(wanted, surface)
        probe, _ = self._spawn(world, surface, 1.0)
        width_m, height_m = flat_size(*_box(probe))
        probe.destroy()
        actor, name = self._spawn(world, surface, max(wide_m / width_m, high_m / height_m))
        centre_m, half_m = _box(actor)
        covers = fitted(wanted, surface, flat_size(centre_m, half_m))
        pose = pose_before(surface, covers, centre_m, half_m)
        actor.set_transform(transform_of(self._carla, pose))
        share = off_face(surface, covers)
        if share > 0.01:
            _LOG.warning("%.0f %% of the carrier stick out of %s", 100 * share, surface.name)
        return Carrier(actor, name, covers)

    def _spawn(self, world: Any, surface: Surface, scale: float) -> tuple[Any, str]:
        """A prop that nothing can touch, high above the surface, and its name."""
        try:
            blueprint = world.get_blueprint_library().find(BLUEPRINT)
        except (IndexError, RuntimeError):
            raise ConfigError(
                f"{surface.object_name!r} takes no texture, and there is no {BLUEPRINT} that "
                "could carry one in front of it"
            ) from None
        blueprint.set_attribute("mesh_path", MESH)
        blueprint.set_attribute("scale", f"{scale:.6f}")
        x, y, z = surface.corners_m.mean(0).tolist()
        before = set(world.get_names_of_all_objects())
        actor = world.spawn_actor(blueprint, transform_of(self._carla, Pose(x, y, z + _PARKED_M)))
        actor.set_simulate_physics(False)
        actor.set_enable_gravity(False)
        actor.set_collisions(False)
        names = set(world.get_names_of_all_objects()) - before
        if len(names) != 1:
            actor.destroy()
            raise ConfigError(
                f"expected one new object from {BLUEPRINT} with mesh {MESH}, got {len(names)}; "
                "this server's props cannot carry a texture"
            )
        return actor, names.pop()


def changed(surface: Surface, texture: Image) -> Rectangle | None:
    """The smallest rectangle outside of which ``texture`` is the surface's own."""
    height, width = texture.shape[:2]
    if texture.shape != surface.texture.shape:
        return Rectangle(0.0, 0.0, 1.0, 1.0)
    differs = (texture != surface.texture).any(2)
    rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
    if not rows.size:
        return None
    return Rectangle(
        float(columns[0]) / width,
        float(rows[0]) / height,
        float(columns[-1] + 1) / width,
        float(rows[-1] + 1) / height,
    )


def fitted(wanted: Rectangle, surface: Surface, size_m: tuple[float, float]) -> Rectangle:
    """Where a board of that width and height covers ``wanted``, inside the surface if it fits."""
    edges = []
    for low, high, side_m, whole_m in (
        (wanted.left, wanted.right, size_m[0], surface.size_m[0]),
        (wanted.top, wanted.bottom, size_m[1], surface.size_m[1]),
    ):
        side = side_m / whole_m
        start = (low + high - side) / 2
        if side <= 1:
            start = min(max(start, 0.0), 1 - side)
        edges.append((start, start + side))
    (left, right), (top, bottom) = edges
    return Rectangle(left, top, right, bottom)


def flat_size(centre_m: Floats, half_m: Floats) -> tuple[float, float]:
    """Width and height of a flat box as ``pose_before`` turns it.

    Raises:
        ConfigError: it is not flat.
    """
    x, y, z = (2 * half_m).tolist()
    width, height = {0: (y, z), 1: (x, z), 2: (y, x)}[int(np.argmin(half_m))]
    if not 2 * float(half_m.min()) <= _FLAT * min(width, height):
        raise ConfigError(
            f"expected {BLUEPRINT} with mesh {MESH} to be flat, got a box of "
            f"{x:.2f} x {y:.2f} x {z:.2f} m; it cannot carry a texture"
        )
    return width, height


def pose_before(surface: Surface, covers: Rectangle, centre_m: Floats, half_m: Floats) -> Pose:
    """The actor's pose that puts its flat box before that part of a surface, facing its viewer.

    Args:
        surface: that stands upright.
        covers: the part.
        centre_m: (3,) of the box, in the actor's frame.
        half_m: (3,) of the box along the actor's axes.

    Raises:
        ConfigError: the surface does not stand upright.
    """
    top_left, top_right, _, bottom_left = surface.corners_m
    along, down = top_right - top_left, bottom_left - top_left
    # In a left-handed frame, and by components, up x right points at the viewer.
    normal = np.cross(-down, along)
    normal /= np.linalg.norm(normal)
    if abs(normal[2]) > _UPRIGHT:
        raise ConfigError(f"surface {surface.name!r} does not stand upright: it takes no carrier")
    away = float(np.arctan2(-normal[1], -normal[0]))
    thin = int(np.argmin(half_m))
    turn = {
        0: Pose(yaw_rad=away),
        1: Pose(yaw_rad=away - np.pi / 2),
        2: Pose(pitch_rad=np.pi / 2, yaw_rad=away),  # a lying plane shows its upper side
    }[thin]
    middle = (
        top_left
        + (covers.left + covers.right) / 2 * along
        + (covers.top + covers.bottom) / 2 * down
        + (GAP_M + float(half_m[thin])) * normal
    )
    x, y, z = (middle - to_world(np.asarray(centre_m, float)[None], turn)[0]).tolist()
    return Pose(x, y, z, turn.pitch_rad, turn.yaw_rad, turn.roll_rad)


def excerpt(texture: Image, covers: Rectangle, finest_px: int) -> Image:
    """The carrier's picture (h, w, 3): that part of a texture, its texels mixed by area.

    Beyond the texture's edges its outermost texels go on.
    """
    height, width = texture.shape[:2]
    left, right = covers.left * width, covers.right * width
    top, bottom = covers.top * height, covers.bottom * height
    pad = max(0, *(int(np.ceil(v)) for v in (-left, -top, right - width, bottom - height)))
    padded = np.pad(texture, ((pad, pad), (pad, pad), (0, 0)), "edge")
    across, down = right - left, bottom - top
    finer = min(1.0, finest_px / max(across, down))
    size = max(1, round(across * finer)), max(1, round(down * finer))
    box = (left + pad, top + pad, right + pad, bottom + pad)
    cut = Pictures.fromarray(padded).resize(size, Pictures.Resampling.BOX, box)
    return np.asarray(cut)


def off_face(surface: Surface, covers: Rectangle) -> float:
    """Share of a carrier's area with no face behind it."""
    height, width = surface.face.shape
    inside: NDArray[np.bool_] = surface.face[
        max(0, round(covers.top * height)) : max(0, round(covers.bottom * height)),
        max(0, round(covers.left * width)) : max(0, round(covers.right * width)),
    ]
    area = (covers.right - covers.left) * width * (covers.bottom - covers.top) * height
    return float(max(0.0, 1 - inside.sum() / area))


def _size_m(part: Rectangle, surface: Surface) -> tuple[float, float]:
    width_m, height_m = surface.size_m
    return (part.right - part.left) * width_m, (part.bottom - part.top) * height_m


def _box(actor: Any) -> tuple[Floats, Floats]:
    """Centre and half extents (3,) of an actor's box, in its own frame [m]."""
    centre, half = actor.bounding_box.location, actor.bounding_box.extent
    return np.array([centre.x, centre.y, centre.z]), np.array([half.x, half.y, half.z])
