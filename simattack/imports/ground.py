"""What an import asks the map: where the car drives, and what lies where along that way."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from simattack.errors import ConfigError
from simattack.geometry import position_m
from simattack.imports.xmlfile import Node
from simattack.mapfile import read_map
from simattack.places import Place
from simattack.polyline import Polyline
from simattack.resources import locate
from simattack.roadmap import RoadMap
from simattack.types import Pose


class Ground:
    """A map and, once it is known, the car's route on it."""

    def __init__(self, node: Node, name: str, maps: str) -> None:
        """The map that an element names: a path from its file, or a name among known maps.

        Raises:
            ConfigError: there is none.
        """
        beside = Path(node.source).parent / name
        if name.endswith(".xodr") and beside.is_file():
            self.name, path = str(beside.resolve()), beside
        else:
            # A town of CARLA's is told by its name, whatever folder it once lay in.
            self.name = Path(name.replace("\\", "/")).stem
            own = Path(maps) / f"{self.name}.xodr" if maps else None
            try:
                is_own = own is not None and own.is_file()
                path = own if is_own and own else locate(self.name, "scenarios/maps", ".xodr")
            except ConfigError:
                raise node.wrong(
                    f"an OpenDRIVE map beside the file, in --maps {maps or 'DIR'} or shipped",
                    repr(name),
                ) from None
        self.road: RoadMap = read_map(path)
        self.line: Polyline

    def follow(self, place: Place) -> None:
        """Take that as the car's route.

        Raises:
            ConfigError: the map has no such route.
        """
        self.line = Polyline(self.road.place_route(place).points)

    def beside(self, pose: Pose) -> tuple[float, float, float]:
        """(ahead_m, right_m, heading_deg) of a pose, as a role of a cast is placed."""
        ahead_m, right_m = self.line.locate((pose.x_m, pose.y_m))
        turn = np.degrees(pose.yaw_rad - self.line.pose(ahead_m).yaw_rad)
        turn = float((turn + 180.0) % 360.0 - 180.0)
        return round(ahead_m, 2), round(right_m, 2), round(turn, 1)

    def straight_m(self, pose: Pose, most_m: float) -> float:
        """How far the lane goes on, straight over at forks [m], up to so much."""
        place = position_m(pose)
        points = self.road.lane_ahead(place, pose.yaw_rad, most_m)
        return float(min(len(points) - 1, most_m))
