"""Maps: which a name means, which are refused, and what their text makes of ground and scenery."""

from __future__ import annotations

import logging
import math
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import shapely
from maproads import MARK, TOWNS, lane, section, straight, towns_folder

from simattack.errors import MapError
from simattack.resources import find
from simattack.server import layers
from simattack.server.blueprints import BLUEPRINTS
from simattack.server.generation import AS_WRITTEN, Generation, read_generation
from simattack.server.map_checks import probe
from simattack.server.maps import Map, Maps
from simattack.server.physics import Physics
from simattack.server.render.paint import marking
from simattack.server.render.stencils import stop_lines
from simattack.server.road import Road
from simattack.server.town import build_town

TOWN = find("scenarios/maps/town.xodr").read_text("utf-8")


# Names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Town02", "mine"):
        (tmp_path / f"{name}.xodr").write_text(straight(), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no map")
    return tmp_path


@pytest.fixture(scope="module")
def atlas() -> Maps:
    return Maps()


def test_a_folder_adds_its_maps_to_the_shipped_one(folder: Path) -> None:
    listed = Maps(folder).available()
    assert set(listed) == {f"/Game/Carla/Maps/{name}" for name in ("town", "Town02", "mine")}
    assert Maps().available() == ["/Game/Carla/Maps/town"]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("mine", "mine"),
        ("/Game/Carla/Maps/mine", "mine"),
        ("Town02", "Town02"),
        ("Carla/Maps/Town02_Opt", "Town02"),
    ],
)
def test_a_map_is_found_in_all_of_carlas_spellings(folder: Path, asked: str, given: str) -> None:
    assert Maps(folder).named(asked).name == given


@pytest.mark.parametrize("name", ["Town01", "Town10HD", "Town10HD_Opt", "Carla/Maps/Town15"])
def test_a_town_of_carlas_that_is_not_there_is_our_town_with_a_warning(
    atlas: Maps, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert atlas.named(name).name == "town"
    assert f"{name.rpartition('/')[2]!r} is not here" in caplog.text


@pytest.mark.parametrize("name", ["Town16", "Town00", "Town", "../town.xodr", "", "Town01 "])
def test_any_other_name_is_refused_and_told_what_there_is(name: str) -> None:
    with pytest.raises(MapError, match="not found; this server has: town"):
        Maps().named(name)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"expected a folder of \.xodr maps"):
        Maps(tmp_path / "nowhere")


def test_one_text_is_built_once_for_each_way_to_generate_it() -> None:
    atlas, walls = Maps(), Generation(wall_height_m=1.0)
    plain = atlas.of_text(straight(), "a")
    assert atlas.of_text(straight(), "b").road is plain.road
    walled = atlas.of_text(straight(), "a", walls)
    assert walled.road is not plain.road
    assert any(o.name.startswith("Wall") for o in walled.town.objects)
    assert not any(o.name.startswith("Wall") for o in plain.town.objects)


# Maps that cannot be used


LINKED = '<link><successor elementType="{}" elementId="{}" contactPoint="start"/></link>'
JUNCTION = """<junction id="9" name=""><connection id="0" incomingRoad="{}" connectingRoad="{}"
contactPoint="start"/></junction>"""
CONTROLLER = '<controller id="3"><control signalId="{}" type="0"/></controller>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (straight().replace("<link/>", LINKED.format("road", 77), 1), "road '1'.*to road '77'"),
        (
            straight().replace("<link/>", LINKED.format("junction", 5), 1),
            "road '1'.*to junction '5'",
        ),
        (straight(tail=JUNCTION.format(1, 4)), "junction '9'.*to road '4'"),
        (straight(tail=JUNCTION.format(8, 1)), "junction '9'.*to road '8'"),
        (straight(tail=CONTROLLER.format("x")), "controller '3'.*to signal 'x'"),
        (straight(section(right=lane(-1) + lane(-3))), "road '1'.*lacks lane -2"),
        (
            straight(
                section() + section(50.0, right=lane(-1)).replace(
                    "<link/>", '<link><predecessor id="-4"/></link>'
                )
            ),
            "lane -1 of road '1'.*lane -4",
        ),
        (straight('<laneSection s="0"><center/></laneSection>'), "no lanes"),
        (straight(" "), "no geometry or no lane section"),
        (straight().replace('hdg="0"', 'hdg="nan"'), "road '1'.*hdg.*nan"),
        (straight().replace('x="0" y', 'x="inf" y'), "road '1'.*x.*inf"),
        (straight(length=0.0), "length of 0"),
    ],
)  # fmt: skip
def test_a_damaged_map_is_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(MapError, match=message) as caught:
        Road(text)
    assert "\n" not in str(caught.value)


