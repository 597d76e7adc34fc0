"""Places on a map where an episode can happen: a start on a lane, and how the route goes on.

``scenarios/maps/<map>.places.yaml`` names those of a map; a scenario may add its own. World frame
as in ``types``: x east, y south, yaw clockwise.

    places:
      - {name: curve_1, start: [-228.0, 188.25], heading_deg: 180, length_m: 170}
      - {name: left_1, start: [-60.0, 1.75], length_m: 110, turns: [left]}
      - {name: tour_1, start: [-60.0, 1.75], via: [[60.0, 1.75], [188.2, 100.0]]}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from simattack.errors import ConfigError
from simattack.reading import FieldError, Reader, load_yaml
from simattack.resources import find

TURNS = ("left", "straight", "right")
LONGEST_M = 2000.0


class Point(NamedTuple):
    """A point of the map [m]; in YAML ``[x, y]``."""

    x_m: float
    y_m: float


@dataclass(frozen=True, kw_only=True)
class Place:
    """A route: from a start along the lane for so many metres, to an end, or by positions."""

    name: str
    start: Point
    """The lane's middle nearest to it is where the route begins."""
    heading_deg: float | None = None
    """Of the lane's traffic there, as a check; it tells lanes apart that lie over each other."""
    length_m: float | None = None
    """Of the route."""
    end: Point | None = None
    """Instead of a length: where the route comes nearest to it, it ends."""
    turns: tuple[str, ...] = ()
    """Left, straight or right at the forks in their order; straight on after the last."""
    via: tuple[Point, ...] = ()
    """Instead of both: positions that the shortest way along lanes leads by, to the last."""

    def __post_init__(self) -> None:
        if (self.length_m is not None) + (self.end is not None) + bool(self.via) != 1:
            raise FieldError("places", f"{self.name!r} needs either a length_m, an end or a via")
        if self.via and self.turns:
            raise FieldError("places", f"{self.name!r} finds its turns by its via; leave them away")
        if self.length_m is not None and not 10.0 <= self.length_m <= LONGEST_M:
            raise FieldError(
                "places",
                f"{self.name!r}: length_m must be 10 to {LONGEST_M:g}, got {self.length_m:g}",
            )
        for turn in self.turns:
            if turn not in TURNS:
                raise FieldError(
                    "places", f"{self.name!r}: a turn is {', '.join(TURNS)}; got {turn!r}"
                )


@dataclass(frozen=True)
class _Catalogue:
    places: tuple[Place, ...]


def read_point(reader: Reader, value: Any, place: str) -> Point:
    """A ``Point`` out of YAML, for a ``Reader``'s special types."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise reader.wrong(place, "[x, y] in metres", value)
    return Point(*(reader.read(part, float, place) for part in value))


@cache
def catalogue(map_name: str) -> Mapping[str, Place]:
    """The places of a map by name; empty where none are committed.

    Raises:
        ConfigError: the catalogue is damaged.
    """
    path = catalogue_file(map_name)
    if path is None:
        return {}
    reader = Reader(str(path), {Point: read_point})
    read: _Catalogue = reader.read(load_yaml(path), _Catalogue, "")
    return {place.name: place for place in read.places}


def catalogue_file(map_name: str) -> Path | None:
    """Where a map's places are written down; None where none are."""
    try:
        return find(f"scenarios/maps/{map_name}.places.yaml")
    except ConfigError:
        return None
