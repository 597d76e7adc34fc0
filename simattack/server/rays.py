"""What rays meet: ground and scenery as one solid that is built once, actors as one solid a shape.

Rays pass surfaces that they come upon from behind, as the renderer's cameras and CARLA's line
traces do: a sensor inside a car body looks out of it.

Convention: CARLA's world frame [m]; directions have length 1, so that ranges are metres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simattack.geometry import matrix
from simattack.server.render import library
from simattack.server.render.ground import surfaces
from simattack.server.render.mesh import PART_RIDER, PART_RIDER_SHIRT, Mesh
from simattack.server.render.view import Mover
from simattack.types import Floats

if TYPE_CHECKING:
    from simattack.server.road import Road
    from simattack.server.town import SceneryObject, Town

Float32s = NDArray[np.float32]
Ids = NDArray[np.uint32]

OWN_TAG = 0
"""In a shape's tags: the label of the actor that has the shape."""
RIDER_TAG = 13
_SIGN_TAG = 8
_SKIN_M = 1e-3
"""A ray that passes a surface goes on so far behind it."""
_MOST_PASSED = 64
"""Surfaces seen from behind that a ray passes before it counts as lost."""
_BOARD_SIDES = np.array(
    [
        [(side * 0.5, -side * 0.5, 0), (side * 0.5, side * 0.5, 0), (side * 0.5, side * 0.5, 1)]
        for side in (-1.0, 1.0)
    ]
    + [
        [(side * 0.5, -side * 0.5, 0), (side * 0.5, side * 0.5, 1), (side * 0.5, -side * 0.5, 1)]
        for side in (-1.0, 1.0)
    ]
)
"""(4, 3, 3): the painted faces of a board, which are no part of its mesh."""


@dataclass(frozen=True, eq=False)
class Hits:
    """What each of N rays met."""

    range_m: Float32s
    """(N,) inf where the ray met nothing."""
    normal: Float32s
    """(N, 3) of unit length, towards the side that the ray came from; 0 for nothing."""
    tag: Ids
    """(N,) CARLA's semantic label."""
    id: Ids
    """(N,) the actor; 0 is scenery."""

    @property
    def is_hit(self) -> NDArray[np.bool_]:
        """(N,)"""
        return np.isfinite(self.range_m)


class Solid:
    """Triangles (T, 3, 3) that rays are tried against, with a label and an owner each."""

    def __init__(self, corners: Float32s, tags: Ids, owners: Ids) -> None:
        self.corners = np.ascontiguousarray(corners, np.float32)
        self.tags = tags
        self.owners = owners
        edges = self.corners[:, 1:] - self.corners[:, :1]
        normals = np.cross(edges[:, 0].astype(float), edges[:, 1].astype(float))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-30
        self.normals = normals.astype(np.float32)
        self._is_double = _doubled(self.corners)

    @cached_property
    def sphere(self) -> tuple[Floats, float]:
        """Centre (3,) and radius of a ball around it."""
        points = self.corners.reshape(-1, 3).astype(float)
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
        return centre, float(np.linalg.norm(points - centre, axis=1).max())

    @cached_property
    def limits(self) -> tuple[Float32s, Float32s]:
        """(T, 3) lowest and highest coordinates of each triangle."""
        return self.corners.min(axis=1), self.corners.max(axis=1)

    @cached_property
    def _tree(self) -> Any:
        # Loaded late: drives without such sensors need none of it.
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        scene = EmbreeScene()
        TriangleMesh(scene, self.corners)
        return scene

    def first(
        self, origin: Floats, directions: Floats, reach: Float32s
    ) -> tuple[Float32s, NDArray[np.intp]]:
        """How far along each ray it first meets a front, and which triangle (-1: none).

        Distances count in lengths of the ray's direction.

        Args:
            origin: (3,) of all rays.
            directions: (N, 3) of any length.
            reach: (N,) how far each ray goes.
        """
        count = len(directions)
        distance = np.full(count, np.inf, np.float32)
        triangle = np.full(count, -1, np.intp)
        if count == 0 or len(self.corners) == 0:
            return distance, triangle
        rays = np.ascontiguousarray(directions, np.float32)
        origins = np.empty_like(rays)
        origins[:] = origin
        left, start, length = np.arange(count), np.zeros(count, np.float32), reach
        for _ in range(_MOST_PASSED):
            # A copy: the tracer writes what it found into the lengths that it is given.
            found = self._tree.run(origins, rays, dists=length.copy(), output=1)
            met = np.flatnonzero(found["primID"] >= 0)
            number = found["primID"][met]
            along = start[met] + found["tfar"][met]
            is_back = np.einsum("ij,ij->i", self.normals[number], rays[met]) > 0
            is_back &= ~self._is_double[number]
            front = np.flatnonzero(~is_back)
            which = left[met[front]]
            distance[which], triangle[which] = along[front], number[front]
            start = along[is_back] + np.float32(_SKIN_M)
            left, rays = left[met[is_back]], rays[met[is_back]]
            is_short = start < reach[left]
            left, rays, start = left[is_short], rays[is_short], start[is_short]
            if len(left) == 0:
                break
            origins = (origin + start[:, None] * rays).astype(np.float32)
            length = reach[left] - start
        return distance, triangle


