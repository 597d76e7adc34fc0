"""How an actor looks at a tick, for the renderer and for rays."""

from __future__ import annotations

import numpy as np

from simattack.server import origins
from simattack.server.actors import Actor
from simattack.server.physics import Physics
from simattack.server.render import Mover
from simattack.types import Image

Cut = tuple[float, float, float, float]
"""Left, top, right, bottom of what is there of a picture, 0..1."""


def mover(actor: Actor, physics: Physics, cut: Cut | None = None) -> Mover:
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
        cut,
    )


def cut(picture: Image) -> Cut | None:
    """What is there of a picture (H, W, 3 or 4); None where it is whole."""
    if picture.shape[2] == 3 or picture[:, :, 3].min() >= 128:
        return None
    is_there = picture[:, :, 3] >= 128
    rows, columns = np.flatnonzero(is_there.any(1)), np.flatnonzero(is_there.any(0))
    if not rows.size:
        return (0.0, 0.0, 0.0, 0.0)
    height, width = is_there.shape
    return (
        float(columns[0]) / width,
        float(rows[0]) / height,
        float(columns[-1] + 1) / width,
        float(rows[-1] + 1) / height,
    )
