"""A real server among clients that die, flood, do not read, or send nonsense: it lives, and the
client beside them goes on as if they were not there.
"""

from __future__ import annotations

import select
import socket
import struct
import subprocess
import sys
import time

import msgpack
import psutil
import pytest
from maproads import straight
from serving import start_server, stop_server

from simattack.server import sockets
from simattack.server.codec import Settings

pytestmark = pytest.mark.journey

STREET = straight(length=80)
SOON_S = 5.0
"""A machine that does much else may take so long over what takes milliseconds."""
LOCKSTEP = Settings(True, False, 0.05).wire()


class Caller:
    """A client as plain as can be: it sends calls and reads answers."""

    def __init__(self, port):
        self.pipe = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.unpacker = msgpack.Unpacker(max_buffer_size=1 << 30)
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipe.close()

    def send(self, method, *args):
        self.pipe.sendall(msgpack.packb([0, self.count, method, [[False], *args]]))
        self.count += 1

    def read(self):
        """The next answer: its number, error and result."""
        while True:
            for kind, number, error, result in self.unpacker:
                assert kind == 1
                return number, error, result
            data = self.pipe.recv(1 << 20)
            assert data, "the server closed the connection"
            self.unpacker.feed(data)

    def call(self, method, *args):
        """The value of an answer."""
        self.send(method, *args)
        number, error, result = self.read()
        assert (number, error) == (self.count - 1, None)
        assert result[0][0] == 1, result
        return result[0][1]


class Listener:
    """One that subscribes to a stream."""

    def __init__(self, port, stream=1):
        self.pipe = socket.create_connection(("127.0.0.1", port + 1), timeout=30)
        self.pipe.sendall(struct.pack("<I", stream))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipe.close()

    def _exactly(self, count):
        data = bytearray()
        while len(data) < count:
            part = self.pipe.recv(count - len(data))
            assert part, "the server closed the stream"
            data += part
        return bytes(data)

    def frame(self):
        """The frame of the next message."""
        (length,) = struct.unpack("<I", self._exactly(4))
        return struct.unpack_from("<Q", self._exactly(length), 8)[0]


