"""The shapes of values inside CARLA's calls, and the border between degrees and radians.

A struct travels as an array of its members. ``read_*`` functions take what the client sent and
raise ``ProtocolError`` when it has another shape; the others make what goes back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from simattack.errors import ProtocolError
from simattack.server.shown import shown
from simattack.types import Image, Pose, Weather

Wire: TypeAlias = Any
"""What msgpack packs: None, numbers, str, bytes, and lists of those."""
Vector: TypeAlias = tuple[float, float, float]

VERSION = "0.9.16"
VOID: Wire = [[False]]
"""The answer of a call that worked and returns nothing."""
NO_SPEED: Vector = (0.0, 0.0, 0.0)
GREEN = 2
"""Of TrafficLightState."""

LARGEST = 1e12
"""No length, speed, force or time that anybody means is larger, in either direction. What follows
from it within a tick, such as its square, still fits the 32-bit floats of a snapshot."""
U32 = 2**32 - 1


def answer(value: Wire) -> Wire:
    """The answer of a call that worked and returns ``value``."""
    return [[1, value]]


def failure(text: str) -> Wire:
    """The answer of a call that should return a value; the client raises ``text``."""
    return [[0, [text]]]


def void_failure(text: str) -> Wire:
    """The answer of a call that returns nothing; the client raises ``text``."""
    return [[True, [text]]]


# Numbers and poses


def _wrong(what: str, value: Wire) -> ProtocolError:
    return ProtocolError(f"expected {what}, got {shown(value)}")


def read_numbers(value: Wire, count: int, what: str) -> tuple[float, ...]:
    """Exactly ``count`` finite numbers, none beyond ``LARGEST``."""
    if isinstance(value, (list, tuple)) and len(value) == count:
        if all(isinstance(item, (int, float)) and abs(item) <= LARGEST for item in value):
            return tuple(float(item) for item in value)
    raise _wrong(f"{what} as {count} finite numbers up to {LARGEST:g}", value)


def read_vector(value: Wire, what: str = "a vector") -> Vector:
    """x, y, z in whatever unit the call has."""
    x, y, z = read_numbers(value, 3, what)
    return x, y, z


def read_float(value: Wire, what: str) -> float:
    """One finite number."""
    return read_numbers([value], 1, what)[0]


def read_int(value: Wire, what: str) -> int:
    """One integer: an id, a count, or an enumeration's value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _wrong(f"{what} as an integer", value)


def read_u32(value: Wire, what: str) -> int:
    """One integer that fits the 32 bits it has on the way back to a client."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= U32:
        return value
    raise _wrong(f"{what} as an integer of 32 bits", value)


def read_text(value: Wire, what: str) -> str:
    """One string."""
    if isinstance(value, str):
        return value
    raise _wrong(f"{what} as a string", value)


def read_list(value: Wire, what: str, count: int | None = None) -> list[Wire]:
    """An array, of ``count`` items if that is given."""
    if isinstance(value, (list, tuple)) and (count is None or len(value) == count):
        return list(value)
    raise _wrong(f"{what} as an array" + (f" of {count}" if count is not None else ""), value)


def read_pose(value: Wire) -> Pose:
    """A transform ``[[x, y, z], [pitch, yaw, roll]]`` in degrees."""
    place, turn = read_list(value, "a transform", 2)
    x, y, z = read_vector(place, "a location")
    pitch, yaw, roll = read_vector(turn, "a rotation")
    return Pose(x, y, z, math.radians(pitch), math.radians(yaw), math.radians(roll))


def six(pose: Pose) -> tuple[float, float, float, float, float, float]:
    """x, y, z [m], pitch, yaw, roll [deg], as the streams carry a pose.

    Degrees that came in as 32-bit floats come out as the same 32-bit floats: the way through
    radians costs far less than their last digit.
    """
    return (
        pose.x_m,
        pose.y_m,
        pose.z_m,
        math.degrees(pose.pitch_rad),
        math.degrees(pose.yaw_rad),
        math.degrees(pose.roll_rad),
    )


def transform(pose: Pose) -> Wire:
    """A pose as the calls carry it."""
    x, y, z, pitch, yaw, roll = six(pose)
    return [[x, y, z], [pitch, yaw, roll]]


def read_turn(value: Wire) -> Vector:
    """An angular velocity: degrees per second on the wire, radians per second here."""
    x, y, z = read_vector(value, "an angular velocity")
    return math.radians(x), math.radians(y), math.radians(z)


def read_twist(value: Wire) -> Vector:
    """An angular impulse or a torque [N m s, N m].

    CARLA hands the number on to its engine, which takes it in degrees and centimetres.
    """
    x, y, z = read_vector(value, "an angular impulse")
    return math.radians(x) / 1e4, math.radians(y) / 1e4, math.radians(z) / 1e4


@dataclass(frozen=True)
class Bounds:
    """A bounding box in the frame of what it bounds."""

    centre: Vector = NO_SPEED
    half: Vector = NO_SPEED
    yaw_rad: float = 0.0

    def wire(self, actor: int = 0) -> Wire:
        """A BoundingBox; ``actor`` is 0 for scenery."""
        turn = [0.0, math.degrees(self.yaw_rad), 0.0]
        return [list(self.centre), list(self.half), turn, actor]


# Actors


@dataclass(frozen=True)
class Description:
    """Which blueprint, and with which attributes, a client wants spawned."""

    uid: int
    type_id: str
    attributes: tuple[tuple[str, int, str], ...] = ()
    """Name, CARLA's attribute type, value."""

    def wire(self) -> Wire:
        """An ActorDescription."""
        return [self.uid, self.type_id, [list(attribute) for attribute in self.attributes]]


