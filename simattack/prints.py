"""What is printed, of which size, and on what: the part that all prints in the scene share.

An attack (``attacks/sticker.py`` and its like) says which surfaces it takes and what its budget is.
Prints are put there through CARLA's client, in metres, so that light, distance, occlusion and blur
act on them; nothing is ever pasted into a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from simattack.checks import choice
from simattack.errors import BudgetError, ConfigError
from simattack.patchfile import load_patch
from simattack.placement import Placement, in_outline, place
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Floats, Frame, Image, Observation, Running, Surface, World

FILLS = ("image", "grey", "noise", "code")
GOALS = {
    "hide": Target.HIDE,
    "appear": Target.APPEAR,
    "misclassify": Target.MISCLASSIFY,
    "overload": Target.OVERLOAD,
}
"""What a print is to make of things; ``overload`` is a flood of boxes."""
GREY = 128
MIN_SIZE_M, MAX_SIZE_M = 0.001, 100.0
IMAGE_DEFENSES = (
    "jpeg", "bit_depth", "median", "noise", "resizing", "smoothing", "entropy", "squeezing",
    "segmenter", "persistence", "masking", "distilled", "retrained",
)  # fmt: skip
"""That claim to answer what a camera is shown."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A picture (h, w, 3 or 4), its width and height [m], and its place on a face in u, v."""

    image: Image
    size_m: tuple[float, float]
    centre: tuple[float, float] = (0.5, 0.5)
    goal: str = ""
    """Of its card."""

    @property
    def area_m2(self) -> float:
        """Of the whole picture, transparent parts and all."""
        return self.size_m[0] * self.size_m[1]


@dataclass(frozen=True)
class Format:
    """What an optimiser makes for an attack where nobody says otherwise."""

    size_m: tuple[float, float] | None = None
    """Width and height of the whole picture; None for ``USUAL_SIZE_M``."""
    pieces: int = 1
    """Equal pictures along each side; 1 for a single one."""
    gap_m: float = 0.0
    """Between neighbours of a set."""
    cells: int = 64
    """Of the picture, along its longer side."""
    distance_m: tuple[float, float] = (7.0, 60.0)
    """From the camera, nearest and farthest, that it is made for."""


@runtime_checkable
class Showing(Running, Protocol):
    """One run of a print, as ``optimize`` asks for it: any attack that offers this can be made for.

    Its recipe takes ``patch`` and ``fill`` as ``Printed`` does.
    """

    @property
    def sheet(self) -> Sheet:
        """What is printed."""
        ...

    @property
    def places(self) -> Sequence[tuple[Surface, Placement]]:
        """The surfaces that show it, each with where it lies on them."""
        ...


