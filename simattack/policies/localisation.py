"""Where the car believes it is: GNSS, compass, inertial unit and wheels in one Kalman filter.

Two estimates run side by side. The *pose* is absolute and jumps a little with every fix; it is
for following the route. The *odometry* never jumps and drifts slowly; it is for putting together
what the sensors saw at different moments.

Every sensor may be missing. Without wheels the speed is the accelerometer's sum, held by the
fixes; without an inertial unit the car turns as its steering says and the fixes show its course;
without fixes it goes on by the others, but it cannot begin without one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from simattack.geodesy import EARTH_RADIUS_M as EARTH_RADIUS_M
from simattack.geodesy import world_from_gnss as world_from_gnss
from simattack.types import Floats, Observation

X, Y, YAW, SPEED, PUSH_BIAS, TURN_BIAS = range(6)
"""Rows of the filter's state."""


def yaw_from_compass(compass_rad: float) -> float:
    """World yaw of a compass reading: 0 is north (-y), a quarter turn is east (+x)."""
    return _wrap(compass_rad - np.pi / 2)


class Localiser:
    """One run of an extended Kalman filter; odometry with a short memory beside it.

    Its state is x, y [m], yaw [rad], speed [m/s], and what the accelerometer's forward axis
    [m/s2] and the gyroscope's upright axis [rad/s] read too much. The first of the two holds
    gravity's share on a slope as well.

    Source: Thrun, Burgard & Fox, Probabilistic Robotics (2005), table 3.3; biases as states as in
    Groves, Principles of GNSS, Inertial, and Multisensor Integrated Navigation Systems (2013),
    chapter 14 (chapter assumed).

    Args:
        origin_deg: latitude and longitude of the world's origin.
        gnss_std_m: expected error of one fix, each axis.
        compass_std_rad: expected error of one compass reading.
        wheel_std_mps: expected error of one wheel speed.
        heading_rad: the yaw to begin with where there is no compass.
        rear_m: how far behind the car frame's origin the rear axle is, which rolls straight on
            while the car turns, so that the origin moves sideways.
        gates: by sensor (``gnss``, ``compass``, ``wheels``), the greatest ``nis`` that is taken
            in; every reading of a sensor that is not named.
    """

    MEMORY_S = 2.0
    DRIFT_M = 0.015
    """Growth of the position's error per root of a metre driven; wheel slip and the like."""
    TURN_DRIFT_RAD = 0.004
    """Growth of the heading's error per root of a second."""
    PUSH_DRIFT_MPS = 0.1
    """Growth of the speed's error per root of a second, by what the accelerometer hears besides."""
    BLIND_TURN_DRIFT_RAD = 0.05
    """As TURN_DRIFT_RAD, by the steering alone."""
    BLIND_PUSH_DRIFT_MPS = 2.0
    """As PUSH_DRIFT_MPS, without an accelerometer."""
    BIAS_STD = (0.3, 0.005)
    """Of the biases at the beginning [m/s2, rad/s], assumed: a slope of 3 %, and 0.3 deg/s ..."""
    BIAS_WALK = (0.1, 0.0005)
    """... and their growth per root of a second: a slope comes and goes within seconds."""
    HEADING_STD_RAD = 0.2
    """Of ``heading_rad``."""

    def __init__(
        self,
        origin_deg: tuple[float, float],
        gnss_std_m: float,
        compass_std_rad: float,
        wheel_std_mps: float = 0.1,
        heading_rad: float = 0.0,
        rear_m: float = 0.0,
        gates: Mapping[str, float] | None = None,
    ) -> None:
        self._origin_deg = origin_deg
        self._gnss_var = gnss_std_m**2
        self._compass_var = compass_std_rad**2
        self._wheel_var = wheel_std_mps**2
        self._heading_rad = heading_rad
        self._rear_m = rear_m
        self._gates = dict(gates or {})
        self._state: Floats | None = None
        self._spread = np.zeros((6, 6))
        self._odometry = np.zeros(3)
        self._history: deque[tuple[float, Floats]] = deque()
        self._time_s = 0.0
        self.turn_radps = 0.0
        """How fast the car turns to the right, as last measured or steered."""
        self.nis: dict[str, float] = {}
        """By sensor, the normalised innovation squared of its newest reading: how far that lay
        from what was expected, in units of both errors; chi-squared with as many degrees of
        freedom as the reading has numbers, if all is well."""

    @property
    def pose(self) -> Floats:
        """(3,) x, y [m], yaw [rad] in the world, of the car frame's origin."""
        return self._known()[:3]

    @property
    def speed_mps(self) -> float:
        """Forward; never negative, as the car never backs."""
        return max(float(self._known()[SPEED]), 0.0)

    @property
    def biases(self) -> Floats:
        """(2,) of the accelerometer's forward axis [m/s2] and the gyroscope's upright [rad/s]."""
        return self._known()[PUSH_BIAS:]

    @property
    def has_pose(self) -> bool:
        """Whether there has been a fix to begin with."""
        return self._state is not None

    @property
    def odometry(self) -> Floats:
        """(3,) x, y [m], yaw [rad] in the frame the car began in."""
        return self._odometry

    def update(self, obs: Observation, steered_radps: float = 0.0) -> None:
        """Take in one tick's sensors; a fix that is no number is none, and is left out.

        Args:
            steered_radps: how fast the steering turns the car; for want of a gyroscope.
        """
        time_s = float(obs["clock"][0])
        dt_s = max(time_s - self._time_s, 0.0)
        self._time_s = time_s
        self.turn_radps = steered_radps
        if "imu" in obs:
            bias = 0.0 if self._state is None else float(self._state[TURN_BIAS])
            self.turn_radps = float(obs["imu"][5]) - bias
        fix = self._fix(obs)
        if self._state is not None:
            self._predict(obs, dt_s)
        elif fix is not None:
            self._begin(obs, fix)
        else:
            return
        if "speed" in obs:
            row = np.eye(6)[SPEED : SPEED + 1]
            miss = np.array([float(obs["speed"][0]) - self._known()[SPEED]])
            self._correct("wheels", row, miss, self._wheel_var)
        if "imu" in obs:
            yaw = yaw_from_compass(float(obs["imu"][6]))
            miss = np.array([_wrap(yaw - self._known()[YAW])])
            self._correct("compass", np.eye(6)[YAW : YAW + 1], miss, self._compass_var)
        if fix is not None:
            self._correct("gnss", np.eye(6)[:2], fix - self._known()[:2], self._gnss_var)
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

    def _known(self) -> Floats:
        if self._state is None:
            raise RuntimeError("no observation with a fix yet; call update first")
        return self._state

    def _fix(self, obs: Observation) -> Floats | None:
        if "gnss" not in obs or not np.isfinite(obs["gnss"][:2]).all():
            return None
        return world_from_gnss(float(obs["gnss"][0]), float(obs["gnss"][1]), self._origin_deg)

    def _begin(self, obs: Observation, fix: Floats) -> None:
        self._state = np.array([fix[0], fix[1], self._heading_rad, 0.0, 0.0, 0.0])
        heading_var = self.HEADING_STD_RAD**2
        # The corrections that follow would count the readings of this tick twice, so what is
        # taken as it comes here begins at next to nothing known.
        if "imu" in obs:
            self._state[YAW] = yaw_from_compass(float(obs["imu"][6]))
            heading_var = 1.0
        if "speed" in obs:
            self._state[SPEED] = float(obs["speed"][0])
        far, fast = 1e3 * self._gnss_var, 10.0**2
        self._spread = np.diag([far, far, heading_var, fast, *np.square(self.BIAS_STD)])

    def _predict(self, obs: Observation, dt_s: float) -> None:
        state = self._known()
        push, turn = 0.0, self.turn_radps * dt_s
        push_drift, turn_drift = self.BLIND_PUSH_DRIFT_MPS, self.BLIND_TURN_DRIFT_RAD
        if has_imu := "imu" in obs:
            push = (float(obs["imu"][0]) - state[PUSH_BIAS]) * dt_s
            push_drift, turn_drift = self.PUSH_DRIFT_MPS, self.TURN_DRIFT_RAD
        step, aside = (state[SPEED] + push / 2) * dt_s, self._rear_m * turn
        yaw, middle = state[YAW] + turn / 2, self._odometry[2] + turn / 2
        cos, sin = np.cos(yaw), np.sin(yaw)
        moved = from_frame(np.array([[step, aside]]), np.array([0.0, 0.0, middle]))[0]
        self._odometry = self._odometry + np.array([*moved, turn])
        ahead, right = np.array([cos, sin]), np.array([-sin, cos])
        went = step * ahead + aside * right
        self._state = state + np.array([*went, turn, push, 0.0, 0.0])
        move = np.eye(6)
        by_yaw = step * right - aside * ahead
        move[:2, YAW] = by_yaw
        move[:2, SPEED] = ahead * dt_s
        if has_imu:
            move[:2, PUSH_BIAS] = -ahead * dt_s**2 / 2
            move[:2, TURN_BIAS] = -(by_yaw / 2 + self._rear_m * right) * dt_s
            move[SPEED, PUSH_BIAS] = move[YAW, TURN_BIAS] = -dt_s
        self._spread = move @ self._spread @ move.T
        slip = self.DRIFT_M**2 * abs(step)
        grown = np.square([turn_drift, push_drift, *self.BIAS_WALK]) * dt_s
        self._spread += np.diag([slip, slip, *grown])

    def _correct(self, sensor: str, rows: Floats, miss: Floats, variance: float) -> None:
        """Take in readings of single states, ``miss`` away from what was expected.

        Args:
            rows: (n, 6) of the identity.
        """
        noise = variance * np.eye(len(rows))
        inverse = np.linalg.inv(rows @ self._spread @ rows.T + noise)
        self.nis[sensor] = float(miss @ inverse @ miss)
        if self.nis[sensor] > self._gates.get(sensor, np.inf):
            return
        gain = self._spread @ rows.T @ inverse
        self._state = self._known() + gain @ miss
        self._state[YAW] = _wrap(self._state[YAW])
        keep = np.eye(6) - gain @ rows
        # Joseph's form stays symmetric and positive in floating point.
        self._spread = keep @ self._spread @ keep.T + variance * gain @ gain.T


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
