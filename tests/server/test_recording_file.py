"""Recordings as files: what is written is read back, and damage is found."""

from __future__ import annotations

import hashlib
import struct
import zlib

import msgpack
import numpy as np
import pytest

from simattack.errors import RecordingError
from simattack.server import recording_file as files
from simattack.server.codec import Description
from simattack.server.playhead import Playhead
from simattack.server.recording_events import (
    Collided,
    Created,
    Destroyed,
    Detailed,
    LightShown,
    Mounted,
    WeatherSet,
)
from simattack.server.recording_file import Head, Reader, Tables, Writer

HEAD = Head("simattack test", "town", hashlib.sha256(b"map").digest(), False)
CAR = Created(
    7, Description(3, "vehicle.audi.tt", (("color", 5, "1,2,3"),)), 0, (1, 2, 3, 4, 5, 6), 1, True
)
EVENTS = [
    CAR,
    Destroyed(9),
    Mounted(8, (0.5, 0, 1, 0, 0, 0)),
    LightShown("2013", 2, 1.5, 10, 3, 2, True),
    WeatherSet(tuple(float(number) for number in range(14))),
    Collided(7, 0, (100.0, -3.0, 0.0)),
    Detailed(7, [[0, 0, 1], [2, 1, 1], [0, 0, 0], 7], None),
]


def motion(number, *values):
    """One row; values left out are 0."""
    row = [*values, *[0.0] * (14 - len(values))]
    table = np.zeros(1, files.MOTION)
    table[0] = (number, row[:6], row[6:9], row[9:12], row[12], row[13])
    return table


def write(path, frames, reason="done"):
    """A recording of (time, is_key, events, tables)."""
    writer = Writer(path, HEAD)
    for number, frame in enumerate(frames):
        writer.frame(number, *frame)
    if reason is not None:
        writer.close(reason)
    else:
        writer.abandon()


def steady(count, step_s=0.1):
    """A car that goes 1 m a frame along x and turns by 10 degrees a frame."""
    for k in range(count):
        events = [CAR] if k == 0 else []
        yield k * step_s, k % 100 == 0, events, Tables(motion(7, float(k), 0, 0, 0, 10.0 * k))


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "a.log"
    controls = np.array([(7, (0.5, -0.25, 0.0), 5, -1)], files.CONTROL)
    walks = np.array([(8, (0.0, 1.0, 0.0), 1.5, 1), (9, (1, 0, 0), 0, 0)], files.WALK)
    lamps = np.array([(7, 0xFFFFFFFF)], files.LAMPS)
    tables = Tables(motion(7, *range(14)), controls, walks, lamps)
    write(path, [(0.0, True, EVENTS, tables), (0.05, False, [], Tables())])
    with Reader(path) as reader:
        assert reader.head == HEAD
        assert (reader.ending, reader.damage) == ("done", None)
        assert (reader.times_s, reader.keys) == ([0.0, 0.05], [0])
        first, second = reader.frames()
        assert first.events == EVENTS
        assert second.events == []
        for name in ("motion", "controls", "walks", "lamps"):
            assert getattr(first.tables(), name).tobytes() == getattr(tables, name).tobytes()
            assert len(getattr(second.tables(), name)) == 0


def test_a_recording_cut_anywhere_is_read_up_to_the_cut(tmp_path):
    path = tmp_path / "a.log"
    write(path, steady(4))
    whole, cut = path.read_bytes(), tmp_path / "cut.log"
    seen = set()
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        try:
            with Reader(cut) as reader:
                xs = [frame.tables().motion["pose"][0, 0] for frame in reader.frames()]
                seen.add(len(xs))
                assert xs == list(range(len(xs)))
                assert reader.ending is None
        except RecordingError as error:
            assert str(error).startswith(str(cut))
            assert "\n" not in str(error)
            seen.add(0)
    assert seen == {0, 1, 2, 3, 4}


def test_a_changed_byte_is_found_wherever_it_is(tmp_path):
    path = tmp_path / "a.log"
    write(path, steady(3))
    whole, bad = path.read_bytes(), tmp_path / "bad.log"
    for place in range(len(whole)):
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        try:
            with Reader(bad) as reader:
                assert reader.damage is not None
                xs = [frame.tables().motion["pose"][0, 0] for frame in reader.frames()]
                assert xs == list(range(len(xs)))
        except RecordingError:
            pass


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is no recording"),
        (b"CARLA_RECORDER and so on, for more than a few bytes", "is no recording"),
        (files.MAGIC + struct.pack("<I", 1), "format version 1; this server reads version 2"),
        (files.MAGIC + struct.pack("<I", 2), "damaged at its head"),
    ],
)
def test_a_file_of_another_kind_is_one_clear_line(tmp_path, content, text):
    path = tmp_path / "foreign.log"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=text) as caught:
        Reader(path)
    assert "\n" not in str(caught.value)


