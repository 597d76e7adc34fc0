"""Ticks a second of a whole drive, by what the car senses with: Drive-v0 and the modular policy,
and Attack-v0 with an adversary that does nothing.

``python benchmarks/steps.py`` prints one table; suites are taken in turns, so that a busy moment
hits all alike. Wall times belong to the machine and to what else runs on it; CPU times are of the
car's process and of its server's, all threads. ``--profile`` tells where the car's process is.
"""

from __future__ import annotations

import argparse
import cProfile
import dataclasses
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from simattack.attack_env import AttackEnv
from simattack.config import read_scenario
from simattack.envs import DriveEnv
from simattack.session import Session
from simattack.stack import Stack, streams

SUITES: dict[str, tuple[tuple[str, ...], float | None]] = {
    "nothing": ((), None),
    "gnss": (("gnss",), 300.0),
    "gnss imu speed": (("gnss", "imu", "speed"), None),
    "all but camera": (("lidar", "radar", "gnss", "imu", "speed"), None),
    "lidar gnss imu speed": (("lidar", "gnss", "imu", "speed"), 40.0),
    "all": (("camera", "lidar", "radar", "gnss", "imu", "speed"), None),
}
"""By name: sensors, and the steps a second aimed for. The policy drives where it has what it needs,
GNSS, IMU and wheel speed; elsewhere the car coasts."""
DRIVEN = {"gnss", "imu", "speed"}
ATTACKED: dict[str, tuple[str, tuple[str, ...], float | None]] = {
    "Attack-v0 curve": ("curve", ("gnss", "imu", "speed"), 300.0),
    "Attack-v0 oncoming": ("oncoming", ("gnss", "imu", "speed"), 300.0),
    "Attack-v0 straight": ("straight", ("lidar", "gnss", "imu", "speed"), 40.0),
}
"""By name: scenario, sensors, and the ticks a second aimed for; its objective is in the loop."""
ADVERSARY = 10
"""Ticks between two choices of the adversary, half a second."""


@dataclass(frozen=True)
class Slice:
    """What some steps of one suite took."""

    steps: int
    wall_s: float
    car_cpu_s: float
    server_cpu_s: float


def main() -> int:
    """Measure in turns and print the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="slices of every suite")
    parser.add_argument("--steps", type=int, default=100, help="ticks of a slice, at most 150")
    parser.add_argument("--only", nargs="+", choices=[*SUITES, *ATTACKED])
    parser.add_argument("--profile", action="store_true")
    flags = parser.parse_args()
    wanted = flags.only or [*SUITES, *ATTACKED]
    found: dict[str, list[Slice]] = {name: [] for name in wanted}
    profile = cProfile.Profile() if flags.profile else None
    with Session.launch() as session:
        # Shapes of people in every pose of their walk are made once a server: not in the numbers.
        measure(session, driving(session, ("lidar",)), 150, None)
        for _ in range(flags.rounds):
            for name in wanted:
                step = (
                    driving(session, SUITES[name][0]) if name in SUITES else acting(session, name)
                )
                found[name].append(measure(session, step, min(flags.steps, 150), profile))
    sys.stdout.write(f"{'':24s}{'ticks/s':>9s}{'aim':>7s}{'car ms':>9s}{'server ms':>11s}  (CPU)\n")
    for name in wanted:
        rate = statistics.median(s.steps / s.wall_s for s in found[name])
        car_ms, server_ms = (
            statistics.median(1000 * spent / s.steps for s, spent in spents)
            for spents in (
                [(s, s.car_cpu_s) for s in found[name]],
                [(s, s.server_cpu_s) for s in found[name]],
            )
        )
        aim = SUITES[name][1] if name in SUITES else ATTACKED[name][2]
        told = "-" if aim is None else f"{aim:.0f}"
        sys.stdout.write(f"{name:24s}{rate:9.1f}{told:>7s}{car_ms:9.2f}{server_ms:11.2f}\n")
    if profile is not None:
        pstats.Stats(profile, stream=sys.stdout).sort_stats("cumulative").print_stats(35)
    return 0


def driving(session: Session, sensors: tuple[str, ...]) -> Callable[[int], int]:
    """Drives so many ticks: the same seed and scene whatever the car senses with."""
    scenario = dataclasses.replace(read_scenario("stop_sign"), sensors=sensors)
    env = DriveEnv(scenario, session)
    obs, _ = env.reset(seed=1)
    stack = None
    if set(sensors) >= DRIVEN:
        stack = Stack(
            scenario.detector.build("detectors"), scenario.policy.build("policies"),
            env.car, env.route, list(streams(1))[3],
        )  # fmt: skip
    coast = env.action_space.low * 0.0

    def drive(count: int) -> int:
        nonlocal obs
        for _ in range(count):
            obs, *_ = env.step(coast if stack is None else stack.act(obs).action)
        return count

    return drive


def acting(session: Session, name: str) -> Callable[[int], int]:
    """Drives about so many ticks with an adversary beside that does nothing."""
    scenario, sensors, _ = ATTACKED[name]
    env = AttackEnv(scenario, session, sensors=sensors, knowledge="grey")
    env.reset(seed=1)
    nothing = env.levers.action(env.levers.idle)

    def drive(count: int) -> int:
        choices = max(count // ADVERSARY, 1)
        for _ in range(choices):
            env.step(nothing)
        return ADVERSARY * choices

    return drive


def measure(
    session: Session,
    drive: Callable[[int], int],
    steps: int,
    profile: cProfile.Profile | None,
) -> Slice:
    """One slice."""
    drive(10)
    car, server = psutil.Process(), psutil.Process(session.server_pid)
    before = car.cpu_times(), server.cpu_times(), time.perf_counter()
    if profile is not None:
        profile.enable()
    done = drive(steps)
    if profile is not None:
        profile.disable()
    after = car.cpu_times(), server.cpu_times(), time.perf_counter()
    spent = [after[k].user + after[k].system - before[k].user - before[k].system for k in (0, 1)]
    return Slice(done, after[2] - before[2], *spent)


if __name__ == "__main__":
    sys.exit(main())
