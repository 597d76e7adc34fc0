"""What decides a print that is optimised: its kind, place, size, goal, method and length."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simattack import registry
from simattack.checks import whole
from simattack.errors import ConfigError
from simattack.optimize import runs
from simattack.optimize.goals import Aim
from simattack.optimize.layout import Layout
from simattack.optimize.objective import LABELS, SEEK, Asked, Hiding
from simattack.optimize.transforms import Transforms
from simattack.patchfile import Patch, PatchCard, save_patch
from simattack.prints import MAX_SIZE_M, MIN_SIZE_M, Format, Printed
from simattack.types import Attack, Weather

WEATHERS: tuple[Weather, ...] = (
    Weather(sun_azimuth_angle=20.0, sun_altitude_angle=60.0),
    Weather(sun_azimuth_angle=110.0, sun_altitude_angle=30.0),
    Weather(cloudiness=50.0, sun_azimuth_angle=200.0, sun_altitude_angle=45.0),
    Weather(sun_azimuth_angle=245.0, sun_altitude_angle=35.0),
    Weather(
        cloudiness=40.0,
        fog_density=10.0,
        fog_distance=20.0,
        sun_azimuth_angle=330.0,
        sun_altitude_angle=50.0,
    ),
)
"""That prints are optimised in."""
_NOBODY: Any = object()
"""Stands for a detector where only goal and label are looked at."""
_OF_ATTACK: Any = None
"""Stands for what the attack's class says."""


