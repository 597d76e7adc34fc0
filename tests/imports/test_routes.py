from __future__ import annotations

import pytest
from texts import does, read, routes, trial

from simattack import config
from simattack.errors import ConfigError
from simattack.imports import foreign


def only(folder, kind, inside="", x=0.0):
    """The cast for one scenario of a type, triggered 60 m along the route by default."""
    scenario, notes = read(folder, routes(trial(kind, inside, x)))
    return scenario, notes


def places(scenario):
    return [(role.who, role.ahead_m[0], role.right_m[0]) for role in scenario.cast]


def test_a_route_leads_by_its_positions_and_is_not_ended_by_a_collision(tmp_path):
    scenario, notes = read(tmp_path, routes(""))
    place = scenario.places[0]
    assert place.start == (-60.0, 1.75) and place.via == ((90.0, 1.75),)
    assert scenario.map == "town" and scenario.sites == ("route_7",) and notes == []
    assert scenario.max_time_s == 100.0  # 150 m at 1.5 m/s
    assert not scenario.collision_ends and scenario.unsafe == "collision"


def test_positions_of_leaderboard_one_are_read_as_well(tmp_path):
    ways = "".join(f'<waypoint x="{x}" y="1.75" z="0" pitch="0" yaw="0"/>' for x in (-60, 30))
    text = f'<routes><route id="0" map="town">{ways}</route></routes>'
    assert read(tmp_path, text)[0].places[0].via == ((30.0, 1.75),)


def test_the_first_weather_is_taken_and_that_is_told(tmp_path):
    told = (
        '<weathers><weather route_percentage="100" cloudiness="80"/><weather '
        'route_percentage="0" cloudiness="5" sun_altitude_angle="15" '
        'scattering_intensity="1"/></weathers>'
    )
    scenario, notes = read(tmp_path, routes(told))
    assert scenario.weather.cloudiness == (5.0, 5.0)
    assert scenario.weather.sun_altitude_angle == (15.0, 15.0)
    assert "scattering_intensity left away" in notes[0]
    assert "taken for the whole route; 1 later ones left away" in notes[1]


def test_one_of_several_routes_is_chosen_by_its_id(tmp_path):
    two = routes("", routes("", route="8").removeprefix("<routes>").removesuffix("</routes>"))
    with pytest.raises(ConfigError, match=r"--route with one of its routes \(7, 8\), got 2 routes"):
        read(tmp_path, two)
    with pytest.raises(ConfigError, match=r"got --route 9"):
        read(tmp_path, two, route="9")
    assert read(tmp_path, two, route="8")[0].name == "some_8"


@pytest.mark.parametrize("kind", ["DynamicObjectCrossing", "ParkingCrossingPedestrian"])
def test_somebody_crosses_from_behind_something(tmp_path, kind):
    blocker = '<blocker_model value="static.prop.container"/>' * (kind[0] == "D")
    scenario, _ = only(tmp_path, kind, f'<distance value="20"/>{blocker}')
    what = "static.prop.container" if blocker else "car"
    assert places(scenario) == [(what, 76.5, 3.4), ("adult", 80.0, 4.2)]
    assert does(scenario, 1) == {"kind": "cross", "speed_mps": 2.0, "when": {"eta_s": 3.0}}


@pytest.mark.parametrize("kind", ["HardBreakRoute", "OtherLeadingVehicle"])
def test_a_car_ahead_drives_brakes_and_goes_on(tmp_path, kind):
    scenario, _ = only(tmp_path, kind, x=-20.0)
    assert places(scenario) == [("car", 65.0, 0.0)]
    steps = does(scenario)["steps"]
    assert [step["to_mps"] for step in steps] == [8.0, 0.0, 8.0]
    assert steps[0]["when"] == {"driven_m": 40.0}


@pytest.mark.parametrize("kind", ["ParkingCutIn", "StaticCutIn"])
def test_a_parked_car_pulls_out(tmp_path, kind):
    scenario, _ = only(tmp_path, kind)
    assert places(scenario) == [("car", 95.0, 3.4)]
    assert does(scenario)["steps"][0]["to_right_m"] == 0.0


def test_a_site_of_works_is_cones_and_barriers_and_an_unused_speed_is_told(tmp_path):
    inside = '<distance value="60"/><speed value="50"/>'
    scenario, notes = only(tmp_path, "ConstructionObstacle", inside)
    assert places(scenario) == [("cone", 105.0, 2.2), ("barrier", 125.0, 2.0)]
    assert "<speed>: left away" in notes[0]


@pytest.mark.parametrize(
    "text, match",
    [
        (routes(trial("AccidentTwoWays")), r"line 4: <scenario> 'AccidentTwoWays_1': .* out of Dy"),
        (routes(trial("ControlLoss")), "got 'ControlLoss'"),
        (routes(trial("ParkingCutIn", '<direction value="left"/>')), "direction right, got 'left'"),
        (routes(trial("ParkingCutIn", "<flow_speed/>")), "<flow_speed>: expected one of trigger"),
        (routes(trial("ParkingCutIn").replace('y="1.75"', 'y="40"')), "within 10 m of the route"),
        (routes("<traffic/>"), "<traffic>: expected one of weather"),
        (routes('<weather fog="3"/>'), "expected weather of cloudiness.* got 'fog'"),
        (routes("", town="Town99"), "an OpenDRIVE map beside the file.* got 'Town99'"),
        (routes("").replace("90.0", "90.0e3"), r"'7': place 'route_7': .* m from the nearest"),
        ('<routes><route id="1" town="town"/></routes>', "at least 2 positions"),
        ('<routes><route id="1"/></routes>', "expected an attribute 'town', got id"),
        ("<tracks/>", "<tracks>: expected <routes> or <OpenSCENARIO> around all"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_its_element(tmp_path, text, match):
    with pytest.raises(ConfigError, match=match):
        read(tmp_path, text)


def test_lenient_leaves_a_scenario_away_with_a_line(tmp_path):
    scenario, notes = read(tmp_path, routes(trial("ControlLoss")), is_lenient=True)
    assert scenario.cast == () and notes[0].startswith("skipped: ")


def test_flags_of_the_other_format_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="--ego and --length-m are for OpenSCENARIO"):
        read(tmp_path, routes(""), ego="car")


def test_a_route_is_read_back_as_it_was_written(tmp_path):
    scenario, notes = read(tmp_path, routes(trial("HardBreakRoute") + '<weather wetness="3"/>'))
    path = foreign.write(scenario, tmp_path / "mine.yaml", tmp_path / "some.xml", notes)
    assert config.read_scenario(str(path)) == scenario
