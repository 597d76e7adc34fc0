"""What lanes look like from above: their surfaces, the lines along them, the height of the ground.

Convention: CARLA's world frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely

from simattack.server.road_shape import LaneShape, Mark, RoadShape, Section
from simattack.types import Floats


@dataclass(frozen=True, eq=False)
class Ribbon:
    """The surface of one lane over one lane section.

    ``left`` and ``right`` (N, 3) are its edges in the direction of growing s of the road (not
    always the driving direction); row i of both is one cross section.
    """

    kind: str
    """OpenDRIVE's lane type: ``driving``, ``sidewalk``, ``shoulder``, ``median`` ..."""
    left: Floats
    right: Floats
    road_id: int
    lane_id: int
    is_junction: bool


@dataclass(frozen=True, eq=False)
class Marking:
    """A painted line, or a kerb, along an edge of a lane."""

    kind: str
    """OpenDRIVE's: ``solid``, ``broken``, ``solid solid``, ``curb`` ...; double lines from left to
    right."""
    color: str
    points: Floats
    """(N, 3) its centre line."""
    width_m: float
    done_m: float = 0.0
    """How much of the same line lies before it: where in its pattern a broken line begins."""


def ribbons(road: RoadShape, extra_width_m: float = 0.0) -> Iterator[Ribbon]:
    """The surfaces of a road's lanes; driving lanes in junctions are wider by ``extra_width_m``."""
    for section in road.sections:
        s = road.stations(section.s_m, section.end_m)
        if len(s) < 2:
            continue
        for number, (inner, outer) in section.edges(s, road.offset(s)).items():
            lane = section.lanes[number]
            # A lane may open or close: where it has no width yet, it has no surface.
            if np.abs(outer - inner).max() < 0.01:
                continue
            if extra_width_m and road.junction != -1 and lane.kind == "driving":
                outwards = math.copysign(extra_width_m / 2, number)
                inner, outer = inner - outwards, outer + outwards
            edges = [
                road.world(s, edge, above)
                for edge, above in zip((inner, outer), lane.height_m, strict=True)
            ]
            left, right = edges if number < 0 else edges[::-1]
            yield Ribbon(lane.kind, left, right, road.id, number, road.junction != -1)


def edges(road: RoadShape) -> Iterator[Floats]:
    """The two outermost edges (N, 3) of every section of a road outside junctions."""
    if road.junction != -1:
        return
    for section in road.sections:
        s = road.stations(section.s_m, section.end_m)
        if len(s) < 2:
            continue
        middle = road.offset(s)
        lanes = section.edges(s, middle)
        for number in (min(0, *lanes), max(0, *lanes)):
            # A road with lanes on one side only ends at its middle line.
            edge = lanes[number][1] if number else middle
            yield road.world(s, edge, section.lanes[number].height_m[1] if number else 0.0)


def markings(road: RoadShape) -> Iterator[Marking]:
    """All painted lines and kerbs of a road."""
    runs: dict[int, tuple[float, tuple[str, str, float], float]] = {}
    for section in road.sections:
        for lane in section.lanes.values():
            starts = [section.s_m + mark.offset_m for mark in lane.marks]
            ends = [*starts[1:], section.end_m]
            for mark, first, last in zip(lane.marks, starts, ends, strict=False):
                # Sections and repeated entries cut a line that is one on the road: its dashes
                # go on where they were.
                kind = (mark.kind, mark.color, mark.width_m)
                end_m, old, begun_m = runs.get(lane.id, (math.nan, kind, first))
                if old != kind or not abs(end_m - first) < 0.01:
                    begun_m = first
                runs[lane.id] = (last, kind, begun_m)
                if mark.kind != "none" and last - first >= 0.1:
                    yield _marking(road, section, lane, mark, first, last, first - begun_m)


def _marking(
    road: RoadShape,
    section: Section,
    lane: LaneShape,
    mark: Mark,
    first: float,
    last: float,
    done_m: float,
) -> Marking:
    s = road.stations(first, last)
    offset = road.offset(s)
    t = offset if lane.id == 0 else section.edges(s, offset)[lane.id][1]
    # Double lines are named from the middle of the road outwards, and drawn from left to right.
    words = mark.kind.split()
    kind = " ".join(words[::-1] if lane.id > 0 else words)
    return Marking(kind, mark.color, road.world(s, t, 0.0), mark.width_m, done_m)


def _tree(quads: Floats) -> shapely.STRtree:
    """Spatial index of pieces (N, 4, 3), seen from above."""
    return shapely.STRtree(list(np.asarray(shapely.polygons(quads[..., :2]), dtype=object)))


class Surface:
    """Ground height by look-up: one plane for each piece of ribbon."""

    def __init__(self, ribbons: list[Ribbon]) -> None:
        quads = np.concatenate(
            [np.stack([r.left[:-1], r.right[:-1], r.right[1:], r.left[1:]], 1) for r in ribbons]
        )
        pieces = [len(r.left) - 1 for r in ribbons]
        self._is_driving = np.repeat([r.kind == "driving" for r in ribbons], pieces)
        self._origin = quads.mean(axis=1)
        self._slope = np.zeros((len(quads), 2))
        spread = quads - self._origin[:, None]
        is_hilly = np.abs(spread[..., 2]).max(axis=1) > 1e-6
        for i in np.flatnonzero(is_hilly):
            self._slope[i] = np.linalg.lstsq(spread[i, :, :2], spread[i, :, 2], rcond=None)[0]
        self._tree = _tree(quads)
        level = np.flatnonzero(self._is_driving)
        self._level = level if len(level) else np.arange(len(quads))
        self._level_tree = _tree(quads[self._level])
        heights = np.unique(self._origin[self._level, 2])
        self._one_level_m = float(heights[0]) if len(heights) == 1 else None
        """Where all roads lie at one height, that beside them is no search."""

    def _plane(self, quads: Floats, xy: Floats) -> Floats:
        away = xy - self._origin[quads, :2]
        z: Floats = self._origin[quads, 2] + (away * self._slope[quads]).sum(axis=1)
        return z

    def height(self, xy: Floats) -> Floats:
        """Ground height (N,) [m] at points (N, 2)."""
        points = np.asarray(shapely.points(xy), dtype=object)
        rows, quads = self._tree.query(points, predicate="intersects")
        z = self._plane(quads, xy[rows])
        best = np.full((2, len(xy)), -np.inf)
        is_driving = self._is_driving[quads]
        for slot, mask in enumerate((is_driving, ~is_driving)):
            np.maximum.at(best[slot], rows[mask], z[mask])
        out: Floats = np.where(np.isfinite(best[0]), best[0], best[1])
        lost = np.flatnonzero(~np.isfinite(out))
        if len(lost) and self._one_level_m is not None:
            out[lost] = self._one_level_m
        elif len(lost):
            nearest = self._level[self._level_tree.nearest(points[lost])]
            # The piece's own middle: its slope must not be carried far beside the road.
            out[lost] = self._origin[nearest, 2]
        return out
