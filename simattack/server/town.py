"""What stands beside the roads: signs and lights from the map, houses and trees from a seed.

The seed is the map's own text: one map has one town, on every machine. Nothing procedural stands
on a road or a sidewalk, overlaps anything else, or comes between a sign and the traffic it is for.

Convention: CARLA's world frame. Objects stand with their origin on the ground; things that face
traffic have their x axis along its driving direction, so a driver sees their y axis to the right.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely.geometry import LinearRing
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from simattack.geometry import matrix
from simattack.server.render.mesh import Vertices
from simattack.server.render.street import billboard_frame, building
from simattack.server.road import Road
from simattack.server.road_signals import Signal
from simattack.server.town_things import add_things, add_walls
from simattack.types import Floats, Pose

FIRST_ID = 20010
"""Ids below belong to actors and to the ground."""
STOP_SIGN_M, LIMIT_SIGN_M, YIELD_SIGN_M = 0.75, 0.65, 0.8
BILLBOARD_M = (5.0, 2.5)
BILLBOARD_FOOT_M = 2.4
SIGHT_M = 60.0
"""A sign is kept in sight from so far before it."""
NEAR_SIDE_M = 8.0
"""A light that stands farther beyond its stop line needs none behind the crossing."""
MOST_OBJECTS = 40_000
"""Ids of objects have 16 bits in a picture."""
CLEAR_M = 6.0
"""Nothing procedural stands nearer to a sign."""
BUILDING, POLE, LIGHT, SIGN, PLANT, STATIC = 3, 6, 7, 8, 9, 20
"""CARLA's semantic labels."""
HOUSES = (
    ("brick", "shop"),
    ("brick", "house"),
    ("stucco", "shop"),
    ("stucco", "house"),
    ("office", "shop"),
    ("glass", "glass"),
)
LOOKS = (
    *HOUSES,
    ("plaster", "shop"),
    ("balcony", "shop"),
    ("plaster", "house"),
    ("balcony", "house"),
)
"""The draw among ``HOUSES`` and a house's number choose one of these."""
TINTS = (
    (1.0, 1.0, 1.0),
    (1.0, 0.90, 0.80),
    (0.86, 0.93, 1.0),
    (0.80, 0.80, 0.80),
    (1.0, 0.87, 0.70),
)


@dataclass(frozen=True, eq=False)
class SceneryObject:
    """One thing that never moves."""

    name: str
    """Unique and stable, such as ``StopSign_12`` or ``Building_004``."""
    id: int
    mesh: str
    """A key of the mesh library or of ``Town.meshes``."""
    transform: Floats
    """(4, 4) object to world."""
    tag: int
    color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Display-coded, 0..1."""
    paintable: bool = False
    texture: str | None = None
    """What it shows unpainted: ``stop_sign``, ``speed_limit:50``, ``yield``, ``poster:3``."""
    signal: str | None = None
    """The map's signal whose state its lamps show."""

    @property
    def corners_m(self) -> Floats:
        """(4, 3) world corners of a paintable face's square as its viewer sees it.

        Top left, top right, bottom right, bottom left.
        """
        unit = np.array(
            [[0, -0.5, 0.5, 1], [0, 0.5, 0.5, 1], [0, 0.5, -0.5, 1], [0, -0.5, -0.5, 1]]
        )
        return (unit @ self.transform.T)[:, :3]


@dataclass(eq=False)
class Town:
    """All scenery of a map."""

    objects: list[SceneryObject] = field(default_factory=list)
    obstacles: list[Floats] = field(default_factory=list)
    """(N, 2) convex footprints of houses, poles and trunks."""
    meshes: dict[str, Vertices] = field(default_factory=dict)
    """Meshes that only this town has."""

    def add(self, name: str, mesh: str, transform: Floats, tag: int, **more: object) -> None:
        """Append an object under the next free id."""
        number = FIRST_ID + len(self.objects)
        self.objects.append(SceneryObject(name, number, mesh, transform, tag, **more))  # type: ignore[arg-type]

    def block(self, x: float, y: float, radius_m: float) -> None:
        """A round footprint."""
        angle = np.arange(6) * np.pi / 3
        self.obstacles.append(
            np.column_stack([x + radius_m * np.cos(angle), y + radius_m * np.sin(angle)])
        )


def build_town(road: Road) -> Town:
    """The scenery of a map; the same for the same map text."""
    rng = np.random.default_rng(zlib.crc32(road.opendrive.encode()))
    town = Town()
    for signal in road.signals:
        _signal(town, road, signal)
    paved = _paved(road)
    taken = _Taken(paved, _sight(road))
    add_things(town, road, taken.take)
    _billboards(town, road, taken, rng)
    _houses(town, road, taken, rng)
    _towers(town, road, taken, rng)
    _plants_and_lamps(town, road, taken, rng)
    add_walls(town, road)
    return town


