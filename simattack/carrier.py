"""Flat props that carry a picture in front of a surface that takes none.

Part of the session's floor: it is handed CARLA's module and never imports it.

A carrier is CARLA's ``static.prop.mesh``, the one prop whose size a client can choose, and by one
factor only. It covers the part of the surface that is to look different. Before an object that has
a texture of its own it may be larger, and what of it is not sticker shows that texture. Elsewhere a
row of squares covers exactly what is printed, and is cut out where nothing is; before a surface on
an actor they are attached to that actor. Poses come from a carrier's own bounding box, so any flat
mesh will do. Checked on real CARLA: not yet.

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
from simattack.geometry import angles, compose, rotation
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
_SIDE_BY_SIDE_M = 0.001
"""Each of a row of carriers lies so much before the last: they overlap a little."""
MOST_IN_A_ROW = 16


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


WHOLE = Rectangle(0.0, 0.0, 1.0, 1.0)


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
        self._by_surface: dict[str, list[Carrier]] = {}
        self._unit: tuple[Floats, Floats] | None = None
        """Box of a carrier of scale 1: centre and half extents (3,) [m]."""

    def __contains__(self, surface_name: object) -> bool:
        return surface_name in self._by_surface

    def is_needed(self, surface: Surface) -> bool:
        """Whether it is known that a picture on ``surface`` needs a carrier."""
        is_refused = not surface.object_name or surface.object_name in self.refused
        return self.is_always or is_refused or surface.name in self._by_surface

    def carry(
        self, world: Any, surface: Surface, texture: Image, holder: Any = None
    ) -> list[tuple[str, Image]]:
        """The objects to paint so that ``surface`` looks like ``texture``, each with its picture.

        None where it looks like that without a carrier.

        Args:
            world: CARLA's.
            surface: where.
            texture: (H, W, 3 or 4).
            holder: the actor that the surface is on; its carriers are attached to it.

        Raises:
            ConfigError: the server has no prop that could be a carrier, or it cannot stand there.
        """
        wanted = changed(surface, texture) if texture.shape[2] == 3 else printed(texture)
        if wanted is None:
            self.remove(surface.name)
            return []
        row = self._by_surface.get(surface.name, [])
        if not row or not _hull(row).holds(wanted):
            self.remove(surface.name)
            row = self._by_surface[surface.name] = self._put(world, surface, wanted, holder)
        finest_px = self.finest_px if surface.object_name else max(texture.shape)
        return [
            (carrier.object_name, excerpt(texture, carrier.covers, finest_px)) for carrier in row
        ]

    def remove(self, surface_name: str) -> bool:
        """Take a surface's carriers away; whether there were any."""
        row = self._by_surface.pop(surface_name, [])
        for carrier in row:
            carrier.actor.destroy()
        return bool(row)

    def drop(self) -> list[str]:
        """Take all away; the names of their surfaces."""
        names = list(self._by_surface)
        for name in names:
            self.remove(name)
        self._unit = None
        return names

    def _put(self, world: Any, surface: Surface, wanted: Rectangle, holder: Any) -> list[Carrier]:
        wide_m, high_m = _size_m(wanted, surface)
        centre_m, half_m = self._box_of_one(world, surface)
        width_m, height_m = flat_size(centre_m, half_m)
        sunk_m = 0.0
        if surface.object_name:
            scale = max(wide_m / width_m, high_m / height_m)
            parts = [fitted(wanted, surface, (scale * width_m, scale * height_m))]
            share = off_face(surface, parts[0])
            if share > 0.01:
                _LOG.warning("%.0f %% of the carrier stick out of %s", 100 * share, surface.name)
        else:
            parts = side_by_side(wanted, surface)
            scale = _size_m(parts[0], surface)[0] / width_m
            # Sunk in, so that no rim stands out and a sheet on the road lies flat.
            sunk_m = 2 * scale * float(half_m.min())
        row = []
        for k, covers in enumerate(parts):
            gap_m = GAP_M + k * _SIDE_BY_SIDE_M - sunk_m
            pose = pose_before(surface, covers, scale * centre_m, scale * half_m, gap_m)
            row.append(Carrier(*self._spawn(world, scale, pose, holder), covers))
        return row

    def _box_of_one(self, world: Any, surface: Surface) -> tuple[Floats, Floats]:
        """Centre and half extents of a carrier of scale 1, from one that is spawned far away."""
        if self._unit is None:
            x, y, z = surface.corners_m.mean(0).tolist()
            probe, _ = self._spawn(world, 1.0, Pose(x, y, z + _PARKED_M))
            self._unit = _box(probe)
            probe.destroy()
        return self._unit

    def _spawn(self, world: Any, scale: float, pose: Pose, holder: Any = None) -> tuple[Any, str]:
        """A prop that nothing can touch, and its name; ``pose`` is in the frame of a holder."""
        try:
            blueprint = world.get_blueprint_library().find(BLUEPRINT)
        except (IndexError, RuntimeError):
            raise ConfigError(
                f"expected a server with {BLUEPRINT}, which carries pictures before what takes no "
                "texture; it has none"
            ) from None
        blueprint.set_attribute("mesh_path", MESH)
        blueprint.set_attribute("scale", f"{scale:.6f}")
        before = set(world.get_names_of_all_objects())
        where = transform_of(self._carla, pose)
        if holder is None:
            actor = world.spawn_actor(blueprint, where)
        else:
            rigid = self._carla.AttachmentType.Rigid
            actor = world.spawn_actor(blueprint, where, holder, rigid)
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


