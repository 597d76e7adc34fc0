"""The sockets: two TCP ports on one asyncio loop. The only file of the server that does I/O.

Calls of one connection are answered in order. A tick waits until the sensors that a client just
began to listen to have connected, and until the client's traffic manager is ready for it; the other
connections go on meanwhile.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from simattack.errors import ProtocolError, SetupError
from simattack.server import stream
from simattack.server.rounds import Rounds, is_question
from simattack.server.rpc import Call, Rpc, Unanswerable, is_tick

if TYPE_CHECKING:
    # A taken port is told before the world with all its libraries is loaded.
    from simattack.server.world import World

Perform: TypeAlias = "Callable[[World, Call], Any]"
"""Does what a client asks and gives the value to answer with; may raise ``Unanswerable``."""

_LOG = logging.getLogger(__name__)

PATIENCE_S = 0.5
"""How long a tick waits for a sensor's connection."""
ROUND_S = 0.05
"""How long a tick waits for a traffic manager."""
LOSSY_BUFFER_BYTES = 32 << 20
"""What may wait for a slow client of a free-running world before it misses messages."""
FULL_BUFFER_BYTES = 256 << 20
"""The same in a lockstep world, whose client is expected to read all: memory has an end."""
UNREAD_BYTES = 16 << 20
"""Answers that may wait for a client that does not read them, before its calls wait, too."""
TURN_S = 0.02
"""How long one client's calls are answered in a row while others may be waiting."""
RENEW_S = 2.0
"""How long a free-running world stands still after a load, for its client to connect again."""
_IDLE_S = 0.02
_RENEW_POLL_S = 0.002
_PARENT_POLL_S = 0.5
_PORT_TRIES = 50


class Waiting:
    """The connections whose tick waits for sensors to be connected."""

    def __init__(self, streams: stream.Streams) -> None:
        self.connections: set[RpcConnection] = set()
        self._streams = streams
        self._timer: asyncio.TimerHandle | None = None
        streams.on_settled = self._release

    def add(self, connection: RpcConnection) -> None:
        """Lets a connection wait, for ``PATIENCE_S`` at most."""
        self.connections.add(connection)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(PATIENCE_S, self._streams.give_up)

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Oldest first: the order must not depend on where they lie in memory.
        released = sorted(self.connections, key=lambda connection: connection.number)
        self.connections.clear()
        for connection in released:
            asyncio.get_running_loop().call_soon(connection.answer)


class RpcConnection(asyncio.Protocol):
    """One client's calls."""

    def __init__(self, world: World, perform: Perform, waiting: Waiting, number: int) -> None:
        self.number = number
        self._perform = perform
        self._world = world
        self._waiting = waiting
        self._rpc = Rpc()
        self._calls: deque[Call] = deque()
        self._rounds = Rounds()
        self._round_timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._is_unread = False
        self._is_resting = False
        """Whether others have their turn before its next call."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(UNREAD_BYTES)
        _no_delay(self._transport)

    def pause_writing(self) -> None:
        self._is_unread = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_unread = False
        if self._transport is not None:
            self._transport.resume_reading()
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.connections.discard(self)
        self._forget_round()
        self._transport = None
        self._calls.clear()

    def data_received(self, data: bytes) -> None:
        try:
            self._calls.extend(self._rpc.feed(data))
        except ProtocolError as error:
            _LOG.warning("closing a connection: %s", error)
            self._calls.clear()
            if self._transport is not None:
                self._transport.close()
            return
        self._go_on()

    def _go_on(self) -> None:
        if self not in self._waiting.connections and not self._is_resting:
            self.answer()

    def _rested(self) -> None:
        self._is_resting = False
        self._go_on()

    def answer(self) -> None:
        """Performs the calls that wait, up to a tick that has to wait itself.

        Also up to an answer that is one too many for a client that reads none, and for the length
        of a turn.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + TURN_S
        while self._calls and self._transport is not None and not self._is_unread:
            call = self._calls[0]
            if is_tick(call) and not self._world.streams.is_settled:
                self._waiting.add(self)
                return
            if is_tick(call) and self._world.traffic_managers and self._rounds.is_open:
                question = next((c for c in self._calls if is_question(c)), None)
                if question is None:
                    self._await_round()
                    return
                self._forget_round()
                call = question
            self._calls.remove(call)
            self._rounds.note(call)
            self._transport.write(self._performed(call))
            if self._calls and loop.time() > until_s:
                self._is_resting = True
                loop.call_soon(self._rested)
                return

    def _await_round(self) -> None:
        """Answers no tick until more calls come, or ``ROUND_S`` are over."""
        if self._round_timer is None:
            loop = asyncio.get_running_loop()
            self._round_timer = loop.call_later(ROUND_S, self._give_up_round)

    def _give_up_round(self) -> None:
        self._forget_round()
        self._rounds.give_up()
        self._go_on()

    def _forget_round(self) -> None:
        if self._round_timer is not None:
            self._round_timer.cancel()
            self._round_timer = None

    def _performed(self, call: Call) -> bytes:
        try:
            return self._rpc.reply(call, self._perform(self._world, call))
        except Unanswerable as refusal:
            return self._rpc.fail(call, str(refusal))
        except Exception:
            # A bug of ours in one call must not take the other clients' world away.
            _LOG.exception("%s failed", call.method)
            return self._rpc.fail(call, f"internal error of the server in {call.method!r}")


