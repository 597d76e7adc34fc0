"""What a vehicle is under where it is: a speed limit, a traffic light, a sign."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simattack.server import codec
from simattack.server.actors import Actor

if TYPE_CHECKING:
    from simattack.server.world import World

LIMIT_STALE_M = 2.0
"""How far a vehicle drives before its speed limit is looked up again."""


def look_around(world: World, car: Actor) -> None:
    """Brings what a vehicle knows of its place up to date."""
    pose, seen = car.pose, car.limit_pose
    if seen is None or math.hypot(pose.x_m - seen.x_m, pose.y_m - seen.y_m) > LIMIT_STALE_M:
        lane = world.road.lane_at(pose.x_m, pose.y_m, pose.z_m)
        if lane is not None:
            car.speed_limit_kmh = lane.speed_limit_kmh
        car.is_crossing = lane is not None and lane.is_junction
        car.limit_pose = pose
    car.held_by, car.held_state = 0, codec.GREEN
    found = world.signals.at(pose)
    if found is not None:
        car.held_by, car.held_state = world.light_actors[found], world.signals.shows(found)
    sign = None if found else world.signals.sign_at(pose)
    if sign is None:
        world.giving_way.leave(car.id)
        return
    cars = world.actors.values()
    car.held_state = world.giving_way.shows(car, sign, world.elapsed_s, cars)
