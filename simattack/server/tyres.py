"""Single-track vehicle dynamics for many vehicles at once.

Every array is (N,), one entry a vehicle, in the vehicle's own frame: u forward, v to the right,
w yaw rate (clockwise from above), steer to the right positive. Speeds are those of the centre of
gravity, which lies midway between the axles unless the parameters shift it.

Lateral: each axle's force grows linearly with its slip angle up to friction times load, and never
beyond the force that would stop the slip within the step. That last bound makes the model the
kinematic one below walking pace (no slip at all) without a switch between two models, and keeps
explicit steps of 10 ms stable at any speed.

Source: Rajamani, Vehicle Dynamics and Control, 2nd ed., ch. 2 (single-track model, friction
circle); the slip-stopping bound is Coulomb friction as a velocity constraint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simattack.server.blueprints import Blueprint
from simattack.server.gearbox import InGear
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
    in_gear: Sequence[tuple[int, InGear]] = ()
    """Rows whose drivers hold a gear; the others' boxes always find the best ratio."""


class Work(NamedTuple):
    """What the tyres did in one step."""

    u: Floats
    v: Floats
    w: Floats
    """Speeds after it."""
    along_n: Floats
    """Force of all wheels along the car; forward positive."""
    drive_n: Floats
    """The engine's part of it, signed too."""
    front_n: Floats
    """Side force of the front axle, square to its wheels; right positive."""
    rear_n: Floats
    front_slip_rad: Floats
    rear_slip_rad: Floats
    drag_n: Floats
    """Of the air, unsigned."""


