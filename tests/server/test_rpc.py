"""The call protocol, on bytes recorded from the real client."""

import msgpack
import pytest

from simattack.errors import ProtocolError
from simattack.server.rpc import Call, Rpc

VERSION_CALL = bytes.fromhex("940000a776657273696f6e9191c2")
VERSION_ANSWER = bytes.fromhex("940100c0919201a6302e392e3136")


def test_a_recorded_call_is_understood():
    assert Rpc().feed(VERSION_CALL) == [Call(id=0, method="version", args=())]


def test_a_call_split_over_two_packets_arrives_once():
    rpc = Rpc()
    assert rpc.feed(VERSION_CALL[:5]) == []
    assert rpc.feed(VERSION_CALL[5:]) == [Call(id=0, method="version", args=())]


def test_two_calls_in_one_packet_arrive_in_order():
    second = msgpack.packb([0, 1, "tick_cue", [[False]]])
    assert [call.method for call in Rpc().feed(VERSION_CALL + second)] == ["version", "tick_cue"]


def test_the_answer_to_a_recorded_call_is_the_recorded_answer():
    rpc = Rpc()
    (call,) = rpc.feed(VERSION_CALL)
    assert rpc.reply(call, [[1, "0.9.16"]]) == VERSION_ANSWER


def test_metadata_is_no_argument():
    data = msgpack.packb([0, 7, "set_actor_location", [[True], 3, [1.0, 2.0, 3.0]]])
    (call,) = Rpc().feed(data)
    assert call == Call(7, "set_actor_location", (3, [1.0, 2.0, 3.0]), is_async=True)


def test_a_failure_carries_its_text_where_rpclib_has_it():
    (call,) = Rpc().feed(VERSION_CALL)
    assert msgpack.unpackb(Rpc().fail(call, "no such function")) == [1, 0, "no such function", None]


def test_a_notification_gets_no_answer():
    (call,) = Rpc().feed(msgpack.packb([2, "version", [[False]]]))
    assert call.id is None
    assert Rpc().reply(call, "0.9.16") == b""


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xc1",
        b"\x80",
        msgpack.packb([0, 1, "version", []]),
        msgpack.packb([0, 1, "version", [[0]]]),
        msgpack.packb([0, -1, "version", [[False]]]),
        msgpack.packb([1, 1, None, "an answer"]),
        msgpack.packb("version"),
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 5000,
    ],
    ids=["http", "reserved", "map", "no-metadata", "int-metadata", "negative-id", "response",
         "bare-string", "huge-array", "deep-nesting"],
)  # fmt: skip
def test_bytes_that_are_no_request_are_the_peers_fault(data):
    with pytest.raises(ProtocolError, match="expected a"):
        Rpc().feed(data)


def test_random_bytes_never_raise_anything_else():
    import numpy as np

    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        try:
            Rpc().feed(rng.integers(0, 256, rng.integers(1, 200), dtype=np.uint8).tobytes())
        except ProtocolError:
            refused += 1
    assert refused > 200
