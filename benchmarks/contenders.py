"""Adversaries that nobody trained, beside the trained ones: what ``rl.py`` lets drive.

A contender is a function of the seed that gives a function of what is seen; ``rl.py`` says in words
what each does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from simattack import actor
from simattack.adversary import Levers, Terms
from simattack.types import Floats

TARGET, TARGET_M = "target ahead / 50 m", 50.0
Act = Callable[[Floats], Floats]
Begin = Callable[[int], Act]
"""A contender: a seed -> what it does with what it sees."""


def idle(levers: Levers) -> Begin:
    nothing = levers.action(levers.idle)
    return lambda seed: lambda seen: nothing


def at_random(levers: Levers) -> Begin:
    def begin(seed: int) -> Act:
        rng = np.random.default_rng([seed, 17])
        return lambda seen: rng.uniform(-1.0, 1.0, len(levers))

    return begin


def timed(levers: Levers, terms: Terms, start_s: float, direction: Floats) -> Begin:
    """Nothing until a moment, then everything."""
    nothing, first = levers.action(levers.idle), round(start_s / terms.control_s)

    def begin(seed: int) -> Act:
        steps = iter(range(1_000_000))
        return lambda seen: direction if next(steps) >= first else nothing

    return begin


def ramped(levers: Levers, terms: Terms, start_s: float, over_s: float, direction: Floats) -> Begin:
    """Nothing until a moment, then ever more, up to all of it after ``over_s``."""
    nothing, full = levers.action(levers.idle), levers.parameters(direction)
    costs = ~np.isnan(levers.idle_or_free)

    def begin(seed: int) -> Act:
        steps = iter(range(1_000_000))

        def act(seen: Floats) -> Floats:
            share = ((next(steps) + 1) * terms.control_s - start_s) / over_s
            if share <= 0:
                return nothing
            grown = levers.idle + min(share, 1.0) * (full - levers.idle)
            return levers.action(np.where(costs, grown, full))

        return act

    return begin


def near(levers: Levers, sees: Sequence[str], within_m: float, direction: Floats) -> Begin:
    """Everything while the target is ahead and no farther than that."""
    nothing, at = levers.action(levers.idle), list(sees).index(TARGET)

    def act(seen: Floats) -> Floats:
        return direction if 0 < float(seen[at]) * TARGET_M <= within_m else nothing

    return lambda seed: act


def trained(path: Path) -> Begin:
    network = actor.load(path)

    def begin(seed: int) -> Act:
        network.reset()
        return network.act

    return begin


def directions(levers: Levers, share: float) -> list[Floats]:
    """A share of the way to full power, as actions: each parameter idle or towards an end of its
    box, in all combinations; what costs nothing in the middle of its box or at an end, whatever the
    share.
    """
    ends = [
        {float(low), float(idle), float(high)}
        for low, idle, high in zip(levers.low, levers.idle, levers.high, strict=True)
    ]
    costs = ~np.isnan(levers.idle_or_free)
    found = []
    for corner in itertools.product(*map(sorted, ends)):
        parameters = np.array(corner)
        if levers.power(parameters) > 0.99:
            shared = levers.idle + share * (parameters - levers.idle)
            found.append(levers.action(np.where(costs, shared, parameters)))
    return found
