from __future__ import annotations

import carla
import numpy as np
import pytest
from maproads import towns_folder

from simattack import resources
from simattack.errors import ConfigError
from simattack.places import Place, Point, catalogue
from simattack.polyline import Polyline
from simattack.reading import FieldError
from simattack.roadmap import RoadMap


@pytest.fixture(scope="module")
def road() -> RoadMap:
    text = resources.find("scenarios/maps/town.xodr").read_text()
    return RoadMap(carla, carla.Map("town", text))


def place(**given) -> Place:
    return Place(**{"name": "here", "start": Point(-60, 1.75), "length_m": 90.0, **given})


def turn_deg(route) -> float:
    line = Polyline(route.points)
    yaw = line.pose(line.length_m).yaw_rad - line.pose(0.0).yaw_rad
    return float(np.degrees((yaw + np.pi) % (2 * np.pi) - np.pi))


@pytest.mark.parametrize("turns, degrees", [((), 0), (("left",), -90), (("right",), 90)])
def test_a_route_turns_as_it_is_told(road, turns, degrees):
    route = road.place_route(place(turns=turns))
    assert len(route.points) == 91  # a point a metre, both ends included
    assert turn_deg(route) == pytest.approx(degrees, abs=1)


def test_a_route_may_be_given_by_its_end(road):
    route = road.place_route(place(length_m=None, end=Point(30.0, 1.0)))
    assert route.points[-1] == pytest.approx([30.0, 1.75, 0.0], abs=0.6)


def test_a_route_may_be_given_by_positions(road):
    # Right at the crossing at (0, 0), by a position on the road south of it.
    route = road.place_route(place(length_m=None, via=(Point(-1.75, 40.0), Point(-1.75, 70.0))), 5)
    assert route.points[0] == pytest.approx([-55.0, 1.75, 0.0], abs=0.6)
    assert route.points[-1] == pytest.approx([-1.75, 70.0, 0.0], abs=0.6)
    with pytest.raises(ConfigError, match="place 'here': expected a position on a driving lane"):
        road.place_route(place(length_m=None, via=(Point(-60.0, 40.0),)))


def test_a_start_further_on_shortens_the_route(road):
    whole, part = road.place_route(place()), road.place_route(place(), 20.0)
    np.testing.assert_allclose(part.points, whole.points[20:])


def test_a_heading_picks_the_lane_beside_and_refuses_one_across(road):
    route = road.place_route(place(heading_deg=180.0, length_m=30.0))
    assert route.points[0][1] == pytest.approx(-1.75)
    with pytest.raises(ConfigError, match="expected traffic towards 90 degrees"):
        road.place_route(place(heading_deg=90.0))


def test_a_turn_that_is_not_there_and_an_end_beside_the_way_are_told(road):
    with pytest.raises(ConfigError, match="no way right at"):
        road.place_route(place(start=Point(-130, 191.75), length_m=160, turns=("right",)))
    with pytest.raises(ConfigError, match="passes its end by"):
        road.place_route(place(length_m=None, end=Point(30.0, 60.0)))


def test_a_place_is_checked_as_it_is_read():
    with pytest.raises(FieldError, match="either a length_m, an end or a via"):
        place(end=Point(0, 0))
    with pytest.raises(FieldError, match="finds its turns by its via"):
        place(length_m=None, via=(Point(0, 0),), turns=("left",))
    with pytest.raises(FieldError, match="a turn is left, straight, right; got 'up'"):
        place(turns=("up",))
    with pytest.raises(FieldError, match="length_m must be 10 to 2000, got 3"):
        place(length_m=3.0)


@pytest.mark.parametrize("name", ["town", "Town01", "Town02", "Town10HD"])
def test_every_place_of_a_catalogue_has_its_route(name):
    own = resources.find("scenarios/maps/town.xodr")
    path = own if name == "town" else towns_folder() / f"{name}.xodr"
    lanes = RoadMap(carla, carla.Map(name, path.read_text()))
    for entry in catalogue(name).values():
        route = lanes.place_route(entry)
        kind = entry.name.split("_")[0]
        bend = abs(turn_deg(route)) if kind != "curve" else 90
        assert kind != "straight" or bend < 2
        assert kind != "left" or bend == pytest.approx(90, abs=5)
        assert lanes.half_lanes_m(route).min() > 1.5


def test_a_map_without_a_catalogue_has_no_places():
    assert catalogue("nowhere") == {}


def test_lane_ahead_is_the_one_that_goes_the_wanted_way(road):
    there = np.array([-60.0, 1.75, 0.0])
    assert road.lane_ahead(there, 0.0, 20.0)[-1] == pytest.approx([-40.0, 1.75, 0.0])
    assert road.lane_ahead(there, np.pi, 20.0)[-1] == pytest.approx([-80.0, -1.75, 0.0])


def test_lane_ahead_goes_straight_on_over_a_crossing(road):
    ahead = road.lane_ahead(np.array([-60.0, 1.75, 0.0]), 0.0, 150.0)
    assert np.abs(ahead[:, 1] - 1.75).max() < 0.01 and ahead[-1, 0] == pytest.approx(90.0)


def test_road_and_sidewalk_are_told_apart(road):
    assert road.is_road(-60.0, 1.75, 0.0) and not road.is_road(-60.0, 6.0, 0.0)
