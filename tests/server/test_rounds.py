"""When a tick waits for the client's traffic manager, and that it never waits for long."""

from __future__ import annotations

import asyncio

import msgpack
import pytest

from simattack.server import sockets, stream
from simattack.server.rounds import Rounds
from simattack.server.rpc import Call

ROUND = ("get_vehicle_light_states", "get_weather_parameters", "apply_batch")
SETTINGS = "get_episode_settings"


class OneWorld:
    """As much of a world as a connection needs."""

    def __init__(self, ports):
        self.streams = stream.Streams()
        self.traffic_managers = {port: ("127.0.0.1", port) for port in ports}


class Pipe:
    """A transport that forgets what is written."""

    def get_extra_info(self, name):
        return self

    def setsockopt(self, *option):
        pass

    def set_write_buffer_limits(self, high):
        pass

    def write(self, data):
        pass

    def close(self):
        pass


def noted(*methods):
    rounds = Rounds()
    for method in methods:
        rounds.note(Call(0, method, ()))
    return rounds


def answered(batches, ports=(8000,), wait_s=0.0):
    """The methods in the order of their answers, when they come in such batches."""
    done = []

    async def talk():
        world = OneWorld(ports)
        connection = sockets.RpcConnection(
            world, lambda _, call: done.append(call.method), sockets.Waiting(world.streams), 0
        )
        connection.connection_made(Pipe())
        for batch in batches:
            requests = [msgpack.packb([0, 0, method, [[False]]]) for method in batch]
            connection.data_received(b"".join(requests))
            done.append("|")
        await asyncio.sleep(wait_s)
        connection.connection_lost(None)

    asyncio.run(talk())
    return done


@pytest.mark.parametrize(
    ("methods", "is_open"),
    [
        (ROUND, True),
        ((*ROUND, SETTINGS), False),
        ((ROUND[0], SETTINGS, *ROUND[1:]), True),
        ((*ROUND, *ROUND, SETTINGS), True),
        ((*ROUND, *ROUND, SETTINGS, SETTINGS), False),
        (("apply_batch",), False),
        (("get_weather_parameters", "apply_batch"), False),
        ((ROUND[0], "tick_cue", *ROUND[1:]), False),
        ((ROUND[0], *ROUND), True),
    ],
)
def test_a_round_is_open_from_its_batch_to_the_question_for_settings(methods, is_open):
    assert noted(*methods).is_open is is_open


def test_a_tick_waits_for_the_question_that_follows_a_round():
    done = answered([(*ROUND, "tick_cue"), (SETTINGS,)])
    assert done == [*ROUND, "|", SETTINGS, "tick_cue", "|"]


def test_a_question_right_behind_a_tick_is_answered_before_it():
    done = answered([ROUND, ("tick_cue", "version", SETTINGS)])
    assert done == [*ROUND, "|", SETTINGS, "tick_cue", "version", "|"]


def test_a_tick_without_a_round_before_it_never_waits():
    assert answered([("tick_cue", SETTINGS)]) == ["tick_cue", SETTINGS, "|"]


def test_a_client_without_a_manager_never_waits():
    done = answered([(*ROUND, "tick_cue"), (SETTINGS,)], ports=())
    assert done == [*ROUND, "tick_cue", "|", SETTINGS, "|"]


def test_a_tick_goes_on_when_the_manager_asks_nothing_more(monkeypatch):
    monkeypatch.setattr(sockets, "ROUND_S", 0.01)
    calls = [(*ROUND, "tick_cue", "version"), ()]
    assert answered(calls, wait_s=0.1) == [*ROUND, "|", "|", "tick_cue", "version"]


def test_a_wait_that_is_over_does_not_cut_the_next_one_short(monkeypatch):
    monkeypatch.setattr(sockets, "ROUND_S", 0.05)
    done = []

    async def talk():
        world = OneWorld([8000])
        connection = sockets.RpcConnection(
            world, lambda _, call: done.append(call.method), sockets.Waiting(world.streams), 0
        )
        connection.connection_made(Pipe())

        def say(*methods):
            requests = [msgpack.packb([0, 0, method, [[False]]]) for method in methods]
            connection.data_received(b"".join(requests))

        say(*ROUND, "tick_cue")
        await asyncio.sleep(0.03)
        say(SETTINGS, *ROUND, "tick_cue")
        # the first wait would end now, the second goes on
        await asyncio.sleep(0.03)
        assert done.count("tick_cue") == 1
        connection.connection_lost(None)

    asyncio.run(talk())
