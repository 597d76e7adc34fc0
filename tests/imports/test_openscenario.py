from __future__ import annotations

import json
import re

import numpy as np
import pytest
from texts import (
    CAR,
    WALKER,
    at_s,
    condition,
    does,
    entity,
    event,
    private,
    read,
    speed,
    story,
    teleport,
    trigger,
    value,
    with_other,
    world,
    xosc,
)  # fmt: skip

from simattack import config
from simattack.errors import ConfigError
from simattack.imports import foreign, writing


def cue(start: str) -> dict:
    """The cue that ``other``, 40 m ahead at 8 m/s, gets of a trigger."""
    return story("other", event(speed(2, "linear", "rate", 4), start))


def lane_change(target: str, dimension="time", over=4, shape="sinusoidal") -> str:
    return (
        "<LateralAction><LaneChangeAction><LaneChangeActionDynamics "
        f'dynamicsShape="{shape}" dynamicsDimension="{dimension}" value="{over}"/>'
        f"<LaneChangeTarget>{target}</LaneChangeTarget></LaneChangeAction></LateralAction>"
    )


def relative(who="other", lanes=1) -> str:
    return f'<RelativeTargetLane entityRef="{who}" value="{lanes}"/>'


def pedestrian(*actions: str, board: str = "", at: str = world(-20, -6.0, 1.5707963)):
    """A walker 4.25 m right of the car's lane's middle, facing the road."""
    return with_other(board, at, kind=WALKER, init=private("other", *actions) if actions else "")


# -- roads, entities, Init -----------------------------------------------------------------------


def test_the_car_begins_where_init_puts_it_with_y_turned_over(tmp_path):
    scenario, notes = read(tmp_path, xosc(ego_speed=7))
    place = scenario.places[0]
    assert place.start == (-60.0, 1.75) and place.heading_deg == 0 and place.length_m == 200
    assert scenario.sites == ("start",) and scenario.speed_mps == (7.0, 7.0)
    assert scenario.map_name == "town" and scenario.unsafe == "collision"
    assert len(notes) == 1 and "its route: 200 m along its lane" in notes[0]


def test_a_file_in_carlas_own_frame_is_not_turned_over(tmp_path):
    text = xosc(start=world(-60, 1.75), head='description="CARLA:mine"')
    assert read(tmp_path, text)[0].places[0].start == (-60.0, 1.75)


def test_a_car_without_a_speed_is_given_one_and_that_is_told(tmp_path):
    scenario, notes = read(tmp_path, xosc(ego_speed=None))
    assert scenario.speed_mps == (8.0, 8.0) and "Init tells no speed" in notes[-1]


def test_the_car_is_called_ego_or_hero_or_as_somebody_says(tmp_path):
    assert read(tmp_path, xosc(ego="Hero"))[0].cast == ()
    assert read(tmp_path, xosc(ego="car1"), ego="car1")[0].cast == ()
    with pytest.raises(ConfigError, match=r"one called ego, hero.*with --ego\), got car1"):
        read(tmp_path, xosc(ego="car1"))


def test_a_map_is_found_beside_the_file_by_its_name_or_not_at_all(tmp_path):
    with pytest.raises(ConfigError, match=r"line 5: <LogicFile>: .* got 'Nowhere.xodr'"):
        read(tmp_path, xosc(network='\n<LogicFile filepath="Nowhere.xodr"/>'))
    from simattack import resources

    (tmp_path / "own.xodr").write_text(resources.find("scenarios/maps/town.xodr").read_text())
    scenario, _ = read(tmp_path, xosc(network='<LogicFile filepath="own.xodr"/>'))
    assert scenario.map == str(tmp_path / "own.xodr")


