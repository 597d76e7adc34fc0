"""Actors as oriented boxes on the ground: outlines, gaps and times to contact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from simattack.types import ActorState, Floats


def is_road_user(actor: ActorState) -> bool:
    """Vehicles and walkers; not signs, props, sensors or the scenery."""
    return actor.kind.startswith(("vehicle.", "walker."))


def outlines(actors: Sequence[ActorState]) -> Floats:
    """(N, 4, 2) corners of the boxes on the ground, world frame [m], in order around."""
    yaw = np.array([actor.pose.yaw_rad for actor in actors])
    half = np.array([actor.half_extent_m[:2] for actor in actors]).reshape(-1, 2)
    middle = np.array([(actor.pose.x_m, actor.pose.y_m) for actor in actors]).reshape(-1, 2)
    forward = np.stack([np.cos(yaw), np.sin(yaw)], axis=1) * half[:, :1]
    right = np.stack([-np.sin(yaw), np.cos(yaw)], axis=1) * half[:, 1:]
    sides = [forward - right, forward + right, right - forward, -right - forward]
    corners: Floats = middle[:, None] + np.stack(sides, axis=1)
    return corners


def gaps_m(one: Floats, others: Floats) -> Floats:
    """(N,) distance of an outline, or of N, to others (N, 4, 2) [m]; 0 where they overlap."""
    return np.asarray(shapely.distance(shapely.polygons(one), shapely.polygons(others)))


def times_to_contact_s(one: Floats, others: Floats, velocity_mps: Floats) -> Floats:
    """(N,) time until moving outlines first touch, by constant velocity without turning [s].

    For boxes in one line this is gap over closing speed. 0 where they overlap; infinite where
    they never touch.

    Args:
        one: (4, 2), or (N, 4, 2): another one for each.
        others: (N, 4, 2).
        velocity_mps: (N, 2) of the others, as seen from ``one``.

    Source: Ericson, Real-Time Collision Detection (2005), section 5.5.8 (moving separating axes).
    """
    enter = np.full(len(others), -np.inf)
    leave = np.full(len(others), np.inf)
    ones = np.broadcast_to(one, others.shape)
    for shape in (ones, others):
        for first in (0, 1):
            axis = shape[:, first + 1] - shape[:, first]  # (N, 2)
            axis = axis / np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-12)
            mine, theirs = (np.einsum("nkd,nd->nk", box, axis) for box in (ones, others))
            speed = np.sum(velocity_mps * axis, axis=1)
            ahead = mine.min(axis=1) - theirs.max(axis=1)
            behind = mine.max(axis=1) - theirs.min(axis=1)
            moves = np.abs(speed) > 1e-9
            safe = np.where(moves, speed, 1.0)
            times = np.sort(np.stack([ahead / safe, behind / safe]), axis=0)
            # Without motion along this axis the shadows overlap for ever or never.
            apart = (ahead > 0) | (behind < 0)
            enter = np.maximum(enter, np.where(moves, times[0], np.where(apart, np.inf, -np.inf)))
            leave = np.minimum(leave, np.where(moves, times[1], np.inf))
    hit = (enter <= leave) & (leave >= 0)
    return np.where(hit, np.maximum(enter, 0.0), np.inf)