class StreamConnection(asyncio.Protocol):
    """One client listening to one stream; it sends the stream's number and then only reads."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._request = b""
        self._stream: int | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        _no_delay(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._stream is not None:
            self._world.streams.unsubscribe(self._stream, self)

    def data_received(self, data: bytes) -> None:
        if self._stream is not None:
            return
        self._request += data[: stream.SUBSCRIPTION_BYTES - len(self._request)]
        if len(self._request) == stream.SUBSCRIPTION_BYTES:
            self._stream = stream.subscription(self._request)
            self._world.subscribe(self._stream, self)

    def send(self, parts: Sequence[bytes | memoryview], is_lossy: bool) -> None:
        if self._transport is None:
            return
        bound = LOSSY_BUFFER_BYTES if is_lossy else FULL_BUFFER_BYTES
        if self._transport.get_write_buffer_size() > bound:
            return
        # One write wakes the client once. Images go by themselves: joining would copy them again.
        whole, images = stream.joined(parts)
        self._transport.write(whole)
        for image in images:
            self._transport.write(image)


def bind(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """The sockets of the calls and of the streams, one port above; port 0 picks two free ones.

    Raises:
        SetupError: the host is not ours, or a port is taken.
    """
    for _ in range(_PORT_TRIES if port == 0 else 1):
        calls = _listen(host, port)
        number = calls.getsockname()[1]
        try:
            return calls, _listen(host, number + 1)
        except SetupError:
            calls.close()
            if port != 0:
                raise
    raise SetupError(f"expected two free ports in a row on {host}, found none; name one by --port")


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise SetupError(f"expected a port and the next one in 1..65535, got {port}")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(64)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SetupError(
                f"port {port} on {host} is in use; stop what listens there or choose another "
                f"by --port (0 picks a free one)"
            ) from error
        raise SetupError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listener


async def serve_sockets(
    world: World,
    perform: Perform,
    calls: socket.socket,
    streams: socket.socket,
    ready: Callable[[], None],
    parent: int | None,
) -> None:
    """Serves until SIGTERM, SIGINT, or the end of the process ``parent``."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    waiting = Waiting(world.streams)
    numbers = itertools.count()
    rpc_server = await loop.create_server(
        lambda: RpcConnection(world, perform, waiting, next(numbers)), sock=calls
    )
    stream_server = await loop.create_server(lambda: StreamConnection(world), sock=streams)
    tasks = [asyncio.create_task(_run_freely(world)), asyncio.create_task(stopped.wait())]
    if parent is not None:
        tasks.append(asyncio.create_task(_outlived(parent)))
    ready()
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    rpc_server.close()
    stream_server.close()
    for task in done:
        task.result()


async def _run_freely(world: World) -> None:
    """Ticks a world that is not synchronous, no faster than real time, while somebody watches."""
    loop = asyncio.get_running_loop()
    told = ""
    loaded_s: float | None = None
    while True:
        if world.settings.is_synchronous or not world.streams.has_listeners(stream.WORLD_STREAM):
            await asyncio.sleep(_IDLE_S)
            continue
        began = loop.time()
        if world.streams.is_renewing:
            loaded_s = began if loaded_s is None else loaded_s
            if began < loaded_s + RENEW_S:
                await asyncio.sleep(_RENEW_POLL_S)
                continue
            world.streams.is_renewing = False
        loaded_s = None
        try:
            world.tick()
        except Exception as error:
            # A bug of ours must not take the world away; it is told once, not at every tick.
            if repr(error) != told:
                told = repr(error)
                _LOG.exception("a tick failed")
        # At least a little, so that calls get their turn beside a camera that is slow to draw.
        await asyncio.sleep(max(0.001, world.delta_s - (loop.time() - began)))


async def _outlived(parent: int) -> None:
    """Returns when the process ``parent`` is gone."""
    while True:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            return
        except PermissionError:
            # It lives, under another user.
            await asyncio.sleep(_PARENT_POLL_S)
            continue
        if _is_zombie(parent):
            return
        await asyncio.sleep(_PARENT_POLL_S)


def _is_zombie(pid: int) -> bool:
    """Whether a process ended and nobody has asked for its exit status."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return False


def _no_delay(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
