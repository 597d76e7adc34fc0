"""Writes what happens in a world to a recording, tick by tick.

It looks at the world after each tick and writes what differs from what it wrote last; nothing else
of the server has to tell it anything. Each ``KEY_EVERY`` frames it writes everything, so that a
replay can begin there.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simattack import __version__
from simattack.server import codec, codec_vehicle, origins
from simattack.server import recording_file as files
from simattack.server.actors import Actor
from simattack.server.attachment import RIGID, SPRING_ARM, SPRING_ARM_GHOST
from simattack.server.bodies import Contact
from simattack.server.recording_events import (
    Collided,
    Created,
    Destroyed,
    Detailed,
    Event,
    LightShown,
    Mounted,
    WeatherSet,
)
from simattack.server.recording_file import Head, Rows, Tables, Writer
from simattack.server.world import World
from simattack.types import Pose

KEY_EVERY = 100
_STILL = (0.0,) * 8
"""Velocity, angular velocity, steering angle and path length of what physics does not move."""
_TICK_S = 1e-6


def digest(opendrive: str) -> bytes:
    """By which a recording knows its map again."""
    return hashlib.sha256(opendrive.encode(errors="surrogateescape")).digest()


class Recorder:
    """One recording in the making; raises ``OSError`` when the disk does not take it."""

    def __init__(self, path: Path, world: World, is_additional: bool) -> None:
        self.path = path
        self._is_additional = is_additional
        self._began_s = world.elapsed_s
        self._number = 0
        self._time_s = 0.0
        self._mounts: dict[int, Pose | None] = {}
        """All actors that were told, and where they are fixed."""
        self._motion: dict[int, tuple[float, ...]] = {}
        self._controls: dict[int, tuple[codec.VehicleControl, int]] = {}
        self._walks: dict[int, codec.WalkerControl] = {}
        self._lamps: dict[int, int] = {}
        self._lights: dict[str, LightShown] = {}
        self._weather: tuple[float, ...] = ()
        head = Head(
            f"simattack {__version__}", world.map.name, digest(world.road.opendrive), is_additional
        )
        self._writer = Writer(path, head)
        self.record(world, ())

    def record(self, world: World, contacts: Iterable[Contact]) -> None:
        """Adds the world as it is now, and what touched in the step before."""
        # Rounded, since the same drive is to give the same bytes whenever it begins.
        time_s = round(world.elapsed_s - self._began_s, 9)
        lasted_s, self._time_s = time_s - self._time_s, time_s
        is_key = self._number % KEY_EVERY == 0
        if is_key:
            self._forget()
        events: list[Event] = [
            *self._arrivals(world, is_key),
            *self._lights_shown(world, lasted_s),
            *(Collided(touch.a, touch.b, touch.impulse_ns) for touch in contacts),
        ]
        if world.weather_numbers != self._weather:
            self._weather = world.weather_numbers
            events.append(WeatherSet(self._weather))
        self._writer.frame(self._number, time_s, is_key, events, self._tables(world))
        self._number += 1

    def close(self, reason: str) -> None:
        """Ends the recording; ``reason`` is what a reader is told."""
        self._writer.close(reason)

    def abandon(self) -> None:
        """Ends it as it is: the disk takes no more."""
        self._writer.abandon()

    def _forget(self) -> None:
        """Lets everything count as new, except who is there."""
        for seen in (self._motion, self._controls, self._walks, self._lamps, self._lights):
            seen.clear()
        self._weather = ()

    def _arrivals(self, world: World, is_key: bool) -> list[Event]:
        """Who came, went, or was fixed elsewhere."""
        events: list[Event] = []
        for number in [number for number in self._mounts if number not in world.actors]:
            del self._mounts[number]
            for seen in (self._motion, self._controls, self._walks, self._lamps):
                seen.pop(number, None)
            events.append(Destroyed(number))
        for actor in world.actors.values():
            if actor.kind in ("light", "sign"):
                continue
            mount = actor.mount if actor.parent else None
            is_new = actor.id not in self._mounts
            if is_new or is_key:
                events += self._created(world, actor, is_new)
            elif mount != self._mounts[actor.id] and mount is not None:
                events.append(Mounted(actor.id, codec.six(mount)))
            self._mounts[actor.id] = mount
        return events

    def _created(self, world: World, actor: Actor, is_new: bool) -> list[Event]:
        parent = actor.parent.id if actor.parent else 0
        pose = codec.six(actor.mount if parent else actor.pose)
        events: list[Event] = [
            Created(actor.id, actor.description, parent, pose, _attachment(actor), is_new)
        ]
        if self._is_additional:
            parameters = None
            if actor.kind == "vehicle" and actor.has_physics:
                parameters = codec_vehicle.parameters_wire(world.physics.parameters(actor.id))
            events.append(Detailed(actor.id, actor.bounds.wire(actor.id), parameters))
        return events

    def _lights_shown(self, world: World, lasted_s: float) -> list[Event]:
        """Traffic lights that did more than let their clock run on."""
        events: list[Event] = []
        for signal in world.signals.lights:
            light, is_frozen = world.signals.light(signal), world.signals.is_frozen(signal)
            now = LightShown(
                signal, light.state, light.elapsed_s,
                light.green_s, light.yellow_s, light.red_s, is_frozen,
            )  # fmt: skip
            old = self._lights.get(signal)
            self._lights[signal] = now
            if old is None or not _runs_on(old, now, lasted_s):
                events.append(now)
        return events

    def _tables(self, world: World) -> Tables:
        motion, controls, walks, lamps = [], [], [], []
        for actor in world.actors.values():
            if actor.kind in ("light", "sign"):
                continue
            number = actor.id
            if actor.parent is None:
                row = _row(world, actor)
                if row != self._motion.get(number):
                    self._motion[number] = row
                    motion.append((number, row[:6], row[6:9], row[9:12], row[12], row[13]))
            if actor.kind == "vehicle":
                # With the gear that it is in, as the snapshot tells it.
                control = (actor.control, world.driving.car(actor).gear)
                if control != self._controls.get(number):
                    self._controls[number] = control
                    controls.append(_control_row(number, *control))
                if actor.light_flags != self._lamps.get(number, 0):
                    self._lamps[number] = actor.light_flags
                    lamps.append((number, actor.light_flags & 0xFFFFFFFF))
            elif actor.kind == "walker" and actor.walk != self._walks.get(number):
                walk = self._walks[number] = actor.walk
                walks.append((number, walk.direction, walk.speed_mps, walk.is_jumping))
        return Tables(
            _rows(motion, files.MOTION),
            _rows(controls, files.CONTROL),
            _rows(walks, files.WALK),
            _rows(lamps, files.LAMPS),
        )


def _runs_on(old: LightShown, now: LightShown, lasted_s: float) -> bool:
    """Whether a light's state is what time alone made of the one before."""
    kept = (old.state, old.green_s, old.yellow_s, old.red_s, old.is_frozen)
    if kept != (now.state, now.green_s, now.yellow_s, now.red_s, now.is_frozen):
        return False
    expected_s = old.elapsed_s if now.is_frozen else old.elapsed_s + lasted_s
    return abs(now.elapsed_s - expected_s) < _TICK_S


