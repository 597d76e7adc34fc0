"""The actors that one session put into the world: spawned, placed, driven, dropped.

Part of the session's floor: it is handed CARLA's module and never imports it.
"""

from __future__ import annotations

import difflib
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np

from simattack.errors import ConfigError, SimattackError
from simattack.roadmap import pose_of, transform_of
from simattack.types import ActorState, Pose


class SpawnBlocked(SimattackError):
    """Something already stands where an actor should appear."""


class Actors:
    """A session's own actors by the server's id, and the traffic manager that drives some."""

    def __init__(self, carla: Any, client: Any, where: str) -> None:
        """``where`` tells errors which server it is."""
        self._carla = carla
        self._client = client
        self._where = where
        self._by_id: dict[int, Any] = {}
        self._boxes: dict[int, Any] = {}
        """The client asks the server for a box each time, and no box ever changes."""
        self._placed: dict[int, Pose] = {}
        self._manager: Any = None

    def __getitem__(self, actor_id: int) -> Any:
        return self._by_id[actor_id]

    def __contains__(self, actor_id: object) -> bool:
        return actor_id in self._by_id

    def placed(self) -> dict[int, tuple[str, Pose]]:
        """Kind of each and where it was put last, by id."""
        return {id: (str(self._by_id[id].type_id), pose) for id, pose in self._placed.items()}

    def spawn(
        self,
        world: Any,
        kind: str,
        pose: Pose,
        color: tuple[int, int, int] | None = None,
        autopilot: bool = False,
    ) -> int:
        """A new actor's id; ``pose`` is of the ground that it comes to stand on.

        Raises:
            ConfigError: the server has no such blueprint.
            SpawnBlocked: something stands there.
        """
        library = world.get_blueprint_library()
        try:
            blueprint = library.find(kind)
        except (IndexError, RuntimeError):
            near = difflib.get_close_matches(kind, [b.id for b in library], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{self._where} has no blueprint {kind!r}{hint}") from None
        if color is not None and blueprint.has_attribute("color"):
            blueprint.set_attribute("color", ",".join(str(int(c)) for c in color))
        place = transform_of(self._carla, pose)
        actor = world.try_spawn_actor(blueprint, place)
        if actor is None:
            # To a real CARLA the road itself is in the way of what starts right on it.
            place.location.z += _lift_m(kind)
            actor = world.try_spawn_actor(blueprint, place)
        if actor is None:
            raise SpawnBlocked(
                f"cannot spawn {kind} at ({pose.x_m:.1f}, {pose.y_m:.1f}) m: the place is taken"
            )
        self._by_id[actor.id] = actor
        self._placed[actor.id] = self._standing(actor, pose)
        if autopilot:
            actor.set_autopilot(True, self._traffic_manager(world).get_port())
        return int(actor.id)

    def place(self, actor: Any, pose: Pose, speed_mps: float, freeze: bool) -> None:
        """Put it somewhere, with a forward speed, or frozen there."""
        self._placed[actor.id] = pose
        actor.set_simulate_physics(not freeze)
        actor.set_transform(transform_of(self._carla, pose))
        actor.set_target_velocity(self._forward(pose, speed_mps))

    def move(self, actor_id: int, pose: Pose, speed_mps: float) -> None:
        """Put a vehicle that is under way somewhere, with a forward speed; physics goes on."""
        actor = self._by_id[actor_id]
        self._placed[actor_id] = pose
        actor.set_transform(transform_of(self._carla, pose))
        actor.set_target_velocity(self._forward(pose, speed_mps))

    def set_lamps(self, actor: Any, beam: str) -> None:
        """Switch a vehicle's head and tail lamps on: ``low`` or ``high``."""
        lamps = self._carla.VehicleLightState
        state = lamps.Position | (lamps.HighBeam if beam == "high" else lamps.LowBeam)
        actor.set_light_state(self._carla.VehicleLightState(state))

    def cruise(self, actor_id: int, speed_mps: float) -> None:
        """Let a vehicle hold a forward speed, straight on, by itself."""
        self._by_id[actor_id].enable_constant_velocity(
            self._carla.Vector3D(float(speed_mps), 0.0, 0.0)
        )

    def walk(self, actor_id: int, direction_rad: float, speed_mps: float) -> None:
        """Let a walker go on in a direction (a yaw in the world frame)."""
        direction = self._carla.Vector3D(
            float(np.cos(direction_rad)), float(np.sin(direction_rad)), 0.0
        )
        self._by_id[actor_id].apply_control(
            self._carla.WalkerControl(direction, float(speed_mps), False)
        )

    def states(self, snapshot: Any) -> dict[int, ActorState | None]:
        """Ground truth of each at one tick, by id; None until the server has told of it."""
        return {id: self._state(actor, snapshot) for id, actor in self._by_id.items()}

    def drop(self, if_kept: Callable[[], None] = lambda: None) -> None:
        """Destroy all of them and end the traffic manager; safe to call twice.

        ``if_kept`` is called after each that would not go.
        """
        for actor in self._by_id.values():
            if not actor.destroy():
                if_kept()
        self._by_id.clear()
        self._boxes.clear()
        self._placed.clear()
        if self._manager is not None:
            self._manager.shut_down()
            self._manager = None

    def _standing(self, actor: Any, ground: Pose) -> Pose:
        """Where its origin is once it stands there: a walker's is the middle of its body."""
        if not str(actor.type_id).startswith("walker."):
            return ground
        box = self._box(actor)
        return replace(ground, z_m=ground.z_m + box.extent.z - box.location.z)

    def _box(self, actor: Any) -> Any:
        if actor.id not in self._boxes:
            self._boxes[actor.id] = actor.bounding_box
        return self._boxes[actor.id]

    def _forward(self, pose: Pose, speed_mps: float) -> Any:
        return self._carla.Vector3D(
            speed_mps * float(np.cos(pose.yaw_rad)), speed_mps * float(np.sin(pose.yaw_rad)), 0.0
        )

    def _state(self, actor: Any, snapshot: Any) -> ActorState | None:
        seen = snapshot.find(actor.id)
        if seen is None:
            return None
        velocity, acceleration = seen.get_velocity(), seen.get_acceleration()
        box = self._box(actor)
        extent, middle = box.extent, box.location
        return ActorState(
            id=actor.id,
            kind=cast(str, actor.type_id),
            pose=pose_of(seen.get_transform()),
            velocity_mps=(velocity.x, velocity.y, velocity.z),
            acceleration_mps2=(acceleration.x, acceleration.y, acceleration.z),
            half_extent_m=(extent.x, extent.y, extent.z),
            middle_m=(middle.x, middle.y, middle.z),
        )

    def _traffic_manager(self, world: Any) -> Any:
        if self._manager is None:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            self._manager = self._client.get_trafficmanager(port)
            self._manager.set_synchronous_mode(True)
            self._manager.set_random_device_seed(0)
            # A car that is handed over before the manager's first tick may never be driven.
            world.tick(10.0)
        return self._manager


def _lift_m(kind: str) -> float:
    """How far above the ground a second try starts [m]; CARLA's walkers have a middle, no feet."""
    return 1.0 if kind.startswith("walker.") else 0.3
