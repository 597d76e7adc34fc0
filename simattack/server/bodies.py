"""What physics keeps about one actor, and the shapes actors have in the plane."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pymunk

from simattack.geometry import to_world
from simattack.server.blueprints import Blueprint
from simattack.server.gearbox import InGear
from simattack.server.tyres import moment_of_inertia
from simattack.server.vehicle_parameters import VehicleParameters, default_parameters
from simattack.types import Floats, Pose

Vector = tuple[float, float, float]

_CLEARANCE_M = 0.15  # what lies lower than this, wheels roll over and feet step on
_ELASTICITY, _FRICTION = 0.1, 0.3


@dataclass(frozen=True)
class Body:
    """Where an actor is and how it moves; world frame."""

    pose: Pose
    velocity_mps: Vector = (0.0, 0.0, 0.0)
    angular_velocity_radps: Vector = (0.0, 0.0, 0.0)
    acceleration_mps2: Vector = (0.0, 0.0, 0.0)
    """Change of velocity over the last step, without gravity."""
    angular_acceleration_radps2: Vector = (0.0, 0.0, 0.0)
    steer_rad: float = 0.0
    """Of the front wheels, right positive."""
    travel_m: float = 0.0
    """Path length since it was added: turns wheels and legs."""

    @property
    def speed_mps(self) -> float:
        return float(np.hypot(self.velocity_mps[0], self.velocity_mps[1]))


@dataclass(frozen=True)
class Contact:
    """A touch during one step, summed over its substeps.

    ``b`` is 0 when ``a`` touched scenery. The impulse is in the world frame and acts on ``a``;
    ``b`` felt its opposite.
    """

    a: int
    b: int
    impulse_ns: Vector


@dataclass(eq=False)
class Actor:
    """One actor's state inside physics; ``pose`` is as of the last step or teleport."""

    id: int
    blueprint: Blueprint
    pose: Pose
    body: pymunk.Body
    shape: pymunk.Shape
    parameters: VehicleParameters | None
    is_simulated: bool
    has_gravity: bool = True
    is_grounded: bool = False
    is_new_place: bool = True
    """Whether the ground under it must be looked up although it did not move."""
    fall_mps: float = 0.0
    velocity: Vector = (0.0, 0.0, 0.0)
    spin_radps: float = 0.0
    acceleration: Vector = (0.0, 0.0, 0.0)
    spin_acceleration: float = 0.0
    steer_rad: float = 0.0
    travel_m: float = 0.0
    # throttle, steer, brake, hand brake, direction
    control: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 1.0)
    in_gear: InGear | None = None
    """Held by hand; None for a box that shifts by itself."""
    walk_mps: tuple[float, float] = (0.0, 0.0)
    placed_at: Pose | None = None
    constant_mps: Vector | None = None
    """In the car frame."""
    force_n: tuple[float, float] = (0.0, 0.0)
    lift_n: float = 0.0
    torque_nm: float = 0.0
    span_m: tuple[float, float] = field(default=(0.0, 0.0))
    """Lowest and highest point above the origin."""

    def state(self) -> Body:
        return Body(
            self.pose,
            self.velocity,
            (0.0, 0.0, self.spin_radps),
            self.acceleration,
            (0.0, 0.0, self.spin_acceleration),
            self.steer_rad,
            self.travel_m,
        )

    def overlaps_in_height(self, other: Actor) -> bool:
        """Whether the two could touch at all: a hanging board lets cars pass below."""
        low, high = self.pose.z_m + self.span_m[0], self.pose.z_m + self.span_m[1]
        other_low = other.pose.z_m + other.span_m[0]
        other_high = other.pose.z_m + other.span_m[1]
        return low < other_high and other_low < high


def twist(actor: Actor, push: Vector, at_m: Vector) -> Vector:
    """The angular impulse or torque, about the vertical, of a push at a place; world frame."""
    x, y = actor.body.position
    return 0.0, 0.0, (at_m[0] - x) * push[1] - (at_m[1] - y) * push[0]


def make_actor(id: int, blueprint: Blueprint, pose: Pose) -> Actor:
    """A new actor with its body in the plane; props stand fast until physics is turned on."""
    length, width, _ = blueprint.size_m
    is_simulated = blueprint.kind != "prop"
    if blueprint.kind == "walker":
        body = pymunk.Body(blueprint.mass_kg, float("inf"))
    else:
        inertia = moment_of_inertia(blueprint.mass_kg, length, width)
        body = pymunk.Body(blueprint.mass_kg, inertia)
    if not is_simulated:
        body.body_type = pymunk.Body.KINEMATIC
    body.position = pose.x_m, pose.y_m
    body.angle = pose.yaw_rad
    shape, span = make_shape(blueprint, pose, body)
    parameters = default_parameters(blueprint) if blueprint.kind == "vehicle" else None
    return Actor(id, blueprint, pose, body, shape, parameters, is_simulated, span_m=span)


def make_shape(
    blueprint: Blueprint, pose: Pose, body: pymunk.Body | None, margin_m: float = 0.0
) -> tuple[pymunk.Shape, tuple[float, float]]:
    """The footprint in the plane, and its lowest and highest point above the origin.

    ``margin_m`` is taken off every side.
    """
    length, width, height = blueprint.size_m
    shape: pymunk.Shape
    if blueprint.kind == "walker":
        shape = pymunk.Circle(body, max(width / 2 - margin_m, 0.01))
        span = (_CLEARANCE_M, height)
    else:
        x, y = max(length / 2 - margin_m, 0.005), max(width / 2 - margin_m, 0.005)
        if blueprint.kind == "vehicle":
            corners, span = [(x, y), (-x, y), (-x, -y), (x, -y)], (_CLEARANCE_M, height)
        else:
            corners, span = _tilted(x, y, height, pose)
        shape = pymunk.Poly(body, corners)
    shape.elasticity, shape.friction = _ELASTICITY, _FRICTION
    return shape, span


def _tilted(
    x_m: float, y_m: float, height_m: float, pose: Pose
) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """Footprint (body frame of the plane) and height span of a box with pitch and roll."""
    corners: Floats = np.array(
        [(sx * x_m, sy * y_m, z) for sx in (1, -1) for sy in (1, -1) for z in (0.0, height_m)]
    )
    lean = Pose(pitch_rad=pose.pitch_rad, roll_rad=pose.roll_rad)
    turned = to_world(corners, lean)
    footprint = [(float(px), float(py)) for px, py in turned[:, :2]]
    return footprint, (float(turned[:, 2].min()), float(turned[:, 2].max()))