def test_a_map_that_ends_the_process_that_reads_it_ends_no_server() -> None:
    # A controller of a signal that is not there: our own reader says so, CARLA's runs into it.
    text = re.sub(r'signalId="[^"]*"', 'signalId="none"', TOWN, count=1)
    with pytest.raises(MapError, match="ends with SIG"):
        probe(text)


def test_a_map_that_carlas_reader_refuses_is_refused_in_its_words() -> None:
    text = straight(section(500.0))
    with pytest.raises(MapError, match=r"refuses this map: \w+"):
        probe(text)


# Surfaces


def profile(inner: str) -> str:
    return f"<lateralProfile>{inner}</lateralProfile>"


def test_superelevation_tilts_the_road_about_its_reference_line() -> None:
    bank = profile('<superelevation s="0" a="0.06" b="0" c="0" d="0"/>')
    road = Road(straight(section(left=lane(1)), profile=bank))
    # Along x, the left side is at negative y in CARLA's frame; a positive angle lifts it.
    heights = road.height(np.array([[50.0, -3.5], [50.0, 0.0], [50.0, 3.5]]))
    np.testing.assert_allclose(heights, np.array([3.5, 0.0, -3.5]) * math.tan(0.06), atol=1e-9)


def test_crossfall_falls_outwards_on_the_sides_it_names() -> None:
    fall = profile('<crossfall side="right" s="0" a="0.03" b="0" c="0" d="0"/>')
    road = Road(straight(section(left=lane(1)), profile=fall))
    heights = road.height(np.array([[50.0, -3.4], [50.0, 3.4]]))
    np.testing.assert_allclose(heights, [0.0, -3.4 * math.tan(0.03)], atol=1e-9)


def test_a_lateral_shape_is_interpolated_along_the_road() -> None:
    shape = profile(
        '<shape s="0" t="-9" a="0.2" b="0" c="0" d="0"/><shape s="100" t="0" a="0" b="-0.1" c="0" '
        'd="0"/><shape s="100" t="-9" a="0.9" b="-0.1" c="0" d="0"/>'
    )
    road = Road(straight(profile=shape))
    # At s = 100 the right edge (t = -3.5) is 0.35 m up, at s = 0 all of it 0.2 m.
    heights = road.height(np.array([[0.01, 3.49], [50.0, 3.49], [99.9, 3.49]]))
    np.testing.assert_allclose(heights, [0.2, 0.275, 0.35], atol=0.01)


def test_a_car_leans_with_a_banked_road() -> None:
    bank = profile('<superelevation s="0" a="0.08" b="0" c="0" d="0"/>')
    road = Road(straight(profile=bank))
    world = Physics(road, [])
    world.add(7, BLUEPRINTS["vehicle.audi.tt"], road.spawn_points[0])
    for _ in range(40):
        world.step(0.05)
    # The left side is up, so the car rolls to its right: clockwise from behind, positive.
    assert world.state(7).pose.roll_rad == pytest.approx(0.08, abs=0.005)


