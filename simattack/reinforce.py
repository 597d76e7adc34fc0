"""Training an adversary by what happens to the car: reinforcement learning over ``Attack-v0``.

The trainers are those of Stable-Baselines3 and of sb3-contrib, an optional extra. Everything lies
in one folder; nothing in it is a pickle that loading would run: parameters and optimisers are read
with torch's ``weights_only``, the rest is JSON and plain arrays.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from simattack import actor
from simattack.adversary import Levers, Terms
from simattack.attack_env import AttackEnv
from simattack.bursts import Bursts
from simattack.checks import number, whole
from simattack.errors import ConfigError, ResultsError, SetupError
from simattack.optimize import runs
from simattack.optimize.runs import Report
from simattack.scenario import Scenario
from simattack.types import Floats

ALGORITHMS: Mapping[str, tuple[str, str, str]] = {
    "ppo": ("stable_baselines3", "PPO", "MlpPolicy"),
    "recurrent_ppo": ("sb3_contrib", "RecurrentPPO", "MlpLstmPolicy"),
    "sac": ("stable_baselines3", "SAC", "MlpPolicy"),
}
"""By name: package, class and policy."""
WIDTH = 64
"""Of every layer and of the memory."""
_PUSH_STEPS = 40
"""For so long PPO tries one function of what it sees (gSDE): a car moves little by pushes that
change their mind every half second."""
_DRIFT_SIZE, _DRIFT_RETURN = 0.4, 0.3
"""Of SAC's noise, in actions of -1..1: each choice's own push, and the part of the noise that the
next choice forgets."""
_PRACTICE = 4000
"""So many choices SAC makes in bursts before it learns from them, but no more than a fifth."""
_TRAINING_SEEDS = 1_000_000
"""Training draws its first episodes from here on, far from any scenario's own seeds."""
_CHECKPOINT = "checkpoint.pt"
_REPLAY = "replay.npz"
_REPLAYED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that decides the outcome, beside the scenario.

    Raises:
        ConfigError: a value makes no sense.
    """

    algorithm: str = "ppo"
    """Out of ALGORITHMS."""
    steps: int = 20_000
    """Control intervals, over all workers."""
    seed: int = 0
    workers: int = 1
    """Environments side by side, each with a server of its own."""
    terms: Terms = field(default_factory=Terms)
    rollout: int = 512
    """Steps from one update to the next and from checkpoint to checkpoint, over all workers."""
    learning_rate: float = 3e-4
    gamma: float = 0.99

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ConfigError(
                f"algorithm must be one of {', '.join(ALGORITHMS)}, got {self.algorithm!r}"
            )
        for name in ("steps", "workers", "rollout"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, got {getattr(self, name)}")
        try:
            whole("seed", self.seed)
            number("learning_rate", self.learning_rate, 1e-9, 1.0)
            number("gamma", self.gamma, 0.0, 1.0)
        except ValueError as error:
            raise ConfigError(str(error)) from error


@dataclass(frozen=True)
class Opener:
    """Opens one worker's environment, in a process of its own as well."""

    scenario: Scenario
    terms: Terms

    def __call__(self) -> AttackEnv:
        self.scenario.load_plugins()
        return AttackEnv(self.scenario, **asdict(self.terms))


def train(
    open_env: Callable[[], gym.Env[Any, Any]],
    plan: Plan,
    out_dir: Path,
    name: str,
    inputs: Mapping[str, Any],
    card: actor.Card,
    resume: bool = True,
    report: Report | None = None,
    levers: Levers | None = None,
) -> Path:
    """Train an adversary, or go on with it; the path of its weights.

    Checkpoints and curves lie in ``out_dir/<name>.run``. What was learned so far is written at
    every checkpoint. A run that was interrupted goes on from the last one with fresh episodes: it
    ends well, but not with the bytes of one that was not.

    Args:
        open_env: called once a worker; must be picklable with more than one.
        plan: of the training.
        out_dir: for weights, card and run.
        name: of the weights.
        inputs: what else decides the outcome, as plain values.
        card: of the weights; training and sizes are filled in.
        resume: go on with a run of that name.
        report: told how far it is.
        levers: what the adversary acts by, for SAC to begin with bursts; None: it does not.

    Raises:
        SetupError: the trainers are not installed.
        ResultsError: there is a run of that name with other inputs, or a damaged one.
    """
    library(plan.algorithm)
    folder, path = out_dir / f"{name}.run", out_dir / f"{name}.safetensors"
    told = {key: value for key, value in asdict(plan).items() if key != "steps"}
    plain = json.loads(json.dumps({"plan": told, "scenario": inputs}, default=list))
    if not resume:
        for old in (folder / _CHECKPOINT, folder / _REPLAY):
            old.unlink(missing_ok=True)
    runs.claim(folder, plain, resume)
    envs = _vectorised(open_env, plan)
    try:
        model = build(plan, envs, levers)
        done = _restore(model, folder)
        if done and hasattr(model, "begin_anew"):
            model.begin_anew(done)
        envs.seed(_TRAINING_SEEDS * (plan.seed + 1) + done)
        model.set_logger(_logger(folder))
        if done < plan.steps or not path.is_file():
            keeper = _keeper(plan, folder, path, card, report)
            model.learn(plan.steps - done, callback=keeper, reset_num_timesteps=done == 0)
    finally:
        envs.close()
    return path


