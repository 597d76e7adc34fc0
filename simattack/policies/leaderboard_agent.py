"""An agent of CARLA's leaderboard, from its own file and unchanged, as the policy.

The agent is fitted as it asks: the car's camera, LiDAR and radar take the place and the figures of
the first of their kind that looks most ahead, so that what is attacked is what the agent sees. More
of a kind are fitted beside them, and no attack reaches those. Camera, LiDAR and radar look every
0.1 s and are told at every tick; a LiDAR tells whole turns. Detectors and detections are not used.

Source: sensors, their figures and the data's formats are those of carla-simulator/leaderboard
(agent_wrapper.py, sensor_interface.py).
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simattack.errors import ConfigError, SimattackError
from simattack.geodesy import gnss_from_world
from simattack.geometry import to_body, wrap_angle
from simattack.policies import leaderboard_interface as interface
from simattack.registry import register
from simattack.types import (
    Camera,
    CarInfo,
    Extra,
    Floats,
    Lidar,
    Observation,
    Pose,
    Radar,
    Route,
    Verdict,
)

KINDS: Mapping[str, str] = {
    "sensor.camera.rgb": "camera",
    "sensor.lidar.ray_cast": "lidar",
    "sensor.other.radar": "radar",
    "sensor.other.gnss": "gnss",
    "sensor.other.imu": "imu",
    "sensor.speedometer": "speed",
    "sensor.opendrive_map": "",
}
"""What an agent may ask for -> the car's own sensor that answers."""
_LIDAR = Lidar(64, 937, math.radians(10.0), math.radians(-30.0), 85.0)
"""600 000 points a second in 64 channels at 10 turns a second."""
_RADAR_SLOTS = 75
"""1500 points a second, at 20 Hz."""
_TURN_RAD, _TURN_M = math.radians(30.0), 10


@register("policies", "leaderboard")
@dataclass(frozen=True)
class LeaderboardAgent:
    """Drives by an ``AutonomousAgent`` out of a Python file; see ``docs/extending.md``."""

    agent: str = ""
    """Path of the file. The class is what its ``get_entry_point()`` names, or its only agent."""
    config: str = ""
    """Handed to the agent's ``setup``."""
    is_end_to_end = True

    def __post_init__(self) -> None:
        if not Path(self.agent).is_file():
            raise ConfigError(
                f"agent needs the path of a Python file with an AutonomousAgent, got "
                f"{self.agent!r}, which is no file"
            )

    def equip(self, car: CarInfo, opendrive: str) -> Equipped:
        """The agent itself, set up, and the car with what it asked for.

        Raises:
            ConfigError: the file holds no agent, or asks for what this car cannot be fitted with.
        """
        with interface.importable():
            agent = _made(_agent_class(Path(self.agent)), self.agent, self.config)
            asked = _guarded(self.agent, "sensors", agent.sensors)
        return Equipped(self, agent, tuple(asked), car, opendrive)

    def begin(self, car: CarInfo, route: Route, rng: np.random.Generator) -> AgentDriver:
        """For use outside of an episode; a car that was not equipped has to fit as it is."""
        return self.equip(car, "").begin(car, route, rng)


class Equipped:
    """One episode's agent and its car; a policy."""

    is_end_to_end = True

    def __init__(
        self,
        recipe: LeaderboardAgent,
        agent: Any,
        asked: Sequence[Mapping[str, Any]],
        car: CarInfo,
        opendrive: str,
    ) -> None:
        self._recipe, self._agent, self._opendrive = recipe, agent, opendrive
        self.car, self._sources = outfit(car, asked, recipe.agent)
        self._asked = {str(one["id"]): one for one in asked}

    def begin(self, car: CarInfo, route: Route, rng: np.random.Generator) -> AgentDriver:
        """Hands the agent its plan."""
        gps, places = plan(route)
        _guarded(
            self._recipe.agent, "set_global_plan", lambda: self._agent.set_global_plan(gps, places)
        )
        parts = {
            name: _part(self._asked[name], source, self.car, self._opendrive)
            for name, source in self._sources.items()
        }
        return AgentDriver(self._agent, self._recipe.agent, parts, self.car.tick_s)

    def end(self) -> None:
        """Let the agent clean up."""
        _guarded(self._recipe.agent, "destroy", self._agent.destroy)


class AgentDriver:
    """One run: an observation becomes the agent's input, its control our action."""

    def __init__(
        self, agent: Any, file: str, parts: Mapping[str, Callable[..., Any]], tick_s: float
    ) -> None:
        self._agent, self._file, self._parts, self._tick_s = agent, file, parts, tick_s

    def act(self, obs: Observation, verdict: Verdict) -> Floats:
        time_s = float(obs["clock"][0])
        frame = round(time_s / self._tick_s)
        told = {name: (frame, part(obs)) for name, part in self._parts.items()}
        control = _guarded(self._file, "run_step", lambda: self._agent.run_step(told, time_s))
        if getattr(control, "reverse", False):
            raise SimattackError(
                f"{self._file}: asked for the reverse gear, which no drive here has"
            )
        brake = 1.0 if control.hand_brake else control.brake
        return np.array([control.steer, control.throttle, brake], float)