def test_a_folder_or_nothing_is_not_found(tmp_path):
    for path in (tmp_path, tmp_path / "no.log"):
        with pytest.raises(RecordingError, match="not found"):
            Reader(path)


def framed(kind, body):
    """A record with a good checksum around whatever body."""
    check = zlib.crc32(body, zlib.crc32(struct.pack("<IB", len(body), kind)))
    return struct.pack("<IIB", len(body), check, kind) + body


def forged(tmp_path, events, packed=b""):
    """A recording of one frame with a good frame around foreign contents."""
    path = tmp_path / "forged.log"
    path.unlink(missing_ok=True)
    write(path, [], None)
    body = struct.pack("<IdBI", 0, 0.0, 1, len(events)) + events + packed
    path.write_bytes(path.read_bytes() + framed(files.FRAME, body))
    return path


@pytest.mark.parametrize(
    "events",
    [
        b"\xc1",
        msgpack.packb(7),
        msgpack.packb([7]),
        msgpack.packb([[]]),
        msgpack.packb([[99, 1]]),
        msgpack.packb([[0, 1, 2]]),
        msgpack.packb([[1, 2**31]]),
        msgpack.packb([[1, -1]]),
        msgpack.packb([[5, 1, 2, [0.0, float("nan"), 0.0]]]),
        b"\x91" * 5000,
    ],
)
def test_forged_events_are_refused(tmp_path, events):
    with Reader(forged(tmp_path, events)) as reader:
        with pytest.raises(RecordingError, match="events are not readable"):
            reader.frame(0)


def test_forged_tables_are_refused(tmp_path):
    rows = motion(7, float("nan")).view(np.uint8).reshape(1, -1).T.tobytes()
    one = struct.pack("<4I", 1, 0, 0, 0)
    for packed in (
        b"not zlib",
        zlib.compress(b""),
        zlib.compress(struct.pack("<4I", 2**32 - 1, 0, 0, 0)),
        zlib.compress(one + rows[:-1]),
        zlib.compress(one + rows + b"x"),
        zlib.compress(one + rows),
        zlib.compress(bytes(65 << 20), 1),
    ):
        with Reader(forged(tmp_path, msgpack.packb([]), packed)) as reader:
            with pytest.raises(RecordingError, match=r"tables|not finite"):
                reader.frame(0).tables()


def test_a_replay_may_begin_anywhere_and_finds_what_a_walk_from_the_start_finds(tmp_path):
    path = tmp_path / "a.log"
    write(path, steady(250))
    with Reader(path) as reader:
        assert reader.keys == [0, 100, 200]
        walked = Playhead(reader, 0.0)
        for time_s in (0.0, 3.25, 9.9, 10.0, 17.77, 20.0, 24.85, 24.9):
            walked.advance(time_s)
            jumped = Playhead(reader, time_s)
            assert jumped.movement(7) == walked.movement(7)
            assert jumped.movement(7).pose.x_m == pytest.approx(time_s * 10, abs=1e-9)
        assert jumped.is_at_end
        assert jumped.passed[0].number == 200


def test_angles_are_interpolated_the_short_way(tmp_path):
    path = tmp_path / "a.log"
    poses = [(0, 0, 0, 0, 170.0, 0), (2, 0, 0, 0, -170.0, 0)]
    write(
        path,
        [
            (k * 1.0, k == 0, [CAR] * (k == 0), Tables(motion(7, *pose)))
            for k, pose in enumerate(poses)
        ],
    )
    with Reader(path) as reader:
        pose = Playhead(reader, 0.25).movement(7).pose
    assert pose.x_m == pytest.approx(0.5)
    assert np.degrees(pose.yaw_rad) == pytest.approx(175.0)


def test_an_actor_that_did_not_move_stays_between_frames_and_a_destroyed_one_is_gone(tmp_path):
    path = tmp_path / "a.log"
    write(
        path,
        [
            (0.0, True, [CAR], Tables(motion(7, 5.0))),
            (1.0, False, [], Tables()),
            (2.0, False, [Destroyed(7)], Tables()),
        ],
    )
    with Reader(path) as reader:
        playhead = Playhead(reader, 1.5)
        assert playhead.movement(7).pose.x_m == 5.0
        playhead.advance(2.0)
        assert playhead.movement(7) is None
