"""Gymnasium's view of simattack: the car acts (``simattack/Drive-v0``).

One step is one tick of 0.05 s. ``Attacked`` and ``Defended`` wrap a DriveEnv with an attack and
a defense. The adversary's own environment is in ``attack_env.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from simattack.config import read_scenario
from simattack.errors import ConfigError
from simattack.metrics.safety import STOPPED_MPS
from simattack.scenario import Scenario
from simattack.session import Session
from simattack.stack import streams
from simattack.staging import Stage, fitted, stage
from simattack.surfaces import on_surface
from simattack.types import (
    Attack,
    CarInfo,
    Defense,
    EpisodeTruth,
    Floats,
    Frame,
    Guard,
    Insider,
    Observation,
    Route,
    Running,
    Tick,
)

_LOWEST, _HIGHEST = np.array([-1.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0])
_COLLISION_PENALTY = 100.0
# Contacts reach the client on a connection of their own: only those this many ticks old count
# towards ending an episode, so that it always ends at the same tick.
SETTLED_TICKS = 4
_REACH_M = 30
"""How far from where it was along its route a car is looked for."""


def observation_space(car: CarInfo | None = None) -> gym.spaces.Dict:
    """What ``types.Observation`` holds in that car; by default a ``CarInfo()``."""
    car = car or CarInfo()

    def reals(*shape: int, low: float = -np.inf, dtype: type = np.float64) -> gym.spaces.Box:
        return gym.spaces.Box(low, np.inf, shape, dtype)

    spaces: dict[str, gym.spaces.Space[Any]] = {
        "gnss": reals(3),
        "imu": reals(7),
        "speed": reals(1, low=0.0),
    }
    image = (car.camera.height_px, car.camera.width_px, 3)
    spaces["camera"] = gym.spaces.Box(0, 255, image, np.uint8)
    if car.lidar is not None:
        shape = car.lidar.channels, car.lidar.columns, 2
        spaces["lidar"] = reals(*shape, low=0.0, dtype=np.float32)
    if car.radar is not None:
        spaces["radar"] = reals(car.radar.slots, 4, dtype=np.float32)
    return gym.spaces.Dict({name: spaces[name] for name in car.sensors} | {"clock": reals(2)})


class DriveEnv(gym.Env[Any, Any]):
    """The car acts: steer (-1..1, right positive), throttle (0..1), brake (0..1).

    Reward: metres gained along the route at this tick; minus 100 once at a collision. The end of
    the route ends the episode, as do a collision, unless the scenario goes on after it, and
    standing for too long. ``info["frame"]`` is ground truth: keep it from whatever drives. An
    episode is a scenario's seed; without a seed the next one is drawn.

    Args:
        scenario: a Scenario, or the name or path of one.
        session: a world to use; without one an embedded server is started and owned.
        max_ticks: at most so many, whatever the scenario allows.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(
        self,
        scenario: Scenario | str = "stop_sign",
        session: Session | None = None,
        max_ticks: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.scenario = read_scenario(scenario) if isinstance(scenario, str) else scenario
        self.session = session or Session.launch(str(self.scenario.map_file()))
        self._owns_session = session is None
        self.render_mode = render_mode
        limit = round(self.scenario.max_time_s / self.session.tick_s)
        self._max_ticks = limit if max_ticks is None else min(limit, max_ticks)
        self.car = fitted(self.scenario.sensors, self.session.tick_s)
        self.observation_space = observation_space(self.car)
        self.action_space = gym.spaces.Box(_LOWEST, _HIGHEST, dtype=np.float64)
        self.stagehands: list[Callable[[int], None]] = []
        """Called with the seed once the scene is set and before its first tick."""
        self.route: Route
        self.stage: Stage
        self.site = self.scenario.sites[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Set the scene of a seed; ``options={"conditions": Conditions}`` overrides the draw."""
        super().reset(seed=seed)
        number = seed if seed is not None else int(self.np_random.integers(2**31))
        conditions = (options or {}).get("conditions") or self.scenario.draw(number)
        self.site = conditions.site
        scene, _, _, _, cast = list(streams(number))[:5]
        self.stage = stage(self.session, self.scenario, conditions, number, scene, cast, self.car)
        self.route = self.stage.route
        self._is_at_surface = conditions.start_m is None
        for stagehand in self.stagehands:
            stagehand(number)
        self._frame = self.session.tick()
        self._obs = dict(self.session.observe())
        self._progress_m = 0.0
        self._progress_m = self._along()
        self._standing_ticks, self._has_crashed = 0, False
        return self._fresh(), {"frame": self._frame, "conditions": conditions}

    def step(
        self, action: Floats
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        self.session.control(np.clip(action, _LOWEST, _HIGHEST))
        self.stage.act(self._frame)
        self._frame = self.session.tick()
        self._obs = dict(self.session.observe())
        progress_m = self._along()
        reward = progress_m - self._progress_m
        self._progress_m = progress_m
        settled = self._frame.tick - SETTLED_TICKS
        if not self._has_crashed and any(t <= settled for t, _ in self.session.collisions()):
            self._has_crashed = True
            reward -= _COLLISION_PENALTY
        is_standing = self._frame.ego.speed_mps < STOPPED_MPS
        self._standing_ticks = self._standing_ticks + 1 if is_standing else 0
        is_over = self.scenario.collision_ends and self._has_crashed
        is_done = is_over or self.is_blocked or progress_m >= len(self.route.points) - 1.0
        is_late = self._frame.tick >= self._max_ticks
        return self._fresh(), float(reward), bool(is_done), is_late, {"frame": self._frame}

    @property
    def surface_name(self) -> str:
        """Of the episode's stop sign; empty where the site is a place."""
        return self.site if self._is_at_surface else ""

    @property
    def is_blocked(self) -> bool:
        """Whether the car has stood for as long as the scenario allows."""
        return self._standing_ticks * self.session.tick_s >= self.scenario.blocked_s

    def truth(self, is_timeout: bool = False) -> EpisodeTruth:
        """What the metrics need beside the ticks."""
        own = self.session.stop_line(self.site) if self._is_at_surface else None
        # The site's line is also among those of the map.
        more = [
            line
            for line in self.stage.stop_lines_m
            if own is None or np.linalg.norm(line.mean(0) - own.mean(0)) > 1.0
        ]
        return EpisodeTruth(
            route=self.route,
            car=self.car,
            tick_s=self.session.tick_s,
            stop_line_m=own,
            sign=self.session.surface(self.site) if self._is_at_surface else None,
            is_timeout=is_timeout,
            light_lines_m=self.stage.lights.lines_m,
            half_lane_m=self.stage.half_lane_m,
            priority=self.stage.company.priority,
            is_blocked=self.is_blocked,
            more_stop_lines_m=tuple(more),
        )

    def render(self) -> NDArray[Any]:
        """The camera's newest image.

        Raises:
            ConfigError: the scenario leaves the camera out.
        """
        if "camera" not in self._obs:
            raise ConfigError(
                f"expected a car with a camera to render, got one with "
                f"{', '.join(self.scenario.sensors)}; add camera to the scenario's sensors"
            )
        return np.asarray(self._obs["camera"])

    def close(self) -> None:
        if self._owns_session:
            self.session.close()

    def _fresh(self) -> dict[str, NDArray[Any]]:
        """Copies: the same image is told at two ticks, and whoever gets it may change it."""
        return {name: value.copy() for name, value in self._obs.items()}

    def _along(self) -> float:
        """Distance driven along the route [m], which has a point a metre.

        Followed in order: a route may meet itself.
        """
        ego = self._frame.ego.pose
        points = self.route.points[:, :2]
        # A car far off its route may be abreast of nothing: it is looked for at the nearest end.
        here = int(np.clip(self._progress_m, 0, len(points) - 1))
        behind = max(here - _REACH_M, 0)
        around = points[behind : here + _REACH_M]
        nearest = behind + int(np.argmin(((around - (ego.x_m, ego.y_m)) ** 2).sum(1)))
        first, last = max(nearest - 1, 0), min(nearest + 1, len(points) - 1)
        along = points[last] - points[first]
        along = along / max(float(np.hypot(*along)), 1e-9)
        return nearest + float(along @ (np.array([ego.x_m, ego.y_m]) - points[nearest]))


class Attacked(gym.Wrapper[Any, Any, Any, Any]):
    """A DriveEnv under attack: the scene is painted before its first tick, sensors tampered.

    ``parameters`` (flat, inside the attack's box) are set before the first tick. An attack whose
    ``surface`` is empty is put on the sign of the episode's own site.
    """

    def __init__(
        self, env: gym.Env[Any, Any], attack: Attack, parameters: Floats | None = None
    ) -> None:
        super().__init__(env)
        self._attack = attack
        self._parameters = parameters
        self.running: Running | None = None
        """The attack in this episode; None before it has begun and after its end."""
        self._insider: Insider | None = None
        self._drive: DriveEnv = env.unwrapped  # type: ignore[assignment]
        self._drive.scenario.require_sensors(attack, "the attack")
        self._drive.stagehands.append(self._begin)

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        self.end()
        obs, info = self.env.reset(**kwargs)
        return self._tamper(obs, info["frame"]), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, is_done, is_late, info = self.env.step(action)
        return self._tamper(obs, info["frame"]), reward, is_done, is_late, info

    def watch(self, tick: Tick) -> None:
        """Tell an attack that wants to know what the car made of the tick."""
        if self._insider is not None:
            self._insider.watch(tick)

    def end(self) -> None:
        """Give the scene back as it was; safe to call twice."""
        if self.running is not None:
            self.running.end()
            self.running = self._insider = None

    def detach(self) -> None:
        """End the attack and leave the DriveEnv as if it had never been wrapped."""
        self.end()
        if self._begin in self._drive.stagehands:
            self._drive.stagehands.remove(self._begin)

    def close(self) -> None:
        self.detach()
        super().close()

    def _begin(self, seed: int) -> None:
        rng = list(streams(seed))[1]
        attack = on_surface(self._attack, self._drive.surface_name)
        self.running = attack.begin(self._drive.session, rng)
        self._insider = self.running if isinstance(self.running, Insider) else None
        if self._parameters is not None:
            self.running.set(self._parameters)

    def _tamper(self, obs: Observation, frame: Frame) -> Observation:
        assert self.running is not None  # _begin runs inside reset
        return self.running.tamper(obs, frame)


class Defended(gym.Wrapper[Any, Any, Any, Any]):
    """A DriveEnv whose observations pass a defense first; ``guard`` is its running half."""

    def __init__(self, env: gym.Env[Any, Any], defense: Defense) -> None:
        super().__init__(env)
        drive: DriveEnv = env.unwrapped  # type: ignore[assignment]
        drive.scenario.require_sensors(defense, "the defense")
        self._defense = defense
        self.guard: Guard

    def reset(self, *, seed: int | None = None, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        obs, info = self.env.reset(seed=seed, **kwargs)
        drive: DriveEnv = self.env.unwrapped  # type: ignore[assignment]
        self.guard = self._defense.begin(drive.car, list(streams(seed or 0))[2])
        return self.guard.clean(obs), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, *rest = self.env.step(action)
        return (self.guard.clean(obs), *rest)  # type: ignore[return-value]
