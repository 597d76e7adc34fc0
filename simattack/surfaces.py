"""The committed catalogue of paintable surfaces and stop approaches of a map.

``scenarios/maps/<map>.surfaces.json`` is written by ``scenarios/maps/surfaces.py`` from the map
itself. It is the adversary's and the metrics' knowledge of the scene; the car never sees it.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from PIL import Image as Pictures

from simattack.errors import ConfigError
from simattack.resources import find
from simattack.types import Attack, Floats, Image, Surface

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Approach:
    """The lane that leads to a stop line.

    ``stop_line_m`` (2, 3) the line's two ends, world frame, on the side of arriving traffic.
    ``heading_rad`` the yaw of that traffic. ``straight_m`` how far back the lane runs straight.
    """

    surface: Surface
    stop_line_m: Floats
    heading_rad: float
    straight_m: float
    speed_limit_mps: float

    @property
    def line_from_left_m(self) -> Floats:
        """(2, 3) the stop line, its left end first as who arrives sees it."""
        one, two = self.stop_line_m
        right = -np.sin(self.heading_rad), np.cos(self.heading_rad)
        return self.stop_line_m if (two - one)[:2] @ right > 0 else self.stop_line_m[::-1]


@cache
def approaches(map_name: str) -> dict[str, Approach]:
    """All stop approaches of a map by the name of their sign's surface; none without a catalogue.

    Raises:
        ConfigError: the catalogue is damaged.
    """
    relative = f"scenarios/maps/{map_name}.surfaces.json"
    try:
        path = find(relative)
    except ConfigError:
        return {}
    try:
        entries = json.loads(path.read_text())["approaches"]
        return {
            entry["surface"]: Approach(
                surface=Surface(
                    name=entry["surface"],
                    object_name=entry["object"],
                    corners_m=np.array(entry["corners_m"], float),
                    texture=_texture(entry["texture"]),
                    face=octagon(_texture(entry["texture"]).shape[0]),
                ),
                stop_line_m=np.array(entry["stop_line_m"], float),
                heading_rad=float(entry["heading_rad"]),
                straight_m=float(entry["straight_m"]),
                speed_limit_mps=float(entry["speed_limit_mps"]),
            )
            for entry in entries
        }
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{relative} is damaged ({type(error).__name__}: {error}); "
            "write it anew with scenarios/maps/surfaces.py"
        ) from error


@cache
def billboards_and_signs(map_name: str) -> dict[str, Surface]:
    """A map's other surfaces by name: signs that nobody stops at, and billboards.

    Raises:
        ConfigError: the catalogue is damaged.
    """
    relative = f"scenarios/maps/{map_name}.surfaces.json"
    try:
        path = find(relative)
    except ConfigError:
        return {}
    try:
        return {
            entry["surface"]: Surface(
                name=entry["surface"],
                object_name=entry["object"],
                corners_m=np.array(entry["corners_m"], float),
                texture=_texture(entry["texture"]),
                face=face(entry["face"], _texture(entry["texture"]).shape[:2]),
            )
            for entry in json.loads(path.read_text()).get("surfaces", [])
        }
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{relative} is damaged ({type(error).__name__}: {error}); "
            "write it anew with scenarios/maps/surfaces.py"
        ) from error


def named(name: str, known: Mapping[str, T], map_name: str) -> T:
    """What a map has under a name.

    Raises:
        ConfigError: nothing; suggests the nearest.
    """
    if name not in known:
        near = difflib.get_close_matches(name, list(known), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise ConfigError(f"map {map_name!r} has no surface {name!r}; {hint}")
    return known[name]


def face(shape: str, size_px: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """(height, width) bool: an ``octagon``, ``disc``, ``triangle`` that stands on its tip, or all.

    Raises:
        ValueError: no such shape.
    """
    height, width = size_px[:2]
    y, x = np.mgrid[0:height, 0:width]
    across, down = (2 * x + 1) / width - 1, (2 * y + 1) / height - 1
    if shape == "octagon":
        return octagon(width)
    if shape == "disc":
        return np.asarray(across**2 + down**2 <= 1.0)
    if shape == "triangle":
        return np.asarray(np.abs(across) <= (1 - down) / 2)
    if shape != "square":
        raise ValueError(f"face must be octagon, disc, triangle or square, got {shape!r}")
    return np.ones((height, width), bool)


def octagon(size_px: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """(size, size) bool: the regular octagon that touches all four sides of its square."""
    position = (np.arange(size_px) + 0.5) / size_px * 2 - 1
    x, y = np.meshgrid(np.abs(position), np.abs(position))
    return np.asarray(x + y <= np.sqrt(2.0))


@cache
def _texture(relative: str) -> Image:
    with Pictures.open(find(relative)) as picture:
        texture = np.asarray(picture.convert("RGB"))
    texture.setflags(write=False)
    return texture


def on_surface(attack: Attack, name: str) -> Attack:
    """The attack put on that surface, if it takes one and names none; "" leaves it as it is."""
    if not name or getattr(attack, "surface", None) != "":
        return attack
    return dataclasses.replace(attack, surface=name)  # type: ignore[type-var]
