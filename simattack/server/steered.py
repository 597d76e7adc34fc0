"""Walkers that a client steers: they are where it says, and stand on the ground there."""

from __future__ import annotations

import math

from simattack.server.bodies import Actor
from simattack.types import Pose

LEAP_M = 2.0
"""A walker put farther away than this within a step was not walking."""


def follow(actor: Actor, dt_s: float) -> bool:
    """Brings a walker that simulates nothing where its client wants it; False if nowhere.

    Near the ground it stands on it: the client knows kerbs less well.
    """
    goal, old = actor.placed_at, actor.pose
    if goal is None:
        return False
    x_m, y_m = goal.x_m - old.x_m, goal.y_m - old.y_m
    away_m = math.hypot(x_m, y_m)
    before = actor.velocity
    actor.velocity = (0.0, 0.0, 0.0)
    if away_m <= LEAP_M:
        actor.velocity = (x_m / dt_s, y_m / dt_s, 0.0)
        actor.travel_m += away_m
    actor.acceleration = (
        (actor.velocity[0] - before[0]) / dt_s,
        (actor.velocity[1] - before[1]) / dt_s,
        0.0,
    )
    actor.spin_radps = math.remainder(goal.yaw_rad - old.yaw_rad, 2 * math.pi) / dt_s
    actor.spin_acceleration = 0.0
    actor.pose = Pose(goal.x_m, goal.y_m, goal.z_m, 0.0, goal.yaw_rad, 0.0)
    actor.body.position, actor.body.angle = (goal.x_m, goal.y_m), goal.yaw_rad
    if actor.body.space is not None:
        actor.body.space.reindex_shapes_for_body(actor.body)
    actor.placed_at, actor.fall_mps = None, 0.0
    actor.is_grounded = actor.is_new_place = True
    return True
