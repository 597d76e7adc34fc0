"""Roads: our surfaces against carla.Map, signals, heights, and maps that cannot be used."""

import math
from pathlib import Path

import numpy as np
import pytest

from simattack.errors import MapError
from simattack.resources import find
from simattack.server.opendrive import parse
from simattack.server.road import Road
from simattack.server.road_shape import Geometry

HILL = """<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="" version="1"
date="" north="0" south="0" east="0" west="0"><geoReference>
<![CDATA[+proj=tmerc +lat_0=49 +lon_0=8]]></geoReference></header>
<road name="hill" length="160" id="7" junction="-1"><link/>
<type s="0" type="town"><speed max="25" unit="mph"/></type>
<planView>
<geometry s="0" x="10" y="20" hdg="0.3" length="60"><line/></geometry>
<geometry s="60" x="{x1}" y="{y1}" hdg="0.3" length="40"><arc curvature="0.02"/></geometry>
<geometry s="100" x="{x2}" y="{y2}" hdg="1.1" length="60"><line/></geometry>
</planView>
<elevationProfile><elevation s="0" a="1" b="0" c="0" d="0"/>
<elevation s="30" a="1" b="0.05" c="0.0005" d="0.000004"/></elevationProfile>
<lanes><laneOffset s="0" a="0.5" b="0" c="0" d="0"/><laneSection s="0">
<left><lane id="1" type="driving" level="false"><link/>
<width sOffset="0" a="3" b="0.01" c="0" d="0"/></lane></left>
<center><lane id="0" type="none" level="false">
<roadMark sOffset="0" type="broken" weight="standard" color="yellow" width="0.2"/>
<roadMark sOffset="50" type="solid" weight="standard" color="standard" width="0.1"/>
</lane></center>
<right><lane id="-1" type="driving" level="false"><link/>
<width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane>
<lane id="-2" type="sidewalk" level="false"><link/>
<width sOffset="0" a="2" b="0" c="0" d="0"/><height sOffset="0" inner="0.1" outer="0.1"/></lane>
</right></laneSection></lanes></road></OpenDRIVE>"""


def hill_text() -> str:
    """One road: straight, left-hand bend, straight; climbing from s = 30 on; lanes shifted."""
    x1, y1 = 10 + 60 * math.cos(0.3), 20 + 60 * math.sin(0.3)
    x2, y2 = x1 + 50 * (math.sin(1.1) - math.sin(0.3)), y1 - 50 * (math.cos(1.1) - math.cos(0.3))
    return HILL.format(x1=x1, y1=y1, x2=x2, y2=y2)


@pytest.fixture(scope="module")
def hill() -> Road:
    return Road(hill_text())


@pytest.fixture(scope="module")
def town() -> Road:
    return Road(Path(find("scenarios/maps/town.xodr")).read_text("utf-8"), "town")


def between(a: np.ndarray, b: np.ndarray, point: np.ndarray) -> float:
    """Distance of a point from the polyline that runs midway between two edges."""
    line = (a + b) / 2
    start, step = line[:-1], np.diff(line, axis=0)
    along = np.clip(((point - start) * step).sum(1) / (step * step).sum(1), 0, 1)
    return float(np.linalg.norm(start + along[:, None] * step - point, axis=1).min())


@pytest.mark.parametrize("name", ["hill", "town"])
def test_lane_surfaces_lie_where_the_client_sees_the_lanes(name, request):
    road = request.getfixturevalue(name)
    import carla

    points = carla.Map("oracle", road.opendrive).generate_waypoints(9.7)
    ribbons = {(r.road_id, r.lane_id): r for r in road.ribbons}
    worst = 0.0
    for point in points:
        ribbon = ribbons[point.road_id, point.lane_id]
        place = point.transform.location
        worst = max(
            worst, between(ribbon.left, ribbon.right, np.array([place.x, place.y, place.z]))
        )
    # Chords of a 50 m arc lie 2.5 cm inside it at 0.06 rad a step.
    assert worst < 0.03


def test_left_edges_are_left_of_right_edges_along_the_road(town):
    for ribbon in town.ribbons:
        ahead = np.diff(ribbon.left, axis=0)[:, :2] + np.diff(ribbon.right, axis=0)[:, :2]
        across = (ribbon.right - ribbon.left)[:-1, :2]
        # Left-handed world: turning from forward to right is positive.
        assert (ahead[:, 0] * across[:, 1] - ahead[:, 1] * across[:, 0] > 0).all()


def test_height_follows_the_elevation_profile(hill):
    # On the straight at s = 50, middle of lane -1: t = 0.5 - 1.75.
    x = 10 + 50 * math.cos(0.3) + 1.25 * math.sin(0.3)
    y = -(20 + 50 * math.sin(0.3) - 1.25 * math.cos(0.3))
    climbed = 1 + 0.05 * 20 + 0.0005 * 20**2 + 0.000004 * 20**3
    assert hill.height(np.array([[x, y]]))[0] == pytest.approx(climbed, abs=0.01)