def test_spawn_points_and_stop_lines_lie_on_a_banked_road() -> None:
    bank = profile('<superelevation s="0" a="-0.1" b="0" c="0" d="0"/>')
    sign = """<signals><signal s="80" t="-4.5" id="7" name="" dynamic="no" orientation="+"
    zOffset="2" country="" type="206" subtype="-1" value="-1">
    <validity fromLane="-1" toLane="-1"/></signal></signals>"""
    road = Road(straight(profile=bank, extra=sign))
    for spawn in road.spawn_points:
        ground = road.height(np.array([[spawn.x_m, spawn.y_m]]))[0]
        assert spawn.z_m - 0.3 == pytest.approx(ground, abs=1e-6)
        assert ground == pytest.approx(1.75 * math.tan(0.1), abs=1e-3)
    (bar,) = road.stop_lines
    np.testing.assert_allclose(bar[:, 2], road.height(bar[:, :2]), atol=1e-9)
    assert np.ptp(bar[:, 2]) > 0.3


def test_dashes_go_on_across_lane_sections() -> None:
    dashes = MARK.format(0, "broken", "white")
    cut = straight(section(middle=dashes) + section(31.0, middle=dashes))
    whole = straight(section(middle=dashes))
    spans = []
    for text in (cut, whole):
        pieces = [marking(m)[:, 0].reshape(-1, 3) for m in Road(text).markings]
        covered = [(tri.min(), tri.max()) for piece in pieces for tri in piece]
        spans.append(shapely.union_all([shapely.box(a, 0, b, 1) for a, b in covered]))
    assert spans[0].symmetric_difference(spans[1]).area < 0.02
    assert spans[1].area == pytest.approx(3.0 * 14 - 0.5, abs=0.6)


def test_a_double_line_is_drawn_on_the_sides_it_names() -> None:
    mark = MARK.format(0, "solid broken", "yellow")
    right = Road(straight(section(right=lane(-1, marks=mark) + lane(-2)))).markings[0]
    left = Road(straight(section(left=lane(1, marks=mark) + lane(2)))).markings[0]
    for line, solid_y, broken_y in ((right, 3.35, 3.65), (left, -3.35, -3.65)):
        mesh = marking(line)
        covered = []
        for y in (solid_y, broken_y):
            pieces = mesh[np.abs(mesh[:, 1] - y) < 0.08, 0].reshape(-1, 3)
            spans = [shapely.box(piece.min(), 0, piece.max(), 1) for piece in pieces]
            covered.append(shapely.union_all(spans).area)
        # The inner line is solid, on either side of the road.
        assert covered[0] == pytest.approx(100.0, abs=0.1)
        assert covered[1] == pytest.approx(41.5, abs=1.0)


@pytest.mark.parametrize(
    ("color", "strongest"), [("yellow", 0), ("red", 0), ("green", 1), ("blue", 2)]
)
def test_marks_have_the_maps_colour(color: str, strongest: int) -> None:
    (line,) = Road(straight(section(middle=MARK.format(0, "solid", color)))).markings
    paint = marking(line)[0, 8:11]
    assert int(np.argmax(paint)) == strongest and paint.max() > 2 * paint.min()


def test_places_on_lanes_too_narrow_for_two_abreast_do_not_overlap() -> None:
    lanes = section(right=lane(-1, width=2.65) + lane(-2, width=2.65) + lane(-3, width=2.0))
    road = Road(straight(lanes))
    assert road.spawn_points
    sides = {round(spawn.y_m, 2) for spawn in road.spawn_points}
    # 2.7 m each do not fit beside one another, and the last lane is none to begin on.
    assert len(sides) == 1 and max(sides) < 2 * 2.65


# What stands there


OBJECTS = """<objects>
<object id="1" type="pole" name="" s="20" t="-9" zOffset="0" hdg="0" height="4" radius="0.1"/>
<object id="2" type="building" name="" s="50" t="-20" zOffset="0" hdg="0" height="9" length="14"
 width="10"/>
<object id="3" type="tree" name="" s="70" t="-9" zOffset="0" hdg="0" height="5"/>
<object id="4" type="barrier" name="" s="10" t="6" zOffset="0" hdg="0" height="0.8" width="0.3">
<repeat s="10" length="40" distance="0" tStart="6" tEnd="6"/></object>
<object id="5" type="streetLamp" name="" s="0" t="9" zOffset="0" hdg="0">
<repeat s="20" length="60" distance="30" tStart="9" tEnd="9"/></object>
<object id="6" type="-1" name="StopLine" s="90" t="-1.75" zOffset="0" hdg="1.5707963" length="3.4"
 width="0.1"/>
<object id="8" type="-1" name="Speed_60" s="40" t="-5" zOffset="0" hdg="0" orientation="-"/>
</objects>"""


