"""What the map itself puts on and beside its roads: poles, trees, houses, walls, and paint.

CARLA draws none of it for a map that comes as text; its towns have it in their own meshes. Here the
map's objects stand where they are written, with the sizes that are written.

Convention: CARLA's world frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from simattack.server.road_shape import Item, Network, RoadShape
from simattack.types import Floats, Pose

TYPES = {
    "pole": "pole", "streetLamp": "lamp", "tree": "tree", "vegetation": "bush",
    "building": "building", "barrier": "barrier", "soundBarrier": "wall", "railing": "fence",
    "wall": "wall", "obstacle": "block", "gantry": "block",
}  # fmt: skip
"""OpenDRIVE's object types -> what is built. Parking spaces, patches and the like are flat."""
NAMES = {
    "SignPost": "pole", "Pole": "pole", "StreetL": "lamp", "Lamp": "lamp", "Tree": "tree",
    "Bush": "bush", "Building": "building", "House": "building", "Barrier": "barrier",
    "GuardRail": "barrier", "Fence": "fence", "Wall": "wall",
    "StopLine": "stop_line", "Stencil_STOP": "stop_word", "Crosshatch": "hatching",
    "Chevron": "hatching", "SolidSingle": "line",
}  # fmt: skip
"""Beginnings of names, for objects that carry no type, as RoadRunner writes them."""
ARROWS = {"L": "arrow_left", "R": "arrow_right", "S": "arrow_straight"}
"""By the last letter of RoadRunner's ``Stencil_ArrowType4L`` and its like."""
PAINT = ("stop_line", "stop_word", "hatching", "line", *ARROWS.values())
CHAIN_M = 4.0
"""A wall without gaps is put together from pieces of at most this length."""
SIGN_M = 1.0
"""A post this near to a sign is the sign's own."""


@dataclass(frozen=True, eq=False)
class Thing:
    """One object, or one piece of a long one."""

    id: str
    kind: str
    """A value of ``TYPES`` or ``NAMES``."""
    pose: Pose
    """Of the middle of its foot; pitch and roll are left out."""
    length_m: float
    width_m: float
    height_m: float
    """0 where the map does not say."""
    outline: Floats
    """(N, 3) corners in the world; none for most."""
    color: str = "white"


def things(network: Network) -> list[Thing]:
    """All objects of the map that stand or are painted, but for crosswalks."""
    return [
        thing
        for road in network.roads.values()
        for item in road.objects
        if item.kind != "crosswalk"
        for thing in _things(road, item)
    ]


def _kind(item: Item) -> str | None:
    if item.name.startswith("Stencil_Arrow"):
        return ARROWS.get(item.name[-1], "arrow_straight")
    if item.kind in TYPES:
        return TYPES[item.kind]
    return next((kind for name, kind in NAMES.items() if item.name.startswith(name)), None)


def _size(item: Item, name: str) -> float:
    try:
        value = float(item.attributes.get(name, 0.0))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def _things(road: RoadShape, item: Item) -> Iterator[Thing]:
    kind = _kind(item)
    if kind is None:
        return
    radius = _size(item, "radius")
    length, width = _size(item, "length") or 2 * radius, _size(item, "width") or 2 * radius
    height = _size(item, "height")
    outline = road.outline(item) if len(item.outline) >= 2 else np.zeros((0, 3))
    one = Thing(item.id, kind, _pose(road, item), length, width, height, outline)
    if not item.repeats:
        yield one
        return
    number = 0
    for start, reach, step, t_start, t_end in item.repeats:
        is_chain = step <= 0
        count = math.ceil(reach / CHAIN_M) if is_chain else int(reach / step + 1e-6) + 1
        for k in range(min(max(count, 1), 10_000)):
            along = (k + 0.5) * reach / count if is_chain else k * step
            t = t_start + (t_end - t_start) * (along / reach if reach else 0.0)
            s = min(start + along, road.length_m)
            moved = replace(item, s_m=s, t_m=t, heading_rad=0.0 if is_chain else item.heading_rad)
            yield Thing(
                f"{item.id}_{number}", kind, _pose(road, moved),
                reach / count + 0.05 if is_chain else length, width, height, np.zeros((0, 3)),
            )  # fmt: skip
            number += 1


def _pose(road: RoadShape, item: Item) -> Pose:
    s, t = np.array([min(max(item.s_m, 0.0), road.length_m)]), np.array([item.t_m])
    x, y, z = (float(v) for v in road.world(s, t, item.z_m)[0])
    heading = float(road.reference(s)[2][0]) + item.heading_rad
    return Pose(x, y, z, yaw_rad=math.remainder(-heading, 2 * math.pi))