def _scaled(pose: Pose, y_m: float, z_m: float) -> Floats:
    """(4, 4): x in metres, y and z in units of a sign's size."""
    return matrix(pose) @ np.diag([1.0, y_m, z_m, 1.0])


def _lifted(pose: Pose, up_m: float) -> Pose:
    return Pose(pose.x_m, pose.y_m, pose.z_m + up_m, pose.pitch_rad, pose.yaw_rad, pose.roll_rad)


def _shifted(pose: Pose, forward_m: float, right_m: float = 0.0, up_m: float = 0.0) -> Pose:
    c, s = np.cos(pose.yaw_rad), np.sin(pose.yaw_rad)
    return Pose(
        pose.x_m + float(c * forward_m - s * right_m),
        pose.y_m + float(s * forward_m + c * right_m),
        pose.z_m + up_m,
        0.0,
        pose.yaw_rad,
        0.0,
    )


def _signal(town: Town, road: Road, signal: Signal) -> None:
    upright = Pose(signal.pose.x_m, signal.pose.y_m, signal.pose.z_m, 0.0, signal.pose.yaw_rad, 0.0)
    if signal.kind == "traffic_light":
        _traffic_light(town, road, signal, upright)
        return
    kinds = {
        "stop": ("StopSign", "octagon", STOP_SIGN_M, "stop_sign"),
        "speed_limit": ("SpeedLimit", "disc", LIMIT_SIGN_M, f"speed_limit:{signal.value:.0f}"),
        "yield": ("YieldSign", "triangle", YIELD_SIGN_M, "yield"),
    }
    if signal.kind not in kinds:
        return
    title, shape, size, texture = kinds[signal.kind]
    face = _scaled(_lifted(upright, signal.height_m), size, size)
    town.add(f"{title}_{signal.id}", f"face:{shape}", face, SIGN, paintable=True, texture=texture)
    town.add(f"{title}Back_{signal.id}", f"back:{shape}", face, SIGN)
    post = matrix(upright) @ np.diag([1.0, 1.0, signal.height_m, 1.0])
    town.add(f"{title}Pole_{signal.id}", "sign_post", post, POLE)
    town.block(upright.x_m, upright.y_m, 0.06)


def _traffic_light(town: Town, road: Road, signal: Signal, pose: Pose) -> None:
    """A post before the crossing, and a mast with an arm behind it that repeats the signal."""
    lane = road.lane_at(pose.x_m, pose.y_m, pose.z_m)
    if lane is not None and lane.kind == "driving":
        return  # a light that exists for its lanes' sake only: nothing stands in the way there
    head = _lifted(pose, signal.height_m)
    town.add(f"TrafficLight_{signal.id}", "light_head", matrix(head), LIGHT, signal=signal.id)
    town.add(f"TrafficLightPole_{signal.id}", "light_post", matrix(pose), POLE)
    town.block(pose.x_m, pose.y_m, 0.1)
    if _beyond(signal) > NEAR_SIDE_M:
        return
    for ahead in np.arange(16.0, 45.0, 0.5):
        far = _shifted(pose, float(ahead))
        lane = road.lane_at(far.x_m, far.y_m, far.z_m)
        if lane is not None and lane.kind == "sidewalk" and not lane.is_junction:
            far = _shifted(far, 0.5)
            arm = _shifted(far, 0.0, -3.4, 5.5)
            town.add(f"TrafficLightMast_{signal.id}", "light_mast", matrix(far), POLE)
            town.add(
                f"TrafficLightFar_{signal.id}",
                "light_head",
                matrix(_lifted(far, signal.height_m)),
                LIGHT,
                signal=signal.id,
            )
            town.add(
                f"TrafficLightArm_{signal.id}", "light_head", matrix(arm), LIGHT, signal=signal.id
            )
            town.block(far.x_m, far.y_m, 0.15)
            return


def _beyond(signal: Signal) -> float:
    """How far a signal stands beyond the first of its stop lines [m], along their traffic."""
    foot = np.array([signal.pose.x_m, signal.pose.y_m])
    ahead = np.array([np.cos(signal.pose.yaw_rad), np.sin(signal.pose.yaw_rad)])
    return max(
        (float((foot - line.mean(axis=0)[:2]) @ ahead) for line in signal.stop_lines), default=0.0
    )


def _paved(road: Road) -> BaseGeometry:
    """Everything people drive or walk on, seen from above."""
    # Ribbons of one road share their rows: a few centimetres less detail makes this much faster.
    shapes = [
        shapely.Polygon(np.concatenate([r.left, r.right[::-1]])[:, :2])
        .simplify(0.05)
        .buffer(0.1, quad_segs=1, join_style="mitre")
        for r in road.ribbons
    ]
    whole = shapely.union_all(shapes).simplify(0.05)
    return whole.buffer(0.9, quad_segs=4).buffer(-0.9, quad_segs=4).simplify(0.05)


