"""How actors stand on the ground, leave it and come back to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from simattack.server.bodies import Actor
from simattack.server.vehicle_parameters import GRAVITY_MPS2
from simattack.types import Floats, Pose

_DROP_M = 0.5  # a grounded actor follows the ground down by this much a step, else it falls
_TOUCH_M = 0.02
_LEAP_MPS = 0.3  # what rises faster than this off the ground leaves it


class Ground(Protocol):
    """What physics needs of a road."""

    def height(self, xy: Floats) -> Floats:
        """Ground height (N,) at (N, 2) [m]."""
        ...


def leap(actor: Actor, rise_mps: float) -> None:
    """Throws a standing actor up; slower than a slope's own rise it stays on the ground."""
    if rise_mps > _LEAP_MPS and rise_mps > climb_mps(actor) + _LEAP_MPS:
        actor.is_grounded, actor.is_new_place = False, True
        actor.fall_mps = rise_mps


def climb_mps(actor: Actor) -> float:
    """The rise of an actor that rolls along the slope it stands on."""
    yaw, (x, y, _) = actor.pose.yaw_rad, actor.velocity
    return (x * math.cos(yaw) + y * math.sin(yaw)) * math.tan(actor.pose.pitch_rad)


def touch_down(actors: Iterable[Actor], road: Ground) -> None:
    """Find out which actors stand on the ground already, so that their tyres grip."""
    floating = [a for a in actors if a.is_simulated and not a.is_grounded]
    if not floating:
        return
    places = np.array([(a.pose.x_m, a.pose.y_m) for a in floating])
    for actor, ground in zip(floating, road.height(places).tolist(), strict=True):
        is_low = actor.pose.z_m - ground <= _TOUCH_M and actor.fall_mps <= 0
        actor.is_grounded = actor.has_gravity and is_low
        # The last of the way down is still to be gone.
        actor.is_new_place |= actor.is_grounded


def lift(actor: Actor, dt_s: float) -> None:
    """The vertical part of the force on an actor in this step; weight holds it down."""
    mass = actor.body.mass
    if actor.is_grounded:
        if actor.lift_n <= mass * GRAVITY_MPS2:
            return
        actor.fall_mps = climb_mps(actor)
        actor.is_grounded, actor.is_new_place = False, True
    actor.fall_mps += actor.lift_n / mass * dt_s


def settle(actors: Sequence[Actor], road: Ground, dt_s: float) -> None:
    """Height, pitch and roll from the ground under centre, axles and sides."""
    places = np.array([(a.pose.x_m, a.pose.y_m) for a in actors])
    yaw = np.array([a.pose.yaw_rad for a in actors])
    base = np.array([a.blueprint.wheelbase_m or a.blueprint.size_m[0] for a in actors])
    track = np.array([a.blueprint.size_m[1] for a in actors])
    ahead = np.stack([np.cos(yaw), np.sin(yaw)], 1) * (base / 2)[:, None]
    aside = np.stack([-np.sin(yaw), np.cos(yaw)], 1) * (track / 2)[:, None]
    points = np.concatenate(
        [places, places + ahead, places - ahead, places + aside, places - aside]
    )
    heights = road.height(points).reshape(5, len(actors))
    pitches = np.arctan2(heights[1] - heights[2], base)
    # roll is clockwise seen from behind: the right side down
    rolls = np.arctan2(heights[4] - heights[3], track)
    for actor, ground, pitch, roll in zip(
        actors, heights[0].tolist(), pitches.tolist(), rolls.tolist(), strict=True
    ):
        _rest(actor, ground, pitch, roll, dt_s)


def _rest(actor: Actor, ground: float, pitch: float, roll: float, dt_s: float) -> None:
    """Let one actor stand on the ground below it, or fall towards it."""
    pose, actor.is_new_place = actor.pose, False
    if not actor.has_gravity:
        _lay(actor, pose.z_m + actor.fall_mps * dt_s, pose.pitch_rad, pose.roll_rad)
        return
    if not math.isfinite(ground):
        return
    if actor.blueprint.kind == "walker":
        pitch = roll = 0.0
    height = pose.z_m - ground
    stays = actor.is_grounded and height < _DROP_M
    if not stays and (height > 0 or actor.fall_mps > 0):
        actor.fall_mps -= GRAVITY_MPS2 * dt_s
        height += actor.fall_mps * dt_s
    actor.is_grounded = stays or height <= 0
    if actor.is_grounded:
        actor.fall_mps, height = 0.0, 0.0
    else:
        pitch, roll = pose.pitch_rad, pose.roll_rad
    _lay(actor, ground + height, pitch, roll)


def _lay(actor: Actor, z: float, pitch: float, roll: float) -> None:
    pose = actor.pose
    actor.pose = Pose(pose.x_m, pose.y_m, z, pitch, pose.yaw_rad, roll)
