"""A board beside the road that shows a picture, for good or for a time, as digital boards do.

Who says so: Zhou et al., DeepBillboard (ICSE 2020), against steering; Patel et al., Adaptive
Adversarial Videos on Roadside Billboards (IROS 2019). Nassi et al., Phantom of the ADAS (CCS 2020),
flash a sign for 125 ms on a hacked digital board.

Simplified: the board reflects light and sends none of its own. Its back shows the picture, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.checks import choice, number
from simattack.errors import BudgetError
from simattack.geometry import position_m
from simattack.placement import Placement
from simattack.prints import Format, Printed, Sheet, Shown, placed, within_m2
from simattack.registry import register
from simattack.standing import pole, spot, standing
from simattack.timing import Timer, Timing
from simattack.types import Frame, Image, Observation, Pose, Surface, World

STANDS = ("poles", "advertisement")
PROP = "static.prop.advertisement"
"""CARLA's own board, about 1.3 x 2.4 m."""


@register("attacks", "billboard")
@dataclass(frozen=True)
class Billboard(Printed):
    """A picture on a board of its own size on two poles, or on CARLA's advertisement board.

    Raises:
        PatchError: at construction: the patch is missing or has another size.
        BudgetError: at ``begin``: it is too large, or stands in the lane.
        ConfigError: at ``begin``: the lane is not that long.
    """

    MAX_AREA_M2 = 30.0
    """Large roadside boards have about 18 m2 in Europe and 63 m2 in the US; assumed."""
    MIN_ASIDE_M = 2.5
    """From the lane's middle to the board's nearer edge: half a lane and a verge."""
    USUAL_SIZE_M = (1.2, 2.0)
    GOAL = "appear"
    FORMAT = Format(cells=96)

    stand: str = "poles"
    """``poles``, or ``advertisement``: the prop of that name, whose face the picture must fit."""
    ahead_m: float = 30.0
    """Along the lane from the middle of the car at the start."""
    right_m: float = 6.0
    """Of its middle from the lane's; negative to the left."""
    at: tuple[float, float, float, float] | None = None
    """x, y, z [m], yaw [deg] of the traffic in the world, instead of a place along the lane."""
    bottom_m: float = 1.0
    """Of its lower edge above the ground, on poles."""
    turn_deg: float = 0.0
    """Clockwise seen from above; 0 faces the traffic."""
    timing: Timing = Timing()  # noqa: RUF009  it is frozen
    """When the picture is shown; the board stands there all along, grey when it is not."""

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("stand", self.stand, STANDS)
        number("bottom_m", self.bottom_m, 0.0, 10.0)
        number("turn_deg", self.turn_deg, -180.0, 180.0)
        object.__setattr__(self, "timing", Timing.of(self.timing))
        object.__setattr__(self, "at", spot(self.ahead_m, self.right_m, self.at).at)

    def begin(self, world: World, rng: np.random.Generator) -> OnBoard:
        sheet = self.sheet()
        within_m2("a billboard", sheet.area_m2, self.MAX_AREA_M2, "Billboard.MAX_AREA_M2")
        aside_m = abs(self.right_m) - sheet.size_m[0] / 2 * abs(np.cos(np.deg2rad(self.turn_deg)))
        if self.at is None and aside_m < self.MIN_ASIDE_M:
            raise BudgetError(
                f"a billboard whose edge is {aside_m:.2f} m from the lane's middle stands in the "
                f"way; expected at least Billboard.MIN_ASIDE_M, {self.MIN_ASIDE_M:g} m"
            )
        place = spot(self.ahead_m, self.right_m, self.at).pose(world)
        name, turn_rad = (
            f"billboard_{place.x_m:.1f}_{place.y_m:.1f}",
            float(np.deg2rad(self.turn_deg)),
        )
        others: list[tuple[Surface, Image]] = []
        props: list[int] = []
        if self.stand == "advertisement":
            turned = Pose(place.x_m, place.y_m, place.z_m, yaw_rad=place.yaw_rad + turn_rad)
            props.append(world.put(PROP, turned))
            try:
                where = placed(world.surface(f"prop:{props[0]}:front"), sheet)
            except BaseException:
                world.take(props[0])
                raise
        else:
            board = standing(name, place, sheet.size_m, self.bottom_m, turn_rad, finest_px=512)
            where = placed(board, sheet)
            if self.bottom_m:
                aside = 0.35 * sheet.size_m[0]
                others = [
                    pole(f"{name}_pole_{k}", place, self.bottom_m, right_m)
                    for k, right_m in enumerate((-aside, aside))
                ]
        middle = position_m(place)
        return OnBoard(self, world, sheet, where, Timer(self.timing, middle), others, props)


class OnBoard(Shown):
    """A board in place; it changes its picture when its timing says so."""

    def __init__(
        self,
        recipe: Billboard,
        world: World,
        sheet: Sheet,
        where: tuple[Surface, Placement],
        timer: Timer,
        others: list[tuple[Surface, Image]],
        props: list[int],
    ) -> None:
        self._timer = timer
        self._is_lit = recipe.timing.event == "start" and recipe.timing.start_s == 0
        super().__init__(recipe, world, sheet, [where], others, props)
        if not self._is_lit:
            self.show(self._dark)

    @property
    def _dark(self) -> Image:
        return np.full((1, 1, 3), 128, np.uint8)

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        """Changes the board; the sensors themselves are left alone."""
        if not self._is_over:
            is_lit = self._timer.is_on(frame)
            if is_lit != self._is_lit:
                self._is_lit = is_lit
                self.show(self._sheet.image if is_lit else self._dark)
        return obs
