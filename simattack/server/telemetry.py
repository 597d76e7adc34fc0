"""What a vehicle's engine and wheels do: the tyre model's last substep, shared out to the wheels.

The model knows axles. Loads come from the weight and, at the accelerations that the tyres give,
from its shift along and across the car about the centre of mass (two-wheelers lean into their
bends: nothing shifts across). An axle's side force goes to its wheels by load; the force along the
car is the engine's, shared evenly, and the brakes', shared by their torques.

Longitudinal slip goes with the force by ``long_stiff_value``: per unit of gravity and of slip, as
PhysX takes it. A wheel whose brake beats its grip is locked: it slips by -1 and does not turn.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

from simattack.server.blueprints import Blueprint
from simattack.server.codec import VehicleControl, Wire
from simattack.server.gearbox import engine_rpm
from simattack.server.motion import AxleWork
from simattack.server.vehicle_parameters import (
    GRAVITY_MPS2,
    REST_HEIGHT,
    VehicleParameters,
    Wheel,
    wheel_friction,
)

_STANDING = AxleWork(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, True)


@dataclass(frozen=True)
class WheelTelemetry:
    """One wheel; CARLA's order. Forces: forward and right positive."""

    tire_friction: float
    """The friction coefficient in effect."""
    lat_slip_deg: float
    long_slip: float
    omega_radps: float
    tire_load_n: float
    normalized_tire_load: float
    """Over the load at rest on the flat."""
    torque_nm: float
    """Of engine and brakes."""
    long_force_n: float
    lat_force_n: float
    normalized_long_force: float
    """Unsigned, over the load at rest."""
    normalized_lat_force: float


@dataclass(frozen=True)
class Telemetry:
    """One vehicle; CARLA's order."""

    speed_mps: float
    """Along the car."""
    steer: float
    throttle: float
    brake: float
    engine_rpm: float
    gear: int
    drag_n: float
    wheels: tuple[WheelTelemetry, ...]

    def wire(self) -> Wire:
        """A VehicleTelemetryData."""
        head = [self.speed_mps, self.steer, self.throttle, self.brake, self.engine_rpm]
        return [*head, self.gear, self.drag_n, [list(astuple(wheel)) for wheel in self.wheels]]


def measure(
    blueprint: Blueprint,
    now: VehicleParameters,
    control: VehicleControl,
    gear: int,
    work: AxleWork | None,
) -> Telemetry:
    """What a vehicle shows; without ``work`` (frozen, or never rolled yet) its wheels stand."""
    work = work or _STANDING
    rest = _loads(blueprint, now, 0.0, 0.0)
    across = 0.0 if blueprint.wheels == 2 else work.front_n * math.cos(work.steer_rad) + work.rear_n
    loads = _loads(blueprint, now, work.along_n / now.mass_kg, across / now.mass_kg)
    if not work.is_on_road:
        loads = [0.0] * 4
        work = work._replace(along_n=0.0, drive_n=0.0, front_n=0.0, rear_n=0.0)
    brakes = [
        control.brake * max(wheel.max_brake_torque_nm, 0.0)
        + control.hand_brake * max(wheel.max_handbrake_torque_nm, 0.0)
        for wheel in now.wheels
    ]
    rpm = engine_rpm(now, gear, work.speed_mps, control.throttle)
    return Telemetry(
        work.speed_mps,
        control.steer,
        control.throttle,
        control.brake,
        rpm,
        gear,
        work.drag_n if work.is_on_road else 0.0,
        tuple(
            _wheel(k, now, work, loads, rest[k], brakes, blueprint.top_friction) for k in range(4)
        ),
    )


def _loads(
    blueprint: Blueprint, now: VehicleParameters, along_mps2: float, across_mps2: float
) -> list[float]:
    """On the four wheels [N]; they sum up to the weight."""
    front_m, rear_m = now.arms_m(blueprint.wheelbase_m)
    base_m, weight_n = front_m + rear_m, now.mass_kg * GRAVITY_MPS2
    _, beside_m, above_m = now.center_of_mass_m
    track_m = 2 * 0.42 * blueprint.size_m[1]
    height_m = max(REST_HEIGHT * blueprint.size_m[2] + above_m, 0.05)
    # a wheel that lifts off leaves its load to the other
    front = rear_m / base_m - along_mps2 / GRAVITY_MPS2 * height_m / base_m
    left = 0.5 - (beside_m - across_mps2 / GRAVITY_MPS2 * height_m) / track_m
    front, left = min(max(front, 0.0), 1.0), min(max(left, 0.0), 1.0)
    shares = (front * left, front * (1 - left), (1 - front) * left, (1 - front) * (1 - left))
    return [share * weight_n for share in shares]


def _wheel(
    k: int,
    now: VehicleParameters,
    work: AxleWork,
    loads: list[float],
    rest_n: float,
    brakes: list[float],
    top_friction: float,
) -> WheelTelemetry:
    wheel, is_front, load_n = now.wheels[k], k < 2, loads[k]
    side_n, slip_rad = (
        (work.front_n, work.front_slip_rad) if is_front else (work.rear_n, work.rear_slip_rad)
    )
    axle_n = sum(loads[:2]) if is_front else sum(loads[2:])
    lat_n = side_n * load_n / axle_n if axle_n > 0 else 0.0
    braking = brakes[k] / sum(brakes) if sum(brakes) > 0 else 0.25
    long_n = work.drive_n / 4 + (work.along_n - work.drive_n) * braking
    radius_m = max(wheel.radius_m, 0.01)
    friction = wheel_friction(wheel, top_friction)
    rolling = work.speed_mps
    if is_front:
        arm_m = abs(wheel.position_m[0])
        rolling = work.speed_mps * math.cos(work.steer_rad) + (
            work.side_mps + arm_m * work.turn_radps
        ) * math.sin(work.steer_rad)
    is_locked = load_n > 0 and brakes[k] / radius_m >= max(friction * rest_n, 1e-9)
    slip = _slip(wheel, long_n)
    omega = (rolling + slip * abs(rolling)) / radius_m
    if is_locked:
        slip, omega = (-math.copysign(1.0, rolling) if abs(rolling) > 1e-3 else 0.0), 0.0
    return WheelTelemetry(
        friction,
        math.degrees(slip_rad),
        slip,
        omega,
        load_n,
        load_n / rest_n if rest_n > 0 else 0.0,
        long_n * radius_m,
        long_n,
        lat_n,
        abs(long_n) / rest_n if rest_n > 0 else 0.0,
        abs(lat_n) / rest_n if rest_n > 0 else 0.0,
    )


def _slip(wheel: Wheel, long_n: float) -> float:
    stiffness_n = max(wheel.long_stiff_value, 1e-3) * GRAVITY_MPS2
    return min(max(long_n / stiffness_n, -1.0), 1.0)