def printed(texture: Image) -> Rectangle | None:
    """The smallest rectangle outside of which a texture (H, W, 4) is transparent."""
    return _around(texture[:, :, 3] > 0)


def changed(surface: Surface, texture: Image) -> Rectangle | None:
    """The smallest rectangle outside of which ``texture`` is the surface's own."""
    if texture.shape != surface.texture.shape or not surface.object_name:
        return WHOLE
    return _around((texture != surface.texture).any(2))


def _around(marked: NDArray[np.bool_]) -> Rectangle | None:
    height, width = marked.shape
    rows, columns = np.flatnonzero(marked.any(1)), np.flatnonzero(marked.any(0))
    if not rows.size:
        return None
    return Rectangle(
        float(columns[0]) / width,
        float(rows[0]) / height,
        float(columns[-1] + 1) / width,
        float(rows[-1] + 1) / height,
    )


def side_by_side(wanted: Rectangle, surface: Surface) -> list[Rectangle]:
    """The fewest squares that cover ``wanted`` and nothing else; they overlap where they must.

    What is too long for its width gets one square around it.
    """
    wide_m, high_m = _size_m(wanted, surface)
    side_m = min(wide_m, high_m)
    across, down = (max(1, int(np.ceil(whole / side_m - 1e-6))) for whole in (wide_m, high_m))
    if across * down > MOST_IN_A_ROW:
        side_m, across, down = max(wide_m, high_m), 1, 1
    wide, high = (side_m / whole for whole in surface.size_m)
    if across == down == 1:
        x, y = (wanted.left + wanted.right - wide) / 2, (wanted.top + wanted.bottom - high) / 2
        return [Rectangle(x, y, x + wide, y + high)]
    lefts = np.linspace(wanted.left, wanted.right - wide, across)
    tops = np.linspace(wanted.top, wanted.bottom - high, down)
    return [
        Rectangle(float(x), float(y), float(x) + wide, float(y) + high) for y in tops for x in lefts
    ]


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


