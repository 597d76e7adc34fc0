"""The road network of a map: surfaces, marks, signals, spawn points and lane queries.

Two sources, each for what it knows best: ``carla.Map`` answers for lanes, waypoints and geographic
coordinates exactly as the client will compute them; ``opendrive`` gives surfaces, marks, objects
and controllers, which ``carla.Map`` does not show.

Convention: CARLA's world frame throughout (left-handed, z up, yaw clockwise seen from above).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import carla
import numpy as np

from simattack.errors import MapError
from simattack.server.generation import AS_WRITTEN, Generation
from simattack.server.lane_surfaces import Marking as Marking
from simattack.server.lane_surfaces import Ribbon as Ribbon
from simattack.server.lane_surfaces import Surface, edges, markings, ribbons
from simattack.server.map_checks import probe
from simattack.server.opendrive import parse
from simattack.server.road_shape import Network
from simattack.server.road_signals import LanePoint, Signal, place_signals, stop_line_bars
from simattack.server.road_things import Thing, things
from simattack.server.spawning import spawn_points
from simattack.types import Floats, Pose


@dataclass(frozen=True)
class Lane:
    """Where a point lies in the network."""

    road_id: int
    lane_id: int
    s: float
    width_m: float
    centre: Pose
    """Of the lane at that s; yaw along the driving direction."""
    kind: str
    speed_limit_kmh: float
    is_junction: bool

    @property
    def yaw_rad(self) -> float:
        """Of the driving direction."""
        return self.centre.yaw_rad


class Road:
    """One map, loaded."""

    def __init__(
        self,
        opendrive: str,
        name: str = "OpenDriveMap",
        generation: Generation = AS_WRITTEN,
        is_foreign: bool = False,
    ) -> None:
        """Reads and checks the map; one that is foreign, in a process of its own before.

        Raises:
            MapError: the text is no usable OpenDRIVE; one line says what is wrong.
        """
        self.opendrive = opendrive
        self.generation = generation
        self.name = name
        self._network: Network = parse(opendrive)
        if is_foreign:
            probe(opendrive)
        try:
            self._map = carla.Map(name, opendrive)
            points = self._map.generate_waypoints(10.0)
        except (RuntimeError, IndexError, ValueError) as error:
            raise MapError(f"carla.Map refuses map {name!r}: {error}") from None
        if not points:
            raise MapError(f"expected driving lanes in map {name!r}, found none")
        for point in points:
            place = point.transform.location
            if not all(map(math.isfinite, (place.x, place.y, place.z))):
                raise MapError(
                    f"road {point.road_id} lane {point.lane_id} of map {name!r} has points that "
                    "are not finite; check its geometry and lane links"
                )
        roads = self._network.roads.values()
        self.ribbons: list[Ribbon] = [
            r for road in roads for r in ribbons(road, generation.extra_width_m)
        ]
        self.markings: list[Marking] = [m for road in roads for m in markings(road)]
        for ribbon in self.ribbons:
            if not (np.isfinite(ribbon.left).all() and np.isfinite(ribbon.right).all()):
                raise MapError(f"road {ribbon.road_id} of map {name!r} has a surface with NaN")
        self._surface = Surface(self.ribbons)
        self.crosswalks: list[Floats] = [
            road.outline(item)
            for road in roads
            for item in road.objects
            if item.kind == "crosswalk" and len(item.outline) >= 3
        ]
        self.signals: list[Signal] = place_signals(self._network, self._points)
        self.stop_lines: list[Floats] = stop_line_bars(self.signals)
        if not all(road.lateral.is_level for road in roads):
            for bar in self.stop_lines:
                bar[:, 2] = self.height(bar[:, :2])
        self.things: list[Thing] = things(self._network)
        height_m = generation.wall_height_m
        self.walls: list[Floats] = [w for road in roads for w in edges(road)] if height_m else []
        """(N, 3) feet of the walls that a client asked for."""
        self.spawn_points: list[Pose] = spawn_points(self._network, self._spawn_place)
        origin = self._map.transform_to_geolocation(carla.Location(0, 0, 0))
        self.geo_origin: tuple[float, float] = (origin.latitude, origin.longitude)

    def height(self, xy: Floats) -> Floats:
        """Height (N,) [m] of the ground at points (N, 2).

        Kerbs count: a sidewalk stands above its road. Where lanes overlap, a driving lane wins,
        then the highest. Off the lanes, the level of the nearest one, without its kerb.
        """
        return self._surface.height(np.asarray(xy, dtype=float).reshape(-1, 2))

    def lane_at(self, x: float, y: float, z: float = 0.0) -> Lane | None:
        """The lane of any kind under a point, or None beside the road."""
        point = self._map.get_waypoint(carla.Location(x, y, z), False, carla.LaneType.Any)
        return None if point is None else self._lane(point)

    def nearest_lane(self, x: float, y: float, z: float = 0.0) -> Lane:
        """The driving lane nearest to a point, however far."""
        return self._lane(self._map.get_waypoint(carla.Location(x, y, z)))

    def geolocation(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """Latitude [deg], longitude [deg] and altitude [m] of a point."""
        found = self._map.transform_to_geolocation(carla.Location(x, y, z))
        return found.latitude, found.longitude, found.altitude

    def _lane(self, point: carla.Waypoint) -> Lane:
        shape = self._network.roads[point.road_id]
        section = shape.section(point.s)
        lane = section.lanes.get(point.lane_id)
        limit = [kmh for s, kmh in shape.speeds if s <= point.s + 1e-6]
        return Lane(
            road_id=point.road_id,
            lane_id=point.lane_id,
            s=point.s,
            width_m=point.lane_width,
            centre=_pose(point.transform),
            kind=lane.kind if lane else "none",
            speed_limit_kmh=limit[-1] if limit else 50.0,
            is_junction=point.is_junction,
        )

    def _points(self, road_id: int, lane_id: int, s: float, back_m: float) -> list[LanePoint]:
        """The lane's middle at ``s``, or the points ``back_m`` before it."""
        point = self._map.get_waypoint_xodr(road_id, lane_id, s)
        found = [] if point is None else point.previous(back_m) if back_m else [point]
        return [
            LanePoint(
                p.road_id,
                p.lane_id,
                self._grounded(p.road_id, _pose(p.transform)),
                p.lane_width,
                p.is_junction,
            )
            for p in found
        ]

    def _spawn_place(self, road_id: int, lane_id: int, s: float) -> tuple[Pose, float] | None:
        """The lane's middle on the ground and its width at ``s``; None where it ends."""
        point = self._map.get_waypoint_xodr(road_id, lane_id, s)
        if point is None or not point.next(1.0):
            return None
        return self._grounded(road_id, _pose(point.transform)), point.lane_width

    def _grounded(self, road_id: int, place: Pose) -> Pose:
        """A place as the client computes it, on a banked road at the height of the surface."""
        if self._network.roads[road_id].lateral.is_level:
            return place
        return replace(place, z_m=float(self.height(np.array([[place.x_m, place.y_m]]))[0]))


def _pose(transform: carla.Transform) -> Pose:
    place, turn = transform.location, transform.rotation
    return Pose(
        place.x,
        place.y,
        place.z,
        math.radians(turn.pitch),
        math.radians(turn.yaw),
        math.radians(turn.roll),
    )
