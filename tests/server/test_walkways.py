"""The ground people walk on: areas by hand, and what Detour needs of its cells."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import shapely

from simattack import resources
from simattack.server.road import Road
from simattack.server.walkways import CORNERS, CROSSWALK, ROAD, SIDEWALK, cells

MAPS = os.environ.get("SIMATTACK_MAPS")
KERB = '<height sOffset="0" inner="0.12" outer="0.12"/>'
CROSSING = """<objects><object id="1" type="crosswalk" s="50" t="0" hdg="0" zOffset="0"><outline>
<cornerLocal u="-1.5" v="{half}" z="0"/><cornerLocal u="1.5" v="{half}" z="0"/>
<cornerLocal u="1.5" v="-{half}" z="0"/><cornerLocal u="-1.5" v="-{half}" z="0"/>
</outline></object></objects>"""


def lane(number, kind, width_m):
    kerb = KERB if kind == "sidewalk" else ""
    return (
        f'<lane id="{number}" type="{kind}" level="false"><link/>'
        f'<width sOffset="0" a="{width_m}" b="0" c="0" d="0"/>{kerb}</lane>'
    )


def street(half_m=3.5, walk="sidewalk"):
    """100 m of a street: two lanes of 3.5 m, two sidewalks of 2 m, one crosswalk."""
    left = lane(2, walk, 2.0) + lane(1, "driving", 3.5)
    right = lane(-1, "driving", 3.5) + lane(-2, walk, 2.0)
    return Road(f"""<?xml version="1.0"?><OpenDRIVE>