def killed(pipe):
    """Ends a connection the way that a killed client's machine does."""
    pipe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    pipe.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server on a map of one street, in lockstep: its process and port."""
    path = tmp_path_factory.mktemp("hard") / "street.xodr"
    path.write_text(STREET)
    process, found = start_server("--map", str(path))
    port = int(found[2])
    with Caller(port) as caller:
        caller.call("set_episode_settings", LOCKSTEP)
    yield psutil.Process(process.pid), port
    is_alive = process.poll() is None
    stop_server(process)
    assert is_alive, "the server died"


@pytest.fixture
def port(served):
    return served[1]


@pytest.fixture
def steady(port):
    """The client beside the others; it ticks on and on."""
    with Caller(port) as caller:
        yield caller


def ticks_on(caller, count=20):
    """Ticks; each comes soon, and is the next."""
    first = caller.call("tick_cue")
    for number in range(1, count):
        began = time.monotonic()
        assert caller.call("tick_cue") == first + number
        assert time.monotonic() - began < SOON_S
    return first + count - 1


def test_fifty_clients_at_once_get_every_answer_and_every_frame(port, steady):
    callers, listeners = [], []
    try:
        for _ in range(50):
            callers.append(Caller(port))
            listeners.append(Listener(port))
        now = [listener.frame() for listener in listeners]
        assert len(set(now)) == 1
        for turn in range(20):
            for caller in callers:
                caller.send("get_episode_settings")
                caller.send("get_actors_by_id", [1])
            frame = steady.call("tick_cue")
            assert {listener.frame() for listener in listeners} == {frame}
            for caller in callers:
                assert [caller.read()[0] for _ in range(2)] == [2 * turn, 2 * turn + 1]
    finally:
        for one in (*callers, *listeners):
            one.pipe.close()


def test_a_storm_of_connections_passes_and_leaves_nothing_open(served, steady):
    process, port = served
    ticks_on(steady)
    before = process.num_fds()
    call = msgpack.packb([0, 0, "version", [[False]]])
    for number in range(500):
        pipe = socket.create_connection(("127.0.0.1", port + number % 2), timeout=30)
        # Nothing, part of a call or of a stream's number, a whole one, a call and no wait.
        pipe.sendall(call[: (0, 3, 4, len(call))[number % 4]])
        (killed if number % 3 else socket.socket.close)(pipe)
        if number % 50 == 0:
            ticks_on(steady, 2)
    ticks_on(steady)
    until = time.monotonic() + SOON_S
    while process.num_fds() > before and time.monotonic() < until:
        steady.call("version")
    assert process.num_fds() <= before


def test_a_client_that_dies_in_the_middle_of_a_call_takes_nothing_with_it(port, steady):
    texture = [64, 64, [[1, 2, 3, 4]] * 4096]
    for cut in (1, 5, 40, 9000):
        caller = Caller(port)
        whole = msgpack.packb(
            [0, 0, "apply_color_texture_to_objects", [[False], ["x"], 2, texture]]
        )
        caller.pipe.sendall(whole[:cut])
        ticks_on(steady, 3)
        killed(caller.pipe)
    ticks_on(steady, 3)


def test_a_client_that_dies_while_its_tick_waits_for_a_sensor_holds_up_nobody(port, steady):
    gnss = [0, "sensor.other.gnss", []]
    actor = steady.call("spawn_actor", gnss, [[0.0, 0.0, 5.0], [0.0, 0.0, 0.0]])
    stream = struct.unpack_from("<I", actor[5])[0]
    dying = Caller(port)
    dying.call("get_sensor_token", stream)
    dying.send("tick_cue")  # waits until somebody connects, and nobody will
    killed(dying.pipe)
    ticks_on(steady)
    steady.call("destroy_actor", actor[0])


@pytest.mark.parametrize("nonsense", [b"\xc1", b"GET / HTTP/1.1\r\n\r\n", b"\x91" * 1020 + b"\xc0",
                                      b"\xdd\xff\xff\xff\xff", b"\xff" * 4096],
                         ids=["reserved", "http", "deep", "forged", "numbers"])  # fmt: skip
def test_nonsense_costs_its_sender_the_connection_and_nobody_else(port, steady, nonsense):
    with Caller(port) as bad:
        bad.pipe.sendall(nonsense + b"\xc1")
        ticks_on(steady, 3)
        assert bad.pipe.recv(100) == b""


def test_a_message_that_comes_byte_by_byte_is_answered_and_nobody_waits_for_it(port, steady):
    with Caller(port) as slow:
        for byte in msgpack.packb([0, 0, "version", [[False]]]):
            slow.pipe.sendall(bytes([byte]))
            ticks_on(steady, 2)
        assert slow.read() == (0, None, [[1, "0.9.16"]])


def test_one_who_floods_the_server_with_calls_gets_its_answers_while_others_get_theirs(
    port, steady
):
    with Caller(port) as flood:
        flood.pipe.sendall(b"".join(
            msgpack.packb([0, number, "get_actor_definitions", [[False]]]) for number in range(400)
        ))  # fmt: skip
        began = time.monotonic()
        steady.call("version")
        assert time.monotonic() - began < SOON_S
        assert [flood.read()[0] for _ in range(400)] == list(range(400))


def test_answers_that_nobody_reads_do_not_pile_up_without_end(served, steady):
    process, port = served
    with Caller(port) as deaf:
        size = len(msgpack.packb(deaf.call("get_actor_definitions")))
        before = process.memory_info().rss
        count = 6 * sockets.UNREAD_BYTES // size
        deaf.pipe.settimeout(0.5)
        request = msgpack.packb([0, 7, "get_actor_definitions", [[False]]])
        try:
            deaf.pipe.sendall(request * count)
        except TimeoutError:
            pass  # the server has stopped to read, too
        deaf.pipe.settimeout(30)
        peak = 0
        for _ in range(30):
            ticks_on(steady, 2)
            time.sleep(0.05)
            peak = max(peak, process.memory_info().rss)
        # No lower bound: the process may fill memory that it had before.
        assert peak - before < 3 * sockets.UNREAD_BYTES
        # It goes on as soon as somebody reads: more arrives than had piled up.
        got = 0
        while got < 2 * sockets.UNREAD_BYTES:
            part = deaf.pipe.recv(1 << 20)
            assert part, "the server closed the connection"
            got += len(part)


def test_one_that_reads_no_pictures_stalls_neither_the_world_nor_other_readers(port, steady):
    size = [["image_size_x", 2, "400"], ["image_size_y", 2, "300"], ["fov", 3, "90"]]
    camera = [0, "sensor.camera.rgb", size]
    actor = steady.call("spawn_actor", camera, [[0.0, 0.0, 5.0], [0.0, 0.0, 0.0]])
    stream = struct.unpack_from("<I", actor[5])[0]
    for _ in range(2):  # the next tick waits until both are connected
        steady.call("get_sensor_token", stream)
    with Listener(port, stream), Listener(port, stream) as reader:
        for _ in range(40):
            frame = steady.call("tick_cue")
            assert reader.frame() == frame
    steady.call("destroy_actor", actor[0])


VICTIM = """
import carla, sys, time
client = carla.Client("127.0.0.1", int(sys.argv[1]), worker_threads=3)
client.set_timeout(30)
world = client.get_world()
blueprint = world.get_blueprint_library().find("sensor.other.imu")
sensor = world.spawn_actor(blueprint, carla.Transform(carla.Location(0, 0, 5)))
sensor.listen(lambda data: print(data.frame, flush=True))
while True:
    world.get_settings()
"""


def test_a_client_killed_while_another_ticks_is_not_noticed_by_it(served, steady):
    process, port = served
    before = process.num_fds()
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(port)], stdout=subprocess.PIPE
    ) as victim:
        assert victim.stdout is not None
        until, heard = time.monotonic() + 30, False
        try:
            while not heard and time.monotonic() < until:
                ticks_on(steady, 2)
                heard = bool(select.select([victim.stdout], [], [], 0.02)[0])
            assert heard, "the victim never heard its sensor"
            ticks_on(steady)
        finally:
            victim.kill()
        ticks_on(steady, 100)
    ticks_on(steady)
    assert process.num_fds() <= before