def read_description(value: Wire) -> Description:
    """An ActorDescription."""
    uid, type_id, attributes = read_list(value, "an actor description", 3)
    rows = [read_list(row, "an attribute", 3) for row in read_list(attributes, "attributes")]
    return Description(
        read_u32(uid, "a blueprint's number"),
        read_text(type_id, "a blueprint's id"),
        tuple(
            (
                read_text(name, "an attribute's name"),
                read_u32(kind, "an attribute's type"),
                read_text(text, "an attribute's value"),
            )
            for name, kind, text in rows
        ),
    )


def read_optional(value: Wire, what: str) -> Wire | None:
    """The content of an optional, None when it is empty."""
    match value:
        case [False, *_]:
            return None
        case [True, content]:
            return content
    raise _wrong(f"{what} as an optional", value)


# The episode


@dataclass(frozen=True)
class Settings:
    """How time runs; CARLA's defaults."""

    is_synchronous: bool = False
    is_rendering_off: bool = False
    fixed_delta_s: float | None = None
    rest: tuple[Wire, ...] = (True, 0.01, 10, 0.0, False, 3000.0, 2000.0, True)
    """Sub-stepping, culling and streaming of large maps: kept for the client, without effect."""

    def wire(self) -> Wire:
        """An EpisodeSettings."""
        delta = [False] if self.fixed_delta_s is None else [True, self.fixed_delta_s]
        return [self.is_synchronous, self.is_rendering_off, delta, *self.rest]


def read_settings(value: Wire) -> Settings:
    """An EpisodeSettings; a fixed time step of 0 means none, as in CARLA."""
    is_synchronous, is_rendering_off, delta, *rest = read_list(value, "episode settings", 11)
    if not isinstance(is_synchronous, bool) or not isinstance(is_rendering_off, bool):
        raise _wrong("two booleans at the head of episode settings", value)
    # The rest goes to every other client as it is: one of another type would be their error.
    for item, usual in zip(rest, Settings.rest, strict=True):
        is_right = isinstance(item, bool) == isinstance(usual, bool) and (
            isinstance(item, (int, float) if isinstance(usual, float) else int)
        )
        if not is_right:
            raise _wrong("episode settings of CARLA's types", value)
    fixed = read_optional(delta, "a fixed time step")
    step = None if fixed is None else read_float(fixed, "a fixed time step")
    if step is not None and step < 0:
        raise _wrong("a fixed time step >= 0", step)
    return Settings(is_synchronous, is_rendering_off, step or None, tuple(rest))


