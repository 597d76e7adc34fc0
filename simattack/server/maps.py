"""Which maps the server knows by name, and how a client's spelling finds them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from simattack import resources
from simattack.errors import MapError
from simattack.server.footpaths import Footpaths
from simattack.server.road import Road
from simattack.server.town import Town, build_town

FOLDER = "scenarios/maps"
DEFAULT = "town"
GENERATED = "OpenDriveMap"
"""What CARLA calls a map that a client sent as text."""
KEPT = 4
"""Maps at hand."""


def available() -> list[str]:
    """The shipped maps, spelt as CARLA spells its own."""
    return [f"/Game/Carla/Maps/{name}" for name in resources.shipped(FOLDER, ".xodr")]


def bare(name: str) -> str:
    """``Town01`` out of ``/Game/Carla/Maps/Town01``, ``Carla/Maps/Town01`` or itself."""
    return name.rpartition("/")[2]


@dataclass(frozen=True, eq=False)
class Map:
    """A road network and the scenery beside it, under the name that clients are told."""

    name: str
    road: Road
    town: Town
    footpaths: Footpaths


class Maps:
    """Maps as they are asked for; the last few stay at hand, for building a town takes seconds."""

    def __init__(self) -> None:
        self._built: dict[str, Map] = {}

    def of_text(self, text: str, name: str) -> Map:
        """The map in a text.

        Raises:
            MapError: the text is no usable map.
        """
        found = self._built.pop(text, None)
        if found is None:
            road = Road(text, name)
            town = build_town(road)
            found = Map(name, road, town, Footpaths(road, town.obstacles))
        # The newest last, so that the oldest goes first.
        self._built[text] = found
        if len(self._built) > KEPT:
            del self._built[next(iter(self._built))]
        return replace(found, name=name)

    def of_file(self, path: Path) -> Map:
        """The map in an OpenDRIVE file, named after it.

        Raises:
            MapError: the file cannot be read or is no usable map.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MapError(f"cannot read map {path}: {error}") from error
        return self.of_text(text, path.stem)

    def shipped(self, name: str) -> Map:
        """The shipped map of that name.

        Raises:
            MapError: there is none, or it cannot be used.
        """
        known = resources.shipped(FOLDER, ".xodr")
        if bare(name) not in known:
            raise MapError(f"map {name!r} not found; this server has: {', '.join(known) or 'none'}")
        return self.of_file(resources.find(f"{FOLDER}/{bare(name)}.xodr"))
