"""One page a defense: what was measured, what it made of single views, its alarms on the road."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simattack import figures
from simattack.compare import board
from simattack.compare.exhibits import Exhibit
from simattack.figures import Trace
from simattack.report import photo
from simattack.scenario import UNDEFENDED as NONE
from simattack.sensors import SENSORS

STICKERS = {
    "bare": "without an attack",
    "oblivious": "the scenario's own attack",
    "adaptive": "the attack of somebody who knows the defense",
}
_PANES = (
    "what the camera saw, with the boxes of the detector alone",
    ("what the defense handed on, with the boxes that were left"),
)


def page(
    row: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    shown: Sequence[Exhibit],
    folder: Path,
    traces: Mapping[str, Sequence[Trace]],
    back: str,
) -> str:
    """The page of one row of a comparison, self-contained.

    Args:
        row: of the defense.
        rows: all of the comparison.
        shown: its exhibits, of ``folder``.
        folder: where their pictures lie.
        traces: arm -> one trace a seed, of the arms with this defense.
        back: link to the leaderboard.
    """
    # Ranks are among all defenses, whichever lines are shown.
    lines = [
        line
        for line in board.cells(rows)
        if line[1] == row["attack"] and line[2] in (NONE, row["defense"])
    ]
    title = f"{row['defense']} against {row['attack']}"
    parts = [
        f'<p><a href="{html.escape(back)}">all defenses</a></p><h1>{html.escape(title)}</h1>',
        *_measured(row),
        board.table(board.HEAD, lines),
        "<h2>Single views</h2>",
        *_views(shown, folder),
        "<h2>Alarms on the road</h2>",
        *_alarms(traces),
        "<h2>How strong the attack was</h2>",
        board.strength(row),
    ]
    return board.document(title, parts)


def _measured(row: Mapping[str, Any]) -> list[str]:
    said = []
    if row["adaptive_by"]:
        said.append(f"The adaptive attack was made by {html.escape(row['adaptive_by'])}.")
    if (sure := row["certified"]) is not None:
        share = f"{100 * sure['value']:.0f} % of {sure['n']} views are proven to show the target"
        said.append(html.escape(f"{share} against {sure['against']}."))
    if row["masks_gradients"]:
        said.append("This defense <b>masks gradients</b>: it holds up only who follows scores.")
    return [f"<p>{' '.join(said)}</p>"] if said else []


def _views(shown: Sequence[Exhibit], folder: Path) -> list[str]:
    if not shown:
        return ["<p>No pictures: nothing was measured on single views, or by an older version.</p>"]
    parts = [
        f"<p>Left: {_PANES[0]}. Middle: {_PANES[1]}. Right: {html.escape(shown[0].did)}.</p>"
    ]  # fmt: skip
    for one in shown:
        found = f"alone {_found(one.before)}, behind the defense {_found(one.after)}"
        alarm = f"; alarm {one.alarm:g}" if one.alarm else ""
        caption = f"{STICKERS[one.sticker]}, {one.distance_m:g} m: {found}{alarm}"
        other = "" if one.did == shown[0].did else f" (right: {one.did})"
        parts.append(
            f'<figure><img src="{photo(folder / one.file)}" alt="{html.escape(caption)}">'
            f"<figcaption>{html.escape(caption + other)}</figcaption></figure>"
        )
    return parts


def _found(is_found: bool) -> str:
    return "the target is found" if is_found else "the target is NOT found"


def _alarms(traces: Mapping[str, Sequence[Trace]]) -> list[str]:
    if not traces:
        return ["<p>Not driven; <code>simattack compare NAME --drive</code>.</p>"]
    plots = figures.alarms(traces, SENSORS)
    speed = figures.against_distance(traces, "speed_mps", "speed [m/s]")
    told = [f"<h3>{sensor}</h3><div>{svg}</div>" for sensor, svg in plots]
    none = "<p>It raised no alarm in any of its drives.</p>"
    return [*(told or [none]), f"<h3>speed</h3><div>{speed}</div>"]
