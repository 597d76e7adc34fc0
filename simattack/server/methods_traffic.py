"""Remote calls about traffic lights, and the register of the clients' traffic managers."""

from __future__ import annotations

from simattack.server import codec
from simattack.server.actors import Actor
from simattack.server.codec import Wire
from simattack.server.methods_actors import find
from simattack.server.methods_queries import world_bounds
from simattack.server.methods_table import Table
from simattack.server.world import Refusal, World

TRAFFIC = Table()


def light(world: World, number: Wire) -> Actor:
    """The traffic light that an argument names; ``Refusal`` when there is none."""
    actor = find(world, number)
    if actor.kind != "light":
        raise Refusal(f"actor {actor.id} is no traffic light but {actor.type_id}")
    return actor


# Traffic lights


@TRAFFIC.void
def set_traffic_light_state(world: World, number: Wire, state: Wire) -> None:
    lamp, state = light(world, number), codec.read_int(state, "a traffic light's state")
    try:
        world.signals.set_state(lamp.signal, state)
    except ValueError as error:
        raise Refusal(str(error)) from error


@TRAFFIC.void
def set_traffic_light_green_time(world: World, number: Wire, time_s: Wire) -> None:
    world.signals.set_times(light(world, number).signal, green_s=codec.read_float(time_s, "a time"))


@TRAFFIC.void
def set_traffic_light_yellow_time(world: World, number: Wire, time_s: Wire) -> None:
    world.signals.set_times(
        light(world, number).signal, yellow_s=codec.read_float(time_s, "a time")
    )


@TRAFFIC.void
def set_traffic_light_red_time(world: World, number: Wire, time_s: Wire) -> None:
    world.signals.set_times(light(world, number).signal, red_s=codec.read_float(time_s, "a time"))


@TRAFFIC.void
def freeze_traffic_light(world: World, number: Wire, is_frozen: Wire) -> None:
    world.signals.freeze(light(world, number).signal, bool(is_frozen))


@TRAFFIC.void
def freeze_all_traffic_lights(world: World, is_frozen: Wire) -> None:
    world.signals.freeze_all(bool(is_frozen))


@TRAFFIC.void
def reset_traffic_light_group(world: World, number: Wire) -> None:
    world.signals.reset_group(light(world, number).signal)


@TRAFFIC.void
def reset_all_traffic_lights(world: World) -> None:
    world.signals.reset_all()


@TRAFFIC.value
def get_light_boxes(world: World, number: Wire) -> Wire:
    lamp = light(world, number)
    heads = [thing for thing in world.town.objects if thing.signal == lamp.signal]
    return [world_bounds(world, thing).wire() for thing in heads]


@TRAFFIC.value
def get_group_traffic_lights(world: World, number: Wire) -> Wire:
    members = world.signals.group(light(world, number).signal)
    return [world.light_actors[member] for member in members]


# Traffic managers


def _port(value: Wire) -> int:
    return codec.read_int(value, "a port")


@TRAFFIC.value
def is_traffic_manager_running(world: World, port: Wire) -> Wire:
    return _port(port) in world.traffic_managers


@TRAFFIC.value
def get_traffic_manager_running(world: World, port: Wire) -> Wire:
    return list(world.traffic_managers.get(_port(port), ("", 0)))


@TRAFFIC.value
def add_traffic_manager_running(world: World, place: Wire) -> Wire:
    """Whether the port was free to be taken."""
    host, port = codec.read_list(place, "a traffic manager", 2)
    entry = (codec.read_text(host, "a host"), _port(port))
    return world.traffic_managers.setdefault(entry[1], entry) is entry


@TRAFFIC.value
def destroy_traffic_manager(world: World, port: Wire) -> Wire:
    return world.traffic_managers.pop(_port(port), None) is not None
