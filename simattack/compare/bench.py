"""Where a defense meets an attack on single views: what every kind of attack has to offer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from simattack import statistics
from simattack.compare.looking import Defended, found
from simattack.optimize.runs import Report
from simattack.types import Defense, Detections, Floats, Image

Made = Mapping[str, Any]
"""An attack made here, as options that replace those of the scenario's own."""


class Bench(Protocol):
    """Judged views of one attack, that none of it learns from, and what makes it anew."""

    @property
    def detector(self) -> Any: ...

    @property
    def distances_m(self) -> Floats:
        """(N,) of the judged views, from the camera to the target."""
        ...

    def bare(self) -> Image:
        """(N, H, W, 3) the judged views as if nobody attacked."""
        ...

    def targets(self) -> list[Detections]:
        """What is to be seen in each, one box."""
        ...

    def oblivious(self) -> Image:
        """The judged views under the scenario's own attack."""
        ...

    def under(self, made: Made) -> Image:
        """The judged views under an attack that was made here."""
        ...

    def why_not(self, defense: Any) -> str:
        """Why nobody makes the attack through this defense; empty where somebody does."""
        ...

    def attempts(
        self, name: str, defense: Any, report: Report | None = None
    ) -> tuple[Mapping[str, Made], str]:
        """The attack of who knows a defense, ``adaptive``, others of ``sanity.CHECKS``, and how.

        ``through`` is the best one made through the defense, where that may be another.
        ``name`` is of the defense, in file names.
        """
        ...

    def again(self, name: str, defense: Any, number: int, report: Report | None = None) -> Made:
        """The same attack made independently, for the ``number``-th time from 2 on."""
        ...

    def unbounded(self, defense: Any, which: Sequence[int]) -> Floats | None:
        """(n,) 1 where an attacker without limits hides the target of the views ``which``.

        None: there is no such thing.
        """
        ...

    def patch_px(self, view: int) -> tuple[int, int] | None:
        """Height and width of what the attack covers in a view; (0, 0) where that is out of
        sight, None where it is no patch that a certificate could speak of.
        """
        ...


def hides(bench: Bench, defense: Defense | None, images: Image) -> Floats:
    """(N,) 1 where the target of a judged view is not found behind the defense."""
    seen = Defended(bench.detector, defense).detect(images)
    return np.asarray(~found(seen, bench.targets()), float)


def rate(values: Floats) -> dict[str, Any]:
    """The share of ones with its interval, as plain values."""
    return dataclasses.asdict(statistics.rate(int(values.sum()), len(values)))


def has_way(defense: Any) -> bool:
    """Whether gradients get past a defense; past none they do."""
    return defense is None or hasattr(defense, "surrogate")


def named(report: Report | None, name: str) -> Report | None:
    """A report that tells what it is about."""
    if report is None:
        return None
    return lambda stage, done, of, numbers: report(f"{name}: {stage}", done, of, numbers)
