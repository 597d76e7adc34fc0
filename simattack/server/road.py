"""The road network of a map: surfaces, marks, signals, spawn points and lane queries.

Two sources, each for what it knows best: ``carla.Map`` answers for lanes, waypoints and geographic
coordinates exactly as the client will compute them; ``opendrive`` gives surfaces, marks, objects
and controllers, which ``carla.Map`` does not show.

Convention: CARLA's world frame throughout (left-handed, z up, yaw clockwise seen from above).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import carla
import numpy as np
import shapely

from simattack.errors import MapError
from simattack.server.opendrive import LaneShape, Network, RoadShape, parse
from simattack.server.road_signals import LanePoint, Signal, place_signals, stop_line_bars
from simattack.types import Floats, Pose

SPAWN_SPACING_M = 20.0
SPAWN_MARGIN_M = 12.0
"""Between spawn points along a lane; from the lane's ends to its nearest spawn point."""
SPAWN_HEIGHT_M = 0.3


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
    """OpenDRIVE's: ``solid``, ``broken``, ``solid solid``, ``curb`` ..."""
    color: str
    points: Floats
    """(N, 3) its centre line."""
    width_m: float


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

    def __init__(self, opendrive: str, name: str = "OpenDriveMap") -> None:
        """Reads and checks the map.

        Raises:
            MapError: the text is no usable OpenDRIVE; one line says what is wrong.
        """
        self.opendrive = opendrive
        self.name = name
        self._network: Network = parse(opendrive)
        try:
            self._map = carla.Map(name, opendrive)
            points = self._map.generate_waypoints(10.0)
        except RuntimeError as error:
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
        self.ribbons: list[Ribbon] = [r for road in roads for r in _ribbons(road)]
        self.markings: list[Marking] = [m for road in roads for m in _markings(road)]
        for ribbon in self.ribbons:
            if not (np.isfinite(ribbon.left).all() and np.isfinite(ribbon.right).all()):
                raise MapError(f"road {ribbon.road_id} of map {name!r} has a surface with NaN")
        self.crosswalks: list[Floats] = [
            road.outline(item)
            for road in roads
            for item in road.objects
            if item.kind == "crosswalk" and len(item.outline) >= 3
        ]
        self.signals: list[Signal] = place_signals(self._network, self._points)
        self.stop_lines: list[Floats] = stop_line_bars(self.signals)
        self.spawn_points: list[Pose] = self._spawn_points()
        origin = self._map.transform_to_geolocation(carla.Location(0, 0, 0))
        self.geo_origin: tuple[float, float] = (origin.latitude, origin.longitude)
        self._surface = _Surface(self.ribbons)

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
            LanePoint(p.road_id, p.lane_id, _pose(p.transform), p.lane_width, p.is_junction)
            for p in found
        ]

    def _spawn_points(self) -> list[Pose]:
        """Poses on driving lanes outside junctions; neighbours in the list are far apart.

        The list goes round all lanes before it takes a second place on one, so that its first
        entries are spread over the map.
        """
        found: list[tuple[int, int, int, Pose]] = []
        for road in self._network.roads.values():
            if road.junction != -1:
                continue
            for section in road.sections:
                length = section.end_m - section.s_m
                room = length - 2 * SPAWN_MARGIN_M
                if length < SPAWN_MARGIN_M:
                    continue
                count = max(int(room // SPAWN_SPACING_M) + 1, 1)
                first = section.s_m + (length - (count - 1) * SPAWN_SPACING_M) / 2
                for lane in section.lanes.values():
                    if lane.kind != "driving":
                        continue
                    for k in range(count):
                        s = first + k * SPAWN_SPACING_M
                        point = self._map.get_waypoint_xodr(road.id, lane.id, s)
                        if point is not None and point.next(1.0):
                            found.append((k, road.id, lane.id, _pose(point.transform)))
        found.sort(key=lambda row: row[:3])
        return [
            Pose(p.x_m, p.y_m, p.z_m + SPAWN_HEIGHT_M, p.pitch_rad, p.yaw_rad, 0.0)
            for *_, p in found
        ]


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


def _ribbons(road: RoadShape) -> Iterator[Ribbon]:
    for section in road.sections:
        s = road.stations(section.s_m, section.end_m)
        if len(s) < 2:
            continue
        for number, (inner, outer) in section.edges(s, road.offset(s)).items():
            lane = section.lanes[number]
            # A lane may open or close: where it has no width yet, it has no surface.
            if np.abs(outer - inner).max() < 0.01:
                continue
            edges = [
                road.world(s, edge, above)
                for edge, above in zip((inner, outer), lane.height_m, strict=True)
            ]
            left, right = edges if number < 0 else edges[::-1]
            yield Ribbon(lane.kind, left, right, road.id, number, road.junction != -1)


def _markings(road: RoadShape) -> Iterator[Marking]:
    for section in road.sections:
        for lane in section.lanes.values():
            yield from _lane_markings(road, section.s_m, section.end_m, lane)


def _lane_markings(
    road: RoadShape, start_m: float, end_m: float, lane: LaneShape
) -> Iterator[Marking]:
    starts = [start_m + mark.offset_m for mark in lane.marks]
    for mark, first, last in zip(lane.marks, starts, [*starts[1:], end_m], strict=False):
        if mark.kind == "none" or last - first < 0.1:
            continue
        s = road.stations(first, last)
        section = road.section((start_m + end_m) / 2)
        offset = road.offset(s)
        t = offset if lane.id == 0 else section.edges(s, offset)[lane.id][1]
        yield Marking(mark.kind, mark.color, road.world(s, t, 0.0), mark.width_m)


def _tree(quads: Floats) -> shapely.STRtree:
    """Spatial index of pieces (N, 4, 3), seen from above."""
    return shapely.STRtree(list(np.asarray(shapely.polygons(quads[..., :2]), dtype=object)))


class _Surface:
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

    def _plane(self, quads: Floats, xy: Floats) -> Floats:
        away = xy - self._origin[quads, :2]
        z: Floats = self._origin[quads, 2] + (away * self._slope[quads]).sum(axis=1)
        return z

    def height(self, xy: Floats) -> Floats:
        points = np.asarray(shapely.points(xy), dtype=object)
        rows, quads = self._tree.query(points, predicate="intersects")
        z = self._plane(quads, xy[rows])
        best = np.full((2, len(xy)), -np.inf)
        is_driving = self._is_driving[quads]
        for slot, mask in enumerate((is_driving, ~is_driving)):
            np.maximum.at(best[slot], rows[mask], z[mask])
        out: Floats = np.where(np.isfinite(best[0]), best[0], best[1])
        lost = np.flatnonzero(~np.isfinite(out))
        if len(lost):
            nearest = self._level[self._level_tree.nearest(points[lost])]
            # The piece's own middle: its slope must not be carried far beside the road.
            out[lost] = self._origin[nearest, 2]
        return out
