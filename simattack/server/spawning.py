"""Where vehicles may begin: places on driving lanes that the largest vehicle fits without overlap.

Convention: CARLA's world frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import shapely

from simattack.server.road_shape import Network, RoadShape
from simattack.types import Pose

SPACING_M = 20.0
MARGIN_M = 12.0
"""Between places along a lane; from the lane's ends to its nearest place."""
HEIGHT_M = 0.3
ROOM_M = (10.8, 2.7)
"""Length and width that every place has to itself: a bus with something to spare."""
SHORT_M = 9.0
"""Of a lane: shorter than this, it has no place of its own."""
NARROW_M = 2.6
"""Of a lane: narrower than this, it only opens or closes."""

Place = tuple[int, int, int, Pose]
"""Its number along the lane, road, lane, and the lane's middle there."""
LookUp = Callable[[int, int, float], tuple[Pose, float] | None]
"""(road id, lane id, s) -> middle and width [m] of the lane there; None where none leads on."""


def spawn_points(network: Network, look_up: LookUp) -> list[Pose]:
    """Poses on driving lanes outside junctions; neighbours in the list are far apart.

    The list goes round all lanes before it takes a second place on one, so that its first entries
    are spread over the map.
    """
    roads = [road for road in network.roads.values() if road.junction == -1]
    found = sorted((p for road in roads for p in _regular(road, look_up)), key=lambda p: p[:3])
    kept = _apart(found, [])
    served = {(road, lane) for _, road, lane, _ in kept}
    # Lanes whose sections are all short have none so far: one in the middle of the lane.
    more = [p for road in roads for p in _middles(road, served, look_up)]
    places = (place for *_, place in _apart(more, kept))
    # The client adds up the turns of lanes that wind; a snapshot tells none beyond half a turn.
    turn, whole = math.remainder, 2 * math.pi
    return [
        Pose(p.x_m, p.y_m, p.z_m + HEIGHT_M, turn(p.pitch_rad, whole), turn(p.yaw_rad, whole))
        for p in places
    ]


def _regular(road: RoadShape, look_up: LookUp) -> Iterator[Place]:
    for section in road.sections:
        length = section.end_m - section.s_m
        if length < MARGIN_M:
            continue
        count = max(int((length - 2 * MARGIN_M) // SPACING_M) + 1, 1)
        first = section.s_m + (length - (count - 1) * SPACING_M) / 2
        for lane in section.lanes.values():
            if lane.kind == "driving":
                for k in range(count):
                    found = look_up(road.id, lane.id, first + k * SPACING_M)
                    if found is not None and found[1] >= NARROW_M:
                        yield k, road.id, lane.id, found[0]


def _middles(road: RoadShape, served: set[tuple[int, int]], look_up: LookUp) -> Iterator[Place]:
    """The middle of every lane that has no place, over the sections it runs through."""
    for lane in sorted({n for section in road.sections for n in section.lanes}):
        spans = [
            (section.s_m, section.end_m)
            for section in road.sections
            if lane in section.lanes and section.lanes[lane].kind == "driving"
        ]
        if not spans or (road.id, lane) in served:
            continue
        cuts = [0, *(k for k, (a, b) in enumerate(pairwise(spans), 1) if b[0] - a[1] > 0.01)]
        runs = [
            (spans[first][0], spans[last - 1][1]) for first, last in pairwise([*cuts, len(spans)])
        ]
        start, end = max(runs, key=lambda run: run[1] - run[0])
        found = look_up(road.id, lane, (start + end) / 2) if end - start >= SHORT_M else None
        if found is not None and found[1] >= NARROW_M:
            yield 0, road.id, lane, found[0]


def _apart(places: list[Place], kept: list[Place]) -> list[Place]:
    """``kept`` and those of ``places``, in order, that overlap none before them."""
    out = list(kept)
    shapes = [_room(place[3]) for place in out]
    at = np.array([(p.x_m, p.y_m) for *_, p in out]).reshape(-1, 2)
    for place in places:
        pose = place[3]
        shape = _room(pose)
        near = np.flatnonzero(np.hypot(at[:, 0] - pose.x_m, at[:, 1] - pose.y_m) < ROOM_M[0] + 1)
        if any(shape.intersects(shapes[k]) for k in near):
            continue
        out.append(place)
        shapes.append(shape)
        at = np.vstack([at, (pose.x_m, pose.y_m)])
    return out


def _room(pose: Pose) -> shapely.Polygon:
    """The ground that a vehicle at ``pose`` takes."""
    c, s = math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)
    length, width = ROOM_M[0] / 2, ROOM_M[1] / 2
    corners = [(a * length, b * width) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return shapely.Polygon(
        [(pose.x_m + a * c - b * s, pose.y_m + a * s + b * c) for a, b in corners]
    )
