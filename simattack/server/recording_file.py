"""The files of the recorder: framed records with checksums, written once from front to back.

``docs/recording_format.md`` describes every byte. A record is written with one call and nothing is
ever changed, so that a file whose writer was killed is good up to its last whole record.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from simattack.errors import ProtocolError, RecordingError
from simattack.server import codec, recording_events
from simattack.server.recording_events import Event

MAGIC = b"\x89SIMREC\n"
VERSION = 2
MAX_RECORD_BYTES = 64 << 20
"""Far above what a tick of any world takes; a longer record is damage."""

HEAD, FRAME, END = 1, 2, 3
"""Kinds of records."""

_START = struct.Struct("<8sI")
_RECORD = struct.Struct("<IIB")
_FRAME = struct.Struct("<IdBI")
_COUNTS = struct.Struct("<4I")

MOTION = np.dtype(
    [
        ("id", "<u4"),
        ("pose", "<f4", 6),
        ("velocity", "<f4", 3),
        ("spin", "<f4", 3),
        ("steer", "<f4"),
        ("travel", "<f4"),
    ]
)
"""Pose [m, deg], velocity [m/s] and angular velocity [deg/s] in the world frame; angle of the
front wheels [rad], right positive; path length since the actor was added [m]."""
CONTROL = np.dtype([("id", "<u4"), ("pedals", "<f4", 3), ("flags", "u1"), ("gear", "<i4")])
"""Throttle, steer, brake; hand brake 1, reverse 2, manual gear shift 4."""
WALK = np.dtype([("id", "<u4"), ("direction", "<f4", 3), ("speed", "<f4"), ("jump", "u1")])
LAMPS = np.dtype([("id", "<u4"), ("flags", "<u4")])
"""A vehicle's lamps, CARLA's VehicleLightState bits."""
_DTYPES = (MOTION, CONTROL, WALK, LAMPS)

Rows = NDArray[Any]


@dataclass(frozen=True)
class Head:
    """What a recording says of itself."""

    made_by: str
    """Name and version of the server."""
    map: str
    digest: bytes
    """SHA-256 of the map's OpenDRIVE text."""
    is_additional: bool
    """Whether bounding boxes and physical parameters were recorded too."""


@dataclass(frozen=True, eq=False)
class Tables:
    """What moved or changed in a frame; in a key frame, all there is."""

    motion: Rows = field(default_factory=partial(np.zeros, 0, MOTION))
    controls: Rows = field(default_factory=partial(np.zeros, 0, CONTROL))
    walks: Rows = field(default_factory=partial(np.zeros, 0, WALK))
    lamps: Rows = field(default_factory=partial(np.zeros, 0, LAMPS))


@dataclass(frozen=True, eq=False)
class Frame:
    """One tick of a recording."""

    number: int
    time_s: float
    """Since the recording began."""
    is_key: bool
    """Whether it can be understood without those before it."""
    events: list[Event]
    packed: bytes
    """Its tables."""

    def tables(self) -> Tables:
        """What moved or changed.

        Raises:
            RecordingError: the bytes are something else.
        """
        return _unpack(self.packed)


class Writer:
    """A new recording; raises ``OSError`` when the disk does not take it."""

    def __init__(self, path: Path, head: Head) -> None:
        # Unbuffered: what was recorded must outlive a killed server.
        self._file = path.open("xb", buffering=0)
        self._file.write(_START.pack(MAGIC, VERSION))
        self._write(HEAD, msgpack.packb([head.made_by, head.map, head.digest, head.is_additional]))

    def frame(
        self, number: int, time_s: float, is_key: bool, events: Sequence[Event], tables: Tables
    ) -> None:
        """Adds one tick."""
        told = recording_events.pack(events)
        head = _FRAME.pack(number, time_s, is_key, len(told))
        self._write(FRAME, head + told + _pack(tables))

    def close(self, reason: str) -> None:
        """Says why the recording ends, and ends it."""
        with self._file:
            self._write(END, msgpack.packb([reason]))

    def abandon(self) -> None:
        """Ends it without a word: the disk takes no more."""
        self._file.close()

    def _write(self, kind: int, body: bytes) -> None:
        rest = memoryview(_record(kind, body))
        while rest:
            rest = rest[self._file.write(rest) :]