<header revMajor="1" revMinor="4" name="" version="1"/>
<road name="street" length="100" id="1" junction="-1"><link/>
<planView><geometry s="0" x="0" y="0" hdg="0" length="100"><line/></geometry></planView>
<lanes><laneSection s="0"><left>{left}</left>
<center><lane id="0" type="none" level="false"/></center>
<right>{right}</right></laneSection></lanes>
{CROSSING.format(half=half_m)}</road></OpenDRIVE>""")


def outline(cell):
    return np.array(cell.corners)[:, :2]


def edges(cell):
    ends = [corner[:2] for corner in cell.corners]
    return list(zip(ends, ends[1:] + ends[:1], strict=True))


def signed_m2(ring):
    following = np.roll(ring, -1, axis=0)
    return float((ring[:, 0] * following[:, 1] - ring[:, 1] * following[:, 0]).sum()) / 2


def area_m2(mesh, kind):
    return -sum(signed_m2(outline(cell)) for cell in mesh if cell.kind == kind)


def reached(mesh, start, kinds):
    """The cells that can be walked to without leaving ground of these kinds."""
    seen, todo = {start}, [start]
    while todo:
        for number in mesh[todo.pop()].neighbors:
            if number >= 0 and number not in seen and mesh[number].kind in kinds:
                seen.add(number)
                todo.append(number)
    return seen


def assert_is_a_mesh(mesh):
    """Convex cells of the right sense, neighbours that agree, triangles that fill each cell."""
    for number, cell in enumerate(mesh):
        ring = np.array(cell.corners)
        assert 3 <= len(ring) <= CORNERS
        assert len(cell.neighbors) == len(ring)
        steps = np.roll(ring, -1, axis=0)[:, :2] - ring[:, :2]
        following = np.roll(steps, -1, axis=0)
        turns = steps[:, 0] * following[:, 1] - steps[:, 1] * following[:, 0]
        assert (turns < 1e-6).all(), "a corner that points inwards"
        assert np.isfinite(ring).all()
        parts = [signed_m2(ring[list(triangle), :2]) for triangle in cell.triangles]
        assert all(part < 0 for part in parts)
        assert sum(parts) == pytest.approx(signed_m2(ring[:, :2]), abs=1e-6)
        for edge, other in enumerate(cell.neighbors):
            if other >= 0:
                assert (edges(cell)[edge][::-1], number) in zip(
                    edges(mesh[other]), mesh[other].neighbors, strict=True
                )


@pytest.fixture(scope="module")
def mesh():
    return cells(street(), [])


def test_cells_fit_together(mesh):
    assert_is_a_mesh(mesh)


def test_each_kind_of_ground_has_the_area_drawn_on_paper(mesh):
    # 0.3 m free on all sides; the sidewalks also get their kerb's 0.3 m before the crosswalk,
    # which is as much narrower.
    sidewalk = 2 * ((100 - 0.6) * (2 - 0.6) + (3 - 0.6) * 0.3)
    crosswalk = (3 - 0.6) * 7
    whole = (100 - 0.6) * (11 - 0.6)
    assert area_m2(mesh, SIDEWALK) == pytest.approx(sidewalk, rel=1e-3)
    assert area_m2(mesh, CROSSWALK) == pytest.approx(crosswalk, rel=1e-3)
    assert area_m2(mesh, ROAD) == pytest.approx(whole - sidewalk - crosswalk, rel=1e-3)


@pytest.mark.parametrize(("half_m", "leads"), [(3.5, True), (2.8, True), (2.2, False)])
def test_a_crosswalk_joins_the_sidewalks_it_ends_near(half_m, leads):
    mesh = cells(street(half_m), [])
    first = next(k for k, cell in enumerate(mesh) if cell.kind == SIDEWALK)
    side = np.sign(mesh[first].corners[0][1])
    found = reached(mesh, first, {SIDEWALK, CROSSWALK})
    across = [k for k, c in enumerate(mesh) if c.kind == SIDEWALK and c.corners[0][1] * side < 0]
    assert across
    assert set(across) <= found if leads else not set(across) & found
    assert len(reached(mesh, first, {SIDEWALK, CROSSWALK, ROAD})) == len(mesh)


def test_people_keep_off_a_post_on_the_sidewalk(mesh):
    post = np.array([(20.0, 4.4), (20.2, 4.4), (20.2, 4.6), (20.0, 4.6)])
    around = cells(street(), [post])
    assert_is_a_mesh(around)
    lost_m2 = area_m2(mesh, SIDEWALK) - area_m2(around, SIDEWALK)
    assert lost_m2 == pytest.approx((0.2 + 0.6) ** 2, rel=0.01)
    middle = shapely.Point(20.1, 4.5)
    assert all(shapely.Polygon(outline(cell)).distance(middle) > 0.39 for cell in around)


def test_sidewalks_stand_as_high_as_their_kerb_and_crosswalks_lie_on_the_road(mesh):
    heights = {
        kind: {z for c in mesh if c.kind == kind for _, _, z in c.corners} for kind in (1, 2)
    }
    assert heights[SIDEWALK] == {0.12}
    assert heights[CROSSWALK] == {0.0}


def test_a_map_without_sidewalks_has_no_ground_to_walk_on():
    assert cells(street(walk="shoulder"), []) == []


@pytest.fixture(scope="module", params=["Town01", "Town02", "Town10HD"])
def foreign(request):
    if not MAPS:
        pytest.skip("SIMATTACK_MAPS names no folder with CARLA's maps")
    path = Path(MAPS) / f"{request.param}.xodr"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    road = Road(path.read_text(), request.param)
    return road, cells(road, [])


def test_carlas_own_towns_have_ground_to_walk_on(foreign):
    road, mesh = foreign
    assert_is_a_mesh(mesh)
    first = next(k for k, cell in enumerate(mesh) if cell.kind == SIDEWALK)
    everywhere = reached(mesh, first, {SIDEWALK, CROSSWALK, ROAD})
    assert len(everywhere) > 0.99 * len(mesh)
    if road.crosswalks:
        on_foot = reached(mesh, first, {SIDEWALK, CROSSWALK})
        assert len(on_foot) > 0.99 * sum(cell.kind != ROAD for cell in mesh)


def test_the_town_can_be_walked_through_without_stepping_on_a_road():
    road = Road(resources.find("scenarios/maps/town.xodr").read_text())
    mesh = cells(road, [])
    assert_is_a_mesh(mesh)
    first = next(k for k, cell in enumerate(mesh) if cell.kind == SIDEWALK)
    on_foot = reached(mesh, first, {SIDEWALK, CROSSWALK})
    assert len(on_foot) == sum(cell.kind != ROAD for cell in mesh)