def outfit(
    car: CarInfo, asked: Sequence[Mapping[str, Any]], file: str
) -> tuple[CarInfo, dict[str, str]]:
    """The car with what is asked for, and which of its sensors answers to which id.

    Raises:
        ConfigError: an id twice, an unknown type, a missing figure, or what the car lacks.
    """
    sources: dict[str, str] = {}
    extras: list[Extra] = []
    chosen: dict[str, Mapping[str, Any]] = {}
    for one in sorted(asked, key=lambda one: abs(float(one.get("yaw", 0.0)))):
        kind, name = str(one.get("type")), str(one.get("id"))
        if kind not in KINDS:
            raise ConfigError(
                f"{file}: sensor {name!r} is a {kind!r}; expected one of {', '.join(KINDS)}"
            )
        if name in sources:
            raise ConfigError(f"{file}: two sensors are called {name!r}")
        ours = KINDS[kind]
        if ours and ours not in car.sensors:
            raise ConfigError(
                f"{file}: sensor {name!r} is a {kind!r}, but the car has "
                f"{', '.join(car.sensors) or 'no sensor'}; add {ours} to the scenario's 'sensors'"
            )
        is_more = ours in ("camera", "lidar", "radar") and ours in chosen
        sources[name] = f"extra {name}" if is_more else ours
        if is_more:
            extras.append(_extra(kind, one, f"extra {name}", file))
        elif ours:
            chosen[ours] = one
    if "camera" in chosen:
        one = chosen["camera"]
        width, height, fov = (_figure(one, key, file) for key in ("width", "height", "fov"))
        camera = Camera(int(width), int(height), math.radians(fov), _mount(one, file))
        car = replace(car, camera=camera)
    if "lidar" in chosen:
        # Level, as all of ours; the agent's own turns are made of its points.
        mount = _mount(chosen["lidar"], file)
        car = replace(car, lidar=replace(_LIDAR, mount=Pose(mount.x_m, mount.y_m, mount.z_m)))
    if "radar" in chosen:
        one = chosen["radar"]
        wide, high = (
            math.radians(_figure(one, key, file)) for key in ("horizontal_fov", "vertical_fov")
        )
        car = replace(car, radar=Radar(_RADAR_SLOTS, 100.0, wide, high, _mount(one, file)))
    order = {str(one["id"]): sources[str(one["id"])] for one in asked}
    return replace(car, extras=tuple(extras)), order


def plan(route: Route) -> tuple[list[tuple[dict[str, float], Any]], list[tuple[Any, Any]]]:
    """The route as the leaderboard hands it out: in degrees and in the world, an option each.

    A route knows no junctions: a place is LEFT or RIGHT where the route turns by more than 30
    degrees within 20 m around it, LANEFOLLOW elsewhere.
    """
    import carla

    options = interface.road_option()
    points = np.asarray(route.points, float)
    steps = np.diff(points[:, :2], axis=0)
    yaw = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    yaw = np.append(yaw, yaw[-1])
    index = np.arange(len(points))
    turn = yaw[np.minimum(index + _TURN_M, len(yaw) - 1)] - yaw[np.maximum(index - _TURN_M, 0)]
    gps, places = [], []
    for (x, y, z), heading, bend in zip(points, yaw, turn, strict=True):
        # Seen from above yaw grows clockwise, so a positive bend is one to the right.
        option = options.LANEFOLLOW
        if abs(bend) > _TURN_RAD:
            option = options.RIGHT if bend > 0 else options.LEFT
        latitude, longitude = gnss_from_world(float(x), float(y), route.geo_origin)
        gps.append(({"lat": float(latitude), "lon": float(longitude), "z": float(z)}, option))
        rotation = carla.Rotation(yaw=math.degrees(float(wrap_angle(heading))))
        place = carla.Transform(carla.Location(float(x), float(y), float(z)), rotation)
        places.append((place, option))
    return gps, places