def library(algorithm: str) -> Any:
    """The trainer's class.

    Raises:
        SetupError: it is not installed.
    """
    package, name, _ = ALGORITHMS[algorithm]
    try:
        return getattr(importlib.import_module(package), name)
    except ImportError as error:
        raise SetupError(
            f"training an adversary by {algorithm} needs {package}, which cannot be imported "
            f"({error}); pip install 'simattack[rl]'"
        ) from error


def build(plan: Plan, envs: Any, levers: Levers | None = None) -> Any:
    """The trainer with fresh networks."""
    count = envs.num_envs
    per_env = max(plan.rollout // count, 8)
    shared: dict[str, Any] = {
        "learning_rate": plan.learning_rate,
        "gamma": plan.gamma,
        "seed": plan.seed,
        "device": "cpu",
        "stats_window_size": 20,  # drives, of which the mean is told
    }
    net: dict[str, Any] = {"net_arch": [WIDTH, WIDTH]}
    if plan.algorithm == "sac":
        own: dict[str, Any] = {
            "train_freq": 1,
            "gradient_steps": 1,
            "learning_starts": min(_PRACTICE, plan.steps // 5) + 1,
            "buffer_size": min(plan.steps, 200_000),
            "batch_size": 128,
            # A drive's harm is about one, an interval's a hundredth: chance must not pay more.
            "ent_coef": "auto_0.01",
            "action_noise": _drifting(envs.action_space.shape[0]),
        }
    else:
        own = {
            "n_steps": per_env,
            "batch_size": min(64, per_env * count),
            "use_sde": True,
            "sde_sample_freq": _PUSH_STEPS,
        }
        if plan.algorithm == "recurrent_ppo":
            net = {"net_arch": [WIDTH], "lstm_hidden_size": WIDTH}
        net["log_std_init"] = -1.0
    _, _, policy = ALGORITHMS[plan.algorithm]
    kind = library(plan.algorithm)
    if plan.algorithm == "sac" and levers is not None:
        kind = _practising(kind, levers, count, plan.seed)
    return kind(policy, envs, policy_kwargs=net, **shared, **own)


def _practising(kind: Any, levers: Levers, workers: int, seed: int) -> Any:
    """The trainer, whose first choices are bursts instead of ones that change their mind."""

    class Practising(kind):
        """Until it has something to learn from."""

        bursts = Bursts(levers, workers, [seed, 29])

        def begin_anew(self, done: int) -> None:
            """Other bursts than those that were made before an interruption."""
            self.bursts = Bursts(levers, workers, [seed, 29, done])

        def _sample_action(
            self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
        ) -> tuple[Floats, Floats]:
            if self.num_timesteps >= learning_starts:
                drawn: tuple[Floats, Floats] = super()._sample_action(
                    learning_starts, action_noise, n_envs
                )
                return drawn
            actions = self.bursts.next()
            return actions, actions

    return Practising


def _drifting(count: int) -> Any:
    """Noise that stays on one side for some choices (an Ornstein-Uhlenbeck process).

    What leads a car astray takes seconds, and choices that vary each on its own cancel out.
    Whether it helps is not settled: docs/results.md.
    """
    from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise

    size = np.full(count, _DRIFT_SIZE)
    return OrnsteinUhlenbeckActionNoise(np.zeros(count), size, theta=_DRIFT_RETURN, dt=1.0)


def keep(model: Any, plan: Plan, folder: Path, path: Path, card: actor.Card) -> None:
    """Write the checkpoint, and what was learned so far as an adversary that can act."""
    import torch

    state = {
        "steps": int(model.num_timesteps),
        "updates": int(model._n_updates),
        "parameters": model.get_parameters(),
    }
    if plan.algorithm == "sac":  # no part of the policy
        state["log_ent_coef"] = model.log_ent_coef.detach()
    part = folder / f"{_CHECKPOINT}.part"
    torch.save(state, part)
    if plan.algorithm == "sac":
        buffer = model.replay_buffer
        arrays = {name: getattr(buffer, name) for name in _REPLAYED}
        spare = folder / f"{_REPLAY}.part"
        with spare.open("wb") as file:
            np.savez(file, pos=buffer.pos, full=buffer.full, **arrays)
        spare.replace(folder / _REPLAY)
    part.replace(folder / _CHECKPOINT)
    training = {
        "steps": int(model.num_timesteps),
        **{key: value for key, value in asdict(plan).items() if key not in ("steps", "terms")},
        "versions": _versions(),
        **card.training,
    }
    activation, squash = ("relu", "tanh") if plan.algorithm == "sac" else ("tanh", "clip")
    made = actor.Card(
        plan.algorithm, card.attack, asdict(plan.terms), card.sees, activation, squash, training
    )
    actor.save(path, tensors(model.policy), made)


def tensors(policy: Any) -> dict[str, Any]:
    """What acts in a policy of the trainers, as ``actor`` has it."""
    from torch import nn

    is_sac = hasattr(policy, "actor") and hasattr(policy.actor, "mu")
    inner = policy.actor.latent_pi if is_sac else policy.mlp_extractor.policy_net
    last = policy.actor.mu if is_sac else policy.action_net
    layers = [module for module in inner if isinstance(module, nn.Linear)] + [last]
    found: dict[str, Any] = {}
    if (lstm := getattr(policy, "lstm_actor", None)) is not None:
        found["lstm.weight_x"] = lstm.weight_ih_l0
        found["lstm.weight_h"] = lstm.weight_hh_l0
        found["lstm.bias"] = lstm.bias_ih_l0 + lstm.bias_hh_l0
    for k, layer in enumerate(layers):
        found[f"{k}.weight"], found[f"{k}.bias"] = layer.weight, layer.bias
    return {name: value.detach().cpu().numpy() for name, value in found.items()}


def _vectorised(open_env: Callable[[], gym.Env[Any, Any]], plan: Plan) -> Any:
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

    openers = [open_env] * plan.workers
    if plan.workers == 1:
        return VecMonitor(DummyVecEnv(openers))
    return VecMonitor(SubprocVecEnv(openers, start_method="spawn"))


def _restore(model: Any, folder: Path) -> int:
    """Take over the checkpoint; the steps that were done."""
    import torch

    path = folder / _CHECKPOINT
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, weights_only=True)
        model.set_parameters(state["parameters"], device="cpu")
        model.num_timesteps, model._n_updates = int(state["steps"]), int(state["updates"])
        if getattr(model, "replay_buffer", None) is not None:
            _restore_replay(model.replay_buffer, folder / _REPLAY)
            model.log_ent_coef.data.copy_(state["log_ent_coef"])
    except Exception as error:  # a damaged archive can fail in any way
        raise ResultsError(
            f"{path} is damaged ({type(error).__name__}: {error}); remove it to start anew"
        ) from error
    return int(state["steps"])


def _restore_replay(buffer: Any, path: Path) -> None:
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        count = min(len(file["actions"]), len(buffer.actions))
        for name in _REPLAYED:
            getattr(buffer, name)[:count] = file[name][:count]
        is_whole = bool(file["full"])
        buffer.full = is_whole and count == len(buffer.actions)
        buffer.pos = (count if is_whole else int(file["pos"])) % len(buffer.actions)


def _logger(folder: Path) -> Any:
    from stable_baselines3.common.logger import configure

    return configure(str(folder / "tensorboard"), ["tensorboard"])


def _keeper(plan: Plan, folder: Path, path: Path, card: actor.Card, report: Report | None) -> Any:
    """The callback that keeps checkpoints and tells how far it is."""
    from stable_baselines3.common.callbacks import BaseCallback

    class Keeper(BaseCallback):
        """At the end of each rollout, or of as many steps where there are none."""

        def _on_step(self) -> bool:
            is_due = self.num_timesteps % plan.rollout < self.training_env.num_envs
            if plan.algorithm == "sac" and is_due:
                self._keep()
            return True

        def _on_rollout_start(self) -> None:
            if plan.algorithm != "sac" and self.num_timesteps:
                self._keep()

        def _on_training_end(self) -> None:
            self._keep()

        def _keep(self) -> None:
            keep(self.model, plan, folder, path, card)
            if report is not None:
                returns = [episode["r"] for episode in self.model.ep_info_buffer or ()]
                numbers = {"harm": float(np.mean(returns))} if returns else {}
                whole = -(-plan.steps // plan.rollout)
                report("training", self.num_timesteps // plan.rollout, whole, numbers)

    return Keeper()


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "stable-baselines3", "sb3-contrib", "numpy")}
