"""Debug shapes that clients draw into the world, until their time is over.

As in CARLA, cameras see points, lines, arrows and boxes: in colour images only, hidden by what
stands before them, without light or fog. Text and ``draw_hud_*`` belong to the window of CARLA's
simulator, which no camera sees and which this server does not have.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.errors import ProtocolError
from simattack.geometry import matrix
from simattack.server import codec
from simattack.server.codec import Wire
from simattack.server.render.look import Marks
from simattack.types import Floats, Pose

POINT, LINE, ARROW, BOX, STRING = range(5)
_LAST_HUD = 8
PIXELS_PER_SIZE = 100.0
"""CARLA shows a point of size 0.1 as a square of ten pixels, at any distance."""
MOST = 100_000
"""Lines and points at a time; beyond, the oldest go first."""
_SLACK_S = 1e-6


@dataclass(frozen=True, eq=False)
class _Stroke:
    """Lines, or one point, of one shape."""

    points: Floats
    """(N, 2, 3) lines or (1, 3) a point [m]."""
    size: float
    """Width of the lines [m], side of the point [px]."""
    color: tuple[float, float, float]
    until_s: float

    @property
    def is_point(self) -> bool:
        return self.points.ndim == 2


class Drawings:
    """The shapes of an episode."""

    def __init__(self) -> None:
        self._strokes: deque[_Stroke] = deque()
        self._first_end_s = math.inf
        self._marks: Marks | None = None
        self._is_stale = False

    def add(self, shape: Wire, now_s: float) -> None:
        """Adds a DebugShape; one with a life time of 0 or less stays until all are cleared.

        Raises:
            ProtocolError: it is no such shape.
        """
        primitive, color, life_s, _ = codec.read_list(shape, "a debug shape", 4)
        kind, body = codec.read_list(primitive, "a debug shape's form", 2)
        kind = codec.read_int(kind, "a debug shape's form")
        if not POINT <= kind <= _LAST_HUD:
            raise ProtocolError(f"expected a debug shape's form in 0..{_LAST_HUD}, got {kind}")
        if kind >= STRING:
            return
        points, size = _form(kind, body)
        red, green, blue = (
            min(1.0, max(0.0, value / 255)) for value in codec.read_numbers(color, 3, "a colour")
        )
        life_s = codec.read_float(life_s, "a life time")
        until_s = now_s + life_s if life_s > 0 else math.inf
        self._strokes.append(_Stroke(points, size, (red, green, blue), until_s))
        self._first_end_s = min(self._first_end_s, until_s)
        self._is_stale = True
        if len(self._strokes) > MOST:
            self._strokes.popleft()

    def clear(self) -> None:
        """Forgets all shapes."""
        self._strokes.clear()
        self._is_stale = True

    def marks(self, now_s: float) -> Marks | None:
        """What is to be seen at a time, None for nothing."""
        if self._first_end_s + _SLACK_S < now_s:
            self._strokes = deque(s for s in self._strokes if s.until_s + _SLACK_S >= now_s)
            self._first_end_s = min((s.until_s for s in self._strokes), default=math.inf)
            self._is_stale = True
        if self._is_stale:
            self._marks = _gathered(self._strokes) if self._strokes else None
            self._is_stale = False
        return self._marks


def _gathered(strokes: deque[_Stroke]) -> Marks:
    lines = [stroke for stroke in strokes if not stroke.is_point]
    points = [stroke for stroke in strokes if stroke.is_point]
    count = np.array([len(stroke.points) for stroke in lines], int)

    def colors(of: list[_Stroke]) -> NDArray[np.float32]:
        return np.array([stroke.color for stroke in of], np.float32).reshape(-1, 3)

    return Marks(
        np.concatenate([np.empty((0, 2, 3)), *(stroke.points for stroke in lines)]),
        np.repeat([stroke.size for stroke in lines], count),
        np.repeat(colors(lines), count, axis=0),
        np.concatenate([np.empty((0, 3)), *(stroke.points for stroke in points)]),
        np.array([stroke.size for stroke in points], float),
        colors(points),
    )


def _form(kind: int, body: Wire) -> tuple[Floats, float]:
    """Points or lines of a form, and their size."""
    if kind == POINT:
        place, size = codec.read_list(body, "a point", 2)
        return (
            np.array([codec.read_vector(place, "a location")]),
            PIXELS_PER_SIZE * abs(codec.read_float(size, "a size")),
        )
    if kind == BOX:
        return _box(*codec.read_list(body, "a box", 3))
    arrow_size = 0.0
    if kind == ARROW:
        body, size = codec.read_list(body, "an arrow", 2)
        arrow_size = codec.read_float(size, "an arrow's size")
    begin, end, thickness = codec.read_list(body, "a line", 3)
    shaft = np.array([codec.read_vector(begin, "a begin"), codec.read_vector(end, "an end")])
    width_m = abs(codec.read_float(thickness, "a thickness"))
    if kind == LINE:
        return shaft[None], width_m
    return _arrow(shaft, arrow_size), width_m


def _arrow(shaft: Floats, size_m: float) -> Floats:
    """A line and four barbs, each ``size_m`` back and to both sides of the tip."""
    across = shaft[1] - shaft[0]
    length = float(np.linalg.norm(across))
    yaw, pitch = math.atan2(across[1], across[0]), math.atan2(across[2], math.hypot(*across[:2]))
    x, y, z = (float(value) for value in shaft[0])
    frame = matrix(Pose(x, y, z, pitch, yaw))
    back = length - size_m
    barbs = [[back, y, z, 1.0] for y in (size_m, -size_m) for z in (size_m, -size_m)]
    ends = (np.array(barbs) @ frame.T)[:, :3]
    heads = np.stack([ends, np.broadcast_to(shaft[1], ends.shape)], axis=1)
    return np.concatenate([shaft[None], heads])


def _box(box: Wire, rotation: Wire, thickness: Wire) -> tuple[Floats, float]:
    """The twelve edges; the rotation is the shape's, the box's own has no effect, as in CARLA."""
    centre, half, *_ = codec.read_list(box, "a bounding box", 4)
    frame = matrix(codec.read_pose([centre, rotation]))
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners = signs * codec.read_vector(half, "an extent") @ frame[:3, :3].T + frame[:3, 3]
    edges = [(a, b) for a in range(8) for b in range(a) if np.abs(signs[a] - signs[b]).sum() == 2]
    return corners[np.array(edges)], abs(codec.read_float(thickness, "a thickness"))
