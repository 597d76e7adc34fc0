"""Remote calls about vehicles and walkers: driving, lamps, physical parameters, walking."""

from __future__ import annotations

import math

from simattack.server import codec, codec_vehicle, telemetry
from simattack.server.ackermann import AckermannOrder, AckermannSettings
from simattack.server.actors import Actor
from simattack.server.codec import VehicleControl, WalkerControl, Wire
from simattack.server.driving import DOORS
from simattack.server.methods_actors import find
from simattack.server.methods_table import Table
from simattack.server.tyres import wheel_angle
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
    world.driving.drive(actor, control)


def walk(world: World, actor: Actor, control: WalkerControl) -> None:
    """Lets a walker go like this until told otherwise."""
    actor.walk = control
    if actor.has_physics:
        world.physics.walk(actor.id, control.direction, control.speed_mps)
        if control.is_jumping:
            world.physics.jump(actor.id)


@VEHICLES.void
def apply_control_to_vehicle(world: World, number: Wire, control: Wire) -> None:
    drive(world, vehicle(world, number), codec.read_vehicle_control(control))


@VEHICLES.void
def apply_control_to_walker(world: World, number: Wire, control: Wire) -> None:
    walk(world, walker(world, number), codec.read_walker_control(control))


@VEHICLES.void
def apply_ackermann_control_to_vehicle(world: World, number: Wire, order: Wire) -> None:
    steer, rate, speed, acceleration, jerk = codec.read_numbers(order, 5, "Ackermann control")
    world.driving.order(
        vehicle(world, number), AckermannOrder(steer, rate, speed, acceleration, jerk)
    )


@VEHICLES.value
def get_ackermann_controller_settings(world: World, number: Wire) -> Wire:
    return world.driving.car(vehicle(world, number)).ackermann.settings.row()


@VEHICLES.void
def apply_ackermann_controller_settings(world: World, number: Wire, settings: Wire) -> None:
    gains = codec.read_numbers(settings, 6, "Ackermann controller settings")
    car = world.driving.car(vehicle(world, number))
    car.ackermann.settings = AckermannSettings(*gains)


@VEHICLES.value
def get_telemetry_data(world: World, number: Wire) -> Wire:
    actor = vehicle(world, number)
    if not actor.has_physics:
        raise Refusal(f"vehicle {actor.id} is fixed to another actor and has no physics")
    now, work = world.physics.parameters(actor.id), world.physics.axles(actor.id)
    gear = world.driving.car(actor).gear
    return telemetry.measure(actor.blueprint, now, actor.control, gear, work).wire()


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
    vehicle(world, number).light_flags = codec.read_u32(flags, "a light state")


@VEHICLES.value
def get_vehicle_light_states(world: World) -> Wire:
    cars = (actor for actor in world.actors.values() if actor.kind == "vehicle")
    return [[car.id, car.light_flags] for car in cars]


@VEHICLES.value
def get_wheel_steer_angle(world: World, number: Wire, wheel: Wire) -> Wire:
    """Of the road wheel as it turns; while physics is off, as a client set it."""
    actor, place = vehicle(world, number), _read_wheel(wheel)
    if not actor.has_physics:
        return 0.0
    if not world.physics.is_simulated(actor.id):
        return world.driving.car(actor).steer_shown_deg.get(place, 0.0)
    steer = world.physics.state(actor.id).steer_rad
    if actor.blueprint.wheels == 2:
        return math.degrees(steer) if place == 0 else 0.0
    if place > 1:
        return 0.0
    track_m = 0.84 * actor.blueprint.size_m[1]
    return math.degrees(wheel_angle(steer, actor.blueprint.wheelbase_m, track_m, place == 1))


@VEHICLES.void
def set_wheel_steer_direction(world: World, number: Wire, wheel: Wire, angle: Wire) -> None:
    """Only while physics is off, as in CARLA."""
    actor, place = vehicle(world, number), _read_wheel(wheel)
    angle_deg = codec.read_float(angle, "a wheel's angle")
    if actor.has_physics and not world.physics.is_simulated(actor.id):
        world.driving.car(actor).steer_shown_deg[place] = angle_deg
        if place == 0:  # the front wheels are drawn as a pair
            world.physics.turn_wheels(actor.id, math.radians(angle_deg))


@VEHICLES.value
def get_wheel_pitch_angle(world: World, number: Wire, wheel: Wire) -> Wire:
    """How far the wheel has rolled; while physics is off, as a client set it."""
    actor, place = vehicle(world, number), _read_wheel(wheel)
    if not actor.has_physics:
        return 0.0
    if not world.physics.is_simulated(actor.id):
        return world.driving.car(actor).pitch_shown_deg.get(place, 0.0)
    now = world.physics.parameters(actor.id)
    return math.degrees(world.physics.state(actor.id).travel_m / now.radius_m) % 360


@VEHICLES.void
def set_wheel_pitch_angle(world: World, number: Wire, wheel: Wire, angle: Wire) -> None:
    """Only while physics is off."""
    actor, place = vehicle(world, number), _read_wheel(wheel)
    angle_deg = codec.read_float(angle, "a wheel's angle")
    if actor.has_physics and not world.physics.is_simulated(actor.id):
        world.driving.car(actor).pitch_shown_deg[place] = angle_deg


def _read_wheel(wheel: Wire) -> int:
    place = codec.read_int(wheel, "a wheel")
    if not 0 <= place <= 3:
        raise Refusal(f"expected a wheel's place from 0 to 3, got {place}")
    return place


@VEHICLES.void
def set_actor_autopilot(world: World, number: Wire, is_on: Wire) -> None:
    """The client's own traffic manager drives; nothing to do here."""


@VEHICLES.void
def show_vehicle_debug_telemetry(world: World, number: Wire, is_on: Wire) -> None:
    """There is no screen to show it on."""


@VEHICLES.void
def open_vehicle_door(world: World, number: Wire, door: Wire) -> None:
    """Kept; no car here is drawn with its doors open."""
    world.driving.car(vehicle(world, number)).open_doors |= _read_doors(door)


@VEHICLES.void
def close_vehicle_door(world: World, number: Wire, door: Wire) -> None:
    world.driving.car(vehicle(world, number)).open_doors -= _read_doors(door)


def _read_doors(door: Wire) -> set[int]:
    place = codec.read_int(door, "a door")
    if not 0 <= place <= DOORS:
        raise Refusal(f"expected a door from 0 to {DOORS}, got {place}")
    return set(range(DOORS)) if place == DOORS else {place}
