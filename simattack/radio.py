"""GNSS signals and what disturbs them: power over distance, C/N0, a code loop's noise and lock.

Everything is about the L1 C/A signal, and about one strength that stands for all satellites.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simattack.checks import choice, is_number, number
from simattack.errors import ConfigError
from simattack.types import Floats, Pose, World

LIGHT_MPS = 299_792_458.0
L1_HZ = 1575.42e6
CHIP_HZ = 1.023e6
"""Rate of the C/A code."""
CHIP_M = LIGHT_MPS / CHIP_HZ
GPS_DBM = -128.5
"""Least power of the C/A signal at the ground, -158.5 dBW (IS-GPS-200)."""
QUALITY = 2.0
"""How well noise over the signal's band jams, Q of Kaplan & Hegarty: about 1 for one tone, 2 for
noise of the width of the spectrum's main lobe."""
PLACES = ("car", "surface", "place")
_CLOSEST_M = 0.1
"""Nearer than half a wavelength there is no far field; the loss stays as it is there."""


def path_loss_db(distance_m: float, frequency_hz: float = L1_HZ) -> float:
    """Loss between two isotropic antennas in free space.

    Source: Friis, A Note on a Simple Transmission Formula (1946): (4 pi d f / c)^2.
    """
    return 20 * math.log10(4 * math.pi * max(distance_m, _CLOSEST_M) * frequency_hz / LIGHT_MPS)


def effective_cn0_dbhz(
    cn0_dbhz: float, js_db: float, quality: float = QUALITY, chip_hz: float = CHIP_HZ
) -> float:
    """Carrier to noise density that a receiver sees under a jammer.

    Args:
        cn0_dbhz: without the jammer.
        js_db: the jammer's power over the signal's, at the receiver; -inf for none.
        quality: Q of the jammer's spectrum.
        chip_hz: rate of the code.

    Source: Kaplan & Hegarty, Understanding GPS, 2nd ed. (2006), section 6.2 (3rd ed., 9.4).
    """
    if js_db == -math.inf:
        return cn0_dbhz
    noise = 10 ** (-cn0_dbhz / 10) + 10 ** (js_db / 10) / (quality * chip_hz)
    return -10 * math.log10(noise)


def code_noise_m(
    cn0_dbhz: float,
    bandwidth_hz: float,
    spacing_chips: float,
    integration_s: float,
    front_hz: float,
) -> float:
    """Standard deviation of a code loop's range by thermal noise.

    For BPSK-R(1) and a discriminator of early minus late power.

    Args:
        cn0_dbhz: carrier to noise density.
        bandwidth_hz: of the loop's noise, on one side.
        spacing_chips: D, from early to late.
        integration_s: T, before detection.
        front_hz: bandwidth of the front end, on both sides.

    Source: Kaplan & Hegarty, Understanding GPS, 2nd ed. (2006), eq. 5.23.
    """
    cn0, d = 10 ** (cn0_dbhz / 10), spacing_chips
    b = front_hz / CHIP_HZ
    lost = 2 / (2 - d)
    if d * b >= math.pi:
        width = d
    elif d * b > 1:
        width = 1 / b + b / (math.pi - 1) * (d - 1 / b) ** 2
    else:
        width, lost = 1 / b, 1.0
    squaring = 1 + lost / (integration_s * cn0)
    return CHIP_M * math.sqrt(bandwidth_hz / (2 * cn0) * width * squaring)


