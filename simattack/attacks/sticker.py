"""A printed sticker, or a set of them, on a surface of the scene, such as a stop sign's face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simattack.errors import ConfigError
from simattack.patchfile import load_patch
from simattack.placement import Placement, in_outline, place
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.types import Floats, Frame, Image, Observation, Surface, World

FILLS = ("image", "grey", "noise", "code")
DEFAULT_SIZE_M = 0.37
"""A square of that side covers 29.4 % of an octagon 0.75 m across."""
GREY = 128


@register("attacks", "sticker")
@dataclass(frozen=True)
class Sticker:
    """A picture of stated size on a stated surface, painted before the first tick.

    Where the picture is transparent nothing is stuck on; what is stuck on counts as its area.

    Raises:
        PatchError: at construction: the patch is missing or has another size.
        BudgetError: at ``begin``: it covers too much of the face.
    """

    needs = ("camera",)

    patch: str | None = None
    """Name of a shipped patch, or the path of a picture. ``grey`` and ``noise`` take only its
    size, place and outline."""
    surface: str = ""
    """Name in the map's catalogue; empty for the sign of the episode's own site."""
    size_m: float | tuple[float, float] | None = None
    """Width and height, or the side of a square; None for what the patch's card says."""
    centre: tuple[float, float] | None = None
    """u, v of its middle on the face, 0..1; None for what the card says, or the face's middle."""
    fill: str = "image"
    """``image`` the patch; ``grey`` or ``noise`` as controls; ``code`` a coarse picture, set by an
    optimiser through ``Running.set``."""
    cells: int = 16
    """Squares of noise along a side."""
    code: tuple[int, int] = (8, 8)
    """Rows and columns of ``code``."""
    seed: int = 0
    """Of the noise."""

    def __post_init__(self) -> None:
        # YAML gives lists; the recipe stays hashable.
        for name in ("size_m", "centre", "code"):
            value = getattr(self, name)
            if isinstance(value, list | tuple):
                if len(value) != 2:
                    raise ValueError(f"{name} needs two numbers, got {value}")
                object.__setattr__(self, name, tuple(value))
        if self.fill not in FILLS:
            raise ValueError(f"fill must be one of {', '.join(FILLS)}, got {self.fill!r}")
        if self.fill == "image" and self.patch is None:
            raise ValueError("fill 'image' needs a patch: a shipped name, or a picture's path")
        if min(self.code) < 1 or self.cells < 1:
            raise ValueError(f"code and cells must be at least 1, got {self.code}, {self.cells}")
        if self.size_m is not None and not min(_pair(self.size_m)) > 0:
            raise ValueError(f"size_m must be above 0, got {self.size_m}")
        self._content()

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SCENE,
            Knowledge.WHITE if self.fill == "image" else Knowledge.BLACK,
            Frequency.ONE_SHOT,
            Target.HIDE,
            Scope.UNIVERSAL,
            countermeasures=("jpeg", "smoothing"),
        )

    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest parameters (rows * columns * 3,) of ``code``."""
        count = self.code[0] * self.code[1] * 3
        return np.zeros(count), np.ones(count)

    def begin(self, world: World, rng: np.random.Generator) -> Stuck:
        image, size_m, centre = self._content()
        surface = world.surface(self.surface)
        placement = place(surface, size_m, image, centre)
        world.paint(surface, placement.compose(surface.texture, image))
        return Stuck(self, world, surface, placement, image)

    def _content(self) -> tuple[Image, tuple[float, float], tuple[float, float]]:
        """The picture (h, w, 3 or 4), its width and height [m], and its place on the face."""
        size_m = None if self.size_m is None else _pair(self.size_m)
        image: Image | None = None
        centre = (0.5, 0.5)
        if self.patch is not None:
            patch = load_patch(self.patch, size_m)
            image, size_m, centre = patch.image, patch.size_m, patch.card.centre
        size_m = size_m or _pair(DEFAULT_SIZE_M)
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
            raise ConfigError("a sticker with fill 'image' needs a patch")
        return image, size_m, centre if self.centre is None else self.centre


class Stuck:
    """A sticker in place."""

    def __init__(
        self,
        recipe: Sticker,
        world: World,
        surface: Surface,
        placement: Placement,
        image: Image,
    ) -> None:
        self._recipe = recipe
        self._world = world
        self._surface = surface
        self._placement = placement
        self._outline = image
        self._is_over = False

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        """The sensors themselves are left alone."""
        return obs

    def set(self, parameters: Floats) -> None:
        """Show a coarse picture, flat (rows * columns * 3,) in 0..1, rows first.

        Raises:
            ConfigError: the sticker is not a ``code``, or the vector does not fit.
        """
        low, high = self._recipe.box
        if self._recipe.fill != "code" or np.shape(parameters) != low.shape:
            raise ConfigError(
                f"expected {low.size} parameters of a sticker with fill 'code', got "
                f"{np.size(parameters)} for fill {self._recipe.fill!r}"
            )
        values = np.asarray(parameters, float).clip(low, high).reshape(*self._recipe.code, 3)
        picture = in_outline(np.asarray(np.rint(values * 255), np.uint8), self._outline)
        self._world.paint(self._surface, self._placement.compose(self._surface.texture, picture))

    def end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._world.restore(self._surface)


def _pair(size_m: Any) -> tuple[float, float]:
    if isinstance(size_m, tuple):
        return float(size_m[0]), float(size_m[1])
    return float(size_m), float(size_m)
