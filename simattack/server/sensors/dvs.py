"""An event camera: reports where and when brightness crossed a threshold between two images.

Each pixel remembers the brightness at its last crossing. Brightness is taken to change linearly
from one image to the next; each time it is a threshold away from what is remembered, an event is
sent for that moment.

Source: the sensor reference in CARLA's documentation (attributes, brightness); the model is that
of Rebecq, Gehrig and Scaramuzza, ESIM: an Open Event Camera Simulator, CoRL 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simattack.errors import ConfigError
from simattack.types import Floats, Image

EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("pol", "?")])
"""One event on the wire, 13 bytes: pixel, simulated time [ns], whether it became brighter."""
_GREY = np.array([0.2989, 0.587, 0.114])
_TOLERANCE = 1e-6
_LEAST_THRESHOLD = 0.01
_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Thresholds:
    """What a client can set on an event camera; CARLA's names and defaults."""

    positive_threshold: float = 0.3
    negative_threshold: float = 0.3
    sigma_positive_threshold: float = 0.0
    sigma_negative_threshold: float = 0.0
    refractory_period_ns: float = 0.0
    use_log: bool = True
    log_eps: float = 0.001

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> Thresholds:
        """What a client's attributes say.

        Raises:
            ConfigError: a threshold is not above 0, or the logarithm cannot be taken.
        """
        names = (
            "positive_threshold",
            "negative_threshold",
            "sigma_positive_threshold",
            "sigma_negative_threshold",
            "refractory_period_ns",
            "log_eps",
        )
        numbers = {name: float(attributes[name]) for name in names if name in attributes}
        is_log = attributes.get("use_log", "true").strip().lower() in ("true", "1")
        out = cls(use_log=is_log, **numbers)
        for name in ("positive_threshold", "negative_threshold", "log_eps"):
            if not getattr(out, name) > 0:
                raise ConfigError(f"expected {name} above 0, got {getattr(out, name)}")
        return out


def brightness(rgb: Image, thresholds: Thresholds) -> Floats:
    """(H, W) log(eps + grey / 255), or the grey 0..255 itself without ``use_log``."""
    grey = rgb @ _GREY
    return np.asarray(np.log(thresholds.log_eps + grey / 255) if thresholds.use_log else grey)


class Retina:
    """The pixels of one event camera."""

    def __init__(self, thresholds: Thresholds, rng: np.random.Generator) -> None:
        self._thresholds = thresholds
        self._rng = rng
        self._before: Floats | None = None
        self._time_ns = 0

    def see(self, rgb: Image, time_s: float) -> NDArray[np.void]:
        """Events (N,) of ``EVENT`` since the last image, by time; none at the first."""
        now, time_ns = brightness(rgb, self._thresholds), round(time_s * 1e9)
        before, since_ns = self._before, self._time_ns
        self._before, self._time_ns = now, time_ns
        if before is None or before.shape != now.shape:
            self._crossed = now.copy()
            self._fired_ns = np.full(now.shape, _NEVER)
            return np.empty(0, EVENT)
        rows, columns = np.nonzero(np.abs(now - before) > _TOLERANCE)
        start, end = before[rows, columns], now[rows, columns]
        sign = np.where(end > start, 1.0, -1.0)
        step = sign * self._draw_thresholds(sign)
        level = self._crossed[rows, columns]
        found: list[NDArray[np.void]] = []
        while len(rows):
            level = level + step
            is_crossed = (sign * (level - start) > 0) & (sign * (end - level) >= 0)
            rows, columns = rows[is_crossed], columns[is_crossed]
            start, end, level = start[is_crossed], end[is_crossed], level[is_crossed]
            sign, step = sign[is_crossed], step[is_crossed]
            part = (level - start) / np.where(end == start, 1.0, end - start)
            at_ns = since_ns + (part * (time_ns - since_ns)).astype(np.int64)
            self._crossed[rows, columns] = level
            last = self._fired_ns[rows, columns]
            fires = last == _NEVER
            fires |= at_ns - np.where(fires, at_ns, last) >= self._thresholds.refractory_period_ns
            events = np.empty(int(fires.sum()), EVENT)
            events["x"], events["y"] = columns[fires], rows[fires]
            events["t"], events["pol"] = at_ns[fires], sign[fires] > 0
            self._fired_ns[rows[fires], columns[fires]] = at_ns[fires]
            found.append(events)
        out = np.concatenate(found) if found else np.empty(0, EVENT)
        return np.asarray(out[np.argsort(out["t"], kind="stable")])

    def _draw_thresholds(self, sign: Floats) -> Floats:
        """A threshold for each pixel that changed, with its noise."""
        t, is_up = self._thresholds, sign > 0
        out = np.where(is_up, t.positive_threshold, t.negative_threshold)
        sigma = np.where(is_up, t.sigma_positive_threshold, t.sigma_negative_threshold)
        if sigma.any():
            noisy = out + sigma * self._rng.standard_normal(len(sign))
            out = np.where(sigma > 0, np.maximum(noisy, _LEAST_THRESHOLD), out)
        return np.asarray(out)
