"""Remote calls that ask about the scene: rays, bounding boxes, objects of the environment."""

from __future__ import annotations

import math

import numpy as np

from simattack import geometry
from simattack.server import codec, queries
from simattack.server.actors import Actor
from simattack.server.codec import Bounds, Wire
from simattack.server.methods_table import Table
from simattack.server.render import library
from simattack.server.town import SceneryObject
from simattack.server.world import World

QUERIES = Table()
ANY = 255
"""Of CityObjectLabel."""


# Rays


def _labelled(hit: queries.Hit) -> Wire:
    """A LabelledPoint."""
    return [list(hit.place), hit.tag]


@QUERIES.value
def project_point(world: World, location: Wire, direction: Wire, reach: Wire) -> Wire:
    start = codec.read_vector(location, "a location")
    toward = np.array(codec.read_vector(direction, "a direction"))
    length, reach_m = float(np.linalg.norm(toward)), codec.read_float(reach, "a distance")
    found = []
    if length > 0 and reach_m > 0:
        x, y, z = (float(v) for v in toward * (min(reach_m, queries.LONGEST_M) / length))
        found = queries.hits(world, start, (x, y, z), 1)
    return [True, _labelled(found[0])] if found else [False, [[0.0, 0.0, 0.0], 0]]


@QUERIES.value
def cast_ray(world: World, begin: Wire, end: Wire) -> Wire:
    start, stop = codec.read_vector(begin, "a location"), codec.read_vector(end, "a location")
    x, y, z = (b - a for a, b in zip(start, stop, strict=True))
    return [_labelled(hit) for hit in queries.hits(world, start, (x, y, z))]


# Objects


def _tagged(world: World, label: Wire) -> list[SceneryObject]:
    """Objects of one label."""
    wanted = codec.read_int(label, "a label")
    return [thing for thing in world.town.objects if wanted in (ANY, thing.tag)]


def world_bounds(world: World, thing: SceneryObject) -> Bounds:
    """An object's box in the world; its axes keep the object's yaw."""
    own = world.town.meshes.get(thing.mesh)
    points = (library.mesh(thing.mesh).vertices if own is None else own)[:, :3]
    turn = np.asarray(thing.transform)
    yaw_rad = math.atan2(turn[1, 0], turn[0, 0])
    c, s = math.cos(yaw_rad), math.sin(yaw_rad)
    upright = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    placed = (points @ turn[:3, :3].T + turn[:3, 3]) @ upright.T
    low, high = placed.min(axis=0), placed.max(axis=0)
    x, y, z = ((low + high) / 2 @ upright).tolist()
    length, width, height = ((high - low) / 2).tolist()
    return Bounds((x, y, z), (length, width, height), yaw_rad)


def _actor_box(actor: Actor) -> Wire:
    """The box of a vehicle, walker or prop in the world; it leans as the actor does."""
    x, y, z = actor.bounds.centre
    centre = geometry.to_world(np.array([[x, y, z]]), actor.pose)[0]
    _, turn = codec.transform(actor.pose)
    return [centre.tolist(), list(actor.bounds.half), turn, actor.id]


@QUERIES.value
def get_all_level_BBs(world: World, label: Wire) -> Wire:
    wanted = codec.read_int(label, "a label")
    bodies = (actor for actor in world.actors.values() if actor.blueprint.has_body)
    return [
        *(world_bounds(world, thing).wire() for thing in _tagged(world, label)),
        *(_actor_box(a) for a in bodies if wanted == ANY or wanted in tuple(a.tags)),
    ]


@QUERIES.value
def get_environment_objects(world: World, label: Wire) -> Wire:
    found = []
    for thing in _tagged(world, label):
        box = world_bounds(world, thing)
        x, y, z = (float(value) for value in np.asarray(thing.transform)[:3, 3])
        place = [[x, y, z], [0.0, math.degrees(box.yaw_rad), 0.0]]
        found.append([place, box.wire(), thing.id, thing.name, thing.tag])
    return found
