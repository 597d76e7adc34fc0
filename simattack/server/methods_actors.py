"""Remote calls about actors of any kind: spawn, attach, move, push, destroy."""

from __future__ import annotations

from simattack.server import codec
from simattack.server.actors import Actor
from simattack.server.attachment import free_everywhere, spring_arm
from simattack.server.codec import Wire
from simattack.server.methods_table import Table
from simattack.server.world import Refusal, World
from simattack.types import Pose

ACTORS = Table()


def find(world: World, number: Wire) -> Actor:
    """The actor that an argument names; ``Refusal`` when there is none."""
    return world.actor(codec.read_int(number, "an actor"))


def body(world: World, number: Wire) -> Actor | None:
    """The actor if physics moves it; None for one that is still or fixed to another."""
    actor = find(world, number)
    return actor if actor.has_physics else None


@ACTORS.value
def get_spectator(world: World) -> Wire:
    return world.wire(world.spectator)


@ACTORS.value
def get_actors_by_id(world: World, numbers: Wire) -> Wire:
    wanted = [codec.read_int(number, "an actor") for number in codec.read_list(numbers, "actors")]
    return [world.wire(world.actors[number]) for number in wanted if number in world.actors]


@ACTORS.value
def spawn_actor(world: World, description: Wire, pose: Wire) -> Wire:
    return world.wire(world.spawn(codec.read_description(description), codec.read_pose(pose)))


@ACTORS.value
def spawn_actor_with_parent(
    world: World, description: Wire, pose: Wire, parent: Wire, attachment: Wire, socket: Wire = ""
) -> Wire:
    holder = codec.read_int(parent, "a parent")
    if holder not in world.actors:
        raise Refusal("unable to attach actor: parent actor not found")
    actor = world.spawn(codec.read_description(description), codec.read_pose(pose), holder)
    attach(actor, attachment)
    return world.wire(actor)


def attach(actor: Actor, attachment: Wire) -> None:
    """Fixes a new actor to its parent the way that CARLA's AttachmentType says."""
    actor.arm = spring_arm(codec.read_int(attachment, "an attachment"), actor.mount)
    if actor.arm is not None and actor.parent is not None:
        actor.pose = actor.arm.follow(actor.parent.pose, 0.0, free_everywhere)


@ACTORS.value
def destroy_actor(world: World, number: Wire) -> Wire:
    number = codec.read_int(number, "an actor")
    if number not in world.actors:
        raise Refusal("unable to destroy actor: not found")
    world.destroy(world.actors[number])
    return True


@ACTORS.void
def set_actor_location(world: World, number: Wire, location: Wire) -> None:
    actor = find(world, number)
    old = actor.mount if actor.parent else actor.pose
    x, y, z = codec.read_vector(location, "a location")
    world.place(actor, Pose(x, y, z, old.pitch_rad, old.yaw_rad, old.roll_rad))


@ACTORS.void
def set_actor_transform(world: World, number: Wire, pose: Wire) -> None:
    world.place(find(world, number), codec.read_pose(pose))


@ACTORS.void
def set_actor_target_velocity(world: World, number: Wire, velocity: Wire) -> None:
    if actor := body(world, number):
        world.physics.set_velocity(actor.id, codec.read_vector(velocity, "a velocity"))


@ACTORS.void
def set_actor_target_angular_velocity(world: World, number: Wire, velocity: Wire) -> None:
    if actor := body(world, number):
        world.physics.set_angular_velocity(actor.id, codec.read_turn(velocity))


@ACTORS.void
def enable_actor_constant_velocity(world: World, number: Wire, velocity: Wire) -> None:
    if actor := body(world, number):
        world.physics.constant_velocity(actor.id, codec.read_vector(velocity, "a velocity"))


@ACTORS.void
def disable_actor_constant_velocity(world: World, number: Wire) -> None:
    if actor := body(world, number):
        world.physics.constant_velocity(actor.id, None)


@ACTORS.void
def add_actor_impulse(world: World, number: Wire, impulse: Wire) -> None:
    if actor := body(world, number):
        world.physics.add_impulse(actor.id, codec.read_vector(impulse, "an impulse"))


@ACTORS.void
def add_actor_impulse_at_location(
    world: World, number: Wire, impulse: Wire, location: Wire
) -> None:
    if actor := body(world, number):
        push = codec.read_vector(impulse, "an impulse")
        world.physics.add_impulse(actor.id, push, codec.read_vector(location, "a location"))


@ACTORS.void
def add_actor_force(world: World, number: Wire, force: Wire) -> None:
    if actor := body(world, number):
        world.physics.add_force(actor.id, codec.read_vector(force, "a force"))


@ACTORS.void
def add_actor_force_at_location(world: World, number: Wire, force: Wire, location: Wire) -> None:
    if actor := body(world, number):
        push = codec.read_vector(force, "a force")
        world.physics.add_force(actor.id, push, codec.read_vector(location, "a location"))


@ACTORS.void
def add_actor_angular_impulse(world: World, number: Wire, impulse: Wire) -> None:
    if actor := body(world, number):
        world.physics.add_angular_impulse(actor.id, codec.read_twist(impulse))


@ACTORS.void
def add_actor_torque(world: World, number: Wire, torque: Wire) -> None:
    if actor := body(world, number):
        world.physics.add_torque(actor.id, codec.read_twist(torque))


@ACTORS.void
def set_actor_collisions(world: World, number: Wire, is_on: Wire) -> None:
    if actor := body(world, number):
        world.physics.set_collisions(actor.id, bool(is_on))


@ACTORS.void
def set_actor_enable_gravity(world: World, number: Wire, is_on: Wire) -> None:
    if actor := body(world, number):
        world.physics.enable_gravity(actor.id, bool(is_on))


@ACTORS.void
def set_actor_simulate_physics(world: World, number: Wire, is_on: Wire) -> None:
    # A traffic manager asks this for cars that are gone; an error would end the client's process.
    actor = world.actors.get(codec.read_int(number, "an actor"))
    if actor is not None and actor.has_physics:
        world.physics.simulate(actor.id, bool(is_on))


@ACTORS.value
def get_actor_bounding_box(world: World, number: Wire) -> Wire:
    # Lenient for the same reason.
    number = codec.read_int(number, "an actor")
    actor = world.actors.get(number)
    return (actor.bounds if actor else codec.Bounds()).wire(number)
