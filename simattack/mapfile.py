"""A map's file as lanes, without a server: no client is made here."""

from __future__ import annotations

from pathlib import Path

from simattack.errors import ConfigError
from simattack.roadmap import RoadMap


def read_map(path: Path) -> RoadMap:
    """The lanes of an OpenDRIVE file.

    Raises:
        ConfigError: CARLA's client cannot read it.
    """
    import carla

    try:
        return RoadMap(carla, carla.Map(path.stem, path.read_text()))
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        raise ConfigError(f"expected an OpenDRIVE map, {path} is none: {error}") from error
