"""Questions about the lanes of the loaded map, asked of CARLA's own map.

Part of the session's floor: it is handed CARLA's module and never imports it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from simattack.errors import ConfigError
from simattack.geometry import to_world
from simattack.lanegraph import LaneGraph
from simattack.lights import stop_lines
from simattack.places import LONGEST_M, Place
from simattack.surfaces import Approach
from simattack.types import Floats, Pose, Route

_TURN_DEG = 30.0
"""A way through a junction that turns by more is a turn."""
_NEAR_M = 5.0
"""A route that comes no nearer to its end misses it."""


class RoadMap:
    """The lanes of one loaded map; ground truth, not for the car."""

    def __init__(self, carla: Any, carla_map: Any) -> None:
        self._carla = carla
        self._map = carla_map
        self._graph: LaneGraph | None = None
        origin = carla_map.transform_to_geolocation(carla.Location(0.0, 0.0, 0.0))
        self.geo_origin = float(origin.latitude), float(origin.longitude)

    @property
    def opendrive(self) -> str:
        """The map's file."""
        return str(self._map.to_opendrive())

    @property
    def spawn_points(self) -> list[Pose]:
        """The map's own, on driving lanes."""
        return [pose_of(transform) for transform in self._map.get_spawn_points()]

    def route(self, approach: Approach, start_before_m: float, beyond_m: float) -> Route:
        """The lane's centre, a point a metre, straightest wherever the road forks.

        Raises:
            ConfigError: the lane is not that long.
        """
        line = self._waypoint(approach.stop_line_m.mean(0))
        behind = line.previous(float(start_before_m))
        if not behind:
            raise ConfigError(
                f"map has no lane {start_before_m:g} m before {approach.surface.name!r}; "
                f"it runs straight for {approach.straight_m:.0f} m, start closer"
            )
        points = [min(behind, key=lambda point: _turn(point, line))]
        for _ in range(round(start_before_m + beyond_m)):
            ahead = points[-1].next(1.0)
            if not ahead:
                break
            points.append(min(ahead, key=lambda point: _turn(point, points[-1])))
        places = [point.transform.location for point in points]
        return Route(
            points=np.array([[place.x, place.y, place.z] for place in places]),
            speed_limit_mps=np.full(len(places), approach.speed_limit_mps),
            geo_origin=self.geo_origin,
        )

    def place_route(self, place: Place, start_m: float = 0.0) -> Route:
        """The lane's centre, a point a metre, from ``start_m`` along a place's route to its end.

        Raises:
            ConfigError: the lane runs the other way, there is no such turn, or the route is
                shorter than that.
        """
        points = self._traced(place) if place.via else self._followed(place)
        points = points[round(start_m) :]
        if len(points) < 10:
            raise ConfigError(
                f"place {place.name!r}: its route is too short to start {start_m:g} m along it"
            )
        return Route(
            points=points,
            speed_limit_mps=np.full(len(points), np.inf),
            geo_origin=self.geo_origin,
        )

    def _traced(self, place: Place) -> Floats:
        """(N, 3) the shortest way by a place's positions."""
        if self._graph is None:
            self._graph = LaneGraph(self._map)
        heading = None if place.heading_deg is None else float(np.radians(place.heading_deg))
        try:
            return self._graph.trace([place.start, *place.via], heading)
        except ConfigError as error:
            raise ConfigError(f"place {place.name!r}: {error}") from error

    def _followed(self, place: Place) -> Floats:
        """(N, 3) the lane and its turns, for a place's length or to its end."""
        point = self._start(place)
        turns, points = list(place.turns), [point]
        wanted_m = LONGEST_M if place.length_m is None else place.length_m
        nearest, best_m = 0, np.inf
        while len(points) <= wanted_m:
            ahead = points[-1].next(1.0)
            if len(ahead) > 1:
                ahead = [self._fork(place, ahead, points[-1], turns)]
            if not ahead:
                break
            points.append(ahead[0])
            if place.end is not None:
                here = points[-1].transform.location
                away_m = float(np.hypot(here.x - place.end.x_m, here.y - place.end.y_m))
                if away_m < best_m:
                    nearest, best_m = len(points), away_m
                elif best_m < _NEAR_M and away_m > best_m + 2 * _NEAR_M:
                    break
        if place.end is not None:
            if best_m >= _NEAR_M:
                raise ConfigError(
                    f"place {place.name!r}: its route passes its end by {best_m:.0f} m; "
                    "give other turns, or an end on the lane"
                )
            points = points[:nearest]
        if place.length_m is not None and len(points) < wanted_m:
            raise ConfigError(
                f"place {place.name!r}: the lane is too short for a route of {wanted_m:g} m"
            )
        places = [point.transform.location for point in points]
        return np.array([[place.x, place.y, place.z] for place in places])

    def lane_ahead(self, place: Floats, heading_rad: float, length_m: float) -> Floats:
        """(N, 3) the centre of the driving lane at a place, a point a metre, straightest on.

        Of the lanes there it is the one whose traffic goes nearest to the heading.
        """
        first = self._waypoint(place)
        beside = (first, first.get_left_lane(), first.get_right_lane())
        lanes = [w for w in beside if w is not None and w.lane_type == self._carla.LaneType.Driving]
        points = [max(lanes, key=lambda w: np.cos(_yaw_rad(w) - heading_rad))]
        while len(points) <= length_m:
            ahead = points[-1].next(1.0)
            if not ahead:
                break
            # Ways through a junction begin with one heading: where they lead to tells them apart.
            is_fork = len(ahead) > 1
            bend = {id(way): abs(_bend_deg(way, points[-1])) if is_fork else 0.0 for way in ahead}
            points.append(min(ahead, key=lambda way: bend[id(way)]))
        places = [point.transform.location for point in points]
        return np.array([[place.x, place.y, place.z] for place in places])

    def half_lanes_m(self, route: Route) -> Floats:
        """(N,) half the width of the driving lane at each point of a route."""
        return np.array([self._waypoint(point).lane_width / 2 for point in route.points])

    def stop_lines(self, route: Route, approaches: Iterable[Approach] = ()) -> tuple[Floats, ...]:
        """(2, 3) each: the lines of the stop signs on a route; of those known, where any are."""
        return stop_lines(self._map, route, [known.line_from_left_m for known in approaches])

    def half_lane_m(self, place: Floats) -> float:
        """Half the width of the driving lane nearest to a place (3,)."""
        return float(self._waypoint(place).lane_width / 2)

    def lane_at(self, road: int, lane: int, s_m: float) -> Pose | None:
        """The middle of a lane by OpenDRIVE's numbers, looking along its traffic; None: no such."""
        found = self._map.get_waypoint_xodr(road, lane, float(s_m))
        return None if found is None else pose_of(found.transform)

    def lane_numbers(self, place: Floats) -> tuple[int, int, float]:
        """OpenDRIVE's road, lane and s [m] of the driving lane nearest to a place (3,)."""
        found = self._waypoint(place)
        return int(found.road_id), int(found.lane_id), float(found.s)

    def onward(self, place: Floats, ahead_m: float) -> Pose | None:
        """So far on along the nearest lane's traffic, or back; None: the lane is not that long."""
        here = self._waypoint(place)
        if abs(ahead_m) < 1e-3:
            return pose_of(here.transform)
        found = here.next(ahead_m) if ahead_m > 0 else here.previous(-ahead_m)
        return pose_of(min(found, key=lambda way: _turn(way, here)).transform) if found else None

    def is_road(self, x_m: float, y_m: float, z_m: float) -> bool:
        """Whether a driving lane is there."""
        place = self._carla.Location(float(x_m), float(y_m), float(z_m))
        return self._map.get_waypoint(place, project_to_road=False) is not None

    def ground_m(self, x_m: float, y_m: float, z_m: float) -> float:
        """How high the ground is: a lane of whatever kind, or else the nearest road."""
        place = self._carla.Location(float(x_m), float(y_m), float(z_m))
        found = self._map.get_waypoint(
            place, project_to_road=False, lane_type=self._carla.LaneType.Any
        )
        return float((found or self._map.get_waypoint(place)).transform.location.z)

    def widths_m(self, points: Floats) -> Floats:
        """(N,) of the driving lanes at points (N, 3)."""
        return np.array([float(self._waypoint(point).lane_width) for point in points])

    def lane_points(self, step_m: float) -> Floats:
        """(N, 5) x, y, z [m], yaw [rad], width [m] on all driving lanes outside junctions."""
        found = []
        for point in self._map.generate_waypoints(step_m):
            if not point.is_junction and point.lane_type == self._carla.LaneType.Driving:
                pose = pose_of(point.transform)
                width_m = float(point.lane_width)
                found.append((pose.x_m, pose.y_m, pose.z_m, pose.yaw_rad, width_m))
        return np.array(found).reshape(-1, 5)

    def lane(self, place: Floats) -> Pose:
        """The middle of the driving lane nearest to a place (3,), looking along its traffic."""
        return pose_of(self._waypoint(place).transform)

    def ahead(self, place: Floats, ahead_m: float, right_m: float) -> Pose:
        """So far along the lane at a place (3,), straightest where it forks, and beside it.

        Raises:
            ConfigError: the lane is not that long.
        """
        point = self._waypoint(place)
        left_m = float(ahead_m)
        while left_m > 1e-6:
            nexts = point.next(min(left_m, 1.0))
            if not nexts:
                raise ConfigError(f"expected a lane that goes on for {ahead_m:g} m, it ends before")
            point = min(nexts, key=lambda other: _turn(other, point))
            left_m -= 1.0
        pose = pose_of(point.transform)
        x, y, z = to_world(np.array([[0.0, right_m, 0.0]]), replace(pose, roll_rad=0.0))[0].tolist()
        return replace(pose, x_m=x, y_m=y, z_m=z)

    def oncoming_lane(self, place: Floats) -> Pose | None:
        """The same for the lane beside it that runs the other way; None if there is none."""
        left = self._waypoint(place).get_left_lane()
        if left is None or left.lane_type != self._carla.LaneType.Driving:
            return None
        return pose_of(left.transform)

    def sidewalk(self, place: Floats) -> Pose | None:
        """The middle of the nearest sidewalk; None where the map has none."""
        x, y, z = (float(value) for value in place)
        point = self._map.get_waypoint(
            self._carla.Location(x, y, z), lane_type=self._carla.LaneType.Sidewalk
        )
        return None if point is None else pose_of(point.transform)

    def _start(self, place: Place) -> Any:
        """The waypoint that a place's route starts on."""
        first = self._waypoint(np.array([*place.start, 0.0]))
        if place.heading_deg is None:
            return first
        wanted = np.radians(place.heading_deg)
        beside = (first, first.get_left_lane(), first.get_right_lane())
        lanes = [w for w in beside if w is not None and w.lane_type == self._carla.LaneType.Driving]
        best = max(lanes, key=lambda w: np.cos(_yaw_rad(w) - wanted))
        if np.cos(_yaw_rad(best) - wanted) < np.cos(np.pi / 4):
            raise ConfigError(
                f"place {place.name!r}: expected traffic towards {place.heading_deg:g} degrees at "
                f"{tuple(place.start)}, the lane there goes to {np.degrees(_yaw_rad(best)):.0f}"
            )
        return best

    def _fork(self, place: Place, ahead: list[Any], here: Any, turns: list[str]) -> Any:
        """The way that the place's next turn says; straightest where it says nothing."""
        wanted = turns.pop(0) if turns else "straight"
        bends = [_bend_deg(way, here) for way in ahead]
        if wanted == "straight":
            return ahead[int(np.argmin(np.abs(bends)))]
        side = -1.0 if wanted == "left" else 1.0
        best = int(np.argmax(side * np.array(bends)))
        if side * bends[best] < _TURN_DEG:
            where = here.transform.location
            raise ConfigError(
                f"place {place.name!r}: there is no way {wanted} at ({where.x:.0f}, {where.y:.0f})"
            )
        return ahead[best]

    def _waypoint(self, place: Floats) -> Any:
        x, y, z = (float(value) for value in place)
        return self._map.get_waypoint(self._carla.Location(x, y, z))


