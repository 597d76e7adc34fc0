"""The sensors that send out rays: what they remember from tick to tick, and their messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgpack
import numpy as np

from simattack.server import codec
from simattack.server.actors import Actor
from simattack.server.rays import Rays, Scenery
from simattack.server.sensors import lidar, obstacle, radar
from simattack.server.sensors.lidar import Lidar
from simattack.server.sensors.obstacle import Detector
from simattack.server.sensors.radar import Radar
from simattack.types import Floats

if TYPE_CHECKING:
    from simattack.server.world import World

LIDAR, SEMANTIC_LIDAR = "sensor.lidar.ray_cast", "sensor.lidar.ray_cast_semantic"
RADAR, OBSTACLE = "sensor.other.radar", "sensor.other.obstacle"
_READERS: Mapping[str, Callable[[str, Mapping[str, str]], object]] = {
    LIDAR: Lidar.of,
    SEMANTIC_LIDAR: Lidar.of,
    RADAR: Radar.of,
    OBSTACLE: Detector.of,
}


def is_ranging(type_id: str) -> bool:
    """Whether ``Ranging.measure`` knows the kind."""
    return type_id in _READERS


def check(type_id: str, attributes: Mapping[str, str]) -> None:
    """Passes attributes that such a sensor can work with.

    Raises:
        ConfigError: a number is out of range.
    """
    _READERS[type_id](type_id, attributes)


class Ranging:
    """All ray sensors of a server; builds nothing before the first of them measures."""

    def __init__(self) -> None:
        self._scenery: Scenery | None = None
        self._scenery_of: tuple[object, frozenset[int]] | None = None
        self._rays: Rays | None = None
        self._rays_at = (-1, -1)
        self._episode = -1
        self._turned_deg: dict[int, float] = {}
        self._seen: dict[int, tuple[float, Floats]] = {}

    def measure(self, world: World, sensor: Actor) -> Sequence[bytes] | None:
        """A sensor's message after its header; None if it has nothing to tell."""
        rays = self.scene(world)
        if sensor.rng is None:
            raise RuntimeError(f"sensor {sensor.id} was spawned without a noise stream")
        kind, attributes = sensor.type_id, sensor.attributes
        if kind == RADAR:
            found = radar.detect(
                Radar.of(kind, attributes),
                rays,
                sensor.pose,
                self._velocity(world, sensor),
                _speeds(world),
                world.delta_s,
                sensor.rng,
            )
            return [found.astype("<f4").tobytes()]
        if kind == OBSTACLE:
            return _obstacle(world, sensor, rays)
        device = Lidar.of(kind, attributes)
        start = self._turned_deg.get(sensor.id, 0.0)
        points = lidar.scan(device, rays, sensor.pose, start, world.delta_s, sensor.rng)
        turned = self._turned_deg[sensor.id] = device.turned(start, world.delta_s)
        return lidar.encode(points, turned, kind == SEMANTIC_LIDAR)

    def scene(self, world: World) -> Rays:
        """What rays meet at this tick, the same for all sensors."""
        if world.episode != self._episode:
            self._episode = world.episode
            self._turned_deg.clear()
            self._seen.clear()
        scenery, now = self.scenery(world), (world.episode, world.frame)
        if self._rays is None or self._rays_at != now:
            signals = {a.signal: a.id for a in world.actors.values() if a.signal}
            self._rays = Rays(scenery, world.movers(), signals)
            self._rays_at = now
        return self._rays

    def scenery(self, world: World) -> Scenery:
        """What of the scene never moves."""
        wanted = (world.road, world.hidden)
        if self._scenery is None or self._scenery_of != wanted:
            self._scenery = Scenery.of(world.road, world.town, world.hidden)
            self._scenery_of = wanted
            self._rays = None
        return self._scenery

    def _velocity(self, world: World, sensor: Actor) -> Floats:
        """(3,) of the sensor itself [m/s], world frame.

        Fixed to a body, it moves as that place of the body does; else as far as it was set since
        its last measurement.
        """
        place = np.array([sensor.pose.x_m, sensor.pose.y_m, sensor.pose.z_m])
        holder = sensor.parent
        if holder is not None and holder.has_physics:
            body = world.physics.state(holder.id)
            arm = place - (body.pose.x_m, body.pose.y_m, body.pose.z_m)
            swept: Floats = np.cross(body.angular_velocity_radps, arm)
            return swept + body.velocity_mps
        before_s, before = self._seen.get(sensor.id, (world.elapsed_s, place))
        self._seen[sensor.id] = (world.elapsed_s, place)
        passed_s = world.elapsed_s - before_s
        way: Floats = place - before
        return way / passed_s if passed_s > 0 else np.zeros(3)


def _speeds(world: World) -> dict[int, tuple[float, float, float]]:
    return {
        actor.id: world.physics.state(actor.id).velocity_mps
        for actor in world.actors.values()
        if actor.has_physics
    }


def _obstacle(world: World, sensor: Actor, rays: Rays) -> Sequence[bytes] | None:
    """The event: CARLA names the sensor itself as the actor that found the obstacle."""
    carrier = sensor.parent.id if sensor.parent else 0
    detector = Detector.of(sensor.type_id, sensor.attributes)
    found = obstacle.detect(detector, rays, sensor.pose, carrier)
    if found is None:
        return None
    other = world.actors.get(found.id)
    there = world.wire(other) if other is not None else _scenery(found.tag)
    return [msgpack.packb([world.wire(sensor), there, found.distance_m])]


def _scenery(tag: int) -> codec.Wire:
    """An actor made up for what is none, as CARLA does: number 0 and named after its label."""
    name = f"static.{obstacle.LABELS.get(tag, 'unknown')}"
    return [0, 0, codec.Description(0, name).wire(), codec.Bounds().wire(), bytes([tag]), b""]
