"""Bytes of the streaming port, against layouts worked out by hand."""

import struct

import pytest

from simattack.server import stream

POSE = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


def test_a_token_is_24_bytes_as_recorded():
    recorded = bytes.fromhex("010000003508" + "0101" + "7f000001" + "00" * 12)
    assert stream.token(1, 2101, "127.0.0.1") == recorded


def test_a_server_on_every_address_leaves_the_streams_host_to_the_client():
    token = stream.token(7, 2001, "0.0.0.0")
    # Stream, port, TCP; an address of type 0 is none, and none of its bytes is set.
    assert token == bytes.fromhex("07000000 d107 01 00") + bytes(16)


def test_a_subscription_is_the_streams_number():
    assert stream.subscription(b"\x05\x01\x00\x00") == 261


def test_a_message_is_prefixed_with_the_length_of_all_its_parts():
    assert stream.length([b"abc", memoryview(b"defg")]) == b"\x07\x00\x00\x00"


def test_a_message_is_written_in_one_piece_but_for_what_is_large():
    image = memoryview(bytes(100_000))
    for parts in ([b"head"], [b"head", b"body"], [b"head", image], [image, b"tail"], []):
        whole, images = stream.joined(parts)
        assert b"".join([whole, *images]) == b"".join([stream.length(parts), *parts])
    assert stream.joined([b"head", b"body"])[1] == []
    whole, images = stream.joined([b"head", image])
    assert whole[4:] == b"head" and images[0] is image


def test_a_header_is_48_bytes_with_frame_time_and_pose():
    data = stream.header(13, 99, 4.95, POSE)
    assert len(data) == stream.HEADER_BYTES == 48
    assert struct.unpack("<QQd6f", data) == (13, 99, 4.95, *POSE)


def test_an_image_head_gives_width_height_and_fov():
    assert struct.unpack("<IIf", stream.image_head(640, 480, 60.0)) == (640, 480, 60.0)


def test_a_vehicles_state_has_each_field_at_its_offset():
    data = stream.vehicle_state((0.5, -0.25, 1.0, True, False, True, -1), 50.0, 0, 42, 3)
    assert struct.unpack_from("<3f", data, 0) == (0.5, -0.25, 1.0)
    assert list(data[12:15]) == [1, 0, 1]
    assert struct.unpack_from("<i", data, 15) == (-1,)
    assert struct.unpack_from("<f", data, 19) == (50.0,)
    assert data[23] == 0
    assert data[24] == 1
    assert struct.unpack_from("<I", data, 25) == (42,)
    assert data[29] == 3


def test_a_lights_state_has_each_field_at_its_offset():
    data = stream.light_state("77", 10.0, 3.0, 2.0, 1.5, 4, True, 2)
    assert data[:32] == b"77" + bytes(30)
    assert struct.unpack_from("<4f", data, 32) == (10.0, 3.0, 2.0, 1.5)
    assert struct.unpack_from("<I", data, 48) == (4,)
    assert (data[52], data[53]) == (1, 2)
    assert len(data) == 54


def test_a_signs_id_always_ends_in_a_nul():
    assert stream.sign_state("x" * 40) == b"x" * 31 + b"\0"


def test_a_snapshot_has_119_bytes_an_actor_after_84():
    snapshot = stream.Snapshot()
    snapshot.put(5, POSE)
    snapshot.put(9, POSE, (7.0, 8.0, 9.0), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0), b"\xff" * 54)
    data = snapshot.message(3, 12, 0.6, 0.05, 1234.5, True)
    assert len(data) == 48 + 36 + 2 * 119
    assert struct.unpack_from("<QQd", data) == (17, 12, 0.6)
    assert struct.unpack_from("<Qd", data, 48) == (3, 1234.5)
    assert struct.unpack_from("<f", data, 64)[0] == pytest.approx(0.05)
    assert struct.unpack_from("<I", data, 80) == (1,)
    second = data[84 + 119 :]
    assert struct.unpack_from("<IB6f3f", second) == (9, 1, *POSE, 7.0, 8.0, 9.0)
    assert second[65:] == b"\xff" * 54


def test_dropping_an_actor_keeps_the_others_rows():
    snapshot = stream.Snapshot()
    for actor in (1, 2, 3):
        snapshot.put(actor, (float(actor), 0.0, 0.0, 0.0, 0.0, 0.0))
    snapshot.drop(2)
    snapshot.put(3, (33.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    data = snapshot.message(1, 1, 0.0, 0.05, 0.0, False)
    rows = [struct.unpack_from("<IBf", data, 84 + 119 * row) for row in range(len(snapshot))]
    assert rows == [(1, 1, 1.0), (3, 1, 33.0)]


def test_a_message_does_not_change_when_the_snapshot_goes_on():
    snapshot = stream.Snapshot()
    snapshot.put(1, POSE)
    before = snapshot.message(1, 1, 0.0, 0.05, 0.0, False)
    copy = bytes(before)
    snapshot.put(1, stream.SIX_ZEROS)
    assert before == copy


class Listener:
    def __init__(self):
        self.heard = []

    def send(self, parts, is_lossy):
        self.heard.append((b"".join(parts), is_lossy))


def test_what_is_sent_reaches_all_listeners_of_that_stream_only():
    streams = stream.Streams()
    first, second, other = Listener(), Listener(), Listener()
    number = streams.open()
    for listener in (first, second):
        streams.subscribe(number, listener)
    streams.subscribe(streams.open(), other)
    streams.is_lossy = False
    streams.send(number, [b"ab", b"c"])
    streams.unsubscribe(number, second)
    streams.send(number, [b"d"])
    assert first.heard == [(b"abc", False), (b"d", False)]
    assert second.heard == [(b"abc", False)]
    assert other.heard == []


def test_a_closed_stream_is_silent_and_its_number_never_used_again():
    streams, listener = stream.Streams(), Listener()
    number = streams.open()
    streams.subscribe(number, listener)
    streams.close(number)
    streams.send(number, [b"late"])
    assert listener.heard == []
    assert not streams.has_listeners(number)
    assert streams.open() != number


def test_streams_are_settled_once_every_expected_listener_has_come():
    streams, calls = stream.Streams(), []
    streams.on_settled = lambda: calls.append("settled")
    number = streams.open()
    streams.expect(number)
    streams.expect(number)
    streams.subscribe(number, Listener())
    assert not streams.is_settled and calls == []
    streams.subscribe(number, Listener())
    assert streams.is_settled and calls == ["settled"]


def test_a_stream_that_is_closed_or_unknown_is_not_waited_for():
    streams = stream.Streams()
    number = streams.open()
    streams.expect(number)
    streams.close(number)
    streams.expect(number)
    streams.expect(stream.WORLD_STREAM)
    assert streams.is_settled


def test_waiting_for_listeners_can_be_given_up():
    streams, calls = stream.Streams(), []
    streams.on_settled = lambda: calls.append("settled")
    streams.expect(streams.open())
    streams.give_up()
    assert streams.is_settled and calls == ["settled"]
