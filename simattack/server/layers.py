"""CARLA's map layers: which of a town's objects each of them holds.

Every map here has them, not only the ones whose names end in ``_Opt``. Roads, signs and traffic
lights belong to none, so they always stay; ground, decals, particles and parked vehicles have no
objects of their own here.
"""

from __future__ import annotations

from collections.abc import Iterable

from simattack.server.town import SceneryObject

BUILDINGS, DECALS, FOLIAGE, GROUND, PARKED, PARTICLES = 1, 2, 4, 8, 16, 32
PROPS, STREET_LIGHTS, WALLS = 64, 128, 256
ALL = 0xFFFF
"""CARLA's MapLayer, a mask of 16 bits."""

_BY_TAG = {3: BUILDINGS, 4: WALLS, 5: WALLS, 9: FOLIAGE, 20: PROPS, 21: PROPS, 28: WALLS}
"""By CARLA's semantic label."""


def layer(thing: SceneryObject) -> int:
    """The bit of an object's layer; 0 for what always stays."""
    return STREET_LIGHTS if thing.name.startswith("StreetLamp") else _BY_TAG.get(thing.tag, 0)


def members(things: Iterable[SceneryObject], mask: int) -> frozenset[int]:
    """The ids of the objects in any layer of a mask."""
    return frozenset(thing.id for thing in things if layer(thing) & mask)
