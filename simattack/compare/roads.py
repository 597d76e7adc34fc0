"""What happens to the car, in short: of each attack a line for every defense that was driven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simattack.scenario import UNDEFENDED as NONE

Line = Mapping[str, Any]
HEAD = (
    "attack", "defense", "unsafe drives: clean", "under the scenario's attack",
    "under the one made through it", "braked for nothing, clean", "route completed: clean",
    "route completed: attacked", "driving score 2.1: clean", "driving score 2.1: attacked",
    "drives an arm",
)  # fmt: skip
"""*Attacked*: by the attack that was made through the defense, where that was driven."""
_ATTACKED = ("adaptive", "attacked")


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
        own = [line for line in driven if line["scenario"] == attack]
        shown = [
            percent(unsafe(own, attack, defense, before))
            for before in ("clean", "attacked", "adaptive")
        ]
        shown.append(percent(mean(own, attack, defense, "clean", "phantom_braking")))
        for metric, form in (("route_completion", percent), ("leaderboard_2_1_score", score)):
            under = (mean(own, attack, defense, before, metric) for before in _ATTACKED)
            shown.append(form(mean(own, attack, defense, "clean", metric)))
            shown.append(form(next((value for value in under if value is not None), None)))
        counts = [
            int(line["n"])
            for line in own
            if line["is_unsafe"] and defense in (NONE, line["defense"])
        ]
        body.append([attack, defense, *shown, str(min(counts, default=0))])
    return body


def unsafe(driven: Sequence[Line], attack: str, defense: str, before: str) -> float | None:
    """Share of unsafe drives in the arm ``before`` with the defense; see ``mean``."""
    return _mean([line for line in driven if line["is_unsafe"]], attack, defense, before)


def mean(
    driven: Sequence[Line], attack: str, defense: str, before: str, metric: str
) -> float | None:
    """Mean of a metric in the arm ``before`` with the defense; None: nobody drove it.

    ``none`` is told by the undefended seeds that the defended ones were held against. Of several
    attacks made through a defense all count.
    """
    return _mean([line for line in driven if line["metric"] == metric], attack, defense, before)


def _mean(lines: Sequence[Line], attack: str, defense: str, before: str) -> float | None:
    mine = [line for line in lines if line["scenario"] == attack]
    if defense == NONE:
        found = [line for line in mine if str(line["arm"]).startswith(f"{before}+")]
        return float(found[0]["without"]) if found else None
    arms = (f"{before}_all+{defense}", f"{before}+{defense}")
    found = [line for arm in arms for line in mine if line["arm"] == arm]
    return float(found[0]["with"]) if found else None


def percent(share: float | None) -> str:
    """For a table."""
    return "–" if share is None else f"{100 * share:.0f} %"


def score(value: float | None) -> str:
    """A leaderboard's score, 0 to 100, for a table."""
    return "–" if value is None else f"{value:.0f}"