@dataclass(frozen=True, kw_only=True)
class PatchPlan:
    """All that decides the outcome, beside the world, the scenes and the detector.

    What is None is as the attack's class has it: ``prints.Format``, ``USUAL_SIZE_M``, ``GOAL``.
    """

    attack: str = "sticker"
    """Kind of print, by its name in the registry."""
    how: tuple[tuple[str, Any], ...] = ()
    """Options of it: where it is and on whom; not its picture."""
    scenes: str = ""
    """Digest of what decides the scenes; a run goes on only with the same."""
    size_m: tuple[float, float] = _OF_ATTACK
    """Width and height of the print, or of the whole set with its gaps."""
    pieces: int = _OF_ATTACK
    """Prints of the set along each side; 1 for a single one."""
    gap_m: float = _OF_ATTACK
    """Between neighbours of a set."""
    centre: tuple[float, float] = (0.5, 0.5)
    cells: int = _OF_ATTACK
    """Of the picture, along its longer side."""
    goal: str = _OF_ATTACK
    """What the detector is to say; see ``goals``."""
    label: str = ""
    """Class to be seen, of a goal that wants one."""
    method: str = "adam"
    """How, by its name in the registry: with gradients, or by queries alone."""
    options: tuple[tuple[str, Any], ...] = ()
    """Of the method, beside its length and rate."""
    iterations: int = 300
    """Of the method; looks of one without gradients."""
    labels: str = "scores"
    """What a method without gradients is told of a query: ``scores`` or ``hard`` labels."""
    seek: str = "every"
    """Whether it has to work in ``every`` view, or in the ``most``; see ``objective.Hiding``."""
    seed: int = 0
    views: int = 128
    """Standpoints to calibrate at; every fourth is held out to choose the best picture by."""
    gap_views: int = 16
    """Other standpoints, to measure the twin's gap at; 0 leaves it out."""
    distance_m: tuple[float, float] = _OF_ATTACK
    rate: float = 0.03
    """Of a method with gradients."""
    query_views: int = 16
    """In each look of a method without gradients; each is one query of the detector."""
    batch: int = 8
    printability: float = 0.02
    smoothness: float = 0.02
    last_level: int | None = None
    """Of the server's mip levels; None for a full pyramid, 0 for a server without."""
    transforms: Transforms = field(default_factory=Transforms)

    def __post_init__(self) -> None:
        for name, value in self._usual().items():
            if getattr(self, name) is _OF_ATTACK:
                object.__setattr__(self, name, value)
        least = {"views": 8, "iterations": 1, "batch": 1, "cells": 2, "query_views": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}")
        whole("seed", self.seed)
        if self.pieces < 1 or self.gap_m < 0:
            raise ValueError(
                f"pieces must be at least 1 and gap_m not negative: {self.pieces}, {self.gap_m}"
            )
        if not 0 < self.distance_m[0] < self.distance_m[1]:
            raise ValueError(
                "distance_m needs a nearest above 0 and a farthest beyond it, got "
                f"{self.distance_m}"
            )
        if not all(MIN_SIZE_M <= side_m <= MAX_SIZE_M for side_m in self.size_m):
            raise ValueError(f"size_m must be {MIN_SIZE_M:g} to {MAX_SIZE_M:g}, got {self.size_m}")
        Aim((_NOBODY,), self.goal, self.label)
        if self.labels not in LABELS:
            raise ValueError(f"labels must be one of {', '.join(LABELS)}, got {self.labels!r}")
        if self.seek not in SEEK:
            raise ValueError(f"seek must be one of {', '.join(SEEK)}, got {self.seek!r}")
        _ = self.layout, self.optimizer

    def _usual(self) -> dict[str, Any]:
        cls = registry.lookup("attacks", self.attack)
        usual: Format = getattr(cls, "FORMAT", Format())
        size_m = usual.size_m or getattr(cls, "USUAL_SIZE_M", Printed.USUAL_SIZE_M)
        goal = getattr(cls, "GOAL", Printed.GOAL)
        return {**vars(usual), "size_m": size_m, "goal": goal}

    def recipe(self, folder: Path) -> Attack:
        """The attack as it will begin with the patch, in plain grey; writes its outline there.

        Raises:
            ConfigError: there is no such attack, it is no print, or refuses its options.
        """
        blank = self.layout.picture(np.zeros(3 * np.prod(self.layout.shape)))
        width_m, height_m = self.size_m
        card = PatchCard(width_m=width_m, height_m=height_m, centre=self.centre)
        name = "_".join(f"{value:g}" for value in (width_m, height_m, *self.centre))
        path = save_patch(folder, Patch(name, blank, card))
        cls = registry.lookup("attacks", self.attack)
        known = getattr(cls, "__dataclass_fields__", {})
        if "patch" not in known or "fill" not in known:
            prints = ", ".join(prints_of_all())
            raise ConfigError(
                f"attack {self.attack!r} shows no print that could be optimised; prints are: "
                f"{prints}"
            )
        options = {**dict(self.how), "patch": str(path), "fill": "grey"}
        made: Attack = registry.build("attacks", self.attack, options, f"attack {self.attack!r}")
        return made

    @property
    def optimizer(self) -> Any:
        """The method, with the plan's length and what else of the plan it takes.

        Raises:
            ConfigError: no method of that name, or an option that it does not take.
        """
        cls = registry.lookup("optimize", self.method)
        mine = {
            "iterations": self.iterations,
            "queries": self.iterations,
            "rate": self.rate,
            "shape": self.layout.shape,
        }
        fields = getattr(cls, "__dataclass_fields__", {})
        if "queries" in fields:
            del mine["rate"]
        options = {name: value for name, value in mine.items() if name in fields}
        options |= dict(self.options)
        return registry.build("optimize", self.method, options, f"method {self.method!r}")

    def asked(self, objective: Hiding) -> Hiding | Asked:
        """What the method is told of an objective: its gradients, or answers to queries."""
        if runs.has_gradients(self.optimizer):
            return objective
        return Asked(objective, self.query_views, self.labels)

    @property
    def layout(self) -> Layout:
        return Layout.of(self.size_m, self.cells, self.pieces, self.gap_m)


def prints_of_all() -> list[str]:
    """Kinds of attack that show a print."""
    fields = {
        kind: getattr(registry.lookup("attacks", kind), "__dataclass_fields__", {})
        for kind in registry.kinds("attacks")
    }
    return [kind for kind, known in fields.items() if "patch" in known and "fill" in known]