@dataclass(frozen=True)
class Emitter:
    """A transmitter on L1 with an isotropic antenna.

    Raises:
        ValueError: a value makes no sense.
    """

    power_mw: float
    """Radiated, effective and isotropic."""
    at: str
    """``car``: carried along beside it; ``surface``: standing at the attack's surface;
    ``place``: standing at ``place_m``."""
    distance_m: float
    """From the car's antenna, if it is carried."""
    place_m: tuple[float, float, float] | None
    """World frame."""
    loss_db: float
    """On top of free space: a car's body, walls."""

    def __post_init__(self) -> None:
        choice("at", self.at, PLACES)
        require_not_negative(self, "power_mw", "distance_m", "loss_db")
        if (self.at == "place") != (self.place_m is not None):
            raise ValueError(
                f"place_m needs x, y, z with at 'place' and None otherwise, got "
                f"{self.place_m!r} with at {self.at!r}"
            )

    def stand(self, surface_m: Floats | None) -> Floats | None:
        """(3,) where it stands, None if it is carried.

        Raises:
            ConfigError: it should stand at a surface and there is none.
        """
        if self.at == "surface" and surface_m is None:
            raise ConfigError("an emitter at 'surface' needs a surface; name one, or choose at")
        if self.at == "car":
            return None
        return surface_m if self.place_m is None else np.array(self.place_m, float)

    def standing(self, world: World, surface: str) -> Floats | None:
        """(3,) where it stands in a world, at that surface or elsewhere; None if it is carried."""
        return self.stand(surface_place(world, surface) if self.at == "surface" else None)

    def distance_to(self, ego: Pose, stand: Floats | None) -> float:
        """From the car's antenna [m]; ``stand`` is what the method of that name gave."""
        if stand is None:
            return self.distance_m
        return math.dist((ego.x_m, ego.y_m, ego.z_m), stand.tolist())

    def over_signal_db(self, distance_m: float, power_mw: float | None = None) -> float:
        """Its power over a genuine signal's at the car's antenna; -inf when it is silent."""
        power_mw = self.power_mw if power_mw is None else power_mw
        if power_mw <= 0:
            return -math.inf
        return 10 * math.log10(power_mw) - path_loss_db(distance_m) - self.loss_db - GPS_DBM


class Lock:
    """Which of two sets of signals a receiver tracks: it changes over in a time without a fix."""

    def __init__(self, change_s: float) -> None:
        self._change_s = change_s
        self._is_false = False
        self._until_s = -math.inf

    def step(self, is_false: bool, time_s: float) -> str:
        """``genuine``, ``false`` or ``none``; ``is_false``: the false signals are the stronger."""
        if is_false != self._is_false:
            self._is_false = is_false
            self._until_s = time_s + self._change_s
        if time_s < self._until_s - 1e-9:
            return "none"
        return "false" if is_false else "genuine"


class Outbox:
    """What a receiver delivers when it has no fix, as its maker chose.

    ``none``: three times inf, a member of the observation space that is no number to drive by.
    ``frozen``: the last fix again and again, as receivers do that hold their output.
    """

    CHOICES = ("none", "frozen")

    def __init__(self, choice: str) -> None:
        self._choice = choice
        self._last = np.full(3, np.inf)

    def sent(self, fix: Floats) -> Floats:
        """A fix that goes out."""
        self._last = fix.copy()
        return fix

    def without_fix(self) -> Floats:
        return np.full(3, np.inf) if self._choice == "none" else self._last.copy()


def surface_place(world: World, surface: str) -> Floats:
    """(3,) the middle of a surface.

    Raises:
        ConfigError: the world has none of that name.
    """
    middle: Floats = world.surface(surface).corners_m.mean(0)
    return middle


def require_not_negative(options: object, *names: str) -> None:
    """Refuse options that are no finite number, 0 or more.

    Raises:
        ValueError: names the first.
    """
    for name in names:
        number(name, getattr(options, name))


def fitted(parameters: Floats, box: tuple[Floats, Floats], expected: str) -> Floats:
    """(n,) parameters, held within their box.

    Raises:
        ConfigError: not as many as the box has.
    """
    low, high = box
    if np.shape(parameters) != low.shape:
        raise ConfigError(f"expected {expected}, got {np.size(parameters)} numbers")
    held: Floats = np.asarray(parameters, float).clip(low, high)
    return held


def triple(name: str, value: object) -> tuple[float, float, float] | None:
    """An option of three metres, which YAML gives as a list; None stays.

    Raises:
        ValueError: it is anything else.
    """
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 3 or not all(map(is_number, value)):
        raise ValueError(f"{name} needs three numbers x, y, z [m], got {value!r}")
    x, y, z = (float(part) for part in value)
    return x, y, z
