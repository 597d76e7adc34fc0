"""Drives a world after a recording, tick by tick.

Actors of the recording are those of the world with the same number and type, else new ones. Physics
does not move them while the replay runs: each tick they are where the recording has them, with the
velocities they had. All other actors go their own way. Collisions and traffic lights come from the
recording too. Afterwards the actors stay: vehicles and walkers stand still and have physics again.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field

from simattack import geometry
from simattack.server import codec, origins
from simattack.server.actors import Actor
from simattack.server.bodies import Body, Contact
from simattack.server.codec import VehicleControl, WalkerControl
from simattack.server.methods_actors import attach
from simattack.server.methods_vehicles import drive, walk
from simattack.server.playhead import TICK_S, Movement, Playhead
from simattack.server.recording_events import (
    Collided,
    Created,
    Destroyed,
    LightShown,
    Mounted,
    Six,
    WeatherSet,
)
from simattack.server.recording_file import Frame, Reader, rows
from simattack.server.world import Refusal, World
from simattack.types import Pose

_LOG = logging.getLogger(__name__)
SPECTATOR = "spectator"


@dataclass(eq=False)
class Options:
    """What clients set for this and all later replays."""

    time_factor: float = 1.0
    is_hero_ignored: bool = False
    is_spectator_ignored: bool = True
    """Whether the spectator stays where the client has it; CARLA's default."""


@dataclass(frozen=True)
class Wish:
    """What a client asks to be replayed."""

    start_s: float = 0.0
    """From the beginning; below 0, from the end."""
    duration_s: float = 0.0
    """0 for all the rest."""
    follow: int = 0
    """The actor, by its number in the recording, that the spectator follows; 0 for none."""
    has_sensors: bool = False
    """Whether sensors of the recording are created too."""
    offset: Pose = field(default_factory=Pose)
    """Of the spectator, in the frame of the actor it follows."""

    def span_s(self, length_s: float) -> tuple[float, float]:
        """From when to when in a recording of that length."""
        start = self.start_s if self.start_s >= 0 else max(length_s + self.start_s, 0.0)
        start = min(start, length_s)
        end = start + self.duration_s if self.duration_s > 0 else length_s
        return start, min(end, length_s)