class Reader:
    """A recording on disk, checked from front to back when it is opened; a context manager.

    What comes after damage is left out; ``damage`` says so.

    Raises:
        RecordingError: the file cannot be opened, is no recording, or holds no whole frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: str | None = None
        self.ending: str | None = None
        """Why the recording ended; None when its writer did not come to say it."""
        self.times_s: list[float] = []
        self.keys: list[int] = []
        """The numbers of the key frames."""
        self._places: list[int] = []
        if not path.is_file():
            # Else a pipe of that name would let the server wait for ever.
            raise RecordingError(f"recording {path} not found")
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise RecordingError(f"cannot open recording {path}: {error.strerror}") from error
        try:
            self.head = self._scan()
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        return len(self.times_s)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    @property
    def duration_s(self) -> float:
        return self.times_s[-1]

    def frame(self, number: int) -> Frame:
        """The frame of that number, from 0.

        Raises:
            RecordingError: it cannot be read, although it could when the file was opened.
        """
        try:
            self._file.seek(self._places[number])
            kind, body = self._record()
        except (OSError, _Damage) as error:
            raise RecordingError(f"cannot read frame {number} of {self.path}: {error}") from error
        if kind != FRAME:
            raise RecordingError(f"frame {number} of {self.path} is gone: the file was changed")
        try:
            return _frame(body)
        except struct.error as error:
            raise RecordingError(f"frame {number} of {self.path} is damaged: {error}") from error

    def frames(self) -> Iterator[Frame]:
        """All frames in order."""
        return (self.frame(number) for number in range(len(self)))

    def _scan(self) -> Head:
        """Notes where the frames are, up to the end or the first damage."""
        start = self._file.read(_START.size)
        if start[: len(MAGIC)] != MAGIC or len(start) < _START.size:
            raise RecordingError(f"{self.path} is no recording of a simattack server")
        (_, version) = _START.unpack(start)
        if version != VERSION:
            raise RecordingError(
                f"{self.path} has format version {version}; this server reads version {VERSION}"
            )
        head = self._read_head()
        place = self._file.tell()
        try:
            while self.ending is None and self._note(place):
                place = self._file.tell()
        except (_Damage, struct.error) as damage:
            self.damage = f"damaged at byte {place}: {damage}"
        if not self.times_s:
            raise RecordingError(f"{self.path} holds no whole frame ({self.damage or 'empty'})")
        return head

    def _read_head(self) -> Head:
        try:
            kind, body = self._record()
            if kind != HEAD:
                raise _Damage("it does not begin with its head")
            made_by, name, digest, is_additional = codec.read_list(_unpacked(body), "a head", 4)
            if not isinstance(digest, bytes):
                raise _Damage("its head has no digest of the map")
            return Head(
                codec.read_text(made_by, "a server"),
                codec.read_text(name, "a map"),
                digest,
                bool(is_additional),
            )
        except (_Damage, ProtocolError) as error:
            raise RecordingError(f"{self.path} is damaged at its head: {error}") from error

    def _note(self, place: int) -> bool:
        """Takes the next record into account; False at the end of the file."""
        if not self._file.peek(1):
            return False
        kind, body = self._record()
        if kind == END:
            match _unpacked(body):
                case [str(reason)]:
                    self.ending = reason
                    return True
            raise _Damage("its last record has another shape")
        number, time_s, is_key, _ = _FRAME.unpack_from(body)
        if kind != FRAME or number != len(self):
            raise _Damage(f"expected frame {len(self)}, got a record of kind {kind}")
        if not (self.times_s[-1] <= time_s < 1e12 if self.times_s else time_s == 0 and is_key):
            raise _Damage(f"frame {number} has time {time_s} s")
        if is_key:
            self.keys.append(number)
        self.times_s.append(time_s)
        self._places.append(place)
        return True

    def _record(self) -> tuple[int, bytes]:
        """Kind and body of the record that begins here."""
        head = self._file.read(_RECORD.size)
        if len(head) < _RECORD.size:
            raise _Damage("the file ends within a record")
        length, check, kind = _RECORD.unpack(head)
        if length > MAX_RECORD_BYTES:
            raise _Damage(f"a record of {length} bytes")
        body = self._file.read(length)
        if len(body) < length:
            raise _Damage("the file ends within a record")
        if _checksum(length, kind, body) != check:
            raise _Damage("a checksum does not fit")
        return kind, body


def rows(table: Rows) -> Iterator[tuple[Any, ...]]:
    """A table row by row, as Python's own numbers and lists."""
    return zip(*(table[name].tolist() for name in table.dtype.names or ()), strict=True)


class _Damage(Exception):
    """What follows in the file cannot be read."""


def _record(kind: int, body: bytes) -> bytes:
    return _RECORD.pack(len(body), _checksum(len(body), kind, body), kind) + body


def _checksum(length: int, kind: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(struct.pack("<IB", length, kind)))


def _frame(body: bytes) -> Frame:
    number, time_s, is_key, length = _FRAME.unpack_from(body)
    told = body[_FRAME.size : _FRAME.size + length]
    packed = body[_FRAME.size + length :]
    return Frame(number, time_s, bool(is_key), recording_events.unpack(told), packed)


def _unpacked(body: bytes) -> codec.Wire:
    try:
        return msgpack.unpackb(body)
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise _Damage(f"a record is no MessagePack: {error}") from error


def _pack(tables: Tables) -> bytes:
    """Tables, compressed; nothing at all for tables without rows."""
    parts = (tables.motion, tables.controls, tables.walks, tables.lamps)
    counts = [len(part) for part in parts]
    if not any(counts):
        return b""
    # First bytes of all rows first, then the second ones: neighbours are alike, which zlib likes.
    planes = [
        part.view(np.uint8).reshape(len(part), -1).T.tobytes() if len(part) else b""
        for part in parts
    ]
    return zlib.compress(b"".join([_COUNTS.pack(*counts), *planes]), 1)


def _unpack(packed: bytes) -> Tables:
    if not packed:
        return Tables()
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, MAX_RECORD_BYTES)
        counts = _COUNTS.unpack_from(data)
    except (zlib.error, struct.error) as error:
        raise RecordingError(f"a frame's tables are not readable: {error}") from error
    sizes = [count * dtype.itemsize for count, dtype in zip(counts, _DTYPES, strict=True)]
    if not inflater.eof or len(data) != _COUNTS.size + sum(sizes):
        raise RecordingError("a frame's tables are longer or shorter than they say")
    parts, place = [], _COUNTS.size
    for count, size, dtype in zip(counts, sizes, _DTYPES, strict=True):
        planes = np.frombuffer(data, np.uint8, size, place).reshape(dtype.itemsize, count)
        parts.append(np.ascontiguousarray(planes.T).view(dtype).reshape(count))
        place += size
    for part in parts:
        for name in part.dtype.names or ():
            if not np.isfinite(part[name]).all():
                raise RecordingError(f"a frame has a {name} that is not finite")
    return Tables(*parts)
