"""Which lane leads to which, and the shortest way over them by given positions.

Part of the session's floor: it is handed CARLA's map and never imports it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from simattack.errors import ConfigError
from simattack.types import Floats

OFF_M = 5.0
"""A position farther than this from the middle of every lane is on none."""
LONGEST_TRACED_M = 25_000.0
_AS_NEAR_M = 0.75
"""Lanes so little farther away than the nearest may be meant as well: ways through a junction."""
_CHANGE_M = 20
"""A change of lanes takes so long, in points and metres."""
_CHANGE_COST_M = 50.0
"""How much longer a way may be that needs no change."""


class _Spot(NamedTuple):
    """A point of a lane."""

    lane: int
    at: int


@dataclass(eq=False)
class _Lane:
    """A lane of one section of a road, its centre a point a metre, in its own direction."""

    points: Floats
    ahead: list[int] = field(default_factory=list)
    beside: list[int] = field(default_factory=list)
    """Lanes of the same direction that may be changed to."""


class LaneGraph:
    """The driving lanes of one map."""

    def __init__(self, carla_map: Any) -> None:
        topology = carla_map.get_topology()
        pairs = sorted({(_key(one), _key(two)) for one, two in topology})
        numbers: dict[tuple[int, int, int], int] = {}
        self._lanes: list[_Lane] = []
        # CARLA lists the pairs in any order; a lane's number decides between equal ways. A lane
        # that leads nowhere is named as the second of a pair only.
        entries = {_key(entry): entry for pair in topology for entry in reversed(pair)}
        waypoints: list[Any] = []
        for key in sorted(entries):
            chain = [entries[key]]
            # What CARLA takes for a lane's end may be the end of another section.
            for waypoint in entries[key].next_until_lane_end(1.0):
                if _key(waypoint) != key:
                    break
                chain.append(waypoint)
            numbers[key] = len(self._lanes)
            places = [waypoint.transform.location for waypoint in chain]
            self._lanes.append(_Lane(np.array([[p.x, p.y, p.z] for p in places])))
            waypoints.append(chain[len(chain) // 2])
        for one, two in pairs:
            self._lanes[numbers[one]].ahead.append(numbers[two])
        for lane, waypoint in zip(self._lanes, waypoints, strict=True):
            allowed = str(waypoint.lane_change).rsplit(".", 1)[-1]
            for name, other in (
                ("Left", waypoint.get_left_lane()),
                ("Right", waypoint.get_right_lane()),
            ):
                if allowed in (name, "Both") and other is not None and _key(other) in numbers:
                    if other.lane_id * waypoint.lane_id > 0:
                        lane.beside.append(numbers[_key(other)])
        if not self._lanes:
            raise ConfigError("expected a map with driving lanes that lead somewhere, got none")
        self._spots = [
            _Spot(number, index)
            for number, lane in enumerate(self._lanes)
            for index in range(len(lane.points))
        ]
        self._tree = cKDTree(np.concatenate([lane.points[:, :2] for lane in self._lanes]))

    def trace(
        self, places: Sequence[tuple[float, float]], heading_rad: float | None = None
    ) -> Floats:
        """(N, 3) the shortest way along lanes by all places in their order, a point a metre.

        Args:
            places: x, y of the start, of what lies on the way, and of the end [m].
            heading_rad: of the lane's traffic at the start; None: any.

        Raises:
            ConfigError: a place is on no lane, or no lane leads from one to the next.
        """
        layers = [self._spots_at(place) for place in places]
        if heading_rad is not None:
            fitting = [s for s in layers[0] if np.cos(self._yaw_rad(s) - heading_rad) > 0.7]
            if not fitting:
                raise ConfigError(
                    f"expected traffic towards {np.degrees(heading_rad):.0f} degrees at "
                    f"{_told(places[0])}, the lane there goes to "
                    f"{np.degrees(self._yaw_rad(layers[0][0])):.0f}"
                )
            layers[0] = fitting
        # The cheapest way to every spot of the layer reached so far.
        best: dict[_Spot, tuple[float, list[Floats]]] = {spot: (0.0, []) for spot in layers[0]}
        for number, goals in enumerate(layers[1:], start=1):
            reached: dict[_Spot, tuple[float, list[Floats]]] = {}
            for goal in goals:
                for spot, (cost_m, pieces) in best.items():
                    found = self._search(spot, goal)
                    if found is None or cost_m + found[0] > LONGEST_TRACED_M:
                        continue
                    if goal not in reached or cost_m + found[0] < reached[goal][0]:
                        reached[goal] = cost_m + found[0], [*pieces, *self._drawn(found[1], goal)]
            if not reached:
                raise ConfigError(
                    f"expected a way along lanes of at most {LONGEST_TRACED_M:g} m from "
                    f"{_told(places[number - 1])} to {_told(places[number])}, the map has none; "
                    "is one of them on the oncoming lane?"
                )
            best = reached
        goal, (_, pieces) = min(best.items(), key=lambda item: (item[1][0], item[0]))
        last = self._lanes[goal.lane].points[goal.at : goal.at + 1]
        return _a_point_a_metre(np.concatenate([*pieces, last]))

    def _spots_at(self, place: tuple[float, float]) -> list[_Spot]:
        """The nearest point of every lane that may be meant, the nearest lane first."""
        away_m, nearest = self._tree.query(place)
        if away_m > OFF_M:
            raise ConfigError(
                f"expected a position on a driving lane, {_told(place)} is {away_m:.0f} m from "
                "the nearest"
            )
        found: dict[int, _Spot] = {}
        around = self._tree.query_ball_point(place, away_m + _AS_NEAR_M)
        miss = {i: float(np.hypot(*(self._tree.data[i] - place))) for i in {*around, int(nearest)}}
        for index in sorted(miss, key=lambda i: (miss[i], i)):
            found.setdefault(self._spots[index].lane, self._spots[index])
        return list(found.values())

    def _search(self, start: _Spot, goal: _Spot) -> tuple[float, list[_Spot]] | None:
        """A*: the cost [m] and the spots at which each lane of the cheapest way is entered."""
        target = self._lanes[goal.lane].points[goal.at, :2]

        def at_least_m(spot: _Spot) -> float:
            # A point a metre overestimates nothing but the pieces between two lanes.
            away = self._lanes[spot.lane].points[spot.at, :2] - target
            return max(float(np.hypot(*away)) - 10.0, 0.0)

        queue: list[tuple[float, float, bool, _Spot, _Spot | None]] = [
            (at_least_m(start), 0.0, False, start, None)
        ]
        came: dict[_Spot, _Spot | None] = {}
        while queue:
            _, cost_m, is_goal, spot, before = heapq.heappop(queue)
            if is_goal:
                way: list[_Spot] = [spot]
                while (previous := came[way[-1]]) is not None:
                    way.append(previous)
                return cost_m, way[::-1]
            if spot in came or cost_m > LONGEST_TRACED_M:
                continue
            came[spot] = before
            lane = self._lanes[spot.lane]
            if spot.lane == goal.lane and spot.at <= goal.at:
                whole_m = cost_m + goal.at - spot.at
                heapq.heappush(queue, (whole_m, whole_m, True, spot, None))
            onward = [(_Spot(n, 0), float(len(lane.points) - spot.at)) for n in lane.ahead]
            for n in lane.beside:
                there = self._beside(spot, n)
                if there is not None:
                    onward.append((there, _CHANGE_M + _CHANGE_COST_M))
            for other, extra_m in onward:
                if other not in came:
                    ahead_m = cost_m + extra_m
                    entry = (ahead_m + at_least_m(other), ahead_m, False, other, spot)
                    heapq.heappush(queue, entry)
        return None

    def _beside(self, spot: _Spot, number: int) -> _Spot | None:
        """Where a change from a spot ends on the lane beside it; None: there is no room."""
        lane, other = self._lanes[spot.lane], self._lanes[number]
        away = np.linalg.norm(other.points[:, :2] - lane.points[spot.at, :2], axis=1)
        end = int(np.argmin(away)) + _CHANGE_M
        if spot.at + _CHANGE_M >= len(lane.points) or end >= len(other.points):
            return None
        return _Spot(number, end)

    def _drawn(self, way: list[_Spot], goal: _Spot) -> list[Floats]:
        """The points of a way, lane by lane, up to just before its goal."""
        pieces = []
        for spot, following in zip(way, [*way[1:], None], strict=True):
            points = self._lanes[spot.lane].points
            if following is None:
                pieces.append(points[spot.at : goal.at])
            elif following.at == 0:
                pieces.append(points[spot.at :])
            else:
                aside = self._lanes[following.lane].points
                share = (1 - np.cos(np.pi * np.arange(_CHANGE_M) / _CHANGE_M))[:, None] / 2
                mine = points[spot.at : spot.at + _CHANGE_M]
                theirs = aside[following.at - _CHANGE_M : following.at]
                pieces.append(mine * (1 - share) + theirs * share)
        return pieces

    def _yaw_rad(self, spot: _Spot) -> float:
        points = self._lanes[spot.lane].points
        first = min(spot.at, max(len(points) - 2, 0))
        step = points[min(first + 1, len(points) - 1)] - points[first]
        return float(np.arctan2(step[1], step[0]))


def _key(waypoint: Any) -> tuple[int, int, int]:
    return int(waypoint.road_id), int(waypoint.section_id), int(waypoint.lane_id)


def _told(place: tuple[float, float]) -> str:
    return f"({place[0]:.1f}, {place[1]:.1f})"


def _a_point_a_metre(points: Floats) -> Floats:
    steps = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    points = points[np.concatenate([[True], steps > 1e-6])]
    steps = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    # The end stays the end, whatever is left of a metre before it.
    wanted = np.append(np.arange(0.0, along[-1] - 0.5, 1.0), along[-1])
    return np.stack([np.interp(wanted, along, column) for column in points.T], axis=1)
