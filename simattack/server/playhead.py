"""Where a replay is in its recording, and how everything moved there."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from simattack.server.codec import Vector
from simattack.server.recording_events import Created, Destroyed
from simattack.server.recording_file import Frame, Reader, Rows, rows
from simattack.types import Pose

TICK_S = 1e-6
"""Times closer than this are the same: sums of steps come out a little beside the recorded ones."""
_ANGLES = range(3, 6)


@dataclass(frozen=True)
class Movement:
    """Where one actor is and how it moves, world frame."""

    pose: Pose
    velocity_mps: Vector
    spin_radps: Vector
    steer_rad: float
    travel_m: float


class Playhead:
    """A place in a recording that only moves on; ``RecordingError`` where the file is unreadable.

    Between two frames poses and velocities are interpolated, angles the short way round. At a
    frame's own time they are the frame's, to the bit.
    """

    def __init__(self, reader: Reader, time_s: float) -> None:
        self._reader = reader
        self._rows: dict[int, tuple[float, ...]] = {}
        before = bisect_right(reader.keys, bisect_right(reader.times_s, time_s + TICK_S) - 1) - 1
        self._number = reader.keys[max(before, 0)]
        self.time_s = reader.times_s[self._number]
        first = reader.frame(self._number)
        self._enter(first)
        self._next = self._peek()
        self.passed: list[Frame] = [first, *self.advance(time_s)]
        """The frames that lead to where it began, from a key frame on."""

    @property
    def is_at_end(self) -> bool:
        """Whether no frame is left."""
        return self._next is None

    def advance(self, time_s: float) -> list[Frame]:
        """Moves on; the frames whose time has come, in order."""
        self.time_s, passed = time_s, []
        while self._next is not None and self._next[0].time_s <= time_s + TICK_S:
            frame = self._next[0]
            self._number += 1
            self._enter(frame)
            self._next = self._peek()
            passed.append(frame)
        return passed

    def movement(self, number: int) -> Movement | None:
        """Of the actor with that number in the recording; None for one that is fixed or gone."""
        now = self._rows.get(number)
        if now is None:
            return None
        if self._next is not None and number in self._next[1]:
            frame, ahead = self._next
            began_s = self._reader.times_s[self._number]
            part = (self.time_s - began_s) / max(frame.time_s - began_s, TICK_S)
            if self.time_s - began_s > TICK_S:
                now = _between(now, ahead[number], min(part, 1.0))
        return _movement(now)

    def _enter(self, frame: Frame) -> None:
        for event in frame.events:
            if isinstance(event, Destroyed):
                self._rows.pop(event.id, None)
        self._rows.update(_by_id(frame.tables().motion))

    def _peek(self) -> tuple[Frame, dict[int, tuple[float, ...]]] | None:
        """The next frame, and where it moves those that are there already."""
        if self._number + 1 == len(self._reader):
            return None
        frame = self._reader.frame(self._number + 1)
        ahead = _by_id(frame.tables().motion)
        for event in frame.events:
            # Two actors of one number are never the same one.
            if isinstance(event, Created) and event.is_new:
                ahead.pop(event.id, None)
        return frame, ahead


def _by_id(table: Rows) -> dict[int, tuple[float, ...]]:
    """A table's numbers by actor."""
    return {
        number: (*pose, *velocity, *spin, steer, travel)
        for number, pose, velocity, spin, steer, travel in rows(table)
    }


def _between(one: tuple[float, ...], other: tuple[float, ...], part: float) -> tuple[float, ...]:
    """Both mixed; angles of the pose the short way round."""
    return tuple(
        a + part * (math.remainder(b - a, 360.0) if column in _ANGLES else b - a)
        for column, (a, b) in enumerate(zip(one, other, strict=True))
    )


def _movement(row: tuple[float, ...]) -> Movement:
    x, y, z, pitch, yaw, roll, *rest, steer, travel = row
    pose = Pose(x, y, z, math.radians(pitch), math.radians(yaw), math.radians(roll))
    velocity = (rest[0], rest[1], rest[2])
    spin = (math.radians(rest[3]), math.radians(rest[4]), math.radians(rest[5]))
    return Movement(pose, velocity, spin, steer, travel)
