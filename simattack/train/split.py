"""Training and evaluation frames: 70/30, by place and by class, no place on both sides.

The places held out are chosen before anything is gathered, from the map alone: the same share of
every kind of place. Afterwards training frames, never evaluation frames, may be left out to bring
each class's objects nearer to 70/30.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simattack.errors import ConfigError
from simattack.train.dataset import Record
from simattack.train.places import Place

EVALUATION_SHARE = 0.3
MIN_HELD_OUT = 4
"""Places with stop signs, at least."""
MAX_LEFT_OUT = 0.1
"""Of the training frames, for balance."""


@dataclass(frozen=True)
class Split:
    """The two sides; no place is on both."""

    train: tuple[Record, ...]
    evaluation: tuple[Record, ...]
    left_out: int
    """Training frames dropped for balance."""

    def shares(self) -> dict[str, float]:
        """Each class's share of objects on the evaluation side."""
        train, held = _objects(self.train), _objects(self.evaluation)
        return {
            name: held[name] / (train[name] + held[name]) for name in sorted(train.keys() | held)
        }


def held_out(places: Sequence[Place], rng: np.random.Generator) -> tuple[str, ...]:
    """Which places are kept for evaluation: of each kind its share, four with stop signs.

    Raises:
        ConfigError: a kind of place has only one member, or there are too few in all.
    """
    kinds: dict[str, list[str]] = {}
    for place in places:
        kinds.setdefault(place.kind, []).append(place.name)
    wanted = {kind: max(1, round(EVALUATION_SHARE * len(n))) for kind, n in kinds.items()}
    stops = [kind for kind in sorted(kinds) if kind.startswith("stop")]
    while sum(wanted[kind] for kind in stops) < MIN_HELD_OUT:
        # Take the next from the kind that has the largest share left for training.
        kind = max(stops, key=lambda k: (1 - wanted[k] / len(kinds[k]), k), default="")
        if not kind or wanted[kind] + 1 >= len(kinds[kind]):
            break
        wanted[kind] += 1
    chosen = []
    for kind, names in sorted(kinds.items()):
        if len(names) <= wanted[kind]:
            raise ConfigError(
                f"cannot hold places out: the map has {len(names)} of kind {kind!r}; "
                "expected at least one for training and one for evaluation"
            )
        chosen += [str(name) for name in rng.permutation(sorted(names))[: wanted[kind]]]
    if sum(wanted[kind] for kind in stops) < MIN_HELD_OUT:
        raise ConfigError(
            f"expected a map with stop signs at enough crossings to hold out {MIN_HELD_OUT}, "
            f"got {sum(len(kinds[kind]) for kind in stops)} such places"
        )
    return tuple(sorted(chosen))


def plan_scenes(
    places: Sequence[Place], held: Sequence[str], scenes: int
) -> tuple[dict[int, str], dict[int, str]]:
    """Scene numbers with their places, (training, evaluation): 70/30, spread evenly."""
    train = sorted(place.name for place in places if place.name not in held)
    cut = scenes - round(EVALUATION_SHARE * scenes)
    evaluation = sorted(held)
    return (
        {number: train[number % len(train)] for number in range(cut)},
        {number: evaluation[number % len(evaluation)] for number in range(cut, scenes)},
    )


def split(records: Sequence[Record], held: Sequence[str]) -> Split:
    """Deal gathered frames by place, then balance the classes on the training side.

    A frame is dealt by where its camera stood, whatever scene it was gathered for.
    """
    evaluation = tuple(record for record in records if record.place in held)
    train = [record for record in records if record.place not in held]
    limit = int(MAX_LEFT_OUT * len(train))
    balanced = _balance(train, _objects(evaluation), limit)
    return Split(tuple(balanced), evaluation, len(train) - len(balanced))


def _balance(train: list[Record], held: Mapping[str, int], limit: int) -> list[Record]:
    """Greedily leave out the frame that brings the shares nearest to 70/30, while any does."""
    names = sorted(held.keys() | _objects(train))
    target = np.array([held.get(name, 0) for name in names]) * (1 / EVALUATION_SHARE - 1)
    counts = np.array([[_objects([record])[name] for name in names] for record in train], float)
    counts = counts.reshape(len(train), len(names))
    total = counts.sum(0)
    left = np.ones(len(train), bool)
    scale = np.maximum(target, 1.0)
    for _ in range(limit):
        now = np.sum(((total - target) / scale) ** 2)
        after = np.sum(((total - counts - target) / scale) ** 2, axis=1)
        after[~left] = np.inf
        best = int(after.argmin()) if len(after) else -1
        if best < 0 or after[best] >= now:
            break
        left[best] = False
        total = total - counts[best]
    return [record for record, keep in zip(train, left, strict=True) if keep]


def _objects(records: Sequence[Record]) -> Counter[str]:
    return Counter(item.label for record in records for item in record.objects)
