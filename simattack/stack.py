"""The car's software in one place: what runs between a sensor's data and the pedals.

A new image goes through the detector and the defense at once, but the driver learns of it only
after the declared latency, in whole ticks: no clock is read.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simattack.types import (
    CarInfo,
    Detections,
    Detector,
    Driver,
    Floats,
    Frame,
    Guard,
    Observation,
    Policy,
    PrivilegedDriver,
    Route,
    Verdict,
)

_NOTHING = Verdict(Detections.none())


@dataclass(frozen=True, eq=False)
class Decision:
    """What the stack made of one tick."""

    action: Floats
    verdict: Verdict
    """What the driver knew."""
    raw: Detections
    """The detector's output for this tick's image; empty when there was none."""
    is_new_image: bool
    """Never without a camera."""
    belief: Floats | None = None
    """(3,) where the driver holds itself to be; None if it does not say."""


class Stack:
    """Detector, defense and policy of one drive.

    Args:
        detector: what sees.
        policy: who drives.
        car: the car; ``car.tick_s`` turns the latency into ticks.
        route: where to.
        rng: the policy's own random stream.
        guard: the running defense, if any.
        latency_s: declared latency of detector and defense together.
        cleaning_s: of what a defense does to the picture: so much later a policy that looks for
            itself gets it.
    """

    def __init__(
        self,
        detector: Detector,
        policy: Policy,
        car: CarInfo,
        route: Route,
        rng: np.random.Generator,
        guard: Guard | None = None,
        latency_s: float = 0.0,
        cleaning_s: float = 0.0,
    ) -> None:
        self._detector = detector if guard is None else guard.wrap(detector)
        self._guard = guard
        self._is_end_to_end = getattr(policy, "is_end_to_end", False)
        self._driver: Driver | PrivilegedDriver = policy.begin(car, route, rng)
        self._latency_ticks = _ticks(latency_s, car)
        self._cleaning_ticks = _ticks(cleaning_s, car) if self._is_end_to_end else 0
        self._cleaned: deque[Observation] = deque()
        self._pending: deque[tuple[int, float, Verdict]] = deque()
        self._known: tuple[float, Verdict] = (-1.0, _NOTHING)
        self._seen_s = -1.0
        self._raw, self._judged_s = Detections.none(), 0.0
        self._period_s = car.camera_period_s
        self._tick = 0

    def watch(self, frame: Frame) -> None:
        """Hand the truth to a privileged policy, before ``act``; no other gets it."""
        if not isinstance(self._driver, PrivilegedDriver):
            raise TypeError(
                f"{type(self._driver).__name__} is no privileged driver: it has no watch"
            )
        self._driver.watch(frame)

    def act(self, obs: Observation) -> Decision:
        """Look at what is new and decide; ``obs`` has already passed the defense's ``clean``.

        The driver gets ``clock`` with the capture time of the image its verdict is about, -1
        before the first. Without a camera, and for a policy that looks for itself, no detector
        runs, and what was not detected is judged. A look that is overdue is judged again with what
        the last one showed, so that a defense can tell of it.
        """
        time_s, captured_s = (float(value) for value in obs["clock"])
        raw, is_new = Detections.none(), captured_s != self._seen_s
        is_looking = "camera" in obs and not self._is_end_to_end
        if is_new:
            self._seen_s = captured_s
            if is_looking:
                raw = self._raw = self._detector.detect(obs["camera"][None])[0]
        is_overdue = self._guard is not None and time_s - self._judged_s > self._period_s - 1e-9
        if is_new or is_overdue:
            self._judged_s = time_s
            verdict = Verdict(raw) if self._guard is None else self._guard.judge(obs, self._raw)
            self._pending.append((self._tick + self._latency_ticks, captured_s, verdict))
        while self._pending and self._pending[0][0] <= self._tick:
            _, known_s, verdict = self._pending.popleft()
            self._known = (known_s, verdict)
        known_s, verdict = self._known
        if self._cleaning_ticks and "camera" in obs:
            obs = {**obs, "camera": self._late(obs)["camera"]}
        action = self._driver.act({**obs, "clock": np.array([time_s, known_s])}, verdict)
        self._tick += 1
        belief = getattr(self._driver, "belief", None)
        told = None if belief is None else np.array(belief, np.float64)
        return Decision(np.asarray(action, np.float64), verdict, raw, is_new and is_looking, told)

    def _late(self, obs: Observation) -> Observation:
        """What was cleaned so many ticks ago; the first there was, before that."""
        self._cleaned.append(obs)
        if len(self._cleaned) > self._cleaning_ticks + 1:
            self._cleaned.popleft()
        return self._cleaned[0]


def _ticks(latency_s: float, car: CarInfo) -> int:
    # A hair less, so that 0.1 s over 0.05 s is two ticks and not three.
    return math.ceil(latency_s / car.tick_s - 1e-9)


def streams(seed: int) -> Iterator[np.random.Generator]:
    """Independent random streams of one seed, always in the same order."""
    for child in np.random.SeedSequence(seed).spawn(8):
        yield np.random.default_rng(child)
