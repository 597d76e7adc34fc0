"""What somebody gets to see of a comparison's folder: page, CSV files, the table as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from simattack.compare import board, exhibits, pages, paired, run
from simattack.comparison import Comparison
from simattack.figures import Trace
from simattack.listing import taxonomy
from simattack.recording import load_trace
from simattack.results import Folder, write_text
from simattack.scenario import UNDEFENDED, Part
from simattack.terminal import columns

_IN_TERMINAL = (
    "rank", "attack", "defense", "hidden, adaptive", "hidden, oblivious", "bare sign lost",
    "AP50 clean", "ms mean", "checks",
)  # fmt: skip
"""Columns of the leaderboard."""


def publish(comparison: Comparison, out: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write the CSV files, ``report.html`` and a page a defense; the report's path."""
    drives = out / "drives"
    driven: list[dict[str, Any]] = []
    if (drives / "manifest.json").is_file():
        driven = differences(drives)
        write_text(out / "driven.csv", sheet(driven))
    write_text(out / "leaderboard.csv", board.sheet(rows))
    claims = {row["attack"]: row["countermeasures"] for row in taxonomy()}
    kinds = {versus.name: _kind(versus.scenario.attack) for versus in comparison.attacks}
    grid = board.matrix(rows, claims, kinds, driven)
    page = out / "report.html"
    link = "drives/report.html" if driven else ""
    links = _pages(comparison, out, rows, drives if driven else None)
    write_text(page, board.page(comparison.name, rows, driven, grid, link, links))
    return page


def _kind(attack: Part | None) -> str:
    """Of an attack, in the matrix; of several at once, those of all."""
    if attack is None or attack.kind != "several":
        return "" if attack is None else attack.kind
    return " + ".join(str(part["kind"]) for part in dict(attack.options)["parts"])


def _pages(
    comparison: Comparison, out: Path, rows: Sequence[Mapping[str, Any]], drives: Path | None
) -> dict[tuple[str, str], str]:
    """A page for each row with a defense: (attack, defense) -> its link."""
    links = {}
    for row in rows:
        if row["defense"] == UNDEFENDED:
            continue
        folder = run.exhibits_of(out, row["attack"], row["defense"])
        traces = {} if drives is None else _traces(drives, row["attack"], row["defense"])
        path = folder.with_name(f"{folder.name}.html")
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = exhibits.read(folder)
        write_text(path, pages.page(row, rows, shown, folder, traces, "../report.html"))
        links[row["attack"], row["defense"]] = quote(path.relative_to(out).as_posix())
    return links


def _traces(drives: Path, scenario: str, defense: str) -> dict[str, list[Trace]]:
    """Arm -> traces of its seeds, of all arms with that defense."""
    folder = Folder(drives)
    found: dict[str, list[Trace]] = {}
    for row in folder.rows()[0]:
        done = row.result
        if done.scenario == scenario and done.arm.endswith(f"+{defense}"):
            path = folder.trace(scenario, done.arm, done.seed)
            if path.is_file():
                found.setdefault(done.arm, []).append(load_trace(path))
    return found


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The leaderboard for a terminal."""
    kept = [board.HEAD.index(name) for name in _IN_TERMINAL]
    body = board.cells(rows)
    told = columns(list(_IN_TERMINAL), [[line[i] for i in kept] for line in body])
    if proven := board.certificates(rows):
        told += "\n" + columns(list(board.PROVEN), proven)
    return told


def differences(drives: Path) -> list[dict[str, Any]]:
    """What defenses changed on the road, out of a folder of drives.

    Raises:
        ResultsError: it is damaged.
    """
    folder = Folder(drives)
    scenarios = folder.manifest().inputs["scenarios"]
    unsafe = {name: told["content"]["unsafe"] for name, told in scenarios.items()}
    return paired.differences(folder.rows()[0], unsafe)


def sheet(rows: Sequence[Mapping[str, Any]]) -> str:
    """The differences as CSV."""
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return file.getvalue()
