"""How long a session waits for its server, and for one that is no more."""

from __future__ import annotations

import socket

import pytest

from simattack.connection import Connection
from simattack.errors import ServerGone


class Client:
    """Of CARLA's, what a connection calls."""

    def __init__(self, *_):
        self.timeout_s = None

    def set_timeout(self, seconds):
        self.timeout_s = seconds


class Carla:
    Client = Client


@pytest.fixture
def door():
    """A port where somebody takes calls until it is closed."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def line(door):
    return Connection(Carla(), "127.0.0.1", door.getsockname()[1], None)


def test_a_host_that_is_not_there_is_a_server_gone():
    class Nowhere:
        @staticmethod
        def Client(*_):
            raise RuntimeError("resolve: Host not found")

    with pytest.raises(ServerGone, match=r"carla\.invalid:2000 failed while connecting: resolve"):
        Connection(Nowhere(), "carla.invalid", 2000, None)


def test_somebody_else_s_server_may_load_for_long_and_answers_soon_otherwise(line):
    usual_s = line.client.timeout_s
    with line.patience():
        assert line.client.timeout_s > 10 * usual_s
    assert line.client.timeout_s == usual_s


def test_a_failed_call_leaves_a_living_server_its_time(line):
    usual_s = line.client.timeout_s
    with pytest.raises(ServerGone, match="failed while painting: no such object"):
        with line.talking("painting"):
            raise RuntimeError("no\nsuch object")
    assert line.client.timeout_s == usual_s


def test_after_a_server_is_gone_hardly_anything_is_waited_for(line, door):
    door.close()
    with pytest.raises(ServerGone, match="failed while ticking"):
        with line.talking("ticking"):
            raise RuntimeError("time-out")
    assert line.client.timeout_s < 1
    with pytest.raises(RuntimeError, match="nobody takes calls"):
        with line.patience():
            pytest.fail("it waits for a world that nobody loads")