def test_objects_of_the_map_stand_where_it_says_with_their_size() -> None:
    road = Road(straight(extra=OBJECTS))
    town = build_town(road)
    by_name = {o.name: o for o in town.objects}
    pole = by_name["Pole_1"]
    np.testing.assert_allclose(pole.transform[:3, 3], [20, 9, 0], atol=1e-9)
    assert np.ptp(town.meshes[pole.mesh][:, 2]) == pytest.approx(4.0)
    house = by_name["Building_2"]
    np.testing.assert_allclose(house.transform[:3, 3], [50, 20, 0], atol=1e-6)
    assert house.tag == 3 and by_name["Tree_3"].tag == 9
    assert sum(name.startswith("Barrier_4_") for name in by_name) == 10
    lamps = [o.transform[0, 3] for o in town.objects if o.name.startswith("StreetLamp_5_")]
    np.testing.assert_allclose(sorted(lamps), [20, 50, 80], atol=1e-9)
    (bar,) = stop_lines(road)
    np.testing.assert_allclose(bar[:, :2].mean(axis=0), [90, 1.75], atol=1e-6)
    limit = next(s for s in road.signals if s.id == "8")
    assert (limit.kind, limit.value) == ("speed_limit", 60.0)
    assert by_name["SpeedLimit_8"].texture == "speed_limit:60"


def test_nothing_placed_by_chance_stands_in_the_maps_own_houses() -> None:
    town = build_town(Road(straight(extra=OBJECTS)))
    house = shapely.box(43, 15, 57, 25)
    inside = [
        o.name
        for o in town.objects
        if o.name != "Building_2" and house.contains(shapely.Point(o.transform[:2, 3]))
    ]
    assert inside == []


# How a client wants it generated


def test_walls_stand_along_the_edges_and_stop_what_drives_there() -> None:
    road = Road(straight(), generation=Generation(wall_height_m=1.5))
    town = build_town(road)
    walls = [o for o in town.objects if o.name.startswith("Wall_")]
    assert {o.tag for o in walls} == {4} and len(walls) == 2
    for wall, y in zip(walls, (3.5, 0.0), strict=True):
        mesh = town.meshes[wall.mesh]
        assert abs(mesh[:, 1] - y).max() < 0.1 and mesh[:, 2].max() == pytest.approx(1.5)
    blocked = Physics(road, town.obstacles).blocked
    across = road.spawn_points[0].__class__(50.0, 3.5, 0.3, yaw_rad=math.pi / 2)
    assert blocked(BLUEPRINTS["vehicle.audi.tt"], across)
    assert not blocked(BLUEPRINTS["vehicle.audi.tt"], road.spawn_points[0])


def test_extra_width_is_for_driving_lanes_in_junctions_only() -> None:
    plain, wide = Road(TOWN), Road(TOWN, generation=Generation(extra_width_m=0.6))
    for a, b in zip(plain.ribbons, wide.ribbons, strict=True):
        before, after = (np.linalg.norm(r.left - r.right, axis=1)[0] for r in (a, b))
        extra = 0.6 if a.is_junction and a.kind == "driving" else 0.0
        assert after - before == pytest.approx(extra, abs=1e-6)


def test_generation_parameters_are_read_as_the_client_sends_them() -> None:
    sent = [2.0, 50.0, 1.0, np.float32(0.6).item(), True, False, True]
    assert read_generation(sent) == Generation(1.0, 0.6, False, True)
    assert AS_WRITTEN == Generation()


@pytest.mark.parametrize(
    ("place", "value", "name"),
    [(2, -1.0, "wall_height"), (2, math.nan, "wall_height"), (3, 1e9, "additional_width"),
     (3, "wide", "additional_width")],
)  # fmt: skip
def test_generation_parameters_that_make_no_sense_are_refused(
    place: int, value: object, name: str
) -> None:
    sent: list[object] = [2.0, 50.0, 1.0, 0.6, True, True, True]
    sent[place] = value
    with pytest.raises(MapError, match=name):
        read_generation(sent)


