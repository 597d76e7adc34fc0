"""Tells that the camera is blinded, dark, disturbed by rows, or that its pictures stand still.

Four signs of one picture or of two: a part is saturated, as none of a picture well exposed is; all
of it is dark; neighbouring rows change against each other, as under interference or flicker; or
the picture is late, or the very same as the one before while the car moves. Lamps at night, a low
sun and a tunnel's end look like the first.

Source: ours; checks of this kind are what camera makers call self-diagnosis (assumed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simattack.checks import number
from simattack.guarding import Watching, latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Image, Observation


@register("defenses", "glare_check")
@dataclass(frozen=True)
class GlareCheck:
    """Four limits, each of which is an alarm of 0.5; the alarm is the highest of them."""

    needs = ("camera",)
    family = Family.DETECTION

    saturated: float = 0.004
    """Share of the picture at the end of a colour's scale; 1: never."""
    dark: float = 6.0
    """Mean of the picture, 0..255, below which nothing is seen; 0: never."""
    rows: float = 2.5
    """Change of neighbouring rows against each other, of 255; 0: never."""
    late_s: float = 0.15
    """Beyond the camera's period; 0: never."""
    moving_mps: float = 1.0
    """From which on two pictures must differ."""
    latency_s: float = 0.002

    def __post_init__(self) -> None:
        number("saturated", self.saturated, 1e-4, 1.0)
        number("dark", self.dark, 0.0, 255.0)
        number("rows", self.rows, 0.0, 255.0)
        number("late_s", self.late_s, 0.0, 60.0)
        number("moving_mps", self.moving_mps, 1e-3)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Watching:
        return Watching(_Check(self, car.camera_period_s).watch)


class _Check:
    """One run."""

    END = 250
    """From which value on a colour is saturated."""

    def __init__(self, recipe: GlareCheck, period_s: float) -> None:
        self._recipe = recipe
        self._period_s = period_s
        self._image: Image | None = None
        self._captured_s: float | None = None
        self._fresh_s = 0.0
        """When the newest picture that differs from the one before was taken."""
        self._seen: dict[str, float] = {}

    def watch(self, obs: Observation) -> tuple[Observation, Mapping[str, float]]:
        recipe = self._recipe
        time_s, captured_s = (float(value) for value in obs["clock"])
        if captured_s != self._captured_s:
            self._captured_s = captured_s
            self._look(obs["camera"])
            is_standing = "speed" in obs and float(obs["speed"][0]) < recipe.moving_mps
            is_same = self._seen["change"] == 0
            self._fresh_s = self._fresh_s if is_same and not is_standing else captured_s
        late_s = time_s - self._fresh_s - self._period_s
        level = self._seen["saturated"] / recipe.saturated if recipe.saturated < 1 else 0.0
        if recipe.dark:
            level = max(level, 2 - self._seen["mean"] / recipe.dark)
        if recipe.rows:
            level = max(level, self._seen["rows"] / recipe.rows)
        if recipe.late_s:
            level = max(level, late_s / recipe.late_s)
        return obs, {"camera": float(np.clip(level / 2, 0.0, 1.0))}

    def _look(self, image: Any) -> None:
        """Measure a new picture."""
        grey = np.asarray(image[::2, ::2], np.float32).mean(axis=2)
        rows = np.asarray(image, np.float32).mean(axis=(1, 2))
        self._seen = {
            "saturated": float((image[::2, ::2] >= self.END).any(axis=2).mean()),
            "mean": float(grey.mean()),
            "rows": 0.0,
            "change": 1.0,
        }
        if self._image is not None:
            change = rows - np.asarray(self._image, np.float32).mean(axis=(1, 2))
            self._seen["rows"] = float(np.median(np.abs(np.diff(change))))
            self._seen["change"] = float(not np.array_equal(image, self._image))
        self._image = np.array(image)
