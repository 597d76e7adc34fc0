"""The physical parameters of one vehicle, in the shape of CARLA's VehiclePhysicsControl.

SI units and radians; the wire's degrees and centimetres are made at the border. These have an
effect on the embedded server's single-track model: mass, centre of mass (x on the axles' loads and
levers, y and z on the loads shown), drag, of each wheel its friction, lateral stiffness, steering
limit (front), brake torques and radius, steering curve, torque curve, gears, final ratio and
maximum rpm. The others (inertia and damping of engine and wheels, clutch, shifting time, the
stiffness's load, wheel positions, sweeping) are kept so that a client gets back what it set; the
longitudinal stiffness says how much slip goes with a force, but takes none away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import pi

from simattack.server.blueprints import Blueprint

GRAVITY_MPS2 = 9.81
CARLA_TIRE_FRICTION = 3.5
"""CARLA's default ``tire_friction``."""
CARLA_LAT_STIFFNESS = 17.0
"""CARLA's default ``lat_stiff_value``; here it stands for the stiffness in ``tyres``."""

REST_HEIGHT = 0.35
"""Of the centre of mass, over the vehicle's own height."""

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
    lat_stiff_value: float = CARLA_LAT_STIFFNESS
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
    """Front left, front right, rear left, rear right. Two-wheelers have four as well, as in CARLA:
    each of theirs is a pair."""
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
    """Away from the middle between the axles, at ``REST_HEIGHT`` of the vehicle's height."""
    steering_curve: tuple[tuple[float, float], ...] = ((0.0, 1.0), (120.0, 1.0))
    """(speed [km/h], factor on the steering limit)."""
    use_sweep_wheel_collision: bool = False

    @property
    def max_steer_rad(self) -> float:
        """Road-wheel angle at ``steer = 1`` and standstill: the mean of the front wheels'."""
        front, _ = self._axles()
        return sum(wheel.max_steer_rad for wheel in front) / len(front) if front else 0.0

    @cached_property
    def radius_m(self) -> float:
        """Mean of the wheels."""
        return max(sum(wheel.radius_m for wheel in self.wheels) / len(self.wheels), 0.01)

    def arms_m(self, wheelbase_m: float) -> tuple[float, float]:
        """From the centre of mass to the front and to the rear axle; never beyond an axle."""
        half = wheelbase_m / 2
        ahead = min(max(self.center_of_mass_m[0], -0.9 * half), 0.9 * half)
        return half - ahead, half + ahead

    @property
    def peak_torque_nm(self) -> float:
        return max((torque for _, torque in self.torque_curve), default=0.0)

    def axle_friction(self, top: float) -> tuple[float, float]:
        """Friction coefficients of the front and the rear axle, never above ``top``."""
        front, rear = self._axles()
        return _mean_friction(front, top), _mean_friction(rear, top)

    def axle_stiffness(self) -> tuple[float, float]:
        """Cornering stiffness of the front and the rear axle over the default's."""
        front, rear = (
            sum(max(wheel.lat_stiff_value, 0.0) for wheel in axle) / len(axle) if axle else 0.0
            for axle in self._axles()
        )
        return front / CARLA_LAT_STIFFNESS, rear / CARLA_LAT_STIFFNESS

    def brake_force_n(self) -> float:
        """Of all wheels at ``brake = 1``, before the road's grip limits it."""
        return sum(_force(wheel.max_brake_torque_nm, wheel) for wheel in self.wheels)

    def handbrake_force_n(self) -> float:
        """Of the rear wheels."""
        _, rear = self._axles()
        return sum(_force(wheel.max_handbrake_torque_nm, wheel) for wheel in rear)

    def _axles(self) -> tuple[tuple[Wheel, ...], tuple[Wheel, ...]]:
        half = len(self.wheels) // 2
        return self.wheels[:half], self.wheels[half:]


def _mean_friction(wheels: tuple[Wheel, ...], top: float) -> float:
    if not wheels:
        return 1.0
    return sum(wheel_friction(wheel, top) for wheel in wheels) / len(wheels)


def wheel_friction(wheel: Wheel, top: float) -> float:
    """Between a wheel and the road: its ``tire_friction`` up to ``top``."""
    return min(max(wheel.tire_friction, 0.0), top)


def _force(torque_nm: float, wheel: Wheel) -> float:
    return max(torque_nm, 0.0) / max(wheel.radius_m, 0.01)


def default_parameters(blueprint: Blueprint) -> VehicleParameters:
    """The parameters a vehicle is born with: full brakes give 0.9 g on a dry road.

    At full lock they steer ``max_steer_rad`` of their blueprint.
    """
    length, width, _ = blueprint.size_m
    radius_m = 0.35 if length < 5.5 else 0.5
    brake_nm = _BRAKE_DECELERATION_G * blueprint.mass_kg * GRAVITY_MPS2 * radius_m / 4
    x, y = blueprint.wheelbase_m / 2, 0.42 * width if blueprint.wheels == 4 else 0.0
    places = ((x, -y), (x, y), (-x, -y), (-x, y))
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
    return VehicleParameters(
        torque_curve=curve,
        wheels=wheels,
        mass_kg=blueprint.mass_kg,
        steering_curve=blueprint.steering_curve,
    )
