"""What defenses share: one run that looks at each new image once, one that watches, and BPDA.

A defense hands over a function of the image or of the observation; it decides nothing about
driving.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.checks import number
from simattack.types import Detections, Detector, Image, Observation, Verdict

if TYPE_CHECKING:
    from torch import Tensor

Clean = Callable[[Image], tuple[Image, float]]
"""An image (H, W, 3) as a new array, defended, and the camera's alarm in 0..1 for it."""


class PerImage:
    """One run of a defense that cleans every new image and changes nothing else."""

    def __init__(self, clean: Clean) -> None:
        self._clean = clean
        self._last: tuple[Any, Image, float] | None = None

    def clean(self, obs: Observation) -> Observation:
        image = obs["camera"]
        # Ticks between two captures repeat the image: the very same array.
        if self._last is None or self._last[0] is not image:
            self._last = (image, *self._clean(image))
        return {**obs, "camera": self._last[1]}

    def wrap(self, detector: Detector) -> Detector:
        return detector

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        """Nothing is withheld; the alarm is that of the newest image."""
        return Verdict(seen, {"camera": 0.0 if self._last is None else self._last[2]})


class Looking:
    """A detector in whose place a defense looks at every image: ``look(detector, image)``."""

    def __init__(self, look: Callable[[Detector, Image], Detections], detector: Detector) -> None:
        self._look, self._detector = look, detector
        self.latency_s = detector.latency_s

    def detect(self, images: Image) -> list[Detections]:
        return [self._look(self._detector, image) for image in images]


Watch = Callable[[Observation], tuple[Observation, Mapping[str, float]]]
"""One tick: the observation as the car shall have it, and the alarm in 0..1 by sensor."""


class Watching:
    """One run of a defense that watches every tick and leaves detections as they are."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._alarm: dict[str, float] = {}
        self._is_judged = False

    def clean(self, obs: Observation) -> Observation:
        cleaned, alarm = self._watch(obs)
        if self._is_judged:
            self._alarm, self._is_judged = {}, False
        for sensor, level in alarm.items():
            self._alarm[sensor] = max(level, self._alarm.get(sensor, 0.0))
        return cleaned

    def wrap(self, detector: Detector) -> Detector:
        return detector

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        """Nothing is withheld; the alarm is the highest since the last verdict."""
        self._is_judged = True
        return Verdict(seen, dict(self._alarm))


class Turns:
    """Tells which ticks bring new data of LiDAR and radar, whatever becomes of the camera's.

    Args:
        period_s: between two of their looks.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._last: int | None = None

    def is_new(self, obs: Observation) -> bool:
        """Whether this tick is the first of a look; asked once a tick."""
        turn = int(np.floor(float(obs["clock"][0]) / self._period_s + 1e-6))
        is_new, self._last = turn != self._last, turn
        return is_new


def picture_latency_s(defense: Any) -> float:
    """What those parts of a defense declare together that change the picture: they have a
    ``surrogate``. 0 without a defense.
    """
    if defense is None:
        return 0.0
    parts = getattr(defense, "parts", (defense,))
    return float(sum(part.latency_s for part in parts if hasattr(part, "surrogate")))


def latency(latency_s: object) -> None:
    """Refuse a latency that is no time.

    Raises:
        ValueError: names the option.
    """
    number("latency_s", latency_s)


def through(
    defense: Any, images: Tensor, targets: Sequence[Detections], rng: np.random.Generator
) -> tuple[Tensor, list[Detections]]:
    """What reaches the detector of one who knows the defense, and where the targets then lie.

    Of a defense that moves things in the picture ``surrogate_at`` says so; of others ``surrogate``
    leaves them where they are. None changes nothing.
    """
    if defense is None:
        return images, list(targets)
    moving = getattr(defense, "surrogate_at", None)
    if moving is None:
        return defense.surrogate(images, rng), list(targets)
    moved: tuple[Tensor, list[Detections]] = moving(images, targets, rng)
    return moved


def arrays_of(images: Tensor) -> Image:
    """(B, H, W, 3) uint8 of images (B, 3, H, W) in 0..1, without gradients."""
    import torch

    pixels = (images.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.asarray(pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy(), np.uint8)


def tensor_of(images: Image) -> Tensor:
    """Images (B, H, W, 3) of 8 bits as (B, 3, H, W) in 0..1."""
    import torch

    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255


def straight_through(images: Tensor, clean: Callable[[Image], Image]) -> Tensor:
    """The true defense forward, the identity's gradient backward (BPDA).

    Source: Athalye, Carlini, Wagner: Obfuscated gradients give a false sense of security, 2018.
    """
    import torch

    cleaned = np.stack([clean(array) for array in arrays_of(images)])
    after = torch.from_numpy(cleaned).to(images.device).permute(0, 3, 1, 2).to(images) / 255
    return images + (after - images).detach()
