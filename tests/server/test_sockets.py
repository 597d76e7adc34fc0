"""What a connection does with a client that does not keep up."""

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
