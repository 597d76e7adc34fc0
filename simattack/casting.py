"""Puts a scenario's cast on its places beside the route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from simattack.acting import Acting, Post
from simattack.actors import SpawnBlocked
from simattack.errors import SimattackError
from simattack.geometry import position_m
from simattack.polyline import Polyline
from simattack.scenario import Role
from simattack.session import Session
from simattack.types import Pose, Route

GROUPS: Mapping[str, tuple[str, ...]] = {
    "car": (
        "vehicle.tesla.model3", "vehicle.audi.tt", "vehicle.ford.mustang", "vehicle.toyota.prius",
        "vehicle.seat.leon", "vehicle.audi.a2", "vehicle.nissan.micra", "vehicle.citroen.c3",
    ),
    "van": ("vehicle.mercedes.sprinter", "vehicle.volkswagen.t2"),
    "truck": ("vehicle.carlamotors.carlacola", "vehicle.carlamotors.european_hgv"),
    "bus": ("vehicle.mitsubishi.fusorosa",),
    "motorcycle": ("vehicle.yamaha.yzf", "vehicle.kawasaki.ninja", "vehicle.vespa.zx125"),
    "bicycle": ("vehicle.bh.crossbike", "vehicle.gazelle.omafiets", "vehicle.diamondback.century"),
    "adult": tuple(f"walker.pedestrian.{n:04}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 18, 19)),
    "child": tuple(f"walker.pedestrian.{n:04}" for n in (9, 10, 11, 12, 13, 14, 49)),
    "cone": ("static.prop.constructioncone", "static.prop.trafficcone01"),
    "barrier": ("static.prop.streetbarrier",),
    "bin": ("static.prop.bin", "static.prop.trashcan01", "static.prop.trashcan03"),
}  # fmt: skip
"""What ``who`` may name beside one of CARLA's blueprints."""
_LANE_AHEAD_M = 300.0


@dataclass(frozen=True, eq=False)
class Company:
    """The cast of one episode."""

    acting: tuple[Acting, ...]
    priority: frozenset[int]
    """Ids of those whom the car has to let pass."""


def enter(
    session: Session,
    roles: Sequence[Role],
    route: Route,
    rng: np.random.Generator,
    headlamps: bool = False,
) -> Company:
    """Spawn every role and begin what it does.

    Raises:
        ConfigError: there is no such blueprint, or it cannot do that.
        SimattackError: something stands where a role should.
    """
    line = Polyline(route.points)
    start = line.pose(0.0)
    acting: list[Acting] = []
    priority: set[int] = set()
    for number, role in enumerate(roles):
        where = f"cast[{number}] ({role.who})"
        count = int(rng.integers(role.count[0], role.count[1] + 1))
        ahead_m, right_m, heading_deg = (
            float(rng.uniform(*span)) for span in (role.ahead_m, role.right_m, role.heading_deg)
        )
        way = _lane(session, start, _LANE_AHEAD_M) if role.straight_on else line
        behaviour = role.does.build("cast", f"field 'cast[{number}].does'")
        for n in range(count):
            kinds = GROUPS.get(role.who, (role.who,))
            kind = kinds[int(rng.integers(len(kinds)))]
            color = tuple(int(value) for value in rng.integers(20, 236, 3))
            pose = way.pose(ahead_m + n * role.apart_m, right_m + n * role.aside_m)
            pose = _grounded(session, pose, float(np.radians(heading_deg)))
            if getattr(behaviour, "is_on_lane", False):
                pose = _lane(session, pose, 2.0).pose(0.0)
            try:
                actor = session.spawn(kind, pose, color=(color[0], color[1], color[2]))
            except SpawnBlocked as error:
                raise SimattackError(
                    f"{where}: {error}; give it another ahead_m or right_m"
                ) from None
            session.roles.setdefault(role.name or role.who, actor)
            if kind.startswith("vehicle.") and (beam := role.lamps or "low" * headlamps):
                session.set_lamps(actor, beam)
            post = Post(
                actor,
                kind,
                pose,
                line,
                partial(_lane, session, pose, _LANE_AHEAD_M),
                session,
                session.tick_s,
            )
            acting.append(behaviour.begin(post, rng))
            priority |= {actor} if role.has_priority else set()
    return Company(tuple(acting), frozenset(priority))


def _grounded(session: Session, pose: Pose, turn_rad: float) -> Pose:
    z_m = session.road.ground_m(pose.x_m, pose.y_m, pose.z_m)
    return Pose(pose.x_m, pose.y_m, z_m, yaw_rad=pose.yaw_rad + turn_rad)


def _lane(session: Session, pose: Pose, length_m: float) -> Polyline:
    return Polyline(session.road.lane_ahead(position_m(pose), pose.yaw_rad, length_m))