def test_a_sidewalk_stands_a_kerb_above_its_road(hill):
    x, y = 10 + 4 * math.sin(0.3) + 10 * math.cos(0.3), 20 - 4 * math.cos(0.3) + 10 * math.sin(0.3)
    assert hill.height(np.array([[x, -y]]))[0] == pytest.approx(1.1)


def test_ground_beside_the_road_has_the_level_of_the_nearest_lane(hill):
    top = 1 + 0.05 * 130 + 0.0005 * 130**2 + 0.000004 * 130**3
    end = hill.ribbons[0].left[-1, :2]
    beyond = end + 30 * np.array([math.cos(1.1), -math.sin(1.1)])
    low, high = hill.height(np.array([[-40.0, -5.0], beyond]))
    assert low == pytest.approx(1.0, abs=0.02)
    # The last piece is up to 5 m long and climbs steeply.
    assert high == pytest.approx(top, abs=1.0)


def test_marks_change_where_the_map_says(hill):
    broken, solid = hill.markings
    assert (broken.kind, broken.color, broken.width_m) == ("broken", "yellow", 0.2)
    assert (solid.kind, solid.color, solid.width_m) == ("solid", "white", 0.1)
    np.testing.assert_allclose(broken.points[-1], solid.points[0])
    steps = [np.diff(mark.points[:, :2], axis=0) for mark in hill.markings]
    lengths = [np.linalg.norm(step, axis=1).sum() for step in steps]
    # 0.8 rad of bend to the left, and the lanes' offset takes 0.5 m off its radius.
    assert lengths == [pytest.approx(50, abs=0.01), pytest.approx(110 - 0.4, abs=0.05)]


def test_lane_query_names_lane_heading_and_speed(hill):
    x = 10 + 20 * math.cos(0.3) - 2.0 * math.sin(0.3)
    y = -(20 + 20 * math.sin(0.3) + 2.0 * math.cos(0.3))
    lane = hill.lane_at(x, y, 1.0)
    assert lane is not None
    assert (lane.road_id, lane.lane_id, lane.kind) == (7, 1, "driving")
    assert lane.s == pytest.approx(20, abs=0.01)
    assert lane.width_m == pytest.approx(3.2, abs=0.01)
    assert lane.speed_limit_kmh == pytest.approx(40.2336)
    # Lane 1 drives against the road (0.3 rad anticlockwise, turned round); it widens by 0.01.
    assert math.remainder(lane.yaw_rad - (math.pi - 0.3 - 0.005), 2 * math.pi) == pytest.approx(
        0.0, abs=1e-3
    )


def test_beside_the_road_is_no_lane_but_a_nearest_one(hill):
    assert hill.lane_at(-40.0, 40.0) is None
    assert hill.nearest_lane(-40.0, 40.0).road_id == 7


def test_north_is_negative_latitude_steps_as_the_client_computes_them(town):
    assert town.geo_origin == pytest.approx((49.0, 8.0))
    latitude, longitude, altitude = town.geolocation(0.0, 1000.0, 5.0)
    # 1 km along y, on CARLA's sphere of 6378137 m scaled by 1 / 0.9996.
    assert latitude - 49.0 == pytest.approx(0.0089867475, abs=1e-7)
    assert longitude == pytest.approx(8.0, abs=1e-5)
    assert altitude == pytest.approx(5.0)


def test_spiral_starts_as_line_and_ends_as_arc():
    # Curvature grows from 0 to 0.05 over 20 m: turned by 0.5 rad; offsets by Fresnel series.
    spiral = Geometry(0.0, 0.0, 0.0, 0.0, 20.0, "spiral", (0.0, 0.05 / 20))
    x, y, heading = spiral.at(np.array([20.0]))
    assert heading[0] == pytest.approx(0.5)
    turn = 0.5
    assert x[0] == pytest.approx(20 * (1 - turn**2 / 10 + turn**4 / 216 - turn**6 / 9360), abs=1e-6)
    assert y[0] == pytest.approx(20 * (turn / 3 - turn**3 / 42 + turn**5 / 1320), abs=1e-5)


def test_a_normalized_parametric_cubic_spans_its_length():
    text = hill_text().replace(
        "<line/>",
        '<paramPoly3 pRange="normalized" aU="0" bU="60" cU="0" dU="0" aV="0" bV="0" cV="6" '
        'dV="0"/>',
        1,
    )
    x, y, heading = parse(text).roads[7].reference(np.array([59.999999]))
    u, v = 60.0, 6.0
    assert x[0] == pytest.approx(10 + u * math.cos(0.3) - v * math.sin(0.3), abs=1e-4)
    assert y[0] == pytest.approx(20 + u * math.sin(0.3) + v * math.cos(0.3), abs=1e-4)
    assert heading[0] == pytest.approx(0.3 + math.atan2(12, 60), abs=1e-4)