def beside(points: Floats, place: Floats, ahead_m: float, right_m: float) -> Pose:
    """So far along a line of points (N, 3) from a place (3,), and to the right of it.

    Raises:
        ConfigError: the line is not that long.
    """
    steps = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    nearest = int(np.argmin(((points[:, :2] - place[:2]) ** 2).sum(1)))
    at_m = length[nearest] + ahead_m
    if not 0 <= at_m <= length[-1]:
        raise ConfigError(
            f"expected a place on the route, got {ahead_m:g} m ahead: it goes on for "
            f"{length[-1] - length[nearest]:.0f} m"
        )
    k = min(int(np.searchsorted(length, at_m, "right")) - 1, len(steps) - 1)
    ahead = points[k + 1] - points[k]
    x, y, z = (points[k] + (at_m - length[k]) / max(steps[k], 1e-9) * ahead).tolist()
    yaw = float(np.arctan2(ahead[1], ahead[0]))
    pitch = float(np.arctan2(ahead[2], np.hypot(ahead[0], ahead[1])))
    return Pose(x - right_m * float(np.sin(yaw)), y + right_m * float(np.cos(yaw)), z, pitch, yaw)


def pose_of(transform: Any) -> Pose:
    """A CARLA transform as a Pose."""
    place, turn = transform.location, transform.rotation
    pitch, yaw, roll = (float(np.radians(angle)) for angle in (turn.pitch, turn.yaw, turn.roll))
    return Pose(place.x, place.y, place.z, pitch, yaw, roll)


def transform_of(carla: Any, pose: Pose) -> Any:
    """A Pose as a CARLA transform."""
    return carla.Transform(
        carla.Location(float(pose.x_m), float(pose.y_m), float(pose.z_m)),
        carla.Rotation(
            pitch=float(np.degrees(pose.pitch_rad)),
            yaw=float(np.degrees(pose.yaw_rad)),
            roll=float(np.degrees(pose.roll_rad)),
        ),
    )


def _turn(waypoint: Any, other: Any) -> float:
    """How far two waypoints' headings differ [deg]."""
    return abs(_difference_deg(waypoint, other))


def _bend_deg(way: Any, here: Any) -> float:
    """How far a way through a junction turns in all; to the right is positive [deg]."""
    last = way
    for _ in range(100):
        ahead = last.next(1.0)
        if not last.is_junction or not ahead:
            break
        last = ahead[0]
    return _difference_deg(last, here)


def _difference_deg(waypoint: Any, other: Any) -> float:
    difference = waypoint.transform.rotation.yaw - other.transform.rotation.yaw
    return float((difference + 180.0) % 360.0 - 180.0)


def _yaw_rad(waypoint: Any) -> float:
    return float(np.radians(waypoint.transform.rotation.yaw))
