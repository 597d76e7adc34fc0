"""What the command line shows: columns of text on stdout, bars on stderr."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID


def columns(head: list[str], rows: list[list[str]]) -> str:
    """Text in columns, each as wide as its widest cell."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, ["-" * width for width in widths], *rows]
    ]
    return "\n".join(lines) + "\n"


class Stages:
    """A bar on stderr a stage of a long job, with its newest numbers; a context manager."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Stages:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, stage: str, done: int, total: int, numbers: Mapping[str, float]) -> None:
        """So much of a stage is done; elsewhere than on a terminal, a line a tenth."""
        text = "  ".join(f"{name} {value:.3g}" for name, value in numbers.items())
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total, numbers="")
        self._bar.update(self._tasks[stage], completed=done, total=total, numbers=text)
        if not self._console.is_terminal and (done % max(1, total // 10) == 0 or done == total):
            self._console.print(f"{stage}: {done} of {total}  {text}".rstrip())
