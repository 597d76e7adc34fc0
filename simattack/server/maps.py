"""Which maps the server knows by name, and how a client's spelling finds them."""

from __future__ import annotations

from pathlib import Path

from simattack import resources
from simattack.errors import ConfigError, MapError
from simattack.server.road import Road

FOLDER = "scenarios/maps"
DEFAULT = "town"
GENERATED = "OpenDriveMap"
"""What CARLA calls a map that a client sent as text."""


def available() -> list[str]:
    """The shipped maps, spelt as CARLA spells its own."""
    return [f"/Game/Carla/Maps/{name}" for name in resources.shipped(FOLDER, ".xodr")]


def bare(name: str) -> str:
    """``Town01`` out of ``/Game/Carla/Maps/Town01``, ``Carla/Maps/Town01`` or itself."""
    return name.rpartition("/")[2]


def load_shipped(name: str) -> Road:
    """The shipped map of that name.

    Raises:
        MapError: there is none, or it cannot be used.
    """
    try:
        return load_file(resources.find(f"{FOLDER}/{bare(name)}.xodr"))
    except ConfigError:
        known = ", ".join(resources.shipped(FOLDER, ".xodr")) or "none"
        raise MapError(f"map {name!r} not found; this server has: {known}") from None


def load_file(path: Path) -> Road:
    """The map in an OpenDRIVE file, named after it.

    Raises:
        MapError: the file cannot be read or is no usable map.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MapError(f"cannot read map {path}: {error}") from error
    return Road(text, path.stem)
