"""OpenSCENARIO's actions of one entity as what a member of the cast does."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from simattack.cast.drive import HARDEST_MPS2
from simattack.geometry import position_m
from simattack.imports.ground import Ground
from simattack.imports.positions import Positions
from simattack.imports.triggers import Told
from simattack.imports.xmlfile import Doubts, Node
from simattack.scenario import Part
from simattack.types import Pose

_STROLL_MPS = 1.4
_ON_M = 60.0
"""Who walks on without an end is sent so far."""
_LEAST_S = 0.1


@dataclass
class Actor:
    """An entity beside the car: what it is, where it begins, what it is told to do."""

    node: Node
    who: str
    kind: str
    """vehicle, pedestrian or thing."""
    pose: Pose | None = None
    speed_mps: float = 0.0
    path: list[Pose] = field(default_factory=list)
    """Where an action of Init sends it."""
    steps: list[tuple[Node, Told, bool]] = field(default_factory=list)
    """(private action, cue, whether it waits for the one before), in the file's order."""


@dataclass
class Motions:
    """Reads the actions of one file."""

    ego: str
    ground: Ground
    positions: Positions
    doubts: Doubts

    def behaviour(self, actor: Actor, name: str) -> Part:
        """What an actor does in all.

        Raises:
            ConfigError: something of it has no counterpart here.
        """
        if actor.kind == "pedestrian":
            return self._walk(actor)
        if actor.kind == "thing":
            for action, _, _ in actor.steps:
                self.doubts.refuse(action, "things that stand")
            return Part("stand")
        return self._drive(actor, name)

    def points(self, action: Node) -> list[Pose]:
        """Where a <RoutingAction> leads."""
        kind = action.children[0] if action.children else action
        if kind.tag == "AcquirePositionAction":
            return [self.positions.pose(kind.need("Position"))]
        if kind.tag == "AssignRouteAction":
            route = kind.need("Route")
            if route.flag("closed", False):
                self.doubts.refuse(route, "a route with an end (closed false)", "a closed one")
            return [self.positions.pose(way.need("Position")) for way in route.all("Waypoint")]
        if kind.tag == "FollowTrajectoryAction":
            return [self.positions.pose(node.need("Position")) for node in self._vertices(kind)]
        self.doubts.refuse(
            kind, "AcquirePositionAction, AssignRouteAction or FollowTrajectoryAction"
        )
        return []

    def target_mps(self, action: Node) -> float | None:
        """The speed of a <SpeedAction>; None: it was refused and noted."""
        target = action.find("SpeedActionTarget", "AbsoluteTargetSpeed")
        if target is None:
            self.doubts.refuse(action, "an AbsoluteTargetSpeed", "another target")
            return None
        speed = target.number("value")
        if speed < 0:
            self.doubts.refuse(target, "a speed of 0 or more", f"{speed:g}")
            return None
        return speed

    # -- vehicles ------------------------------------------------------------------------------

    def _drive(self, actor: Actor, name: str) -> Part:
        if actor.path:
            self.doubts.refuse(actor.node, "a vehicle that keeps to its lane", "one with a route")
        speed, right_m, steps = actor.speed_mps, 0.0, list[dict[str, Any]]()
        for action, cue, is_next in actor.steps:
            step: dict[str, Any] | None = None
            if (node := action.find("LongitudinalAction", "SpeedAction")) is not None:
                step = self._speed_step(node, speed)
                speed = speed if step is None else step["to_mps"]
            elif (node := action.find("LateralAction", "LaneChangeAction")) is not None:
                step = self._lane_step(node, actor, name, right_m, speed)
                right_m = right_m if step is None else step["to_right_m"]
            else:
                inner = action.children[0] if action.children else action
                inner = inner.children[0] if inner.tag.endswith("tudinalAction") else inner
                self.doubts.refuse(inner, "SpeedAction or LaneChangeAction of a vehicle")
            if step is not None:
                steps.append({"when": cue, **({"is_next": True} if is_next else {}), **step})
        return _simplest(actor.speed_mps, steps)

    def _speed_step(self, action: Node, before_mps: float) -> dict[str, Any] | None:
        speed = self.target_mps(action)
        if speed is None:
            return None
        dynamics = action.need("SpeedActionDynamics")
        change, value = abs(speed - before_mps), dynamics.number("value", 0.0)
        dimension = dynamics.text("dynamicsDimension", "rate")
        if dynamics.text("dynamicsShape") == "step" or change == 0:
            by_mps2 = HARDEST_MPS2
        elif value <= 0 or dimension not in ("rate", "time", "distance"):
            self.doubts.refuse(dynamics, "rate, time or distance above 0", f"{dimension} {value:g}")
            return None
        elif dimension == "rate":
            by_mps2 = value
        elif dimension == "time":
            by_mps2 = change / value
        else:
            by_mps2 = abs(speed**2 - before_mps**2) / (2 * value)
        if by_mps2 > HARDEST_MPS2:
            self.doubts.note(dynamics, f"{by_mps2:.1f} m/s2 held to {HARDEST_MPS2:g}")
        return {"to_mps": speed, "by_mps2": round(min(by_mps2, HARDEST_MPS2), 3)}

    def _lane_step(
        self, action: Node, actor: Actor, name: str, right_m: float, speed_mps: float
    ) -> dict[str, Any] | None:
        if actor.pose is None:
            return None
        if action.number("targetLaneOffset", 0.0) != 0:
            self.doubts.refuse(action, "a targetLaneOffset of 0", action.text("targetLaneOffset"))
            return None
        place = position_m(actor.pose)
        width_m = 2 * self.ground.road.half_lane_m(place)
        target = action.need("LaneChangeTarget")
        if (lane := target.find("AbsoluteTargetLane")) is not None:
            _, mine, _ = self.ground.road.lane_numbers(place)
            wanted = int(lane.number("value"))
            if wanted * mine <= 0:
                self.doubts.refuse(lane, f"a lane on the side of lane {mine}", str(wanted))
                return None
            to_m = (abs(wanted) - abs(mine)) * width_m
        else:
            lane = target.need("RelativeTargetLane")
            who, left = lane.text("entityRef"), lane.number("value")
            to_m = right_m - left * width_m
            if who == self.ego:
                _, beside_m, turn_deg = self.ground.beside(actor.pose)
                if abs(turn_deg) > 90:
                    self.doubts.refuse(lane, "a lane as seen by who changes to it", "oncoming")
                    return None
                to_m = -left * width_m - round(beside_m / width_m) * width_m
            elif who != name:
                self.doubts.refuse(lane, f"a lane relative to {name} or {self.ego}", who)
                return None
        dynamics = action.need("LaneChangeActionDynamics")
        dimension, value = dynamics.text("dynamicsDimension"), dynamics.number("value")
        per = {"time": 1.0, "distance": 1.0 / speed_mps if speed_mps > 0 else 0.0}
        if dynamics.text("dynamicsShape") == "step" or value * per.get(dimension, 0.0) <= 0:
            self.doubts.refuse(
                dynamics, "a lane change over a time, or a distance at a speed", dimension
            )
            return None
        lasts_s = max(value * per[dimension], _LEAST_S)
        return {"to_right_m": round(to_m, 3), "lasts_s": round(lasts_s, 3)}

    # -- pedestrians ---------------------------------------------------------------------------

    def _walk(self, actor: Actor) -> Part:
        speed, path, cue = actor.speed_mps, list(actor.path), Told()
        asked: set[str] = {"path"} if path else set()
        for action, told, is_next in actor.steps:
            node = action.find("LongitudinalAction", "SpeedAction")
            kind = "path" if node is None else "speed"
            if kind in asked or is_next or (cue and told != cue):
                self.doubts.refuse(action, "one walk of a pedestrian, begun once", "more of it")
                continue
            if node is not None:
                target = self.target_mps(node)
                if target is None or target == 0:
                    self.doubts.refuse(node, "a pedestrian who sets off", "one who stops")
                    continue
                speed = target
            elif (routing := action.find("RoutingAction")) is not None:
                path = self.points(routing)
                speed = self._timed_mps(routing, actor) or speed
            else:
                inner = action.children[0] if action.children else action
                self.doubts.refuse(inner, "SpeedAction or RoutingAction of a pedestrian")
                continue
            asked.add(kind)
            cue = told
        if actor.pose is None or not (asked or speed > 0):
            return Part("stand")
        if not path:
            pose = actor.pose
            x = pose.x_m + _ON_M * math.cos(pose.yaw_rad)
            y = pose.y_m + _ON_M * math.sin(pose.yaw_rad)
            path = [Pose(x, y, pose.z_m)]
        if speed == 0:
            self.doubts.note(actor.node, f"has no speed; walks at {_STROLL_MPS} m/s")
        marks = tuple(
            {"ahead_m": ahead_m, "right_m": right_m}
            for ahead_m, right_m, _ in (self.ground.beside(pose) for pose in path)
        )
        options: dict[str, Any] = {"to": marks, "speed_mps": speed or _STROLL_MPS}
        return Part("walk", {**options, "when": cue} if cue else options)

    def _timed_mps(self, routing: Node, actor: Actor) -> float | None:
        """The even speed at which a trajectory's last time is kept; None: it tells none."""
        action = routing.find("FollowTrajectoryAction")
        if action is None or actor.pose is None or action.find("TimeReference", "Timing") is None:
            return None
        times = [vertex.number("time", 0.0) for vertex in self._vertices(action)]
        poses = [actor.pose, *self.points(routing)]
        way_m = sum(
            math.hypot(two.x_m - one.x_m, two.y_m - one.y_m) for one, two in pairwise(poses)
        )
        lasts_s = times[-1] - min(times[0], 0.0) if times else 0.0
        return way_m / lasts_s if lasts_s > 0 and way_m > 0 else None

    def _vertices(self, action: Node) -> list[Node]:
        trajectory = action.find("TrajectoryRef", "Trajectory") or action.need("Trajectory")
        line = trajectory.find("Shape", "Polyline")
        if line is None:
            self.doubts.refuse(trajectory, "a trajectory with a <Polyline>", "another shape")
            return []
        return line.all("Vertex")


def _simplest(speed_mps: float, steps: list[dict[str, Any]]) -> Part:
    """The plainest behaviour that does it."""
    if not steps:
        return Part("cruise", {"speed_mps": speed_mps}) if speed_mps > 0 else Part("stand")
    only = steps[0]
    if len(steps) == 1 and 0 <= only.get("to_mps", math.inf) < speed_mps:
        braking = {"braking_mps2": only["by_mps2"], "to_mps": only["to_mps"]}
        return Part("brake", {"speed_mps": speed_mps, **braking, "when": only["when"]})
    return Part("drive", {"speed_mps": speed_mps, "steps": tuple(steps)})
