"""The map's own signs and traffic lights, through the client: where they stand, what lights show.

Part of the session's floor: it is handed CARLA's module and never imports it. Ground truth, not
for the car; only the stop lines' places are, as a navigation map has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simattack.roadmap import pose_of
from simattack.types import Floats, Pose

STATES = {"red": "Red", "yellow": "Yellow", "green": "Green", "off": "Off"}


@dataclass(frozen=True)
class Post:
    """A sign or a light."""

    id: int
    kind: str
    """``light``, ``stop``, ``yield``, or ``limit 30`` with the limit [km/h]."""
    pose: Pose
    """Its foot; yaw is that of the traffic it faces."""


class RoadSigns:
    """Those of one loaded map."""

    def __init__(self, carla: Any, world: Any) -> None:
        self._carla = carla
        self._world = world
        self._lights = list(world.get_actors().filter("traffic.traffic_light*"))

    def posts(self) -> tuple[Post, ...]:
        """All of them, by id."""
        found = []
        for actor in self._world.get_actors().filter("traffic.*"):
            parts = actor.type_id.split(".")
            kind = {"traffic_light": "light", "speed_limit": f"limit {parts[-1]}"}.get(
                parts[1], parts[1]
            )
            found.append(Post(actor.id, kind, pose_of(actor.get_transform())))
        return tuple(sorted(found, key=lambda post: post.id))

    def show(self, state: str, ids: tuple[int, ...] | None = None) -> None:
        """Let lights (None: all) show red, yellow, green or off from the next tick on, for good."""
        self._world.freeze_all_traffic_lights(True)
        wanted = getattr(self._carla.TrafficLightState, STATES[state])
        for light in self._lights:
            if ids is None or light.id in ids:
                light.set_state(wanted)

    def stop_lines(self) -> Floats:
        """(N, 3) x, y [m], yaw [rad] where lanes must stop for lights, along their traffic."""
        points = [point for light in self._lights for point in light.get_stop_waypoints()]
        poses = [pose_of(point.transform) for point in points]
        return np.array([(p.x_m, p.y_m, p.yaw_rad) for p in poses]).reshape(-1, 3)


def lines_on(points: Floats, lines: Floats, reach_m: float = 1.5) -> Floats:
    """(K,) arc lengths [m], rising, where a route crosses stop lines; one for lines side by side.

    Args:
        points: (N, 3) of the route.
        lines: (M, 3) of ``stop_lines``.
        reach_m: from the middle of a line's lane to the route, at most.
    """
    steps = np.diff(points[:, :2], axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    start_s_m = np.concatenate([[0.0], np.cumsum(lengths)])
    ahead = steps / np.maximum(lengths, 1e-9)[:, None]
    found: list[float] = []
    for x, y, yaw in lines:
        away = np.array([x, y]) - points[:-1, :2]
        along = np.sum(away * ahead, axis=1)
        aside = np.abs(ahead[:, 0] * away[:, 1] - ahead[:, 1] * away[:, 0])
        turned = ahead @ np.array([np.cos(yaw), np.sin(yaw)])
        fits = (along >= 0) & (along < lengths) & (aside < reach_m) & (turned > 0.8)
        found += [float(start_s_m[row] + along[row]) for row in np.flatnonzero(fits)]
    found.sort()
    apart = [s for number, s in enumerate(found) if number == 0 or s - found[number - 1] > 3.0]
    return np.array(apart)
