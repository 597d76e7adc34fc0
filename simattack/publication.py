"""What a user gets to see of a results folder: its page, its table, and ``runs/latest``."""

from __future__ import annotations

from pathlib import Path

from simattack import report
from simattack.results import Folder
from simattack.summary import summarise
from simattack.terminal import columns

_MOST_COLUMNS = 7
"""As many as a terminal can hold; the report has them all."""


def publish(path: Path) -> Path:
    """Write the report of a folder and let ``latest`` beside it point there; the page's path."""
    page = report.write(path)
    if path.parent.name == "runs":
        link = path.parent / "latest"
        if link.is_symlink():
            link.unlink()
        if not link.exists():
            link.symlink_to(path.name)
    return page


def table(path: Path) -> str:
    """The headline and the main table of a folder, as text; one after the other for a suite."""
    folder = Folder(path)
    rows, _ = folder.rows()
    return "".join(
        f"{headline}\n\n{columns(head[:_MOST_COLUMNS], [row[:_MOST_COLUMNS] for row in body])}"
        for headline, head, body in report.table(summarise(rows), folder.manifest())
    )
