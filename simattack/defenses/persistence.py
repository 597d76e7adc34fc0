"""Does not believe that a thing that was surely there is suddenly gone: it is kept for a while.

What was detected in enough images running and then vanishes in the middle of the picture goes on
as a box that grows as it grew. That covers a patch that works from some distance on, flicker, and
single lost pictures; it costs a stop for a sign that truly went out of view behind something.

Source: the temporal consistency defenses of the surveys; the rule is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simattack.checks import number, whole
from simattack.geometry import box_iou
from simattack.guarding import latency
from simattack.registry import register
from simattack.taxonomy import Family
from simattack.types import CarInfo, Detections, Detector, Floats, Observation, Verdict

_SAME_IOU = 0.3
_EDGE_PX = 8.0
"""What reaches the picture's border leaves it and is not missed."""


@register("defenses", "persistence")
@dataclass(frozen=True)
class Persistence:
    """Keep what was seen ``needed`` times running for up to ``images`` more."""

    needs = ("camera",)
    family = Family.DETECTION

    needed: int = 4
    images: int = 10
    """At ten a second; 0 keeps nothing."""
    score: float = 0.4
    """From which on a detection counts."""
    latency_s: float = 0.001

    def __post_init__(self) -> None:
        whole("needed", self.needed, 2)
        whole("images", self.images)
        number("score", self.score, 0.0, 1.0)
        latency(self.latency_s)

    def begin(self, car: CarInfo, rng: np.random.Generator) -> Remembering:
        return Remembering(self, (car.camera.width_px, car.camera.height_px))


@dataclass(eq=False)
class _Memory:
    """One thing: its newest box, how it moves an image, how often seen and missed."""

    label: str
    box: Floats
    score: float
    step: Floats = field(default_factory=lambda: np.zeros(4))
    seen: int = 1
    missed: int = 0


class Remembering:
    """One run."""

    def __init__(self, recipe: Persistence, size_px: tuple[int, int]) -> None:
        self._recipe, self._size_px = recipe, size_px
        self._known: list[_Memory] = []

    def clean(self, obs: Observation) -> Observation:
        return {**obs, "camera": np.array(obs["camera"])}

    def wrap(self, detector: Detector) -> Detector:
        return detector

    def judge(self, obs: Observation, seen: Detections) -> Verdict:
        """What was seen and what is remembered; the alarm is 1 while anything is missed."""
        if self._recipe.images == 0:
            return Verdict(seen)
        sure = [k for k in range(len(seen)) if seen.scores[k] >= self._recipe.score]
        taken: set[int] = set()
        for thing in self._known:
            expected = thing.box + thing.step
            partner = self._partner(
                thing.label, expected, seen, [k for k in sure if k not in taken]
            )
            if partner is None:
                thing.box = expected
                thing.missed += 1
                continue
            taken.add(partner)
            thing.step = 0.5 * thing.step + 0.5 * (seen.boxes[partner] - thing.box)
            thing.box, thing.score = seen.boxes[partner].copy(), float(seen.scores[partner])
            thing.seen, thing.missed = thing.seen + 1, 0
        self._known = [thing for thing in self._known if self._is_kept(thing)]
        missing = [thing for thing in self._known if thing.missed]
        self._known += [
            _Memory(seen.labels[k], seen.boxes[k].copy(), float(seen.scores[k]))
            for k in sure
            if k not in taken
        ]
        if not missing:
            return Verdict(seen, {"camera": 0.0})
        boxes = np.array([thing.box for thing in missing])
        joined = Detections(
            np.concatenate([seen.boxes, boxes]),
            np.concatenate([seen.scores, [thing.score for thing in missing]]),
            (*seen.labels, *(thing.label for thing in missing)),
        )
        return Verdict(joined, {"camera": 1.0})

    def _is_kept(self, thing: _Memory) -> bool:
        if not thing.missed:
            return True
        width, height = self._size_px
        x0, y0, x1, y1 = thing.box
        is_inside = (
            x0 > _EDGE_PX and y0 > _EDGE_PX and x1 < width - _EDGE_PX and y1 < height - _EDGE_PX
        )
        is_sure = thing.seen >= self._recipe.needed
        return is_sure and is_inside and thing.missed <= self._recipe.images

    def _partner(self, label: str, box: Floats, seen: Detections, among: list[int]) -> int | None:
        among = [k for k in among if seen.labels[k] == label]
        if not among:
            return None
        overlaps = box_iou(seen.boxes[among], box[None])[:, 0]
        best = int(overlaps.argmax())
        return among[best] if overlaps[best] >= _SAME_IOU else None
