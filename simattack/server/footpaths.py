"""The file of a map's walkable ground that clients steer their pedestrians by."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from functools import cached_property

from simattack.errors import MapError
from simattack.server import detour, walkways
from simattack.server.road import Road
from simattack.types import Floats

_LOG = logging.getLogger(__name__)


class Footpaths:
    """The navigation mesh of one map, made when it is first asked for: that takes a moment."""

    def __init__(self, road: Road, obstacles: Sequence[Floats], is_wanted: bool = True) -> None:
        self._road = road
        self._is_wanted = is_wanted
        self._obstacles = obstacles

    @cached_property
    def content(self) -> bytes:
        """The file; empty for a map that has no sidewalks or too many, or shall have none."""
        if not self._is_wanted:
            return b""
        cells = walkways.cells(self._road, self._obstacles)
        if not cells:
            return b""
        try:
            return detour.write(cells)
        except MapError as error:
            _LOG.warning("no pedestrian navigation on map %r: %s", self._road.name, error)
            return b""

    @cached_property
    def name(self) -> str:
        """Of the file; empty where there is none.

        Clients keep what they fetched by name for ever, so another content has another name.
        """
        if not self.content:
            return ""
        return f"footpaths_{hashlib.sha256(self.content).hexdigest()[:16]}.bin"
