"""All metrics of one episode, by name."""

from __future__ import annotations

from collections.abc import Sequence

from simattack.metrics import driving, lane, perception, phantom, rules, safety
from simattack.metrics.safety import Value
from simattack.types import EpisodeTruth, Tick


def measure(ticks: Sequence[Tick], truth: EpisodeTruth) -> dict[str, Value]:
    """Safety, rules, lane, driving and perception together; a name stands for one thing only.

    Raises:
        ValueError: no ticks.
    """
    if not ticks:
        raise ValueError("expected at least one tick to measure, got none")
    return {
        **safety.measure(ticks, truth),
        **rules.measure(ticks, truth),
        **lane.measure(ticks, truth),
        **phantom.measure(ticks, truth),
        **driving.measure(ticks, truth),
        **perception.measure(ticks, truth),
    }
