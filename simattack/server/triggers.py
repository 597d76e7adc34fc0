"""Boxes on the road in which tyres grip better or worse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from simattack.types import Pose

Size = tuple[float, float, float]


@dataclass(frozen=True)
class FrictionBox:
    """A ``static.trigger.friction``: its tyre friction, and where; it stands upright."""

    pose: Pose
    """Of its centre."""
    half_m: Size
    friction: float
    """What every wheel's ``tire_friction`` becomes inside."""

    @classmethod
    def of(cls, pose: Pose, attributes: Mapping[str, str]) -> FrictionBox:
        """Out of an actor's attributes: half extents in centimetres, as in CARLA."""
        x, y, z = (float(attributes.get(f"extent_{axis}", "100")) / 100 for axis in "xyz")
        return cls(pose, (abs(x), abs(y), abs(z)), float(attributes.get("friction", "3.5")))

    def touches(self, pose: Pose, size_m: Size) -> bool:
        """Whether it overlaps a vehicle's box, whose ``pose`` is the centre of its floor."""
        length, width, height = size_m
        if abs(pose.z_m + height / 2 - self.pose.z_m) > height / 2 + self.half_m[2]:
            return False
        gap = (pose.x_m - self.pose.x_m, pose.y_m - self.pose.y_m)
        mine, other = self.pose.yaw_rad, pose.yaw_rad
        half = (length / 2, width / 2)
        # Two rectangles lie apart if they do along one of the four directions of their sides.
        for yaw in (mine, mine + math.pi / 2, other, other + math.pi / 2):
            reach = _reach(self.half_m[:2], mine - yaw) + _reach(half, other - yaw)
            if abs(gap[0] * math.cos(yaw) + gap[1] * math.sin(yaw)) > reach:
                return False
        return True


def _reach(half: tuple[float, float], turn_rad: float) -> float:
    """Half the extent of a rectangle that is turned by ``turn_rad`` against an axis."""
    return half[0] * abs(math.cos(turn_rad)) + half[1] * abs(math.sin(turn_rad))
