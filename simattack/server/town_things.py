"""What the map itself sets up: its poles, trees, houses and barriers; and walls clients ask for.

Convention: CARLA's world frame; things stand with their origin on the ground.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import shapely
from shapely.geometry.polygon import orient

from simattack.geometry import matrix
from simattack.server.render.mesh import (
    PART_FIRST,
    Color,
    Vertices,
    join,
    quad,
    rows,
    tube,
)
from simattack.server.render.street import building
from simattack.server.render.textures import LAYERS
from simattack.server.road import Road
from simattack.server.road_things import PAINT, SIGN_M, Thing
from simattack.types import Floats

if TYPE_CHECKING:  # town.py calls this file, so only its name is used here
    from simattack.server.town import Town

BUILDING, WALL, FENCE, POLE, PLANT, STATIC, GUARD_RAIL = 3, 4, 5, 6, 9, 20, 28
"""CARLA's semantic labels."""
CONCRETE: Color = (0.42, 0.41, 0.39)
METAL: Color = (0.3, 0.31, 0.33)
HEIGHT_M = {"pole": 3.0, "tree": 6.5, "bush": 1.0, "building": 9.6, "barrier": 0.8, "fence": 1.2,
            "wall": 2.0, "block": 1.0, "lamp": 7.5}  # fmt: skip
"""Where the map gives none."""
LABEL = {"barrier": GUARD_RAIL, "fence": FENCE, "wall": WALL, "block": STATIC}
THICK_M = 0.15
"""Of walls, and of barriers without a width."""
SUNK_M = 0.3
"""Solid things reach this far into the ground, which may slope."""
LEAST_HOUSE_M = (2.0, 4.0)
"""Smallest side and height of what is drawn with windows."""

Take = Callable[[shapely.Polygon], None]


def add_things(town: Town, road: Road, take: Take) -> None:
    """Sets up the map's own objects; ``take`` is told the ground that each needs."""
    signs = np.array([(s.pose.x_m, s.pose.y_m) for s in road.signals]).reshape(-1, 2)
    for thing in road.things:
        if thing.kind in PAINT:
            continue
        at = np.array([thing.pose.x_m, thing.pose.y_m])
        if thing.kind == "pole" and len(signs):
            if np.linalg.norm(signs - at, axis=1).min() < SIGN_M:
                continue  # the sign brings its own post
        height = thing.height_m or HEIGHT_M[thing.kind]
        if thing.kind in ("tree", "bush", "lamp", "pole"):
            _upright(town, thing, height, take)
        else:
            _solid(town, thing, height, take)


def _upright(town: Town, thing: Thing, height_m: float, take: Take) -> None:
    pose = thing.pose
    name = f"{thing.kind.capitalize()}_{thing.id}"
    if thing.kind == "lamp":
        town.add(f"StreetLamp_{thing.id}", "lamp", matrix(pose), POLE)
    elif thing.kind == "pole":
        radius = min(max(thing.width_m / 2, 0.03), 1.0)
        mesh = f"pole_{radius:.3f}_{height_m:.2f}"
        town.meshes[mesh] = tube([(0, 0, 0), (0, 0, height_m)], radius, 8, METAL)
        town.add(name, mesh, matrix(pose), POLE)
    else:
        kind = "tree_0" if thing.kind == "tree" else "bush"
        size = height_m / HEIGHT_M[thing.kind]
        town.add(name, kind, matrix(pose) @ np.diag([size, size, size, 1.0]), PLANT)
    if thing.kind != "bush":
        town.block(pose.x_m, pose.y_m, max(thing.width_m / 2, 0.1) if thing.kind == "pole" else 0.2)
    take(shapely.Point(pose.x_m, pose.y_m).buffer(1.5))


def _solid(town: Town, thing: Thing, height_m: float, take: Take) -> None:
    """Houses, walls, barriers and blocks: a box, or a prism over the object's outline."""
    foot = _foot(thing)
    if foot is None:
        return
    corners = np.asarray(foot.exterior.coords)[:-1]
    name = f"{thing.kind.capitalize()}_{thing.id}"
    mesh = f"thing_{name}"
    sides = np.linalg.norm(np.diff(corners[:3], axis=0), axis=1) if len(corners) == 4 else [0.0]
    is_house = thing.kind == "building" and len(corners) == 4
    if is_house and min(sides) >= LEAST_HOUSE_M[0] and height_m >= LEAST_HOUSE_M[1]:
        town.meshes[mesh] = building(
            (float(sides[0]), float(sides[1]), height_m), "stucco", "house", len(town.objects)
        )
        middle = corners.mean(axis=0)
        turn = np.eye(4)
        turn[:2, 0] = (corners[1] - corners[0]) / sides[0]
        turn[:2, 1] = (-turn[1, 0], turn[0, 0])
        turn[:3, 3] = *middle, thing.pose.z_m
        town.add(name, mesh, turn, BUILDING)
    else:
        town.meshes[mesh] = _prism(foot, thing.pose.z_m, height_m)
        label = BUILDING if thing.kind == "building" else LABEL[thing.kind]
        town.add(name, mesh, np.eye(4), label)
    town.obstacles.append(shapely.get_coordinates(foot.convex_hull)[:-1])
    take(foot)


