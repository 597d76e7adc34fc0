"""The navigation mesh's bytes, read back by the format's own description."""

from __future__ import annotations

import dataclasses
import struct

import pytest

from simattack.errors import MapError
from simattack.server import detour
from simattack.server.footpaths import Footpaths
from simattack.server.walkways import CROSSWALK, SIDEWALK, Cell

SQUARE = Cell(
    SIDEWALK,
    ((0.0, 0.0, 0.5), (0.0, 10.0, 0.5), (10.0, 10.0, 0.5), (10.0, 0.0, 0.5)),
    (-1, -1, 1, -1),
    ((0, 1, 2), (0, 2, 3)),
)
BESIDE = Cell(
    CROSSWALK,
    ((10.0, 0.0, 0.5), (10.0, 10.0, 0.5), (20.0, 0.0, 0.25)),
    (0, -1, -1),
    ((0, 1, 2),),
)


@pytest.fixture(scope="module")
def file():
    return detour.write([SQUARE, BESIDE])


def tile(file):
    return file[48:]


def test_the_file_holds_one_tile_that_fills_the_rest(file):
    magic, version, tiles = struct.unpack_from("<3i", file)
    assert (struct.pack(">i", magic), version, tiles) == (b"MSET", 1, 1)
    *origin, width, depth, most_tiles, most_polygons = struct.unpack_from("<5f2i", file, 12)
    assert (origin[0], origin[2], width, depth) == (0.0, 0.0, 20.0, 10.0)
    assert (most_tiles, most_polygons) == (1, 4)
    name, size = struct.unpack_from("<Ii", file, 40)
    assert name == 4  # salt 1, tile 0, polygon 0, above the two bits of a polygon's number
    assert size == len(tile(file))


def test_the_tiles_header_counts_what_follows(file):
    head = struct.unpack_from("<15i", tile(file))
    assert struct.pack(">i", head[0]) == b"DNAV"
    polygons, corners, links, details, detail_corners, triangles = head[6:12]
    assert head[1:6] == (7, 0, 0, 0, 0)
    assert (polygons, details, detail_corners, triangles) == (2, 2, 0, 3)
    assert corners == 5  # two of the seven are common
    assert links == 7  # Detour makes at most one an edge here
    assert head[12:] == (0, 0, 2)
    low, high = struct.unpack_from("<3f", tile(file), 72), struct.unpack_from("<3f", tile(file), 84)
    assert low == (0.0, -0.75, 0.0)
    assert high == (20.0, 3.5, 10.0)
    assert len(tile(file)) == 100 + corners * 12 + polygons * 32 + links * 12 + details * 12 + 3 * 4


def test_polygons_name_their_corners_neighbors_and_ground(file):
    corners = [struct.unpack_from("<3f", tile(file), 100 + 12 * k) for k in range(5)]
    rows = [struct.unpack_from("<I6H6HHBB", tile(file), 160 + 32 * k) for k in range(2)]
    for cell, row in zip((SQUARE, BESIDE), rows, strict=True):
        count = row[14]
        assert count == len(cell.corners)
        # Detour's y is up
        assert tuple((x, z, y) for x, y, z in (corners[k] for k in row[1 : 1 + count])) == (
            cell.corners
        )
        assert row[7 : 7 + count] == tuple(number + 1 for number in cell.neighbors)
        assert row[0] == 0xFFFFFFFF
    assert [(row[13], row[15]) for row in rows] == [(0x02, 1), (0x04, 2)]


def test_detail_triangles_mark_the_polygons_own_edges(file):
    start = 160 + 2 * 32 + 7 * 12
    details = [struct.unpack_from("<IIBB", tile(file), start + 12 * k) for k in range(2)]
    assert details == [(0, 0, 0, 2), (0, 2, 0, 1)]
    triangles = [tuple(tile(file)[start + 24 + 4 * k :][:4]) for k in range(3)]
    assert triangles == [(0, 1, 2, 0x05), (0, 2, 3, 0x14), (0, 1, 2, 0x15)]


@pytest.mark.parametrize("count", [0, detour.MOST_CELLS + 1])
def test_more_cells_than_a_tile_can_number_are_refused(count):
    with pytest.raises(MapError, match=f"1 to 32767 cells, but this map's has {count}"):
        detour.write([SQUARE] * count)


def test_another_content_has_another_name(monkeypatch):
    names = set()
    for cell in (SQUARE, dataclasses.replace(SQUARE, kind=CROSSWALK), SQUARE):
        monkeypatch.setattr("simattack.server.walkways.cells", lambda *_, cell=cell: [cell])
        names.add(Footpaths(None, []).name)
    assert len(names) == 2
    assert all(name.startswith("footpaths_") and name.endswith(".bin") for name in names)


def test_a_map_without_footpaths_has_no_file(monkeypatch):
    monkeypatch.setattr("simattack.server.walkways.cells", lambda *_: [])
    assert (Footpaths(None, []).name, Footpaths(None, []).content) == ("", b"")
