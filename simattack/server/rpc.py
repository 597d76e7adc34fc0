"""CARLA's remote calls as bytes: MessagePack-RPC the way rpclib speaks it. No input or output.

A request is ``[0, id, method, [[is_async], argument, ...]]``, its answer
``[1, id, error, result]``. There is no length prefix, so
``Rpc.feed`` takes whatever arrived and gives back what is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgpack

from simattack.errors import ProtocolError
from simattack.server.shown import shown

MAX_MESSAGE_BYTES = 256 << 20
"""Room for one 4096 x 4096 texture of integers; more than this is not a CARLA client."""
MAX_ARRAY_ITEMS = 1 << 25
"""Of one array: a 4096 x 4096 texture has 2**24 pixels. Bounds what a forged header allocates."""

_NOT_MSGPACK = (ValueError, TypeError, msgpack.UnpackException, RecursionError, MemoryError)
"""What the unpacker raises on foreign bytes: TypeError for a map whose key is a list."""
_REQUEST, _RESPONSE, _NOTIFICATION = 0, 1, 2


@dataclass(frozen=True)
class Call:
    """One complete request of the client."""

    id: int | None
    """None for a notification, which gets no answer."""
    method: str
    args: tuple[Any, ...]
    """Without the leading metadata."""
    is_async: bool = False
    """The client goes on without reading the answer; it still wants one, to forget the call."""


class Unanswerable(Exception):
    """A call that does not exist or has other arguments; told the way rpclib tells it."""


class Rpc:
    """One connection's side of the protocol: bytes in, calls out; answers in, bytes out."""

    def __init__(self) -> None:
        # Foreign bytes in a text go back as they came, also within an error that names them.
        self._packer = msgpack.Packer(
            use_bin_type=True, autoreset=True, unicode_errors="surrogateescape"
        )
        # Type ids and map texts are UTF-8 by custom only: keep foreign bytes instead of failing.
        self._unpacker = msgpack.Unpacker(
            raw=False,
            strict_map_key=False,
            unicode_errors="surrogateescape",
            max_buffer_size=MAX_MESSAGE_BYTES,
            max_array_len=MAX_ARRAY_ITEMS,
            max_map_len=1024,
        )

    def feed(self, data: bytes) -> list[Call]:
        """The calls that are complete with ``data``, in the order they were sent.

        Raises:
            ProtocolError: the bytes are not MessagePack-RPC requests; the connection is lost.
        """
        try:
            self._unpacker.feed(data)
            messages = list(self._unpacker)
        except _NOT_MSGPACK as error:
            detail = str(error) or type(error).__name__
            raise ProtocolError(
                f"expected a MessagePack-RPC request, got bytes that are not: {detail}"
            ) from error
        return [_call(message) for message in messages]

    def reply(self, call: Call, value: Any) -> bytes:
        """The answer to ``call``; nothing for a notification."""
        return self._answer(call, None, value)

    def fail(self, call: Call, text: str) -> bytes:
        """The error rpclib itself answers with; the client raises ``rpc::rpc_error``."""
        return self._answer(call, text, None)

    def _answer(self, call: Call, error: str | None, value: Any) -> bytes:
        if call.id is None:
            return b""
        packed: bytes = self._packer.pack([_RESPONSE, call.id, error, value])
        return packed


def is_tick(call: Call) -> bool:
    """Whether the call advances the world."""
    return call.method == "tick_cue" or (
        call.method == "apply_batch" and len(call.args) == 2 and call.args[1] is True
    )


def _call(message: object) -> Call:
    """Checks one unpacked message and gives it a shape."""
    match message:
        case [int(kind), int(number), str(method), [[bool(is_async)], *args]] if (
            kind == _REQUEST and number >= 0
        ):
            return Call(number, method, tuple(args), is_async)
        case [int(kind), str(method), [[bool(is_async)], *args]] if kind == _NOTIFICATION:
            return Call(None, method, tuple(args), is_async)
    raise ProtocolError(
        f"expected a request [0, id, method, [[is_async], ...]], got {shown(message)}"
    )
