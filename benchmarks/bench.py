"""Speeds, side by side in one run: what a tick costs by scene, and which part of the server it is.

``python benchmarks/bench.py`` prints one table. Cases are taken in turns, so that a busy moment
hits all alike. Read the ratios and the CPU times; wall times belong to the machine and to what
else runs on it. CARLA's client now and then aborts after its TrafficManager was used, so that case
comes last, in a process of its own: its loss costs its own line only, and is told.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from functools import partial

import numpy as np
from speed.counted import PARTS
from speed.run import Client, Lost, Server, Slice

CASES: dict[str, tuple[str, int]] = {
    "empty": ("empty world", 400),
    "camera": ("one car, camera 640x480", 15),
    "parked": ("the same with 20 parked cars", 12),
    "cameras": ("one car, 4 cameras 640x480", 5),
    "lidar": ("one car, LiDAR 64x1024", 20),
}
"""Of the first client: what is in the scene, and ticks a slice."""
TRAFFIC = ("50 cars, TrafficManager", 100)
TRAFFIC_ROUNDS = 3
ALLOWED = 0.15
"""Part of a one-camera tick that protocol and bookkeeping may take."""


def main() -> int:
    """Measure in turns and print the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="slices of every case")
    parser.add_argument("--only", nargs="+", choices=[*CASES, "traffic", "detector"])
    flags = parser.parse_args()
    wanted = flags.only or [*CASES, "traffic", "detector"]
    slices: dict[str, list[Slice]] = {}
    with Server() as server:
        sys.stdout.write(f"drawn by {server.renderer}; CPU ms of the server, all threads\n\n")
        sys.stdout.write(_head())
        sys.stdout.flush()
        plain = {case: ticks for case, (_, ticks) in CASES.items() if case in wanted}
        if plain:
            with Client(server) as client:
                for _ in range(flags.rounds):
                    for case, ticks in plain.items():
                        slices.setdefault(case, []).append(client.measure(case, ticks))
        for case in plain:
            sys.stdout.write(_row(CASES[case][0], slices[case]))
        sys.stdout.flush()
        if "traffic" in wanted:
            sys.stdout.write(traffic(Client(server)))
    if "detector" in wanted:
        car_ms, torch_ms = _detector_ms()
        sys.stdout.write(
            f"\ndetector, one image, one thread: {car_ms:.1f} ms as the car looks, "
            f"{torch_ms:.1f} ms through torch (medians)\n"
        )
    if "camera" not in slices:
        return 0
    part = _overhead(slices["camera"])
    verdict = "within" if part <= ALLOWED else "ABOVE"
    sys.stdout.write(
        f"\nprotocol and bookkeeping take {part:.1%} of a one-camera tick's CPU time, "
        f"{verdict} the {ALLOWED:.0%} that they may\n"
    )
    return 0 if part <= ALLOWED else 1


def traffic(made: Client) -> str:
    """The TrafficManager's line, or what became of its client."""
    name, ticks = TRAFFIC
    taken: list[Slice] = []
    try:
        with made as client:
            for _ in range(TRAFFIC_ROUNDS):
                taken.append(client.measure("traffic", ticks))
    except Lost as lost:
        told = f"{name}: {lost} after {len(taken)} of {TRAFFIC_ROUNDS} slices (docs/limits.md)\n"
        return (_row(name, taken) if taken else "") + told
    return _row(name, taken)


def _head() -> str:
    parts = "".join(f"{name:>13s}" for name in PARTS)
    return f"{'':30s}{'ticks/s':>9s}{'CPU ms':>9s}{parts}{'client':>9s}\n"


def _row(name: str, slices: list[Slice]) -> str:
    """Medians over the slices: ticks a second, CPU ms a tick, shares, the client's CPU ms."""
    rate = statistics.median(s.ticks / s.wall_s for s in slices)
    server_ms = statistics.median(1000 * s.server_cpu_s / s.ticks for s in slices)
    client_ms = statistics.median(1000 * s.client_cpu_s / s.ticks for s in slices)
    parts = "".join(f"{_share(slices, part):13.1%}" for part in PARTS)
    return f"{name:30s}{rate:9.1f}{server_ms:9.2f}{parts}{client_ms:9.2f}\n"


def _share(slices: list[Slice], part: str) -> float:
    return statistics.median(s.cpu_s[part] / s.server_cpu_s for s in slices)


def _overhead(slices: list[Slice]) -> float:
    spent = ((s.cpu_s["protocol"] + s.cpu_s["bookkeeping"]) / s.server_cpu_s for s in slices)
    return statistics.median(spent)


def _detector_ms() -> tuple[float, float]:
    """Of the shipped detector on one thread: as the car looks, and through torch."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    from simattack.detectors.yolo import Yolo

    torch.set_num_threads(1)
    detector = Yolo()
    picture = np.random.default_rng(0).integers(0, 256, (1, 480, 640, 3), np.uint8)
    images = torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255
    times: dict[str, list[float]] = {"car": [], "torch": []}
    with torch.no_grad():
        for _ in range(15):
            for name, look in (
                ("car", partial(detector.detect, picture)),
                ("torch", partial(detector.raw, images)),
            ):
                began_s = time.perf_counter()
                look()
                times[name].append(1000 * (time.perf_counter() - began_s))
    return statistics.median(times["car"]), statistics.median(times["torch"])


if __name__ == "__main__":
    sys.exit(main())
