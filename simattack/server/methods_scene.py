"""Remote calls about the scenery: its objects, their textures, the ground, lamps and drawings."""

from __future__ import annotations

import logging
import math

import numpy as np

from simattack.server import codec
from simattack.server.codec import Bounds, Wire
from simattack.server.methods_table import Table
from simattack.server.render import library
from simattack.server.town import SceneryObject
from simattack.server.world import World
from simattack.types import Image

_LOG = logging.getLogger(__name__)

SCENE = Table()

DIFFUSE = 2
"""Of MaterialParameter: the colour. The others have no effect on this renderer."""
ANY = 255
"""Of CityObjectLabel."""
_ROADS, _SIDEWALKS, _TERRAIN = 1, 2, 10
_RAY_STEP_M = 0.25


# Textures


@SCENE.value
def get_names_of_all_objects(world: World) -> Wire:
    boards = (actor for actor in world.actors.values() if actor.blueprint.mesh == "board")
    scenery = [thing.name for thing in world.town.objects]
    return [*scenery, *(f"Actor_{actor.id}" for actor in boards)]


@SCENE.void
def apply_color_texture_to_objects(
    world: World, names: Wire, parameter: Wire, texture: Wire
) -> None:
    _paint(world, names, parameter, codec.read_texture(texture, is_float=False))


@SCENE.void
def apply_float_color_texture_to_objects(
    world: World, names: Wire, parameter: Wire, texture: Wire
) -> None:
    _paint(world, names, parameter, codec.read_texture(texture, is_float=True))


def _paint(world: World, names: Wire, parameter: Wire, image: Image) -> None:
    if codec.read_int(parameter, "a material parameter") != DIFFUSE:
        return
    for name in codec.read_list(names, "objects"):
        try:
            world.paint(codec.read_text(name, "an object"), image)
        except KeyError:
            # CARLA passes over such names without a word, too.
            _LOG.warning("object %r takes no texture", name)


# Objects


def _tagged(world: World, label: Wire) -> list[tuple[int, SceneryObject]]:
    """Objects of one label, with their numbers."""
    wanted = codec.read_int(label, "a label")
    things = enumerate(world.town.objects, start=1)
    return [(number, thing) for number, thing in things if wanted in (ANY, thing.tag)]


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


@SCENE.value
def get_all_level_BBs(world: World, label: Wire) -> Wire:
    return [world_bounds(world, thing).wire() for _, thing in _tagged(world, label)]


@SCENE.value
def get_environment_objects(world: World, label: Wire) -> Wire:
    found = []
    for number, thing in _tagged(world, label):
        box = world_bounds(world, thing)
        x, y, z = (float(value) for value in np.asarray(thing.transform)[:3, 3])
        place = [[x, y, z], [0.0, math.degrees(box.yaw_rad), 0.0]]
        found.append([place, box.wire(), number, thing.name, thing.tag])
    return found


# The ground


def _label(world: World, x: float, y: float, z: float) -> int:
    lane = world.road.lane_at(x, y, z)
    if lane is None:
        return _TERRAIN
    return _SIDEWALKS if lane.kind == "sidewalk" else _ROADS


def _hit(
    world: World, start: codec.Vector, direction: codec.Vector, reach_m: float
) -> codec.Vector | None:
    """Where a ray first meets the ground; ``direction`` has length 1. None if it does not."""
    count = max(2, math.ceil(reach_m / _RAY_STEP_M) + 1)
    along = np.linspace(0.0, reach_m, count)
    points = np.asarray(start) + along[:, None] * np.asarray(direction)
    above = points[:, 2] - world.road.height(points[:, :2])
    crossings = np.flatnonzero((above[:-1] > 0) & (above[1:] <= 0))
    if not len(crossings):
        return None
    first = int(crossings[0])
    # The ground is flat enough over one step to take it as straight.
    part = above[first] / (above[first] - above[first + 1])
    x, y, z = points[first] + part * (points[first + 1] - points[first])
    return float(x), float(y), float(z)


@SCENE.value
def project_point(world: World, location: Wire, direction: Wire, reach: Wire) -> Wire:
    start = codec.read_vector(location, "a location")
    toward = np.asarray(codec.read_vector(direction, "a direction"))
    length = float(np.linalg.norm(toward))
    reach_m = min(codec.read_float(reach, "a distance"), 1e4)
    if length == 0 or reach_m <= 0:
        return [False, [[0.0, 0.0, 0.0], 0]]
    x, y, z = (float(value) for value in toward / length)
    found = _hit(world, start, (x, y, z), reach_m)
    if found is None:
        return [False, [[0.0, 0.0, 0.0], 0]]
    return [True, [list(found), _label(world, *found)]]


@SCENE.value
def cast_ray(world: World, begin: Wire, end: Wire) -> Wire:
    start = codec.read_vector(begin, "a location")
    across = np.asarray(codec.read_vector(end, "a location")) - start
    length = float(np.linalg.norm(across))
    if length == 0:
        return []
    x, y, z = (float(value) for value in across / length)
    found = _hit(world, start, (x, y, z), min(length, 1e4))
    return [] if found is None else [[list(found), _label(world, *found)]]
