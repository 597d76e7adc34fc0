"""What somebody gets to see of a comparison's folder: page, CSV files, the table as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simattack.compare import board, paired
from simattack.config import Comparison
from simattack.listing import taxonomy
from simattack.results import Folder, write_text
from simattack.terminal import columns


def publish(comparison: Comparison, out: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write ``leaderboard.csv``, ``driven.csv`` and ``report.html``; the page's path."""
    drives = out / "drives"
    driven: list[dict[str, Any]] = []
    if (drives / "manifest.json").is_file():
        driven = paired.differences(Folder(drives).rows()[0])
        write_text(out / "driven.csv", _driven(driven))
    write_text(out / "leaderboard.csv", board.sheet(rows))
    claims = {row["attack"]: row["countermeasures"] for row in taxonomy()}
    kinds = {}
    for versus in comparison.attacks:
        attack = comparison.scenario(versus).attack
        kinds[versus.scenario] = "" if attack is None else attack.kind
    grid = board.matrix(rows, claims, kinds)
    page = out / "report.html"
    link = "drives/report.html" if driven else ""
    write_text(page, board.page(comparison.name, rows, driven, grid, link))
    return page


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The leaderboard for a terminal."""
    kept = [0, 1, 2, 3, 4, 5, 6, 9, len(board.HEAD) - 1]
    body = board.cells(rows)
    return columns([board.HEAD[i] for i in kept], [[line[i] for i in kept] for line in body])


def _driven(rows: Sequence[Mapping[str, Any]]) -> str:
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return file.getvalue()
