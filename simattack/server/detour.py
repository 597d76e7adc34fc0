"""A navigation mesh for CARLA's client: one Detour tile in a file of Recast's sample format.

Everything is little-endian. The file begins with a header of its own (magic, version, number of
tiles, the mesh's parameters); then comes the tile: header, corners, polygons, room for the links
that Detour makes itself, and triangles for heights. There is no tree of boxes: Detour goes through
all polygons without one, which a town's few thousand bear.

Detour has y up: a point is (x, z, y) of CARLA's world frame. Its polygons are clockwise seen from
above, which is anticlockwise with x ahead and y to the right.

Source: Recast Navigation (recastnavigation.github.io), DetourNavMesh.h and the tile cache format of
its sample programs; CARLA's kinds of ground and their flags.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from simattack.errors import MapError
from simattack.server.walkways import CORNERS, WALKER_M, Cell

MOST_CELLS = 0x7FFF
"""Polygons of a tile: neighbours are 16-bit numbers, whose upper half means other tiles."""
_MOST_CORNERS = 0xFFFF
_FILE_MAGIC, _FILE_VERSION = 0x4D534554, 1  # "MSET"
_TILE_MAGIC, _TILE_VERSION = 0x444E4156, 7  # "DNAV"
_FILE = struct.Struct("<iii3fffii")
_TILE_AT = struct.Struct("<Ii")
_HEAD = struct.Struct("<15i3f3f3ff")
_POLYGON = struct.Struct("<I6H6HHBB")
_DETAIL = struct.Struct("<IIBBxx")
_LINK_BYTES = 12
_WALKER_HEIGHT_M, _CLIMB_M, _CELL_M = 1.8, 0.35, 0.3
_ROOM_M = (1.0, 3.0)
"""Of the tile's box, below and above the ground."""


def write(cells: Sequence[Cell]) -> bytes:
    """The file's content.

    Raises:
        MapError: more cells than a tile holds, or none.
    """
    if not 0 < len(cells) <= MOST_CELLS:
        raise MapError(
            f"a navigation mesh holds 1 to {MOST_CELLS} cells, but this map's has {len(cells)}"
        )
    corners: dict[tuple[float, float, float], int] = {}
    polygons, details, triangles = bytearray(), bytearray(), bytearray()
    edges = 0
    for cell in cells:
        count = len(cell.corners)
        edges += count
        own = [corners.setdefault((x, z, y), len(corners)) for x, y, z in cell.corners]
        if len(corners) > _MOST_CORNERS:
            raise MapError(f"a navigation mesh holds {_MOST_CORNERS} corners; this map has more")
        pad = [0] * (CORNERS - count)
        beyond = [number + 1 for number in cell.neighbors]
        polygons += _POLYGON.pack(
            0xFFFFFFFF, *own, *pad, *beyond, *pad, 1 << cell.kind, count, cell.kind
        )
        details += _DETAIL.pack(0, len(triangles) // 4, 0, len(cell.triangles))
        for a, b, c in cell.triangles:
            # Two bits an edge; without those of the outer edges the client crashes.
            outer = [(second - first) % count == 1 for first, second in ((a, b), (b, c), (c, a))]
            triangles += bytes((a, b, c, outer[0] | outer[1] << 2 | outer[2] << 4))
    west, _, south = (min(values) for values in zip(*corners, strict=True))
    east, _, north = (max(values) for values in zip(*corners, strict=True))
    heights = [y for _, y, _ in corners]
    low = (west, min(heights) - _ROOM_M[0], south)
    high = (east, max(heights) + _ROOM_M[1], north)
    tile = b"".join(
        (
            _HEAD.pack(
                _TILE_MAGIC, _TILE_VERSION, 0, 0, 0, 0, len(cells), len(corners), edges,
                len(cells), 0, len(triangles) // 4, 0, 0, len(cells),
                _WALKER_HEIGHT_M, WALKER_M, _CLIMB_M, *low, *high, 1 / _CELL_M,
            ),
            b"".join(struct.pack("<3f", *corner) for corner in corners),
            polygons,
            bytes(_LINK_BYTES * edges),
            details,
            triangles,
        )
    )  # fmt: skip
    # The tile's name: its number 0, behind it room for a polygon's number, before it a salt of 1.
    most = 1 << max(1, math.ceil(math.log2(len(cells) + 1)))
    head = _FILE.pack(
        _FILE_MAGIC, _FILE_VERSION, 1, *low, high[0] - low[0], high[2] - low[2], 1, most
    )
    return head + _TILE_AT.pack(most, len(tile)) + tile
