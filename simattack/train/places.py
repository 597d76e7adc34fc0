"""Places of a map, and the poses on its lanes.

A place is a crossing with everything nearer to it than to any other crossing. A crossing with
traffic lights is cut into one place per light, by direction, so that a map with a single such
crossing still has lights on both sides of a split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from simattack.errors import ConfigError
from simattack.types import Floats, Pose, Route

CROSSING_REACH_M = 40.0
"""Signs and lights closer together than this (in a chain) belong to one crossing."""


@dataclass(frozen=True)
class Place:
    """Part of a map that lies wholly on one side of a split."""

    name: str
    kind: str
    """Places of one kind look alike, such as ``stop 4``: split within each kind."""
    centre_m: tuple[float, float]
    """Of its crossing."""
    arm_m: tuple[float, float] | None = None
    """Where its traffic light stands, if it is one arm of a crossing with lights."""


def find_places(stop_signs: Floats, lights: Floats) -> list[Place]:
    """The places of a map, by where its stop signs (N, 3) and traffic lights (M, 3) stand."""
    points = np.concatenate([np.reshape(stop_signs, (-1, 3)), np.reshape(lights, (-1, 3))])[:, :2]
    is_light = np.arange(len(points)) >= len(stop_signs)
    crossings: list[list[int]] = []
    for index, point in enumerate(points):
        near = [
            group
            for group in crossings
            if np.min(np.linalg.norm(points[group] - point, axis=1)) < CROSSING_REACH_M
        ]
        crossings = [group for group in crossings if group not in near]
        crossings.append([i for group in near for i in group] + [index])
    crossings.sort(key=lambda group: tuple(np.round(points[group].mean(0), 1)))
    places = []
    for number, group in enumerate(crossings):
        x, y = (float(value) for value in points[group].mean(0))
        own = [i for i in group if is_light[i]]
        if not own:
            places.append(Place(f"crossing_{number}", f"stop {len(group)}", (x, y)))
        for order, i in enumerate(own):
            arm = (float(points[i][0]), float(points[i][1]))
            places.append(Place(f"crossing_{number}_arm_{order}", "lights", (x, y), arm))
    return places


def place_of(places: Sequence[Place], x_m: float, y_m: float) -> Place:
    """The place that a point lies in."""

    def rank(place: Place) -> tuple[float, float]:
        out = np.array([x_m, y_m]) - place.centre_m
        distance = float(np.hypot(*out))
        if place.arm_m is None:
            return distance, 0.0
        arm = np.array(place.arm_m) - place.centre_m
        return distance, -float(out @ arm / (np.hypot(*arm) * max(distance, 1e-6)))

    return min(places, key=rank)


def lane_poses(
    names: Sequence[str], route_to: Callable[[str, float, float], Route], lane_width_m: float = 3.5
) -> Floats:
    """Poses (N, 4) x y z [m], yaw [rad], every metre along both lanes of every approach.

    Args:
        names: surfaces of stop signs, the ends of the approaches.
        route_to: of the session.
        lane_width_m: the oncoming lane is the mirror image at this distance.
    """
    found = []
    for name in names:
        for start_m in (150.0, 100.0, 70.0, 40.0):
            try:
                points = route_to(name, start_m, 20.0).points
                break
            except ConfigError:
                continue
        else:
            continue
        ahead = np.gradient(points, axis=0)
        yaw = np.arctan2(ahead[:, 1], ahead[:, 0])
        there = np.column_stack([points, yaw])
        back = there.copy()
        back[:, 0] += lane_width_m * np.sin(yaw)
        back[:, 1] -= lane_width_m * np.cos(yaw)
        back[:, 3] += np.pi
        found += [there, back]
    if not found:
        raise ConfigError("expected a map with stop signs to gather frames on, found none")
    return np.concatenate(found)


def offset(
    lane: Floats, right_m: float, turn_rad: float = 0.0, up_m: float = 0.0, **tilt: float
) -> Pose:
    """A pose beside one of ``lane_poses``: moved to the right, then turned clockwise."""
    x, y, z, yaw = (float(value) for value in lane)
    return Pose(
        x - right_m * float(np.sin(yaw)),
        y + right_m * float(np.cos(yaw)),
        z + up_m,
        yaw_rad=yaw + turn_rad,
        **tilt,
    )