def _doubled(corners: Float32s) -> NDArray[np.bool_]:
    """Which triangles (T, 3, 3) lie there twice: walls that are drawn from both sides.

    A ray may come upon either of the two first, so both count as fronts.
    """
    bits = (corners + np.float32(0.0)).view(np.uint32).astype(np.uint64)
    factors = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
    points = (bits * factors).sum(axis=2)
    points ^= points >> np.uint64(29)
    # The sum does not depend on which corner comes first.
    keys = (points * factors[0]).sum(axis=1)
    _, place, count = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray(count[place.ravel()] > 1)


@dataclass(frozen=True, eq=False)
class Scenery:
    """Everything of a map that never moves."""

    solid: Solid
    signals: tuple[str, ...] = ("",)
    """Of the map, by owner number; number 0 is nobody."""

    @classmethod
    def of(cls, road: Road, town: Town, hidden: frozenset[int] = frozenset()) -> Scenery:
        """The ground and the town, without the objects of the ids ``hidden``."""
        numbers = {"": 0}
        corners = [points for points, _ in surfaces(road)]
        labels = [(tag, 0) for _, tag in surfaces(road)]
        for thing in town.objects:
            if thing.id in hidden:
                continue
            there = _shape_of(thing, town) @ thing.transform[:3, :3].T + thing.transform[:3, 3]
            corners.append(there.astype(np.float32))
            owner = numbers.setdefault(_signal_of(thing), len(numbers))
            labels.append((thing.tag, owner))
        counts = [len(part) for part in corners]
        tags, owners = np.repeat(np.array(labels, np.uint32), counts, axis=0).T
        solid = Solid(
            np.concatenate(corners), np.ascontiguousarray(tags), np.ascontiguousarray(owners)
        )
        return cls(solid, tuple(numbers))


def _shape_of(thing: SceneryObject, town: Town) -> Floats:
    """(T, 3, 3) in its own frame; plants as they are drawn from afar."""
    if thing.mesh in town.meshes:
        return town.meshes[thing.mesh][:, :3].reshape(-1, 3, 3).astype(float)
    return _corners(library.mesh(thing.mesh, True))


def _corners(mesh: Mesh) -> Floats:
    return mesh.vertices[mesh.indices.astype(np.intp)][..., :3].astype(float)


def _signal_of(thing: SceneryObject) -> str:
    """The map's signal that a light's housing or a sign's plate belongs to."""
    if thing.signal is not None:
        return thing.signal
    return thing.name.rpartition("_")[2] if thing.tag == _SIGN_TAG else ""


@cache
def shape(name: str) -> Solid:
    """The solid behind a mesh of the library, in the mesh's own frame."""
    mesh = library.mesh(name)
    corners = _corners(mesh)
    part = mesh.vertices[mesh.indices[:, 0].astype(np.intp), 12]
    tags = np.where((part == PART_RIDER) | (part == PART_RIDER_SHIRT), RIDER_TAG, OWN_TAG)
    if name == "board":
        corners = np.concatenate([corners, _BOARD_SIDES])
        tags = np.concatenate([tags, np.full(len(_BOARD_SIDES), OWN_TAG)])
    nobody = np.zeros(len(corners), np.uint32)
    return Solid(corners.astype(np.float32), tags.astype(np.uint32), nobody)


