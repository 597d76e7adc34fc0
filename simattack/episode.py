"""One episode: the one loop that everything measured has gone through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym

from simattack.envs import SETTLED_TICKS, Attacked, Defended, DriveEnv
from simattack.guarding import picture_latency_s
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
    Frame,
    Observation,
    Policy,
    Running,
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
    with Drive(env, detector, policy, attack, defense, parameters, recorder) as running:
        running.reset(seed, conditions)
        while not running.is_over:
            running.advance()
        return running.finish()


class Drive:
    """One drive after another: ``reset``, ``advance`` until it ``is_over``, ``finish``.

    Between two ticks somebody else may act. A context manager; ``reset`` gives back what the drive
    before has left in the scene.
    """

    def __init__(
        self,
        env: DriveEnv,
        detector: Detector,
        policy: Policy,
        attack: Attack | None = None,
        defense: Defense | None = None,
        parameters: Floats | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._env, self._detector, self._policy = env, detector, policy
        self._attack, self._defense = attack, defense
        self.parameters = parameters
        """Of the attack, for the next ``reset``."""
        self._recorder = recorder
        self._attacked: Attacked | None = None
        self._equipped: Any = None
        self._ticks: list[Tick] = []
        self.is_done = self.is_late = False
        """Whether it has come to its end, or to the end of its time."""

    def __enter__(self) -> Drive:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def is_over(self) -> bool:
        return self.is_done or self.is_late

    @property
    def running(self) -> Running | None:
        """The attack in this drive; None without one, and after ``close``."""
        return None if self._attacked is None else self._attacked.running

    def reset(self, seed: int, conditions: Conditions | None = None) -> None:
        """Set the scene of a seed and let the car decide on its first tick."""
        self.close()
        env, chosen = self._env, self._policy
        if equip := getattr(chosen, "equip", None):
            car = fitted(env.scenario.sensors, env.session.tick_s)
            chosen = self._equipped = equip(car, env.session.road.opendrive)
            env.car = self._equipped.car
        world: gym.Env[dict[str, object], Floats] = env
        defended = None
        if self._attack is not None:
            world = self._attacked = Attacked(world, self._attack, self.parameters)
        if self._defense is not None:
            world = defended = Defended(world, self._defense)
        options = None if conditions is None else {"conditions": conditions}
        obs, info = world.reset(seed=seed, options=options)
        seer: Any = self._detector
        if is_privileged := getattr(seer, "is_privileged", False):
            seer = seer.begin(env.car, tuple(env.session.surfaces.values()))
        if is_told := getattr(chosen, "is_privileged", False):
            chosen = chosen.informed(env.truth())  # type: ignore[attr-defined]  # it says it has
        self._stack = Stack(
            seer,
            chosen,
            env.car,
            env.route,
            list(streams(seed))[3],
            None if defended is None else defended.guard,
            self._detector.latency_s + (0.0 if self._defense is None else self._defense.latency_s),
            picture_latency_s(self._defense),
        )
        self._seer = seer if is_privileged else None
        self._is_told = is_told
        self._world = world
        self._ticks, self.is_done, self.is_late = [], False, False
        self._decide(obs, info["frame"])

    def advance(self) -> None:
        """One more tick: what the car decided last acts, and it decides anew."""
        action = self._ticks[-1].action
        obs, _, self.is_done, self.is_late, info = self._world.step(action)
        self._decide(obs, info["frame"])

    def so_far(self) -> tuple[list[Tick], EpisodeTruth]:
        """The trace with those collisions that are surely told by now, and the truth."""
        settled = self._ticks[-1].frame.tick - SETTLED_TICKS
        found = [(tick, hit) for tick, hit in self._env.session.collisions() if tick <= settled]
        return _with_collisions(self._ticks, found), self._env.truth(self.is_late)

    def finish(self) -> tuple[list[Tick], EpisodeTruth]:
        """The whole trace, with every collision in its tick, and the truth."""
        # Contacts travel on a connection of their own; two more ticks, and all have arrived.
        for _ in range(_SETTLE_TICKS):
            self._env.session.tick()
        found = self._env.session.collisions()
        return _with_collisions(self._ticks, found), self._env.truth(self.is_late)

    def close(self) -> None:
        """End policy and attack; safe to call twice."""
        equipped, attacked = self._equipped, self._attacked
        self._equipped = self._attacked = None
        try:
            if equipped is not None:
                equipped.end()
        finally:
            if attacked is not None:
                attacked.detach()

    def _decide(self, obs: Any, frame: Frame) -> None:
        if self._seer is not None:
            self._seer.watch(frame)
        if self._is_told:
            self._stack.watch(frame)
        decision = self._stack.act(obs)
        tick = Tick(
            frame,
            decision.verdict,
            decision.raw,
            decision.is_new_image,
            decision.action,
            decision.belief,
        )
        self._ticks.append(tick)
        if self._attacked is not None:
            self._attacked.watch(tick)
        if self._recorder is not None:
            self._recorder(tick, obs)


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
