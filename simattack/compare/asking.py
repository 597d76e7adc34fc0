"""A search over the numbers of an attack on the camera: what it is told of a point, and where.

Frames are tampered with as on the road, each as the first of a drive of its own, whose chance
decides the rest: outlines of splashes, say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.adversary import box_of
from simattack.compare.bench import Made
from simattack.errors import BudgetError
from simattack.guarding import tensor_of
from simattack.optimize.blackbox import BlackBox
from simattack.optimize.objective import MIDDLE_WEIGHT, share_found
from simattack.scenario import Part
from simattack.types import ActorState, Floats, Frame, Image, Pose

if TYPE_CHECKING:
    from simattack.compare.onframes import Photographs

_NOW = Frame(1, 1.0, ActorState(0, "", Pose(), (0, 0, 0), (0, 0, 0), (1, 1, 1)))
STEPS = (1.0, 0.5, 0.25, 0.125, 0.06, 0.03)
"""Of the way from the scenario's own parameters to others, that is gone as far as is allowed."""
DRAWS = 16
DRAWS_AT_LAST = 128
"""The same numbers break a budget by one drive's chance and keep it by another's: so many drives
have to bear what is tried, and what a search ends with."""
_APART = 10_000
"""Between the first drives that the draws of two seeds are taken from."""


@dataclass(frozen=True)
class Tried:
    """What chance found."""

    points: tuple[Floats, ...]
    """In the unit box, in the order of the draws; none where nothing is left to chance."""
    values: tuple[float, ...]
    """What is still seen under each."""
    best: Made
    value: float
    """Under the best."""


class Scores:
    """A point of the attack's box, as the unit box -> how well the targets are still seen."""

    def __init__(self, attack: Part, views: Photographs, behind: Any) -> None:
        """``views`` are shown at every look to ``behind``, which detects."""
        self._attack, self._views = attack, views
        self._low, self._high = box_of(attack.build("attacks"))
        self._detector = BlackBox(behind)
        self._draws = max(DRAWS, len(views))
        self._begun: list[Any] = []

    @cached_property
    def start(self) -> Floats:
        """The scenario's own parameters where the attack tells them, else the box's middle."""
        own = self._point(self._drives(1)[0])
        return np.full(len(self._low), 0.5) if own is None else own

    def drawn(self, count: int, seed: int) -> list[Floats]:
        """What the attack draws in so many drives; nothing if it leaves nothing to chance."""
        points = []
        for number in range(count):
            running = _begun(self._recipe, _APART * (seed + 1) + number)
            points.append(self._point(running))
            running.end()
        told = [point for point in points if point is not None]
        return told if any(not np.array_equal(point, self.start) for point in told) else []

    def _point(self, running: Any) -> Floats | None:
        """Where the parameters of a drive lie in the box, if the attack tells them."""
        own = getattr(running, "parameters", None)
        if own is None:
            return None
        span = np.where(self._high > self._low, self._high - self._low, 1.0)
        point: Floats = ((np.asarray(own, float) - self._low) / span).clip(0, 1)
        return point

    def made(self, point: Floats, draws: int | None = None) -> Made:
        """The attack with the parameters of a point, or as near to them as its budget allows.

        Args:
            point: (n,) in 0..1.
            draws: drives whose own chance has to bear it; as many as a look shows, and more, if
                None.
        """
        inner = {"kind": self._attack.kind, **self._attack.options}
        own = self.start
        for share in (*STEPS, 0.0):
            near = own + share * (np.clip(point, 0, 1) - own)
            if self.bears(near, draws or self._draws):
                break
        told = tuple(float(value) for value in self._values(near))
        return {"kind": "tuned", "attack": inner, "parameters": told}

    def bears(self, point: Floats, draws: int) -> bool:
        """Whether so many drives keep the budget with a point's numbers."""
        values = self._values(point)
        try:
            for running in self._drives(draws):
                running.set(values)
        except BudgetError:
            return False
        return True

    def end(self) -> None:
        """All drives that were begun to ask are over."""
        for running in self._begun:
            running.end()
        self._begun.clear()

    def _values(self, point: Floats) -> Floats:
        """The numbers that a point of the unit box stands for."""
        values: Floats = self._low + point * (self._high - self._low)
        return values

    @cached_property
    def _recipe(self) -> Any:
        return _always(self._attack).build("attacks")

    def _drives(self, count: int) -> list[Any]:
        for number in range(len(self._begun), count):
            self._begun.append(_begun(self._recipe, number))
        return self._begun[:count]

    def __call__(self, point: Floats) -> float:
        images = tampered(self._attack.replaced(self.made(point)), self._views.images)
        scores = self._detector.scores_near(tensor_of(images), self._views.found).numpy()
        return share_found(scores) + MIDDLE_WEIGHT * float(scores.mean())


def tampered(attack: Part, images: Image) -> Image:
    """Frames (N, H, W, 3) as the attack leaves them; each is the first of a drive of its own.

    When it acts says nothing here: it does.

    Raises:
        BudgetError: what is drawn breaks its budget.
    """
    recipe, seen = _always(attack).build("attacks"), []
    for number, image in enumerate(images):
        running = _begun(recipe, number)
        obs = {"camera": image, "clock": np.full(2, _NOW.time_s)}
        try:
            seen.append(running.tamper(obs, _NOW)["camera"])
        finally:
            running.end()
    return np.stack(seen)


def _begun(recipe: Any, number: int) -> Any:
    """One run of an attack, with chance of its own."""
    return recipe.begin(None, np.random.default_rng([7, number]))


def _always(attack: Part) -> Part:
    """The attack without its timing."""
    inner = attack.options.get("attack")
    options = {key: value for key, value in attack.options.items() if key != "timing"}
    if attack.kind == "tuned" and isinstance(inner, Mapping):
        options["attack"] = {key: value for key, value in inner.items() if key != "timing"}
    return Part(attack.kind, options)
