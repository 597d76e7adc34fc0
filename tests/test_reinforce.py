"""Training an adversary: what is learned is kept, goes on, and acts as its trainer would."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest

from simattack import actor, reinforce
from simattack.adversary import Levers
from simattack.bursts import Bursts
from simattack.errors import ConfigError, ResultsError, SetupError
from simattack.scenario import Part

SEES = ("a", "b", "c")
CARD = actor.Card("", {"kind": "gnss_jamming"}, {}, SEES, training={"scenario": "x"})


class Corner(gym.Env):
    """Ten steps; the more both parameters are 1, the better."""

    def __init__(self):
        self.observation_space = gym.spaces.Box(-10.0, 10.0, (3,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self.np_random.normal(size=3).astype(np.float32), {}

    def step(self, action):
        self.count += 1
        seen = self.np_random.normal(size=3).astype(np.float32)
        return seen, float(np.sum(action)), self.count == 10, False, {}


class Pulled(Corner):
    """Its adversary has the means of a jammer; what it did is kept."""

    done: ClassVar[list] = []

    def __init__(self):
        super().__init__()
        self.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def step(self, action):
        self.done.append(action.tolist())
        return super().step(action)


def plan(algorithm, **options):
    return reinforce.Plan(algorithm=algorithm, **{"steps": 64, "rollout": 32, **options})


def test_without_its_package_a_trainer_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(SetupError, match=r"needs sb3_contrib.*pip install 'simattack\[rl\]'"):
        reinforce.library("recurrent_ppo")


def test_a_plan_that_makes_no_sense_is_told():
    with pytest.raises(ConfigError, match=r"algorithm must be one of ppo, .*, got 'dqn'"):
        plan("dqn")
    with pytest.raises(ConfigError, match="workers must be 1 or more, got 0"):
        plan("ppo", workers=0)


@pytest.mark.journey
@pytest.mark.filterwarnings("ignore")  # of the trainers' own
@pytest.mark.parametrize("algorithm", reinforce.ALGORITHMS)
def test_what_is_kept_acts_as_its_trainer_would_and_goes_on(algorithm, tmp_path, one_thread):
    pytest.importorskip("sb3_contrib")
    import torch
    from stable_baselines3.common.vec_env import DummyVecEnv

    told = []
    report = lambda *args: told.append(args)  # noqa: E731
    run = plan(algorithm)
    path = reinforce.train(Corner, run, tmp_path, "x", {"hash": "a"}, CARD, report=report)
    assert [entry[1:3] for entry in told][-1] == (2, 2)
    kept = actor.load(path)
    assert kept.card.algorithm == algorithm and kept.card.training["steps"] == 64
    model = reinforce.build(run, DummyVecEnv([Corner]))
    assert reinforce._restore(model, tmp_path / "x.run") == 64
    if algorithm == "sac":  # its temperature goes on, too: it began with 0.01
        assert abs(float(model.log_ent_coef) - np.log(0.01)) > 1e-3
        assert model.replay_buffer.size() == 64
    memory, is_first = None, np.ones(1, bool)
    for seen in np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32):
        expected, memory = model.predict(seen, memory, is_first, deterministic=True)
        is_first = np.zeros(1, bool)
        assert kept.act(seen) == pytest.approx(expected, abs=1e-5)
    # The same command with more steps goes on; with another plan it is refused.
    more = dataclasses.replace(run, steps=96)
    reinforce.train(Corner, more, tmp_path, "x", {"hash": "a"}, CARD)
    assert actor.load(path).card.training["steps"] == 96
    assert torch.load(tmp_path / "x.run/checkpoint.pt", weights_only=True)["steps"] == 96
    with pytest.raises(ResultsError, match="another plan"):
        reinforce.train(Corner, dataclasses.replace(run, gamma=0.5), tmp_path, "x", {}, CARD)
    (tmp_path / "x.run/checkpoint.pt").write_bytes(b"x")
    with pytest.raises(ResultsError, match=r"checkpoint\.pt is damaged"):
        reinforce.train(Corner, more, tmp_path, "x", {"hash": "a"}, CARD)


@pytest.mark.journey
@pytest.mark.filterwarnings("ignore")  # of the trainer's own
def test_the_same_seed_learns_the_same_and_learns_what_pays(tmp_path, one_thread):
    pytest.importorskip("stable_baselines3")
    run = plan("ppo", steps=2048, rollout=256, learning_rate=3e-3)
    paths = [reinforce.train(Corner, run, tmp_path / k, "x", {}, CARD) for k in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    acting = actor.load(paths[0])
    assert np.mean([acting.act(seen) for seen in np.eye(3)]) > 0.3


@pytest.mark.journey
@pytest.mark.timeout(600)
def test_a_training_with_two_servers_is_a_command_and_its_adversary_is_a_part(tmp_path):
    pytest.importorskip("stable_baselines3")
    (tmp_path / "mine.yaml").write_text(
        "sites: [curve_1]\nspeed_mps: 8\nsensors: [gnss, imu, speed]\nmax_time_s: 1.0\n"
        "policy: modular\ndetector: oracle\nunsafe: lane_departure\nseeds: 1\n"
        "attack: {kind: gnss_spoofing, profile: jump}\n"
    )
    command = [
        *(sys.executable, "-m", "simattack", "train-adversary", "mine.yaml", "--name", "x"),
        *("--out", ".", "--steps", "8", "--rollout", "16", "--workers", "2"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "adversary: x.safetensors" in done.stdout
    learned = Part("learned", {"weights": str(tmp_path / "x.safetensors")}).build("attacks")
    assert (learned.attack.kind, learned.attack.profile) == ("gnss_spoofing", "jump")


@pytest.mark.journey
@pytest.mark.filterwarnings("ignore")  # of the trainer's own
def test_sac_tries_pushes_that_last_and_learns_the_same_from_the_same_seed(tmp_path, one_thread):
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.vec_env import DummyVecEnv

    run = plan("sac", steps=200, rollout=64)
    paths = [reinforce.train(Corner, run, tmp_path / k, "x", {}, CARD) for k in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    noise = reinforce.build(run, DummyVecEnv([Corner])).action_noise
    pushes = np.array([noise() for _ in range(20_000)])
    assert pushes.shape == (20_000, 2) and abs(pushes.mean()) < 0.1
    assert pushes.std() == pytest.approx(0.56, abs=0.05)
    before, after = pushes[:-1, 0], pushes[1:, 0]
    assert np.corrcoef(before, after)[0, 1] == pytest.approx(0.7, abs=0.03)


@pytest.mark.journey
@pytest.mark.filterwarnings("ignore")  # of the trainer's own
def test_the_first_choices_of_sac_are_bursts(tmp_path, one_thread):
    pytest.importorskip("stable_baselines3")
    Pulled.done.clear()
    levers = Levers(Part("gnss_jamming").build("attacks"))
    run = plan("sac", steps=400, seed=2)
    reinforce.train(Pulled, run, tmp_path, "x", {}, CARD, levers=levers)
    bursts = Bursts(levers, 1, [2, 29])
    first = [bursts.next()[0].tolist() for _ in range(80)]
    assert Pulled.done[:80] == first and [-1.0] in first and max(first) > [0.0]
    assert Pulled.done[100:120] != [bursts.next()[0].tolist() for _ in range(20)]


@pytest.mark.journey
@pytest.mark.filterwarnings("ignore")  # of the trainer's own
def test_who_goes_on_for_longer_practises_no_longer_and_makes_other_bursts(one_thread):
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.vec_env import DummyVecEnv

    levers = Levers(Part("gnss_jamming").build("attacks"))
    more = plan("sac", steps=30_000)
    model = reinforce.build(more, DummyVecEnv([Pulled]), levers)
    assert model.learning_starts == 4001
    first = [model.bursts.next()[0].tolist() for _ in range(30)]
    model.begin_anew(64)
    assert [model.bursts.next()[0].tolist() for _ in range(30)] != first
