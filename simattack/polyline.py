"""A line on the ground to go along: where it is after so many metres, and what lies beside it."""

from __future__ import annotations

import numpy as np

from simattack.types import Floats, Pose


class Polyline:
    """A chain of at least two points (N, 3) [m], told by the distance along it on the ground.

    Before its first and after its last point it goes straight on. ``right_m`` is the distance to
    the right of it, seen along it.
    """

    def __init__(self, points: Floats) -> None:
        points = np.asarray(points, float)
        steps = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
        kept = np.concatenate([[True], steps > 1e-6])
        self.points = points[kept]
        if len(self.points) < 2:
            raise ValueError("a line needs two different points")
        self._steps = np.diff(self.points[:, :2], axis=0)
        self._lengths = np.linalg.norm(self._steps, axis=1)
        self.starts_m = np.concatenate([[0.0], np.cumsum(self._lengths)])

    @property
    def length_m(self) -> float:
        return float(self.starts_m[-1])

    def pose(self, along_m: float, right_m: float = 0.0) -> Pose:
        """On the ground, looking along the line."""
        last = len(self._lengths) - 1
        index = int(np.clip(np.searchsorted(self.starts_m, along_m, "right") - 1, 0, last))
        share = (along_m - self.starts_m[index]) / self._lengths[index]
        yaw = self._yaw(along_m, index)
        x, y = self.points[index, :2] + share * self._steps[index]
        rise = np.clip(share, 0.0, 1.0) * (self.points[index + 1, 2] - self.points[index, 2])
        return Pose(
            float(x - right_m * np.sin(yaw)),
            float(y + right_m * np.cos(yaw)),
            float(self.points[index, 2] + rise),
            yaw_rad=yaw,
        )

    def locate(
        self, place: tuple[float, float], near_m: float | None = None, reach_m: float = 25.0
    ) -> tuple[float, float]:
        """(along_m, right_m) of a place, by the nearest piece of the line.

        Args:
            place: x, y.
            near_m: look only this far along the line, ``reach_m`` either way: for a line that
                meets itself.
            reach_m: see ``near_m``.
        """
        first, last = 0, len(self._lengths)
        if near_m is not None:
            first = int(np.searchsorted(self.starts_m, near_m - reach_m, "right")) - 1
            first = int(np.clip(first, 0, last - 1))
            last = int(np.clip(np.searchsorted(self.starts_m, near_m + reach_m), first + 1, last))
        steps, lengths = self._steps[first:last], self._lengths[first:last]
        away = np.array(place) - self.points[first:last, :2]
        share = np.sum(away * steps, axis=1) / lengths**2
        # The ends go on for ever; between them a piece has only its own length.
        low, high = np.zeros(len(share)), np.ones(len(share))
        low[0] = -np.inf if first == 0 else 0.0
        high[-1] = np.inf if last == len(self._lengths) else 1.0
        share = np.clip(share, low, high)
        miss = np.linalg.norm(away - share[:, None] * steps, axis=1)
        best = int(np.argmin(miss))
        cross = steps[best, 0] * away[best, 1] - steps[best, 1] * away[best, 0]
        along = self.starts_m[first + best] + share[best] * lengths[best]
        return float(along), float(np.copysign(miss[best], cross))

    def _yaw(self, along_m: float, index: int) -> float:
        """Heading there, turning evenly from the middle of a piece to the next one's."""
        here = float(np.arctan2(*self._steps[index][::-1]))
        middle = self.starts_m[index] + self._lengths[index] / 2
        other = index + (1 if along_m >= middle else -1)
        if not 0 <= other < len(self._lengths):
            return here
        there = float(np.arctan2(*self._steps[other][::-1]))
        turn = (there - here + np.pi) % (2 * np.pi) - np.pi
        apart = (self._lengths[index] + self._lengths[other]) / 2
        return float(here + turn * min(abs(along_m - middle) / apart, 1.0))
