"""Frames as a dirty lens or a disturbed sensor shows them, to learn from.

The picture functions are those of the attacks themselves, at strengths drawn anew for each frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from simattack import registry
from simattack.train.dataset import Labelled
from simattack.types import ActorState, Frame, Image, Pose

KEPT_CONTRAST = 0.25
"""An object stays labelled while so much is left of its pixels' standard deviation."""
_NOW = Frame(0, 0.0, ActorState(0, "", Pose(), (0, 0, 0), (0, 0, 0), (1, 1, 1)))

Draw = Callable[[np.random.Generator], Mapping[str, Any]]
SOILS: Mapping[str, Draw] = {
    "lens_mud": lambda rng: {"coverage": float(rng.uniform(0.05, 0.3))},
    "lens_dust": lambda rng: {"load_g_m2": float(rng.uniform(1, 8))},
    "lens_drops": lambda rng: {"count": int(rng.integers(5, 25))},
    "lens_condensation": lambda rng: {"coverage": float(rng.uniform(0.1, 0.6))},
    "lens_scratches": lambda rng: {"count": int(rng.integers(10, 50))},
    "lens_dots": lambda rng: {"opacity": float(rng.uniform(0.2, 0.5))},
    "lens_blob": lambda rng: {
        "x": float(rng.random()),
        "y": float(rng.random()),
        "diameter_mm": float(rng.uniform(2, 8)),
    },
    "shake": lambda rng: {
        "yaw_dps": float(rng.uniform(-150, 150)),
        "pitch_dps": float(rng.uniform(-150, 150)),
    },
    "interference": lambda rng: {"power_w": float(rng.uniform(1, 10))},
    "blinding": lambda rng: {
        "at": (float(rng.uniform(-0.2, 1.2)), float(rng.uniform(0, 1))),
        "distance_m": float(rng.uniform(5, 30)),
        "power_mw": float(rng.uniform(0.5, 5)),
    },
}
"""Kind of attack -> options of moderate strength; each is drawn as often as any other."""


class Soiler:
    """One lens or sensor a scene: what is on it is drawn once for all frames of the scene."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._running: tuple[int, Any] | None = None
        self._captures = 0

    def __call__(
        self, image: Image, objects: Sequence[Labelled], scene: int
    ) -> tuple[Image, list[Labelled]]:
        """A whole frame (H, W, 3) so seen, and which of its objects can still be made out.

        What the attack wipes out is no longer labelled: nobody is to learn to guess it.
        """
        if self._running is None or self._running[0] != scene:
            rng = np.random.default_rng([self._seed, 4, scene])
            kind = list(SOILS)[int(rng.integers(len(SOILS)))]
            attack = registry.build("attacks", kind, dict(SOILS[kind](rng)), "train: soiling")
            self._running = (scene, attack.begin(None, rng))
        # A sensor holds what it made of a capture until the next: each frame is a later one.
        self._captures += 1
        obs = {"camera": image, "clock": np.full(2, float(self._captures))}
        frame = replace(_NOW, tick=self._captures, time_s=float(self._captures))
        shown = self._running[1].tamper(obs, frame)["camera"]
        return shown, [item for item in objects if _is_seen(item, image, shown)]


def _is_seen(item: Labelled, image: Image, shown: Image) -> bool:
    x0, y0, x1, y1 = (round(value) for value in item.box)
    window = (slice(max(y0, 0), max(y1, y0 + 1)), slice(max(x0, 0), max(x1, x0 + 1)))
    before, after = (float(np.std(picture[window])) for picture in (image, shown))
    return after >= KEPT_CONTRAST * before
