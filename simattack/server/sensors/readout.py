"""Which sensors report at a tick, and the sending of what they measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgpack
import numpy as np

from simattack.server import codec, stream
from simattack.server.actors import Actor
from simattack.server.bodies import Body, Contact
from simattack.server.sensors.camera import capture, is_camera
from simattack.server.sensors.events import CollisionEvent, collisions
from simattack.server.sensors.eye import Moment
from simattack.server.sensors.navigation import gnss, imu
from simattack.server.sensors.ranging import is_ranging

if TYPE_CHECKING:
    from simattack.server.world import World

_COLLISION = "sensor.other.collision"
_SCENERY: codec.Wire = [
    0, 0, codec.Description(0, "static.unknown").wire(), codec.Bounds().wire(), b"", b""
]  # fmt: skip
"""The other side of a collision with what is no actor."""
_SLACK_S = 1e-6
"""Times are multiples of the step; this absorbs their rounding."""


def report(world: World, contacts: Sequence[Contact]) -> None:
    """Sends what the sensors that somebody listens to measured at this tick."""
    has_listeners = world.streams.has_listeners
    heard = [s for s in world.sensors.values() if any(map(has_listeners, s.streams))]
    touchy = {s.id: s.parent.id for s in heard if s.type_id == _COLLISION and s.parent}
    for event in collisions(contacts, touchy):
        _send_collision(world, event)
    due = [s for s in heard if s.type_id != _COLLISION and _is_due(s, world.elapsed_s)]
    for sensor in due:
        if sensor.type_id == "sensor.other.gnss":
            _send_values(world, sensor, list(gnss(world.road, sensor.pose, *_noise(sensor))))
        elif sensor.type_id == "sensor.other.imu":
            _send_imu(world, sensor)
        elif is_ranging(sensor.type_id):
            measured = world.ranging.measure(world, sensor)
            if measured is not None:
                _send(world, sensor, measured)
    cameras = [sensor for sensor in due if is_camera(sensor.type_id)]
    if cameras and not world.settings.is_rendering_off:
        movers = {mover.id: mover for mover in world.movers()}
        moment = Moment(world.elapsed_s, world.delta_s, movers)
        for camera, number, kind, parts in capture(cameras, moment, world.draw, has_listeners):
            _send(world, camera, parts, number, kind)


def _is_due(sensor: Actor, time_s: float) -> bool:
    """Whether a sensor measures now: at its first tick and then each ``sensor_tick``."""
    period_s = float(sensor.attributes.get("sensor_tick", "0") or 0)
    if period_s <= 0:
        return True
    due_s = time_s if sensor.next_time_s is None else sensor.next_time_s
    if time_s + _SLACK_S < due_s:
        return False
    # One that nobody listened to for a while starts again from now.
    is_late = time_s - due_s > period_s
    sensor.next_time_s = (time_s if is_late else due_s) + period_s
    return True


def _send(
    world: World,
    sensor: Actor,
    parts: Sequence[bytes | memoryview],
    number: int = 0,
    kind: int | None = None,
) -> None:
    """Sends a measurement on a sensor's own stream, or one of ``kind`` on another."""
    head = stream.header(
        stream.SENSOR_TYPES[sensor.type_id] if kind is None else kind,
        world.frame,
        world.elapsed_s,
        codec.six(sensor.pose),
    )
    world.streams.send(number or sensor.stream, [head, *parts])


def _send_values(world: World, sensor: Actor, values: codec.Wire) -> None:
    _send(world, sensor, [msgpack.packb(values)])


def _noise(sensor: Actor) -> tuple[dict[str, str], np.random.Generator]:
    if sensor.rng is None:
        raise RuntimeError(f"sensor {sensor.id} was spawned without a noise stream")
    return sensor.attributes, sensor.rng


def _send_imu(world: World, sensor: Actor) -> None:
    holder = sensor.parent
    is_moving = holder is not None and holder.has_physics
    body = world.physics.state(holder.id) if holder and is_moving else Body(sensor.pose)
    reading = imu(body, sensor.pose, *_noise(sensor), world.gravity_mps2)
    felt, turned = reading.accelerometer_mps2, reading.gyroscope_radps
    _send_values(world, sensor, [list(felt), list(turned), reading.compass_rad])


def _send_collision(world: World, event: CollisionEvent) -> None:
    mine = world.wire(world.actors[event.parent])
    other = world.wire(world.actors[event.other]) if event.other else _SCENERY
    _send_values(world, world.sensors[event.sensor], [mine, other, list(event.impulse_ns)])
