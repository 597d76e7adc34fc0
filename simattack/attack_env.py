"""Gymnasium's view of the adversary (``simattack/Attack-v0``): it acts while the car drives."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from simattack.adversary import Levers, Puppet, Steered, Terms, told_names
from simattack.config import read_scenario
from simattack.envs import DriveEnv, observation_space
from simattack.episode import Drive
from simattack.errors import ConfigError
from simattack.insight import FARTHEST
from simattack.metrics.episode import measure
from simattack.metrics.safety import Value
from simattack.optimize.drives import harm
from simattack.optimize.growth import Growth
from simattack.scenario import Part, Scenario
from simattack.session import Session
from simattack.types import Attack, Floats, Policy

MODES = ("control", "design")


class AttackEnv(gym.Env[Any, Any]):
    """The adversary acts; what it earns is the harm done to the car.

    Mode ``control``: one step is a control interval. Action: the attack's free parameters (n,),
    its ``box`` as -1..1; they act until the next one. Observation: (m,) numbers of the order of
    one, named in ``sees``: what the adversary's ``knowledge`` (black, grey, white) lets it see, its
    energy, and the parameters in effect. An action's power is its distance from the point of the
    box where the attack does nothing, as a share of the farthest, by the axis where that is most
    (``adversary.Levers``); an attack that takes the same power whatever its parameters has a switch
    besides, the last number: above 0 is on. Every tick costs power times its length out of
    ``energy_s`` seconds, and a tick that it cannot pay for is idle.

    Mode ``design``: one step is a whole drive. Action: the attack's parameters as shares 0..1 of
    its box, for all of the drive; a sticker's is its coarse texture (rows, columns, 3).
    Observation: ``start``, the start's distance [m] and speed [m/s], and ``camera``, the image at
    the start, if the car has one.

    Reward: the growth of ``optimize.drives.harm`` (1 when the drive is unsafe by the scenario's own
    metric, and up to a half for coming near it), so that the sum of rewards is the drive's harm.
    At the end ``info["metrics"]`` has all metrics. Without a camera nothing is rendered. An episode
    is a scenario's seed; without a seed the next one is drawn.

    Args:
        scenario: a Scenario, or the name or path of one.
        session: a world to use; without one an embedded server is started and owned.
        mode: out of MODES.
        knowledge: in mode ``control``: black, grey or white; see ``insight``.
        control_s: from one action to the next.
        energy_s: so many seconds of full power.
        attack: kind and options, instead of the scenario's attack.
        sensors: of the car, instead of the scenario's.
        code: rows and columns of a sticker's texture.
        max_ticks: at most so many, whatever the scenario allows.

    Raises:
        ConfigError: the scenario has no attack, or one with nothing to tune.
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 20}  # noqa: RUF012

    def __init__(
        self,
        scenario: Scenario | str = "curve",
        session: Session | None = None,
        mode: str = "control",
        knowledge: str = "black",
        control_s: float = 0.5,
        energy_s: float = 3.0,
        attack: Mapping[str, Any] | str | None = None,
        sensors: Sequence[str] | None = None,
        code: tuple[int, int] = (8, 8),
        max_ticks: int | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        self.scenario = attacked(scenario, attack, sensors)
        self.mode = mode
        self.terms = Terms(knowledge, control_s, energy_s)
        where = f"scenario {self.scenario.name!r}"
        self._detector = self.scenario.detector.build("detectors", where)
        self._policy: Policy = self.scenario.policy.build("policies", where)
        self.part = steerable(self.scenario, code)
        self.attack: Attack = self.part.build("attacks", where)
        self.scenario.require_sensors(self.attack, f"attack {self.part.kind!r}")
        self.levers = Levers(self.attack, has_switch=mode == "control")
        self._env = DriveEnv(self.scenario, session, max_ticks)
        self._action = self.levers.action(self.levers.idle)
        self._start: dict[str, NDArray[Any]] = {}
        self._growth = Growth(self.scenario.unsafe)
        if mode == "design":
            self._begin_design(code)
        else:
            self._begin_control()

    def _begin_control(self) -> None:
        self.sees = told_names(self.terms.knowledge, self._env.car.sensors, self.levers)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (len(self.levers),), np.float32)
        shape = (len(self.sees),)
        self.observation_space = gym.spaces.Box(-FARTHEST, FARTHEST, shape, np.float32)
        puppet = Puppet(self.attack, self.terms, self._choose)
        self._every = self.terms.ticks(self._env.session.tick_s)
        self._drive = Drive(self._env, self._detector, self._policy, puppet)

    def _begin_design(self, code: tuple[int, int]) -> None:
        is_picture = self.part.kind == "sticker"
        shape = (*code, 3) if is_picture else (len(self.levers),)
        self.action_space = gym.spaces.Box(0.0, 1.0, shape, np.float64)
        told: dict[str, gym.spaces.Space[Any]] = {
            "start": gym.spaces.Box(0.0, np.inf, (2,), np.float64)
        }
        if "camera" in self._env.car.sensors:
            told["camera"] = observation_space(self._env.car)["camera"]
        self.observation_space = gym.spaces.Dict(told)
        self._drive = Drive(self._env, self._detector, self._policy, self.attack)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._seed = seed if seed is not None else int(self.np_random.integers(2**31))
        conditions = (options or {}).get("conditions")
        self._growth = Growth(self.scenario.unsafe)
        if self.mode == "design":
            self._conditions = conditions or self.scenario.draw(self._seed)
            obs, _ = self._env.reset(seed=self._seed, options={"conditions": self._conditions})
            start_m = self._conditions.start_before_m or self._conditions.start_m or 0.0
            self._start = {"start": np.array([start_m, self._conditions.speed_mps])}
            if "camera" in obs:
                self._start["camera"] = obs["camera"]
            return self._at_start(), {}
        self._drive.reset(self._seed, conditions)
        return self._told(), self._info()

    def step(self, action: NDArray[Any]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if np.shape(action) != self.action_space.shape:
            raise ConfigError(
                f"expected an action of shape {self.action_space.shape}, as action_space has it, "
                f"got {np.shape(action)}"
            )
        if self.mode == "design":
            return self._step_design(action)
        self._action = np.asarray(action, float)
        for _ in range(self._every):
            self._drive.advance()
            if self._drive.is_over:
                break
        if not self._drive.is_over:
            return (
                self._told(),
                self._growth.grown(*self._drive.so_far()),
                False,
                False,
                self._info(),
            )
        metrics = measure(*self._drive.finish())
        told, info = self._told(), self._info()
        self._drive.close()
        reward, outcome = self._last(metrics)
        return told, reward, self._drive.is_done, self._drive.is_late, info | outcome

    def close(self) -> None:
        self._drive.close()
        self._env.close()

    def _step_design(self, action: NDArray[Any]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        shares = np.clip(np.asarray(action, np.float64).ravel(), 0.0, 1.0)
        self._drive.parameters = self.levers.parameters(2 * shares - 1)
        try:
            self._drive.reset(self._seed, self._conditions)
            while not self._drive.is_over:
                self._drive.advance()
            metrics = measure(*self._drive.finish())
        finally:
            self._drive.close()
        reward, outcome = self._last(metrics)
        return self._at_start(), reward, True, False, outcome

    def _choose(self, steered: Steered) -> Floats:
        return self._action

    def _last(self, metrics: dict[str, Value]) -> tuple[float, dict[str, Any]]:
        """The last reward of a drive, and what came of the whole of it."""
        reward = self._growth.last(harm(metrics, self.scenario.unsafe))
        return reward, {"metrics": metrics, "harm": self._growth.harm}

    def _told(self) -> NDArray[np.float32]:
        return self._under_way().told().astype(np.float32)

    def _info(self) -> dict[str, Any]:
        steered = self._under_way()
        return {
            "energy_s": steered.energy_s,
            "power": steered.power,
            "parameters": steered.parameters.copy(),
        }

    def _under_way(self) -> Steered:
        running = self._drive.running
        if not isinstance(running, Steered):
            raise ConfigError("expected a drive under way, got none; call reset first")
        return running

    def _at_start(self) -> dict[str, NDArray[Any]]:
        return {name: value.copy() for name, value in self._start.items()}


def attacked(
    scenario: Scenario | str,
    attack: Mapping[str, Any] | str | None,
    sensors: Sequence[str] | None,
) -> Scenario:
    """The scenario, with another attack or other sensors where they are given."""
    chosen = read_scenario(scenario) if isinstance(scenario, str) else scenario
    if isinstance(attack, str):
        attack = {"kind": attack}
    if attack is not None:
        options = {str(key): value for key, value in attack.items() if key != "kind"}
        part = Part(str(attack.get("kind")), options)
        chosen = dataclasses.replace(chosen, attack=part, controls=())
    if sensors is not None:
        chosen = dataclasses.replace(chosen, sensors=tuple(sensors))
    return chosen


def steerable(scenario: Scenario, code: tuple[int, int]) -> Part:
    """The scenario's attack, as its parameters are tuned.

    Raises:
        ConfigError: it has none.
    """
    part = scenario.attack
    if part is None:
        raise ConfigError(
            f"scenario {scenario.name!r} has no attack; name one that has parameters, such as "
            "gnss_spoofing"
        )
    return part.with_options(fill="code", code=code) if part.kind == "sticker" else part
