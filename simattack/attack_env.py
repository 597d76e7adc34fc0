"""Gymnasium's view of the adversary (``simattack/Attack-v0``): one step is one drive."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from simattack.envs import DriveEnv, observation_space
from simattack.episode import drive
from simattack.metrics.episode import measure
from simattack.scenario import Part, Scenario
from simattack.session import Session
from simattack.types import Attack, Policy


class AttackEnv(gym.Env[Any, Any]):
    """The adversary acts: one step paints a sticker and drives the scenario once.

    Action: the sticker's coarse texture (rows, columns, 3) in 0..1. Observation: the camera's
    image at the start if the car has one, and the start's distance [m] and speed [m/s]. Reward: 1
    when the episode is unsafe by the scenario's own metric, plus a tenth of the speed at the stop
    line [m/s]; ``info["metrics"]`` has all of them. Every episode is one step long.
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 20}  # noqa: RUF012

    def __init__(
        self,
        scenario: Scenario | str = "stop_sign",
        session: Session | None = None,
        code: tuple[int, int] = (8, 8),
        max_ticks: int | None = None,
    ) -> None:
        self._env = DriveEnv(scenario, session, max_ticks)
        self.scenario = self._env.scenario
        where = f"scenario {self.scenario.name!r}"
        self._detector = self.scenario.detector.build("detectors", where)
        self._policy: Policy = self.scenario.policy.build("policies", where)
        part = self.scenario.attack or Part("sticker")
        self._attack: Attack = part.with_options(fill="code", code=code).build("attacks", where)
        self.action_space = gym.spaces.Box(0.0, 1.0, (*code, 3), np.float64)
        told: dict[str, gym.spaces.Space[Any]] = {
            "start": gym.spaces.Box(0.0, np.inf, (2,), np.float64)
        }
        if "camera" in self._env.car.sensors:
            told["camera"] = observation_space(self._env.car)["camera"]
        self.observation_space = gym.spaces.Dict(told)
        self._seed = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        super().reset(seed=seed)
        self._seed = seed if seed is not None else int(self.np_random.integers(2**31))
        obs, info = self._env.reset(seed=self._seed, options=options)
        conditions = info["conditions"]
        start = np.array([conditions.start_before_m, conditions.speed_mps])
        self._start = {"camera": obs["camera"]} if "camera" in obs else {}
        self._start["start"] = start
        return self._told(), {}

    def step(
        self, action: NDArray[Any]
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        ticks, truth = drive(
            self._env, self._detector, self._policy, self._seed, self._attack,
            parameters=np.asarray(action, np.float64).ravel(),
        )  # fmt: skip
        metrics = measure(ticks, truth)
        speed = metrics.get("line_speed_mps")
        reward = float(bool(metrics.get(self.scenario.unsafe))) + 0.1 * float(speed or 0.0)
        return self._told(), reward, True, False, {"metrics": metrics}

    def _told(self) -> dict[str, NDArray[Any]]:
        return {name: value.copy() for name, value in self._start.items()}

    def close(self) -> None:
        self._env.close()
