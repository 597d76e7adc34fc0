"""One tracker for all that can be hit: what camera, LiDAR and radar measured becomes one track.

Each sensor measures the near face of a thing with errors of its own, and a Kalman filter weighs
them. *Each sensor alone can confirm* a track, by its own rule of so many of its newest looks; no
sensor can veto another. ``Track.support`` tells which do, so that a defense may ask for more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simattack.policies.localisation import from_frame, into_frame
from simattack.policies.tracking import Hits
from simattack.types import Floats

LONG = frozenset({"car", "bus", "truck"})
"""Seen from the front, these may show a side as well; the others are about as long as wide."""
SIZES = frozenset({"", "small", "large"})
"""What LiDAR and radar may call a thing: they tell sizes at most, a camera tells what it is."""


@dataclass(frozen=True)
class Measurement:
    """The near face of something, in the sensor's plane frame."""

    label: str
    """A detector's, or one of ``SIZES``."""
    depth_m: float
    right_m: float
    half_width_m: float
    depth_std_m: float
    right_std_m: float
    is_cut: bool = False
    """Whether it tells nothing of the sides: the image's border hides them, say."""
    reach_m: tuple[float, float] | None = None
    """How far from a track it may lie to be of it, in depth and sideways; None: as far as both
    errors reach."""
    apart_mps: float | None = None
    """Speed over ground along the line of sight, positive away from the car; if it was measured."""
    apart_std_mps: float = 0.0
    sight_rad: float = 0.0
    """Where that line points to in the sensor's frame, right positive."""
    is_strong: bool = True
    """A weak one may correct a track; it neither begins nor confirms one."""


class Track:
    """One moving thing: Kalman filter of constant velocity over x, y, vx, vy in odometry.

    Source: Bar-Shalom, Li & Kirubarajan, Estimation with Applications to Tracking and Navigation
    (2001), sections 5.2 and 6.3.2 (white noise acceleration).
    """

    ACCELERATION_STD_MPS2 = 2.5
    WALKING_STD_MPS2 = 1.2
    """Instead, of what a LiDAR or radar vouches for and that is too small for a car."""

    def __init__(
        self,
        first: Measurement,
        eye: Floats,
        hits: Mapping[str, Hits],
        time_s: float,
        speed_mps: float,
    ) -> None:
        self.label = first.label
        self.hits = hits
        self.half_width_m = first.half_width_m
        place = from_frame(np.array([[first.depth_m, first.right_m]]), eye)[0]
        # A car may stand or flow along with us: begin in the middle, and let the images decide.
        guess = 0.5 * speed_mps if first.label in LONG else 0.0
        self.state = np.array([place[0], place[1], guess * np.cos(eye[2]), guess * np.sin(eye[2])])
        speed_std = 1.5 if first.label == "person" else 4.0
        self.spread = np.zeros((4, 4))
        """(4, 4) covariance of ``state``."""
        self.spread[:2, :2] = _noise(first, eye)
        self.spread[2:, 2:] = speed_std**2 * np.eye(2)
        self._time_s = time_s
        self._hear(first, eye)

    @property
    def support(self) -> tuple[str, ...]:
        """The sensors that by their own rule say that it is there."""
        return tuple(sensor for sensor, hits in self.hits.items() if hits.is_enough)

    @property
    def is_ranged(self) -> bool:
        """Whether a sensor that measures distance says that it is there."""
        return any(sensor != "camera" for sensor in self.support)

    def predict(self, time_s: float) -> None:
        """Move on to a later moment; nothing happens for an earlier one."""
        dt = time_s - self._time_s
        if dt < 0:
            return
        self._time_s = time_s
        move = np.eye(4)
        move[0, 2] = move[1, 3] = dt
        is_walking = self.is_ranged and self.label not in LONG | {"", "large"}
        q = (self.WALKING_STD_MPS2 if is_walking else self.ACCELERATION_STD_MPS2) ** 2
        block = np.kron([[dt**4 / 4, dt**3 / 2], [dt**3 / 2, dt**2]], np.eye(2)) * q
        self.state = move @ self.state
        self.spread = move @ self.spread @ move.T + block

    def correct(self, seen: Measurement, eye: Floats, time_s: float) -> None:
        """Take in one measurement; a late one is held against where the thing was by then."""
        place = from_frame(np.array([[seen.depth_m, seen.right_m]]), eye)[0]
        rows = np.eye(2, 4)
        rows[0, 2] = rows[1, 3] = time_s - self._time_s
        inverse = np.linalg.inv(rows @ self.spread @ rows.T + _noise(seen, eye))
        gain = self.spread @ rows.T @ inverse
        self.state = self.state + gain @ (place - rows @ self.state)
        self.spread = self.spread - gain @ rows @ self.spread
        self.spread = (self.spread + self.spread.T) / 2
        self._hear(seen, eye)
        # Where a LiDAR sees it, a camera has nothing to say of its width.
        if not seen.is_cut and (seen.label in SIZES or not self.is_ranged):
            self.half_width_m += 0.3 * (seen.half_width_m - self.half_width_m)
        if self.label in SIZES:
            self.label = seen.label or self.label

    def place_at(self, time_s: float) -> Floats:
        """(2,) of the near face's middle in odometry [m], by constant velocity."""
        ahead: Floats = self.state[:2] + (time_s - self._time_s) * self.state[2:]
        return ahead

    def seen_from(self, eye: Floats, time_s: float) -> tuple[float, float, float, float]:
        """Depth and right [m] in a sensor's frame at a moment, and their standard deviations."""
        depth, right = into_frame(self.place_at(time_s)[None], eye)[0]
        cos, sin = np.cos(eye[2]), np.sin(eye[2])
        turn = np.array([[cos, -sin], [sin, cos]])
        var = np.diag(turn.T @ self.spread[:2, :2] @ turn)
        return float(depth), float(right), float(var[0] ** 0.5), float(var[1] ** 0.5)

    def _hear(self, seen: Measurement, eye: Floats) -> None:
        """Take in a speed along the line of sight."""
        if seen.apart_mps is None:
            return
        sight = eye[2] + seen.sight_rad
        row = np.array([0.0, 0.0, np.cos(sight), np.sin(sight)])
        column = self.spread @ row
        gain = column / (row @ column + seen.apart_std_mps**2)
        self.state = self.state + gain * (seen.apart_mps - row @ self.state)
        self.spread = self.spread - np.outer(gain, column)


