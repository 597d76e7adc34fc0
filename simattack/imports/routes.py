"""Routes of CARLA's leaderboard 1.0 and 2.x: XML with positions, weathers and scenarios.

Positions are in CARLA's own frame. What the scenarios' actors do there is code of
``scenario_runner``; here it is what the cast can do, told in docs/scenarios.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from simattack.errors import ConfigError
from simattack.imports.ground import Ground
from simattack.imports.xmlfile import Doubts, Node
from simattack.places import Place, Point
from simattack.scenario import Part, Role, Scenario, WeatherRanges
from simattack.types import Pose

SPEED_MPS = 8.0
"""A route says none; the car starts and would like to drive so fast."""
_SLOWEST_MPS = 1.5
"""Over the whole route; who is slower runs out of time."""
_NEAR_M = 10.0
"""A scenario farther from the route is not on it."""
_UNUSED = ("crossing_angle", "speed")
_IGNORED_WEATHER = (
    "route_percentage", "id", "scattering_intensity", "mie_scattering_scale",
    "rayleigh_scattering_scale", "dust_storm",
)  # fmt: skip


def choose(root: Node, route_id: str | None) -> Node:
    """The route of that id, or the only one.

    Raises:
        ConfigError: there is none, or several and nobody says which.
    """
    if root.tag != "routes":
        raise root.wrong("<routes> or <OpenSCENARIO> around all", f"<{root.tag}>")
    routes = {route.text("id"): route for route in root.all("route")}
    if route_id is not None and route_id in routes:
        return routes[route_id]
    if route_id is None and len(routes) == 1:
        return next(iter(routes.values()))
    ids = ", ".join(list(routes)[:20]) + (", ..." if len(routes) > 20 else "")
    came = f"--route {route_id}" if route_id is not None else f"{len(routes)} routes"
    raise ConfigError(
        f"{root.source}: expected --route with one of its routes ({ids or 'it has none'}), "
        f"got {came}"
    )


def read(route: Node, maps: str, doubts: Doubts) -> Scenario:
    """One route as a scenario without an attack.

    Raises:
        ConfigError: something in it is wrong, or has no counterpart here.
    """
    known = ("weather", "weathers", "waypoint", "waypoints", "keypoints", "scenarios")
    doubts.only(route, known)
    town = route.attributes.get("town") or route.attributes.get("map")
    if town is None:
        raise route.wrong("an attribute 'town'", ", ".join(route.attributes) or "none")
    ground = Ground(route, town, maps)
    name = f"route_{route.text('id')}"
    start, *via = _positions(route)
    place = Place(name=name, start=start, via=tuple(via))
    try:
        ground.follow(place)
    except ConfigError as error:
        raise ConfigError(f"{route.where}: {error}") from error
    cast: list[Role] = []
    for scenario in route.all("scenarios", "scenario"):
        cast += _roles(scenario, ground, doubts)
    return Scenario(
        name=f"{Path(route.source).stem}_{route.text('id')}",
        map=ground.name,
        sites=(name,),
        places=(place,),
        policy=Part("modular"),
        detector=Part("yolo"),
        speed_mps=(SPEED_MPS, SPEED_MPS),
        weather=_weather(route, doubts),
        cast=tuple(cast),
        max_time_s=float(max(60, round(ground.line.length_m / _SLOWEST_MPS))),
        seeds=(0,),
        unsafe="collision",
        collision_ends=False,
        maps=maps,
    )


def _positions(route: Node) -> list[Point]:
    """Where the route leads, its start first."""
    positions = [
        *route.all("waypoint"),
        *(node for tag in ("waypoints", "keypoints") for node in route.all(tag, "position")),
    ]
    if len(positions) < 2:
        raise route.wrong("at least 2 positions in <waypoints>", str(len(positions)))
    return [Point(node.number("x"), node.number("y")) for node in positions]


def _weather(route: Node, doubts: Doubts) -> WeatherRanges:
    entries = [*route.all("weather"), *route.all("weathers", "weather")]
    if not entries:
        return WeatherRanges()
    entries.sort(key=lambda node: node.number("route_percentage", 0.0))
    first = entries[0]
    told = {key: value for key, value in first.attributes.items() if key not in _IGNORED_WEATHER}
    names = {item.name for item in dataclasses.fields(WeatherRanges)}
    values = {}
    for key in told:
        if key not in names:
            doubts.refuse(first, f"weather of {', '.join(sorted(names))}", repr(key))
            continue
        number = first.number(key)
        values[key] = (number, number)
    if left := [key for key in first.attributes if key in _IGNORED_WEATHER[2:]]:
        doubts.note(first, f"{', '.join(left)} left away: no weather here has it")
    others = [node for node in entries[1:] if _told(node) != _told(first)]
    if others:
        doubts.note(first, f"taken for the whole route; {len(others)} later ones left away")
    return WeatherRanges(**values)


def _told(weather: Node) -> dict[str, str]:
    return {k: v for k, v in weather.attributes.items() if k not in _IGNORED_WEATHER}


def _roles(scenario: Node, ground: Ground, doubts: Doubts) -> list[Role]:
    kind = scenario.text("type")
    if kind not in _TYPES:
        doubts.refuse(scenario, f"a scenario of a type out of {', '.join(_TYPES)}", repr(kind))
        return []
    parameters, make = _TYPES[kind]
    doubts.only(scenario, ("trigger_point", *parameters))
    point = scenario.need("trigger_point")
    pose = Pose(point.number("x"), point.number("y"))
    at_m, right_m, _ = ground.beside(pose)
    if abs(right_m) > _NEAR_M:
        raise point.wrong(f"a point within {_NEAR_M:g} m of the route", f"{abs(right_m):.0f} m")
    side = scenario.find("direction")
    if side is not None and side.text("value") != "right":
        doubts.refuse(side, "direction right", repr(side.text("value")))
        return []
    for name in _UNUSED:
        if (node := scenario.find(name)) is not None:
            doubts.note(node, "left away: the cast here does without")
    given = {
        name: node.number("value")
        for name in ("distance",)
        if (node := scenario.find(name)) is not None
    }
    return make(scenario, at_m, given)


def _crossing(scenario: Node, at_m: float, given: Mapping[str, float]) -> list[Role]:
    """Somebody steps out from behind something at the right."""
    there_m = at_m + given.get("distance", 12.0)
    blocker = scenario.find("blocker_model")
    what = "car" if blocker is None else blocker.text("value")
    walk = Part("cross", {"speed_mps": 2.0, "when": {"eta_s": 3.0}})
    return [
        Role(what, _one(there_m - 3.5), right_m=_one(3.4)),
        Role("adult", _one(there_m), right_m=_one(4.2), heading_deg=_one(-90.0), does=walk),
    ]


def _braking(scenario: Node, at_m: float, given: Mapping[str, float]) -> list[Role]:
    """A car ahead drives off as the trigger is reached, brakes, and goes on."""
    steps = (
        {"when": {"driven_m": round(at_m, 1)}, "to_mps": SPEED_MPS, "by_mps2": 3.0},
        {"when": {"then_s": 2.0}, "is_next": True, "to_mps": 0.0, "by_mps2": 6.0},
        {"when": {"then_s": 5.0}, "is_next": True, "to_mps": SPEED_MPS, "by_mps2": 2.0},
    )
    return [Role("car", _one(at_m + 25.0), does=Part("drive", {"steps": steps}))]


def _parked_cut_in(scenario: Node, at_m: float, given: Mapping[str, float]) -> list[Role]:
    """A parked car pulls out before the car."""
    steps = (
        {
            "when": {"eta_s": 3.0, "driven_m": round(at_m, 1), "is_all": True},
            "to_mps": 5.0, "by_mps2": 3.0, "to_right_m": 0.0, "lasts_s": 2.5,
        },
    )  # fmt: skip
    there_m = at_m + given.get("distance", 35.0)
    return [Role("car", _one(there_m), right_m=_one(3.4), does=Part("drive", {"steps": steps}))]


def _construction(scenario: Node, at_m: float, given: Mapping[str, float]) -> list[Role]:
    """Cones and barriers narrow the lane; CARLA closes it, but who drives here never overtakes."""
    there_m = at_m + given.get("distance", 100.0)
    return [
        Role(
            "cone", _one(there_m - 15.0), right_m=_one(2.2), count=(6, 6), apart_m=3.0,
            aside_m=-0.1,
        ),
        Role("barrier", _one(there_m + 5.0), right_m=_one(2.0), count=(3, 3), apart_m=3.0),
    ]  # fmt: skip


def _one(value: float) -> tuple[float, float]:
    return round(value, 2), round(value, 2)


_Maker = Callable[[Node, float, Mapping[str, float]], list[Role]]
_TYPES: Mapping[str, tuple[tuple[str, ...], _Maker]] = {
    "DynamicObjectCrossing": (
        ("distance", "direction", "blocker_model", "crossing_angle"),
        _crossing,
    ),
    "ParkingCrossingPedestrian": (("distance", "direction", "crossing_angle"), _crossing),
    "HardBreakRoute": ((), _braking),
    "OtherLeadingVehicle": ((), _braking),
    "ParkingCutIn": (("direction", "distance"), _parked_cut_in),
    "StaticCutIn": (("direction", "distance"), _parked_cut_in),
    "ConstructionObstacle": (("distance", "direction", "speed"), _construction),
}
"""By the type's name: its parameters here, and who is cast for it."""
