"""What a client asks of a map that it sends as text, beside the text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from simattack.errors import MapError

_COUNT = 7
MAX_WALL_M = 50.0
MAX_EXTRA_M = 20.0


@dataclass(frozen=True)
class Generation:
    """CARLA's ``OpendriveGenerationParameters``, those of them that mean something here.

    ``vertex_distance``, ``max_road_length`` and ``smooth_junctions`` have no effect: cross sections
    follow each road's own curvature, the renderer cuts the ground into cells by itself, and
    junctions are drawn from the map's lanes over an even floor.
    """

    wall_height_m: float = 0.0
    """Of the walls along the outer edges of roads outside junctions; 0 builds none."""
    extra_width_m: float = 0.0
    """By how much driving lanes inside junctions are wider than the map says, half each side."""
    is_visible: bool = True
    """Whether cameras see roads, sidewalks and paint; they carry wheels and return rays anyway."""
    has_footpaths: bool = True
    """Whether clients get the ground that their pedestrians walk on."""


AS_WRITTEN = Generation()
"""The map as its text has it: what towns are."""


def read_generation(wire: Any) -> Generation:
    """The parameters as the call carries them.

    Raises:
        MapError: their number, type or size is wrong.
    """
    if not isinstance(wire, (list, tuple)) or len(wire) < _COUNT:
        raise MapError(f"expected {_COUNT} generation parameters, got {str(wire)[:60]}")
    _, _, wall, extra, _, is_visible, has_footpaths = wire[:_COUNT]
    for name, value, most in (
        ("wall_height", wall, MAX_WALL_M),
        ("additional_width", extra, MAX_EXTRA_M),
    ):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not 0 <= value <= most:
            raise MapError(f"expected a {name} of 0 to {most:g} m, got {value!r}")
    # The client sends single precision: 0.6 arrives as 0.6000000238.
    return Generation(
        round(float(wall), 6), round(float(extra), 6), is_visible is True, has_footpaths is True
    )
