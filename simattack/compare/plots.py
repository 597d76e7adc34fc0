"""Figures of a comparison's page, as SVG: better is further up and to the right."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Row = Mapping[str, Any]


class Mark(NamedTuple):
    """A point of a figure, x and y in 0..1."""

    x: float
    y: float
    name: str
    is_red: bool = False
    span: tuple[float, float] | None = None
    """Interval of y; None: not told."""


def by_attack(rows: Sequence[Row], by: str, draw: Callable[[Sequence[Row]], str]) -> list[str]:
    """HTML: a figure for each attack, where many in one could not be told apart; side by side."""
    figures = {
        name: draw([row for row in rows if row[by] == name])
        for name in dict.fromkeys(row[by] for row in rows)
    }
    told = [
        f"<figure><figcaption>{html.escape(name)}</figcaption>{drawn}</figure>"
        for name, drawn in figures.items()
        if drawn
    ]
    return ['<div class="plots">', *told, "</div>"] if told else []


def road_plot(driven: Sequence[Row]) -> str:
    """SVG: route completed without an attack to the right, safe drives under it upwards.

    The route is told as a share of what the car completes without the defense: one that alarms
    all the time is safe because it hardly moves. The attack is the adaptive one
    where that was driven, else the scenario's own. Empty if there is nothing to show.
    """
    safe: dict[tuple[str, str, str], float] = {}
    done: dict[tuple[str, str], float] = {}
    for row in driven:
        before = str(row["arm"]).partition("+")[0]
        if row["is_unsafe"]:
            safe[row["scenario"], row["defense"], before] = 1 - row["with"]
        elif row["metric"] == "route_completion" and before == "clean" and row["without"]:
            done[row["scenario"], row["defense"]] = min(1.0, row["with"] / row["without"])
    points = []
    for scenario, defense in dict.fromkeys((key[0], key[1]) for key in safe):
        attacked = safe.get((scenario, defense, "attacked"))
        one = safe.get((scenario, defense, "adaptive"), attacked)
        under = safe.get((scenario, defense, "adaptive_all"), one)
        clean = done.get((scenario, defense))
        if under is not None and clean is not None:
            points.append(Mark(clean, under, defense))
    right = "route completed without an attack, of that without the defense"
    return scatter(points, right, "safe drives under it") if points else ""


def scatter(points: Sequence[Mark], right: str, up: str) -> str:
    """SVG of points, each with its interval upwards, and what lies which way."""
    side, edge, line = 360.0, 40.0, 14.0
    far = edge + side
    # Names stand in a column of their own, each at its mark's height or below the one before.
    marks, below = [], edge - line
    for one in sorted(points, key=lambda one: (1 - one.y, one.x, one.name, one.is_red)):
        at_x, at_y = edge + side * one.x, edge + side * (1 - one.y)
        below = max(at_y, below + line)
        color = "#c0392b" if one.is_red else "#2f5fa8"
        if one.span is not None:
            low_y, high_y = (edge + side * (1 - end) for end in one.span)
            marks.append(
                f'<path d="M{at_x:.1f} {low_y:.1f}V{high_y:.1f}" stroke="{color}" opacity=".4"/>'
            )
        marks.append(
            f'<path d="M{at_x:.1f} {at_y:.1f}L{far + 12} {below:.1f}" stroke="#ccc"/>'
            f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="4" fill="{color}"/>'
            f'<text x="{far + 16}" y="{below + 4:.1f}">{html.escape(one.name)}</text>'
        )
    axes = (
        f'<path d="M{edge} {edge}V{far}H{far}" fill="none" stroke="#999"/>'
        f'<text x="{edge}" y="{far + 16}">0</text><text x="{far - 10}" y="{far + 16}">1</text>'
        f'<text x="{edge + 60}" y="{far + 32}">{html.escape(right)}</text>'
        f'<text x="{edge - 14}" y="{edge + 4}">1</text>'
        f'<text x="{edge}" y="{edge - 12}">{html.escape(up)}</text>'
    )
    wide, tall = far + 240, max(far + edge, below + edge)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {tall:.0f}" '
        f'width="{wide:.0f}" font-size="11">{axes}{"".join(marks)}</svg>'
    )
