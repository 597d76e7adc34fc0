"""Where a check works: a folder that outlives an interruption, and simattack's own command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from acceptance.record import ROOT

SIMATTACK = [sys.executable, "-m", "simattack"]
T = TypeVar("T")


class Failed(Exception):
    """A command did not do what a check needs of it."""


class Work:
    """The folder of one check, and which of its steps are done; a step's result is plain JSON."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path = folder / "steps.json"
        self._kept: dict[str, Any] = (
            json.loads(self._path.read_text()) if self._path.is_file() else {}
        )

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def once(self, step: str, measure: Callable[[], T]) -> T:
        """The result of a step that is taken only if no earlier attempt has finished it."""
        if step not in self._kept:
            say(f"{step} ...")
            self._keep(step, measure())
        result: T = self._kept[step]
        return result

    def clocked(self, step: str, do: Callable[[], object]) -> float:
        """Seconds that a resumable step took in all, over every attempt until it was finished."""

        def spent() -> float:
            began = time.monotonic()
            try:
                do()
            finally:
                before = float(self._kept.get(f"{step}, spent", 0.0))
                self._keep(f"{step}, spent", before + time.monotonic() - began)
            return float(self._kept[f"{step}, spent"])

        return self.once(step, spent)

    def _keep(self, step: str, result: Any) -> None:
        self._kept[step] = result
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self._kept))
        part.replace(self._path)


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"    {text}", file=sys.stderr, flush=True)


def call(*arguments: str, cpu: int | None = None, allowed: Iterable[int] = (0,)) -> int:
    """Run a simattack command, its progress shown; the exit code.

    Raises:
        Failed: another exit code than allowed.
    """
    command = [*SIMATTACK, *arguments]
    if cpu is not None:
        command = ["taskset", "-c", str(cpu), *command]
    ended = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
    if ended.returncode not in allowed:
        raise Failed(f"`simattack {' '.join(arguments)}` ended with exit code {ended.returncode}")
    return ended.returncode


@contextmanager
def started(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A simattack command that runs beside the check, and ends when the check leaves it."""
    process = subprocess.Popen([*SIMATTACK, *arguments], cwd=ROOT, text=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@contextmanager
def serving(*flags: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``simattack serve`` on a free port, and that port.

    Raises:
        Failed: it does not get ready.
    """
    with started("serve", "--port", "0", *flags, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        port = re.search(r"ready on 127\.0\.0\.1:(\d+)", line)
        if port is None:
            raise Failed(f"`simattack serve` said {line!r} instead of being ready")
        yield server, int(port[1])


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of a finished run."""
    with (folder / "episodes.jsonl").open() as file:
        return [json.loads(line) for line in file]


def timings(folder: Path) -> list[dict[str, Any]]:
    """Seconds of each episode of a run, in the order they were driven."""
    with (folder / "timing.jsonl").open() as file:
        return [json.loads(line) for line in file]


def rows_so_far(folder: Path) -> int:
    """Rows of a run that may still go on; 0 before the first and when it is finished."""
    try:
        return (folder / "episodes.partial.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def told(stderr: str) -> list[str]:
    """The lines in which simattack tells of something wrong, without this machine's paths."""
    lines = [line for line in stderr.splitlines() if line.startswith("simattack: ")]
    return [
        re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:port", line)
        .replace(str(ROOT), "<simattack>")
        .replace(tempfile.gettempdir(), "/tmp")
        for line in lines
    ]
