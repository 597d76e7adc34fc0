"""A road along x on which prints and projections are put up, and remembered."""

from __future__ import annotations

import numpy as np

from simattack import registry
from simattack.easel import Easel
from simattack.types import ActorState, Frame, Pose

ME = ActorState(0, "", Pose(), (0, 0, 0), (0, 0, 0), (1, 1, 1))


class Street(Easel):
    """Remembers what is shown, by the surface's name."""

    def __init__(self, site="stop_sign_0"):
        super().__init__("town", site)
        object.__setattr__(self, "shown", {})
        object.__setattr__(self, "props", set())

    def paint(self, surface, texture):
        self.shown[surface.name] = (surface, texture)

    def restore(self, surface):
        self.shown.pop(surface.name, None)

    def put(self, kind, pose):
        self.props.add(7)
        return 7

    def take(self, actor_id):
        self.props.discard(actor_id)


def begin(kind, world=None, **options):
    world = world or Street()
    attack = registry.build("attacks", kind, options, "here")
    return attack.begin(world, np.random.default_rng(0)), world


def frame(tick):
    return Frame(tick, tick * 0.05, ME)
