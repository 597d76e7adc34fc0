"""Speeds, side by side in one run: world ticks, camera, detector, and what a drive spends where.

``python benchmarks/bench.py`` prints one table. Read the ratios; absolute times belong to the
machine and to what else runs on it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import psutil

from simattack.config import Part
from simattack.session import Session
from simattack.types import Pose

ROUNDS = 5
"""Slices of every measurement, taken in turn, so that a busy moment hits all alike."""
SIGN = "stop_sign_0"


def main() -> None:
    """Measure in turns and print the medians."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)
    detector = Part("yolo").build("detectors", "bench")
    picture = np.random.default_rng(0).integers(0, 256, (1, 480, 640, 3), np.uint8)
    with Session.launch() as session:
        server = psutil.Process(session.server_pid)

        def empty() -> None:
            session.clear()

        def driven() -> None:
            session.clear()
            session.spawn_ego(session.start_pose(session.route_to(SIGN, 30.0)), camera_every=1)
            session.tick()

        def crowded() -> None:
            driven()
            for pose in session.spawn_points[::12][:20]:
                session.spawn(
                    "vehicle.tesla.model3", Pose(pose.x_m, pose.y_m, 0, yaw_rad=pose.yaw_rad)
                )
            session.tick()

        cases: list[tuple[str, Callable[[], None], Callable[[], object], int]] = [
            ("empty world, tick", empty, session.tick, 400),
            ("one car, camera 640x480, tick", driven, session.tick, 15),
            ("the same with 20 parked cars", crowded, session.tick, 15),
            ("detector, one image, one thread", empty, lambda: detector.detect(picture), 8),
        ]
        wall: dict[str, list[float]] = {name: [] for name, *_ in cases}
        share: dict[str, list[float]] = {name: [] for name, *_ in cases}
        for _ in range(ROUNDS):
            for name, prepare, step, count in cases:
                prepare()
                spent, started = _cpu_s(server), time.perf_counter()
                for _ in range(count):
                    step()
                took = time.perf_counter() - started
                wall[name].append(took / count * 1000)
                share[name].append((_cpu_s(server) - spent) / took)
    print(f"{'':34s} {'median ms':>10s} {'min':>8s} {'max':>8s} {'server CPU / wall':>18s}")
    for name, times in wall.items():
        print(
            f"{name:34s} {statistics.median(times):10.2f} {min(times):8.2f} {max(times):8.2f} "
            f"{statistics.median(share[name]):18.2f}"
        )
    camera = statistics.median(wall["one car, camera 640x480, tick"])
    bare = statistics.median(wall["empty world, tick"])
    print(f"protocol and bookkeeping (an empty tick) take {bare / camera:.1%} of a one-camera tick")


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


if __name__ == "__main__":
    main()
