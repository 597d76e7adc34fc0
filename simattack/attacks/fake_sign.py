"""A sign on a pole where none was: real to the eye, put there by nobody's office.

Who says so: Morgulis et al., Fooling a Real Car with Adversarial Traffic Signs (2019), with printed
signs that a production car read; here the default is a plain stop sign, which needs no model.

Simplified: sign and pole are thin boards, seen from behind as well. A server that cuts nothing out
shows a square sign, and no pole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image as Pictures

from simattack.checks import choice, number
from simattack.errors import BudgetError
from simattack.placement import in_outline
from simattack.prints import Printed, Sheet, Shown, placed
from simattack.registry import register
from simattack.resources import find
from simattack.standing import pole, spot, standing
from simattack.surfaces import face
from simattack.types import World

SHAPES = ("octagon", "disc", "triangle", "square")
STOP_SIGN = "scenarios/maps/textures/stop_sign.png"


@register("attacks", "fake_sign")
@dataclass(frozen=True)
class FakeSign(Printed):
    """A sign that faces the car's lane, on a pole on the ground.

    Raises:
        PatchError: at construction: the patch is missing or has another size.
        BudgetError: at ``begin``: it is larger or higher than a sign, or stands in the lane.
        ConfigError: at ``begin``: the lane is not that long.
    """

    MAX_SIDE_M = 1.25
    """Above the 48 in of the largest stop signs; assumed."""
    MAX_HEIGHT_M = 4.0
    MIN_ASIDE_M = 2.0
    """From the lane's middle: nearer, cars would hit it."""
    USUAL_SIZE_M = (0.75, 0.75)
    GOAL = "appear"

    shape: str = "octagon"
    """What it is cut to: ``octagon``, ``disc``, ``triangle`` on its tip, or ``square``."""
    ahead_m: float = 30.0
    """Along the lane from the middle of the car at the start."""
    right_m: float = 3.0
    """Of the lane's middle; negative to the left."""
    at: tuple[float, float, float, float] | None = None
    """x, y, z [m], yaw [deg] of the traffic in the world, instead of a place along the lane."""
    height_m: float = 2.2
    """Of its middle above the ground."""
    turn_deg: float = 0.0
    """Clockwise seen from above; 0 faces the traffic."""
    has_pole: bool = True
    """Leave it away on a server that cuts nothing out: it would be a square board there."""

    def __post_init__(self) -> None:
        choice("shape", self.shape, SHAPES)
        super().__post_init__()
        number("height_m", self.height_m, 0.5)
        number("turn_deg", self.turn_deg, -180.0, 180.0)
        object.__setattr__(self, "at", spot(self.ahead_m, self.right_m, self.at).at)

    @property
    def _picture(self) -> str | None:
        return self.patch or ("stop sign" if self.fill == "image" else None)

    def sheet(self) -> Sheet:
        if self.patch is None and self.fill == "image":
            with Pictures.open(find(STOP_SIGN)) as picture:
                whole = Sheet(np.asarray(picture.convert("RGB")), self.USUAL_SIZE_M)
        else:
            whole = super().sheet()
        shape = face(self.shape, (128, 128))
        outline = np.dstack(
            [np.zeros((128, 128, 3), np.uint8), np.where(shape, 255, 0).astype(np.uint8)]
        )
        return Sheet(in_outline(whole.image[:, :, :3], outline), whole.size_m, goal=whole.goal)

    def begin(self, world: World, rng: np.random.Generator) -> Shown:
        sheet = self.sheet()
        width_m, height_m = sheet.size_m
        if max(sheet.size_m) > self.MAX_SIDE_M:
            raise BudgetError(
                f"a sign of {width_m:g} x {height_m:g} m is larger than FakeSign.MAX_SIDE_M, "
                f"{self.MAX_SIDE_M:g} m; make it smaller"
            )
        bottom_m = self.height_m - height_m / 2
        if bottom_m < 0 or bottom_m + height_m > self.MAX_HEIGHT_M:
            raise BudgetError(
                f"a sign from {bottom_m:.2f} to {bottom_m + height_m:.2f} m above the ground "
                f"stands on no pole of 0 to FakeSign.MAX_HEIGHT_M, {self.MAX_HEIGHT_M:g} m"
            )
        if self.at is None and abs(self.right_m) < self.MIN_ASIDE_M:
            raise BudgetError(
                f"a sign {self.right_m:g} m beside the lane's middle stands in the way of cars; "
                f"put it at least FakeSign.MIN_ASIDE_M, {self.MIN_ASIDE_M:g} m, aside"
            )
        place = spot(self.ahead_m, self.right_m, self.at).pose(world)
        name, turn_rad = f"fake_sign_{place.x_m:.1f}_{place.y_m:.1f}", np.deg2rad(self.turn_deg)
        sign = standing(name, place, sheet.size_m, bottom_m, turn_rad, finest_px=256)
        poles = [pole(f"{name}_pole", place, bottom_m)] if self.has_pole and bottom_m else []
        return Shown(self, world, sheet, [placed(sign, sheet)], poles)
