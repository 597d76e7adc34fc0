"""Search without gradients: ask a method for points, look at each once, tell it what was found.

A method is an ``Asker``; everything that is alike for all of them is here: counting queries,
keeping the best, and going on after an interruption. A run resumes by asking anew and telling
again what it had found, so a method needs no state of its own on disk, only to be a function of
its seed and of what it was told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from simattack.checks import whole
from simattack.types import Floats, Objective, Step


class Asker(Protocol):
    """One run of a method in the unit box."""

    def begin(self, value: float) -> None:
        """What the start was worth that it was made with; once, before anything is asked."""
        ...

    def ask(self) -> Floats:
        """(K, n) the next points to look at, each in 0..1."""
        ...

    def tell(self, points: Floats, values: Floats) -> None:
        """What the points of the last ``ask`` were worth, (K,); lower is better."""
        ...


def search(
    asker: Asker, objective: Objective, start: Floats, queries: int, state: Any = None
) -> Iterator[Step]:
    """One step a query; ``point`` is the best so far. The start itself is the first query.

    Args:
        asker: fresh, made with the seed that it had at the start of the run.
        objective: a function of the point alone.
        start: (n,) in 0..1.
        queries: how many looks in all.
        state: of the last step of a run to go on with.
    """
    known = [] if state is None else [float(value) for value in state["values"]]
    values: list[float] = []
    best, least = np.asarray(start, float), np.inf
    points = np.asarray(start, float)[None]
    is_start = True
    while len(values) < queries:
        told = []
        for point in points[: queries - len(values)]:
            is_known = len(values) < len(known)
            value = known[len(values)] if is_known else float(objective(point))
            values.append(value)
            told.append(value)
            if value < least:
                best, least = np.array(point, float), value
            if not is_known:
                yield Step(
                    len(values),
                    best.copy(),
                    least,
                    {"values": np.array(values), "iteration": len(values), "best": best.copy()},
                    {"value": value, "least": least},
                )
        if len(told) < len(points):
            return
        if is_start:
            asker.begin(told[0])
        else:
            asker.tell(points, np.array(told))
        is_start = False
        points = np.clip(asker.ask(), 0.0, 1.0)


def seed_of(rng: np.random.Generator) -> int:
    """A seed for a library that wants a number above 0."""
    return int(rng.integers(1, 2**31 - 1))


def counted(name: str, values: Mapping[str, float]) -> None:
    """Refuse options that are no whole number of at least 1.

    Raises:
        ValueError: names the method and the option.
    """
    for option, value in values.items():
        whole(f"{name}: {option}", value, 1)
