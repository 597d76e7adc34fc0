"""Remote calls about the buffers behind a camera's picture, which CARLA calls G-buffers."""

from __future__ import annotations

from simattack.server import codec
from simattack.server.actors import Actor
from simattack.server.codec import Wire
from simattack.server.methods_actors import find
from simattack.server.methods_table import Table
from simattack.server.sensors import buffers
from simattack.server.sensors.camera import is_camera
from simattack.server.world import Refusal, World

BUFFERS = Table()


def _camera(world: World, number: Wire) -> Actor:
    actor = find(world, number)
    if not is_camera(actor.type_id):
        raise Refusal(f"actor {actor.id} ({actor.type_id}) is no camera: it has no G-buffers")
    return actor


@BUFFERS.value
def get_gbuffer_token(world: World, number: Wire, buffer: Wire) -> Wire:
    camera = _camera(world, number)
    index = codec.read_int(buffer, "a G-buffer")
    if not 0 <= index < len(buffers.NAMES):
        raise Refusal(f"no G-buffer {index}: they are 0 to {len(buffers.NAMES) - 1}")
    name = buffers.NAMES[index]
    if name in buffers.LACKING:
        raise Refusal(f"no G-buffer {name} on this server: {buffers.LACKING[name]}")
    if name not in camera.buffers:
        camera.buffers[name] = world.streams.open()
    # Clients connect straight to it: unlike for other streams, they do not ask where it is.
    world.streams.expect(camera.buffers[name])
    return world.token(camera.buffers[name])


@BUFFERS.void
def enable_gbuffers(world: World, number: Wire, is_on: Wire) -> None:
    """They are drawn while somebody listens to them."""
    _camera(world, number)


@BUFFERS.value
def are_gbuffers_enabled(world: World, number: Wire) -> Wire:
    camera = _camera(world, number)
    return any(world.streams.has_listeners(each) for each in camera.buffers.values())
