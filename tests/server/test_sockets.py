"""What a connection does with a client that does not keep up."""

import asyncio

import msgpack
import pytest

from simattack.server import sockets, stream


class Pipe:
    """A transport whose reader sleeps: it keeps what is written."""

    def __init__(self, waiting_bytes):
        self.waiting_bytes, self.written = waiting_bytes, b""

    def get_extra_info(self, name):
        return self

    def setsockopt(self, *option):
        assert option[2] == 1

    def get_write_buffer_size(self):
        return self.waiting_bytes

    def write(self, data):
        self.written += data


class OneStream:
    """As much of a world as a listener needs."""

    def __init__(self):
        self.streams = stream.Streams()
        self.subscribe = self.streams.subscribe


def connected(waiting_bytes):
    world, pipe = OneStream(), Pipe(waiting_bytes)
    connection = sockets.StreamConnection(world)
    connection.connection_made(pipe)
    connection.data_received(b"\x01\x00")
    connection.data_received(b"\x00\x00")
    return world.streams, pipe


def test_a_listener_gets_length_and_parts():
    streams, pipe = connected(0)
    streams.send(stream.WORLD_STREAM, [b"abc", b"de"])
    assert pipe.written == b"\x05\x00\x00\x00abcde"


def test_a_slow_client_of_a_free_world_misses_messages():
    streams, pipe = connected(sockets.LOSSY_BUFFER_BYTES + 1)
    streams.is_lossy = True
    streams.send(stream.WORLD_STREAM, [b"abc"])
    assert pipe.written == b""


def test_a_slow_client_in_lockstep_misses_nothing_until_memory_has_an_end():
    streams, pipe = connected(sockets.LOSSY_BUFFER_BYTES + 1)
    streams.is_lossy = False
    streams.send(stream.WORLD_STREAM, [b"abc"])
    assert pipe.written == b"\x03\x00\x00\x00abc"
    pipe.waiting_bytes, pipe.written = sockets.FULL_BUFFER_BYTES + 1, b""
    streams.send(stream.WORLD_STREAM, [b"abc"])
    assert pipe.written == b""


class Socket(Pipe):
    """A transport of a client's calls."""

    def __init__(self):
        super().__init__(0)
        self.is_reading = True

    def set_write_buffer_limits(self, high):
        assert high == sockets.UNREAD_BYTES

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True


def calls(count):
    return b"".join(msgpack.packb([0, n, "version", [[False]]]) for n in range(count))


def answered(pipe):
    unpacker = msgpack.Unpacker()
    unpacker.feed(pipe.written)
    return [number for _, number, _, _ in unpacker]


def caller(perform=lambda world, call: 0):
    world = OneStream()
    made = sockets.RpcConnection(world, perform, sockets.Waiting(world.streams), 0)
    pipe = Socket()
    made.connection_made(pipe)
    return made, pipe


def test_a_client_that_reads_no_answers_waits_with_its_calls_and_then_gets_all():
    async def run():
        made, pipe = caller()
        made.pause_writing()
        made.data_received(calls(3))
        assert (answered(pipe), pipe.is_reading) == ([], False)
        made.resume_writing()
        assert (answered(pipe), pipe.is_reading) == ([0, 1, 2], True)

    asyncio.run(run())


def test_many_calls_of_one_client_leave_turns_to_the_others(monkeypatch):
    monkeypatch.setattr(sockets, "TURN_S", -1.0)

    async def run():
        order = []
        one, first = caller(lambda world, call: order.append("one"))
        other, second = caller(lambda world, call: order.append("other"))
        one.data_received(calls(2))
        other.data_received(calls(2))
        one.data_received(b"")
        while len(order) < 4:
            await asyncio.sleep(0)
        assert order == ["one", "other"] * 2
        assert answered(first) == answered(second) == [0, 1]

    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_tick_that_fails_ends_no_free_world_and_is_told_once(caplog):
    class Broken(OneStream):
        settings = type("Settings", (), {"is_synchronous": False})
        delta_s, ticks = 0.0, 0

        def tick(self):
            self.ticks += 1
            raise ValueError("a bug")

    async def run():
        world = Broken()
        world.subscribe(stream.WORLD_STREAM, None)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(sockets._run_freely(world), 0.05)
        assert world.ticks > 1

    asyncio.run(run())
    assert caplog.text.count("a tick failed") == 1
