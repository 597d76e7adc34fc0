"""What an adversary sees of a drive, by how much it knows of the car: a vector of numbers.

Every number is of the order of one: ``names`` says what each is and by what it was divided. What a
level knows is known at the levels above it, too.

- ``black``: what an outsider with a map sees: where the car is on its route, how fast, how far from
  the attack's sign or, at a place without one, from whoever is nearest;
- ``grey``: what the car's sensors deliver, under attack, and what its detector makes of it;
- ``white``: where the car holds itself to be, how it acts, and what its defense says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from simattack.geodesy import world_from_gnss
from simattack.geometry import wrap_angle
from simattack.polyline import Polyline
from simattack.types import Floats, Frame, Observation, Pose, Route, Tick

LEVELS = ("black", "grey", "white")
FARTHEST = 10.0
"""No number is beyond this, either way."""
_NOWHERE = (2.0, 0.0)
"""Where somebody is told to be who is not there: 100 m ahead."""
_AHEAD_RAD = 0.17
"""Half the sector of the LiDAR's and the radar's nearest return."""

_BLACK = (
    "time / 20 s", "energy left, share", "way driven, share", "way left / 100 m",
    "speed / 10 m/s", "right of the route / 3 m", "heading off the route / 1 rad",
    "bend within 15 m / 1 rad", "bend within 30 m / 1 rad",
    "target ahead / 50 m", "target right / 10 m",
)  # fmt: skip
_SENSORS = {
    "camera": ("detections / 5", "best score"),
    "lidar": ("returns, share", "nearest ahead / 50 m"),
    "radar": ("returns, share", "nearest ahead / 50 m"),
    "gnss": ("has a fix", "fix ahead of the car / 5 m", "fix right of the car / 5 m"),
    "imu": ("acceleration ahead / 5 m/s2", "yaw rate / 0.5 rad/s"),
    "speed": ("speed / 10 m/s",),
}
_WHITE = (
    "says where it is", "belief ahead of the car / 3 m", "belief right of the car / 3 m",
    "belief's yaw / 0.5 rad", "steer", "throttle", "brake", "kept detections / 5", "highest alarm",
)  # fmt: skip


def names(level: str, sensors: Sequence[str]) -> tuple[str, ...]:
    """What each number is; what an adversary does itself comes after these.

    Args:
        level: out of LEVELS.
        sensors: that the car has.
    """
    found = list(_BLACK)
    if level != "black":
        found += [f"{sensor}: {name}" for sensor in _SENSORS if sensor in sensors
                  for name in _SENSORS[sensor]]  # fmt: skip
    if level == "white":
        found += _WHITE
    return tuple(found)


class Insight:
    """One episode's view.

    Args:
        level: out of LEVELS.
        sensors: that the car has.
        route: where the car is to go; the map is public.
        target_m: (3,) the attack's sign; None: whoever is nearest.
        origin_deg: latitude and longitude of the world's origin.
    """

    def __init__(
        self,
        level: str,
        sensors: Sequence[str],
        route: Route,
        target_m: Floats | None,
        origin_deg: tuple[float, float],
    ) -> None:
        self._level = level
        self._readers: list[tuple[str, Callable[[Observation, Tick, Pose], list[float]]]] = []
        if level != "black":
            readers = {
                "camera": lambda obs, tick, _: _seen(tick),
                "lidar": lambda obs, *_: _scan(obs["lidar"]),
                "radar": lambda obs, *_: _returns(obs["radar"]),
                "gnss": lambda obs, _, pose: self._fix(obs["gnss"], pose),
                "imu": lambda obs, *_: [float(obs["imu"][0]) / 5, float(obs["imu"][5]) / 0.5],
                "speed": lambda obs, *_: [float(obs["speed"][0]) / 10],
            }
            self._readers = [(name, readers[name]) for name in _SENSORS if name in sensors]
        self._line = Polyline(route.points)
        self._target_m, self._origin_deg = target_m, origin_deg
        self._along_m: float | None = None

    def told(self, energy_share: float, frame: Frame, obs: Observation, tick: Tick) -> Floats:
        """(n,) what is seen after a tick, in the order of ``names``.

        Args:
            energy_share: what the adversary has left.
            frame: the truth of the tick.
            obs: what the sensors delivered, under attack.
            tick: what the car made of it.
        """
        pose = frame.ego.pose
        found = self._outside(energy_share, frame)
        for _, read in self._readers:
            found += read(obs, tick, pose)
        if self._level == "white":
            found += _inside(tick, pose)
        return np.clip(found, -FARTHEST, FARTHEST)

    def _outside(self, energy_share: float, frame: Frame) -> list[float]:
        pose, line = frame.ego.pose, self._line
        along_m, right_m = line.locate((pose.x_m, pose.y_m), self._along_m)
        self._along_m = along_m
        here, near, far = (line.pose(along_m + ahead).yaw_rad for ahead in (0.0, 15.0, 30.0))
        ahead, right = self._target(frame)
        return [
            frame.time_s / 20,
            energy_share,
            along_m / line.length_m,
            (line.length_m - along_m) / 100,
            frame.ego.speed_mps / 10,
            right_m / 3,
            _turn(pose.yaw_rad - here),
            _turn(near - here),
            _turn(far - here),
            ahead,
            right,
        ]

    def _target(self, frame: Frame) -> tuple[float, float]:
        pose = frame.ego.pose
        places = [(other.pose.x_m, other.pose.y_m) for other in frame.others]
        if self._target_m is not None:
            places = [(float(self._target_m[0]), float(self._target_m[1]))]
        if not places:
            return _NOWHERE
        away = min(
            (_into(pose, x - pose.x_m, y - pose.y_m) for x, y in places),
            key=lambda there: there[0] ** 2 + there[1] ** 2,
        )
        return away[0] / 50, away[1] / 10

    def _fix(self, fix: Floats, pose: Pose) -> list[float]:
        if not np.isfinite(fix).all():
            return [0.0, 0.0, 0.0]
        x, y = world_from_gnss(float(fix[0]), float(fix[1]), self._origin_deg)
        ahead, right = _into(pose, float(x) - pose.x_m, float(y) - pose.y_m)
        return [1.0, ahead / 5, right / 5]


def _inside(tick: Tick, pose: Pose) -> list[float]:
    believed = [0.0, 0.0, 0.0, 0.0]
    if tick.belief is not None and np.isfinite(tick.belief).all():
        x, y, yaw = (float(value) for value in tick.belief)
        ahead, right = _into(pose, x - pose.x_m, y - pose.y_m)
        believed = [1.0, ahead / 3, right / 3, _turn(yaw - pose.yaw_rad) / 0.5]
    alarm = max(tick.verdict.alarm.values(), default=0.0)
    action = [float(value) for value in tick.action]
    return [*believed, *action, len(tick.verdict.detections) / 5, float(alarm)]


def _seen(tick: Tick) -> list[float]:
    scores = tick.raw.scores
    return [len(scores) / 5, float(scores.max()) if len(scores) else 0.0]


def _scan(scan: Floats) -> list[float]:
    ranges = scan[..., 0]
    columns = ranges.shape[1]
    half = max(1, round(_AHEAD_RAD / (2 * np.pi) * columns))
    ahead = ranges[:, columns // 2 - half : columns // 2 + half]
    return [float((ranges > 0).mean()), _nearest(ahead)]


def _returns(returns: Floats) -> list[float]:
    is_there = returns[:, 0] > 0
    ahead = returns[is_there & (np.abs(returns[:, 1]) < _AHEAD_RAD), 0]
    return [float(is_there.mean()), _nearest(ahead)]


def _nearest(ranges: Floats) -> float:
    found = ranges[ranges > 0]
    return float(found.min()) / 50 if found.size else _NOWHERE[0]


def _into(pose: Pose, x_m: float, y_m: float) -> tuple[float, float]:
    """Ahead and to the right of the car."""
    cos, sin = float(np.cos(pose.yaw_rad)), float(np.sin(pose.yaw_rad))
    return x_m * cos + y_m * sin, y_m * cos - x_m * sin


def _turn(angle_rad: float) -> float:
    return float(wrap_angle(np.array(angle_rad)))
