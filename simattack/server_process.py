"""The embedded server as a child process: start it, wait for its ready line, stop it.

The child lives in a process of its own because several calls of CARLA's client hold Python's
global lock while they wait for an answer.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from simattack.errors import SetupError

_READY = re.compile(r"ready on ([\d.]+):(\d+)")


class ServerProcess:
    """One running ``simattack serve`` on a free loopback port; a context manager.

    Raises:
        SetupError: it did not get ready; carries the server's own last line.
    """

    def __init__(
        self,
        map_path: Path | None = None,
        gpu: int | None = None,
        timeout_s: float = 120.0,
        maps_path: Path | None = None,
    ) -> None:
        command = [sys.executable, "-m", "simattack.server", "--port", "0"]
        command += ["--parent", str(os.getpid())]
        if map_path is not None:
            command += ["--map", str(map_path)]
        if maps_path is not None:
            command += ["--maps", str(maps_path)]
        if gpu is not None:
            command += ["--gpu", str(gpu)]
        self._cache = tempfile.TemporaryDirectory(prefix="simattack-carla-")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A terminal's Ctrl-C must reach us first, so that nothing measured is lost.
            start_new_session=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_output, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self.host, self.port = self._await_ready(timeout_s)

    @property
    def pid(self) -> int:
        """Of the server."""
        return self._process.pid

    @property
    def cache_folder(self) -> str:
        """Where the client of this server may keep map files (``CARLA_CACHE_DIR``)."""
        return self._cache.name

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        """The last line the server wrote on stderr, or how it ended."""
        if self._errors:
            return self._errors[-1]
        code = self._process.poll()
        return "it is running" if code is None else f"it ended with exit code {code}"

    def close(self) -> None:
        """Ask it to stop, insist after 5 s; safe to call twice."""
        if self.is_alive:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for reader in self._readers:
            reader.join(1)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._cache.cleanup()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read_output(self) -> None:
        assert self._process.stdout is not None  # we asked for the pipe
        with contextlib.suppress(ValueError):
            for line in self._process.stdout:
                self._lines.put(line.strip())
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(ValueError):
            for line in self._process.stderr:
                if line.strip():
                    self._errors = [*self._errors[-19:], line.strip()]

    def _await_ready(self, timeout_s: float) -> tuple[str, int]:
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                self._process.wait(5)
                self._readers[1].join(1)
                words = self.last_words().removeprefix("simattack: ")
                self.close()
                raise SetupError(f"the embedded server did not start: {words}")
            if match := _READY.search(line):
                return match[1], int(match[2])
        self.close()
        raise SetupError(
            f"the embedded server was not ready within {timeout_s:g} s; "
            "try `simattack serve` by itself to see why"
        )
