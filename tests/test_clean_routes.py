"""The ten clean routes: how long they are, and what stands on them."""

from __future__ import annotations

import carla
import numpy as np
from maproads import towns_folder

from simattack import config, lights, resources, surfaces
from simattack.polyline import Polyline
from simattack.roadmap import RoadMap
from simattack.types import Route


def test_the_clean_routes_are_ten_kilometres_and_never_take_one_lane_twice():
    total_m = 0.0
    for entry in config.read("clean_10km").entries:
        scenario = entry.scenario
        own = scenario.map == "town"
        path = resources.find("scenarios/maps/town.xodr") if own else None
        path = path or towns_folder() / f"{scenario.map}.xodr"
        road = RoadMap(carla, carla.Map(scenario.map, path.read_text()))
        place = scenario.place(scenario.sites[0])
        points = road.place_route(place).points[::4, :2]
        total_m += Polyline(road.place_route(place).points).length_m
        away = np.linalg.norm(points[:, None] - points[None], axis=2)
        apart = np.abs(np.subtract.outer(np.arange(len(points)), np.arange(len(points))))
        assert ((away < 2.0) & (apart > 15)).sum() < 20, scenario.name  # crossing is allowed
    assert total_m >= 10_000


def test_stop_signs_of_a_route_are_those_it_passes_in_its_own_lane():
    path = resources.find("scenarios/maps/town.xodr")
    known = carla.Map("town", path.read_text())
    road = RoadMap(carla, known)
    approach = next(iter(surfaces.approaches("town").values()))
    route = road.route(approach, 40.0, 10.0)
    found = lights.stop_lines(known, route)
    assert len(found) == 1
    # The map's signs tell of where the lane enters the junction, the catalogue of the painted line.
    away = found[0].mean(0) - approach.stop_line_m.mean(0)
    assert np.hypot(*away[:2]) < 6.0


def test_a_line_is_the_routes_own_if_it_lies_across_it_the_way_it_goes():
    x = np.arange(0.0, 60.0)
    route = Route(np.stack([x, 0 * x, 0 * x], 1), 0 * x + 10, (0.0, 0.0))
    across = np.array([[30.0, -1.75, 0.0], [30.0, 1.75, 0.0]])  # left end, right end
    along = np.array([[28.25, 0.0, 0.0], [31.75, 0.0, 0.0]])
    beside = np.add(across, (0.0, 3.5, 0.0))
    for line, count in ((across, 1), (across[::-1], 0), (along, 0), (beside, 0)):
        assert len(lights.stop_lines(None, route, [line])) == count
    later, again = (np.add(across, (x_m, 0.0, 0.0)) for x_m in (9.0, 1.5))
    two = lights.stop_lines(None, route, [later, across, again])
    assert [line[0, 0] for line in two] == [30.0, 39.0]  # in its order, two signs of one line once
