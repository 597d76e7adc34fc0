"""Episodes written by hand: the ego on a straight road along x, one tick 0.05 s."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simattack.types import (
    ActorState,
    CarInfo,
    Collision,
    Detections,
    EpisodeTruth,
    Frame,
    Pose,
    Route,
    Surface,
    Tick,
    Verdict,
)

TICK_S = 0.05
HALF_M = (2.35, 0.95, 0.75)
LINE = np.array([[50.0, -1.75, 0.0], [50.0, 1.75, 0.0]])


def actor(
    id: int,
    kind: str,
    x: float,
    y: float = 0.0,
    yaw: float = 0.0,
    vx: float = 0.0,
    vy: float = 0.0,
    half=HALF_M,
) -> ActorState:
    return ActorState(id, kind, Pose(x, y, yaw_rad=yaw), (vx, vy, 0.0), (0.0, 0.0, 0.0), half)


def tick(
    number: int,
    x: float,
    speed: float,
    others: Sequence[ActorState] = (),
    collisions: Sequence[Collision] = (),
    raw: Detections | None = None,
    y: float = 0.0,
) -> Tick:
    ego = actor(1, "vehicle.test.ego", x, y, vx=speed)
    frame = Frame(number, number * TICK_S, ego, tuple(others), tuple(collisions))
    return Tick(
        frame,
        Verdict(Detections.none()),
        raw or Detections.none(),
        raw is not None,
        np.zeros(3),
    )


def from_speeds(speeds: Sequence[float], bumper_m: float) -> list[Tick]:
    """The ego with these speeds, its bumper ``bumper_m`` along the road at the first tick."""
    x = bumper_m - HALF_M[0] + np.concatenate([[0.0], np.cumsum(speeds[:-1]) * TICK_S])
    return [tick(i, float(x[i]), float(speed)) for i, speed in enumerate(speeds)]


def truth(sign: Surface | None = None, line=LINE, length_m: float = 101.0) -> EpisodeTruth:
    x = np.arange(0.0, length_m)
    points = np.stack([x, 0 * x, 0 * x], axis=1)
    route = Route(points, np.full(len(x), 10.0), (0.0, 0.0))
    return EpisodeTruth(route, CarInfo(), TICK_S, line, sign)


def sign_at(x: float, y: float, z: float, towards: float = -1.0) -> Surface:
    """0.75 m square facing along -x (or +x with ``towards`` = 1); middle at x, y, z."""
    left = 0.375 * towards  # for a viewer who looks along +x, y grows to the right
    corners = [(x, y + left, z + 0.375), (x, y - left, z + 0.375)]
    corners += [(x, y - left, z - 0.375), (x, y + left, z - 0.375)]
    blank = np.zeros((2, 2, 3), np.uint8)
    return Surface("stop_sign_1", "StopSign_1", np.array(corners), blank, np.ones((2, 2), bool))
