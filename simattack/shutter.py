"""When each row of a picture is exposed.

A rolling shutter exposes row after row: row r from ``r * row_time_s`` to ``exposure_s`` later,
counted from the picture's time of capture. A light that is on for part of that time gives a row
that part of its light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simattack.checks import number
from simattack.types import Floats

EXPOSURE_S = 0.005
"""CARLA's camera: ``shutter_speed`` 200, that is 1/200 s."""
ROW_TIME_S = 2 * 1650 / 74.25e6
"""44.4 us. An AR0132AT, a sensor made for cars, reads 960 rows at 45 frames a second: 1650 clocks
of 74.25 MHz a row (onsemi, data sheet, rev. 9). That two of its rows make one of ours is assumed.
"""


@dataclass(frozen=True)
class Shutter:
    """A rolling shutter; ``row_time_s`` 0 is a global one.

    Raises:
        ValueError: a time makes no sense.
    """

    exposure_s: float = EXPOSURE_S
    row_time_s: float = ROW_TIME_S

    def __post_init__(self) -> None:
        number("exposure_s", self.exposure_s, 1e-6, 0.1)
        number("row_time_s", self.row_time_s, 0.0, 1e-3)

    def starts_s(self, rows: int) -> Floats:
        """(rows,) when each row begins to be exposed, from the time of capture on."""
        return np.asarray(np.arange(rows) * self.row_time_s, np.float64)

    def share(
        self,
        rows: int,
        from_s: float = -np.inf,
        to_s: float = np.inf,
        frequency_hz: float | None = None,
        duty: float = 1.0,
        phase: float = 0.0,
    ) -> Floats:
        """(rows,) part of each row's exposure in which a light is on, 0..1.

        Args:
            rows: of the picture.
            from_s: when it is switched on, against the time of capture; ``to_s`` when off.
            frequency_hz: of its switching between; None for steadily on.
            duty: part of a period for which it is on, from the period's beginning.
            phase: where in its period it is at the time of capture, 0..1.
        """
        if frequency_hz is None and from_s == -np.inf and to_s == np.inf:
            return np.ones(rows)
        begin = np.clip(self.starts_s(rows), from_s, to_s)
        end = np.clip(self.starts_s(rows) + self.exposure_s, from_s, to_s)
        if frequency_hz is None:
            part: Floats = (end - begin) / self.exposure_s
            return part

        def on_s(time_s: Floats) -> Floats:
            """How long it has been on since the phase was 0."""
            turns = time_s * frequency_hz + phase
            whole = np.floor(turns)
            on: Floats = (whole * duty + np.minimum(turns - whole, duty)) / frequency_hz
            return on

        lit: Floats = (on_s(end) - on_s(begin)) / self.exposure_s
        return lit
