"""The shipped town: what its script promises, seen by carla.Map."""

import math
import subprocess
import sys
from collections import Counter

import carla
import pytest

from simattack.resources import find


@pytest.fixture(scope="module")
def text() -> str:
    return find("scenarios/maps/town.xodr").read_text("utf-8")


@pytest.fixture(scope="module")
def town(text) -> carla.Map:
    return carla.Map("town", text)


@pytest.fixture(scope="module")
def points(town) -> list[carla.Waypoint]:
    return list(town.generate_waypoints(4.0))


def turn_deg(a: carla.Waypoint, b: carla.Waypoint) -> float:
    return abs((b.transform.rotation.yaw - a.transform.rotation.yaw + 180) % 360 - 180)


def test_the_committed_map_is_what_the_script_writes(text, tmp_path):
    script = tmp_path / "town.py"
    script.write_text(find("scenarios/maps/town.py").read_text("utf-8"), "utf-8")
    subprocess.run([sys.executable, str(script)], check=True, timeout=60)
    assert (tmp_path / "town.xodr").read_text("utf-8") == text


def test_every_lane_goes_on_without_a_jump_or_a_kink(points):
    for point in points:
        after = point.next(1.0)
        assert after, f"dead end at road {point.road_id} lane {point.lane_id} s {point.s}"
        for follower in after:
            gap = follower.transform.location.distance(point.transform.location)
            assert gap == pytest.approx(1.0, abs=0.2)
            # The tightest lane is that of a right turn: 10.25 m radius.
            assert turn_deg(point, follower) < 7.0


def test_every_way_through_a_crossing_joins_the_road_behind_it_exactly(town):
    for start, end in town.get_topology():
        last = start.next_until_lane_end(0.5)[-1]
        rest = last.transform.location.distance(end.transform.location)
        assert rest <= 0.75
        assert turn_deg(last, end) < 5.0


def test_from_anywhere_one_gets_everywhere(town):
    ways: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for start, end in town.get_topology():
        ways.setdefault((start.road_id, start.lane_id), set()).add((end.road_id, end.lane_id))
    for first in ways:
        seen, todo = {first}, [first]
        while todo:
            for lane in ways[todo.pop()] - seen:
                seen.add(lane)
                todo.append(lane)
        assert seen == set(ways)


def test_crossings_have_stop_signs_or_lights_and_crosswalks(town):
    kinds = Counter(landmark.type for landmark in town.get_all_landmarks())
    assert kinds["206"] == 28
    assert kinds["1000001"] == 4
    # CARLA closes each outline, so five points a crosswalk.
    assert len(town.get_crosswalks()) == 32 * 5


def test_ten_stop_signs_have_a_long_straight_approach_and_are_found_from_its_start(town):
    long = 0
    for landmark in town.get_all_landmarks_of_type("206"):
        (lane, _), *_ = landmark.get_lane_validities()
        point = town.get_waypoint_xodr(landmark.road_id, lane, landmark.s)
        # CARLA's list ends with a point beyond the lane.
        run = [p for p in point.previous_until_lane_start(1.0) if p.road_id == point.road_id]
        if max(turn_deg(point, before) for before in run) > 0.1 or len(run) < 150:
            continue
        long += 1
        (start,) = point.previous(80.0)
        found = [
            mark
            for mark in start.get_landmarks(100.0, True)
            if mark.type == "206" and mark.id == landmark.id
        ]
        assert len(found) == 1
        assert found[0].distance == pytest.approx(80.0, abs=0.1)
        facing = landmark.transform.rotation.yaw - start.transform.rotation.yaw
        assert math.cos(math.radians(facing)) == pytest.approx(1.0)
    assert long == 20


def test_no_car_is_told_of_a_sign_for_the_other_direction(points):
    for point in points[::7]:
        for landmark in point.get_landmarks(60.0, True):
            (lane, _), *_ = landmark.get_lane_validities()
            assert landmark.waypoint.lane_id == lane


def test_a_loop_bends_with_a_radius_of_50_metres(town):
    bends = 0
    for point in town.generate_waypoints(10.0):
        follower = point.next(1.0)[0]
        if follower.road_id != point.road_id or point.is_junction:
            continue
        if turn_deg(point, follower) < 0.1:
            continue
        bends += 1
        arc = point.transform.location.distance(follower.transform.location)
        radius = arc / math.radians(turn_deg(point, follower))
        # Reference line 50 m; the two lanes run 1.75 m inside and outside of it.
        assert radius in (pytest.approx(48.25, rel=0.02), pytest.approx(51.75, rel=0.02))
    # Four loops, both directions, 236 m each.
    assert bends > 150