def pose_before(
    surface: Surface, covers: Rectangle, centre_m: Floats, half_m: Floats, gap_m: float = GAP_M
) -> Pose:
    """The actor's pose that puts its flat box before that part of a surface, facing its viewer.

    Args:
        surface: of any orientation.
        covers: the part.
        centre_m: (3,) of the box, in the actor's frame.
        half_m: (3,) of the box along the actor's axes.
        gap_m: between the surface and the box.

    Returns:
        In the frame of the surface's corners.
    """
    top_left, top_right, _, bottom_left = surface.corners_m
    along, down = top_right - top_left, bottom_left - top_left
    right, up = along / np.linalg.norm(along), -down / np.linalg.norm(down)
    # In a left-handed frame, and by components, up x right points at the viewer.
    normal = np.cross(up, right)
    away = Pose(0.0, 0.0, 0.0, *angles(np.stack([-normal, right, up], 1)))
    thin = int(np.argmin(half_m))
    turn = {
        0: away,
        1: compose(away, Pose(yaw_rad=-np.pi / 2)),
        2: compose(away, Pose(pitch_rad=np.pi / 2)),  # a lying plane shows its upper side
    }[thin]
    middle = (
        top_left
        + (covers.left + covers.right) / 2 * along
        + (covers.top + covers.bottom) / 2 * down
        + (gap_m + float(half_m[thin])) * normal
    )
    x, y, z = (middle - rotation(turn) @ np.asarray(centre_m, float)).tolist()
    return Pose(x, y, z, turn.pitch_rad, turn.yaw_rad, turn.roll_rad)


def excerpt(texture: Image, covers: Rectangle, finest_px: int) -> Image:
    """The carrier's picture (h, w, 3 or 4): that part of a texture, its texels mixed by area.

    Beyond the texture's edges its outermost texels go on, transparent if any can be.
    """
    height, width = texture.shape[:2]
    left, right = covers.left * width, covers.right * width
    top, bottom = covers.top * height, covers.bottom * height
    pad = max(0, *(int(np.ceil(v)) for v in (-left, -top, right - width, bottom - height)))
    padded = np.pad(texture, ((pad, pad), (pad, pad), (0, 0)), "edge")
    if texture.shape[2] == 4 and pad:
        is_beyond = np.pad(np.zeros((height, width), bool), pad, constant_values=True)
        padded[is_beyond, 3] = 0
    across, down = right - left, bottom - top
    finer = min(1.0, finest_px / max(across, down))
    size = max(1, round(across * finer)), max(1, round(down * finer))
    box = (left + pad, top + pad, right + pad, bottom + pad)
    # Channel by channel: what shows through keeps its colour.
    cut = [
        Pictures.fromarray(np.ascontiguousarray(padded[:, :, k])).resize(
            size, Pictures.Resampling.BOX, box
        )
        for k in range(padded.shape[2])
    ]
    return np.dstack([np.asarray(channel) for channel in cut])


def off_face(surface: Surface, covers: Rectangle) -> float:
    """Share of a carrier's area with no face behind it."""
    height, width = surface.face.shape
    inside: NDArray[np.bool_] = surface.face[
        max(0, round(covers.top * height)) : max(0, round(covers.bottom * height)),
        max(0, round(covers.left * width)) : max(0, round(covers.right * width)),
    ]
    area = (covers.right - covers.left) * width * (covers.bottom - covers.top) * height
    return float(max(0.0, 1 - inside.sum() / area))


def _hull(row: list[Carrier]) -> Rectangle:
    return Rectangle(
        row[0].covers.left, row[0].covers.top, row[-1].covers.right, row[-1].covers.bottom
    )


def _size_m(part: Rectangle, surface: Surface) -> tuple[float, float]:
    width_m, height_m = surface.size_m
    return (part.right - part.left) * width_m, (part.bottom - part.top) * height_m


def _box(actor: Any) -> tuple[Floats, Floats]:
    """Centre and half extents (3,) of an actor's box, in its own frame [m]."""
    centre, half = actor.bounding_box.location, actor.bounding_box.extent
    return np.array([centre.x, centre.y, centre.z]), np.array([half.x, half.y, half.z])
