"""A connected, synchronous CARLA world: launch or connect, spawn, paint, tick, read sensors.

This file makes every CARLA client there is, and is where degrees become radians. Nothing here
knows whether the server is ours or Epic's.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from simattack.actors import Actors
from simattack.actors import SpawnBlocked as SpawnBlocked
from simattack.bodywork import surface_on
from simattack.connection import Connection, knock
from simattack.errors import ConfigError, ServerGone, SimattackError
from simattack.geometry import position_m
from simattack.lights import Lights
from simattack.painting import Painting
from simattack.polyline import Polyline
from simattack.resources import locate
from simattack.roadmap import RoadMap, beside, pose_of
from simattack.roadsigns import RoadSigns, lines_on
from simattack.sensing import Rig
from simattack.server_process import ServerProcess
from simattack.surfaces import Approach, approaches, billboards_and_signs, named
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
        self._server = server
        self._map_name = Path(map_name).stem
        self.weather = Weather()
        self.roles: dict[str, int] = {}
        """Ids of actors by the role they have in the scenario, for names of surfaces."""
        self.route: Route | None = None
        """Where the car of this episode has to drive."""
        self._props: dict[int, Any] = {}
        self._ego: Any = None
        self._states: dict[int, tuple[str, Pose]] = {}
        """Kind and pose of each actor at the last tick."""
        self._rig: Rig | None = None
        self._car = CarInfo()
        self._road: RoadMap | None = None
        self._lights: Lights | None = None
        self._tick = 0
        self._line = Connection(carla, host, port, server)
        self._client = self._line.client
        self._actors = Actors(carla, self._client, self._line.where)
        self._painting = Painting(carla, self._line.where)
        self.carriers = self._painting.carriers
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
                    self._painting.restore_all(self._world)
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

    def clear(self) -> None:
        """An empty world again: no actors of ours, base textures, actor ids from the start."""
        with self._line.talking("resetting the world"):
            self._drop_actors()
            self._let_lights_go()
            with self._line.patience():
                self._world = self._client.reload_world(False)
            self._apply_settings()
        self._painting.forget()
        self.roles.clear()
        self._states.clear()
        self.route, self._tick = None, 0

    def set_weather(self, weather: Weather) -> None:
        """From the next tick on."""
        self.weather = weather
        with self._line.talking("setting the weather"):
            parameters = self._world.get_weather()
            for name, value in vars(weather).items():
                setattr(parameters, name, float(value))
            self._world.set_weather(parameters)

    def object_positions(self, kind: str) -> Floats:
        """World centres (N, 3) of the map's own ``stop sign`` or ``traffic light`` actors."""
        if kind == "stop sign":
            # CARLA tells where a sign's pole stands; the catalogue knows where its face is.
            centres = [a.surface.corners_m.mean(0) for a in approaches(self._map_name).values()]
            return np.array(centres).reshape(-1, 3)
        with self._line.talking("listing actors"):
            lights = self._world.get_actors().filter("traffic.traffic_light*")
            return np.array([position_m(pose_of(a.get_transform())) for a in lights]).reshape(-1, 3)

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

    def freeze(self) -> None:
        """Hold everybody but the ego where they were put, until they are placed anew."""
        ego_id = None if self._ego is None else self._ego.id
        for actor_id, (_, pose) in self._actors.placed().items():
            if actor_id != ego_id:
                self.place(actor_id, pose, freeze=True)

    def actor_pose(self, actor_id: int) -> Pose:
        """Where an actor or a prop is, as the server told at the last tick."""
        return pose_of(self._actor(actor_id).get_transform())

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
        self._states = {id: (s.kind, s.pose) for id, s in states.items() if s is not None}
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
        stop_signs = {name: approach.surface for name, approach in self.approaches.items()}
        return {**stop_signs, **billboards_and_signs(self._map_name)}

    def surface(self, name: str) -> Surface:
        """The map's surface of that name, or an actor's: see ``types.World``.

        Raises:
            ConfigError: no such surface; suggests the nearest.
        """
        if ":" in name:
            ego_id = None if self._ego is None else int(self._ego.id)
            return surface_on(name, self._actor, self._where(), self.roles, ego_id)
        return named(name, self.surfaces, self._map_name)

    def lane(self, ahead_m: float, right_m: float = 0.0) -> Pose:
        """So far along the ego's lane from where it stands, and to the right of its middle.

        The lane is that of ``route`` where there is one, else the straightest.

        Raises:
            ConfigError: there is no ego, or its lane is not that long.
        """
        if self._ego is None:
            raise ConfigError("expected a car whose lane to follow; call spawn_ego first")
        place = position_m(self._where()[self._ego.id][1])
        if self.route is not None:
            return beside(self.route.points, place, ahead_m, right_m)
        with self._line.talking("reading the map"):
            return self.road.ahead(place, ahead_m, right_m)

    def put(self, kind: str, pose: Pose) -> int:
        """A prop of the server's library; none of the actors that ``tick`` tells of.

        Raises:
            ConfigError: the server has no such blueprint.
            SpawnBlocked: something stands there.
        """
        with self._line.talking(f"putting up {kind}"):
            props = Actors(self._carla, self._client, self._line.where)
            actor_id = props.spawn(self._world, kind, pose)
            self._props[actor_id] = props[actor_id]
        return actor_id

    def take(self, actor_id: int) -> None:
        """Take away what was ``put``; nothing happens where it is gone."""
        if (prop := self._props.pop(actor_id, None)) is not None:
            with self._line.talking("taking a prop away"):
                prop.destroy()

    def paint(self, surface: Surface, texture: Image) -> None:
        """Show ``texture`` (H, W, 3 or 4) uint8 on the whole surface from the next tick on.

        Where the server will not paint the object, there is none, or ``carriers.is_always`` is set,
        flat props in front carry what differs from the surface's own texture (docs/textures.md).

        Raises:
            ConfigError: this world has no such object, or none that could carry the texture.
        """
        holder = None if surface.actor_id is None else self._actor(surface.actor_id)
        with self._line.talking("painting"):
            self._painting.show(self._world, surface, texture, holder)

    def restore(self, surface: Surface) -> None:
        """Show the surface's own texture again; nothing happens where it was never painted."""
        with self._line.talking("taking paint away"):
            self._painting.restore(self._world, surface)

    # -- routes --------------------------------------------------------------------------------

    @property
    def road(self) -> RoadMap:
        """The lanes of the loaded map."""
        if self._road is None:
            with self._line.talking("reading the map"):
                self._road = RoadMap(self._carla, self._world.get_map())
        return self._road

    def road_signs(self) -> RoadSigns:
        """The map's own signs and lights; ground truth, not for the car."""
        with self._line.talking("listing signs"):
            return RoadSigns(self._carla, self._world)

    @property
    def geo_origin(self) -> tuple[float, float]:
        """Latitude and longitude [deg] of the world's origin."""
        return self.road.geo_origin

    def route_to(self, surface_name: str, start_before_m: float, beyond_m: float = 30.0) -> Route:
        """The lane's centre from ``start_before_m`` before a stop line to ``beyond_m`` past it.

        Raises:
            ConfigError: unknown surface, or the lane is not that long.
        """
        return self.road.route(self._approach(surface_name), start_before_m, beyond_m)

    def lights_of(self, route: Route) -> Lights:
        """The traffic lights on a route; ground truth."""
        with self._line.talking("finding the traffic lights"):
            return Lights(self._carla, self._world, route)

    def watch(self, route: Route) -> Lights:
        """Tell of the route's lights and of leaving the road in every frame from now on."""
        self._lights = self.lights_of(route)
        return self._lights

    def surveyed(self, route: Route) -> Route:
        """The route with what a navigation map tells of it: lines with lights, lane widths."""
        lines = lines_on(route.points, self.road_signs().stop_lines())
        return replace(route, signal_lines_m=lines, lane_width_m=self.road.widths_m(route.points))

    def stop_line(self, surface_name: str) -> Floats:
        """(2, 3) the ends of the stop line that goes with a sign; ground truth."""
        return self._approach(surface_name).stop_line_m

    def start_pose(self, route: Route) -> Pose:
        """On the first point of a route, looking along it."""
        return Polyline(route.points).pose(0.0)

    # -- inside --------------------------------------------------------------------------------

    def _approach(self, name: str) -> Approach:
        return named(name, self.approaches, self._map_name)

    def _where(self) -> dict[int, tuple[str, Pose]]:
        """Kind and pose of each actor: of the last tick, or where it was put before the first."""
        return self._states if self._tick else self._actors.placed()

    def _actor(self, actor_id: int) -> Any:
        if actor_id in self._props:
            return self._props[actor_id]
        if actor_id in self._actors:
            return self._actors[actor_id]
        raise ConfigError(f"expected an actor of this scene, got id {actor_id}")

    def _load(self, opendrive: str) -> None:
        if self._world.get_map().to_opendrive() != opendrive:
            # The map as it is written: CARLA's own walls would hide signs and billboards.
            parameters = self._carla.OpendriveGenerationParameters
            as_written = parameters(wall_height=0.0, additional_width=0.0)
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
        # What hangs on an actor goes with it.
        self.carriers.drop()
        for actor_id in list(self._props):
            self._props.pop(actor_id).destroy()
        self._actors.drop(self._line.hurry_if_gone)


_NOBODY = ActorState(0, "none", Pose(), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
