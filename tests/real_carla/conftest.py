"""The server that ``--carla HOST:PORT`` names, and a session on it that all these tests share.

The same tests run against CARLA's own server and against the embedded one: nothing in them asks
which it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simattack.session import Session

HERE = Path(__file__).parent
REASON = "no CARLA server was named: run `pytest -m carla --carla HOST:PORT tests/real_carla`"
SIGN = "stop_sign_0"
BEFORE_M = 12.0
"""From the ego to the line of SIGN: its plate fills some 30 pixels."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is here, and skip it where no server is named."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.carla)
            # Unreal Engine builds a map out of OpenDRIVE in minutes, not seconds.
            item.add_marker(pytest.mark.timeout(600))
            if not config.getoption("--carla"):
                item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture(scope="session")
def address(request: pytest.FixtureRequest) -> tuple[str, int]:
    """Host and port of the server under test."""
    text = request.config.getoption("--carla")
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        pytest.fail(f"expected --carla HOST:PORT, got {text!r}")
    return host, int(port)


@pytest.fixture(scope="session")
def session(address: tuple[str, int]) -> Iterator[Session]:
    """A session on the shipped town, loaded by OpenDRIVE."""
    with Session.connect(*address) as running:
        yield running


@pytest.fixture
def parked(session: Session) -> Session:
    """The ego with an RGB and a depth camera, standing before the line of SIGN, at rest."""
    session.clear()
    start = session.start_pose(session.route_to(SIGN, BEFORE_M))
    session.spawn_ego(start, {"camera": "rgb", "depth": "depth"}, seed=1)
    session.control(np.array([0.0, 0.0, 1.0]))
    for _ in range(20):  # a real CARLA drops a new car onto its wheels
        session.tick()
    return session
