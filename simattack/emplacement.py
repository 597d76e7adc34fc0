"""Where an adversary's device stands, and where a sensor of the car sees it.

``Emplaced`` and ``Beamed`` hold the options that attacks by such a device share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simattack.checks import choice, number
from simattack.geometry import to_body, to_world
from simattack.laser import Beam, Receiver
from simattack.radio import triple
from simattack.reading import option
from simattack.timing import Timing
from simattack.types import ActorState, Floats, Frame, Pose, World

PLACES = ("car", "surface", "place", "actor")
LANE_M = 3.5
"""Width of the path straight ahead of the car."""
CLOSEST_M = 0.1


@dataclass(frozen=True)
class Sight:
    """A direction and a distance, in a sensor's frame."""

    azimuth_rad: float
    """Right positive."""
    elevation_rad: float
    """Up positive."""
    distance_m: float


@dataclass(frozen=True)
class Emplacement:
    """Where a device stands.

    Raises:
        ValueError: a value makes no sense.
    """

    at: str
    """``car``: moves along with it, ``distance_m`` from the sensor and level with it; ``surface``:
    in the middle of the attack's surface; ``place``: at ``place_m``; ``actor``: on the nearest
    actor in the path ahead."""
    distance_m: float
    bearing_deg: float
    """From the sensor's forward, right positive; for ``car``."""
    place_m: tuple[float, float, float] | None
    """World frame, for ``place``."""

    def __post_init__(self) -> None:
        choice("at", self.at, PLACES)
        number("distance_m", self.distance_m, CLOSEST_M, 10_000.0)
        number("bearing_deg", self.bearing_deg, -180.0, 180.0)
        object.__setattr__(self, "place_m", triple("place_m", self.place_m))
        if (self.at == "place") != (self.place_m is not None):
            raise ValueError(
                f"place_m needs x, y, z with at 'place' and None otherwise, got "
                f"{self.place_m!r} with at {self.at!r}"
            )

    def stand_m(self, world: World, surface: str) -> Floats | None:
        """(3,) where it stands in the world, None if it moves.

        Raises:
            ConfigError: the world has no surface of that name.
        """
        if self.at == "surface":
            middle: Floats = world.surface(surface).corners_m.mean(0)
            return middle
        return None if self.place_m is None else np.array(self.place_m)

    def seen(self, sensor: Pose, frame: Frame, stand_m: Floats | None) -> Sight | None:
        """From a sensor at ``sensor`` in the world; None where there is no actor to stand on.

        Args:
            sensor: its pose in the world.
            frame: the truth.
            stand_m: what the method of that name gave.
        """
        if self.at == "car":
            return Sight(math.radians(self.bearing_deg), 0.0, self.distance_m)
        if stand_m is None:
            bearer = actor_ahead(frame)
            if bearer is None:
                return None
            stand_m = to_world(np.array([bearer.box_middle_m]), bearer.pose)[0]
        x, y, z = (float(part) for part in to_body(stand_m[None], sensor)[0])
        level_m = math.hypot(x, y)
        distance_m = max(math.hypot(level_m, z), CLOSEST_M)
        return Sight(math.atan2(y, x), math.atan2(z, level_m), distance_m)


@dataclass(frozen=True, kw_only=True)
class Emplaced:
    """The options of an attack whose device stands somewhere and acts for a time.

    Raises:
        ValueError: at construction: a value makes no sense.
    """

    at: str = "car"
    """``car``: moves along, seen from the sensor at ``distance_m`` and ``bearing_deg``;
    ``surface``; ``place``; ``actor``: on the nearest one in the path ahead."""
    distance_m: float = 10.0
    """Of the device from the sensor."""
    bearing_deg: float = 0.0
    """Right positive."""
    place_m: tuple[float, float, float] | None = None
    """World frame, for ``place``."""
    surface: str = ""
    """For ``at: surface`` and for timing's ``near``; empty for the episode's own sign."""
    timing: Timing = Timing()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        object.__setattr__(self, "place_m", self.emplacement.place_m)
        object.__setattr__(self, "timing", Timing.of(self.timing))

    @property
    def emplacement(self) -> Emplacement:
        return Emplacement(self.at, self.distance_m, self.bearing_deg, self.place_m)


@dataclass(frozen=True, kw_only=True)
class Beamed(Emplaced):
    """The options of a device that shines at a LiDAR.

    Raises:
        ValueError: at construction: a value makes no sense.
    """

    power_w: float = 20.0
    """Peak of its pulses, or of a steady light; of light, not of current."""
    divergence_mrad: float = 10.0
    """Full angle."""
    aperture_mm: float = 10.0
    """Of the beam where it leaves."""
    off_axis_deg: float = 0.0
    """Error of its aim."""
    receiver: Receiver = Receiver()  # noqa: RUF009  it is frozen

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.beam
        object.__setattr__(self, "receiver", option(self.receiver, Receiver, "receiver"))

    @property
    def beam(self) -> Beam:
        return Beam(self.power_w, self.divergence_mrad, self.aperture_mm, self.off_axis_deg)

    def collected_w(self, distance_m: float) -> float:
        """By a firing straight at the device, at its peak."""
        return self.beam.irradiance_w_m2(distance_m) * self.receiver.area_m2


def actor_ahead(frame: Frame, name: str = "") -> ActorState | None:
    """The nearest actor that reaches into the path straight ahead, of a type id with ``name``.

    Who is ahead on a road that bends is not found out.
    """
    found: list[tuple[float, ActorState]] = []
    for other in frame.others:
        ahead_m, right_m, _ = (float(v) for v in to_body(corners_m(other), frame.ego.pose).mean(0))
        half_m = float(np.ptp(to_body(corners_m(other), frame.ego.pose)[:, 1])) / 2
        is_in_path = ahead_m > 0 and abs(right_m) - half_m < LANE_M / 2
        if is_in_path and name in other.kind:
            found.append((ahead_m, other))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def corners_m(actor: ActorState) -> Floats:
    """(8, 3) of its bounding box, world frame."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    inner = np.array(actor.box_middle_m) + signs * np.array(actor.half_extent_m)
    return to_world(inner, actor.pose)