@pytest.mark.parametrize(
    "kind, who",
    [
        (CAR, "car"),
        (CAR.replace('"car"', '"motorbike"'), "motorcycle"),
        (CAR.replace("any", "vehicle.audi.tt"), "vehicle.audi.tt"),
        (WALKER, "adult"),
        (WALKER.replace('model="any"', 'model="walker.pedestrian.0009"'), "walker.pedestrian.0009"),
        (WALKER.replace('name="any"', 'name="child_1"'), "child"),
        ('<MiscObject name="traffic_cone" miscObjectCategory="obstacle"/>', "cone"),
        ('<MiscObject name="x" miscObjectCategory="barrier"/>', "barrier"),
        ('<MiscObject name="static.prop.bin" miscObjectCategory="none"/>', "static.prop.bin"),
    ],
)
def test_an_entity_becomes_a_blueprint_or_a_group(tmp_path, kind, who):
    scenario, _ = read(tmp_path, with_other(kind=kind))
    role = scenario.cast[0]
    assert role.who == who and role.ahead_m == (40.0, 40.0) and role.right_m == (0.0, 0.0)
    assert does(scenario) == {"kind": "stand"}


@pytest.mark.parametrize(
    "position, ahead_m, right_m, heading_deg",
    [
        (world(-10, -5.25, 1.5707963), 50.0, 3.5, -90.0),  # OpenSCENARIO turns left: here -90
        (
            '<Position><RelativeWorldPosition entityRef="ego" dx="30" dy="-2"/></Position>',
            30.0, 2.0, 0.0,
        ),
        (
            '<Position><RelativeObjectPosition entityRef="ego" dx="30" dy="2"/></Position>',
            30.0, -2.0, 0.0,
        ),
        (
            '<Position><RelativeLanePosition entityRef="ego" dLane="0" ds="25" offset="0.5"/>'
            "</Position>",
            25.0, -0.5, 0.0,
        ),
        (
            '<Position><RelativeLanePosition entityRef="ego" dLane="1" ds="25"/></Position>',
            25.0, -3.5, 180.0,
        ),
        (
            '<Position><RelativeRoadPosition entityRef="ego" ds="25" dt="-1"/></Position>',
            25.0, 1.0, 0.0,
        ),
    ],
)  # fmt: skip
def test_positions_are_placed_along_the_cars_way(tmp_path, position, ahead_m, right_m, heading_deg):
    role = read(tmp_path, with_other(at=position))[0].cast[0]
    found = role.ahead_m[0], role.right_m[0]
    assert found == pytest.approx((ahead_m, right_m), abs=0.02)
    assert np.cos(np.radians(role.heading_deg[0] - heading_deg)) == pytest.approx(1.0, abs=1e-4)


def test_a_lane_position_is_the_middle_of_that_lane(tmp_path):
    # Whatever road the car stands on: 30 m on by its own s, 0.5 m to the left of lane's middle.
    from simattack.imports.ground import Ground
    from simattack.imports.xmlfile import Node

    ground = Ground(Node("x", "LogicFile", {}, 1), "town", "")
    road, lane, s_m = ground.road.lane_numbers(np.array([-60.0, 1.75, 0.0]))
    s_m += 30.0 if lane < 0 else -30.0
    left = 0.5 if lane < 0 else -0.5
    position = (
        f'<Position><LanePosition roadId="{road}" laneId="{lane}" s="{s_m}" offset="{left}"/>'
        "</Position>"
    )
    role = read(tmp_path, with_other(at=position))[0].cast[0]
    assert (role.ahead_m[0], role.right_m[0]) == pytest.approx((30.0, -0.5), abs=0.02)
    with pytest.raises(ConfigError, match="driving lane of the map, got road 99999, lane 9"):
        read(tmp_path, with_other(at=re.sub('"[0-9]+" laneId="[-0-9]+"', '"99999" laneId="9"',
                                            position)))  # fmt: skip


