"""The shipped town's scenery: what it must not do to roads, to itself and to the view of signs."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from simattack.resources import find
from simattack.server.road import Road
from simattack.server.town import Town, build_town

STREET = """<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="" version="1"/>
<road name="{}" length="120" id="1" junction="-1"><planView>
<geometry s="0" x="0" y="0" hdg="0" length="120"><line/></geometry></planView><lanes>
<laneSection s="0"><center><lane id="0" type="none" level="false"/></center><right>
<lane id="-1" type="driving" level="false"><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane>
</right></laneSection></lanes></road></OpenDRIVE>"""
PLACED = ("Building", "StreetLamp", "Plant", "Billboard")


@pytest.fixture(scope="module")
def road() -> Road:
    return Road(find("scenarios/maps/town.xodr").read_text("utf-8"), "town")


@pytest.fixture(scope="module")
def town(road: Road) -> Town:
    return build_town(road)


@pytest.fixture(scope="module")
def blocks(town: Town, road: Road) -> shapely.STRtree:
    """Footprints of everything that was placed by chance: no sign's post, no light's mast."""
    posts = [(s.pose.x_m, s.pose.y_m) for s in road.signals]
    posts += [tuple(o.transform[:2, 3]) for o in town.objects if "Mast" in o.name]
    shapes = [shapely.Polygon(outline) for outline in town.obstacles]
    apart = shapely.MultiPoint(posts)
    return shapely.STRtree([s for s in shapes if s.area > 4 or s.distance(apart) > 0.5])


def test_one_map_gives_one_town(town: Town, road: Road) -> None:
    again = build_town(road)
    assert [o.name for o in again.objects] == [o.name for o in town.objects]
    assert all(
        (a.transform == b.transform).all() and a.color == b.color
        for a, b in zip(again.objects, town.objects, strict=True)
    )


def test_another_map_text_gives_another_town() -> None:
    maps = [STREET.format(name) for name in ("here", "there")]
    houses = [
        [tuple(o.transform[:2, 3]) for o in build_town(Road(text)).objects if "Building" in o.name]
        for text in maps
    ]
    assert min(map(len, houses)) > 3 and houses[0] != houses[1]


def test_names_and_ids_are_unique_and_ids_fit_sixteen_bits(town: Town) -> None:
    names, ids = [o.name for o in town.objects], [o.id for o in town.objects]
    assert len(set(names)) == len(names) and len(set(ids)) == len(ids)
    assert min(ids) >= 20000 and max(ids) < 65536


def test_every_signal_of_the_map_stands_in_the_town(town: Town, road: Road) -> None:
    titles = {"stop": "StopSign", "speed_limit": "SpeedLimit", "traffic_light": "TrafficLight"}
    names = {o.name for o in town.objects}
    assert {f"{titles[s.kind]}_{s.id}" for s in road.signals} <= names


def test_the_town_is_built_up(town: Town) -> None:
    count = {kind: sum(o.name.startswith(kind) for o in town.objects) for kind in PLACED}
    assert count["Building"] > 100 and count["Plant"] > 200
    assert count["StreetLamp"] > 50 and count["Billboard"] > 5


def test_nothing_placed_stands_on_a_lane_or_a_sidewalk(road: Road, blocks: shapely.STRtree) -> None:
    for ribbon in road.ribbons:
        lane = shapely.Polygon(np.concatenate([ribbon.left, ribbon.right[::-1]])[:, :2])
        assert not len(blocks.query(lane, predicate="intersects")), ribbon.road_id


def test_nothing_placed_overlaps_anything_else(blocks: shapely.STRtree) -> None:
    shapes = blocks.geometries
    first, second = blocks.query(shapes, predicate="intersects")
    assert (first == second).all()


def test_a_driver_sees_every_stop_sign_from_forty_metres_on(
    road: Road, town: Town, blocks: shapely.STRtree
) -> None:
    crowns = shapely.STRtree(
        [shapely.Point(o.transform[:2, 3]).buffer(2.0) for o in town.objects if "Plant" in o.name]
    )
    for signal in road.signals:
        if signal.kind != "stop":
            continue
        sign = np.array([signal.pose.x_m, signal.pose.y_m])
        forward = np.array([np.cos(signal.pose.yaw_rad), np.sin(signal.pose.yaw_rad)])
        right = np.array([-forward[1], forward[0]])
        for back in (40.0, 25.0, 10.0):
            # The lane's middle is 3.55 m to the left of the sign.
            view = shapely.LineString([sign - back * forward - 3.55 * right, sign])
            assert not len(blocks.query(view, predicate="intersects")), signal.id
            assert not len(crowns.query(view, predicate="intersects")), signal.id


def test_nothing_placed_stands_within_six_metres_of_a_sign(
    road: Road, blocks: shapely.STRtree
) -> None:
    for signal in road.signals:
        foot = shapely.Point(signal.pose.x_m, signal.pose.y_m)
        assert not len(blocks.query(foot, predicate="dwithin", distance=6.0)), signal.id


def test_a_stop_sign_faces_the_traffic_it_stops(town: Town, road: Road) -> None:
    by_name = {o.name: o for o in town.objects}
    for signal in road.signals:
        if signal.kind != "stop":
            continue
        top_left, top_right, _, bottom_left = by_name[f"StopSign_{signal.id}"].corners_m
        yaw = signal.pose.yaw_rad
        # To a driver who looks along yaw, the face runs to the right and downwards.
        np.testing.assert_allclose(
            top_right - top_left, 0.75 * np.array([-np.sin(yaw), np.cos(yaw), 0]), atol=1e-9
        )
        np.testing.assert_allclose(bottom_left - top_left, [0, 0, -0.75], atol=1e-9)
        middle = (top_right + bottom_left) / 2
        np.testing.assert_allclose(
            middle, [signal.pose.x_m, signal.pose.y_m, signal.pose.z_m + 2.2], atol=1e-6
        )
