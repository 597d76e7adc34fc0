"""One episode of anything on the camera's window: timing, captures, parameters, and its twin.

A deposit (``attacks/lens_*.py``) says what it is made of and draws its film; what is here is the
same for all. The film acts on the light of each capture and holds until the next: an image taken
before the deposit was there stays clean on the ticks that repeat it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from simattack.errors import BudgetError
from simattack.lens import CLEAN_BELOW, Optics, View, number, view_of
from simattack.light import behind, codes_of, light_of, shown
from simattack.onsensor import Moment, OnSensor
from simattack.raster import Array
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timing
from simattack.types import Camera, Floats, Frame, Image, Observation, World

if TYPE_CHECKING:
    from torch import Tensor

ALWAYS = Timing()
SOILING = ThreatModel(
    Stage.SENSOR,
    Knowledge.BLACK,
    Frequency.ONE_SHOT,
    Target.DEGRADE,
    Scope.UNIVERSAL,
    countermeasures=("lens_check", "retrained"),
)
"""Of a deposit that somebody leaves on the window and knows nothing for."""
_COARSE = 4
"""Budgets are counted on a picture so many times smaller than the car's."""
_ROUNDING = 0.002
"""Of a share counted in cells."""


class Film(Protocol):
    """What light becomes on its way through the window."""

    def over(self, light: Array) -> Array:
        """(..., 3, H, W) linear light."""
        ...


class Deposit(Protocol):
    """The recipe of something on the window."""

    is_growing: ClassVar[bool]
    """Whether the film depends on ``elapsed_s``."""

    @property
    def optics(self) -> Optics: ...
    @property
    def timing(self) -> Timing: ...
    @property
    def surface(self) -> str: ...
    @property
    def box(self) -> tuple[Floats, Floats]:
        """Lowest and highest parameters (n,)."""
        ...

    def draw(self, rng: np.random.Generator) -> tuple[Floats, Any]:
        """Parameters (n,) to begin with, and the grain: what chance fixes for the episode."""
        ...

    def film(self, parameters: Array, grain: Any, view: View, elapsed_s: float) -> Film:
        """The film of (n,) float64 parameters, numpy's or torch's."""
        ...

    def check(self, parameters: Floats, grain: Any, view: View) -> None:
        """Refuse what breaks the budget.

        Raises:
            BudgetError: it does.
        """
        ...


class OnLens:
    """A deposit in one episode.

    Raises:
        BudgetError: what was drawn breaks the recipe's budget.
    """

    def __init__(self, recipe: Deposit, world: World | None, rng: np.random.Generator) -> None:
        self._recipe = recipe
        self._running = OnSensor(recipe, world, "camera", self._see, self._take)
        self._parameters, self._grain = recipe.draw(rng)
        self._check(self._parameters)
        self._film: tuple[Any, Film] | None = None

    @property
    def parameters(self) -> Floats:
        """(n,) those in force."""
        return self._parameters.copy()

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        """The picture through the deposit; the other sensors as they are."""
        return self._running.tamper(obs, frame)

    def set(self, parameters: Floats) -> None:
        """New parameters (n,), clipped to the recipe's box; seen from the next capture on.

        Raises:
            ConfigError: the vector does not fit.
            BudgetError: they break the budget; the old ones stay.
        """
        self._running.set(parameters)

    def end(self) -> None:
        self._running.end()
        # Tens of megabytes, which would wait for the garbage collector: self is in a ring.
        self._film = None

    def render(
        self, images: Tensor, parameters: Tensor | None = None, elapsed_s: float = 0.0
    ) -> Tensor:
        """What ``tamper`` makes of images, in torch: with gradients to both arguments.

        Args:
            images: (B, 3, H, W) in 0..1.
            parameters: (n,) inside the box, not checked; None: those in force.
            elapsed_s: since the deposit is on.

        Returns:
            (B, 3, H, W) in 0..1, not rounded to codes.
        """
        import torch

        if parameters is None:
            parameters = torch.as_tensor(self._parameters, device=images.device)
        view = view_of(images.shape[3], images.shape[2], self._recipe.optics)
        film = self._recipe.film(parameters.double(), self._grain, view, elapsed_s)
        return shown(film.over(behind(images)))

    def _take(self, parameters: Floats) -> None:
        self._check(parameters)
        self._parameters, self._film = parameters, None

    def _see(self, image: NDArray[np.uint8], moment: Moment) -> Image:
        elapsed_s = moment.on_s or 0.0
        key = (image.shape, elapsed_s if self._recipe.is_growing else None)
        if self._film is None or self._film[0] != key:
            view = view_of(image.shape[1], image.shape[0], self._recipe.optics)
            film = self._recipe.film(self._parameters, self._grain, view, elapsed_s)
            self._film = (key, film)
        light = np.ascontiguousarray(light_of(image).transpose(2, 0, 1))
        seen = np.maximum(self._film[1].over(light), 0)
        return np.ascontiguousarray(codes_of(seen.astype(np.float32)).transpose(1, 2, 0))

    def _check(self, parameters: Floats) -> None:
        camera = Camera()
        self._recipe.check(
            parameters,
            self._grain,
            view_of(camera.width_px // _COARSE, camera.height_px // _COARSE, self._recipe.optics),
        )


def normalise(recipe: Any) -> None:
    """Turn the mappings and lists of a scenario file into what a frozen recipe holds.

    Raises:
        ValueError: one does not fit.
    """
    object.__setattr__(recipe, "optics", Optics.of(recipe.optics))
    object.__setattr__(recipe, "timing", Timing.of(recipe.timing))
    if not isinstance(recipe.surface, str):
        raise ValueError(f"surface must be a name, got {recipe.surface!r}")
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if field.name == "colour":
            if not isinstance(value, list | tuple) or len(value) != 3:
                raise ValueError(f"colour needs red, green and blue in 0..1, got {value!r}")
            for part in value:
                number("colour", part, 0.0, 1.0)
            object.__setattr__(recipe, "colour", tuple(float(part) for part in value))


def within(name: str, covered: Floats, view: View, most: float, whose: str) -> None:
    """Refuse what lies on more of the picture than it may, before any blur.

    Args:
        name: of the attack.
        covered: (h, w) share of each cell under what is not ``clean`` by the opacity classes.
        view: whose cells they are.
        most, whose: the budget and its name.

    Raises:
        BudgetError: it does.
    """
    limit(name, float(view.inside(covered).mean()), most, whose)


def counts(opacity: Floats) -> Floats:
    """1 where an opacity is above ``clean`` by its class, else 0."""
    return np.asarray(opacity >= CLEAN_BELOW, float)


def limit(name: str, share: float, most: float, whose: str) -> None:
    """Refuse a share of the picture above ``most``.

    Raises:
        BudgetError: it is above.
    """
    if share > most + _ROUNDING:
        raise BudgetError(
            f"{name} covers {share:.1%} of the picture, allowed are {most:.0%} ({whose}); "
            "make it less"
        )
