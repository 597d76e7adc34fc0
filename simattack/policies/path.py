"""The route as a line that can be measured along: pure geometry in the world's plane."""

from __future__ import annotations

import numpy as np

from simattack.types import Floats, Route


class Path:
    """A polyline with arc length ``s`` [m]; its first and last pieces go on straight for ever.

    ``right`` of the path is positive, as the car frame's y.
    """

    def __init__(self, route: Route) -> None:
        points = np.asarray(route.points, float)[:, :2]
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        keep = np.concatenate([[True], steps > 1e-6])  # repeated points have no direction
        self.points = points[keep]
        if len(self.points) < 2:
            raise ValueError(f"a route needs two different points, got {len(points)}")
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        self.s_m = np.concatenate([[0.0], np.cumsum(steps)])
        self.forward = np.diff(self.points, axis=0) / steps[:, None]
        self.speed_limit_mps = np.asarray(route.speed_limit_mps, float)[keep]

    @property
    def length_m(self) -> float:
        return float(self.s_m[-1])

    def locate(self, xy: Floats, near_s_m: float | None = None) -> tuple[float, float]:
        """Arc length and lateral offset [m] of the nearest place on the path.

        Args:
            xy: (2,) world [m].
            near_s_m: where to look, 10 m behind to 80 m ahead; a route that meets itself again
                is then followed in order. None looks everywhere.
        """
        first, last = 0, len(self.forward)
        if near_s_m is not None:
            first = int(np.searchsorted(self.s_m, near_s_m - 10.0, "right")) - 1
            last = int(np.searchsorted(self.s_m, near_s_m + 80.0, "left"))
            first = min(max(first, 0), len(self.forward) - 1)
            last = min(max(last, first + 1), len(self.forward))
        forward = self.forward[first:last]
        away = np.asarray(xy, float) - self.points[first:last]
        along = np.sum(away * forward, axis=1)
        low = np.zeros(len(along))
        high = np.diff(self.s_m[first : last + 1])
        if first == 0:
            low[0] = -np.inf
        if last == len(self.forward):
            high[-1] = np.inf
        along = np.clip(along, low, high)
        miss = np.linalg.norm(away - along[:, None] * forward, axis=1)
        best = int(np.argmin(miss))
        lateral = forward[best, 0] * away[best, 1] - forward[best, 1] * away[best, 0]
        return float(self.s_m[first + best] + along[best]), float(lateral)

    def passes(self, xy: Floats, within_m: float = 2.0) -> list[float]:
        """Arc lengths [m] of all the times the path comes so near to a place."""
        away_m = np.linalg.norm(self.points - np.asarray(xy, float), axis=1)
        near = np.flatnonzero(away_m <= within_m)
        times = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1) if len(near) else []
        return [
            self.locate(xy, float(self.s_m[rows[int(np.argmin(away_m[rows]))]]))[0]
            for rows in times
        ]

    def place(self, points: Floats, near_s_m: float) -> Floats:
        """(N, 2) arc length and lateral offset [m] of many points, as ``locate`` tells of one.

        Only what lies along the next 80 m is told right: the vertex nearest to a point decides
        between the two pieces that meet there.

        Args:
            points: (N, 2) world [m].
            near_s_m: as ``locate``.
        """
        first = int(np.clip(np.searchsorted(self.s_m, near_s_m - 10.0, "right") - 1, 0, None))
        first = min(first, len(self.forward) - 1)
        last = max(int(np.searchsorted(self.s_m, near_s_m + 80.0, "left")), first + 1)
        last = min(last, len(self.forward))
        # Counted from the first vertex: world coordinates in single precision cost centimetres.
        away = np.asarray(points - self.points[first], np.float32)
        vertices = np.asarray(self.points[first : last + 1] - self.points[first], np.float32)
        square = (vertices**2).sum(1)[:, None]
        nearest = np.empty(len(points), int)
        # Block by block: a table of all at once costs more in memory's pages than in sums.
        for at in range(0, len(points), 1024):
            block = slice(at, at + 1024)
            nearest[block] = first + (square - 2 * (vertices @ away[block].T)).argmin(axis=0)
        best_s_m = best_right_m = np.zeros(len(points))
        best = np.full(len(points), np.inf)
        ends_m = np.append(self.s_m[1:-1], np.inf)
        begins_m = np.insert(self.s_m[1:-1], 0, -np.inf)
        for piece in (nearest - 1, nearest):
            row = np.clip(piece, first, last - 1)
            x, y = points[:, 0] - self.points[row, 0], points[:, 1] - self.points[row, 1]
            ahead_x, ahead_y = self.forward[row, 0], self.forward[row, 1]
            along = x * ahead_x + y * ahead_y
            right_m = ahead_x * y - ahead_y * x
            s_m = np.minimum(np.maximum(self.s_m[row] + along, begins_m[row]), ends_m[row])
            miss = right_m**2 + (self.s_m[row] + along - s_m) ** 2
            is_best = miss < best
            best = np.where(is_best, miss, best)
            best_s_m = np.where(is_best, s_m, best_s_m)
            best_right_m = np.where(is_best, right_m, best_right_m)
        return np.stack([best_s_m, best_right_m], axis=1)

    def point(self, s_m: float) -> Floats:
        """(2,) world [m] at an arc length, beyond the ends too."""
        row = self._row(s_m)
        place: Floats = self.points[row] + (s_m - self.s_m[row]) * self.forward[row]
        return place

    def beside(self, s_m: float, right_m: float) -> Floats:
        """(2,) world [m] at an arc length and a lateral offset."""
        forward = self.forward[self._row(s_m)]
        place: Floats = self.point(s_m) + right_m * np.array([-forward[1], forward[0]])
        return place

    def heading_rad(self, s_m: float) -> float:
        forward = self.forward[self._row(s_m)]
        return float(np.arctan2(forward[1], forward[0]))

    def speed_profile(self, lateral_mps2: float, braking_mps2: float) -> Floats:
        """(N,) the speed allowed at each point [m/s]: limits, bends, and braking in time for them.

        A bend of curvature k is taken at sqrt(lateral_mps2 / k).
        """
        heading = np.unwrap(np.arctan2(self.forward[:, 1], self.forward[:, 0]))
        turn = np.zeros(len(self.points))
        turn[1:-1] = np.diff(heading)
        reach = np.full(len(self.points), np.inf)
        reach[1:-1] = (self.s_m[2:] - self.s_m[:-2]) / 2
        curvature = np.abs(turn) / reach
        speed: Floats = np.minimum(
            self.speed_limit_mps, np.sqrt(lateral_mps2 / np.maximum(curvature, 1e-6))
        )
        for row in range(len(speed) - 2, -1, -1):
            gap = self.s_m[row + 1] - self.s_m[row]
            reachable = np.sqrt(speed[row + 1] ** 2 + 2 * braking_mps2 * gap)
            speed[row] = min(speed[row], reachable)
        return speed

    def _row(self, s_m: float) -> int:
        row = int(np.searchsorted(self.s_m, s_m, "right")) - 1
        return min(max(row, 0), len(self.forward) - 1)
