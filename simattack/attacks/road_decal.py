"""A picture stuck or painted on the road, in the lane ahead of the car.

Who says so: Sato et al., Dirty Road Can Attack (USENIX Security 2021), against lane keeping.

Simplified: the paint is as matt as the road, lies flat on it, and mirrors nothing when it is wet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.prints import Format, Printed, Shown, placed, within_m2
from simattack.registry import register
from simattack.standing import lying, spot
from simattack.types import World


@register("attacks", "road_decal")
@dataclass(frozen=True)
class RoadDecal(Printed):
    """A picture of stated width and length, its upper edge the one further ahead.

    Raises:
        PatchError: at construction: the patch is missing or has another size.
        BudgetError: at ``begin``: it is too large.
        ConfigError: at ``begin``: the lane is not that long.
    """

    MAX_AREA_M2 = 130.0
    """3.6 m, a lane's width, by the 36 m of the longest patch of Sato et al."""
    USUAL_SIZE_M = (1.5, 3.0)
    GOAL = "appear"
    FORMAT = Format(cells=96, distance_m=(5.0, 30.0))
    """From further away it is a line."""

    ahead_m: float = 30.0
    """Of its middle, along the lane from the middle of the car at the start."""
    right_m: float = 0.0
    """Of the lane's middle; negative to the left."""
    at: tuple[float, float, float, float] | None = None
    """x, y, z [m], yaw [deg] of the traffic in the world, instead of a place along the lane."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "at", spot(self.ahead_m, self.right_m, self.at).at)

    def begin(self, world: World, rng: np.random.Generator) -> Shown:
        sheet = self.sheet()
        within_m2("a decal on the road", sheet.area_m2, self.MAX_AREA_M2, "RoadDecal.MAX_AREA_M2")
        place = spot(self.ahead_m, self.right_m, self.at).pose(world)
        name = f"road_decal_{place.x_m:.1f}_{place.y_m:.1f}"
        return Shown(self, world, sheet, [placed(lying(name, place, sheet.size_m), sheet)])
