"""Remote calls about maps: which there are, the present one, the next one, its layers."""

from __future__ import annotations

from simattack.errors import MapError, ProtocolError
from simattack.server import codec, layers, maps
from simattack.server.codec import Wire
from simattack.server.generation import read_generation
from simattack.server.methods_table import Table
from simattack.server.world import Refusal, World

MAPS = Table()


@MAPS.value
def get_available_maps(world: World) -> Wire:
    return world.atlas.available()


@MAPS.value
def get_map_info(world: World) -> Wire:
    return [
        f"Carla/Maps/{world.map.name}",
        [codec.transform(pose) for pose in world.road.spawn_points],
    ]


@MAPS.value
def get_map_data(world: World) -> Wire:
    return world.road.opendrive


@MAPS.void
def copy_opendrive_to_file(world: World, text: Wire, parameters: Wire) -> None:
    """Keeps a map until the client asks for the episode on it.

    ``wall_height``, ``additional_width``, ``enable_mesh_visibility`` and
    ``enable_pedestrian_navigation`` act as ``generation.Generation`` says. ``vertex_distance``,
    ``max_road_length`` and ``smooth_junctions`` mean nothing here and have no effect.
    """
    try:
        generation = read_generation(parameters)
        read = codec.read_text(text, "a map")
        world.pending = world.atlas.of_text(read, maps.GENERATED, generation)
    except MapError as error:
        raise Refusal(str(error)) from error


@MAPS.void
def load_new_episode(world: World, name: Wire, is_resetting: Wire, mask: Wire = None) -> None:
    wanted = layers.ALL if mask is None else _mask(mask)
    try:
        place = world.find_map(codec.read_text(name, "a map's name"))
        world.load(place, is_resetting is True)
    except MapError as error:
        raise Refusal(str(error)) from error
    world.hidden = layers.members(world.town.objects, layers.ALL & ~wanted)


@MAPS.void
def load_map_layer(world: World, mask: Wire) -> None:
    world.hidden = world.hidden - layers.members(world.town.objects, _mask(mask))


@MAPS.void
def unload_map_layer(world: World, mask: Wire) -> None:
    """Cameras and rays pass through the layer's objects from now on; cars still hit them."""
    world.hidden = world.hidden | layers.members(world.town.objects, _mask(mask))


def _mask(value: Wire) -> int:
    mask = codec.read_int(value, "map layers")
    if not 0 <= mask <= layers.ALL:
        raise ProtocolError(f"expected map layers as a mask of 16 bits, got {mask}")
    return mask