class Placed:
    """An actor's solid at its place."""

    def __init__(self, mover: Mover) -> None:
        self.mover = mover = mover.trimmed
        chosen = library.model(mover)
        scale = np.array(mover.size_m) / chosen.size_m
        self.solid = shape(chosen.name)
        placed: Floats = matrix(mover.pose) @ np.diag([*scale, 1.0])
        self.to_world = placed
        self.to_body: Floats = np.asarray(np.linalg.inv(placed), float)
        centre, radius = self.solid.sphere
        self.centre = turned(self.to_world[:3, :3], centre[None])[0] + self.to_world[:3, 3]
        self.radius_m = radius * float(scale.max())

    @property
    def corners(self) -> Floats:
        """(T, 3, 3) in the world."""
        points = self.solid.corners.astype(float)
        there: Floats = points @ self.to_world[:3, :3].T + self.to_world[:3, 3]
        return there


class Rays:
    """The scene of one tick."""

    def __init__(
        self, scenery: Scenery, movers: Sequence[Mover], signals: Mapping[str, int]
    ) -> None:
        """Puts the actors in.

        Args:
            signals: the map's signals -> the actors that stand for them.
        """
        self.scenery = scenery
        self.actors = [Placed(mover) for mover in sorted(movers, key=lambda mover: mover.id)]
        self.owner_ids = np.array([signals.get(name, 0) for name in scenery.signals], np.uint32)

    def trace(self, origin: Floats, directions: Floats, reach_m: Floats | float) -> Hits:
        """What rays from one place meet.

        Args:
            origin: (3,)
            directions: (N, 3) of unit length.
            reach_m: how far the rays go, (N,) or one for all.
        """
        count = len(directions)
        solid = self.scenery.solid
        reach = np.full(count, reach_m, np.float32)
        best, number = solid.first(origin, directions, reach)
        met = number >= 0
        normal = np.zeros((count, 3), np.float32)
        tag, owner = np.zeros(count, np.uint32), np.zeros(count, np.uint32)
        normal[met] = solid.normals[number[met]]
        tag[met] = solid.tags[number[met]]
        owner[met] = self.owner_ids[solid.owners[number[met]]]
        near = np.minimum(best, reach)
        for actor in self.actors:
            rays = _towards(actor, origin, directions, float(reach.max(initial=0.0)))
            start = turned(actor.to_body[:3, :3], origin[None])[0] + actor.to_body[:3, 3]
            local = turned(actor.to_body[:3, :3], directions[rays])
            distance, number = actor.solid.first(start, local, near[rays])
            met = number >= 0
            rays, number = rays[met], number[met]
            best[rays] = near[rays] = distance[met]
            across = turned(actor.to_body[:3, :3].T, actor.solid.normals[number])
            normal[rays] = across / np.linalg.norm(across, axis=1, keepdims=True)
            tags = actor.solid.tags[number]
            tag[rays] = np.where(tags == OWN_TAG, actor.mover.tag, tags)
            owner[rays] = actor.mover.id
        normal[np.einsum("ij,ij->i", normal, directions) > 0] *= -1
        return Hits(best, normal, tag, owner)


def _towards(actor: Placed, origin: Floats, directions: Floats, reach_m: float) -> NDArray[np.intp]:
    """Which rays can meet the ball around an actor."""
    offset = actor.centre - origin
    away = float(np.linalg.norm(offset))
    if away - actor.radius_m > reach_m:
        return np.zeros(0, np.intp)
    if away <= 1.01 * actor.radius_m:
        return np.arange(len(directions))
    least = np.sqrt(1.0 - (actor.radius_m / away) ** 2) - 1e-6
    return np.flatnonzero(np.einsum("ij,j->i", directions, offset / away) >= least)


def turned(matrix: Floats, vectors: NDArray[np.floating[Any]]) -> Floats:
    """Vectors (N, 3) by a matrix (3, 3), in the same bits whatever threads BLAS would use."""
    return np.asarray(np.einsum("ij,nj->ni", matrix, vectors), float)