class Tracker:
    """Everything in sight that can be hit.

    Args:
        rules: by sensor, in how many of how many newest looks it has to see a thing, for the
            thing to count; only these sensors look.
    """

    def __init__(self, rules: Mapping[str, tuple[int, int]]) -> None:
        self._rules = dict(rules)
        self.tracks: list[Track] = []

    def update(
        self,
        sensor: str,
        seen: Sequence[Measurement],
        eye: Floats,
        time_s: float,
        speed_mps: float,
    ) -> None:
        """Take in one look of a sensor.

        Args:
            seen: in it; the first has the first choice of a track.
            eye: (3,) of the sensor's frame in odometry, at that moment.
            time_s: the moment.
            speed_mps: our own.
        """
        for track in self.tracks:
            track.predict(time_s)
        there = [track.seen_from(eye, time_s) for track in self.tracks]
        taken: set[int] = set()
        strong: set[int] = set()
        for one in seen:
            index = self._match(one, there, taken)
            if index is not None:
                self.tracks[index].correct(one, eye, time_s)
            elif one.is_strong:
                index = len(self.tracks)
                hits = {name: Hits(*rule) for name, rule in self._rules.items()}
                self.tracks.append(Track(one, eye, hits, time_s, speed_mps))
                there.append(self.tracks[-1].seen_from(eye, time_s))
            else:
                continue
            taken.add(index)
            if one.is_strong:
                strong.add(index)
        for index, track in enumerate(self.tracks):
            track.hits[sensor].note(index in strong)
        # Unseen in a whole window is gone: an obstacle in the way is in view until the car stands.
        self.tracks = [track for track in self.tracks if self._is_kept(track)]

    def confirmed(self) -> list[Track]:
        return [track for track in self.tracks if track.support]

    def _is_kept(self, track: Track) -> bool:
        return any(track.hits[name].misses < window for name, (_, window) in self._rules.items())

    def _match(
        self,
        seen: Measurement,
        there: Sequence[tuple[float, float, float, float]],
        taken: set[int],
    ) -> int | None:
        best, best_miss = None, 1.0
        for index, (depth, right, depth_std, right_std) in enumerate(there):
            known = {seen.label, self.tracks[index].label} - SIZES
            if index in taken or (len(known) == 2 and len(known & LONG) == 1):
                continue
            reach = seen.reach_m or (
                1.0 + 2.0 * float(np.hypot(depth_std, seen.depth_std_m)),
                0.8 + 2.0 * float(np.hypot(right_std, seen.right_std_m)),
            )
            miss = float(
                np.hypot((depth - seen.depth_m) / reach[0], (right - seen.right_m) / reach[1])
            )
            if miss < best_miss:
                best, best_miss = index, miss
        return best


def _noise(seen: Measurement, eye: Floats) -> Floats:
    """(2, 2) covariance of a measurement, turned into odometry."""
    cos, sin = np.cos(eye[2]), np.sin(eye[2])
    turn = np.array([[cos, -sin], [sin, cos]])
    noise: Floats = turn @ np.diag([seen.depth_std_m**2, seen.right_std_m**2]) @ turn.T
    return noise