@dataclass(frozen=True)
class Printed:
    """The options of every print.

    Raises:
        ValueError: at construction: a value makes no sense.
        PatchError: at construction: the patch is missing or has another size.
    """

    USUAL_SIZE_M: ClassVar[tuple[float, float]] = (0.37, 0.37)
    """Of a control that has neither patch nor size."""
    GOAL: ClassVar[str] = "hide"
    FORMAT: ClassVar[Format] = Format()
    needs: ClassVar[tuple[str, ...]] = ("camera",)

    patch: str | None = None
    """Name of a shipped patch, or the path of a picture. ``grey`` and ``noise`` take only its
    size, place and outline."""
    size_m: float | tuple[float, float] | None = None
    """Width and height, or the side of a square; None for what the patch's card says."""
    fill: str = "image"
    """``image`` the patch; ``grey`` or ``noise`` as controls; ``code`` a coarse picture, set by an
    optimiser through ``Running.set``."""
    cells: int = 16
    """Squares of noise along a side."""
    code: tuple[int, int] = (8, 8)
    """Rows and columns of ``code``."""
    seed: int = 0
    """Of the noise."""
    goal: str = ""
    """``hide``, ``appear``, ``misclassify`` or ``overload``; empty for what the patch's card says,
    or the usual one of the attack."""

    def __post_init__(self) -> None:
        # YAML gives lists; the recipe stays hashable.
        for name in ("size_m", "centre", "code"):
            value = getattr(self, name, None)
            if isinstance(value, list | tuple):
                if len(value) != 2:
                    raise ValueError(f"{name} needs two numbers, got {value}")
                object.__setattr__(self, name, tuple(value))
        choice("fill", self.fill, FILLS)
        choice("goal", self.goal, ("", *GOALS))
        if self.patch == "" or (self.fill == "image" and not self._picture):
            raise ValueError("fill 'image' needs a patch: a shipped name, or a picture's path")
        if not isinstance(self.code, tuple) or not all(map(_is_count, (*self.code, self.cells))):
            raise ValueError(
                "code needs two whole numbers and cells one, each at least 1, got "
                f"{self.code!r}, {self.cells!r}"
            )
        sides_m = () if self.size_m is None else pair(self.size_m)
        if not all(MIN_SIZE_M <= side_m <= MAX_SIZE_M for side_m in sides_m):
            raise ValueError(f"size_m must be {MIN_SIZE_M:g} to {MAX_SIZE_M:g}, got {self.size_m}")
        self.sheet()

    @property
    def threat(self) -> ThreatModel:
        of_card = "" if self.patch is None else self.sheet().goal
        goal = self.goal or of_card or self.GOAL
        return ThreatModel(
            Stage.SCENE,
            Knowledge.WHITE if self.fill == "image" else Knowledge.BLACK,
            Frequency.ONE_SHOT,
            GOALS[goal],
            Scope.UNIVERSAL,
            countermeasures=(*IMAGE_DEFENSES, "cross_sensor", "sign_memory"),
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest parameters (rows * columns * 3,) of ``code``."""
        count = self.code[0] * self.code[1] * 3
        return np.zeros(count), np.ones(count)

    @property
    def _picture(self) -> str | None:
        """Name of the patch, or of what is printed without one."""
        return self.patch

    def sheet(self) -> Sheet:
        """What is printed.

        Raises:
            PatchError: the patch is missing or has another size.
        """
        size_m = None if self.size_m is None else pair(self.size_m)
        image: Image | None = None
        centre, goal = (0.5, 0.5), ""
        if self._picture is not None:
            patch = load_patch(self._picture, size_m)
            image, size_m = patch.image, patch.size_m
            centre, goal = patch.card.centre, patch.card.goal
        size_m = size_m or self.USUAL_SIZE_M
        plain: Image | None = None
        if self.fill == "grey":
            plain = np.full((1, 1, 3), GREY, np.uint8)
        elif self.fill == "noise":
            noise = np.random.default_rng(self.seed)
            rows = max(1, round(self.cells * size_m[1] / size_m[0]))
            plain = noise.integers(0, 256, (rows, self.cells, 3), dtype=np.uint8)
        elif self.fill == "code":
            plain = np.full((*self.code, 3), GREY, np.uint8)
        if plain is not None:
            image = plain if image is None else in_outline(plain, image)
        if image is None:  # excluded in __post_init__
            raise ConfigError("a print with fill 'image' needs a patch")
        return Sheet(image, size_m, getattr(self, "centre", None) or centre, goal)


class Shown:
    """A print in place, once on each of some surfaces.

    Args:
        recipe: of it.
        world: where.
        sheet: what is printed.
        places: surfaces, each with where the sheet lies on it.
        others: surfaces that show something of their own, such as a pole, with what they show.
        props: ids of what was put up for it; taken away at the end.
    """

    def __init__(
        self,
        recipe: Printed,
        world: World,
        sheet: Sheet,
        places: Sequence[tuple[Surface, Placement]],
        others: Sequence[tuple[Surface, Image]] = (),
        props: Sequence[int] = (),
    ) -> None:
        self._recipe = recipe
        self._world = world
        self._sheet = sheet
        self._places = tuple(places)
        self._others = tuple(others)
        self._props = tuple(props)
        self._is_over = False
        for surface, texture in self._others:
            world.paint(surface, texture)
        self.show(sheet.image)

    @property
    def sheet(self) -> Sheet:
        """What is printed."""
        return self._sheet

    @property
    def places(self) -> tuple[tuple[Surface, Placement], ...]:
        """The surfaces that show it, each with where it lies on them."""
        return self._places

    def show(self, picture: Image) -> None:
        """Print another picture (h, w, 3 or 4) on all surfaces."""
        for surface, placement in self._places:
            self._world.paint(surface, texture_of(surface, placement, picture))

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        """The sensors themselves are left alone."""
        return obs

    def set(self, parameters: Floats) -> None:
        """Show a coarse picture, flat (rows * columns * 3,) in 0..1, rows first.

        Raises:
            ConfigError: the print is not a ``code``, or the vector does not fit.
        """
        low, high = self._recipe.box
        if self._recipe.fill != "code" or np.shape(parameters) != low.shape:
            raise ConfigError(
                f"expected {low.size} parameters of a print with fill 'code', got "
                f"{np.size(parameters)} for fill {self._recipe.fill!r}"
            )
        if np.isnan(parameters).any():
            raise ConfigError("expected finite parameters of a print, got NaN among them")
        values = np.asarray(parameters, float).clip(low, high).reshape(*self._recipe.code, 3)
        self.show(in_outline(np.asarray(np.rint(values * 255), np.uint8), self._sheet.image))

    def end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        for surface in [s for s, _ in self._places] + [s for s, _ in self._others]:
            self._world.restore(surface)
        for prop in self._props:
            self._world.take(prop)


def texture_of(surface: Surface, placement: Placement, picture: Image) -> Image:
    """What a surface shows with a picture on it: (H, W, 3) of an object, (H, W, 4) elsewhere."""
    if surface.object_name:
        return placement.compose(surface.texture, picture)
    return placement.cut_out(surface.texture, picture)


def placed(surface: Surface, sheet: Sheet, most: float = 1.0) -> tuple[Surface, Placement]:
    """A surface and where a sheet lies on it.

    Raises:
        BudgetError: it covers more than ``most`` of the face, or hangs over its edge.
    """
    return surface, place(surface, sheet.size_m, sheet.image, sheet.centre, most)


def within_m2(what: str, area_m2: float, most_m2: float, name: str) -> None:
    """Refuse what is larger than anybody would carry there.

    Raises:
        BudgetError: it is; ``name`` says which limit.
    """
    if area_m2 > most_m2 + 1e-9:
        raise BudgetError(
            f"{what} of {area_m2:.2f} m2 is larger than {name}, {most_m2:g} m2; make it smaller"
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def pair(size_m: Any) -> tuple[float, float]:
    """Width and height of a size, or the side of a square."""
    if isinstance(size_m, tuple):
        return float(size_m[0]), float(size_m[1])
    return float(size_m), float(size_m)
