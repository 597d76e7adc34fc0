"""Remote calls about vehicles and walkers: driving, lamps, physical parameters, walking."""

from __future__ import annotations

import math

from simattack.server import codec, codec_vehicle
from simattack.server.actors import Actor
from simattack.server.codec import VehicleControl, WalkerControl, Wire
from simattack.server.methods_actors import find
from simattack.server.methods_table import Table
from simattack.server.world import Refusal, World

VEHICLES = Table()


def vehicle(world: World, number: Wire) -> Actor:
    """The vehicle that an argument names; ``Refusal`` when there is none."""
    actor = find(world, number)
    if actor.kind != "vehicle":
        raise Refusal(f"actor {actor.id} is no vehicle but {actor.type_id}")
    return actor


def walker(world: World, number: Wire) -> Actor:
    """The walker that an argument names; ``Refusal`` when there is none."""
    actor = find(world, number)
    if actor.kind != "walker":
        raise Refusal(f"actor {actor.id} is no walker but {actor.type_id}")
    return actor


def drive(world: World, actor: Actor, control: VehicleControl) -> None:
    """Lets a vehicle be driven like this until told otherwise."""
    actor.control = control
    if actor.has_physics:
        world.physics.control(
            actor.id,
            control.throttle,
            control.steer,
            control.brake,
            control.hand_brake,
            control.reverse,
        )


def walk(world: World, actor: Actor, control: WalkerControl) -> None:
    """Lets a walker go like this until told otherwise."""
    actor.walk = control
    if actor.has_physics:
        world.physics.walk(actor.id, control.direction, control.speed_mps)


@VEHICLES.void
def apply_control_to_vehicle(world: World, number: Wire, control: Wire) -> None:
    drive(world, vehicle(world, number), codec.read_vehicle_control(control))


@VEHICLES.void
def apply_control_to_walker(world: World, number: Wire, control: Wire) -> None:
    walk(world, walker(world, number), codec.read_walker_control(control))


@VEHICLES.value
def get_physics_control(world: World, number: Wire) -> Wire:
    actor = vehicle(world, number)
    if not actor.has_physics:
        raise Refusal(f"vehicle {actor.id} is fixed to another actor and has no physics")
    return codec_vehicle.parameters_wire(world.physics.parameters(actor.id))


@VEHICLES.void
def apply_physics_control(world: World, number: Wire, parameters: Wire) -> None:
    actor = vehicle(world, number)
    wanted = codec_vehicle.read_parameters(parameters)
    if actor.has_physics:
        try:
            world.physics.set_parameters(actor.id, wanted)
        except ValueError as error:
            raise Refusal(str(error)) from error


@VEHICLES.value
def get_vehicle_light_state(world: World, number: Wire) -> Wire:
    return [vehicle(world, number).light_flags]


@VEHICLES.void
def set_vehicle_light_state(world: World, number: Wire, state: Wire) -> None:
    (flags,) = codec.read_list(state, "a light state", 1)
    vehicle(world, number).light_flags = codec.read_int(flags, "a light state")


@VEHICLES.value
def get_vehicle_light_states(world: World) -> Wire:
    cars = (actor for actor in world.actors.values() if actor.kind == "vehicle")
    return [[car.id, car.light_flags] for car in cars]


@VEHICLES.value
def get_wheel_steer_angle(world: World, number: Wire, wheel: Wire) -> Wire:
    actor = vehicle(world, number)
    is_front = codec.read_int(wheel, "a wheel") in (0, 1)
    if not is_front or not actor.has_physics:
        return 0.0
    return math.degrees(world.physics.state(actor.id).steer_rad)


@VEHICLES.void
def set_actor_autopilot(world: World, number: Wire, is_on: Wire) -> None:
    """The client's own traffic manager drives; nothing to do here."""


@VEHICLES.void
def show_vehicle_debug_telemetry(world: World, number: Wire, is_on: Wire) -> None:
    """There is no screen to show it on."""


@VEHICLES.void
def open_vehicle_door(world: World, number: Wire, door: Wire) -> None:
    """Doors here do not open."""


@VEHICLES.void
def close_vehicle_door(world: World, number: Wire, door: Wire) -> None:
    """Doors here do not open."""
