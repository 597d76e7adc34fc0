"""What many tests share: one embedded server as a process of its own, and a client of it."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

# The client keeps fetched files for ever, by name: give it a place that ends with the run. It
# reads the variable when it is imported.
_CACHE = tempfile.TemporaryDirectory(prefix="carla_cache_")
os.environ["CARLA_CACHE_DIR"] = _CACHE.name

READY = re.compile(r"^simattack server ready on ([\d.]+):(\d+) \(streams (\d+)\), map (\S+), (.+)$")
START_S = 60.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--carla", metavar="HOST:PORT", help="a real CARLA server for marked tests")


def start_server(*flags: str) -> tuple[subprocess.Popen[str], re.Match[str]]:
    """A server process and its ready line; fails when it does not come up."""
    command = [
        sys.executable,
        "-m",
        "simattack.server",
        "--port",
        "0",
        "--parent",
        str(os.getpid()),
    ]
    process = subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    is_there, _, _ = select.select([process.stdout], [], [], START_S)
    line = process.stdout.readline() if is_there else ""
    found = READY.match(line)
    if not found:
        stop_server(process)
        pytest.fail(f"the server said {line!r} instead of being ready within {START_S} s")
    return process, found


def stop_server(process: subprocess.Popen[str]) -> int:
    """Asks a server to end, makes it if it does not; its exit status."""
    process.terminate()
    try:
        return process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(10)
    finally:
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, int]]:
    """Host and port of an embedded server that lives as long as the test run."""
    process, found = start_server()
    yield found[1], int(found[2])
    stop_server(process)


@pytest.fixture(scope="session")
def client(server: tuple[str, int]) -> Any:
    """A carla.Client of ``server``, with threads enough for eight listening sensors."""
    import carla

    host, port = server
    made = carla.Client(host, port, worker_threads=10)
    made.set_timeout(30.0)
    return made


@pytest.fixture
def world(client: Any) -> Any:
    """A fresh episode on the town, ticking on demand by 0.05 s."""
    made = client.load_world("town", reset_settings=True)
    settings = made.get_settings()
    settings.synchronous_mode = True
    settings.fixed_delta_seconds = 0.05
    made.apply_settings(settings)
    return made