@pytest.mark.parametrize(
    "text, match",
    [
        (xosc(minor=4), r"line 2: <FileHeader>: expected OpenSCENARIO 1.0 to 1.3, got 1.4"),
        (xosc(others="<EntitySelection/>"), "<EntitySelection>: expected one of ScenarioObject"),
        (
            with_other(kind='<CatalogReference catalogName="c" entryName="e"/>'),
            "<CatalogReference>: expected what it refers to written out",
        ),
        (with_other(kind=CAR.replace("car", "tram")), "got 'tram'"),
        (
            with_other(at="<Position><RoutePosition/></Position>"),
            r"<Position>: expected a position out of WorldPosition.* got <RoutePosition>",
        ),
        (
            with_other(
                at='<Position><RelativeWorldPosition entityRef="x" dx="1" dy="1"/></Position>'
            ),
            "placed before it, got 'x'; placed: ego",
        ),
        (xosc(init="<GlobalAction><ParameterAction/></GlobalAction>"), "<ParameterAction>"),
        (with_other(init=private("other", "<VisibilityAction/>")), "<VisibilityAction>: expected"),
        (with_other(init=private("nobody")), "expected one of ego, other, got 'nobody'"),
        (xosc(start=world(-60, 1.75)), "a start within 1.5 m of the middle of its lane, got 3.5 m"),
        (xosc(board="<Monitor/>"), "<Monitor>: expected one of Init, Story, StopTrigger"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_its_element(tmp_path, text, match):
    with pytest.raises(ConfigError, match=match):
        read(tmp_path, text)


def test_an_entity_that_is_nowhere_is_told(tmp_path):
    text = xosc(entities=f'<ScenarioObject name="lost">{CAR}</ScenarioObject>')
    with pytest.raises(ConfigError, match="'lost': expected a TeleportAction of it in <Init>"):
        read(tmp_path, text)


# -- the car's route -----------------------------------------------------------------------------


def test_a_route_of_the_car_is_traced_and_an_end_by_its_way_is_its_length(tmp_path):
    acquire = f"<RoutingAction><AcquirePositionAction>{world(90, -1.75)}</AcquirePositionAction>"
    text = xosc(init=private("ego", f"{acquire}</RoutingAction>"))
    place = read(tmp_path, text)[0].places[0]
    assert place.via == ((90.0, 1.75),) and place.length_m is None
    travelled = entity("ego", "TraveledDistanceCondition", value=80)
    text = xosc(board=trigger(condition(travelled), tag="StopTrigger"))
    assert read(tmp_path, text)[0].places[0].length_m == 80.0
    assert read(tmp_path, xosc(), length_m=55)[0].places[0].length_m == 55.0


def test_an_assigned_route_is_followed_by_its_waypoints(tmp_path):
    ways = "".join(f"<Waypoint>{world(x, -1.75)}</Waypoint>" for x in (-30, 60))
    route = f'<RoutingAction><AssignRouteAction><Route name="r" closed="false">{ways}</Route>'
    text = xosc(board=story("ego", event(f"{route}</AssignRouteAction></RoutingAction>")))
    assert read(tmp_path, text)[0].places[0].via == ((-30.0, 1.75), (60.0, 1.75))


def test_the_policy_drives_the_car_and_nobody_else(tmp_path):
    with pytest.raises(ConfigError, match="expected a route of 'ego', whom the policy drives"):
        read(tmp_path, xosc(board=story("ego", event(speed(0), at_s(3)))))
    controller = "<ControllerAction><AssignControllerAction/></ControllerAction>"
    _, notes = read(tmp_path, xosc(init=private("ego", controller)))
    assert any("a controller of 'ego' left away" in note for note in notes)


def test_the_time_of_the_stop_trigger_is_the_longest(tmp_path):
    time = value("SimulationTimeCondition", value=25, rule="greaterThan")
    scenario, _ = read(tmp_path, xosc(board=trigger(condition(time), tag="StopTrigger")))
    assert scenario.max_time_s == 25.0
    criteria = value("ParameterCondition", parameterRef="", value="", rule="lessThan")
    told = condition(criteria, name="criteria_CollisionTest")
    _, notes = read(tmp_path, xosc(board=trigger(told, tag="StopTrigger")))
    assert any("one of scenario_runner's criteria" in note for note in notes)
    other = condition(entity("ego", "StandStillCondition", duration=1))
    with pytest.raises(ConfigError, match="an end by time, or by how far the car has driven"):
        read(tmp_path, xosc(board=trigger(other, tag="StopTrigger")))


# -- what the others do --------------------------------------------------------------------------


def test_a_car_with_a_speed_cruises_and_one_that_slows_down_brakes(tmp_path):
    assert does(read(tmp_path, with_other(mps=8))[0]) == {"kind": "cruise", "speed_mps": 8.0}
    found = does(read(tmp_path, with_other(cue(at_s(3)), mps=8))[0])
    assert found == {
        "kind": "brake", "speed_mps": 8.0, "braking_mps2": 4.0, "to_mps": 2.0,
        "when": {"after_s": 3.0},
    }  # fmt: skip


@pytest.mark.parametrize(
    "dynamics, by_mps2",
    [
        (("linear", "rate", 3), 3.0),
        (("linear", "time", 2), 3.0),  # 8 to 2 m/s in 2 s
        (("linear", "distance", 10), 3.0),  # (64 - 4) / 20
        (("step", "time", 0), 10.0),
    ],
)
def test_the_dynamics_of_a_speed_are_a_deceleration(tmp_path, dynamics, by_mps2):
    board = story("other", event(speed(2, *dynamics), at_s(3)))
    assert does(read(tmp_path, with_other(board, mps=8))[0])["braking_mps2"] == by_mps2


def test_an_event_that_waits_for_the_one_before_is_the_next_step(tmp_path):
    state = {"storyboardElementType": "event", "storyboardElementRef": "one"}
    wait = value("StoryboardElementStateCondition", **state, state="completeState")
    board = story(
        "other",
        event(speed(2, "linear", "rate", 4), at_s(3), "one"),
        event(speed(9, "linear", "time", 3.5), trigger(condition(wait)), "two"),
    )
    found = does(read(tmp_path, with_other(board, mps=8))[0])
    assert found["steps"] == [
        {"when": {"after_s": 3.0}, "to_mps": 2.0, "by_mps2": 4.0},
        {"when": {}, "is_next": True, "to_mps": 9.0, "by_mps2": 2.0},
    ]


def test_a_lane_change_moves_by_the_lanes_width(tmp_path):
    # One lane to the left of its own is 3.5 m; 4 s, or 32 m at 8 m/s.
    for dynamics in (("time", 4), ("distance", 32)):
        board = story("other", event(lane_change(relative(), *dynamics), at_s(1)))
        found = does(read(tmp_path, with_other(board, mps=8))[0])
        step = {"when": {"after_s": 1.0}, "to_right_m": -3.5, "lasts_s": 4.0}
        assert found == {"kind": "drive", "speed_mps": 8.0, "steps": [step]}
    # It stands one lane right of the car's; the car's own lane is one to its left.
    board = story("other", event(lane_change(relative("ego", 0)), at_s(1)))
    beside = world(-20, -5.25)
    found = does(read(tmp_path, with_other(board, beside, mps=8))[0])
    assert found["steps"][0]["to_right_m"] == -3.5


@pytest.mark.parametrize(
    "action, match",
    [
        (lane_change(relative(), shape="step"), "a lane change over a time, or a distance"),
        (lane_change(relative("third")), "relative to other or ego, got third"),
        (lane_change('<AbsoluteTargetLane value="99"/>'), None),
        (speed(-3), "a speed of 0 or more, got -3"),
        (
            speed(3).replace("AbsoluteTargetSpeed", "RelativeTargetSpeed"),
            "expected an AbsoluteTargetSpeed",
        ),
        (speed(3, "linear", "time", 0), "rate, time or distance above 0, got time 0"),
        ("<SynchronizeAction/>", "<SynchronizeAction>: expected SpeedAction or LaneChangeAction"),
        ("<LongitudinalAction><LongitudinalDistanceAction/></LongitudinalAction>",
         "<LongitudinalDistanceAction>"),
    ],
)  # fmt: skip
def test_an_action_that_nobody_here_can_do_is_refused(tmp_path, action, match):
    text = with_other(story("other", event(action, at_s(1))), mps=8)
    if match is None:  # the map's lanes here are numbered 1 and -1
        match = "a lane on the side of lane|to_right_m"
        text = text.replace('"99"', '"0"')
    with pytest.raises(ConfigError, match=match):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "inside, expected",
    [
        (value("SimulationTimeCondition", value=4, rule="greaterOrEqual"), {"after_s": 4.0}),
        (entity("ego", "TraveledDistanceCondition", value=15), {"driven_m": 15.0}),
        (
            # 20 m ahead of the car's start; the tolerance of 2 m is reached at 18 m.
            entity("ego", "ReachPositionCondition", world(-40, -1.75), tolerance=2),
            {"driven_m": 18.0},
        ),
        (entity("ego", "SpeedCondition", value=5, rule="greaterThan"), {"faster_mps": 5.0}),
        (entity("ego", "SpeedCondition", value=5, rule="lessThan"), {"slower_mps": 5.0}),
        (
            entity(
                "ego", "TimeToCollisionCondition",
                '<TimeToCollisionConditionTarget><EntityRef entityRef="other"/>'
                "</TimeToCollisionConditionTarget>", value=3, rule="lessThan",
            ),
            {"ttc_s": 3.0},
        ),
        (
            entity("other", "TimeHeadwayCondition", entityRef="ego", value=2, rule="lessThan"),
            {"eta_s": 2.0},
        ),
        (
            # Origin to origin 12.35 m is 10 m from the bumper, half of 4.7 m before it.
            entity("ego", "RelativeDistanceCondition", entityRef="other", value=12.35,
                   rule="lessThan", relativeDistanceType="longitudinal", freespace="false"),
            {"within_m": 10.0},
        ),
        (
            entity("other", "RelativeDistanceCondition", entityRef="ego", value=5,
                   rule="greaterThan", relativeDistanceType="longitudinal", freespace="true"),
            {"lead_m": 7.3},  # its tail is 2.3 m behind its middle
        ),
        (
            entity("ego", "RelativeDistanceCondition", entityRef="other", value=12,
                   rule="lessThan", relativeDistanceType="euclidianDistance", freespace="false"),
            {"near_m": 12.0},
        ),
    ],
)  # fmt: skip
def test_a_condition_becomes_a_cue(tmp_path, inside, expected):
    board = cue(trigger(condition(inside)))
    assert does(read(tmp_path, with_other(board, mps=8))[0])["when"] == expected


def test_conditions_of_one_group_hold_together_and_those_of_several_each_alone(tmp_path):
    time = condition(value("SimulationTimeCondition", value=4, rule="greaterThan"))
    way = condition(entity("ego", "TraveledDistanceCondition", value=15))
    found = does(read(tmp_path, with_other(cue(trigger(time, way)), mps=8))[0])
    assert found["when"] == {"after_s": 4.0, "driven_m": 15.0, "is_all": True}
    either = f"<StartTrigger><ConditionGroup>{time}</ConditionGroup><ConditionGroup>{way}"
    either += "</ConditionGroup></StartTrigger>"
    found = does(read(tmp_path, with_other(cue(either), mps=8))[0])
    assert found["when"] == {"after_s": 4.0, "driven_m": 15.0}


def test_a_delay_and_the_start_of_an_act_are_waited_for(tmp_path):
    way = condition(entity("ego", "TraveledDistanceCondition", value=15), delay=1.5)
    found = does(read(tmp_path, with_other(cue(trigger(way)), mps=8))[0])
    assert found["when"] == {"driven_m": 15.0, "then_s": 1.5}
    action = event(speed(2, "linear", "rate", 4), at_s(1))
    board = story("other", action, start=trigger(condition(way[way.index("<By") : -12])))
    found = does(read(tmp_path, with_other(board, mps=8))[0])
    assert found["when"] == {"driven_m": 15.0, "after_s": 1.0, "is_all": True}


@pytest.mark.parametrize(
    "told, match",
    [
        (condition(entity("ego", "StandStillCondition", duration=1)), "<StandStillCondition>"),
        (condition(value("TrafficSignalCondition", name="x", state="y")), "<TrafficSignalCond"),
        (
            condition(entity("ego", "TraveledDistanceCondition", value=1), conditionEdge="falling"),
            "conditionEdge rising or none, got 'falling'",
        ),
        (condition(entity("other", "SpeedCondition", value=5, rule="lessThan")), "the speed of eg"),
        (condition(entity("ego", "SpeedCondition", value=5, rule="equalTo")), "got equalTo"),
        (
            condition(entity("ego", "ReachPositionCondition", world(-40, 30), tolerance=2)),
            "a place within 2 m of its route, got 32 m",
        ),
        (
            condition(entity("ego", "TimeHeadwayCondition", entityRef="third", value=2,
                             rule="lessThan")),
            "expected ego and other, got ego and third",
        ),
    ],
)  # fmt: skip
def test_a_condition_that_no_cue_says_is_refused(tmp_path, told, match):
    with pytest.raises(ConfigError, match=match):
        read(tmp_path, with_other(cue(trigger(told)), mps=8))


# -- on foot -------------------------------------------------------------------------------------


def test_a_walker_sets_off_straight_ahead_at_its_cue(tmp_path):
    scenario, _ = read(tmp_path, pedestrian(board=story("other", event(speed(1.5), at_s(2)))))
    found = does(scenario)
    assert found["kind"] == "walk" and found["speed_mps"] == 1.5
    assert found["when"] == {"after_s": 2.0}
    # 60 m to the left of the way, from 4.25 m right of it.
    assert found["to"] == [{"ahead_m": pytest.approx(40, abs=0.1), "right_m": -55.75}]


def test_a_walker_follows_a_trajectory_in_its_time(tmp_path):
    # 8 m straight across in 4 s: 2 m/s.
    vertices = (
        f'<Vertex time="0">{world(-20, -6)}</Vertex><Vertex time="4">{world(-20, 2)}</Vertex>'
    )
    action = (
        '<RoutingAction><FollowTrajectoryAction><Trajectory name="t" closed="false"><Shape>'
        f"<Polyline>{vertices}</Polyline></Shape></Trajectory><TimeReference>"
        '<Timing domainAbsoluteRelative="relative" scale="1" offset="0"/></TimeReference>'
        "</FollowTrajectoryAction></RoutingAction>"
    )
    scenario, _ = read(tmp_path, pedestrian(board=story("other", event(action, at_s(1)))))
    found = does(scenario)
    assert found["speed_mps"] == pytest.approx(2.0)
    marks = [(mark["ahead_m"], mark["right_m"]) for mark in found["to"]]
    assert marks == [(40.0, 4.25), (40.0, -3.75)]
    with pytest.raises(ConfigError, match=r"<Trajectory> 't': expected a trajectory with a <Pol"):
        bent = action.replace("Polyline", "Clothoid")
        read(tmp_path, pedestrian(board=story("other", event(bent, at_s(1)))))


def test_a_walker_goes_to_a_position(tmp_path):
    acquire = f"<RoutingAction><AcquirePositionAction>{world(-20, 3)}</AcquirePositionAction>"
    scenario, notes = read(tmp_path, pedestrian(f"{acquire}</RoutingAction>"))
    assert does(scenario)["to"] == [{"ahead_m": 40.0, "right_m": -4.75}]
    assert does(scenario)["speed_mps"] == 1.4
    assert any("has no speed; walks at 1.4 m/s" in note for note in notes)


def test_a_walker_that_stops_again_is_refused(tmp_path):
    board = story("other", event(speed(1.5), at_s(2)), event(speed(0), at_s(4), "f"))
    with pytest.raises(ConfigError, match="expected one walk of a pedestrian, begun once"):
        read(tmp_path, pedestrian(board=board))


# -- weather -------------------------------------------------------------------------------------


def sky(inside: str, more: str = "") -> str:
    told = f'<Environment name="e">{more}<Weather {inside}</Weather></Environment>'
    return xosc(init=f"<GlobalAction><EnvironmentAction>{told}</EnvironmentAction></GlobalAction>")


def test_the_sky_becomes_weather(tmp_path):
    text = sky(
        'cloudState="overcast"><Sun azimuth="1.5707963" elevation="0.5235988" intensity="1"/>'
        '<Fog visualRange="250"/><Precipitation precipitationType="rain" '
        'precipitationIntensity="10"/>',
        '<RoadCondition frictionScaleFactor="1.0"/>',
    )
    found = read(tmp_path, text)[0].weather
    assert found.sun_azimuth_angle[0] == pytest.approx(90, abs=1e-3)
    assert found.sun_altitude_angle[0] == pytest.approx(30, abs=1e-3)
    assert (found.cloudiness, found.fog_density) == ((90.0, 90.0), (75.0, 75.0))
    assert found.precipitation == found.wetness == (20.0, 20.0)  # 10 of 50 mm/h


def test_the_hour_tells_the_suns_height_where_no_sun_is_told(tmp_path):
    time = '<TimeOfDay animation="false" dateTime="2026-06-25T{}:00:00"/>'
    noon = read(tmp_path, sky('cloudState="free">', time.format("12")))[0].weather
    night = read(tmp_path, sky('cloudState="free">', time.format("00")))[0].weather
    assert noon.sun_altitude_angle[0] == pytest.approx(60.0)
    assert night.sun_altitude_angle[0] == pytest.approx(-60.0)


@pytest.mark.parametrize(
    "inside, more, match",
    [
        ('cloudState="pink">', "", "a cloudState out of free, .*got 'pink'"),
        ('><Precipitation precipitationType="snow" intensity="1"/>', "", "rain, got 'snow'"),
        ('><Wind direction="0" speed="9"/>', "", "<Wind>: expected one of Sun, Fog, Precip"),
        (">", '<RoadCondition frictionScaleFactor="0.5"/>', "a frictionScaleFactor of 1, got 0.5"),
        (">", '<TimeOfDay animation="true" dateTime="2026-01-01T10:00:00"/>', "one that goes on"),
    ],
)
def test_weather_that_nothing_here_shows_is_refused(tmp_path, inside, more, match):
    with pytest.raises(ConfigError, match=match):
        read(tmp_path, sky(inside, more))


# -- the way out ---------------------------------------------------------------------------------


def test_what_is_written_is_read_back_as_the_same(tmp_path):
    state = {"storyboardElementType": "event", "storyboardElementRef": "one"}
    wait = value("StoryboardElementStateCondition", **state, state="completeState")
    board = story(
        "other",
        event(lane_change(relative()), at_s(1), "one"),
        event(speed(3, "linear", "rate", 2), trigger(condition(wait)), "two"),
    )
    scenario, notes = read(tmp_path, with_other(board, mps=8))
    path = foreign.write(scenario, tmp_path / "out" / "mine.yaml", tmp_path / "some.xosc", notes)
    assert config.read_scenario(str(path)) == scenario
    assert path.read_text().startswith("# Imported from some.xosc.\n# ")
    assert writing.text(scenario, []).startswith("name: some\n")
    with pytest.raises(ConfigError, match=r"expected a \.yaml file to write"):
        foreign.write(scenario, tmp_path / "mine.txt", tmp_path / "some.xosc", [])


def test_a_file_can_be_run_as_it_is(tmp_path):
    scenario, notes = read(tmp_path, with_other(cue(at_s(3)), mps=8))
    told: list[str] = []
    suite = config.read(str(tmp_path / "some.xosc"), tell=told.append)
    assert suite.entries[0].scenario == scenario and told == notes
    assert config.read_scenario(str(tmp_path / "some.xosc")) == scenario
    restored = config.restore(json.loads(json.dumps(scenario.content())))
    assert restored.digest() == scenario.digest()


def test_a_car_that_begins_at_a_teleport_is_where_the_last_one_says(tmp_path):
    text = xosc(init=private("ego", teleport(world(-50, -1.75))))
    assert read(tmp_path, text)[0].places[0].start == (-50.0, 1.75)