def _sight(road: Road) -> BaseGeometry:
    """Where nothing may stand: around every sign, and between it and the lane before it."""
    shapes: list[BaseGeometry] = []
    for signal in road.signals:
        p = signal.pose
        shapes.append(shapely.Point(p.x_m, p.y_m).buffer(CLEAR_M))
        strip = [
            _shifted(p, x, y)
            for x, y in ((1.0, -7.0), (1.0, 2.5), (-SIGHT_M, 2.5), (-SIGHT_M, -7.0))
        ]
        shapes.append(shapely.Polygon([(q.x_m, q.y_m) for q in strip]))
    return shapely.union_all(shapes)


class _Taken:
    """The ground that is no longer free."""

    def __init__(self, paved: BaseGeometry, sight: BaseGeometry) -> None:
        self.paved = paved
        self._sight = sight
        shapely.prepare(self.paved)
        shapely.prepare(self._sight)
        self._placed: list[BaseGeometry] = []
        self._circles = np.zeros((0, 3))
        """Middle x, y and reach of everything placed."""

    def is_free(self, shape: BaseGeometry, from_road_m: float) -> bool:
        """Whether a shape keeps off the roads, the sight lines and everything placed so far."""
        if len(self._placed) >= MOST_OBJECTS or self._sight.intersects(shape):
            return False
        if shapely.dwithin(self.paved, shape, from_road_m):
            return False
        x, y, reach = _circle(shape)
        placed = self._circles
        near = np.hypot(placed[:, 0] - x, placed[:, 1] - y) < placed[:, 2] + reach
        return not any(self._placed[k].intersects(shape) for k in np.flatnonzero(near))

    def take(self, shape: BaseGeometry) -> None:
        """Nothing else may stand there from now on."""
        self._placed.append(shape)
        self._circles = np.vstack([self._circles, _circle(shape)])


def _circle(shape: BaseGeometry) -> tuple[float, float, float]:
    """Middle x, y and radius of a circle around a shape."""
    west, south, east, north = shape.bounds
    reach = float(np.hypot(east - west, north - south)) / 2
    return (west + east) / 2, (south + north) / 2, reach


def _edges(paved: BaseGeometry, away_m: float) -> list[tuple[LinearRing, float]]:
    """Lines ``away_m`` outside the pavement; travelling along one, the pavement is on the left."""
    shape = paved.buffer(away_m, quad_segs=4).simplify(0.02)
    out = []
    for part in getattr(shape, "geoms", [shape]):
        turned = orient(part, -1.0)
        for ring in (turned.exterior, *turned.interiors):
            if ring.length > 30.0:
                out.append((ring, ring.length))
    return out


def _on_edge(ring: LinearRing, at_m: float) -> Pose:
    """A place on such a line, turned along it; its right hand points away from the road."""
    here = ring.interpolate(at_m % ring.length)
    before, after = (ring.interpolate((at_m + d) % ring.length) for d in (-0.5, 0.5))
    yaw = float(np.arctan2(after.y - before.y, after.x - before.x))
    return Pose(here.x, here.y, 0.0, 0.0, yaw, 0.0)


def _grounded(pose: Pose, road: Road) -> Pose:
    """The same place at the height of the ground."""
    z = float(road.height(np.array([[pose.x_m, pose.y_m]]))[0])
    return Pose(pose.x_m, pose.y_m, z, pose.pitch_rad, pose.yaw_rad, pose.roll_rad)


