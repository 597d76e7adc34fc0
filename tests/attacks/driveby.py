"""A short drive past nothing, for attacks on a sensor: 20 ticks a second, an image every second."""

from __future__ import annotations

import numpy as np

from simattack.types import ActorState, Frame, Pose
from tests.pinhole import sign

TICK_S = 0.05
ROWS, COLUMNS = 240, 320


class Street:
    """A world with one sign at x = 60 m, a little to the right."""

    def __init__(self):
        self.asked = []

    def surface(self, name):
        self.asked.append(name)
        return sign()


def picture(seed=0, rows=ROWS, columns=COLUMNS):
    """A street's middle greys, smooth enough to tell a blur."""
    noise = np.random.default_rng(seed).integers(40, 200, (rows // 8 + 1, columns // 8 + 1, 3))
    return np.repeat(np.repeat(noise, 8, 0), 8, 1)[:rows, :columns].astype(np.uint8)


def frame(tick, x_m=0.0):
    ego = ActorState(1, "", Pose(x_m=x_m), (10.0, 0, 0), (0, 0, 0), (2.3, 1, 1))
    return Frame(tick, tick * TICK_S, ego)


def sensed(tick, image):
    """An observation whose arrays nobody may write to."""
    captured_s = (tick - tick % 2) * TICK_S
    obs = {
        "camera": image.copy(),
        "gnss": np.array([48.0, 11.0, 500.0]),
        "imu": np.zeros(7),
        "speed": np.array([10.0]),
        "clock": np.array([tick * TICK_S, captured_s]),
    }
    for array in obs.values():
        array.flags.writeable = False
    return obs


def drive(attack, ticks=12, images=None, seed=0, end_after=None, x_m=0.0):
    """[(clean, tampered)] of each tick; ``images`` by capture, one for all if it is an array."""
    running = attack.begin(Street(), np.random.default_rng(seed))
    told = []
    for tick in range(ticks):
        if images is None:
            image = picture(tick // 2)
        else:
            image = images if isinstance(images, np.ndarray) else images[tick // 2]
        obs = sensed(tick, image)
        told.append((obs, running.tamper(obs, frame(tick, x_m))))
        if tick == end_after:
            running.end()
    running.end()
    running.end()
    return told
