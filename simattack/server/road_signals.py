"""Where signs and lights stand, which lanes they rule, and where those lanes must stop.

CARLA's own maps (made with RoadRunner) put a light anywhere and *refer* to it from the lanes
inside the junction; simple maps put it beside the lane it rules. Both come out the same here: a
signal rules lanes that lead to its stop line.

Convention: CARLA's world frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from simattack.server.road_shape import Item, Network, RoadShape
from simattack.types import Floats, Pose

KINDS = {"206": "stop", "205": "yield", "274": "speed_limit", "1000001": "traffic_light"}
"""OpenDRIVE signal types that CARLA gives a meaning."""
FACE_HEIGHT_M = {"stop": 2.2, "yield": 2.2, "speed_limit": 2.2, "traffic_light": 3.2, "other": 2.2}
"""Of the face's centre, where the map gives only the foot of the post."""
SPEED = "Speed_"
"""RoadRunner's objects that are speed limits begin so; the limit [km/h] follows."""
TRIGGER_M = 4.0
"""A car is *at* a signal over this distance before the stop line."""
LINE_REACH_M = 10.0
"""A painted stop line belongs to the signal that stands at most so far beyond it."""
BAR_M = 0.4


@dataclass(frozen=True)
class Box:
    """An upright box [m]; ``half`` along its own axes."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw_rad: float


@dataclass(frozen=True, eq=False)
class Signal:
    """A sign or a traffic light."""

    id: str
    kind: str
    """``stop``, ``yield``, ``speed_limit``, ``traffic_light`` or ``other``."""
    value: float
    """The limit [km/h] of a speed limit; -1 otherwise."""
    pose: Pose
    """Its foot on the ground; yaw is that of the traffic it faces."""
    height_m: float
    """Of the face's centre above the ground."""
    trigger: Box
    """Where a vehicle counts as being at it."""
    road_id: int
    lane_ids: tuple[int, ...]
    """The lanes it rules, of the road they approach on."""
    controller: str | None
    junction: str | None
    """The junction whose controllers include this one."""
    stop_lines: tuple[Floats, ...] = field(default=())
    """For each ruled lane the two ends (2, 3) of its stop line, left end first."""


@dataclass(frozen=True)
class LanePoint:
    """A point in the middle of a lane; yaw along the driving direction."""

    road_id: int
    lane_id: int
    place: Pose
    width_m: float
    is_junction: bool


LookUp = Callable[[int, int, float, float], list[LanePoint]]
"""(road id, lane id, s, metres back against the driving direction) -> points there."""


def place_signals(network: Network, look_up: LookUp) -> list[Signal]:
    """All signals of the map, in the order they are written."""
    uses: dict[str, list[tuple[RoadShape, Item]]] = {}
    for road in network.roads.values():
        for item in (*road.signals, *road.references):
            uses.setdefault(item.id, []).append((road, item))
    found = []
    for road in network.roads.values():
        for item in road.signals:
            stops: dict[tuple[int, int], LanePoint] = {}
            for user, use in uses[item.id]:
                for stop in _stops(user, use, look_up):
                    stops.setdefault((stop.road_id, stop.lane_id), stop)
            found.append(_signal(network, road, item, list(stops.values())))
        # CARLA's client takes these objects for signals, too.
        found += [
            _signal(network, road, item, [])
            for item in road.objects
            if item.name.startswith(SPEED) and item.id not in uses
        ]
    return found


def stop_line_bars(signals: list[Signal]) -> list[Floats]:
    """Painted bars (4, 3) before stop signs and lights; one a lane, however many signals."""
    bars: dict[tuple[float, ...], Floats] = {}
    for signal in signals:
        if signal.kind not in ("stop", "traffic_light"):
            continue
        for ends in signal.stop_lines:
            across = ends[1] - ends[0]
            unit = across / np.linalg.norm(across)
            ahead = np.array([unit[1], -unit[0], 0.0]) * BAR_M / 2
            bar = np.array([ends[0] + ahead, ends[1] + ahead, ends[1] - ahead, ends[0] - ahead])
            bars.setdefault(tuple(np.round(ends.mean(axis=0), 1)), bar)
    return list(bars.values())


def _kind(item: Item) -> str:
    if item.kind in KINDS:
        return KINDS[item.kind]
    # RoadRunner writes speed limits as plain objects, and yields by name only.
    for prefix, kind in (
        ("SignLanePoint", "stop"),
        ("Sign_Yield", "yield"),
        (SPEED, "speed_limit"),
    ):
        if item.name.startswith(prefix):
            return kind
    return "other"


