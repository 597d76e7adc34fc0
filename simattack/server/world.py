"""The simulated world behind the calls: episode, actors, time.

One tick is: physics and signals advance, attached actors follow, the snapshot goes out, sensors
report. All of it carries the same frame number and time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from simattack import geometry
from simattack.errors import ConfigError
from simattack.server import (
    appearance,
    attributes,
    codec,
    maps,
    origins,
    queries,
    rows,
    signposts,
    stream,
)
from simattack.server.actors import KINDS, NO_BLUEPRINT, Actor, Kind, read_color
from simattack.server.blueprints import BLUEPRINTS, Blueprint
from simattack.server.codec import Bounds, Description, Settings
from simattack.server.drawings import Drawings
from simattack.server.driving import Driving
from simattack.server.fallen import Fallen
from simattack.server.giving_way import GivingWay
from simattack.server.lamps import Lamps
from simattack.server.maps import Map, Maps
from simattack.server.physics import Physics
from simattack.server.render import GBuffer, Mover, Renderer, View
from simattack.server.render.look import Look
from simattack.server.road import Road
from simattack.server.road_signals import Signal
from simattack.server.sensors import readout
from simattack.server.sensors.ranging import Ranging
from simattack.server.signals import Signals
from simattack.server.stream import Snapshot, Streams, Subscriber
from simattack.server.town import Town
from simattack.types import Image, Pose, Weather

if TYPE_CHECKING:
    from simattack.server.recordings import Recordings

FREE_STEP_S = 1 / 30
"""The step of simulated time where the client set none."""
_SPECTATOR = Pose(z_m=50.0, pitch_rad=-math.pi / 2)


class Refusal(Exception):
    """The call cannot be done; the text goes to the client."""


class World:
    """Everything that a client can see or change."""

    def __init__(
        self,
        atlas: Maps,
        place: Map,
        renderer: Renderer,
        make_token: Callable[[int], bytes],
        seed: int = 0,
    ) -> None:
        self.atlas = atlas
        self.renderer = renderer
        self.streams = Streams()
        self.settings = Settings()
        self.weather = Weather()
        self.weather_numbers = codec.weather_wire(self.weather)
        self.is_strict = False
        """Whether painting has the limits of a real CARLA."""
        self.traffic_managers: dict[int, tuple[str, int]] = {}
        self.ranging = Ranging()
        self.recordings: Recordings | None = None
        """Asked at each tick; None for a world that nobody records."""
        self.pending: Map | None = None
        """A map that a client sent, until it asks for the episode on it."""
        self.episode = 0
        self.frame = 0
        self._make_token = make_token
        self._seed = seed
        self.snapshot = Snapshot()
        """One row for each actor."""
        self._painted: set[str] = set()
        self._cuts: dict[str, tuple[float, float, float, float]] = {}
        self.map = place
        self.renderer.load(place.road, place.town)
        self._begin(place)

    # The episode

    def _begin(self, place: Map) -> None:
        """Starts an episode on a map, with nothing but its signals and the spectator."""
        for name in self._painted:
            self.renderer.forget(name)
        self._painted.clear()
        self._cuts.clear()
        self.map = place
        self.episode += 1
        self.is_map_new = True
        self.elapsed_s = self._elapsed_before_s = 0.0
        self._ticks = 0
        self._step_s = self.delta_s
        self.physics = Physics(place.road, place.town.obstacles)
        self.driving = Driving(self.physics)
        self.gravity_mps2 = 9.81
        self.lamps = Lamps(place.town.objects, self.weather)
        self.drawings = Drawings()
        self.hidden: frozenset[int] = frozenset()
        self.signals = Signals(place.road.signals)
        self.fallen = Fallen()
        self.giving_way = GivingWay()
        self.actors: dict[int, Actor] = {}
        self.sensors: dict[int, Actor] = {}
        self.light_actors: dict[str, int] = {}
        self._next_id = 1
        self.snapshot.clear()
        self.spectator = self._add("other", Description(0, "spectator"), _SPECTATOR)
        for signal in place.road.signals:
            self._add_signal(signal)

    def load(self, place: Map, is_resetting: bool) -> None:
        """Ends the episode and starts the next, on ``place``."""
        if place.road is not self.map.road:
            self.renderer.load(place.road, place.town)
            maps.give_back_memory()
        if self.recordings is not None:
            self.recordings.end("a world was loaded")
        for number in [n for actor in self.sensors.values() for n in actor.streams]:
            self.streams.close(number)
        self.streams.is_renewing = True
        if is_resetting:
            self.apply_settings(Settings())
        self.set_weather(codec.weather_wire(Weather()), Weather())
        self._begin(place)

    @property
    def road(self) -> Road:
        """Of the present map."""
        return self.map.road

    @property
    def town(self) -> Town:
        """Of the present map."""
        return self.map.town

    @property
    def delta_s(self) -> float:
        """Simulated time of one tick."""
        return self.settings.fixed_delta_s or FREE_STEP_S

    def apply_settings(self, settings: Settings) -> None:
        """Changes how time runs."""
        self.settings = settings
        self.streams.is_lossy = not settings.is_synchronous

    def set_weather(self, numbers: tuple[float, ...], weather: Weather) -> None:
        """Shows a weather from the next image on."""
        self.weather_numbers, self.weather = numbers, weather
        self.lamps.follow(weather)

    def find_map(self, name: str) -> Map:
        """The map that a client means by a name; empty means the present one.

        Raises:
            MapError: there is no such map.
        """
        wanted = maps.bare(name)
        if wanted == maps.GENERATED and self.pending is not None:
            return self.pending
        return self.map if wanted in ("", self.map.name) else self.atlas.named(name)

    # Time

    def tick(self) -> int:
        """Advances the world by one step and tells everybody; the new frame's number."""
        step_s = self.delta_s
        if step_s != self._step_s:
            self._elapsed_before_s, self._ticks, self._step_s = self.elapsed_s, 0, step_s
        self.frame += 1
        self._ticks += 1
        # Counted, not summed: a camera at half the rate must not drift off its ticks.
        self.elapsed_s = self._elapsed_before_s + self._ticks * step_s
        self.driving.before(step_s)
        contacts = self.physics.step(step_s)
        self.signals.step(step_s)
        for number in self.fallen.due(self.elapsed_s):
            if number in self.actors:
                self.destroy(self.actors[number])
        if self.recordings is not None:
            contacts = [*contacts, *self.recordings.advance(self, step_s)]
        for actor in self.actors.values():
            self._advance(actor)
        if self.recordings is not None:
            self.recordings.note(self, contacts)
        self.driving.after()
        message = self._message(self.is_map_new, self.lamps.take_news())
        self.streams.send(stream.WORLD_STREAM, [message])
        self.is_map_new = False
        readout.report(self, contacts)
        return self.frame

    def subscribe(self, number: int, subscriber: Subscriber) -> None:
        """Adds a listener to a stream; one to the world's sees its present state at once."""
        self.streams.subscribe(number, subscriber)
        if number == stream.WORLD_STREAM:
            subscriber.send([self._message()], False)

    def _message(self, is_map_new: bool = False, is_lamp_new: bool = False) -> bytes:
        now_s, is_new = time.time(), (is_map_new, is_lamp_new)
        return self.snapshot.message(
            self.episode, self.frame, self.elapsed_s, self._step_s, now_s, *is_new
        )

    def _advance(self, actor: Actor) -> None:
        """Brings an actor and its row of the snapshot to the new tick; parents come first."""
        if actor.has_physics:
            rows.put_body(self, actor, self.physics.state(actor.id))
            return
        if actor.parent is not None and actor.arm is not None:
            free = partial(queries.clearance, self)
            actor.pose = actor.arm.follow(actor.parent.pose, self._step_s, free)
        elif actor.parent is not None:
            follows = (actor.parent.pose, actor.mount)
            if follows != actor.follows:
                actor.pose, actor.follows = geometry.compose(*follows), follows
        if actor.kind == "light" or actor.pose is not actor.shown:
            rows.put_still(self, actor)

    # Actors

    def actor(self, number: int) -> Actor:
        """The actor of that id.

        Raises:
            Refusal: there is none.
        """
        try:
            return self.actors[number]
        except KeyError:
            raise Refusal(f"actor {number} not found") from None

    def spawn(
        self, description: Description, pose: Pose, parent: int = 0, recorded: int = 0
    ) -> Actor:
        """A new actor.

        Args:
            description: an id of the blueprint library, and attributes.
            pose: in the world, or in the frame of the parent.
            parent: the actor it is fixed to, 0 for none.
            recorded: its id in a recording that is replayed; it gets the same if that was never
                taken, and stands where it stood, whatever is there. 0 for all others.

        Raises:
            Refusal: the text that CARLA gives for the same failure.
        """
        blueprint = BLUEPRINTS.get(description.type_id)
        if blueprint is None:
            raise Refusal(f"Spawn failed because of invalid actor: {description.type_id!r}")
        holder = None
        if parent:
            holder = self.actors.get(parent)
            if holder is None:
                raise Refusal("unable to attach actor: parent actor not found")
        is_solid = blueprint.kind in ("vehicle", "walker") and holder is None
        floor = origins.floor_of(pose, blueprint)
        if is_solid and not recorded and self.physics.blocked(blueprint, floor):
            raise Refusal("Spawn failed because of collision at spawn position")
        try:
            attributes.check(description)
            blueprint = attributes.scaled(blueprint, description)
        except ConfigError as error:
            raise Refusal(f"Spawn failed because of invalid attributes: {error}") from error
        self._next_id = max(self._next_id, recorded)
        actor = self._add(KINDS.get(blueprint.kind, "other"), description, pose, blueprint, holder)
        if actor.has_physics:
            self.physics.add(actor.id, blueprint, origins.floor_of(pose, blueprint))
        self.driving.added(actor)
        if actor.kind == "sensor" and description.type_id in stream.SENSOR_TYPES:
            actor.stream = self.streams.open()
            seed = int(float(actor.attributes.get("noise_seed", "0") or 0))
            actor.rng = np.random.default_rng([self._seed, abs(seed), actor.id])
            self.sensors[actor.id] = actor
        return actor

    def _add(
        self,
        kind: Kind,
        description: Description,
        pose: Pose,
        blueprint: Blueprint = NO_BLUEPRINT,
        parent: Actor | None = None,
        signal: str = "",
    ) -> Actor:
        """Numbers an actor and gives it a row in the snapshot."""
        length, width, height = blueprint.size_m
        middle_m = height / 2 - origins.height_m(blueprint)
        values = {name: value for name, _, value in description.attributes}
        actor = Actor(
            id=self._next_id,
            kind=kind,
            description=description,
            pose=pose if parent is None else geometry.compose(parent.pose, pose),
            blueprint=blueprint,
            bounds=Bounds((0.0, 0.0, middle_m), (length / 2, width / 2, height / 2)),
            tags=bytes([blueprint.tag]) if blueprint.tag else b"",
            parent=parent,
            mount=pose,
            attributes=values,
            color=read_color(values.get("color", "")),
            signal=signal,
        )
        self._next_id += 1
        self.actors[actor.id] = actor
        if parent is not None:
            parent.children.append(actor)
        rows.put_still(self, actor)
        return actor

    def _add_signal(self, signal: Signal) -> None:
        """A traffic light or sign of the map; its trigger box is its bounding box."""
        type_id = signposts.type_id(signal)
        if type_id is None:
            return
        is_light = signal.kind == "traffic_light"
        kind: Kind = "light" if is_light else "sign"
        actor = self._add(kind, Description(0, type_id), signal.pose, signal=signal.id)
        actor.tags, actor.bounds = signposts.tags(signal), signposts.bounds(signal)
        if is_light:
            self.light_actors[signal.id] = actor.id

    def destroy(self, actor: Actor) -> None:
        """Takes an actor out of the world.

        As in CARLA, a sensor that is fixed to it stays behind where it is; only what has a body of
        its own goes along, since physics knows nothing of a body that hung on another.
        """
        for child in list(actor.children):
            if child.blueprint.has_body:
                self.destroy(child)
            else:
                child.parent = child.arm = child.follows = None
        if actor.parent is not None:
            actor.parent.children.remove(actor)
        self.giving_way.leave(actor.id)
        if actor.has_physics:
            self.physics.remove(actor.id)
        self.driving.removed(actor)
        for number in actor.streams:
            self.streams.close(number)
        self.sensors.pop(actor.id, None)
        del self.actors[actor.id]
        self.snapshot.drop(actor.id)
        self._unpaint(f"Actor_{actor.id}")

    def place(self, actor: Actor, pose: Pose) -> None:
        """Moves an actor at once; one that is fixed to another gets a new mount."""
        if actor.parent is not None:
            actor.mount = pose
            if actor.arm is not None:
                actor.arm.mount = pose
        else:
            actor.pose = pose
            if actor.has_physics:
                self.physics.teleport(actor.id, origins.floor_of(pose, actor.blueprint))

    def token(self, number: int) -> bytes:
        """Where clients find a stream; empty for 0."""
        return self._make_token(number) if number else b""

    def wire(self, actor: Actor) -> codec.Wire:
        """An actor as the calls carry it."""
        return actor.wire(self.token(actor.stream))

    # Pictures

    def movers(self) -> list[Mover]:
        """Every actor that can be seen, as of this tick."""
        seen = (actor for actor in self.actors.values() if actor.blueprint.mesh)
        cuts = self._cuts
        return [
            appearance.mover(actor, self.physics, cuts.get(f"Actor_{actor.id}")) for actor in seen
        ]

    def draw(self, view: View, is_rich: bool = False) -> GBuffer:
        """The scene of this tick."""
        look = Look(self.hidden, self.lamps.lit(), self.drawings.marks(self.elapsed_s))
        movers, colors = self.movers(), self.signals.colors()
        return self.renderer.render(view, movers, self.weather, colors, look, is_rich)

    def paint(self, name: str, texture: Image) -> None:
        """Shows a texture (H, W, 3 or 4) on an object; ``KeyError`` for one that takes none.

        A board is cut out where its texture is transparent, except on a strict server.
        """
        is_whole = self.is_strict or not name.startswith("Actor_")
        self.renderer.paint(name, texture[..., :3] if is_whole else texture, self.is_strict)
        self._painted.add(name)
        cut = None if is_whole else appearance.cut(texture)
        if cut is None:
            self._cuts.pop(name, None)
        else:
            self._cuts[name] = cut

    def _unpaint(self, name: str) -> None:
        if name in self._painted:
            self._painted.discard(name)
            self._cuts.pop(name, None)
            self.renderer.forget(name)
