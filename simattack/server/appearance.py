"""How an actor looks at a tick, for the renderer and for rays."""

from __future__ import annotations

from simattack.server import origins
from simattack.server.actors import Actor
from simattack.server.physics import Physics
from simattack.server.render import Mover


def mover(actor: Actor, physics: Physics) -> Mover:
    """What is drawn of an actor that has a mesh."""
    body = physics.state(actor.id) if actor.has_physics else None
    return Mover(
        actor.id,
        actor.blueprint.mesh,
        actor.blueprint.size_m,
        actor.color,
        body.pose if body else origins.floor_of(actor.pose, actor.blueprint),
        actor.blueprint.tag,
        body.steer_rad if body else 0.0,
        actor.light_flags,
        actor.stride_rad,
    )
