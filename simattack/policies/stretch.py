"""The stretch of route before the car, in which its LiDAR and radar look for what is in the way.

There a wall along a bend is straight, and what is in the way has a small lateral offset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from simattack.policies.localisation import from_frame, into_frame
from simattack.policies.path import Path
from simattack.types import Floats

CELL_M = (0.5, 0.4)
"""Along and across: points in cells that touch belong together."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Where the route runs, as seen from the car at the moment of a scan."""

    path: Path
    pose: Floats
    """(3,) x, y, yaw of the car in the world at that moment."""
    s_m: float
    """Of the car on the path."""
    half_width_m: float
    """Of the way that must be free."""
    reach_m: float = 60.0
    """How far ahead it is looked at, ..."""
    aside_m: float = 8.0
    """... and how far to each side of the route."""
    beyond_m: float = 5.0
    """How far beyond the route's end, where nobody goes."""

    def along(self, points: Floats) -> Floats:
        """(N, 2) distance along the route [m] from the car's middle, and lateral offset [m].

        Args:
            points: (N, 2) car frame.
        """
        places = self.path.place(from_frame(points, self.pose), self.s_m)
        places[:, 0] -= self.s_m
        return places

    def car_frame(self, along_m: float, right_m: float) -> Floats:
        """(2,) forward and right of the car [m]; undoes ``along``."""
        place: Floats = into_frame(self.path.beside(self.s_m + along_m, right_m)[None], self.pose)[
            0
        ]
        return place

    def is_within(self, places: Floats) -> NDArray[np.bool_]:
        """(N,) whether places (N, 2), as ``along`` gives them, are looked at."""
        reach_m = min(self.reach_m, self.path.length_m - self.s_m + self.beyond_m)
        inside: NDArray[np.bool_] = (places[:, 0] > 0) & (places[:, 0] < reach_m)
        return inside & (np.abs(places[:, 1]) < self.aside_m)


def groups(places: Floats) -> list[NDArray[np.intp]]:
    """Row numbers of the places (N, 2) that belong together, group by group."""
    if not len(places):
        return []
    cells = np.floor((places - places.min(axis=0)) / CELL_M).astype(int)
    grid = np.zeros(cells.max(axis=0) + 1, bool)
    grid[cells[:, 0], cells[:, 1]] = True
    numbered, _ = ndimage.label(grid, np.ones((3, 3), int))
    number = numbered[cells[:, 0], cells[:, 1]]
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