WEATHER_FIELDS = (
    "cloudiness",
    "precipitation",
    "precipitation_deposits",
    "wind_intensity",
    "sun_azimuth_angle",
    "sun_altitude_angle",
    "fog_density",
    "fog_distance",
    "fog_falloff",
    "wetness",
    "scattering_intensity",
    "mie_scattering_scale",
    "rayleigh_scattering_scale",
    "dust_storm",
)
"""CARLA's order."""
_SCATTERING = {
    "scattering_intensity": 1.0,
    "mie_scattering_scale": 0.03,
    "rayleigh_scattering_scale": 0.0331,
}


def weather_wire(weather: Weather) -> tuple[float, ...]:
    """CARLA's fourteen numbers; those that ``Weather`` lacks have CARLA's defaults."""
    return tuple(
        float(getattr(weather, name, _SCATTERING.get(name, 0.0))) for name in WEATHER_FIELDS
    )


def read_weather(value: Wire) -> tuple[tuple[float, ...], Weather]:
    """All fourteen numbers, to give back as they came, and those that have an effect."""
    numbers = read_numbers(value, len(WEATHER_FIELDS), "weather parameters")
    known = {item.name for item in fields(Weather)}
    named = dict(zip(WEATHER_FIELDS, numbers, strict=True))
    return numbers, Weather(**{name: named[name] for name in known})


# Textures


def read_texture(value: Wire, is_float: bool) -> Image:
    """A TextureColor or TextureFloatColor as (H, W, 4) uint8 RGBA, top row first.

    Floats are 0..1 and taken as display values, as the client's own integers are.
    """
    width, height, pixels = read_list(value, "a texture", 3)
    width, height = read_int(width, "a texture's width"), read_int(height, "a texture's height")
    flat = read_list(pixels, "a texture's pixels")
    if width <= 0 or height <= 0 or len(flat) != width * height:
        raise ProtocolError(
            f"expected a texture of width x height pixels, got {width} x {height} and {len(flat)}"
        )
    try:
        values = np.fromiter(chain.from_iterable(flat), np.float32, count=4 * len(flat))
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"expected pixels of four numbers each: {error}") from error
    scaled = values * np.float32(255.0) if is_float else values
    clipped = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return clipped.reshape(height, width, 4)


# Control


@dataclass(frozen=True)
class VehicleControl:
    """What a driver's hands and feet do; throttle and brake 0..1, steer -1..1 (right positive)."""

    throttle: float = 0.0
    steer: float = 0.0
    brake: float = 0.0
    hand_brake: bool = False
    reverse: bool = False
    manual_gear_shift: bool = False
    gear: int = 0

    def row(self) -> tuple[float, float, float, bool, bool, bool, int]:
        """In the order of the wire."""
        return (
            self.throttle,
            self.steer,
            self.brake,
            self.hand_brake,
            self.reverse,
            self.manual_gear_shift,
            self.gear,
        )


MOST_GEAR = 100
"""No gearbox has more; any number that a client sends fits a snapshot."""


def _pedal(value: Wire, low: float, what: str) -> float:
    """A number from ``low`` to 1; NaN is 0: the TrafficManager sends it for a car told to stand."""
    if not isinstance(value, (int, float)):
        raise _wrong(f"{what} as a number", value)
    return 0.0 if math.isnan(value) else min(1.0, max(low, float(value)))


def read_vehicle_control(value: Wire) -> VehicleControl:
    """A VehicleControl, its pedals and wheel brought into range."""
    throttle, steer, brake, hand, reverse, manual, gear = read_list(value, "vehicle control", 7)
    return VehicleControl(
        _pedal(throttle, 0.0, "throttle"),
        _pedal(steer, -1.0, "steer"),
        _pedal(brake, 0.0, "brake"),
        bool(hand),
        bool(reverse),
        bool(manual),
        min(MOST_GEAR, max(-MOST_GEAR, read_int(gear, "gear"))),
    )


@dataclass(frozen=True)
class WalkerControl:
    """Where a walker goes: unit direction in the world frame, speed in m/s."""

    direction: Vector = (1.0, 0.0, 0.0)
    speed_mps: float = 0.0
    is_jumping: bool = False


def read_walker_control(value: Wire) -> WalkerControl:
    """A WalkerControl."""
    direction, speed, jump = read_list(value, "walker control", 3)
    return WalkerControl(
        read_vector(direction, "a direction"), read_float(speed, "a speed"), bool(jump)
    )
