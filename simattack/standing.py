"""Boards that stand beside a road and sheets that lie on it: where their corners are.

Convention: ``place`` is on the ground and looks along the traffic that is to see it; a board faces
that traffic, turned clockwise seen from above by ``turn_rad``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simattack.checks import is_number, number
from simattack.geometry import compose, to_world
from simattack.panels import FINEST_PX, PLAIN, blank
from simattack.types import Image, Pose, Surface, World

LIFT_M = 0.008
"""Of a sheet above the ground, on top of a carrier's own gap: lines of paint lie 12 mm high."""
POLE_M = 0.06
STEEL = (120, 120, 124)


def standing(
    name: str,
    place: Pose,
    size_m: tuple[float, float],
    bottom_m: float,
    turn_rad: float = 0.0,
    color: tuple[int, int, int] = PLAIN,
    finest_px: int = FINEST_PX,
) -> Surface:
    """An upright board of that width and height, its lower edge so far above the ground."""
    half, top = size_m[0] / 2, bottom_m + size_m[1]
    unit = np.array([(0, -half, top), (0, half, top), (0, half, bottom_m), (0, -half, bottom_m)])
    upright = replace(place, pitch_rad=0.0, roll_rad=0.0, yaw_rad=place.yaw_rad + turn_rad)
    return blank(name, to_world(unit, upright), color, finest_px=finest_px)


def lying(
    name: str,
    place: Pose,
    size_m: tuple[float, float],
    color: tuple[int, int, int] = PLAIN,
    finest_px: int = FINEST_PX,
) -> Surface:
    """A sheet of that width and length on the ground, its upper edge the far one."""
    half, far = size_m[0] / 2, size_m[1] / 2
    up = LIFT_M
    unit = np.array([(far, -half, up), (far, half, up), (-far, half, up), (-far, -half, up)])
    return blank(name, to_world(unit, place), color, finest_px=finest_px)


def pole(name: str, place: Pose, height_m: float, right_m: float = 0.0) -> tuple[Surface, Image]:
    """A pole that far to the right of a place, and what it shows."""
    foot = compose(replace(place, pitch_rad=0.0, roll_rad=0.0), Pose(x_m=POLE_M, y_m=right_m))
    surface = standing(name, foot, (POLE_M, height_m), 0.0, color=STEEL)
    shown = np.dstack([surface.texture, np.full(surface.texture.shape[:2], 255, np.uint8)])
    return surface, shown


@dataclass(frozen=True)
class Spot:
    """A place by the road: along the ego's lane from where it starts, or anywhere."""

    ahead_m: float = 30.0
    """Along the lane, from the middle of the car at the start."""
    right_m: float = 0.0
    """To the right of the lane's middle; negative to the left."""
    at: tuple[float, float, float, float] | None = None
    """x, y, z [m], yaw [deg] in the world instead; the yaw is that of the traffic."""

    def pose(self, world: World) -> Pose:
        """On the ground.

        Raises:
            ConfigError: the lane is not that long.
        """
        if self.at is None:
            return world.lane(self.ahead_m, self.right_m)
        x, y, z, yaw_deg = self.at
        return Pose(x, y, z, yaw_rad=float(np.deg2rad(yaw_deg)))


def spot(ahead_m: Any, right_m: Any, at: Any) -> Spot:
    """A checked one, out of an attack's options.

    Raises:
        ValueError: a value makes no sense.
    """
    number("ahead_m", ahead_m, 0.0, 500.0)
    number("right_m", right_m, -50.0, 50.0)
    if at is None:
        return Spot(ahead_m, right_m)
    if not isinstance(at, list | tuple) or len(at) != 4 or not all(is_number(v) for v in at):
        raise ValueError(f"at needs four numbers, x, y, z [m] and yaw [deg], got {at!r}")
    x, y, z, yaw_deg = (float(value) for value in at)
    return Spot(at=(x, y, z, yaw_deg))
