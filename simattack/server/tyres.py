"""Single-track vehicle dynamics for many vehicles at once.

Every array is (N,), one entry a vehicle, in the vehicle's own frame: u forward, v to the right,
w yaw rate (clockwise from above), steer to the right positive. The centre of gravity lies midway
between the axles.

Lateral: each axle's force grows linearly with its slip angle up to friction times load, and never
beyond the force that would stop the slip within the step. That last bound makes the model the
kinematic one below walking pace (no slip at all) without a switch between two models, and keeps
explicit steps of 10 ms stable at any speed.

Source: Rajamani, Vehicle Dynamics and Control, 2nd ed., ch. 2 (single-track model, friction
circle); the slip-stopping bound is Coulomb friction as a velocity constraint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simattack.server.blueprints import Blueprint
from simattack.server.vehicle_parameters import (
    GRAVITY_MPS2,
    VehicleParameters,
    default_parameters,
)
from simattack.types import Floats

_STEER_RATE_RADPS = 3.5
_FRONT_STIFFNESS, _REAR_STIFFNESS = 11.5, 13.5  # per rad and per load; rear stiffer: understeers
_START_G = 0.45  # acceleration that gearing allows from standstill
_ROLLING = 0.012
_ENGINE_BRAKE_MPS2 = 0.25
_AIR_KGPM3 = 1.2
_REVERSE_TOP_MPS = 10.0
_STILL = 1e-3  # m/s and rad/s below which a held vehicle rests exactly


@dataclass(eq=False)
class Controls:
    """What the drivers ask for; throttle and brake in 0..1, steer in -1..1."""

    throttle: Floats
    steer: Floats
    brake: Floats
    hand_brake: Floats
    """0 or 1."""
    direction: Floats
    """1 forward, -1 reverse."""


@dataclass(eq=False)
class Tyres:
    """The constants of N vehicles, and the step that turns controls into motion."""

    mass_kg: Floats
    inertia_kgm2: Floats
    half_base_m: Floats
    grip_front_n: Floats
    grip_rear_n: Floats
    brake_n: Floats
    handbrake_n: Floats
    drag_kgpm: Floats
    start_n: Floats
    power_w: Floats
    top_mps: Floats
    max_steer_rad: Floats

    @classmethod
    def of(cls, vehicles: Sequence[tuple[Blueprint, VehicleParameters]]) -> Tyres:
        """The arrays for these vehicles, in their order."""
        rows = np.array([_row(*vehicle) for vehicle in vehicles]).reshape(len(vehicles), 12)
        return cls(*np.ascontiguousarray(rows.T))

    def turn_wheels(self, steer_rad: Floats, steer: Floats, factor: Floats, dt_s: float) -> Floats:
        """The road-wheel angles after ``dt_s``, on their way to what is asked for."""
        wanted = steer * self.max_steer_rad * factor
        return steer_rad + np.clip(
            wanted - steer_rad, -_STEER_RATE_RADPS * dt_s, _STEER_RATE_RADPS * dt_s
        )

    def advance(
        self,
        u: Floats,
        v: Floats,
        w: Floats,
        steer_rad: Floats,
        controls: Controls,
        slope_mps2: Floats,
        dt_s: float,
    ) -> tuple[Floats, Floats, Floats]:
        """Speeds u, v, w after ``dt_s`` on the tyres; ``slope_mps2`` is gravity along the car."""
        mass, a = self.mass_kg, self.half_base_m
        grip = self.grip_front_n + self.grip_rear_n
        rear_slip = v - a * w
        locked = controls.hand_brake > 0
        # A locked wheel pushes against its own motion, so its grip is shared between the axes.
        sliding = np.hypot(u, rear_slip) + 1e-6
        locked_n = np.minimum(self.handbrake_n, self.grip_rear_n) * np.abs(u) / sliding
        locked_n = np.where(locked, np.where(np.abs(u) < 0.1, self.handbrake_n, locked_n), 0.0)

        drive_n = np.minimum(self._drive(u, controls), grip)
        braking_n = controls.brake * self.brake_n + locked_n
        coasting = (controls.throttle < 0.01) * _ENGINE_BRAKE_MPS2 + _ROLLING * GRAVITY_MPS2
        held_n = np.minimum(braking_n + coasting * mass, grip)
        pushed = u + dt_s * (controls.direction * drive_n / mass + slope_mps2)
        slowed = held_n + self.drag_kgpm * u * u
        u = np.sign(pushed) * np.maximum(np.abs(pushed) - dt_s * slowed / mass, 0.0)

        used_n = np.minimum(np.abs(drive_n - controls.brake * self.brake_n), 0.98 * grip) / 2
        left_front = np.sqrt(np.maximum(self.grip_front_n**2 - used_n**2, 0.0))
        left_rear = np.sqrt(np.maximum(self.grip_rear_n**2 - used_n**2, 0.0))
        left_rear = np.where(locked, self.grip_rear_n * np.abs(rear_slip) / sliding, left_rear)
        front, rear = self._lateral(u, v, w, steer_rad, left_front, left_rear, dt_s)

        sine, cosine = np.sin(steer_rad), np.cos(steer_rad)
        u = u - dt_s * front * sine / mass
        v = v + dt_s * (front * cosine + rear) / mass
        w = w + dt_s * a * (front * cosine - rear) / self.inertia_kgm2
        speed = np.maximum(np.maximum(np.abs(u), np.abs(v)), np.abs(w))
        still = (speed < _STILL) & (drive_n == 0) & (np.abs(slope_mps2) * mass <= held_n)
        still &= grip > 0
        return np.where(still, 0.0, u), np.where(still, 0.0, v), np.where(still, 0.0, w)

    def _drive(self, u: Floats, controls: Controls) -> Floats:
        """Force of the engine at the wheels, unsigned: start limit, power limit, top speed."""
        along = u * controls.direction
        top = np.where(controls.direction > 0, self.top_mps, _REVERSE_TOP_MPS)
        force = np.minimum(self.start_n, self.power_w / np.maximum(np.abs(along), 0.1))
        return controls.throttle * force * np.clip(top - along, 0.0, 1.0)

    def _lateral(
        self,
        u: Floats,
        v: Floats,
        w: Floats,
        steer_rad: Floats,
        front_limit_n: Floats,
        rear_limit_n: Floats,
        dt_s: float,
    ) -> tuple[Floats, Floats]:
        """Side forces of the axles, each square to its own wheels."""
        mass, inertia, a = self.mass_kg, self.inertia_kgm2, self.half_base_m
        sine, cosine = np.sin(steer_rad), np.cos(steer_rad)
        side = v + a * w
        slip_front = side * cosine - u * sine
        roll_front = np.abs(u * cosine + side * sine)
        slip_rear = v - a * w
        # Slip that a unit force on either axle takes away in dt: a symmetric 2x2 matrix.
        ff = 1 / mass + (a * cosine) ** 2 / inertia
        rr = 1 / mass + a * a / inertia
        fr = cosine * (1 / mass - a * a / inertia)
        scale = -1 / (dt_s * (ff * rr - fr * fr))
        stop_front = scale * (rr * slip_front - fr * slip_rear)
        stop_rear = scale * (ff * slip_rear - fr * slip_front)
        load = mass * GRAVITY_MPS2 / 2
        bend_front = _FRONT_STIFFNESS * load * np.arctan2(np.abs(slip_front), roll_front)
        bend_rear = _REAR_STIFFNESS * load * np.arctan2(np.abs(slip_rear), np.abs(u))
        front_limit_n = np.minimum(front_limit_n, bend_front)
        rear_limit_n = np.minimum(rear_limit_n, bend_rear)
        return (
            np.clip(stop_front, -front_limit_n, front_limit_n),
            np.clip(stop_rear, -rear_limit_n, rear_limit_n),
        )


def _row(blueprint: Blueprint, now: VehicleParameters) -> tuple[float, ...]:
    born = default_parameters(blueprint)
    length, width, height = blueprint.size_m
    torque = now.peak_torque_nm / born.peak_torque_nm if born.peak_torque_nm else 0.0
    gearing = now.final_ratio / born.final_ratio
    front, rear = now.axle_friction()
    half_load = now.mass_kg * GRAVITY_MPS2 / 2
    start_g = min(_START_G, blueprint.power_w / blueprint.mass_kg / 100.0)
    return (
        now.mass_kg,
        moment_of_inertia(now.mass_kg, length, width),
        blueprint.wheelbase_m / 2,
        front * half_load,
        rear * half_load,
        now.brake_force_n(),
        now.handbrake_force_n(),
        0.5 * _AIR_KGPM3 * now.drag_coefficient * 0.8 * width * height,
        start_g * blueprint.mass_kg * GRAVITY_MPS2 * torque * gearing,
        blueprint.power_w * torque,
        blueprint.top_speed_mps * now.max_rpm / born.max_rpm / max(gearing, 1e-3),
        now.max_steer_rad,
    )


def moment_of_inertia(mass_kg: float, length_m: float, width_m: float) -> float:
    """Of an even rectangular plate about its centre [kg m2]."""
    return mass_kg * (length_m**2 + width_m**2) / 12