class Replayer:
    """One replay; the world already shows its first moment when it is made.

    Args:
        known: the actors that an earlier replay made, by their numbers in its recording.
    """

    def __init__(
        self, world: World, reader: Reader, options: Options, wish: Wish, known: dict[int, int]
    ) -> None:
        self.is_running = True
        self.start_s, self.end_s = wish.span_s(reader.duration_s)
        self.made: dict[int, int] = {}
        """Number in the recording -> id of an actor that a replay created."""
        self._reader, self._options, self._wish = reader, options, wish
        self._known = known
        self._mapped: dict[int, int] = {}
        self._heroes: set[int] = set()
        self._was_simulated: dict[int, bool] = {}
        self._velocities: dict[int, codec.Vector] = {}
        self._controls: dict[int, VehicleControl] = {}
        self._lights: dict[str, tuple[LightShown, float]] = {}
        self._playhead = Playhead(reader, self.start_s)
        for frame in self._playhead.passed:
            self._apply(world, frame)
        for number in sorted(known.keys() - self.made.keys()):
            if old := world.actors.get(known[number]):
                world.destroy(old)
        self._show(world, 0.0)

    def step(self, world: World, step_s: float) -> list[Contact]:
        """Moves on by a tick of the world; the recorded touches of that time."""
        if self._playhead.time_s + TICK_S >= self.end_s:
            # Only now: the last moment is to be seen as it was recorded.
            self.finish(world)
            return []
        time_s = min(self._playhead.time_s + step_s * self._options.time_factor, self.end_s)
        contacts = [
            touch for frame in self._playhead.advance(time_s) for touch in self._apply(world, frame)
        ]
        self._show(world, step_s)
        return contacts

    def finish(self, world: World) -> None:
        """Gives the actors back to physics, and lets go of the file."""
        if not self.is_running:
            return
        self.close()
        for id in list(self._was_simulated):
            self._release(world, id)

    def close(self) -> None:
        """Ends with the episode: the actors are gone already."""
        self.is_running = False
        self._reader.close()

    def remove(self, world: World) -> None:
        """Takes the actors out of the world that were created for the replay."""
        for id in self.made.values():
            if actor := world.actors.get(id):
                world.destroy(actor)
        self.made.clear()

    # Frames

    def _apply(self, world: World, frame: Frame) -> list[Contact]:
        """Does what happened in a frame, but for the motion; its touches."""
        contacts = []
        for event in frame.events:
            match event:
                case Created():
                    self._create(world, event)
                case Destroyed(number):
                    self._destroy(world, number)
                case Mounted(number, pose):
                    if (actor := self._actor(world, number)) and actor.parent is not None:
                        world.place(actor, _pose(pose))
                case LightShown(signal):
                    if signal in world.signals.lights:
                        self._lights[signal] = (event, frame.time_s)
                case WeatherSet(numbers):
                    world.set_weather(*codec.read_weather(list(numbers)))
                case Collided():
                    contacts += self._touch(event)
        self._use_controls(world, frame)
        return contacts

    def _use_controls(self, world: World, frame: Frame) -> None:
        tables = frame.tables()
        for number, (throttle, steer, brake), flags, gear in rows(tables.controls):
            self._controls[number] = VehicleControl(
                throttle, steer, brake, bool(flags & 1), bool(flags & 2), bool(flags & 4), gear
            )
        for number, direction, speed, jump in rows(tables.walks):
            if (actor := self._moved(world, number)) and actor.kind == "walker":
                x, y, z = direction
                actor.walk = WalkerControl((x, y, z), speed, bool(jump))
        for number, flags in rows(tables.lamps):
            if (actor := self._moved(world, number)) and actor.kind == "vehicle":
                actor.light_flags = flags

    def _touch(self, event: Collided) -> list[Contact]:
        a, b = self._mapped.get(event.a), self._mapped.get(event.b) if event.b else 0
        if a is None or b is None:
            return []
        x, y, z = event.impulse_ns
        # Smaller numbers come first, as physics tells its contacts.
        return [Contact(b, a, (-x, -y, -z)) if 0 < b < a else Contact(a, b, (x, y, z))]

    # Actors

    def _actor(self, world: World, number: int) -> Actor | None:
        """The live actor for one of the recording."""
        return world.actors.get(self._mapped.get(number, 0))

    def _moved(self, world: World, number: int) -> Actor | None:
        """The same, for one that the replay may change."""
        is_free = number in self._heroes and self._options.is_hero_ignored
        return None if is_free else self._actor(world, number)

    def _create(self, world: World, event: Created) -> None:
        if self._actor(world, event.id) is not None:
            return
        values = {name: value for name, _, value in event.description.attributes}
        if values.get("role_name") == "hero":
            self._heroes.add(event.id)
        actor = self._find(world, event)
        if actor is None:
            actor = self._spawn(world, event)
            if actor is None:
                return
            self.made[event.id] = actor.id
        elif self._known.get(event.id) == actor.id:
            self.made[event.id] = actor.id
        self._mapped[event.id] = actor.id
        if actor.parent is not None:
            world.place(actor, _pose(event.pose))

    def _find(self, world: World, event: Created) -> Actor | None:
        """The actor of the world that plays this part already."""
        if event.description.type_id == SPECTATOR:
            return world.spectator
        actor = world.actors.get(self._known.get(event.id, event.id))
        if actor is None or actor.type_id != event.description.type_id:
            return None
        holder = self._mapped.get(event.parent) if event.parent else 0
        return actor if (actor.parent.id if actor.parent else 0) == holder else None

    def _spawn(self, world: World, event: Created) -> Actor | None:
        type_id = event.description.type_id
        if type_id.startswith("sensor.") and not self._wish.has_sensors:
            return None
        if type_id.startswith("controller."):
            # Its client is not there to walk anybody.
            return None
        holder = self._mapped.get(event.parent, 0)
        if event.parent and not holder:
            return None
        try:
            actor = world.spawn(event.description, _pose(event.pose), holder, event.id)
            if holder:
                attach(actor, event.attachment)
            return actor
        except Refusal as refusal:
            _LOG.warning("actor %d of a recording is left out: %s", event.id, refusal)
            return None

    def _destroy(self, world: World, number: int) -> None:
        actor = self._actor(world, number)
        if actor is not None and actor is not world.spectator:
            world.destroy(actor)
        self._mapped.pop(number, None)
        self.made.pop(number, None)

    # Motion

    def _show(self, world: World, step_s: float) -> None:
        """Puts everything where it is in the recording now."""
        for number in self._mapped:
            actor = self._actor(world, number)
            if actor is None or actor.parent is not None:
                continue
            if self._moved(world, number) is None:
                self._release(world, actor.id)
                continue
            movement = self._playhead.movement(number)
            if movement is None:
                continue
            if actor is world.spectator:
                if not self._options.is_spectator_ignored:
                    world.place(actor, movement.pose)
            else:
                self._carry(world, actor, movement, step_s)
                if actor.kind == "vehicle" and number in self._controls:
                    # Each tick: a control that does not stick is let go after its tick.
                    control = self._controls[number]
                    drive(world, actor, control)
                    world.driving.car(actor).gear = control.gear
        self._show_lights(world)
        self._follow(world)

    def _carry(self, world: World, actor: Actor, movement: Movement, step_s: float) -> None:
        actor.pose = movement.pose
        if not actor.has_physics:
            return
        before = self._velocities.get(actor.id)
        self._velocities[actor.id] = velocity = movement.velocity_mps
        push = (0.0, 0.0, 0.0)
        if before is not None and step_s > 0:
            x, y, z = ((now - old) / step_s for now, old in zip(velocity, before, strict=True))
            push = (x, y, z)
        if actor.id not in self._was_simulated:
            self._was_simulated[actor.id] = world.physics.is_simulated(actor.id)
        body = Body(
            origins.floor_of(movement.pose, actor.blueprint),
            velocity,
            movement.spin_radps,
            push,
            steer_rad=movement.steer_rad,
            travel_m=movement.travel_m,
        )
        world.physics.carry(actor.id, body)

    def _release(self, world: World, id: int) -> None:
        """Lets physics move an actor again, from standstill."""
        was_simulated = self._was_simulated.pop(id, None)
        self._velocities.pop(id, None)
        actor = world.actors.get(id)
        if was_simulated is None or actor is None or not actor.has_physics:
            return
        world.physics.simulate(id, was_simulated or actor.kind in ("vehicle", "walker"))
        world.physics.set_velocity(id, (0.0, 0.0, 0.0))
        world.physics.set_angular_velocity(id, (0.0, 0.0, 0.0))
        if actor.kind == "vehicle":
            drive(world, actor, VehicleControl())
        elif actor.kind == "walker":
            walk(world, actor, WalkerControl(actor.walk.direction))

    def _show_lights(self, world: World) -> None:
        for signal, (shown, since_s) in self._lights.items():
            light = world.signals.light(signal)
            ran_s = 0.0 if shown.is_frozen else self._playhead.time_s - since_s
            light.state, light.elapsed_s = shown.state, shown.elapsed_s + ran_s
            light.green_s, light.yellow_s = shown.green_s, shown.yellow_s
            light.red_s = shown.red_s
            world.signals.freeze(signal, shown.is_frozen)

    def _follow(self, world: World) -> None:
        actor = self._actor(world, self._wish.follow)
        if actor is not None and actor is not world.spectator:
            world.place(world.spectator, geometry.compose(actor.pose, self._wish.offset))


def _pose(six: Six) -> Pose:
    x, y, z, pitch, yaw, roll = six
    return Pose(x, y, z, math.radians(pitch), math.radians(yaw), math.radians(roll))