def test_a_stop_sign_faces_its_traffic_at_the_line_on_the_right(town):
    signs = [s for s in town.signals if s.kind == "stop"]
    assert len(signs) == 28
    for sign in signs:
        (ends,) = sign.stop_lines
        middle = ends.mean(axis=0)
        ahead = np.array([math.cos(sign.pose.yaw_rad), math.sin(sign.pose.yaw_rad)])
        right = np.array([-ahead[1], ahead[0]])
        away = np.array([sign.pose.x_m, sign.pose.y_m]) - middle[:2]
        assert 0.0 <= away @ ahead <= 1.0
        # 1.75 m to the lane's edge, then 1.8 m.
        assert away @ right == pytest.approx(3.55, abs=0.01)
        assert 2.1 <= sign.height_m <= 2.4
        lane = town.lane_at(float(middle[0]), float(middle[1]))
        assert lane is not None
        assert math.cos(lane.yaw_rad - sign.pose.yaw_rad) == pytest.approx(1.0)
        assert sign.lane_ids == (lane.lane_id,)
        assert sign.road_id == lane.road_id


def test_a_trigger_box_covers_the_last_metres_before_the_line_and_no_other_lane(town):
    for signal in town.signals:
        if signal.kind not in ("stop", "traffic_light"):
            continue
        box = signal.trigger
        ahead = np.array([math.cos(box.yaw_rad), math.sin(box.yaw_rad)])
        front = np.array(box.centre[:2]) + box.half[0] * ahead
        np.testing.assert_allclose(front, signal.stop_lines[0].mean(axis=0)[:2], atol=1e-3)
        assert box.half[1] < 3.5 / 2


def test_lights_share_a_controller_with_the_opposite_arm(town):
    lights = [s for s in town.signals if s.kind == "traffic_light"]
    assert len(lights) == 4
    phases: dict[str | None, list[float]] = {}
    for light in lights:
        phases.setdefault(light.controller, []).append(light.pose.yaw_rad)
    assert sorted(map(len, phases.values())) == [2, 2]
    for first, second in phases.values():
        assert math.cos(first - second) == pytest.approx(-1.0)
    assert len({light.junction for light in lights}) == 1


def test_a_reference_inside_the_junction_rules_the_lane_that_leads_there(town):
    # As RoadRunner writes it: the light itself rules no lane, connecting roads refer to it.
    light = next(s for s in town.signals if s.kind == "traffic_light")
    (lane,) = light.lane_ids
    text = town.opendrive
    written = text.index(f'id="{light.id}" name="Signal_3Light')
    own = f'fromLane="{lane}" toLane="{lane}"'
    rule = text.index(own, written)
    text = text[:rule] + 'fromLane="0" toLane="0"' + text[rule + len(own) :]
    contact = "end" if lane < 0 else "start"
    way_in = f'<predecessor elementType="road" elementId="{light.road_id}" contactPoint="{contact}"'
    end = text.index("</road>", text.index(way_in))
    reference = (
        f'<signals><signalReference id="{light.id}" s="1" t="0" orientation="+">'
        '<validity fromLane="-1" toLane="-1"/></signalReference></signals>'
    )
    text = text[:end] + reference + text[end:]
    moved = next(s for s in Road(text).signals if s.id == light.id)
    assert (moved.road_id, moved.lane_ids) == (light.road_id, light.lane_ids)
    # Nobody painted a line for it: cars stop just before the junction, past the painted one.
    shift = moved.stop_lines[0].mean(axis=0) - light.stop_lines[0].mean(axis=0)
    assert np.linalg.norm(shift) == pytest.approx(0.55, abs=0.01)


def test_stop_lines_are_bars_across_one_lane(town):
    assert len(town.stop_lines) == 32
    for bar in town.stop_lines:
        sides = np.linalg.norm(np.diff(bar, axis=0, append=bar[:1]), axis=1)
        np.testing.assert_allclose(sides, [3.3, 0.4, 3.3, 0.4], atol=1e-6)


def test_spawn_points_stand_on_their_lane_and_the_first_ones_are_spread(town):
    assert len(town.spawn_points) >= 155
    for spawn in town.spawn_points:
        lane = town.lane_at(spawn.x_m, spawn.y_m)
        assert lane is not None and lane.kind == "driving" and not lane.is_junction
        assert math.cos(lane.yaw_rad - spawn.yaw_rad) == pytest.approx(1.0)
        assert spawn.z_m == pytest.approx(0.3)
    places = np.array([(s.x_m, s.y_m) for s in town.spawn_points])
    gaps = np.linalg.norm(places[:, None] - places, axis=2) + 99 * np.eye(len(places))
    assert gaps.min() > 3.4
    first = np.ptp(places[:30], axis=0)
    assert (first > 350).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<OpenDRIVE><road", "does not parse"),
        ("<osm></osm>", "expected an <OpenDRIVE> map, got <osm>"),
        ("<OpenDRIVE></OpenDRIVE>", "without any"),
        ("<!DOCTYPE x><OpenDRIVE/>", "DOCTYPE"),
        (hill_text().replace('curvature="0.02"', 'curvature="nan"'), "road '7'.*curvature.*nan"),
        (hill_text().replace('length="40"', 'length="abc"'), "road '7'.*abc"),
        (hill_text().replace('"driving"', '"sidewalk"'), "expected driving lanes"),
    ],
)
def test_a_map_that_cannot_be_used_is_refused_in_one_line(text, message):
    with pytest.raises(MapError, match=message) as caught:
        Road(text)
    assert "\n" not in str(caught.value)