def test_each_layer_holds_its_own_objects() -> None:
    town = build_town(Road(straight(), generation=Generation(wall_height_m=1.0)))
    count = {
        bit: len(layers.members(town.objects, bit))
        for bit in (layers.BUILDINGS, layers.FOLIAGE, layers.STREET_LIGHTS, layers.WALLS)
    }
    assert min(count.values()) > 0 and count[layers.WALLS] == 2
    for one, other in combinations(count, 2):
        shared = layers.members(town.objects, one) & layers.members(town.objects, other)
        assert not shared
    assert layers.members(town.objects, 0) == frozenset()


# CARLA's own towns


@pytest.fixture(scope="module", params=["town", *TOWNS])
def any_map(request: pytest.FixtureRequest, atlas: Maps) -> Map:
    if request.param == "town":
        return atlas.named("town")
    return atlas.of_file(towns_folder() / f"{request.param}.xodr")


@pytest.fixture
def any_town(any_map: Map) -> Road:
    return any_map.road


def footprint(pose: object, length_m: float, width_m: float) -> shapely.Polygon:
    c, s = math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)  # type: ignore[attr-defined]
    corners = [(a * length_m / 2, b * width_m / 2) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return shapely.Polygon(
        [(pose.x_m + a * c - b * s, pose.y_m + a * s + b * c) for a, b in corners]  # type: ignore[attr-defined]
    )


def test_every_vehicle_fits_at_every_spawn_point_and_none_overlap(any_map: Map) -> None:
    sizes = [b.size_m for b in BLUEPRINTS.values() if b.kind == "vehicle"]
    length, width = max(s[0] for s in sizes), max(s[1] for s in sizes)
    shapes = [footprint(p, length, width) for p in any_map.road.spawn_points]
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    assert (first == second).all() and len(shapes) > 80
    solid = shapely.STRtree([shapely.Polygon(o) for o in any_map.town.obstacles])
    assert not len(solid.query(shapes, predicate="intersects")[0])


def test_every_driving_lane_outside_junctions_has_a_spawn_point(any_town: Road) -> None:
    served = {
        (lane.road_id, lane.lane_id)
        for spawn in any_town.spawn_points
        if (lane := any_town.lane_at(spawn.x_m, spawn.y_m, spawn.z_m)) is not None
    }
    wide = {
        (r.road_id, r.lane_id)
        for r in any_town.ribbons
        if r.kind == "driving"
        and not r.is_junction
        and np.linalg.norm(np.diff(r.left, axis=0), axis=1).sum() > 12.5
    }
    missing = wide - served
    assert not missing


def test_houses_and_trees_keep_off_the_roads(any_map: Map) -> None:
    town = any_map.town
    lanes = shapely.STRtree(
        [
            shapely.Polygon(np.concatenate([r.left, r.right[::-1]])[:, :2]).buffer(0)
            for r in any_map.road.ribbons
            if r.kind in ("driving", "sidewalk", "shoulder")
        ]
    )
    houses = [shapely.Polygon(o) for o in town.obstacles]
    houses = [shape for shape in houses if shape.area > 4.0]
    trunks = [shapely.Point(o.transform[:2, 3]) for o in town.objects if o.tag == 9]
    assert len(houses) > 20 and len(trunks) > 20
    assert not len(lanes.query([*houses, *trunks], predicate="intersects")[0])


def test_every_light_of_the_towns_rules_lanes_and_faces_them(any_town: Road) -> None:
    lights = [s for s in any_town.signals if s.kind == "traffic_light"]
    assert lights and all(light.lane_ids for light in lights)
    for light in lights:
        for line in light.stop_lines:
            # Left end first: who looks along the light's yaw has the line from left to right.
            across = (line[1] - line[0])[:2]
            right = np.array([-math.sin(light.pose.yaw_rad), math.cos(light.pose.yaw_rad)])
            assert across @ right > 0.5 * np.linalg.norm(across), light.id
