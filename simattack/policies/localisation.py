"""Where the car believes it is: GNSS, compass, gyroscope and wheel speed in one Kalman filter.

Two estimates run side by side. The *pose* is absolute and jumps a little with every fix; it is
for following the route. The *odometry* never jumps and drifts slowly; it is for putting together
what the camera saw at different moments.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from simattack.geodesy import EARTH_RADIUS_M as EARTH_RADIUS_M
from simattack.geodesy import world_from_gnss as world_from_gnss
from simattack.types import Floats, Observation


def yaw_from_compass(compass_rad: float) -> float:
    """World yaw of a compass reading: 0 is north (-y), a quarter turn is east (+x)."""
    return _wrap(compass_rad - np.pi / 2)


class Localiser:
    """One run of the filter over x, y, yaw; odometry with a short memory beside it.

    Source: Thrun, Burgard & Fox, Probabilistic Robotics (2005), table 3.3.

    Args:
        origin_deg: latitude and longitude of the world's origin.
        gnss_std_m: expected error of one fix, each axis.
        compass_std_rad: expected error of one compass reading.
    """

    MEMORY_S = 2.0
    DRIFT_M = 0.015
    """Growth of the position's error per root of a metre driven; wheel slip and the like."""
    TURN_DRIFT_RAD = 0.004
    """Growth of the heading's error per root of a second."""

    def __init__(
        self, origin_deg: tuple[float, float], gnss_std_m: float, compass_std_rad: float
    ) -> None:
        self._origin_deg = origin_deg
        self._gnss_var = gnss_std_m**2
        self._compass_var = compass_std_rad**2
        self._state: Floats | None = None
        self._spread = np.zeros((3, 3))
        self._odometry = np.zeros(3)
        self._history: deque[tuple[float, Floats]] = deque()
        self._time_s = 0.0

    @property
    def pose(self) -> Floats:
        """(3,) x, y [m], yaw [rad] in the world, of the car frame's origin."""
        if self._state is None:
            raise RuntimeError("no observation with a fix yet; call update first")
        return self._state

    @property
    def has_pose(self) -> bool:
        """Whether there has been a fix to begin with."""
        return self._state is not None

    @property
    def odometry(self) -> Floats:
        """(3,) x, y [m], yaw [rad] in the frame the car began in."""
        return self._odometry

    def update(self, obs: Observation) -> None:
        """Take in one tick's sensors; a fix that is no number is none, and is left out."""
        time_s = float(obs["clock"][0])
        has_fix = bool(np.isfinite(obs["gnss"][:2]).all())
        yaw = yaw_from_compass(float(obs["imu"][6]))
        if has_fix:
            fix = world_from_gnss(float(obs["gnss"][0]), float(obs["gnss"][1]), self._origin_deg)
        if self._state is None and not has_fix:
            self._time_s = time_s
            return
        if self._state is None:
            self._state = np.array([fix[0], fix[1], yaw])
            self._spread = np.diag([self._gnss_var, self._gnss_var, self._compass_var])
        else:
            self._predict(
                float(obs["speed"][0]), float(obs["imu"][5]), max(time_s - self._time_s, 0.0)
            )
            if has_fix:
                self._correct(fix, yaw)
            else:
                self._correct_yaw(yaw)
        self._time_s = time_s
        self._history.append((time_s, self._odometry.copy()))
        while self._history[0][0] < time_s - self.MEMORY_S:
            self._history.popleft()

    def odometry_at(self, time_s: float) -> Floats:
        """(3,) odometry at a moment of the last two seconds, between ticks by interpolation."""
        if not self._history:
            return self._odometry
        times = np.array([entry[0] for entry in self._history])
        poses = np.array([entry[1] for entry in self._history])
        # The yaw of odometry is never wrapped, so it interpolates as it stands.
        return np.array([np.interp(time_s, times, poses[:, axis]) for axis in range(3)])

    def world_from_odometry(self, points: Floats) -> Floats:
        """Odometry points (N, 2), in the world (N, 2) [m] by the present pose."""
        return from_frame(into_frame(points, self._odometry), self.pose)

    def _predict(self, speed_mps: float, turn_radps: float, dt_s: float) -> None:
        assert self._state is not None
        step, turn = speed_mps * dt_s, turn_radps * dt_s
        for pose in (self._state, self._odometry):
            middle = pose[2] + turn / 2
            pose += (step * np.cos(middle), step * np.sin(middle), turn)
        yaw = self._state[2] - turn / 2
        jacobian = np.array(
            [[1.0, 0.0, -step * np.sin(yaw)], [0.0, 1.0, step * np.cos(yaw)], [0.0, 0.0, 1.0]]
        )
        self._spread = jacobian @ self._spread @ jacobian.T
        moved = self.DRIFT_M**2 * step
        self._spread += np.diag([moved, moved, self.TURN_DRIFT_RAD**2 * dt_s])

    def _correct(self, fix: Floats, yaw_rad: float) -> None:
        assert self._state is not None
        surprise = np.array(
            [fix[0] - self._state[0], fix[1] - self._state[1], _wrap(yaw_rad - self._state[2])]
        )
        noise = np.diag([self._gnss_var, self._gnss_var, self._compass_var])
        gain = self._spread @ np.linalg.inv(self._spread + noise)
        self._state = self._state + gain @ surprise
        self._state[2] = _wrap(self._state[2])
        keep = np.eye(3) - gain
        # Joseph's form stays symmetric and positive in floating point.
        self._spread = keep @ self._spread @ keep.T + gain @ noise @ gain.T

    def _correct_yaw(self, yaw_rad: float) -> None:
        """The compass alone; it tells of x and y only what they share with the heading."""
        assert self._state is not None
        column = self._spread[:, 2]
        gain = column / (column[2] + self._compass_var)
        self._state = self._state + gain * _wrap(yaw_rad - self._state[2])
        self._state[2] = _wrap(self._state[2])
        keep = np.eye(3) - np.outer(gain, [0.0, 0.0, 1.0])
        self._spread = keep @ self._spread @ keep.T + self._compass_var * np.outer(gain, gain)


def into_frame(points: Floats, pose: Floats) -> Floats:
    """Points (N, 2) of the plane, in the frame of a pose (x, y, yaw): forward and right [m]."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    local: Floats = (np.asarray(points) - pose[:2]) @ np.array([[cos, -sin], [sin, cos]])
    return local


def from_frame(points: Floats, pose: Floats) -> Floats:
    """Points (N, 2) given forward and right of a pose (x, y, yaw), in the plane [m]."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    plane: Floats = np.asarray(points) @ np.array([[cos, sin], [-sin, cos]]) + pose[:2]
    return plane


def _wrap(angle_rad: float) -> float:
    return float((angle_rad + np.pi) % (2 * np.pi) - np.pi)
