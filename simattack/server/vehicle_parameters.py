"""The physical parameters of one vehicle, in the shape of CARLA's VehiclePhysicsControl.

SI units and radians; the wire's degrees and centimetres are made at the border. Not every number
has an effect on the embedded server's single-track model: mass, tyre friction, steering limit and
curve, brake torques, wheel radius, torque curve, final ratio, maximum rpm and drag do; the others
are kept so that a client gets back what it set.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

from simattack.server.blueprints import Blueprint

GRAVITY_MPS2 = 9.81
CARLA_TIRE_FRICTION = 3.5
"""CARLA's default ``tire_friction``; here it stands for a friction coefficient of 1 (dry road)."""

_BRAKE_DECELERATION_G = 0.9
_MAX_RPM = 6000.0
_PEAK_RPM = 4200.0
_FINAL_RATIO = 4.0


@dataclass(frozen=True)
class Wheel:
    """One wheel; front wheels have a steering limit."""

    max_steer_rad: float
    max_brake_torque_nm: float
    max_handbrake_torque_nm: float
    radius_m: float
    position_m: tuple[float, float, float]
    """In the car frame."""
    tire_friction: float = CARLA_TIRE_FRICTION
    damping_rate: float = 0.25
    lat_stiff_max_load: float = 2.0
    lat_stiff_value: float = 17.0
    long_stiff_value: float = 1000.0


@dataclass(frozen=True)
class Gear:
    """One forward gear; up and down ratios are fractions of the maximum rpm."""

    ratio: float
    down_ratio: float = 0.5
    up_ratio: float = 0.65


@dataclass(frozen=True)
class VehicleParameters:
    """What ``get_physics_control`` returns and ``apply_physics_control`` sets."""

    torque_curve: tuple[tuple[float, float], ...]
    """(engine speed [rpm], torque [N m])."""
    wheels: tuple[Wheel, ...]
    """Front left, front right, rear left, rear right; two-wheelers: front, rear."""
    mass_kg: float
    drag_coefficient: float = 0.3
    max_rpm: float = _MAX_RPM
    moi: float = 1.0
    damping_rate_full_throttle: float = 0.15
    damping_rate_zero_throttle_clutch_engaged: float = 2.0
    damping_rate_zero_throttle_clutch_disengaged: float = 0.35
    use_gear_autobox: bool = True
    gear_switch_time_s: float = 0.5
    clutch_strength: float = 10.0
    final_ratio: float = _FINAL_RATIO
    gears: tuple[Gear, ...] = tuple(Gear(ratio) for ratio in (3.6, 2.2, 1.5, 1.1, 0.85))
    center_of_mass_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    steering_curve: tuple[tuple[float, float], ...] = ((0.0, 1.0), (120.0, 1.0))
    """(speed [km/h], factor on the steering limit)."""
    use_sweep_wheel_collision: bool = False

    @property
    def max_steer_rad(self) -> float:
        """Road-wheel angle at ``steer = 1`` and standstill."""
        return max((wheel.max_steer_rad for wheel in self.wheels), default=0.0)

    @property
    def peak_torque_nm(self) -> float:
        return max((torque for _, torque in self.torque_curve), default=0.0)

    def axle_friction(self) -> tuple[float, float]:
        """Friction coefficients of the front and the rear axle."""
        front, rear = self._axles()
        return _mean_friction(front), _mean_friction(rear)

    def brake_force_n(self) -> float:
        """Of all wheels at ``brake = 1``, before the road's grip limits it."""
        return sum(wheel.max_brake_torque_nm / wheel.radius_m for wheel in self.wheels)

    def handbrake_force_n(self) -> float:
        """Of the rear wheels."""
        _, rear = self._axles()
        return sum(wheel.max_handbrake_torque_nm / wheel.radius_m for wheel in rear)

    def _axles(self) -> tuple[tuple[Wheel, ...], tuple[Wheel, ...]]:
        half = len(self.wheels) // 2
        return self.wheels[:half], self.wheels[half:]


def _mean_friction(wheels: tuple[Wheel, ...]) -> float:
    if not wheels:
        return 1.0
    mean = sum(wheel.tire_friction for wheel in wheels) / len(wheels)
    return max(mean, 0.0) / CARLA_TIRE_FRICTION


def default_parameters(blueprint: Blueprint) -> VehicleParameters:
    """The parameters a vehicle is born with: full brakes give 0.9 g on a dry road."""
    length, width, _ = blueprint.size_m
    radius_m = 0.35 if length < 5.5 else 0.5
    brake_nm = (
        _BRAKE_DECELERATION_G * blueprint.mass_kg * GRAVITY_MPS2 * radius_m / blueprint.wheels
    )
    x, y = blueprint.wheelbase_m / 2, 0.42 * width
    places: tuple[tuple[float, float], ...] = ((x, -y), (x, y), (-x, -y), (-x, y))
    if blueprint.wheels == 2:
        places = ((x, 0.0), (-x, 0.0))
    wheels = tuple(
        Wheel(
            max_steer_rad=blueprint.max_steer_rad if px > 0 else 0.0,
            max_brake_torque_nm=brake_nm,
            # enough to lock the rear axle
            max_handbrake_torque_nm=0.0 if px > 0 else 2 * brake_nm,
            radius_m=radius_m,
            position_m=(px, py, radius_m),
        )
        for px, py in places
    )
    peak_nm = blueprint.power_w / (_PEAK_RPM * 2 * pi / 60)
    curve = ((0.0, 0.7 * peak_nm), (_PEAK_RPM, peak_nm), (_MAX_RPM, 0.8 * peak_nm))
    return VehicleParameters(torque_curve=curve, wheels=wheels, mass_kg=blueprint.mass_kg)
