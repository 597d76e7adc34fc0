"""What clients ask about the scene with single rays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simattack.server.codec import Vector
from simattack.types import Floats

if TYPE_CHECKING:
    from simattack.server.world import World

LONGEST_M = 1e5
MOST_HITS = 64
"""Of one ray."""
_BEYOND_M = 1e-3
_SAME_M = 0.1
"""Scenery's layers nearer together than this, such as paint on a road, count as one surface."""


@dataclass(frozen=True)
class Hit:
    """Where a ray meets something."""

    place: Vector
    """World frame [m]."""
    tag: int
    """CARLA's semantic label."""
    distance_m: float
    """From the ray's start."""


def hits(world: World, start: Vector, across: Vector, most: int = MOST_HITS) -> list[Hit]:
    """What a ray meets on its way, the nearest first; each actor once.

    It sees what ray sensors see: surfaces from their front, as of the last tick.

    Args:
        start: world frame [m].
        across: from there to the ray's end [m].
        most: so many at most.
    """
    rays = world.ranging.scene(world)
    origin = np.array(start)
    length = min(float(np.linalg.norm(across)), LONGEST_M)
    if length == 0:
        return []
    direction = np.array(across) / np.linalg.norm(across)
    found: list[Hit] = []
    met: set[int] = set()
    done = 0.0
    for _ in range(MOST_HITS):
        if len(found) >= most or done >= length:
            break
        hit = rays.trace(origin + done * direction, direction[None], length - done)
        if not hit.is_hit[0]:
            break
        done += float(hit.range_m[0])
        owner, is_near = int(hit.id[0]), bool(found) and done - found[-1].distance_m < _SAME_M
        if not (owner in met if owner else is_near):
            x, y, z = (float(value) for value in origin + done * direction)
            found.append(Hit((x, y, z), int(hit.tag[0]), done))
        if owner:
            met.add(owner)
        done += _BEYOND_M
    return found


def clearance(world: World, start: Floats, direction: Floats, most_m: float) -> float:
    """How far [m] no scenery stands in the way, ``most_m`` at most.

    Args:
        world: only what never moves in it counts.
        start: (3,) world frame [m].
        direction: (3,) of unit length.
    """
    solid = world.ranging.scenery(world).solid
    reach = np.array([most_m], np.float32)
    distance, _ = solid.first(start, direction[None], reach)
    return min(most_m, float(distance[0]))
