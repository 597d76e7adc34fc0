"""Processes of a speed run: the counted server, the clients, and one slice of a case."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent


class Lost(Exception):
    """A process of the run ended before it answered."""


@dataclass(frozen=True)
class Slice:
    """What some ticks of one case took."""

    ticks: int
    wall_s: float
    client_cpu_s: float
    cpu_s: dict[str, float]
    """Of the server, by part."""

    @property
    def server_cpu_s(self) -> float:
        """Of all parts."""
        return sum(self.cpu_s.values())


def _line(process: subprocess.Popen[str], what: str) -> str:
    stream: IO[str] | None = process.stdout
    line = stream.readline() if stream is not None else ""
    if not line:
        code = process.wait()
        how = signal.Signals(-code).name if code < 0 else f"status {code}"
        raise Lost(f"the {what} ended by {how}")
    return line


class Server:
    """An embedded server that counts; a context manager that ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # Its parent's end is its own, however the run ends.
            [sys.executable, str(HERE / "counted.py"), "--port", "0", "--parent", str(os.getpid())],
            stdout=subprocess.PIPE,
            text=True,
        )
        line = _line(self._process, "server")
        self.port = int(line.split(" ready on ")[1].split()[0].rpartition(":")[2])
        self.renderer = line.split(", map ")[1].partition(", ")[2].strip()

    def counters(self) -> dict[str, Any]:
        """Ticks and CPU seconds by part since it started."""
        self._process.send_signal(signal.SIGUSR1)
        return dict(json.loads(_line(self._process, "server")))

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exc: object) -> None:
        _end(self._process)


class Client:
    """A client's process; a context manager that ends it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "client.py"), str(server.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, case: str, ticks: int) -> Slice:
        """Sets a case up and lets it tick.

        Raises:
            Lost: the client ended; the message says how.
        """
        self._tell(case)
        self._answer()
        before = self._server.counters()
        self._tell(str(ticks))
        took = json.loads(self._answer())
        after = self._server.counters()
        return Slice(
            after["ticks"] - before["ticks"],
            took["wall_s"],
            took["cpu_s"],
            {name: after["cpu_s"][name] - spent for name, spent in before["cpu_s"].items()},
        )

    def _tell(self, text: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # that it ended is told by the answer that does not come

    def _answer(self) -> str:
        line = _line(self._process, "client")
        while line[0] not in "r{":  # CARLA's client says things of its own on stdout
            line = _line(self._process, "client")
        return line

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
        _end(self._process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
