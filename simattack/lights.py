"""The traffic lights on a route, asked of CARLA: their lines, what they show, and holding them.

Part of the session's floor: it is handed CARLA's objects and never imports it. A light's line is
where its lane enters the junction, as CARLA's leaderboard has it: the client does not tell of the
lines that are painted. So is a stop sign's, on maps without a catalogue of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from simattack.polyline import Polyline
from simattack.types import Floats, Route

_STEP_M, _FARTHEST_M = 0.5, 40.0
_STOP = "206"
"""OpenDRIVE's type of a stop sign."""
_ONE_M = 3.0
"""Stop lines nearer to each other than this are one."""
_BESIDE_M = 1.2
"""A line whose middle is farther from the route belongs to another lane."""


class Lights:
    """The lights of one route, in its order."""

    def __init__(self, carla: Any, world: Any, route: Route) -> None:
        self._carla = carla
        line = Polyline(route.points)
        found: list[tuple[float, Floats, Any]] = []
        for actor in world.get_actors().filter("traffic.traffic_light*"):
            for waypoint in actor.get_stop_waypoints():
                ends = _entrance(waypoint)
                along_m = _along_m(line, ends)
                if along_m is not None:
                    found.append((along_m, ends, actor))
        found.sort(key=lambda item: item[0])
        self.lines_m: tuple[Floats, ...] = tuple(ends for _, ends, _ in found)
        """(2, 3) each: the line's ends, left and right."""
        self._actors = [actor for _, _, actor in found]

    def states(self) -> tuple[str, ...]:
        """What each shows: red, yellow, green, off or unknown."""
        return tuple(str(actor.get_state()).rsplit(".", 1)[-1].lower() for actor in self._actors)

    def hold(self, is_red: bool) -> None:
        """Keep all lights at the route's junctions red, or its own and those facing them green."""
        if not self._actors:
            return
        colors = self._carla.TrafficLightState
        for actor in self._actors:
            for other in actor.get_group_traffic_lights():
                is_green = not is_red and _is_parallel(actor, other)
                other.set_state(colors.Green if is_green else colors.Red)
        self._actors[0].freeze(True)  # CARLA freezes all lights of a world together

    def release(self) -> None:
        """Let them go round again."""
        if self._actors:
            self._actors[0].freeze(False)


def stop_lines(carla_map: Any, route: Route, known: Iterable[Floats] = ()) -> tuple[Floats, ...]:
    """(2, 3) each: the lines of the stop signs on a route, in its order.

    Args:
        carla_map: names the signs, where nothing is known.
        route: whose.
        known: the map's lines out of its catalogue, left end and right end.
    """
    line = Polyline(route.points)
    found: list[tuple[float, Floats]] = []
    for ends in list(known) or _signed_lines(carla_map):
        along_m = _along_m(line, ends)
        # Signs left and right of the road, or one for each way through a junction: one line.
        if along_m is not None and all(abs(along_m - other) > _ONE_M for other, _ in found):
            found.append((along_m, ends))
    return tuple(ends for _, ends in sorted(found, key=lambda item: item[0]))


def _signed_lines(carla_map: Any) -> list[Floats]:
    lines = []
    for sign in carla_map.get_all_landmarks_of_type(_STOP):
        for first, last in sign.get_lane_validities():
            for lane in range(min(first, last), max(first, last) + 1):
                waypoint = carla_map.get_waypoint_xodr(sign.road_id, lane, sign.s)
                if waypoint is not None:
                    lines.append(_entrance(waypoint))
    return lines


def _along_m(line: Polyline, ends: Floats) -> float | None:
    """Where a route passes a line; None: the line is another lane's."""
    x, y = ends.mean(0)[:2]
    along_m, right_m = line.locate((float(x), float(y)))
    yaw = line.pose(along_m).yaw_rad
    across = ends[1] - ends[0]
    # The lane's own right is the route's, or the line is for other traffic.
    is_ours = across[:2] @ (-np.sin(yaw), np.cos(yaw)) > 0.7 * np.linalg.norm(across)
    is_on = 0 <= along_m <= line.length_m and abs(right_m) < _BESIDE_M
    return along_m if is_on and is_ours else None


def _is_parallel(one: Any, other: Any) -> bool:
    """Whether two lights speak to traffic on one line, in either direction."""
    yaws = [light.get_stop_waypoints()[0].transform.rotation.yaw for light in (one, other)]
    return abs(float(np.cos(np.radians(yaws[0] - yaws[1])))) > 0.9


def _entrance(waypoint: Any) -> Floats:
    """(2, 3) across the lane where it enters the junction, left end and right end."""
    here, gone_m = waypoint, 0.0
    while not here.is_junction and gone_m < _FARTHEST_M:
        ahead = here.next(_STEP_M)
        if not ahead or ahead[0].is_junction:
            break
        here, gone_m = ahead[0], gone_m + _STEP_M
    place, yaw = here.transform.location, np.radians(here.transform.rotation.yaw)
    right = here.lane_width / 2 * np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    middle = np.array([place.x, place.y, place.z])
    return np.array([middle - right, middle + right])
