"""All remote calls, and the calls about episode, map, time and weather.

Each function takes the world and the call's arguments as they came off the wire, and has the name
that CARLA's client calls.
"""

from __future__ import annotations

import logging

from simattack.errors import ProtocolError
from simattack.server import codec, stream
from simattack.server.blueprints import DEFINITIONS
from simattack.server.codec import Wire
from simattack.server.methods_absent import ABSENT
from simattack.server.methods_actors import ACTORS
from simattack.server.methods_batch import BATCH
from simattack.server.methods_buffers import BUFFERS
from simattack.server.methods_drawing import DRAWING
from simattack.server.methods_figures import FIGURES
from simattack.server.methods_maps import MAPS
from simattack.server.methods_navigation import NAVIGATION
from simattack.server.methods_queries import QUERIES
from simattack.server.methods_recorder import RECORDER
from simattack.server.methods_scene import SCENE
from simattack.server.methods_table import Table
from simattack.server.methods_traffic import TRAFFIC
from simattack.server.methods_vehicles import VEHICLES
from simattack.server.rpc import Call, Unanswerable
from simattack.server.world import Refusal, World

_LOG = logging.getLogger(__name__)
_complained: set[str] = set()

SHORTEST_STEP_S, LONGEST_STEP_S = 1e-5, 60.0
"""Of a tick. A longer one would hold up every other client; a shorter one has no acceleration."""

EPISODE = Table()
_DEFINITIONS: Wire = [definition.wire() for definition in DEFINITIONS]


def perform(world: World, call: Call) -> Wire:
    """Does what a client asks; the value to answer with.

    Raises:
        Unanswerable: no such call, or arguments of other number or shape.
    """
    method = METHODS.get(call.method)
    if method is None:
        if call.method not in _complained:
            _complained.add(call.method)
            _LOG.warning("a client calls %r, which this server does not have", call.method)
        raise Unanswerable(
            f"rpclib: server could not find function '{call.method}' "
            f"with argument count {len(call.args) + 1}."
        )
    if not method.least <= len(call.args) <= method.most:
        raise Unanswerable(
            f"rpclib: function '{call.method}' was called with an invalid number of arguments. "
            f"Expected: {method.most + 1}, got: {len(call.args) + 1}"
        )
    try:
        return method(world, call.args)
    except ProtocolError as error:
        _LOG.warning("refused %s: %s", call.method, error)
        raise Unanswerable(f"rpclib: function '{call.method}': {error}") from error


@EPISODE.value
def version(world: World) -> Wire:
    return codec.VERSION


@EPISODE.value
def get_episode_info(world: World) -> Wire:
    return [world.episode, [world.token(stream.WORLD_STREAM)]]


@EPISODE.value
def get_sensor_token(world: World, number: Wire) -> Wire:
    number = codec.read_int(number, "a stream")
    world.streams.expect(number)
    return [world.token(number)]


@EPISODE.value
def get_episode_settings(world: World) -> Wire:
    return world.settings.wire()


@EPISODE.value
def set_episode_settings(world: World, settings: Wire) -> Wire:
    wanted = codec.read_settings(settings)
    step_s = wanted.fixed_delta_s
    if step_s is not None and not SHORTEST_STEP_S <= step_s <= LONGEST_STEP_S:
        raise Refusal(
            f"expected fixed_delta_seconds of {SHORTEST_STEP_S:g} to {LONGEST_STEP_S:g} s, "
            f"got {step_s:g}"
        )
    world.apply_settings(wanted)
    return world.frame


@EPISODE.value
def tick_cue(world: World) -> Wire:
    return world.tick()


@EPISODE.value
def get_actor_definitions(world: World) -> Wire:
    return _DEFINITIONS


@EPISODE.value
def get_weather_parameters(world: World) -> Wire:
    return list(world.weather_numbers)


@EPISODE.void
def set_weather_parameters(world: World, weather: Wire) -> None:
    world.set_weather(*codec.read_weather(weather))


@EPISODE.value
def get_imui_gravity(world: World) -> Wire:
    return world.gravity_mps2


@EPISODE.void
def set_imui_gravity(world: World, gravity: Wire) -> None:
    world.gravity_mps2 = codec.read_float(gravity, "gravity")


METHODS = Table()
for _part in (
    EPISODE,
    MAPS,
    ACTORS,
    VEHICLES,
    FIGURES,
    TRAFFIC,
    NAVIGATION,
    SCENE,
    DRAWING,
    QUERIES,
    ABSENT,
    RECORDER,
    BUFFERS,
    BATCH,
):
    METHODS.update(_part)