def _part(
    one: Mapping[str, Any], source: str, car: CarInfo, opendrive: str
) -> Callable[[Observation], Any]:
    """What makes an agent's input out of an observation."""
    kind = str(one["type"])
    if kind == "sensor.opendrive_map":
        return lambda obs: {"opendrive": opendrive}
    if kind == "sensor.speedometer":
        return lambda obs: {"speed": float(obs["speed"][0])}
    if source.startswith("extra "):
        return lambda obs: np.array(obs[source])
    if kind == "sensor.camera.rgb":
        return lambda obs: _bgra(obs["camera"])
    if kind == "sensor.lidar.ray_cast" and car.lidar is not None:
        lidar, mount = car.lidar, _mount(one, "")
        return lambda obs: _cloud(lidar, mount, obs["lidar"])
    if kind == "sensor.other.radar":
        return lambda obs: _echoes(obs["radar"])
    if kind == "sensor.other.imu":
        return lambda obs: np.append(obs["imu"][:6], obs["imu"][6] % (2 * np.pi))
    return lambda obs: np.array(obs[source])


def _bgra(image: Any) -> Any:
    full = np.full((*image.shape[:2], 1), 255, np.uint8)
    return np.concatenate([image[:, :, ::-1], full], axis=2)


def _cloud(lidar: Lidar, mount: Pose, scan: Any) -> Any:
    """(N, 4) x, y, z in the frame of the sensor that was asked for, intensity."""
    points = to_body(lidar.points(scan), mount)
    light = scan[..., 1][scan[..., 0] > 0]
    return np.column_stack([points, light]).astype(np.float32)


def _echoes(returns: Any) -> Any:
    """(N, 4) depth, altitude, azimuth, velocity: CARLA's own columns from the last to the first."""
    return np.asarray(returns[returns[:, 0] > 0][:, [0, 2, 1, 3]], np.float32)


def _extra(kind: str, one: Mapping[str, Any], name: str, file: str) -> Extra:
    """One more of a kind, with the leaderboard's own figures."""
    if kind == "sensor.camera.rgb":
        options = {
            "image_size_x": str(int(_figure(one, "width", file))),
            "image_size_y": str(int(_figure(one, "height", file))),
            "fov": f"{_figure(one, 'fov', file):.6f}",
        }
    elif kind == "sensor.lidar.ray_cast":
        options = {
            "channels": "64", "range": "85", "upper_fov": "10", "lower_fov": "-30",
            "points_per_second": "1200000", "rotation_frequency": "20",
        }  # fmt: skip
    else:
        options = {
            "horizontal_fov": f"{_figure(one, 'horizontal_fov', file):.6f}",
            "vertical_fov": f"{_figure(one, 'vertical_fov', file):.6f}",
            "points_per_second": "1500", "range": "100",
        }  # fmt: skip
    return Extra(name, kind, _mount(one, file), tuple(options.items()))


def _mount(one: Mapping[str, Any], file: str) -> Pose:
    x_m, y_m, z_m = (_figure(one, key, file) for key in ("x", "y", "z"))
    pitch, yaw, roll = (math.radians(float(one.get(key, 0.0))) for key in ("pitch", "yaw", "roll"))
    return Pose(x_m, y_m, z_m, pitch, yaw, roll)


def _figure(one: Mapping[str, Any], key: str, file: str) -> float:
    if key not in one:
        raise ConfigError(f"{file}: sensor {one.get('id')!r} has no {key!r}")
    return float(one[key])


def _agent_class(path: Path) -> type:
    """The agent of a file, as the leaderboard finds it; the file's own folder is importable."""
    spec = importlib.util.spec_from_file_location(f"simattack_agent_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"expected a Python file ending in .py, got {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        _guarded(str(path), "import", lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]  # checked above
    finally:
        sys.path.remove(folder)
    entry = getattr(module, "get_entry_point", None)
    if entry is not None:
        name = _guarded(str(path), "get_entry_point", entry)
        found = getattr(module, str(name), None)
        if not inspect.isclass(found):
            raise ConfigError(f"{path}: get_entry_point() names {name!r}, which is no class there")
        return found
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and value.__module__ == spec.name
        and issubclass(value, interface.base())
    ]
    if len(own) != 1:
        raise ConfigError(
            f"{path}: expected one subclass of AutonomousAgent or a get_entry_point(), got "
            f"{', '.join(value.__name__ for value in own) or 'none'}"
        )
    return own[0]


def _made(agent_class: type, file: str, config: str) -> Any:
    """An instance, set up: by version 1's constructor, or by version 2's and its ``setup``.

    The host and port of version 2 lead nowhere: what an agent sees comes from its sensors.
    """
    if [*inspect.signature(agent_class).parameters][:1] == ["path_to_conf_file"]:
        return _guarded(file, "__init__", lambda: agent_class(config))
    agent = _guarded(file, "__init__", lambda: agent_class("", 0, False))
    _guarded(file, "setup", lambda: agent.setup(config))
    return agent


def _guarded(file: str, doing: str, call: Callable[[], Any]) -> Any:
    """The call's value; what a user's agent raises becomes one line that names its file."""
    try:
        return call()
    except SimattackError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise SimattackError(f"{file}: {doing} failed: {type(error).__name__}: {text}") from error
