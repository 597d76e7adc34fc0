"""Commands in a batch: each does what the call of the same purpose does."""

from __future__ import annotations

import contextlib
import math

from simattack.errors import ProtocolError
from simattack.server import codec
from simattack.server.codec import Wire
from simattack.server.methods_absent import refuse
from simattack.server.methods_actors import ACTORS, attach, find
from simattack.server.methods_table import Method, Table
from simattack.server.methods_traffic import TRAFFIC
from simattack.server.methods_vehicles import VEHICLES, walker
from simattack.server.world import Refusal, World

BATCH = Table()

_SPAWN, _DESTROY, _WALKER_STATE, _AUTOPILOT, _TELEMETRY, _LIGHTS, _CONSOLE = 0, 1, 7, 16, 17, 18, 20
_CALLS: dict[int, Method] = {
    number: table[name]
    for number, table, name in (
        (2, VEHICLES, "apply_control_to_vehicle"),
        (3, VEHICLES, "apply_ackermann_control_to_vehicle"),
        (4, VEHICLES, "apply_control_to_walker"),
        (5, VEHICLES, "apply_physics_control"),
        (6, ACTORS, "set_actor_transform"),
        (8, ACTORS, "set_actor_target_velocity"),
        (9, ACTORS, "set_actor_target_angular_velocity"),
        (10, ACTORS, "add_actor_impulse"),
        (11, ACTORS, "add_actor_force"),
        (12, ACTORS, "add_actor_angular_impulse"),
        (13, ACTORS, "add_actor_torque"),
        (14, ACTORS, "set_actor_simulate_physics"),
        (15, ACTORS, "set_actor_enable_gravity"),
        (19, ACTORS, "set_actor_location"),
        (21, TRAFFIC, "set_traffic_light_state"),
    )
}
"""Commands whose body is the arguments of a call."""


@BATCH.bare
def apply_batch(world: World, commands: Wire, is_ticking: Wire) -> Wire:
    """Has no envelope of its own but one in each answer; a command that fails stops no other."""
    answers = []
    for command in codec.read_list(commands, "a batch"):
        try:
            answers.append(codec.answer(_perform(world, command, None)))
        except (Refusal, ProtocolError) as refusal:
            answers.append(codec.failure(str(refusal)))
    if is_ticking is True:
        world.tick()
    return answers


def _perform(world: World, command: Wire, spawned: int | None) -> int:
    """Does one command; the id of its actor."""
    (variant,) = codec.read_list(command, "a command", 1)
    kind, row = codec.read_list(variant, "a command", 2)
    kind, row = codec.read_int(kind, "a command"), codec.read_list(row, "a command's body")
    if kind == _SPAWN:
        return _spawn(world, row)
    if kind == _CONSOLE:
        refuse("console commands are Unreal Engine's, which is not here")
    if not row:
        raise Refusal("unable to run an empty command")
    # Inside a spawn command, actor 0 stands for the one just spawned.
    number = codec.read_int(row[0], "an actor")
    number = spawned if number == 0 and spawned is not None else number
    actor = find(world, number)
    if kind == _DESTROY:
        world.destroy(actor)
    elif kind == _LIGHTS:
        actor.light_flags = codec.read_u32(row[1], "a light state") if len(row) > 1 else 0
    elif kind == _WALKER_STATE:
        _set_walker(world, number, row)
    elif kind in _CALLS:
        call = _CALLS[kind]
        if not call.least <= len(row) <= call.most:
            raise Refusal(f"command {kind} takes {call.most} values, got {len(row)}")
        call.run(world, number, *row[1:])
    elif kind not in (_AUTOPILOT, _TELEMETRY):
        raise Refusal(f"command {kind} is not known")
    return number


def _spawn(world: World, row: list[Wire]) -> int:
    # The kind of attachment (row[3]) is whatever was in the client's memory when none was given.
    if len(row) != 6:
        raise Refusal("unable to spawn: the command is incomplete")
    description, pose = codec.read_description(row[0]), codec.read_pose(row[1])
    parent = codec.read_optional(row[2], "a parent")
    holder = 0 if parent is None else codec.read_int(parent, "a parent")
    if parent is not None and holder not in world.actors:
        raise Refusal("unable to attach actor: parent actor not found")
    actor = world.spawn(description, pose, holder)
    if holder:
        attach(actor, row[3])
    for command in codec.read_list(row[5], "commands to do after spawning"):
        # As in CARLA: the answer is the actor, whatever becomes of these.
        with contextlib.suppress(Refusal):
            _perform(world, command, actor.id)
    return actor.id


def _set_walker(world: World, number: int, row: list[Wire]) -> None:
    """Where the client's pedestrian navigation puts a walker's feet this tick."""
    actor = walker(world, number)
    if len(row) != 3:
        raise Refusal("unable to set a walker's state: the command is incomplete")
    pose, speed_mps = codec.read_pose(row[1]), codec.read_float(row[2], "a speed")
    ahead = (math.cos(pose.yaw_rad), math.sin(pose.yaw_rad), 0.0)
    actor.walk = codec.WalkerControl(ahead, speed_mps)
    if actor.has_physics:
        world.physics.place_walker(actor.id, pose)
