"""The velocities of all bodies, changed by everything but contacts, as arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pymunk
from pymunk import batch

from simattack.server.bodies import Actor
from simattack.server.tyres import Controls, Tyres, Work
from simattack.server.vehicle_parameters import GRAVITY_MPS2
from simattack.types import Floats

_WALKER_MPS2 = 6.0  # what a foot's grip allows
_SLIDING_FRICTION = 0.6  # of loose things
_READ = batch.BodyFields.ANGLE | batch.BodyFields.VELOCITY | batch.BodyFields.ANGULAR_VELOCITY
_WRITE = batch.BodyFields.VELOCITY | batch.BodyFields.ANGULAR_VELOCITY


class AxleWork(NamedTuple):
    """What the tyres of one vehicle did in the last substep; signs as in ``tyres.Work``."""

    speed_mps: float
    side_mps: float
    turn_radps: float
    steer_rad: float
    along_n: float
    drive_n: float
    front_n: float
    rear_n: float
    front_slip_rad: float
    rear_slip_rad: float
    drag_n: float
    is_on_road: bool


class Motion:
    """The bodies of a space as arrays, in pymunk's own order; make it anew when they change."""

    def __init__(self, space: pymunk.Space, actors: Iterable[Actor]) -> None:
        self._in = batch.Buffer()
        self._out = batch.Buffer()
        batch.get_space_bodies(space, batch.BodyFields.BODY_ID, self._in)
        order = memoryview(self._in.int_buf()).cast("P").tolist()
        by_body = {actor.body.id: actor for actor in actors}
        # the space's own static body is listed too, once it has shapes
        self._at = np.array([k for k, body in enumerate(order) if body in by_body], np.intp)
        self.actors = [by_body[order[k]] for k in self._at]
        kinds = [a.blueprint.kind if a.is_simulated else "" for a in self.actors]
        self._vehicles = np.array([k == "vehicle" for k in kinds], bool).nonzero()[0]
        self._walkers = np.array([k == "walker" for k in kinds], bool).nonzero()[0]
        self._loose = np.array([k == "prop" for k in kinds], bool).nonzero()[0]
        self._frozen = np.array([k == "" for k in kinds], bool).nonzero()[0]
        self._mass = np.array([a.body.mass if k else 1.0 for a, k in zip(self.actors, kinds,
                                                                         strict=True)])  # fmt: skip
        self._driven = [self.actors[row] for row in self._vehicles]
        self._row = {actor.id: row for row, actor in enumerate(self._driven)}
        self._tyres = Tyres.of([(a.blueprint, a.parameters) for a in self._driven if a.parameters])
        self._work: Work | None = None

    def begin(self, dt_s: float) -> None:
        """Read what was asked for since the last step."""
        driven = self._driven
        pedals = np.array([a.control for a in driven]).reshape(-1, 5).T
        self._controls = Controls(*np.ascontiguousarray(pedals))
        self._controls.in_gear = [
            (row, a.in_gear) for row, a in enumerate(driven) if a.in_gear is not None
        ]
        self._steer = np.array([a.steer_rad for a in driven])
        self._curve = np.array([_steering_factor(a) for a in driven])
        self._slope = np.array([-GRAVITY_MPS2 * math.sin(a.pose.pitch_rad) for a in driven])
        self._on_road = np.array([a.is_grounded for a in driven], bool)
        self._forced = [
            (row, a.force_n[0] / a.body.mass, a.force_n[1] / a.body.mass,
             0.0 if a.blueprint.kind == "walker" else a.torque_nm / a.body.moment)
            for row, a in enumerate(self.actors)
            if a.is_simulated and (a.force_n != (0.0, 0.0) or a.torque_nm)
        ]  # fmt: skip
        self._constant = [
            (row, a.constant_mps)
            for row, a in enumerate(self.actors)
            if a.constant_mps is not None and a.is_simulated
        ]
        walking = [_walk_target(self.actors[row], dt_s) for row in self._walkers]
        self._walk = np.array([w[0] for w in walking]).reshape(-1, 2)
        self._walk_limit = np.array([w[1] for w in walking])

    def push(self, space: pymunk.Space, dt_s: float) -> None:
        """Velocities after ``dt_s`` of everything but contacts."""
        if not self.actors:
            return
        self._in.clear()
        batch.get_space_bodies(space, _READ, self._in)
        table = np.frombuffer(self._in.float_buf(), np.float64).reshape(-1, 4)
        everything = table[:, 1:].copy()
        yaw, motion = table[self._at, 0], everything[self._at]
        for row, ax, ay, spin in self._forced:
            motion[row] += (ax * dt_s, ay * dt_s, spin * dt_s)
        self._roll(yaw, motion, dt_s)
        if len(self._walkers):
            gap = self._walk - motion[self._walkers, :2]
            size = np.linalg.norm(gap, axis=1, keepdims=True)
            limit = self._walk_limit[:, None] * dt_s
            motion[self._walkers, :2] += gap * np.minimum(1.0, limit / np.maximum(size, 1e-12))
            motion[self._walkers, 2] = 0.0
        if len(self._loose):
            speed = np.hypot(motion[self._loose, 0], motion[self._loose, 1])
            lost = _SLIDING_FRICTION * GRAVITY_MPS2 * dt_s
            kept = np.maximum(0.0, 1.0 - lost / np.maximum(speed, 1e-9))
            motion[self._loose, :2] *= kept[:, None]
            spin_now = motion[self._loose, 2]
            motion[self._loose, 2] -= np.clip(spin_now, -2 * lost, 2 * lost)
        for row, (ahead, aside, _) in self._constant:
            actor = self.actors[row]
            ahead *= math.cos(actor.pose.pitch_rad)  # the plane sees a climb shortened
            sine, cosine = math.sin(yaw[row]), math.cos(yaw[row])
            turn = 0.0
            if actor.blueprint.wheelbase_m:
                turn = ahead * math.tan(actor.steer_rad) / actor.blueprint.wheelbase_m
            motion[row] = (
                ahead * cosine - aside * sine,
                ahead * sine + aside * cosine,
                turn,
            )
        motion[self._frozen] = 0.0
        everything[self._at] = motion
        self._out.set_float_buf(everything.reshape(-1))
        batch.set_space_bodies(space, _WRITE, self._out)

    def _roll(self, yaw: Floats, motion: Floats, dt_s: float) -> None:
        """Tyres and steering of all vehicles, in place."""
        rows = self._vehicles
        if not len(rows):
            return
        self._steer = self._tyres.turn_wheels(self._steer, self._controls.steer, self._curve, dt_s)
        for actor, steer in zip(self._driven, self._steer.tolist(), strict=True):
            actor.steer_rad = steer
        sine, cosine = np.sin(yaw[rows]), np.cos(yaw[rows])
        x, y, w = motion[rows].T
        u, v = x * cosine + y * sine, y * cosine - x * sine
        work = self._tyres.advance(u, v, w, self._steer, self._controls, self._slope, dt_s)
        u, v, turn, self._work = work.u, work.v, work.w, work
        rolled = np.stack([u * cosine - v * sine, u * sine + v * cosine, turn], 1)
        motion[rows] = np.where(self._on_road[:, None], rolled, motion[rows])

    def axles(self, actor: Actor) -> AxleWork | None:
        """What a vehicle's tyres did last; None before they rolled or while it is frozen."""
        row = self._row.get(actor.id)
        if row is None or self._work is None:
            return None
        work = Work(*(column[row] for column in self._work))
        return AxleWork(
            speed_mps=float(work.u),
            side_mps=float(work.v),
            turn_radps=float(work.w),
            steer_rad=float(self._steer[row]),
            along_n=float(work.along_n),
            drive_n=float(work.drive_n),
            front_n=float(work.front_n),
            rear_n=float(work.rear_n),
            front_slip_rad=float(work.front_slip_rad),
            rear_slip_rad=float(work.rear_slip_rad),
            drag_n=float(work.drag_n),
            is_on_road=bool(self._on_road[row]),
        )


def _steering_factor(actor: Actor) -> float:
    """Of the steering limit at the present speed."""
    curve = actor.parameters.steering_curve if actor.parameters else ()
    if not curve or all(factor == 1.0 for _, factor in curve):
        return 1.0
    speed_kmh = 3.6 * math.hypot(actor.velocity[0], actor.velocity[1])
    speeds, factors = zip(*sorted(curve), strict=True)
    return float(np.interp(speed_kmh, speeds, factors))


def _walk_target(actor: Actor, dt_s: float) -> tuple[tuple[float, float], float]:
    """The velocity a walker wants, and how fast it may change."""
    if actor.placed_at is not None:
        gap_x = actor.placed_at.x_m - actor.pose.x_m
        gap_y = actor.placed_at.y_m - actor.pose.y_m
        return (gap_x / dt_s, gap_y / dt_s), math.inf
    return actor.walk_mps, _WALKER_MPS2
