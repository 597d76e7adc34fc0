"""What happens to the car, in short: of each attack a line for every defense that was driven."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simattack.scenario import UNDEFENDED as NONE

Line = Mapping[str, Any]
ARMS = ("clean", "attacked", "adaptive")
HEAD = (
    "attack", "defense", "unsafe drives", "route completed", "driving score 2.1",
    "braked for nothing, clean", "drives an arm",
)  # fmt: skip
"""Three columns have a number for each of ``ARMS``: without an attack, under the scenario's own,
and under the one of somebody who knows the defense."""


def cells(driven: Sequence[Line], rows: Sequence[Line]) -> list[list[str]]:
    """The table under ``HEAD``.

    Args:
        driven: of ``paired.differences``.
        rows: of the comparison, whose order the table has.
    """
    told = {(line["scenario"], line["defense"]) for line in driven}
    attacks = {attack for attack, _ in told}
    body = []
    for attack, defense in dict.fromkeys((row["attack"], row["defense"]) for row in rows):
        if (attack, defense) not in told and not (defense == NONE and attack in attacks):
            continue
        own = [
            line
            for line in driven
            if line["scenario"] == attack and defense in (NONE, line["defense"])
        ]
        body.append(
            [
                attack,
                defense,
                unsafe(own, attack, defense),
                by_arm(own, attack, defense, "route_completion"),
                by_arm(own, attack, defense, "leaderboard_2_1_score", score),
                percent(mean(own, attack, defense, "clean", "phantom_braking")),
                str(min((int(line["n"]) for line in own if line["is_unsafe"]), default=0)),
            ]
        )
    return body


def unsafe(driven: Sequence[Line], attack: str, defense: str) -> str:
    """Shares of unsafe drives, as ``by_arm``; "–" throughout where nobody drove."""
    told = [line for line in driven if line["is_unsafe"]]
    return " / ".join(percent(_mean(told, attack, defense, arm)) for arm in ARMS)


def by_arm(
    driven: Sequence[Line],
    attack: str,
    defense: str,
    metric: str,
    form: Callable[[float | None], str] | None = None,
) -> str:
    """Means of a metric in each of ``ARMS`` with the defense; "–" where nobody drove one."""
    means = (mean(driven, attack, defense, arm, metric) for arm in ARMS)
    return " / ".join(map(form or percent, means))


def mean(driven: Sequence[Line], attack: str, defense: str, arm: str, metric: str) -> float | None:
    """Mean of a metric in an arm with the defense; None: nobody drove it.

    ``none`` is told by undefended seeds that defended ones were held against. Of several attacks
    by somebody who knows the defense all count.
    """
    return _mean([line for line in driven if line["metric"] == metric], attack, defense, arm)


def _mean(lines: Sequence[Line], attack: str, defense: str, arm: str) -> float | None:
    side = "without" if defense == NONE else "with"
    for before in (f"{arm}_all", arm):
        for line in lines:
            is_own = defense in (NONE, line["defense"]) and line["scenario"] == attack
            if is_own and str(line["arm"]).partition("+")[0] == before:
                return float(line[side])
    return None


def percent(share: float | None) -> str:
    """For a table."""
    return "–" if share is None else f"{100 * share:.0f} %"


def score(value: float | None) -> str:
    """A leaderboard's score, 0 to 100, for a table."""
    return "–" if value is None else f"{value:.0f}"
