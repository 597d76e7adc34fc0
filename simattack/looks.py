"""One episode of an attack on a sensor that looks now and then: when it acts, and on what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from simattack.shutter import Capture
from simattack.timing import Timer, Timing
from simattack.types import Floats, Frame, Observation


class Looks:
    """The looks of one sensor under attack; a car without that sensor has nothing to attack.

    Args:
        sensor: the observation's key.
        timing: when the attack is on.
        place_m: from which ``near`` is measured.
    """

    def __init__(self, sensor: str, timing: Timing, place_m: Floats | None) -> None:
        self._sensor = sensor
        self._timer = Timer(timing, place_m)
        self._capture = Capture(sensor)
        self._is_over = False

    def tell(
        self,
        obs: Observation,
        frame: Frame,
        change: Callable[[NDArray[Any], Frame, float], NDArray[Any] | None],
    ) -> Observation:
        """``obs`` with the newest look changed, while the attack is on.

        Args:
            obs: what the car senses.
            frame: the truth.
            change: (data, frame, time since the attack last went on [s]) -> other data, or None
                to leave it alone; called once a look.
        """
        if self._is_over or self._sensor not in obs:
            return obs
        on_s = self._timer.elapsed_s(frame)
        return self._capture.tell(
            obs, lambda data: None if on_s is None else change(data, frame, on_s)
        )

    def end(self) -> None:
        """Nothing is changed from here on."""
        self._is_over = True
