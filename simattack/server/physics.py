"""The moving world: vehicles on tyres, walkers on foot, things that get pushed.

Contacts are pymunk's (in the plane, with impulses); tyre forces are ``tyres.Tyres``, for all
vehicles at once. Height comes from the road, pitch and roll from the heights under the wheels.
The plane's x and y are the world's, and its angles are yaw: both frames turn from x towards y.
Steps are cut into substeps of at most 10 ms. Two runs with the same calls are identical.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pymunk

from simattack.server.blueprints import Blueprint
from simattack.server.bodies import Actor, Vector, make_actor, make_shape, twist
from simattack.server.bodies import Body as Body
from simattack.server.bodies import Contact as Contact
from simattack.server.gearbox import InGear
from simattack.server.motion import AxleWork, Motion
from simattack.server.standing import Ground, climb_mps, leap, lift, settle, touch_down
from simattack.server.steered import LEAP_M, follow
from simattack.server.tyres import moment_of_inertia
from simattack.server.vehicle_parameters import VehicleParameters
from simattack.types import Floats, Pose

_SUBSTEP_S = 0.01
_SPAWN_MARGIN_M = 0.02
_JUMP_MPS = 4.2  # a walker's speed off the ground, as in CARLA


class Physics:
    """All bodies of an episode. Unknown ids raise ``KeyError``."""

    def __init__(self, road: Ground, obstacles: Sequence[Floats]) -> None:
        self._road = road
        self._actors: dict[int, Actor] = {}
        self._by_shape: dict[pymunk.Shape, Actor] = {}
        self._impulses: dict[tuple[int, int], tuple[float, float]] = {}
        self._rows: Motion | None = None
        space = self._space = pymunk.Space()
        space.iterations = 15
        space.collision_slop = 0.005
        for points in obstacles:
            wall = pymunk.Poly(space.static_body, [(float(p[0]), float(p[1])) for p in points])
            wall.elasticity, wall.friction = 0.1, 0.4
            space.add(wall)
        space.on_collision(None, None, pre_solve=self._meet, post_solve=self._note)

    # Who is there

    def add(self, id: int, blueprint: Blueprint, pose: Pose) -> None:
        """Put a new actor at ``pose``; its origin is the centre of its bounding box's floor."""
        if id in self._actors:
            raise ValueError(f"actor {id} is in physics already")
        actor = make_actor(id, blueprint, pose)
        self._actors[id] = actor
        self._by_shape[actor.shape] = actor
        self._space.add(actor.body, actor.shape)
        self._rows = None

    def remove(self, id: int) -> None:
        actor = self._actors.pop(id)
        del self._by_shape[actor.shape]
        self._space.remove(actor.shape, actor.body)
        self._rows = None

    def __contains__(self, id: object) -> bool:
        return id in self._actors

    def blocked(self, blueprint: Blueprint, pose: Pose) -> bool:
        """Whether a new actor at ``pose`` would overlap another one or scenery.

        A walker's feet are put on the ground first: it may begin with its middle there.
        """
        if blueprint.kind == "walker":
            (ground,) = self._road.height(np.array([(pose.x_m, pose.y_m)])).tolist()
            if pose.z_m < ground:
                pose = replace(pose, z_m=ground)
        body = pymunk.Body(body_type=pymunk.Body.KINEMATIC)
        body.position = pose.x_m, pose.y_m
        body.angle = pose.yaw_rad
        shape, span = make_shape(blueprint, pose, body, _SPAWN_MARGIN_M)
        shape.cache_bb()
        guest = Actor(0, blueprint, pose, body, shape, None, False, span_m=span)
        for hit in self._space.shape_query(shape):
            other = self._by_shape.get(hit.shape) if hit.shape is not None else None
            if other is None or other.overlaps_in_height(guest):
                return True
        return False

    def state(self, id: int) -> Body:
        """As of the last step, or as set since."""
        return self._actors[id].state()

    # What they are told

    def control(
        self,
        id: int,
        throttle: float,
        steer: float,
        brake: float,
        hand_brake: bool = False,
        reverse: bool = False,
        in_gear: InGear | None = None,
    ) -> None:
        """Hold these pedals from now on; values outside CARLA's ranges are clipped, NaN is 0.

        ``in_gear`` is a gear held by hand; None leaves the choice to the box.
        """
        actor = self._actors[id]
        actor.in_gear = in_gear
        actor.control = (
            _clip(throttle, 0.0),
            _clip(steer, -1.0),
            _clip(brake, 0.0),
            float(hand_brake),
            -1.0 if reverse else 1.0,
        )

    def walk(self, id: int, direction: Vector, speed_mps: float) -> None:
        """Let a walker go along ``direction`` (any length, its height is ignored)."""
        actor = self._actors[id]
        length = math.hypot(direction[0], direction[1])
        speed = speed_mps if length > 0 else 0.0
        if speed:
            actor.walk_mps = (direction[0] / length * speed, direction[1] / length * speed)
        else:
            actor.walk_mps = (0.0, 0.0)

    def jump(self, id: int) -> None:
        """Let a walker that stands on the ground jump, once."""
        actor = self._actors[id]
        if actor.is_grounded and actor.is_simulated:
            leap(actor, _JUMP_MPS)

    def place_walker(self, id: int, pose: Pose) -> None:
        """Bring a walker to ``pose`` within the next step: how a navigation client moves it."""
        actor = self._actors[id]
        away_m = math.hypot(pose.x_m - actor.pose.x_m, pose.y_m - actor.pose.y_m)
        if actor.is_simulated and away_m > LEAP_M:
            self.teleport(id, pose)
        else:
            actor.placed_at = pose

    def teleport(self, id: int, pose: Pose) -> None:
        """Move an actor at once; it keeps its velocity."""
        actor = self._actors[id]
        tilts = (actor.pose.pitch_rad, actor.pose.roll_rad) != (pose.pitch_rad, pose.roll_rad)
        actor.pose = pose
        actor.is_new_place, actor.is_grounded, actor.fall_mps = True, False, 0.0
        actor.body.position = pose.x_m, pose.y_m
        actor.body.angle = pose.yaw_rad
        if tilts and actor.blueprint.kind == "prop":
            self._reshape(actor)
        self._space.reindex_shapes_for_body(actor.body)

    def set_velocity(self, id: int, velocity_mps: Vector) -> None:
        """World frame; upwards faster than the slope below, an actor leaves the ground."""
        actor = self._actors[id]
        if actor.is_simulated:
            actor.velocity = velocity_mps
            actor.fall_mps = velocity_mps[2]
            actor.body.velocity = velocity_mps[0], velocity_mps[1]
            if actor.is_grounded:
                leap(actor, velocity_mps[2])

    def set_angular_velocity(self, id: int, velocity_radps: Vector) -> None:
        """World frame; only the part about the vertical has an effect."""
        actor = self._actors[id]
        if actor.is_simulated and actor.blueprint.kind != "walker":
            actor.spin_radps = velocity_radps[2]
            actor.body.angular_velocity = velocity_radps[2]

    def add_impulse(self, id: int, impulse_ns: Vector, at_m: Vector | None = None) -> None:
        """A push, world frame, through the centre of gravity or at a place."""
        actor = self._actors[id]
        if at_m is not None:
            self.add_angular_impulse(id, twist(actor, impulse_ns, at_m))
        if actor.is_simulated:
            mass, (x, y) = actor.body.mass, actor.body.velocity
            rise = climb_mps(actor) if actor.is_grounded else actor.fall_mps
            push_x, push_y, push_z = (part / mass for part in impulse_ns)
            self.set_velocity(id, (x + push_x, y + push_y, rise + push_z))

    def add_angular_impulse(self, id: int, impulse_nms: Vector) -> None:
        """A twist; only the part about the vertical has an effect."""
        actor = self._actors[id]
        if actor.is_simulated and actor.blueprint.kind != "walker":
            spin = actor.body.angular_velocity + impulse_nms[2] / actor.body.moment
            self.set_angular_velocity(id, (0.0, 0.0, spin))

    def add_force(self, id: int, force_n: Vector, at_m: Vector | None = None) -> None:
        """A force, world frame, that lasts for the next step; several add up."""
        actor = self._actors[id]
        if at_m is not None:
            self.add_torque(id, twist(actor, force_n, at_m))
        actor.force_n = (actor.force_n[0] + force_n[0], actor.force_n[1] + force_n[1])
        actor.lift_n += force_n[2]

    def add_torque(self, id: int, torque_nm: Vector) -> None:
        """A torque that lasts for the next step; only the part about the vertical counts."""
        self._actors[id].torque_nm += torque_nm[2]

    def simulate(self, id: int, is_on: bool) -> None:
        """Off: the actor stays in place, whatever hits it. On: it moves and falls again."""
        actor = self._actors[id]
        if is_on == actor.is_simulated:
            return
        body, (length, width, _) = actor.body, actor.blueprint.size_m
        if is_on:
            mass = actor.parameters.mass_kg if actor.parameters else actor.blueprint.mass_kg
            body.body_type = pymunk.Body.DYNAMIC
            body.mass = mass
            is_walker = actor.blueprint.kind == "walker"
            body.moment = math.inf if is_walker else moment_of_inertia(mass, length, width)
        else:
            self.set_velocity(id, (0.0, 0.0, 0.0))
            self.set_angular_velocity(id, (0.0, 0.0, 0.0))
            body.body_type = pymunk.Body.KINEMATIC
        actor.is_simulated, actor.is_new_place, actor.is_grounded = is_on, True, False
        self._rows = None

    def is_simulated(self, id: int) -> bool:
        """Whether the actor moves by itself."""
        return self._actors[id].is_simulated

    def turn_wheels(self, id: int, steer_rad: float) -> None:
        """Let a frozen vehicle's front wheels point there."""
        self._actors[id].steer_rad = steer_rad

    def carry(self, id: int, body: Body) -> None:
        """Put an actor where and into the motion that somebody else knows; it simulates nothing."""
        self.simulate(id, False)
        self.teleport(id, body.pose)
        actor = self._actors[id]
        actor.velocity, actor.acceleration = body.velocity_mps, body.acceleration_mps2
        actor.spin_radps = body.angular_velocity_radps[2]
        actor.steer_rad, actor.travel_m = body.steer_rad, body.travel_m

    def set_collisions(self, id: int, is_on: bool) -> None:
        """Off: the actor passes through everything."""
        mask = pymunk.ShapeFilter.ALL_MASKS() if is_on else 0
        self._actors[id].shape.filter = pymunk.ShapeFilter(mask=mask)

    def enable_gravity(self, id: int, is_on: bool) -> None:
        """Off: the actor floats on as it moves, and no wheel of it carries weight."""
        actor = self._actors[id]
        if is_on != actor.has_gravity:
            actor.has_gravity, actor.is_grounded, actor.is_new_place = is_on, False, True

    def constant_velocity(self, id: int, velocity_mps: Vector | None) -> None:
        """Hold this velocity (car frame) against tyres and drag; None lets go."""
        self._actors[id].constant_mps = velocity_mps

    def parameters(self, id: int) -> VehicleParameters:
        """Of a vehicle; ``ValueError`` for anything else."""
        found = self._actors[id].parameters
        if found is None:
            raise ValueError(f"actor {id} is no vehicle, so it has no vehicle parameters")
        return found

    def set_parameters(self, id: int, parameters: VehicleParameters) -> None:
        actor = self._actors[id]
        self.parameters(id)
        if not parameters.mass_kg > 0:
            raise ValueError(f"a vehicle needs a mass above 0 kg, got {parameters.mass_kg}")
        if len(parameters.wheels) != 4:
            raise ValueError(f"a vehicle has 4 wheels, got {len(parameters.wheels)}")
        actor.parameters = parameters
        if actor.is_simulated:
            length, width, _ = actor.blueprint.size_m
            actor.body.mass = parameters.mass_kg
            actor.body.moment = moment_of_inertia(parameters.mass_kg, length, width)
        front_m, rear_m = parameters.arms_m(actor.blueprint.wheelbase_m)
        centre = ((rear_m - front_m) / 2, 0.0)
        if actor.body.center_of_gravity != centre:
            actor.body.center_of_gravity = centre
            actor.body.position = actor.pose.x_m, actor.pose.y_m
        self._rows = None

    def axles(self, id: int) -> AxleWork | None:
        """What a vehicle's tyres did last; None when it has not rolled since it last changed."""
        return self._rows.axles(self._actors[id]) if self._rows else None

    # Time

    def step(self, dt_s: float) -> list[Contact]:
        """Let ``dt_s`` pass; the contacts come sorted by ids."""
        if not dt_s > 0:
            raise ValueError(f"a step must take longer than 0 s, got {dt_s}")
        if self._rows is None:
            self._rows = Motion(self._space, self._actors.values())
        touch_down(self._actors.values(), self._road)
        self._impulses.clear()
        count = max(1, math.ceil(dt_s / _SUBSTEP_S - 1e-9))
        self._rows.begin(dt_s)
        for _ in range(count):
            self._rows.push(self._space, dt_s / count)
            self._space.step(dt_s / count)
        self._land(dt_s)
        return [
            Contact(a, b, (x, y, 0.0))
            for (a, b), (x, y) in sorted(self._impulses.items())
            if abs(x) + abs(y) > 1e-3
        ]

    def _land(self, dt_s: float) -> None:
        """Read the bodies back, and put the actors on the ground."""
        moved: list[Actor] = []
        for actor in self._actors.values():
            if actor.lift_n and actor.is_simulated:
                lift(actor, dt_s)
            actor.force_n, actor.torque_nm, actor.lift_n = (0.0, 0.0), 0.0, 0.0
            if not actor.is_simulated:
                if follow(actor, dt_s):
                    moved.append(actor)
                    continue
                actor.velocity = actor.acceleration = (0.0, 0.0, 0.0)
                actor.spin_radps = actor.spin_acceleration = 0.0
                continue
            body, old = actor.body, actor.pose
            (x, y), (vx, vy), spin = body.position, body.velocity, body.angular_velocity
            length = math.hypot(x - old.x_m, y - old.y_m)
            if length > 0 or body.angle != old.yaw_rad or not actor.is_grounded:
                actor.is_new_place = True
            actor.travel_m += length
            yaw = body.angle
            if actor.blueprint.kind == "walker":
                yaw = _walker_yaw(actor)
                actor.placed_at = None
                body.angle = yaw
            elif abs(yaw) > math.pi:
                # a spawn yaw of exactly 180 degrees stays what it is
                yaw = math.remainder(yaw, 2 * math.pi)
                body.angle = yaw
            actor.pose = Pose(x, y, old.z_m, old.pitch_rad, yaw, old.roll_rad)
            before = actor.velocity
            speed_z = actor.fall_mps
            if actor.is_grounded:
                along = vx * math.cos(yaw) + vy * math.sin(yaw)
                speed_z = along * math.tan(old.pitch_rad)
            actor.velocity = (vx, vy, speed_z)
            actor.acceleration = (
                (vx - before[0]) / dt_s,
                (vy - before[1]) / dt_s,
                (speed_z - before[2]) / dt_s,
            )
            actor.spin_acceleration = (spin - actor.spin_radps) / dt_s
            actor.spin_radps = spin
            if actor.is_new_place:
                moved.append(actor)
        if moved:
            settle(moved, self._road, dt_s)

    # Contacts

    def _meet(self, arbiter: pymunk.Arbiter, space: pymunk.Space, data: Any) -> None:
        first, second = (self._by_shape.get(shape) for shape in arbiter.shapes)
        if first and second and not first.overlaps_in_height(second):
            arbiter.process_collision = False

    def _note(self, arbiter: pymunk.Arbiter, space: pymunk.Space, data: Any) -> None:
        first, second = (self._by_shape.get(shape) for shape in arbiter.shapes)
        x, y = arbiter.total_impulse  # on the first shape's body
        a, b = first.id if first else 0, second.id if second else 0
        if a == 0 or 0 < b < a:
            a, b, x, y = b, a, -x, -y
        old = self._impulses.get((a, b), (0.0, 0.0))
        self._impulses[(a, b)] = (old[0] + x, old[1] + y)

    def _reshape(self, actor: Actor) -> None:
        del self._by_shape[actor.shape]
        self._space.remove(actor.shape)
        kept = actor.shape.filter
        actor.shape, actor.span_m = make_shape(actor.blueprint, actor.pose, actor.body)
        actor.shape.filter = kept
        self._by_shape[actor.shape] = actor
        self._space.add(actor.shape)


def _clip(value: float, low: float) -> float:
    return 0.0 if math.isnan(value) else min(max(float(value), low), 1.0)


def _walker_yaw(actor: Actor) -> float:
    """A walker looks where it wants to go."""
    if actor.placed_at is not None:
        return actor.placed_at.yaw_rad
    if actor.walk_mps != (0.0, 0.0):
        return math.atan2(actor.walk_mps[1], actor.walk_mps[0])
    return actor.pose.yaw_rad