def _signal(network: Network, road: RoadShape, item: Item, stops: list[LanePoint]) -> Signal:
    kind = _kind(item)
    s = np.array([item.s_m])
    foot = road.world(s, np.array([item.t_m]))[0]
    heading = float(road.reference(s)[2][0]) + item.heading_rad
    yaw = math.remainder(-heading, 2 * math.pi)
    if stops:
        yaws = np.array([stop.place.yaw_rad for stop in stops])
        rule = math.atan2(float(np.sin(yaws).sum()), float(np.cos(yaws).sum()))
        # A face is turned towards its lanes; a map that says otherwise means the post's mount.
        if abs(math.remainder(rule - yaw, 2 * math.pi)) > math.radians(60):
            yaw = rule
    approach = stops[0].road_id if stops else road.id
    controller = network.controllers.get(item.id)
    return Signal(
        id=item.id,
        kind=kind,
        value=_value(item),
        pose=Pose(float(foot[0]), float(foot[1]), float(foot[2]), yaw_rad=yaw),
        height_m=item.z_m if item.z_m >= 1.0 else FACE_HEIGHT_M[kind],
        trigger=_trigger(stops, Pose(float(foot[0]), float(foot[1]), float(foot[2]), 0, yaw)),
        road_id=approach,
        lane_ids=tuple(stop.lane_id for stop in stops if stop.road_id == approach),
        controller=controller,
        junction=network.junctions.get(controller or ""),
        stop_lines=tuple(_line(stop) for stop in stops),
    )


def _value(item: Item) -> float:
    text = item.name[len(SPEED) :] if item.name.startswith(SPEED) else item.attributes.get("value")
    try:
        return float(text or -1)
    except ValueError:
        return -1.0


def _stops(road: RoadShape, use: Item, look_up: LookUp) -> list[LanePoint]:
    """Where the lanes that ``use`` names must stop."""
    found: list[LanePoint] = []
    section = road.section(min(max(use.s_m, 0.0), road.length_m))
    for number, lane in section.lanes.items():
        is_named = any(min(r) <= number <= max(r) and number != 0 for r in use.lanes)
        if lane.kind != "driving" or not is_named:
            continue
        if road.junction != -1:
            inset = min(0.05, road.length_m / 4)
            entry = inset if number < 0 else road.length_m - inset
            before = look_up(road.id, number, entry, 0.5)
            found += [point for point in before if not point.is_junction] or before
        else:
            found += look_up(road.id, number, _line_s(road, use, number), 0.0)
    return found


def _line_s(road: RoadShape, use: Item, lane: int) -> float:
    """The s of the stop line of a signal beside ``lane``: the painted one, or the signal's own."""
    forward = -1 if lane > 0 else 1
    painted = [
        item.s_m
        for item in road.objects
        if item.name == "StopLine"
        and item.t_m * lane > 0
        and -2.0 <= (use.s_m - item.s_m) * forward <= LINE_REACH_M
    ]
    nearest = min(painted, key=lambda s: abs(s - use.s_m), default=use.s_m)
    return float(min(max(nearest, 0.05), road.length_m - 0.05))


def _line(stop: LanePoint) -> Floats:
    half = stop.width_m / 2 - 0.1
    right = np.array([-math.sin(stop.place.yaw_rad), math.cos(stop.place.yaw_rad), 0.0])
    middle = np.array([stop.place.x_m, stop.place.y_m, stop.place.z_m])
    return np.array([middle - half * right, middle + half * right])


def _trigger(stops: list[LanePoint], foot: Pose) -> Box:
    """The smallest box over the last metres of all ruled lanes of one direction."""
    if not stops:
        return Box((foot.x_m, foot.y_m, foot.z_m + 1.0), (1.0, 1.0, 1.5), foot.yaw_rad)
    yaw = stops[0].place.yaw_rad
    ahead = np.array([math.cos(yaw), math.sin(yaw)])
    right = np.array([-ahead[1], ahead[0]])
    rows = []
    for stop in stops:
        if math.cos(stop.place.yaw_rad - yaw) < 0.7:
            continue
        here = np.array([stop.place.x_m, stop.place.y_m])
        # A tenth of the lane stays free, so that cars in the next lane do not touch the box.
        half = 0.45 * stop.width_m
        rows.append(
            (here @ ahead - TRIGGER_M, here @ ahead, here @ right - half, here @ right + half)
        )
    table = np.array(rows)
    first, last = table[:, 0].min(), table[:, 1].max()
    left, far = table[:, 2].min(), table[:, 3].max()
    x, y = (first + last) / 2 * ahead + (left + far) / 2 * right
    return Box(
        (float(x), float(y), stops[0].place.z_m + 1.0),
        (float(last - first) / 2, float(far - left) / 2, 1.5),
        yaw,
    )
