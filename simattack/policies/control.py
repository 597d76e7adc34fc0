"""From a path to a steering angle, and from an acceleration to the pedals."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from simattack.policies.localisation import into_frame
from simattack.policies.path import Path
from simattack.types import CarInfo, Floats


class Lane(Protocol):
    """The lane as a camera sees it."""

    @property
    def offset_m(self) -> float:
        """The car right of the lane's middle."""
        ...

    @property
    def heading_rad(self) -> float:
        """The car's heading right of the lane's."""
        ...

    @property
    def quality(self) -> float:
        """How sure that is, 0..1."""
        ...


def in_lane(pose: Floats, s_m: float, path: Path, lane: Lane | None, trust: float) -> Floats:
    """(3,) the pose, drawn to where a camera sees the car in its lane; the path is its middle.

    Args:
        pose: (3,) x, y, yaw in the world.
        s_m: the car's own place along the path.
        path: the route.
        lane: None leaves the pose as it is.
        trust: what part of the way it is drawn at full quality, 0..1.
    """
    if lane is None:
        return pose
    share = trust * min(max(lane.quality, 0.0), 1.0)
    heading = path.heading_rad(s_m)
    _, right_m = path.locate(pose[:2], s_m)
    aside = share * (lane.offset_m - right_m)
    turn = (heading + lane.heading_rad - pose[2] + np.pi) % (2 * np.pi) - np.pi
    shift = np.array([-np.sin(heading) * aside, np.cos(heading) * aside, share * turn])
    moved: Floats = pose + shift
    return moved


def pure_pursuit(pose: Floats, s_m: float, speed_mps: float, path: Path, car: CarInfo) -> float:
    """Steer in -1..1 (right positive) onto a point of the path some way ahead.

    Args:
        pose: (3,) x, y, yaw of the car frame's origin, taken to lie midway between the axles.
        s_m: the car's own place along the path.

    Source: Coulter, Implementation of the Pure Pursuit Path Tracking Algorithm,
    CMU-RI-TR-92-01, section 2.
    """
    ahead = 2.5 + 0.4 * speed_mps
    back = car.wheelbase_m / 2
    rear = np.array([pose[0] - back * np.cos(pose[2]), pose[1] - back * np.sin(pose[2]), pose[2]])
    forward, right = into_frame(path.point(s_m - back + ahead)[None], rear)[0]
    bend = 2 * right / max(forward**2 + right**2, 1.0)
    angle = np.arctan(car.wheelbase_m * bend)
    return float(np.clip(angle / car.lock_rad(speed_mps), -1.0, 1.0))


class Pedals:
    """Throttle and brake for a wanted acceleration: feed-forward plus a slow correction.

    The correction integrates the difference to the acceleration measured at the wheels, so that
    a heavier car, a slope or drag cost no accuracy.
    """

    CORRECTION_PER_S = 0.8
    CORRECTION_MPS2 = 1.5
    """The most it may add."""
    HOLD_BRAKE = 0.35
    """Holds the car on any road."""

    def __init__(self, full_throttle_mps2: float, full_brake_mps2: float) -> None:
        self._full_throttle_mps2 = full_throttle_mps2
        self._full_brake_mps2 = full_brake_mps2
        self._correction_mps2 = 0.0
        self._measured_mps2 = 0.0
        self._speed_mps: float | None = None

    def press(self, wanted_mps2: float, speed_mps: float, dt_s: float) -> tuple[float, float]:
        """Throttle and brake, each in 0..1, one of them zero."""
        if self._speed_mps is not None and dt_s > 0:
            fresh = (speed_mps - self._speed_mps) / dt_s
            self._measured_mps2 += 0.3 * (fresh - self._measured_mps2)
            # At a standstill the brake holds and the wheels tell nothing.
            if speed_mps > 0.5:
                miss = np.clip(wanted_mps2 - self._measured_mps2, -2.0, 2.0)
                self._correction_mps2 += float(miss) * self.CORRECTION_PER_S * dt_s
                limit = self.CORRECTION_MPS2
                self._correction_mps2 = float(np.clip(self._correction_mps2, -limit, limit))
        self._speed_mps = speed_mps
        total = wanted_mps2 + self._correction_mps2
        if total >= 0:
            return min(total / self._full_throttle_mps2, 1.0), 0.0
        return 0.0, min(-total / self._full_brake_mps2, 1.0)

    def hold(self, speed_mps: float) -> tuple[float, float]:
        """Come to a stand out of a walking pace, ever more gently, and stay."""
        self._speed_mps = speed_mps
        self._measured_mps2 = 0.0
        self._correction_mps2 = 0.0
        if speed_mps < 0.05:
            return 0.0, self.HOLD_BRAKE
        return 0.0, min(0.08 + 0.4 * speed_mps, 1.0)
