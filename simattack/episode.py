"""One episode: the one loop that everything measured has gone through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym

from simattack.envs import Attacked, Defended, DriveEnv
from simattack.metrics.episode import measure
from simattack.scenario import Arm, Conditions, Scenario
from simattack.session import Session
from simattack.stack import Stack, streams
from simattack.staging import fitted
from simattack.types import (
    Attack,
    Collision,
    Defense,
    Detector,
    EpisodeResult,
    EpisodeTruth,
    Floats,
    Observation,
    Policy,
    Tick,
)

Recorder = Callable[[Tick, Observation], None]
"""Called every tick with what the car saw (after attack and defense); keep it cheap."""

_SETTLE_TICKS = 2


def run_episode(
    session: Session,
    scenario: Scenario,
    conditions: Conditions,
    arm: Arm,
    seed: int,
    recorder: Recorder | None = None,
    max_ticks: int | None = None,
    detector: Detector | None = None,
) -> EpisodeResult:
    """One arm of one seed, from an empty world to its metrics.

    Args:
        session: the world; left with nothing painted.
        scenario: says who drives and what sees.
        conditions: of the seed, shared by all its arms.
        arm: attack and defense of this run.
        seed: of every random stream in it.
        recorder: for videos and traces.
        max_ticks: a shorter limit than the scenario's.
        detector: an instance to use again, so that weights load once a process.

    Raises:
        ServerGone: the server vanished; nothing was measured.
        BudgetError: the attack would break its own budget; nothing was driven.
    """
    where = f"scenario {scenario.name!r}, arm {arm.name!r}"
    policy: Policy = scenario.policy.build("policies", where)
    if detector is None:
        detector = scenario.detector.build("detectors", where)
    attack = arm.attack.build("attacks", where) if arm.attack else None
    defense = arm.defense.build("defenses", where) if arm.defense else None
    env = DriveEnv(scenario, session, max_ticks)
    ticks, truth = drive(
        env, detector, policy, seed, attack, defense, conditions=conditions, recorder=recorder
    )
    is_privileged = any(getattr(part, "is_privileged", False) for part in (detector, policy))
    return EpisodeResult(
        scenario=scenario.name,
        arm=arm.name,
        seed=seed,
        metrics=measure(ticks, truth),
        is_privileged=is_privileged,
    )


def drive(
    env: DriveEnv,
    detector: Detector,
    policy: Policy,
    seed: int,
    attack: Attack | None = None,
    defense: Defense | None = None,
    parameters: Floats | None = None,
    conditions: Conditions | None = None,
    recorder: Recorder | None = None,
) -> tuple[list[Tick], EpisodeTruth]:
    """Drive one seed to its end: the trace, with every collision in its tick, and the truth."""
    chosen: Any = policy
    if equip := getattr(policy, "equip", None):
        car = fitted(env.scenario.sensors, env.session.tick_s)
        chosen = equip(car, env.session.road.opendrive)
        env.car = chosen.car
    world: gym.Env[dict[str, object], Floats] = env
    attacked = defended = None
    if attack is not None:
        world = attacked = Attacked(world, attack, parameters)
    if defense is not None:
        world = defended = Defended(world, defense)
    try:
        options = None if conditions is None else {"conditions": conditions}
        obs, info = world.reset(seed=seed, options=options)
        seer: Any = detector
        if is_privileged := getattr(detector, "is_privileged", False):
            seer = seer.begin(env.car, tuple(env.session.surfaces.values()))
        if is_told := getattr(policy, "is_privileged", False):
            chosen = chosen.informed(env.truth())
        stack = Stack(
            seer,
            chosen,
            env.car,
            env.route,
            list(streams(seed))[3],
            None if defended is None else defended.guard,
            detector.latency_s + (0.0 if defense is None else defense.latency_s),
        )
        ticks: list[Tick] = []
        is_done = is_late = False
        while True:
            if is_privileged:
                seer.watch(info["frame"])
            if is_told:
                stack.watch(info["frame"])
            decision = stack.act(obs)  # type: ignore[arg-type]
            tick = Tick(
                info["frame"],
                decision.verdict,
                decision.raw,
                decision.is_new_image,
                decision.action,
            )
            ticks.append(tick)
            if recorder is not None:
                recorder(tick, obs)  # type: ignore[arg-type]
            if is_done or is_late:
                break
            obs, _, is_done, is_late, info = world.step(decision.action)
        # Contacts travel on a connection of their own; two more ticks, and all have arrived.
        for _ in range(_SETTLE_TICKS):
            env.session.tick()
        return _with_collisions(ticks, env.session.collisions()), env.truth(is_late)
    finally:
        if equip is not None:
            chosen.end()
        if attacked is not None:
            attacked.detach()


def _with_collisions(ticks: list[Tick], found: list[tuple[int, Collision]]) -> list[Tick]:
    """The trace with each contact in the frame of its own tick."""
    by_tick: dict[int, list[Collision]] = {}
    for tick, collision in found:
        by_tick.setdefault(tick, []).append(collision)
    return [
        replace(tick, frame=replace(tick.frame, collisions=tuple(by_tick[tick.frame.tick])))
        if tick.frame.tick in by_tick
        else tick
        for tick in ticks
    ]
