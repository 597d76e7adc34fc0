"""Gymnasium's own checker against our environments, and what wrapping must not change."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from simattack.attack_env import AttackEnv
from simattack.envs import DriveEnv
from simattack.episode import run_episode
from simattack.errors import ConfigError
from simattack.scenario import Arm, Part
from simattack.session import Session
from tests.attacks.adversaries import trained

BLIND = ("gnss", "imu", "speed")
"""A car without a camera: nothing is rendered."""


@pytest.mark.filterwarnings("ignore:.*action space.*symmetric.*", "ignore:.*WARN.*:UserWarning")
def test_the_drive_environment_meets_gymnasiums_contract(session: Session) -> None:
    check_env(DriveEnv(session=session, max_ticks=20, render_mode="rgb_array"))


@pytest.mark.journey
@pytest.mark.filterwarnings("ignore:.*WARN.*:UserWarning")
def test_the_attack_environment_meets_gymnasiums_contract(session: Session) -> None:
    check_env(AttackEnv("stop_sign", session, mode="design", max_ticks=6))
    for knowledge in ("black", "white"):
        env = AttackEnv("curve", session, knowledge=knowledge, sensors=BLIND, max_ticks=21)
        check_env(env, skip_render_check=True)


@pytest.mark.journey
def test_rewards_add_up_to_the_harm_and_a_learned_attack_does_what_its_environment_saw(
    session: Session, tmp_path
) -> None:
    """One adversary that always pushes, in the environment and in an arm of a scenario."""
    terms = {"knowledge": "white", "control_s": 0.2, "energy_s": 0.5}
    weights = trained(tmp_path, sensors=BLIND, pushes=0.8, **terms)
    env = AttackEnv("curve", session, sensors=BLIND, max_ticks=60, **terms)
    _, info = env.reset(seed=4)
    rewards, energies, is_over = [], [], False
    while not is_over:
        _, reward, is_done, is_late, info = env.step(np.full(3, 0.8))
        rewards.append(reward)
        energies.append(info["energy_s"])
        is_over = is_done or is_late
    assert len(rewards) == 15 and is_late and not is_done
    # On, it takes full power: 0.2 s, 0.2 s, and for two of the next four ticks.
    assert energies[:4] == pytest.approx([0.3, 0.1, 0.0, 0.0], abs=1e-9)
    assert sum(rewards) == pytest.approx(info["harm"]) and info["harm"] > 0
    scenario = env.scenario
    assert scenario.attack is not None
    part = Part("learned", {"weights": weights, "attack": {"kind": scenario.attack.kind,
                                                           **scenario.attack.options}})  # fmt: skip
    result = run_episode(
        session, scenario, scenario.draw(4), Arm("attacked", part), 4, max_ticks=60
    )
    assert result.metrics == info["metrics"]
    clean = run_episode(session, scenario, scenario.draw(4), Arm("clean"), 4, max_ticks=60)
    assert clean.metrics != result.metrics


def test_what_an_adversary_cannot_do_is_told(session: Session) -> None:
    with pytest.raises(ConfigError, match="'billboard_phantom' has no attack; name one"):
        AttackEnv("billboard_phantom", session)
    with pytest.raises(ConfigError, match="needs lidar, but the car has gnss"):
        AttackEnv("curve", session, attack="lidar_removal", sensors=BLIND)
    with pytest.raises(ValueError, match="mode must be one of control, design, got 'both'"):
        AttackEnv("curve", session, mode="both")


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