def _foot(thing: Thing) -> shapely.Polygon | None:
    """The ground an object stands on, its corners running anticlockwise in x, y; None for none."""
    if len(thing.outline) >= 3:
        foot = shapely.Polygon(thing.outline[:, :2]).buffer(0)
        if foot.geom_type != "Polygon" or foot.area < 0.01:
            return None
        tight = shapely.minimum_rotated_rectangle(foot)
        chosen = tight if foot.area > 0.95 * tight.area else foot.simplify(0.02)
        return orient(shapely.Polygon(shapely.get_exterior_ring(chosen)))
    length, width = max(thing.length_m, THICK_M), max(thing.width_m, THICK_M)
    if max(length, width) <= THICK_M and not thing.height_m:
        return None
    unit = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]) * (length, width)
    points = np.column_stack([unit, np.zeros(4), np.ones(4)]) @ matrix(thing.pose).T
    return orient(shapely.Polygon(points[:, :2]))


def _prism(foot: shapely.Polygon, z_m: float, height_m: float) -> Vertices:
    """An upright body over a polygon, in world coordinates."""
    ring = np.asarray(foot.exterior.coords)
    parts = []
    for a, b in pairwise(ring):
        low, high = z_m - SUNK_M, z_m + height_m
        corners = np.array([(*a, high), (*b, high), (*b, low), (*a, low)])
        # The ring runs anticlockwise in x, y: outside is on the right hand.
        parts.append(_facing(corners, np.array([b[1] - a[1], a[0] - b[0], 0.0])))
    for triangle in shapely.delaunay_triangles(foot).geoms:
        if foot.contains(triangle.representative_point()):
            xy = shapely.get_coordinates(triangle)[:3]
            if not _turns_left(*xy):
                xy = xy[::-1]
            top = np.column_stack([xy, np.full(3, z_m + height_m)])
            parts.append(rows(top, (0, 0, 1), xy / 4.0, CONCRETE, LAYERS["white"], PART_FIRST))
    return join(parts)


def _turns_left(a: Floats, b: Floats, c: Floats) -> bool:
    return bool((b[0] - a[0]) * (c[1] - a[1]) > (b[1] - a[1]) * (c[0] - a[0]))


def add_walls(town: Town, road: Road) -> None:
    """The walls along road edges that a client asked for with a map it sent."""
    height_m = road.generation.wall_height_m
    for number, feet in enumerate(road.walls):
        parts = []
        for a, b in pairwise(feet):
            long_m = float(np.linalg.norm((b - a)[:2]))
            if long_m < 1e-3:
                continue
            aside = np.array([-(b - a)[1], (b - a)[0]]) / long_m * THICK_M / 2
            town.obstacles.append(
                np.array([a[:2] - aside, b[:2] - aside, b[:2] + aside, a[:2] + aside])
            )
            parts.append(_slab(a, b, aside, height_m))
        if parts:
            town.meshes[f"wall_{number}"] = join(parts)
            town.add(f"Wall_{number:04d}", f"wall_{number}", np.eye(4), WALL)


def _slab(a: Floats, b: Floats, aside: Floats, height_m: float) -> Vertices:
    """A piece of wall between two feet (3,), sides and top."""
    out, upwards = np.array([*aside, 0.0]), np.array([0.0, 0.0, 1.0])
    low, high = -SUNK_M * upwards, height_m * upwards
    faces = [
        _facing(np.array([a + d + high, b + d + high, b + d + low, a + d + low]), d)
        for d in (out, -out)
    ]
    top = np.array([a - out + high, b - out + high, b + out + high, a + out + high])
    return join([*faces, _facing(top, upwards)])


def _facing(corners: Floats, towards: Floats) -> Vertices:
    """A quad (4, 3) that is seen from the side of ``towards``."""
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    turned = corners if float(normal @ towards) > 0 else corners[::-1]
    return quad(turned, (0, 0, 1, 1), CONCRETE, LAYERS["white"], PART_FIRST)
