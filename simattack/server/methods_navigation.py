"""Remote calls about pedestrians that clients steer: the ground they walk on, and their end."""

from __future__ import annotations

from simattack.server import codec
from simattack.server.codec import Wire
from simattack.server.methods_table import Table
from simattack.server.world import Refusal, World

NAVIGATION = Table()


@NAVIGATION.value
def get_required_files(world: World, folder: Wire) -> Wire:
    """What a client must fetch to use the map; roads come with ``get_map_data``."""
    wanted = codec.read_text(folder, "a folder").strip("/")
    name = world.map.footpaths.name if wanted in ("", "Nav") else ""
    return [name] if name else []


@NAVIGATION.value
def request_file(world: World, name: Wire) -> Wire:
    text = codec.read_text(name, "a file's name")
    footpaths = world.map.footpaths
    if not text or text != footpaths.name:
        raise Refusal(f"no file {text!r} on this server")
    return footpaths.content


@NAVIGATION.value
def get_navigation_mesh(world: World) -> Wire:
    return world.map.footpaths.content


@NAVIGATION.void
def set_actor_dead(world: World, number: Wire) -> None:
    """A pedestrian was run over: nobody steers it any more, and what hits it pushes it."""
    # Sent by the thread that steers a client's pedestrians, which bears no error.
    actor = world.actors.get(codec.read_int(number, "an actor"))
    if actor is not None and actor.kind == "walker":
        world.fallen.add(actor, world.physics, world.elapsed_s)