@dataclass(eq=False)
class Tyres:
    """The constants of N vehicles, and the step that turns controls into motion."""

    mass_kg: Floats
    inertia_kgm2: Floats
    front_arm_m: Floats
    """From the centre of gravity to the front axle."""
    rear_arm_m: Floats
    front_bend_npr: Floats
    """Cornering stiffness of the axle [N/rad]."""
    rear_bend_npr: Floats
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
        rows = np.array([_row(*vehicle) for vehicle in vehicles]).reshape(len(vehicles), 15)
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
    ) -> Work:
        """``dt_s`` on the tyres; ``slope_mps2`` is gravity along the car."""
        mass, a, before = self.mass_kg, self.front_arm_m, u
        grip = self.grip_front_n + self.grip_rear_n
        rear_slip = v - self.rear_arm_m * w
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
        drag_n = self.drag_kgpm * u * u
        slowed = held_n + drag_n
        u = np.sign(pushed) * np.maximum(np.abs(pushed) - dt_s * slowed / mass, 0.0)
        along_n = mass * ((u - before) / dt_s - slope_mps2) + np.sign(before) * drag_n

        used_n = np.minimum(np.abs(drive_n - controls.brake * self.brake_n), 0.98 * grip) / 2
        left_front = np.sqrt(np.maximum(self.grip_front_n**2 - used_n**2, 0.0))
        left_rear = np.sqrt(np.maximum(self.grip_rear_n**2 - used_n**2, 0.0))
        left_rear = np.where(locked, self.grip_rear_n * np.abs(rear_slip) / sliding, left_rear)
        side = self._lateral(u, v, w, steer_rad, left_front, left_rear, dt_s)
        front, rear, front_slip, rear_slip = side

        sine, cosine = np.sin(steer_rad), np.cos(steer_rad)
        u = u - dt_s * front * sine / mass
        v = v + dt_s * (front * cosine + rear) / mass
        w = w + dt_s * a * (front * cosine - rear * (self.rear_arm_m / a)) / self.inertia_kgm2
        speed = np.maximum(np.maximum(np.abs(u), np.abs(v)), np.abs(w))
        still = (speed < _STILL) & (drive_n == 0) & (np.abs(slope_mps2) * mass <= held_n)
        still &= grip > 0
        u, v, w = (np.where(still, 0.0, speed) for speed in (u, v, w))
        drive_n = controls.direction * drive_n
        return Work(u, v, w, along_n, drive_n, front, rear, front_slip, rear_slip, drag_n)

    def _drive(self, u: Floats, controls: Controls) -> Floats:
        """Force of the engine at the wheels, unsigned: start limit, power limit, top speed."""
        along = u * controls.direction
        top = np.where(controls.direction > 0, self.top_mps, _REVERSE_TOP_MPS)
        force = np.minimum(self.start_n, self.power_w / np.maximum(np.abs(along), 0.1))
        drive = controls.throttle * force * np.clip(top - along, 0.0, 1.0)
        for row, gear in controls.in_gear:
            drive[row] = controls.throttle[row] * gear.force_n(float(along[row]))
        return drive

    def _lateral(
        self,
        u: Floats,
        v: Floats,
        w: Floats,
        steer_rad: Floats,
        front_limit_n: Floats,
        rear_limit_n: Floats,
        dt_s: float,
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Side forces of the axles, each square to its own wheels, and their slip angles."""
        mass, inertia = self.mass_kg, self.inertia_kgm2
        a, b = self.front_arm_m, self.rear_arm_m
        sine, cosine = np.sin(steer_rad), np.cos(steer_rad)
        side = v + a * w
        slip_front = side * cosine - u * sine
        roll_front = np.abs(u * cosine + side * sine)
        slip_rear = v - b * w
        # Slip that a unit force on either axle takes away in dt: a symmetric 2x2 matrix.
        ff = 1 / mass + (a * cosine) ** 2 / inertia
        rr = 1 / mass + b * b / inertia
        fr = cosine * (1 / mass - a * b / inertia)
        scale = -1 / (dt_s * (ff * rr - fr * fr))
        stop_front = scale * (rr * slip_front - fr * slip_rear)
        stop_rear = scale * (ff * slip_rear - fr * slip_front)
        angle_front = np.arctan2(np.abs(slip_front), roll_front)
        angle_rear = np.arctan2(np.abs(slip_rear), np.abs(u))
        front_limit_n = np.minimum(front_limit_n, self.front_bend_npr * angle_front)
        rear_limit_n = np.minimum(rear_limit_n, self.rear_bend_npr * angle_rear)
        return (
            np.clip(stop_front, -front_limit_n, front_limit_n),
            np.clip(stop_rear, -rear_limit_n, rear_limit_n),
            np.copysign(angle_front, slip_front),
            np.copysign(angle_rear, slip_rear),
        )


def _row(blueprint: Blueprint, now: VehicleParameters) -> tuple[float, ...]:
    born = default_parameters(blueprint)
    length, width, height = blueprint.size_m
    torque = now.peak_torque_nm / born.peak_torque_nm if born.peak_torque_nm else 0.0
    gearing = now.final_ratio / born.final_ratio * born.radius_m / now.radius_m
    low = gearing * now.gears[0].ratio / born.gears[0].ratio if now.gears else 0.0
    high = gearing * now.gears[-1].ratio / born.gears[-1].ratio if now.gears else 0.0
    front, rear = now.axle_friction(blueprint.top_friction)
    bend_front, bend_rear = now.axle_stiffness()
    half_load = now.mass_kg * GRAVITY_MPS2 / 2
    front_arm_m, rear_arm_m = now.arms_m(blueprint.wheelbase_m)
    # what lies further forward rests more on the front axle
    front_load = half_load * (2 * rear_arm_m / blueprint.wheelbase_m)
    rear_load = half_load * (2 * front_arm_m / blueprint.wheelbase_m)
    start_g = min(_START_G, blueprint.power_w / blueprint.mass_kg / 100.0)
    return (
        now.mass_kg,
        moment_of_inertia(now.mass_kg, length, width),
        front_arm_m,
        rear_arm_m,
        _FRONT_STIFFNESS * bend_front * front_load,
        _REAR_STIFFNESS * bend_rear * rear_load,
        front * front_load,
        rear * rear_load,
        now.brake_force_n(),
        now.handbrake_force_n(),
        0.5 * _AIR_KGPM3 * now.drag_coefficient * 0.8 * width * height,
        start_g * blueprint.mass_kg * GRAVITY_MPS2 * torque * low,
        blueprint.power_w * torque,
        blueprint.top_speed_mps * now.max_rpm / born.max_rpm / max(high, 1e-3),
        now.max_steer_rad,
    )


def moment_of_inertia(mass_kg: float, length_m: float, width_m: float) -> float:
    """Of an even rectangular plate about its centre [kg m2]."""
    return mass_kg * (length_m**2 + width_m**2) / 12


def wheel_angle(steer_rad: float, wheelbase_m: float, track_m: float, is_right: bool) -> float:
    """A front wheel's angle where all wheels roll about one point: the inner one turns more."""
    tangent = math.tan(steer_rad)
    beside = (0.5 if is_right else -0.5) * track_m
    return math.atan(wheelbase_m * tangent / (wheelbase_m - beside * tangent))
