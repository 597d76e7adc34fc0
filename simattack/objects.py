"""What a detector would call the actors of a world, and how they lie in its pictures."""

from __future__ import annotations

import numpy as np

from simattack.geometry import position_m, to_world
from simattack.types import ActorState, Floats, Pose, Surface

_KINDS = (
    ("walker.", "person"),
    ("bike", "bicycle"),
    ("century", "bicycle"),
    ("omafiets", "bicycle"),
    ("harley", "motorcycle"),
    ("kawasaki", "motorcycle"),
    ("vespa", "motorcycle"),
    ("yamaha", "motorcycle"),
    ("fusorosa", "bus"),
    ("carlacola", "truck"),
    ("firetruck", "truck"),
    ("european_hgv", "truck"),
    ("vehicle.", "car"),
)
"""Part of CARLA's type id -> class; the first that fits."""


def class_of(kind: str) -> str | None:
    """The class in ``CLASS_NAMES`` of a CARLA type id; None: it is nothing that cars look for."""
    return next((name for part, name in _KINDS if part in kind), None)


def actor_corners(actor: ActorState) -> Floats:
    """(8, 3) corners of an actor's bounding box in the world [m]."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    return to_world(signs * actor.half_extent_m + actor.box_middle_m, actor.pose)


def faces(surface: Surface, viewer: Pose) -> bool:
    """Whether a viewer stands before a surface, whose corners are in the world, not behind it."""
    corners = surface.corners_m
    right, down = corners[1] - corners[0], corners[3] - corners[0]
    # By components, whatever the handedness: ahead is x, right is y and down is -z for a viewer,
    # and (0, 1, 0) x (0, 0, -1) = (-1, 0, 0) comes back at them.
    normal = np.cross(right, down)
    away = position_m(viewer) - corners.mean(0)
    return float(normal @ away) > 0
