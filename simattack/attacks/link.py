"""Faults on the way from camera to computer: pictures that freeze, get lost, come late or go dark.

Who says so: Jha et al., AVFI: Fault Injection for Autonomous Vehicles (DSN Workshops 2018), who
delay and lose what driving software hears from its sensors; that somebody does it on purpose, by
hardware on the cable, is assumed.

What is done: somebody sits on the cable. ``freeze``: the last good picture comes again and again,
each with a new time of capture, so that nothing looks late. ``drop``: the newest does not come,
the computer keeps the one before with its old time. ``delay``: every picture comes so much later,
with its own time. ``blackout``: pictures come in time and are black.

Simplified: whole pictures only; where nothing has come yet the first picture always does. A
delay that sets in holds the newest picture until the next one is old enough; one that ends skips
what was held up: time never runs backwards. Camera, LiDAR and radar have one time of capture in an
observation, so that what is late of the camera makes theirs late, too.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from simattack.checks import choice, number
from simattack.errors import BudgetError, ConfigError
from simattack.onsensor import timer
from simattack.registry import register
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.timing import Timer, Timing
from simattack.types import CarInfo, Floats, Frame, Image, Observation, World

FAULTS = ("freeze", "drop", "delay", "blackout")


@register("attacks", "link")
@dataclass(frozen=True)
class Link:
    """One fault of the camera's link.

    Raises:
        BudgetError: at ``begin``: a delay that no small board on the cable can store.
    """

    needs = ("camera",)

    MAX_BYTES = 64 * 2**20
    """Memory of a board that fits into a connector; assumed."""

    fault: str = "drop"
    """``freeze``, ``drop``, ``delay`` or ``blackout``."""
    probability: float = 1.0
    """Of hitting each picture; not for ``delay``."""
    delay_s: float = 0.3
    """For ``delay``: from capture to arrival."""
    surface: str = ""
    """Where ``timing: {event: near}`` is measured from; empty for the site's own sign."""
    timing: Timing = Timing()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        choice("fault", self.fault, FAULTS)
        number("probability", self.probability, 0.0, 1.0)
        number("delay_s", self.delay_s)
        object.__setattr__(self, "timing", Timing.of(self.timing))

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(
            Stage.SENSOR,
            Knowledge.BLACK,
            Frequency.CONTINUOUS,
            Target.DEGRADE,
            Scope.UNIVERSAL,
            countermeasures=("glare_check",),
        )

    def begin(self, world: World, rng: np.random.Generator) -> Tapped:
        car = CarInfo()
        if self.fault == "delay":
            pictures = math.ceil(self.delay_s / car.camera_period_s - 1e-9)
            stored = pictures * car.camera.width_px * car.camera.height_px * 3
            if stored > self.MAX_BYTES:
                raise BudgetError(
                    f"delay_s {self.delay_s:g} needs {stored / 2**20:.0f} MiB of pictures, "
                    f"allowed are {self.MAX_BYTES / 2**20:.0f}"
                )
        return Tapped(self, timer(self, world), rng)


class Tapped:
    """One episode of it."""

    def __init__(self, recipe: Link, timer: Timer, rng: np.random.Generator) -> None:
        self._recipe = recipe
        self._timer = timer
        self._rng = rng
        self._held: deque[tuple[float, Image]] = deque()
        """On their way, oldest first."""
        self._arrived: tuple[float, Image] | None = None
        self._good: Image | None = None
        self._newest_s: float | None = None
        self._is_over = False

    def tamper(self, obs: Observation, frame: Frame) -> Observation:
        """Images, and with ``drop`` and ``delay`` their time of capture, are others."""
        if self._is_over:
            return obs
        time_s, captured_s = (float(value) for value in obs["clock"])
        is_on = self._timer.is_on(frame)
        if captured_s != self._newest_s:
            self._newest_s = captured_s
            self._send(captured_s, obs["camera"], is_on)
        self._receive(time_s, is_on)
        assert self._arrived is not None  # the first always does
        at_s, image = self._arrived
        # Copies: whoever gets an observation may change it.
        return {**obs, "camera": image.copy(), "clock": np.array([time_s, at_s])}

    def set(self, parameters: Floats) -> None:
        raise ConfigError("expected an attack with parameters, got 'link'")

    def end(self) -> None:
        self._is_over = True
        self._held.clear()

    def _send(self, captured_s: float, image: Image, is_on: bool) -> None:
        """A new capture goes onto the cable."""
        fault = self._recipe.fault
        # Drawn for every capture, so that timing moves no draw.
        is_hit = float(self._rng.random()) < self._recipe.probability and is_on
        if fault == "delay":
            self._held.append((captured_s, image.copy()))
            return
        if is_hit and fault == "drop" and self._arrived is not None:
            return
        if is_hit and fault == "blackout":
            image = np.zeros_like(image)
        elif is_hit and fault == "freeze" and self._good is not None:
            image = self._good
        else:
            image = self._good = image.copy()
        self._arrived = captured_s, image

    def _receive(self, time_s: float, is_on: bool) -> None:
        """Take what has been on its way for long enough."""
        late_s = self._recipe.delay_s if is_on else 0.0
        while self._held and (self._arrived is None or self._held[0][0] <= time_s - late_s + 1e-9):
            self._arrived = self._held.popleft()
