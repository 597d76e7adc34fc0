"""The row of each actor in the snapshot: where it is, how it moves, and what its kind adds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simattack.server import codec, origins, outlook, stream
from simattack.server.actors import Actor
from simattack.server.bodies import Body
from simattack.server.driving import failure

if TYPE_CHECKING:
    from simattack.server.world import World

STRIDE_M = 1.4
"""Two steps of a walker."""
STANDING_MPS = 0.05
"""Slower walkers hold their legs still."""


def put_still(world: World, actor: Actor) -> None:
    """Writes the row of an actor that physics does not move."""
    state = b""
    if actor.kind == "light":
        state = world.signals.state(actor.signal)
    elif actor.kind == "sign":
        state = stream.sign_state(actor.signal)
    world.snapshot.put(actor.id, codec.six(actor.pose), state=state)
    actor.shown = actor.pose


def put_body(world: World, actor: Actor, body: Body) -> None:
    """Brings a vehicle, walker or prop to where its body is, and writes its row."""
    if actor.kind == "prop" and body.pose == actor.shown:
        return
    actor.pose = actor.shown = origins.origin_of(body.pose, actor.blueprint)
    state = b""
    if actor.kind == "vehicle":
        outlook.look_around(world, actor)
        state = stream.vehicle_state(
            world.driving.shown(actor, body),
            actor.speed_limit_kmh,
            actor.held_state,
            actor.held_by,
            failure(body),
        )
    elif actor.kind == "walker":
        walk = actor.walk
        state = stream.walker_state(walk.direction, walk.speed_mps, walk.is_jumping)
        is_walking = math.hypot(*body.velocity_mps[:2]) > STANDING_MPS
        actor.stride_rad = body.travel_m / STRIDE_M * 2 * math.pi if is_walking else 0.0
    turn = body.angular_velocity_radps
    world.snapshot.put(
        actor.id,
        codec.six(actor.pose),
        body.velocity_mps,
        (math.degrees(turn[0]), math.degrees(turn[1]), math.degrees(turn[2])),
        body.acceleration_mps2,
        state,
    )
