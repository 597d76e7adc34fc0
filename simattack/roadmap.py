"""Questions about the lanes of the loaded map, asked of CARLA's own map.

Part of the session's floor: it is handed CARLA's module and never imports it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simattack.errors import ConfigError
from simattack.surfaces import Approach
from simattack.types import Floats, Pose, Route


class RoadMap:
    """The lanes of one loaded map; ground truth, not for the car."""

    def __init__(self, carla: Any, carla_map: Any) -> None:
        self._carla = carla
        self._map = carla_map
        origin = carla_map.transform_to_geolocation(carla.Location(0.0, 0.0, 0.0))
        self.geo_origin = float(origin.latitude), float(origin.longitude)

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

    def _waypoint(self, place: Floats) -> Any:
        x, y, z = (float(value) for value in place)
        return self._map.get_waypoint(self._carla.Location(x, y, z))


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
    difference = waypoint.transform.rotation.yaw - other.transform.rotation.yaw
    return float(abs((difference + 180.0) % 360.0 - 180.0))
