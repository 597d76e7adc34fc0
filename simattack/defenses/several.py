"""Several defenses at once, one behind the other: what one car has on board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack import registry
from simattack.guarding import through
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Defense, Detections, Detector, Guard, Observation, Verdict

if TYPE_CHECKING:
    from torch import Tensor


@register("defenses", "several")
@dataclass(frozen=True)
class Several:
    """The defenses in ``parts``, in that order: each gets what those before it let through.

    Raises:
        ConfigError: at construction: a part is no defense.
    """

    family = Family.ENSEMBLE

    parts: tuple[Any, ...] = ()
    """Defenses, or mappings of their kind and options as a scenario file has them."""

    def __post_init__(self) -> None:
        if not isinstance(self.parts, list | tuple):
            raise ValueError(f"parts needs a list of defenses, got {self.parts!r}")
        parts = [_defense(part, k) for k, part in enumerate(self.parts)]
        # Those of a part that is several itself, so that each knows what stands before it.
        flat = (inner for part in parts for inner in getattr(part, "parts", (part,)))
        object.__setattr__(self, "parts", tuple(flat))

    @property
    def needs(self) -> tuple[str, ...]:
        """Every sensor that some part needs."""
        named = (name for part in self.parts for name in getattr(part, "needs", ()))
        return tuple(dict.fromkeys(named))

    @property
    def latency_s(self) -> float:
        """They run one after the other."""
        return float(sum(part.latency_s for part in self.parts))

    @property
    def masks_gradients(self) -> bool:
        """Whether a part was made to."""
        return any(getattr(part, "masks_gradients", False) for part in self.parts)

    @property
    def surrogate(self) -> Callable[[Tensor, np.random.Generator], Tensor]:
        """Gradients through all parts, one behind the other; there is none if a part has none."""
        if not all(hasattr(part, "surrogate") for part in self.parts):
            raise AttributeError("a part has no surrogate")
        return self._through

    def _through(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        for part in self.parts:
            images = part.surrogate(images, rng)
        return images

    def surrogate_at(
        self, images: Tensor, targets: Sequence[Detections], rng: np.random.Generator
    ) -> tuple[Tensor, list[Detections]]:
        """``surrogate``, and where the targets of the images then lie."""
        moved = list(targets)
        for part in self.parts:
            images, moved = through(part, images, moved, rng)
        return images, moved

    @property
    def network(self) -> Any:
        """What an adaptive attack has to fool; there is none if no part looks for itself."""
        networks = [part.network for part in self.parts if hasattr(part, "network")]
        if not networks:
            raise AttributeError("no part looks for itself")
        return networks[-1]

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Chain:
        streams = rng.spawn(len(self.parts)) if self.parts else []
        guards = [part.begin(car, own) for part, own in zip(self.parts, streams, strict=True)]
        # A part that looks for itself would throw away what was wrapped before it.
        first = [hasattr(part, "network") for part in self.parts]
        wrapping = sorted(range(len(guards)), key=lambda k: not first[k])
        # What moved the picture puts the boxes back before anybody asks where they are.
        moves = [hasattr(part, "surrogate_at") for part in self.parts]
        judging = [k for k in reversed(range(len(guards))) if moves[k]]
        judging += [k for k in range(len(guards)) if not moves[k]]
        return Chain(guards, [guards[k] for k in wrapping], [guards[k] for k in judging])


class Chain:
    """The parts of one episode."""

    def __init__(self, parts: list[Guard], wrapping: list[Guard], judging: list[Guard]) -> None:
        self._parts, self._wrapping, self._judging = parts, wrapping, judging

    def clean(self, obs: Observation) -> Observation:
        for part in self._parts:
            obs = part.clean(obs)
        return obs

    def wrap(self, detector: Detector) -> Detector:
        for part in self._wrapping:
            detector = part.wrap(detector)
        return detector

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        """What all let through; of every sensor the highest alarm."""
        alarm: dict[str, float] = {}
        for part in self._judging:
            verdict = part.judge(obs, seen)
            seen = verdict.detections
            for sensor, level in verdict.alarm.items():
                alarm[sensor] = max(level, alarm.get(sensor, 0.0))
        return Verdict(seen, alarm)


def _defense(part: Any, index: int) -> Defense:
    if isinstance(part, Mapping):
        if not isinstance(part.get("kind"), str):
            raise ValueError(f"parts[{index}] needs a kind, got {dict(part)!r}")
        options = {key: value for key, value in part.items() if key != "kind"}
        part = registry.build("defenses", part["kind"], options, f"parts[{index}]")
    if not isinstance(part, Defense):
        raise ValueError(f"parts[{index}] must be a defense, got {part!r}")
    return part