def _row(world: World, actor: Actor) -> tuple[float, ...]:
    """Pose, velocity, angular velocity, steering angle and path length; see ``files.MOTION``."""
    if not actor.has_physics:
        return (*codec.six(actor.pose), *_STILL)
    body = world.physics.state(actor.id)
    spin = (math.degrees(rate) for rate in body.angular_velocity_radps)
    return (
        *codec.six(origins.origin_of(body.pose, actor.blueprint)),
        *body.velocity_mps,
        *spin,
        body.steer_rad,
        body.travel_m,
    )


def _attachment(actor: Actor) -> int:
    """CARLA's AttachmentType."""
    if actor.arm is None:
        return RIGID
    return SPRING_ARM_GHOST if actor.arm.is_ghost else SPRING_ARM


def _control_row(number: int, control: codec.VehicleControl, gear: int) -> tuple[Any, ...]:
    flags = control.hand_brake + 2 * (gear < 0) + 4 * control.manual_gear_shift
    return (number, (control.throttle, control.steer, control.brake), flags, gear)


def _rows(values: Sequence[tuple[Any, ...]], dtype: np.dtype[Any]) -> Rows:
    """Rows of a table; those that no reader would take are left out."""
    with np.errstate(over="ignore"):
        table = np.array(values, dtype)
    keep = np.ones(len(table), bool)
    for name in dtype.names or ():
        columns = np.isfinite(table[name])
        keep &= columns if columns.ndim == 1 else columns.all(axis=1)
    return table[keep]
