"""The names that a CARLA leaderboard agent imports, for where the leaderboard is not installed.

``leaderboard.autoagents.autonomous_agent`` is on no package index. Its two classes, and the road
options of CARLA's own ``agents.navigation.local_planner``, are told anew here, in their documented
shape and no more. They stand in for the real modules only while an agent's file is loaded and set
up, and only where the real ones cannot be found.

Source: the interface of carla-simulator/leaderboard, versions 1 and 2.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum, IntEnum
from types import ModuleType
from typing import Any

AGENT_MODULE = "leaderboard.autoagents.autonomous_agent"
OPTION_MODULE = "agents.navigation.local_planner"
SAMPLE_M = 200.0
"""Places of the plan that an agent is given are at most so far apart."""


class Track(Enum):
    """What an agent may use: sensors, or a map as well."""

    SENSORS = "SENSORS"
    MAP = "MAP"


class RoadOption(IntEnum):
    """What to do at a place of the plan."""

    VOID = -1
    LEFT = 1
    RIGHT = 2
    STRAIGHT = 3
    LANEFOLLOW = 4
    CHANGELANELEFT = 5
    CHANGELANERIGHT = 6


class AutonomousAgent:
    """What a user's agent is derived from."""

    def __init__(self, carla_host: str = "", carla_port: int | None = None, debug: Any = False):
        self.track = Track.SENSORS
        self._global_plan: list[tuple[dict[str, float], Any]] | None = None
        self._global_plan_world_coord: list[tuple[Any, Any]] | None = None
        if carla_port is None:
            self.setup(carla_host)  # version 1: its one argument is the configuration's path

    def setup(self, path_to_conf_file: str) -> None:
        """Get ready; called once."""

    def sensors(self) -> list[dict[str, Any]]:
        """What the agent wants to be fitted with."""
        return []

    def run_step(self, input_data: dict[str, tuple[int, Any]], timestamp: float) -> Any:
        """The control of this tick, a ``carla.VehicleControl``."""
        raise NotImplementedError(f"{type(self).__name__} has no run_step")

    def destroy(self) -> None:
        """Clean up; called once."""

    def set_global_plan(
        self,
        global_plan_gps: Sequence[tuple[dict[str, float], Any]],
        global_plan_world_coord: Sequence[tuple[Any, Any]],
    ) -> None:
        """Take a plan over, thinned out to where something changes."""
        kept = _thinned(global_plan_world_coord)
        self._global_plan = [global_plan_gps[i] for i in kept]
        self._global_plan_world_coord = [global_plan_world_coord[i] for i in kept]


def _thinned(plan: Sequence[tuple[Any, Any]]) -> list[int]:
    """Indices of the first, the last, every new road option and one each SAMPLE_M."""
    kept, since_m = [0], 0.0
    for i in range(1, len(plan)):
        since_m += plan[i][0].location.distance(plan[i - 1][0].location)
        if plan[i][1] != plan[i - 1][1] or since_m > SAMPLE_M or i == len(plan) - 1:
            kept.append(i)
            since_m = 0.0
    return kept


@contextmanager
def importable() -> Iterator[None]:
    """Lets ``import leaderboard...`` and ``import agents...`` work, where they would not."""
    names: dict[str, dict[str, Any]] = {
        AGENT_MODULE: {"AutonomousAgent": AutonomousAgent, "Track": Track},
        OPTION_MODULE: {"RoadOption": RoadOption},
    }
    put: list[str] = []
    try:
        for name, content in names.items():
            if _exists(name):
                continue
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                package = ".".join(parts[:depth])
                if package not in sys.modules:
                    module = ModuleType(package)
                    module.__path__ = []
                    sys.modules[package] = module
                    put.append(package)
            vars(sys.modules[name]).update(content)
        yield
    finally:
        for package in put:
            sys.modules.pop(package, None)


def road_option() -> Any:
    """CARLA's own ``RoadOption`` where there is one, else ours."""
    if _exists(OPTION_MODULE):
        return importlib.import_module(OPTION_MODULE).RoadOption
    return RoadOption


def base() -> type:
    """The ``AutonomousAgent`` that a file loaded now would see."""
    if _exists(AGENT_MODULE):
        found: type = importlib.import_module(AGENT_MODULE).AutonomousAgent
        return found
    return AutonomousAgent


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # a parent is missing, or is one of ours
        return False
