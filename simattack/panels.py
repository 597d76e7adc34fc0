"""The flat parts of cars, people and boards that a picture fits on, in the actor's own frame.

A panel is given by shares of the actor's bounding box, so it fits every blueprint of a kind. The
shares were taken from the embedded server's bodies, whose meshes fill their boxes; those of a real
CARLA lie elsewhere by some centimetres (checked on real CARLA: not yet). Panels are upright planes
just before the body's outermost point: a bulging body leaves a gap at their edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from simattack.errors import ConfigError
from simattack.types import Floats, Surface

FINEST_PX = 192
"""Texels along the longer side of a panel."""
PLAIN = (128, 128, 128)
"""What a panel shows where a server cannot cut a picture out, for want of the body's colour."""


@dataclass(frozen=True)
class Panel:
    """A rectangle across one axis of a bounding box.

    ``plane`` is where it lies along that axis, from the box's middle, in shares of half its length,
    and ``out_m`` beyond. ``along`` and ``height`` are its ends on the other level axis and above
    the box's floor: shares of half the length, and of the whole height.
    """

    plane: float
    along: tuple[float, float]
    height: tuple[float, float]
    out_m: float = 0.0


_CAR = {
    # Lamps and number plates stand out by 2 cm.
    "rear": Panel(-1.0, (-0.6, 0.6), (0.20, 0.62), 0.02),
    "front": Panel(1.0, (-0.6, 0.6), (0.20, 0.45), 0.02),
    # Mirrors count in the box.
    "left": Panel(-0.887, (-0.44, 0.44), (0.20, 0.62)),
    "right": Panel(0.887, (-0.44, 0.44), (0.20, 0.62)),
}
_VAN = {
    "rear": Panel(-1.0, (-0.7, 0.7), (0.20, 0.90), 0.025),
    "front": Panel(1.0, (-0.6, 0.6), (0.20, 0.34), 0.025),
    "left": Panel(-0.87, (-0.8, 0.5), (0.20, 0.50)),
    "right": Panel(0.87, (-0.8, 0.5), (0.20, 0.50)),
}
_BUS = {
    "rear": Panel(-1.0, (-0.8, 0.8), (0.20, 0.90), 0.025),
    "front": Panel(1.0, (-0.8, 0.8), (0.20, 0.40), 0.05),
    "left": Panel(-0.925, (-0.6, 0.6), (0.20, 0.35)),
    "right": Panel(0.925, (-0.6, 0.6), (0.20, 0.35)),
}
_TRUCK = {
    "rear": Panel(-1.0, (-0.9, 0.9), (0.28, 0.95), 0.02),
    "front": Panel(1.0, (-0.7, 0.7), (0.20, 0.35), 0.02),
    "left": Panel(-0.985, (-0.9, 0.2), (0.30, 0.95)),
    "right": Panel(0.985, (-0.9, 0.2), (0.30, 0.95)),
}
_WALKER = {
    "front": Panel(0.52, (-0.64, 0.64), (0.545, 0.805)),
    "back": Panel(-0.42, (-0.64, 0.64), (0.545, 0.805)),
    "face": Panel(0.56, (-0.3, 0.3), (0.880, 0.965)),
}
_PROP = {"front": Panel(-1.0, (-1.0, 1.0), (0.0, 1.0))}
PANELS: Mapping[str, Mapping[str, Panel]] = MappingProxyType(
    {"car": _CAR, "van": _VAN, "bus": _BUS, "truck": _TRUCK, "walker": _WALKER, "prop": _PROP}
)
"""By kind of body, CARLA's ``base_type`` for vehicles, and by side."""
_TYPICAL = {
    "vehicle": ("car", (2.35, 1.06, 0.73)),
    "walker": ("walker", (0.25, 0.25, 0.875)),
    "prop": ("prop", (0.085, 0.65, 1.22)),
}
"""Kind of body and half extents [m] by kind of actor."""
_ACROSS = {"rear": (0, -1), "back": (0, -1), "front": (0, 1), "face": (0, 1), "left": (1, -1),
           "right": (1, 1)}  # fmt: skip
"""Axis of a side's normal and its sign; a prop's board shows its front towards -x."""


def panel(
    name: str,
    body: str,
    side: str,
    actor_id: int,
    centre_m: Floats,
    half_m: Floats,
    color: tuple[int, int, int] = PLAIN,
) -> Surface:
    """The surface on one side of an actor.

    Args:
        name: of the surface.
        body: kind of body, a key of PANELS.
        side: of it.
        actor_id: of the actor.
        centre_m: (3,) middle of its box, in its own frame.
        half_m: (3,) half extents of the box.
        color: of the body.

    Raises:
        ConfigError: such a body has no such side.
    """
    sides = PANELS.get(body, {})
    if side not in sides:
        known = ", ".join(sides) or "none"
        raise ConfigError(
            f"expected a side of a {body} that a picture fits on, one of {known}; got {side!r} in "
            f"surface {name!r}"
        )
    chosen = sides[side]
    axis, sign = _ACROSS[side] if body != "prop" else (0, -1)
    level = 1 - axis
    plane = centre_m[axis] + chosen.plane * half_m[axis] + sign * chosen.out_m
    ends = centre_m[level] + np.array(chosen.along) * half_m[level]
    floor = centre_m[2] - half_m[2]
    low, high = floor + 2 * half_m[2] * np.array(chosen.height)
    # Seen from before it, left of a normal along +x is +y, and left of one along +y is -x.
    is_turned = sign > 0 if axis == 0 else sign < 0
    left, right = (ends[1], ends[0]) if is_turned else (ends[0], ends[1])
    corners = np.empty((4, 3))
    corners[:, axis] = plane
    corners[:, level] = left, right, right, left
    corners[:, 2] = high, high, low, low
    return blank(name, corners, color, actor_id)


def typical(name: str) -> Surface:
    """The surface of that name on an actor of usual size, where there is no actor yet.

    Raises:
        ConfigError: no kind of actor, or no side of it, is called that.
    """
    kind, _, side = parts(name)
    body, half = _TYPICAL[kind]
    middle = (0.0, 0.0, 0.0 if kind == "walker" else half[2])
    return panel(name, body, side, 0, np.array(middle), np.array(half))


def parts(name: str) -> tuple[str, str, str]:
    """Kind of actor, who, side of a surface's name.

    Raises:
        ConfigError: no kind of actor is called that.
    """
    kind, who, side = (*name.split(":"), "", "")[:3]
    if kind not in _TYPICAL:
        raise ConfigError(
            "expected a surface such as vehicle:lead:rear, walker:nearest:front or the name of one "
            f"of the map's, got {name!r}"
        )
    return kind, who, side


def blank(
    name: str,
    corners_m: Floats,
    color: tuple[int, int, int] = PLAIN,
    actor_id: int | None = None,
    finest_px: int = FINEST_PX,
) -> Surface:
    """A surface of one colour that only a carrier can show, of square texels."""
    width_m = float(np.linalg.norm(corners_m[1] - corners_m[0]))
    height_m = float(np.linalg.norm(corners_m[3] - corners_m[0]))
    finer = finest_px / max(width_m, height_m)
    shape = max(1, round(height_m * finer)), max(1, round(width_m * finer))
    texture = np.full((*shape, 3), color, np.uint8)
    return Surface(name, "", corners_m, texture, np.ones(shape, bool), actor_id)