def _rectangle(pose: Pose, length_m: float, width_m: float) -> shapely.Polygon:
    corners = [
        _shifted(pose, sx * length_m / 2, sy * width_m / 2)
        for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    return shapely.Polygon([(c.x_m, c.y_m) for c in corners])


def _house(
    town: Town, pose: Pose, size: tuple[float, float, float], rng: np.random.Generator
) -> None:
    number = sum(o.tag == BUILDING for o in town.objects)
    facade, low = LOOKS[(int(rng.integers(len(HOUSES))) + 3 * number) % len(LOOKS)]
    mesh = f"building_{number:03d}"
    town.meshes[mesh] = building(size, facade, low, int(rng.integers(1 << 30)))
    tint = TINTS[int(rng.integers(len(TINTS)))]
    town.add(f"Building_{number:03d}", mesh, matrix(pose), BUILDING, color=tint)
    outline = _rectangle(pose, size[0] + 0.1, size[1] + 0.1)
    town.obstacles.append(np.asarray(outline.exterior.coords)[:4])


def _houses(town: Town, road: Road, taken: _Taken, rng: np.random.Generator) -> None:
    """Rows of houses along the streets."""
    for ring, length in _edges(taken.paved, 6.0):
        at = 0.0
        while at < length:
            w, d = float(rng.uniform(10, 19)), float(rng.uniform(10, 14))
            storeys = int(rng.choice([1, 2, 2, 3, 3, 4, 5]))
            back = float(rng.uniform(0, 2.5))
            pose = _shifted(_on_edge(ring, at + w / 2), 0.0, d / 2 + back)
            shape = _rectangle(pose, w + 0.8, d + 0.8)
            if taken.is_free(shape, 5.0):
                taken.take(shape)
                _house(town, _grounded(pose, road), (w, d, 3.6 + 3.0 * storeys), rng)
                at += w + float(rng.choice([1.0, 1.0, 5.0, 9.0]))
            else:
                at += 4.0


def _towers(town: Town, road: Road, taken: _Taken, rng: np.random.Generator) -> None:
    """Taller houses behind the first row: a skyline."""
    west, south, east, north = shapely.bounds(taken.paved)
    for x in np.arange(west - 60, east + 60, 34.0):
        for y in np.arange(south - 60, north + 60, 34.0):
            if rng.random() < 0.45:
                continue
            size = tuple(
                float(v) for v in (*rng.uniform(14, 20, 2), rng.choice([18.6, 24.6, 30.6, 39.6]))
            )
            pose = Pose(float(x + rng.uniform(-4, 4)), float(y + rng.uniform(-4, 4)))
            shape = _rectangle(pose, size[0] + 0.8, size[1] + 0.8)
            if taken.is_free(shape, 24.0):
                taken.take(shape)
                _house(town, _grounded(pose, road), (size[0], size[1], size[2]), rng)


def _billboards(town: Town, road: Road, taken: _Taken, rng: np.random.Generator) -> None:
    width, height = BILLBOARD_M
    town.meshes["billboard"] = billboard_frame(width, height, BILLBOARD_FOOT_M)
    number = 0
    for ring, length in _edges(taken.paved, 1.5 + width / 2):
        for at in np.arange(float(rng.uniform(20, 60)), length - 10, 150.0):
            pose = _on_edge(ring, float(at))
            shape = _rectangle(pose, 1.0, width + 0.4)
            if not taken.is_free(shape, 1.0):
                continue
            taken.take(shape)
            pose = _grounded(pose, road)
            face = _scaled(_lifted(pose, BILLBOARD_FOOT_M + height / 2), width, height)
            name = f"Billboard_{number}"
            texture = f"poster:{number}"
            town.add(name, "face:square", face, STATIC, paintable=True, texture=texture)
            town.add(f"BillboardFrame_{number}", "billboard", matrix(pose), STATIC)
            town.obstacles.append(
                np.asarray(_rectangle(_shifted(pose, 0.14), 0.2, width * 0.7).exterior.coords)[:4]
            )
            number += 1


def _plants_and_lamps(town: Town, road: Road, taken: _Taken, rng: np.random.Generator) -> None:
    count = 0
    for ring, length in _edges(taken.paved, 0.7):
        for at in np.arange(10.0, length - 5, 31.0):
            pose = _on_edge(ring, float(at))
            shape = shapely.Point(pose.x_m, pose.y_m).buffer(0.3)
            if taken.is_free(shape, 0.3):
                taken.take(shape)
                pose = _grounded(pose, road)
                town.add(f"StreetLamp_{count:03d}", "lamp", matrix(pose), POLE)
                town.block(pose.x_m, pose.y_m, 0.12)
                count += 1
    count = 0
    for away in (2.8, 21.0):
        for ring, length in _edges(taken.paved, away):
            at = float(rng.uniform(2, 8))
            while at < length:
                pose = _shifted(_on_edge(ring, at), 0.0, float(rng.uniform(-0.3, 0.6)))
                at += float(rng.uniform(9, 17))
                kind = str(
                    rng.choice(
                        ["tree_0", "tree_1", "tree_2", "conifer", "bush"],
                        p=[0.28, 0.25, 0.22, 0.13, 0.12],
                    )
                )
                size = float(rng.uniform(0.8, 1.2))
                crown = {"conifer": 1.8, "bush": 1.2}.get(kind, 2.0) * size
                shape = shapely.Point(pose.x_m, pose.y_m).buffer(crown * 0.9)
                if not taken.is_free(shape, 0.6):
                    continue
                taken.take(shape)
                pose = _grounded(pose, road)
                turn = Pose(pose.x_m, pose.y_m, pose.z_m - 0.05, 0.0, float(rng.uniform(0, 6.28)))
                tint = tuple(float(v) for v in np.clip(rng.normal(0.95, 0.05, 3), 0.8, 1.0))
                transform = matrix(turn) @ np.diag([size, size, size, 1.0])
                town.add(f"Plant_{count:03d}", kind, transform, PLANT, color=tint)
                if kind != "bush":
                    town.block(pose.x_m, pose.y_m, 0.2 * size)
                count += 1
