"""Gymnasium's own checker against our environments, and what wrapping must not change."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from simattack.attack_env import AttackEnv
from simattack.envs import DriveEnv
from simattack.session import Session


@pytest.mark.filterwarnings("ignore:.*action space.*symmetric.*", "ignore:.*WARN.*:UserWarning")
def test_the_drive_environment_meets_gymnasiums_contract(session: Session) -> None:
    check_env(DriveEnv(session=session, max_ticks=20, render_mode="rgb_array"))


@pytest.mark.journey
@pytest.mark.filterwarnings("ignore:.*WARN.*:UserWarning")
def test_the_attack_environment_meets_gymnasiums_contract(session: Session) -> None:
    check_env(AttackEnv(session=session, max_ticks=6))


def test_two_drives_with_one_seed_are_identical(session: Session) -> None:
    env = DriveEnv(session=session, max_ticks=30)
    runs = []
    for _ in range(2):
        obs, _ = env.reset(seed=11)
        seen = [obs]
        for tick in range(12):
            obs, reward, *_ = env.step(np.array([0.02 * (tick % 3), 0.4, 0.0]))
            seen.append({**obs, "reward": np.array(reward)})
        runs.append([value.tobytes() for obs in seen for value in obs.values()])
    assert runs[0] == runs[1]


def test_seeds_differ_in_where_the_car_starts(session: Session) -> None:
    env = DriveEnv(session=session, max_ticks=5)
    starts = {env.reset(seed=seed)[1]["conditions"].start_before_m for seed in range(3)}
    assert len(starts) == 3


def test_driving_on_earns_metres_and_standing_none(session: Session) -> None:
    env = DriveEnv(session=session, max_ticks=60)
    env.reset(seed=3)
    gained = sum(float(env.step(np.array([0.0, 0.5, 0.0]))[1]) for _ in range(20))
    assert gained > 5
    for _ in range(35):
        _, reward, *_ = env.step(np.array([0.0, 0.0, 1.0]))
    assert abs(float(reward)) < 1e-6


def test_both_environments_are_registered() -> None:
    assert gym.spec("simattack/Drive-v0").entry_point == "simattack.envs:DriveEnv"
    assert gym.spec("simattack/Attack-v0").entry_point == "simattack.attack_env:AttackEnv"
