"""Drives to a speed and a steering angle: two controllers in a row, speed and acceleration.

The speed's controller moves a wanted acceleration by at most 1 m/s2 a tick, within the limits
asked for; the acceleration's controller moves the pedals by at most their whole way. Neither ever
sees the road: hills and drag are errors like any other.

Source: CARLA's Ackermann controller (gains, limits, order of the stages), after the ROS package
carla_ackermann_control.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from simattack.server.codec import VehicleControl

_FASTEST_MPS2, _HARDEST_MPS2 = 3.0, 8.0  # speeding up and braking where no limit is asked for
_STANDING_MPS = 0.1
_NO_LIMIT = 1e-3
_KEPT = 0.8  # of the old acceleration, in the running mean


@dataclass(frozen=True)
class AckermannSettings:
    """Gains of the two controllers, in CARLA's order."""

    speed_kp: float = 0.15
    speed_ki: float = 0.0
    speed_kd: float = 0.25
    accel_kp: float = 0.01
    accel_ki: float = 0.0
    accel_kd: float = 0.01

    def row(self) -> list[float]:
        """In the order of the wire."""
        speed = [self.speed_kp, self.speed_ki, self.speed_kd]
        return [*speed, self.accel_kp, self.accel_ki, self.accel_kd]


@dataclass(frozen=True)
class AckermannOrder:
    """What is asked of a car."""

    steer_rad: float = 0.0
    """Road-wheel angle, right positive."""
    steer_speed_radps: float = 0.0
    """0: at once."""
    speed_mps: float = 0.0
    """Negative: backwards."""
    acceleration_mps2: float = 0.0
    """Limit in both directions; 0: 3 m/s2 up and 8 m/s2 down."""
    jerk_mps3: float = 0.0
    """Kept without effect, as in CARLA."""


class _Pid:
    """A controller whose output and integral stay within -1..1."""

    def __init__(self) -> None:
        self.sum = 0.0
        self.last = 0.0

    def step(self, wanted: float, found: float, gains: tuple[float, ...], dt_s: float) -> float:
        proportional, integral, derivative = gains
        gap = wanted - found
        self.sum = _unit(self.sum + integral * gap * dt_s)
        # on what is found, not on the gap: a new order gives no jolt
        damping = -derivative * (found - self.last) / dt_s
        self.last = found
        return _unit(proportional * gap + self.sum + damping)


class Ackermann:
    """The controller of one vehicle; it remembers the tick before."""

    def __init__(self, settings: AckermannSettings | None = None) -> None:
        self.settings = settings or AckermannSettings()
        self.order = AckermannOrder()
        self.forget()

    def forget(self) -> None:
        """Start over, as after a while of other control."""
        self._speed, self._pedals = _Pid(), _Pid()
        self._wanted_mps2 = self._pedal = 0.0
        self._last_mps: float | None = None
        self._felt_mps2 = 0.0
        self._is_reverse = False

    def step(
        self, speed_mps: float, steer: float, max_steer_rad: float, dt_s: float
    ) -> VehicleControl:
        """The pedals and the wheel for the next tick.

        Args:
            speed_mps: along the car, negative backwards.
            steer: -1..1, as it is now.
            max_steer_rad: of the road wheels at ``steer = 1``.
            dt_s: of a tick.
        """
        if self._last_mps is None:  # taking over at a speed is no jolt
            self._last_mps = self._speed.last = speed_mps
        felt = (speed_mps - self._last_mps) / dt_s
        self._felt_mps2 = _KEPT * self._felt_mps2 + (1 - _KEPT) * felt
        self._last_mps = speed_mps
        wheel = self._steer(steer * max_steer_rad, max_steer_rad, dt_s)
        if abs(speed_mps) < _STANDING_MPS and abs(self.order.speed_mps) < _STANDING_MPS:
            return VehicleControl(0.0, wheel, 1.0, reverse=self._is_reverse)
        pedal = self._push(self._target(speed_mps), speed_mps, dt_s)
        forth, back = max(pedal, 0.0), max(-pedal, 0.0)
        if self._is_reverse:
            return VehicleControl(back, wheel, forth, reverse=True)
        return VehicleControl(forth, wheel, back)

    def _steer(self, now_rad: float, max_rad: float, dt_s: float) -> float:
        if max_rad <= 0:
            return 0.0
        wanted = min(max(self.order.steer_rad, -max_rad), max_rad)
        rate = abs(self.order.steer_speed_radps)
        if rate >= _NO_LIMIT:
            wanted = now_rad + min(max(wanted - now_rad, -rate * dt_s), rate * dt_s)
        return wanted / max_rad

    def _target(self, speed_mps: float) -> float:
        """The speed to go for now: to turn round, a car stops first."""
        wanted = self.order.speed_mps
        if abs(speed_mps) < _STANDING_MPS:
            self._is_reverse = wanted < 0
        elif speed_mps * wanted < 0:
            return 0.0
        return wanted

    def _push(self, wanted_mps: float, speed_mps: float, dt_s: float) -> float:
        """-1..1: the pedals' way forwards or backwards."""
        gains = self.settings.row()
        limit = abs(self.order.acceleration_mps2)
        least, most = (-limit, limit) if limit >= 1e-4 else (-_HARDEST_MPS2, _FASTEST_MPS2)
        change = self._speed.step(wanted_mps, speed_mps, tuple(gains[:3]), dt_s)
        self._wanted_mps2 = min(max(self._wanted_mps2 + change, least), most)
        move = self._pedals.step(self._wanted_mps2, self._felt_mps2, tuple(gains[3:]), dt_s)
        self._pedal = _unit(self._pedal + move)
        return self._pedal


def _unit(value: float) -> float:
    return 0.0 if math.isnan(value) else min(max(value, -1.0), 1.0)
