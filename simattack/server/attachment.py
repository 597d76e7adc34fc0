"""Spring arms: how CARLA lets a camera follow a car softly.

An arm turns about the parent's origin. It keeps its own pitch, has no roll, and follows the
parent's yaw with a lag that fades eight times a second. Its end looks along the arm, turned on by
the mount's own rotation. One of kind SPRING_ARM pivots 0.3 m above the origin and is pulled in by
what stands in between; a SPRING_ARM_GHOST does neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from simattack import geometry
from simattack.types import Floats, Pose

RIGID, SPRING_ARM, SPRING_ARM_GHOST = 0, 1, 2
"""CARLA's AttachmentType."""
LAG_PER_S = 8.0
LIFT_M = 0.3
PROBE_M = 0.12
"""A pulled-in end keeps so far from what it would touch."""

Clearance: TypeAlias = Callable[[Floats, Floats, float], float]
"""How far [m] nothing stands in the way: from a point (3,), in a unit direction (3,), at most."""


@dataclass
class SpringArm:
    """One arm."""

    mount: Pose
    """In the parent's frame, as the client gave it."""
    is_ghost: bool
    yaw_rad: float | None = None
    """Of the parent, as far as the arm has followed; None before its first tick."""

    def follow(self, parent: Pose, step_s: float, clearance: Clearance) -> Pose:
        """Where the arm's end is after another ``step_s``."""
        if self.yaw_rad is None:
            self.yaw_rad = parent.yaw_rad
        behind = math.remainder(parent.yaw_rad - self.yaw_rad, 2 * math.pi)
        self.yaw_rad += behind * (1 - math.exp(-LAG_PER_S * step_s))
        back = -np.array([self.mount.x_m, self.mount.y_m, self.mount.z_m])
        length = float(np.linalg.norm(back))
        # From the end, the arm looks back at the parent.
        yaw, pitch = math.atan2(back[1], back[0]), math.atan2(back[2], math.hypot(*back[:2]))
        lift = 0.0 if self.is_ghost else LIFT_M
        pivot = Pose(parent.x_m, parent.y_m, parent.z_m + lift, pitch, self.yaw_rad + yaw)
        if length and not self.is_ghost:
            outward = -geometry.rotation(pivot)[:, 0]
            start = np.array([pivot.x_m, pivot.y_m, pivot.z_m])
            free = clearance(start, outward, length + PROBE_M)
            length = max(0.0, min(length, free - PROBE_M))
        turn = Pose(-length, 0, 0, self.mount.pitch_rad, self.mount.yaw_rad, self.mount.roll_rad)
        return geometry.compose(pivot, turn)


def spring_arm(attachment: int, mount: Pose) -> SpringArm | None:
    """The arm of an attachment; None for a rigid one.

    Clients send whatever was in their memory where no kind was asked for: all that is no arm's
    number is rigid.
    """
    if attachment not in (SPRING_ARM, SPRING_ARM_GHOST):
        return None
    return SpringArm(mount, attachment == SPRING_ARM_GHOST)


def free_everywhere(start: Floats, direction: Floats, most_m: float) -> float:
    """The clearance of an empty world."""
    return most_m
