"""OpenSCENARIO's positions as poses in CARLA's frame.

The standard's world is right-handed, y to the north; CARLA's y points south. Files whose
description begins with ``CARLA:`` use CARLA's own frame, as its ``scenario_runner`` has it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simattack.geometry import position_m
from simattack.imports.ground import Ground
from simattack.imports.xmlfile import Node
from simattack.types import Pose

KNOWN = (
    "WorldPosition", "LanePosition", "RelativeWorldPosition", "RelativeObjectPosition",
    "RelativeLanePosition", "RelativeRoadPosition",
)  # fmt: skip


class Positions:
    """Resolves the positions of one file; ``poses`` holds where each entity begins."""

    def __init__(self, ground: Ground, is_carla: bool) -> None:
        self._ground = ground
        self._sign = 1.0 if is_carla else -1.0
        self.poses: dict[str, Pose] = {}

    def pose(self, position: Node) -> Pose:
        """Of a <Position>, or what holds one.

        Raises:
            ConfigError: its kind is not known, or the map has no such place.
        """
        if not position.children or position.children[0].tag not in KNOWN:
            came = position.children[0].tag if position.children else "nothing"
            raise position.wrong(f"a position out of {', '.join(KNOWN)}", f"<{came}>")
        node = position.children[0]
        if node.tag == "WorldPosition":
            return Pose(
                node.number("x"),
                self._sign * node.number("y"),
                node.number("z", 0.0),
                yaw_rad=self._sign * node.number("h", 0.0),
            )
        if node.tag == "LanePosition":
            return self._on_lane(
                node, node.text("roadId"), int(node.number("laneId")), node.number("s")
            )
        return self._relative(node, self._entity(node))

    def _relative(self, node: Node, other: Pose) -> Pose:
        if node.tag == "RelativeWorldPosition":
            x, y = node.number("dx"), self._sign * node.number("dy")
            return Pose(other.x_m + x, other.y_m + y, other.z_m, yaw_rad=self._turn(node, other))
        if node.tag == "RelativeObjectPosition":
            # x ahead of the entity, y to its left.
            ahead, left = node.number("dx"), node.number("dy")
            right = self._sign * left
            cos, sin = np.cos(other.yaw_rad), np.sin(other.yaw_rad)
            return Pose(
                float(other.x_m + ahead * cos - right * sin),
                float(other.y_m + ahead * sin + right * cos),
                other.z_m,
                yaw_rad=self._turn(node, other),
            )
        there = self._ground.road.onward(
            position_m(other), node.number("ds", node.number("dsLane", 0.0))
        )
        if there is None:
            raise node.wrong("a lane that is long enough for ds", node.text("ds", "0"))
        road, lane, s_m = self._ground.road.lane_numbers(position_m(there))
        if node.tag == "RelativeLanePosition":
            target = lane + int(node.number("dLane"))
            # There is no lane 0: over the middle of the road the count goes on at the next.
            if target * lane <= 0:
                target += 1 if target >= lane else -1
            return self._on_lane(node, str(road), target, s_m)
        return _aside(there, self._right(lane, node.number("dt")), 0.0)

    def _on_lane(self, node: Node, road: str, lane: int, s_m: float) -> Pose:
        try:
            found = self._ground.road.lane_at(int(road), lane, s_m)
        except (ValueError, RuntimeError):
            found = None
        if found is None:
            raise node.wrong("a driving lane of the map", f"road {road}, lane {lane}, s {s_m:g}")
        orientation = node.find("Orientation")
        turn = 0.0 if orientation is None else self._sign * orientation.number("h", 0.0)
        return _aside(found, self._right(lane, node.number("offset", 0.0)), turn)

    def _right(self, lane: int, t_m: float) -> float:
        """An offset along the road's t, which grows to its left, as seen by a lane's traffic."""
        return -t_m if lane < 0 else t_m

    def _turn(self, node: Node, other: Pose) -> float:
        orientation = node.find("Orientation")
        turn = 0.0 if orientation is None else self._sign * orientation.number("h", 0.0)
        is_absolute = orientation is not None and orientation.text("type", "relative") == "absolute"
        return turn if is_absolute else other.yaw_rad + turn

    def _entity(self, node: Node) -> Pose:
        name = node.text("entityRef")
        if name not in self.poses:
            placed: Mapping[str, Pose] = self.poses
            raise node.wrong(
                "an entity that was placed before it",
                f"{name!r}; placed: {', '.join(placed) or 'none'}",
            )
        return self.poses[name]


def _aside(pose: Pose, right_m: float, turn_rad: float) -> Pose:
    return Pose(
        float(pose.x_m - right_m * np.sin(pose.yaw_rad)),
        float(pose.y_m + right_m * np.cos(pose.yaw_rad)),
        pose.z_m,
        yaw_rad=pose.yaw_rad + turn_rad,
    )
