"""A connected, synchronous CARLA world: launch or connect, spawn, paint, tick, read sensors.

This file makes every CARLA client there is, and is where degrees become radians. Nothing here
knows whether the server is ours or Epic's.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simattack.actors import Actors
from simattack.actors import SpawnBlocked as SpawnBlocked
from simattack.canvas import Canvases
from simattack.carrier import Carriers
from simattack.connection import Connection, knock
from simattack.errors import ConfigError, ServerGone, SimattackError
from simattack.lights import Lights
from simattack.places import Place
from simattack.resources import locate
from simattack.roadmap import RoadMap, pose_of
from simattack.sensing import Rig
from simattack.server_process import ServerProcess
from simattack.surfaces import Approach, approaches
from simattack.types import (
    ActorState,
    CarInfo,
    Collision,
    Floats,
    Frame,
    Image,
    Observation,
    Pose,
    Route,
    Surface,
    Weather,
)

EGO_KIND = "vehicle.lincoln.mkz_2020"
_TICK_TIMEOUT_S = 10.0
_REFUSED = "takes no texture"
"""In the words of a server that will not paint an object."""


class Session:
    """One client's hold on one CARLA world at 20 Hz; a context manager and a ``types.World``."""

    tick_s = 0.05

    def __init__(
        self, host: str, port: int, map_name: str = "town", server: ServerProcess | None = None
    ) -> None:
        if server is not None:
            # CARLA's client reads this once a process; what a user has set stands.
            os.environ.setdefault("CARLA_CACHE_DIR", server.cache_folder)
        import carla

        self._carla: Any = carla
        self._canvases = Canvases(carla)
        self.carriers = Carriers(carla)
        self._server = server
        self._map_name = Path(map_name).stem
        self._painted: dict[str, Surface] = {}
        self._ego: Any = None
        self._rig: Rig | None = None
        self._car = CarInfo()
        self._road: RoadMap | None = None
        self._lights: Lights | None = None
        self._route: Route | None = None
        self._tick = 0
        self._line = Connection(carla, host, port, server)
        self._client = self._line.client
        self._actors = Actors(carla, self._client, self._line.where)
        with self._line.talking("connecting"):
            self._world = self._client.get_world()
            self._before = self._world.get_settings()
            self._load(locate(map_name, "scenarios/maps", ".xodr").read_text())

    @classmethod
    def launch(cls, map_name: str = "town", gpu: int | None = None) -> Session:
        """Start an embedded server of our own and connect to it.

        Raises:
            SetupError: the server does not start (one line says why).
        """
        server = ServerProcess(locate(map_name, "scenarios/maps", ".xodr"), gpu)
        try:
            return cls(server.host, server.port, map_name, server)
        except BaseException:
            server.close()
            raise

    @classmethod
    def connect(cls, host: str, port: int, map_name: str = "town") -> Session:
        """Use a CARLA server that is already running.

        Raises:
            ServerGone: nobody answers there.
        """
        try:
            knock(host, port)
        except OSError as error:
            raise ServerGone(
                f"expected a CARLA server at {host}:{port}, got {error.strerror or error}; "
                "start one with `simattack serve`, or leave --host away"
            ) from error
        return cls(host, port, map_name)

    def close(self) -> None:
        """Give the world back as it was and stop a server of our own; safe to call twice."""
        with contextlib.suppress(SimattackError, RuntimeError):
            if self._line.is_there():
                self._drop_actors()
                if self._server is None:
                    self._let_lights_go()
                    for surface in list(self._painted.values()):
                        self.restore(surface)
                    self._world.apply_settings(self._before)
        if self._server is not None:
            self._server.close()
        # What is left of sensors says farewell as Python drops it, and nobody may answer any more.
        self._line.hurry()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def server_pid(self) -> int | None:
        """Of our own embedded server; None when it is somebody else's."""
        return None if self._server is None else self._server.pid

    # -- the world -----------------------------------------------------------------------------

    def clear(self) -> None:
        """An empty world again: no actors of ours, base textures, actor ids from the start."""
        with self._line.talking("resetting the world"):
            self._drop_actors()
            self._let_lights_go()
            with self._line.patience():
                self._world = self._client.reload_world(False)
            self._apply_settings()
        self._painted.clear()
        self._route = None
        self._tick = 0

    def set_weather(self, weather: Weather) -> None:
        """From the next tick on."""
        with self._line.talking("setting the weather"):
            parameters = self._world.get_weather()
            for name, value in vars(weather).items():
                setattr(parameters, name, float(value))
            self._world.set_weather(parameters)

    @property
    def spawn_points(self) -> list[Pose]:
        """The map's own, on driving lanes."""
        return self.road.spawn_points

    def object_positions(self, kind: str) -> Floats:
        """World centres (N, 3) of the map's own ``stop sign`` or ``traffic light`` actors."""
        if kind == "stop sign":
            # CARLA tells where a sign's pole stands; the catalogue knows where its face is.
            centres = [a.surface.corners_m.mean(0) for a in approaches(self._map_name).values()]
            return np.array(centres).reshape(-1, 3)
        with self._line.talking("listing actors"):
            actors = self._world.get_actors().filter("traffic.traffic_light*")
            places = [actor.get_transform().location for actor in actors]
        return np.array([[p.x, p.y, p.z] for p in places]).reshape(-1, 3)

    # -- actors --------------------------------------------------------------------------------

    def spawn_ego(
        self,
        pose: Pose,
        cameras: Mapping[str, str] | None = None,
        car: CarInfo | None = None,
        camera_every: int = 2,
        seed: int = 0,
    ) -> None:
        """The car under test with its sensors; valid from the next ``tick``.

        Args:
            pose: of the middle of the car on the ground.
            cameras: sensor name -> kind: rgb, depth, semantic or instance; by default ``camera``:
                rgb, if the car has one.
            car: what it is and senses with; the cameras stand at its mount.
            camera_every: ticks between two looks of cameras, LiDAR and radar.
            seed: of the noise of all sensors.
        """
        if car is None:
            car = CarInfo(tick_s=self.tick_s, camera_period_s=camera_every * self.tick_s)
        if cameras is None:
            cameras = {"camera": "rgb"} if "camera" in car.sensors else {}
        self._car = car
        actor_id = self.spawn(EGO_KIND, pose, color=(230, 230, 235))
        self._ego = self._actors[actor_id]
        with self._line.talking("fitting the sensors"):
            self._rig = Rig(
                self._carla, self._world, self._ego, car, cameras, camera_every, self.tick_s, seed
            )  # fmt: skip
        self._tick = 0

    def spawn(
        self,
        kind: str,
        pose: Pose,
        color: tuple[int, int, int] | None = None,
        autopilot: bool = False,
    ) -> int:
        """A new actor's id.

        Raises:
            ConfigError: the server has no such blueprint.
            SpawnBlocked: something stands there.
        """
        with self._line.talking(f"spawning {kind}"):
            return self._actors.spawn(self._world, kind, pose, color, autopilot)

    def place(
        self, actor_id: int | None, pose: Pose, speed_mps: float = 0.0, freeze: bool = False
    ) -> None:
        """Put an actor (None: the ego) somewhere, with a forward speed, or frozen there."""
        actor = self._ego if actor_id is None else self._actors[actor_id]
        with self._line.talking("placing an actor"):
            self._actors.place(actor, pose, speed_mps, freeze)

    def cruise(self, actor_id: int, speed_mps: float) -> None:
        """Let a vehicle hold a forward speed, straight on, by itself."""
        with self._line.talking("setting a constant velocity"):
            self._actors.cruise(actor_id, speed_mps)

    def move(self, actor_id: int, pose: Pose, speed_mps: float) -> None:
        """Put a vehicle that is under way somewhere, with a forward speed; physics goes on."""
        with self._line.talking("moving an actor"):
            self._actors.move(actor_id, pose, speed_mps)

    def set_lamps(self, actor_id: int | None, beam: str) -> None:
        """Switch a vehicle's (None: the ego's) head and tail lamps on: ``low`` or ``high``."""
        actor = self._ego if actor_id is None else self._actors[actor_id]
        with self._line.talking("switching lamps on"):
            self._actors.set_lamps(actor, beam)

    def walk(self, actor_id: int, direction_rad: float, speed_mps: float) -> None:
        """Let a walker go on in a direction (a yaw in the world frame)."""
        with self._line.talking("walking"):
            self._actors.walk(actor_id, direction_rad, speed_mps)

    def control(self, action: Floats) -> None:
        """Steer (-1..1), throttle (0..1), brake (0..1) of the ego from the next tick on."""
        steer, throttle, brake = (float(value) for value in action)
        with self._line.talking("controlling the ego"):
            self._ego.apply_control(
                self._carla.VehicleControl(throttle=throttle, steer=steer, brake=brake)
            )

    # -- time ----------------------------------------------------------------------------------

    def tick(self) -> Frame:
        """Advance the world by one tick and gather every sensor's data of it.

        Raises:
            ServerGone: the server vanished.
            SensorTimeout: it lives, but a sensor sent nothing.
        """
        with self._line.talking("ticking"):
            number = self._world.tick(_TICK_TIMEOUT_S)
            snapshot = self._world.get_snapshot()
            if self._rig is not None:
                self._rig.gather(number, self._tick * self.tick_s, snapshot)
        states = self._actors.states(snapshot)
        ego = states.pop(self._ego.id, None) if self._ego is not None else None
        is_watched = self._lights is not None and ego is not None
        frame = Frame(
            tick=self._tick,
            time_s=self._tick * self.tick_s,
            ego=ego if ego is not None else _NOBODY,
            others=tuple(state for state in states.values() if state is not None),
            lights=() if self._lights is None else self._lights.states(),
            is_on_road=self.road.is_road(ego.pose.x_m, ego.pose.y_m, ego.pose.z_m)
            if is_watched and ego is not None
            else None,
        )
        self._tick += 1
        return frame

    def observe(self) -> Observation:
        """What the ego sensed at the last tick."""
        if self._rig is None:
            raise SimattackError("expected a car with sensors; call spawn_ego and tick first")
        return self._rig.observation()

    def collisions(self) -> list[tuple[int, Collision]]:
        """Every contact of the ego so far with its tick; complete once two more ticks passed."""
        return [] if self._rig is None else self._rig.collisions()

    def camera_pose(self, name: str = "camera") -> Pose:
        """Where a camera was, in the world, when it took its newest image."""
        if self._rig is None:
            raise SimattackError("expected a car with cameras; call spawn_ego and tick first")
        return pose_of(self._rig.transform(name))

    # -- paint ---------------------------------------------------------------------------------

    @property
    def approaches(self) -> dict[str, Approach]:
        """Stop approaches of this map by surface name; ground truth, not for the car."""
        return approaches(self._map_name)

    @property
    def surfaces(self) -> dict[str, Surface]:
        """The map's catalogue of paintable surfaces."""
        return {name: approach.surface for name, approach in self.approaches.items()}

    def surface(self, name: str) -> Surface:
        """The catalogue's surface of that name.

        Raises:
            ConfigError: no such surface; suggests the nearest.
        """
        return self._approach(name).surface

    def paint(self, surface: Surface, texture: Image) -> None:
        """Show ``texture`` (H, W, 3) uint8 on the whole surface from the next tick on.

        Where the server will not paint the object, or ``carriers.is_always`` is set, a flat prop
        in front of it carries what differs from the surface's own texture (docs/textures.md).

        Raises:
            ConfigError: this world has no such object, or none that could carry the texture.
        """
        with self._line.talking("painting"):
            if self.carriers.is_needed(surface):
                self._carry(surface, texture)
                return
            if surface.object_name not in self._object_names():
                raise ConfigError(
                    f"{self._line.where} has no object {surface.object_name!r} to paint; "
                    f"is another map loaded than {self._map_name!r}?"
                )
            try:
                self._apply_texture(surface.object_name, texture)
            except RuntimeError as error:
                if _REFUSED not in str(error):
                    raise
                self.carriers.refused.add(surface.object_name)
                self._carry(surface, texture)
                return
        self._painted[surface.name] = surface

    def restore(self, surface: Surface) -> None:
        """Show the surface's own texture again; nothing happens where it was never painted."""
        with self._line.talking("taking a carrier away"):
            self.carriers.remove(surface.name)
        if surface.name in self._painted:
            with self._line.talking("painting"):
                self._apply_texture(surface.object_name, surface.texture)
            del self._painted[surface.name]

    # -- routes --------------------------------------------------------------------------------

    @property
    def road(self) -> RoadMap:
        """The lanes of the loaded map."""
        if self._road is None:
            with self._line.talking("reading the map"):
                self._road = RoadMap(self._carla, self._world.get_map())
        return self._road

    @property
    def geo_origin(self) -> tuple[float, float]:
        """Latitude and longitude [deg] of the world's origin."""
        return self.road.geo_origin

    @property
    def route(self) -> Route | None:
        """The route that is watched; None before there is one."""
        return self._route

    def route_to(self, surface_name: str, start_before_m: float, beyond_m: float = 30.0) -> Route:
        """The lane's centre from ``start_before_m`` before a stop line to ``beyond_m`` past it.

        Raises:
            ConfigError: unknown surface, or the lane is not that long.
        """
        return self.road.route(self._approach(surface_name), start_before_m, beyond_m)

    def place_route(self, place: Place, start_m: float = 0.0) -> Route:
        """The lane's centre from ``start_m`` along a place's route to its end; no speed limit.

        Raises:
            ConfigError: the map has no such route.
        """
        return self.road.place_route(place, start_m)

    def lights_of(self, route: Route) -> Lights:
        """The traffic lights on a route; ground truth."""
        with self._line.talking("finding the traffic lights"):
            return Lights(self._carla, self._world, route)

    def watch(self, route: Route) -> Lights:
        """Tell of the route's lights and of leaving the road in every frame from now on."""
        self._route = route
        self._lights = self.lights_of(route)
        return self._lights

    def stop_line(self, surface_name: str) -> Floats:
        """(2, 3) the ends of the stop line that goes with a sign; ground truth."""
        return self._approach(surface_name).stop_line_m

    def start_pose(self, route: Route) -> Pose:
        """On the first point of a route, looking along it."""
        (x, y, z), (ahead_x, ahead_y, _) = route.points[0], route.points[1]
        return Pose(
            float(x), float(y), float(z), yaw_rad=float(np.arctan2(ahead_y - y, ahead_x - x))
        )

    # -- inside --------------------------------------------------------------------------------

    def _approach(self, name: str) -> Approach:
        known = self.approaches
        if name not in known:
            near = difflib.get_close_matches(name, list(known), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"map {self._map_name!r} has no surface {name!r}; {hint}")
        return known[name]

    def _carry(self, surface: Surface, texture: Image) -> None:
        found = self.carriers.carry(self._world, surface, texture)
        if found is not None:
            self._apply_texture(*found)

    def _apply_texture(self, object_name: str, texture: Image) -> None:
        self._world.apply_color_texture_to_object(
            object_name,
            self._carla.MaterialParameter.Diffuse,
            self._canvases.texture(texture),
        )

    def _object_names(self) -> set[str]:
        return set(self._world.get_names_of_all_objects())

    def _load(self, opendrive: str) -> None:
        if self._world.get_map().to_opendrive() != opendrive:
            # The map as it is written: CARLA's own walls would hide signs and billboards.
            as_written = self._carla.OpendriveGenerationParameters(
                wall_height=0.0, additional_width=0.0
            )
            with self._line.patience():
                self._world = self._client.generate_opendrive_world(opendrive, as_written)
        self._apply_settings()

    def _apply_settings(self) -> None:
        settings = self._world.get_settings()
        settings.synchronous_mode = True
        settings.fixed_delta_seconds = self.tick_s
        settings.deterministic_ragdolls = True
        self._world.apply_settings(settings)

    def _let_lights_go(self) -> None:
        if self._lights is not None:
            self._lights.release()
            self._lights = None

    def _drop_actors(self) -> None:
        self._line.hurry_if_gone()
        if self._rig is not None:
            self._rig.stop(self._line.hurry_if_gone)
            self._rig = None
        self._ego = None
        self._actors.drop(self._line.hurry_if_gone)
        self.carriers.drop()


_NOBODY = ActorState(0, "none", Pose(), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
