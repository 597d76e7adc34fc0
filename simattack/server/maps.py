"""Which maps the server knows by name, and how a client's spelling finds them."""

from __future__ import annotations

import ctypes
import logging
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from shapely.errors import ShapelyError

from simattack import resources
from simattack.errors import MapError
from simattack.server.footpaths import Footpaths
from simattack.server.generation import AS_WRITTEN, Generation
from simattack.server.road import Road
from simattack.server.town import Town, build_town

FOLDER = "scenarios/maps"
DEFAULT = "town"
GENERATED = "OpenDriveMap"
"""What CARLA calls a map that a client sent as text."""
KEPT = 4
"""Maps at hand."""
CARLA_TOWN = re.compile(r"Town(0[1-9]|1[0-5])(HD)?(_Opt)?")
"""The towns that CARLA comes with."""

_LOG = logging.getLogger(__name__)


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

    def __init__(self, folder: Path | None = None) -> None:
        """Serves the shipped maps, and those of a folder, which win where names are equal.

        Raises:
            MapError: there is no such folder.
        """
        if folder is not None and not folder.is_dir():
            raise MapError(f"expected a folder of .xodr maps, but {folder} is none")
        self._folder = folder
        self._built: dict[tuple[str, Generation], Map] = {}

    def available(self) -> list[str]:
        """All maps by name, spelt as CARLA spells its own."""
        return [f"/Game/Carla/Maps/{name}" for name in self._files()]

    def of_text(self, text: str, name: str, generation: Generation = AS_WRITTEN) -> Map:
        """The map in a text.

        Raises:
            MapError: the text is no usable map.
        """
        key = (text, generation)
        found = self._built.pop(key, None) or self._build(text, name, generation)
        # The newest last, so that the oldest goes first.
        self._built[key] = found
        if len(self._built) > KEPT:
            del self._built[next(iter(self._built))]
        return replace(found, name=name)

    def _build(self, text: str, name: str, generation: Generation) -> Map:
        try:
            road = Road(text, name, generation, is_foreign=text not in _shipped_texts())
            town = build_town(road)
        except (ArithmeticError, LookupError, ValueError, MemoryError, ShapelyError) as error:
            kind = type(error).__name__
            raise MapError(
                f"map {name!r} has a shape that cannot be built: {kind}: {error}"
            ) from error
        return Map(name, road, town, Footpaths(road, town.obstacles, generation.has_footpaths))

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

    def named(self, name: str) -> Map:
        """The map of that name, in any of CARLA's spellings.

        A town of CARLA's that is not there is the default town instead, which the log says.

        Raises:
            MapError: there is none, or it cannot be used.
        """
        files, wanted = self._files(), bare(name)
        # The layered version of a town has the same roads.
        path = files.get(wanted) or files.get(wanted.removesuffix("_Opt"))
        if path is None and CARLA_TOWN.fullmatch(wanted):
            _LOG.warning("map %r is not here; the world is %r instead", wanted, DEFAULT)
            path = files.get(DEFAULT)
        if path is None:
            known = ", ".join(files) or "none"
            raise MapError(f"map {name!r} not found; this server has: {known}")
        return self.of_file(path)

    def _files(self) -> dict[str, Path]:
        """The maps that can be asked for."""
        names = resources.shipped(FOLDER, ".xodr")
        files = {name: resources.find(f"{FOLDER}/{name}.xodr") for name in names}
        if self._folder is not None:
            files |= {path.stem: path for path in sorted(self._folder.glob("*.xodr"))}
        return files


@cache
def _shipped_texts() -> frozenset[str]:
    """Maps that are known to be sound."""
    names = resources.shipped(FOLDER, ".xodr")
    return frozenset(
        resources.find(f"{FOLDER}/{name}.xodr").read_text(encoding="utf-8") for name in names
    )


def give_back_memory() -> None:
    """Returns what a dropped world held to the system, where the C library can (glibc).

    By itself it keeps the holes that large arrays leave, and a server that goes from map to map
    seems to grow by tens of MiB.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
