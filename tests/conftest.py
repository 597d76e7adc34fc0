"""What many tests share: one embedded server as a process of its own, and a client of it."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import start_server, stop_server

# The client keeps fetched files for ever, by name: give it a place that ends with the run. It
# reads the variable when it is imported.
_CACHE = tempfile.TemporaryDirectory(prefix="carla_cache_")
os.environ["CARLA_CACHE_DIR"] = _CACHE.name

# A shell that runs the tests in the background has them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--carla", metavar="HOST:PORT", help="a real CARLA server for marked tests")


@pytest.hookimpl(tryfirst=True)  # before marks are chosen from
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever asks for a session drives on a server of its own: that is a journey."""
    for item in items:
        if "session" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.journey)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the recordings of ``server``."""
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="session")
def server(recordings: Path) -> Iterator[tuple[str, int]]:
    """Host and port of an embedded server that lives as long as the test run."""
    process, found = start_server("--recordings", str(recordings))
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


@pytest.fixture(scope="session")
def session() -> Iterator[Any]:
    """A running Session with a server of its own; each test clears what it needs cleared.

    Its tests are journeys, marked above.
    """
    from simattack.session import Session

    with Session.launch() as running:
        yield running


@pytest.fixture
def world(client: Any) -> Any:
    """A fresh episode on the town, ticking on demand by 0.05 s."""
    made = client.load_world("town", reset_settings=True)
    settings = made.get_settings()
    settings.synchronous_mode = True
    settings.fixed_delta_seconds = 0.05
    made.apply_settings(settings)
    return made


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """Torch on one thread: tensors of tests are small, a second thread only waits for the first.

    Asked for by the tests that use torch, as importing it takes seconds.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
