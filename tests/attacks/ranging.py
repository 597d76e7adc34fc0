"""A street for attacks on LiDAR and radar: a wall around, a car 20 m ahead, a walker beside it."""

from __future__ import annotations

import numpy as np

from simattack.types import ActorState, Frame, Lidar, Pose
from tests.attacks.driveby import TICK_S, Street

CAR = ActorState(
    2, "vehicle.tesla.model3", Pose(x_m=22.35), (0, 0, 0), (0, 0, 0), (2.35, 0.95, 0.75)
)
WALKER = ActorState(
    3, "walker.pedestrian.0001", Pose(x_m=12.0, y_m=1.0, z_m=0.9), (0, 0, 0), (0, 0, 0),
    (0.2, 0.2, 0.9), (0.0, 0.0, 0.0),
)  # fmt: skip
WALL_M = 50.0
"""Range of every firing."""


def frame(tick, x_m=0.0, yaw=0.0, speed_mps=10.0, others=(CAR, WALKER)):
    velocity = (speed_mps * np.cos(yaw), speed_mps * np.sin(yaw), 0.0)
    ego = ActorState(1, "", Pose(x_m=x_m, yaw_rad=yaw), velocity, (0, 0, 0), (2.35, 1, 1))
    return Frame(tick, tick * TICK_S, ego, others)


def returns(*rows, slots=128):
    out = np.zeros((slots, 4), np.float32)
    if rows:
        out[: len(rows)] = rows
    return out


RETURNS = returns((9.6, 0.104, 0.03, -10.0), (17.5, 0.0, 0.0, -10.0), (60.0, -0.02, 0.0, -9.8))
"""Of the walker, the car's rear, and a wall far ahead."""


def sensed(tick, scan=None, seen=RETURNS):
    """An observation whose arrays nobody may write to."""
    lidar = Lidar()
    if scan is None:
        scan = np.zeros((lidar.channels, lidar.columns, 2), np.float32)
        scan[...] = WALL_M, 0.3
    obs = {
        "lidar": scan.copy(),
        "radar": seen.copy(),
        "speed": np.array([10.0]),
        "clock": np.array([tick * TICK_S, (tick - tick % 2) * TICK_S]),
    }
    for array in obs.values():
        array.flags.writeable = False
    return obs


def drive(
    attack, ticks=8, seed=0, speed_mps=0.0, steps=None, x_m=0.0, others=(CAR, WALKER), **options
):
    """[(clean, tampered)] of each tick, and the running attack."""
    running = attack.begin(Street(), np.random.default_rng(seed))
    told = []
    for tick in range(ticks):
        truth = frame(tick, x_m + speed_mps * tick * TICK_S, speed_mps=speed_mps, others=others)
        obs = sensed(tick, **options)
        if steps:
            steps(running, tick)
        told.append((obs, running.tamper(obs, truth)))
    return told, running
