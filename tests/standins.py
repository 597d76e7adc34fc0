"""Stands in for the simulator in tests of what lies around it: workers, results, reports.

A car rolls along x towards a stop line at x = 0 and a red sign behind it. It stops, unless the
arm is ``attacked``, in which nobody sees the sign.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import numpy as np

from simattack import registry
from simattack.errors import BudgetError, ServerGone, WeightsError
from simattack.geometry import compose
from simattack.recording import projected_box
from simattack.types import (
    ActorState,
    CarInfo,
    Detections,
    EpisodeResult,
    Frame,
    Pose,
    Surface,
    Tick,
    Verdict,
)

PARTS = """
from dataclasses import dataclass
from simattack.registry import register

def enter(room, kind):
    @register(room, kind)
    @dataclass(frozen=True)
    class Part:
        patch: str | None = None
        size_m: float | None = None
        power: float = 1.0

        def begin(self, world, rng):
            return self

        def end(self):
            pass

for room in ("attacks", "defenses", "detectors", "policies"):
    enter(room, "standin")
"""
SCENARIO = """
sites: [a, b]
policy: standin
detector: standin
attack: standin
controls: {grey: {power: 0}}
seeds: 2
plugins: [parts.py]
"""
CAR = CarInfo()
HALF_M = 2.35
START_M = 24.0
"""Distance of the front bumper from the line at the first tick."""


class Road:
    """The part of a session that a worker looks at."""

    def stop_line(self, name):
        return np.array([[0.0, -2.0, 0.0], [0.0, 2.0, 0.0]])

    def surface(self, name):
        corners = np.array([[1.0, 3, 3], [1, 4, 3], [1, 4, 2], [1, 3, 2]])
        return Surface(name, name, corners, np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), bool))


@contextlib.contextmanager
def open_road(map_name, log=None):
    if log is not None:
        with open(log, "a") as file:
            file.write(f"{os.getpid()}\n")
    yield Road()


def drive(session, scenario, conditions, arm, seed, recorder=None):
    """30 ticks at 20 m/s, one metre each; who sees the sign stands at the line."""
    is_hidden = arm.name == "attacked"
    sign = session.surface("a")
    for tick in range(30):
        distance_m = START_M - tick if is_hidden else max(START_M - tick, 0.5)
        pose = Pose(x_m=-distance_m - HALF_M)
        speed_mps = 20.0 if is_hidden or distance_m > 0.5 else 0.0
        ego = ActorState(1, "car", pose, (speed_mps, 0, 0), (0, 0, 0), (HALF_M, 1.0, 1.0))
        image = np.full((480, 640, 3), 130, np.uint8)
        seen = Detections.none()
        box = projected_box(sign, CAR.camera, compose(pose, CAR.camera.mount))
        if box is not None:
            left, top, right, bottom = np.clip(box, 0, 640).astype(int)
            image[top:bottom, left:right] = 200, 0, 0
            if not is_hidden:
                seen = Detections(box[None], np.array([1 - distance_m / 40]), ("stop sign",))
        obs = {"camera": image, "clock": np.full(2, tick * 0.05)}
        frame = Frame(tick, tick * 0.05, ego)
        recorder(Tick(frame, Verdict(seen), seen, tick % 2 == 0, np.zeros(3)), obs)
    metrics = {
        "stop_sign_violation": is_hidden,
        "stopped": not is_hidden,
        "line_speed_mps": conditions.speed_mps / 3,
        "min_ttc_s": np.nan,
        "misnamed_5_40m": 0.25 if is_hidden else 0.0,
        "misnamed_as": "traffic light" if is_hidden else None,
    }
    return EpisodeResult(scenario.name, arm.name, seed, metrics)


def misbehave(session, scenario, conditions, arm, seed, recorder=None, *, folder, how, times):
    """Like ``drive``, but ``how`` happens to arm attacked of seed 0, so many times."""
    if (arm.name, seed) == ("attacked", 0):
        tries = Path(folder, "tries")
        n = len(tries.read_text()) if tries.exists() else 0
        tries.write_text("x" * (n + 1))
        if n < times:
            how()
    return drive(session, scenario, conditions, arm, seed, recorder)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def lose_server():
    raise ServerGone(f"port {os.getpid()} does not answer")


def have_a_bug():
    raise ZeroDivisionError("division by zero")


def find_wrong_weights():
    raise WeightsError("expected abc, got def")


def break_the_budget():
    raise BudgetError("the face is too small")


def interrupt():
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(30)


def dawdle():
    time.sleep(6)


@contextlib.contextmanager
def own_registry():
    """What is registered inside is forgotten afterwards: other tests go over all there is."""
    before = {
        room: {kind: registry.lookup(room, kind) for kind in registry.kinds(room)}
        for room in registry.ROOMS
    }
    try:
        yield
    finally:
        for room, classes in before.items():
            registry._classes[room].clear()
            registry._classes[room].update(classes)


def write_scenario(folder: Path, text: str = SCENARIO) -> str:
    """The stand-in scenario ``roll`` in a folder; its path."""
    (folder / "parts.py").write_text(PARTS)
    (folder / "roll.yaml").write_text(text)
    return str(folder / "roll.yaml")
