"""Surfaces on the actors of a world, found by name.

Part of the session's floor: it is handed CARLA's actors and never imports CARLA.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simattack.errors import ConfigError
from simattack.geometry import position_m, to_body
from simattack.panels import PLAIN, panel, parts
from simattack.types import Pose, Surface


def surface_on(
    name: str,
    find: Callable[[int], Any],
    places: Mapping[int, tuple[str, Pose]],
    roles: Mapping[str, int],
    ego_id: int | None,
) -> Surface:
    """The surface of a name such as ``vehicle:lead:rear``; see ``types.World``.

    Args:
        name: kind of actor, who, side.
        find: CARLA's actor of an id.
        places: kind and pose of each actor by id.
        roles: ids by role.
        ego_id: of the car under test.

    Raises:
        ConfigError: nobody and nothing is called that.
    """
    kind, who, side = parts(name)
    if who.isdigit():
        actor = find(int(who))
    elif who in roles:
        actor = find(roles[who])
    elif who == "nearest" and ego_id is not None:
        actor = find(nearest(kind, places, ego_id))
    else:
        known = ", ".join(roles) or "none"
        raise ConfigError(
            f"expected 'nearest', an actor's id or a role of the scenario ({known}) in surface "
            f"{name!r}, got {who!r}"
        )
    body = str(actor.attributes.get("base_type", "")) or "car" if kind == "vehicle" else kind
    color = actor.attributes.get("color", "").split(",")
    red, green, blue = (int(part) for part in color) if len(color) == 3 else PLAIN
    box = actor.bounding_box
    centre = np.array([box.location.x, box.location.y, box.location.z])
    half = np.array([box.extent.x, box.extent.y, box.extent.z])
    return panel(name, body, side, int(actor.id), centre, half, (red, green, blue))


def nearest(kind: str, places: Mapping[int, tuple[str, Pose]], ego_id: int) -> int:
    """Id of the nearest actor of a kind whose middle is ahead of the ego's.

    Raises:
        ConfigError: there is none.
    """
    ego = places[ego_id][1]
    ahead: dict[int, float] = {}
    for actor_id, (its_kind, pose) in places.items():
        x, y, _ = to_body(position_m(pose)[None], ego)[0]
        if actor_id != ego_id and its_kind.startswith(f"{kind}.") and x > 0:
            ahead[actor_id] = float(np.hypot(x, y))
    if not ahead:
        raise ConfigError(f"expected a {kind} ahead of the car, there is none")
    return min(ahead, key=ahead.__getitem__)
