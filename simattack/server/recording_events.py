"""What happens in one frame of a recording besides motion: events, and their bytes.

On disk an event is a MessagePack array whose first item is its number in ``_KINDS``; the other
items are the fields below, in order. ``docs/recording_format.md`` lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgpack

from simattack.errors import ProtocolError, RecordingError
from simattack.server import codec
from simattack.server.codec import Description, Vector, Wire

Six: TypeAlias = tuple[float, ...]
"""x, y, z [m], pitch, yaw, roll [deg]."""


@dataclass(frozen=True)
class Created:
    """An actor is there."""

    id: int
    description: Description
    parent: int
    """0 for an actor that is fixed to nothing."""
    pose: Six
    """In the world, or in the frame of the parent."""
    attachment: int
    """CARLA's AttachmentType: 0 rigid, 1 spring arm, 2 spring arm through everything."""
    is_new: bool
    """False for one that was there before the frame and is told again in a key frame."""


@dataclass(frozen=True)
class Destroyed:
    """An actor is gone."""

    id: int


@dataclass(frozen=True)
class Mounted:
    """An actor that is fixed to another is fixed elsewhere on it."""

    id: int
    pose: Six
    """In the frame of the parent."""


@dataclass(frozen=True)
class LightShown:
    """A traffic light, named as in the OpenDRIVE map, shows this from now on."""

    signal: str
    state: int
    """CARLA's TrafficLightState."""
    elapsed_s: float
    """Since the state began."""
    green_s: float
    yellow_s: float
    red_s: float
    is_frozen: bool


@dataclass(frozen=True)
class WeatherSet:
    """The weather is this from now on."""

    numbers: tuple[float, ...]
    """CARLA's fourteen."""


@dataclass(frozen=True)
class Collided:
    """Two actors touched; ``b`` is 0 for scenery."""

    a: int
    b: int
    impulse_ns: Vector
    """On ``a``, world frame."""


@dataclass(frozen=True)
class Detailed:
    """What a recording with additional data says of an actor when it is created."""

    id: int
    bounds: Wire
    """A BoundingBox as the calls carry it."""
    parameters: Wire
    """A vehicle's VehiclePhysicsControl, None for all else."""


Event: TypeAlias = Created | Destroyed | Mounted | LightShown | WeatherSet | Collided | Detailed
_KINDS = (Created, Destroyed, Mounted, LightShown, WeatherSet, Collided, Detailed)


def pack(events: Sequence[Event]) -> bytes:
    """The bytes of a frame's events."""
    # Attributes may hold bytes that are no UTF-8: the calls keep them as they came.
    packed: bytes = msgpack.packb(
        [[_KINDS.index(type(event)), *_fields(event)] for event in events],
        unicode_errors="surrogateescape",
    )
    return packed


def unpack(data: bytes) -> list[Event]:
    """The events of a frame.

    Raises:
        RecordingError: the bytes are something else.
    """
    try:
        rows = msgpack.unpackb(
            data, raw=False, strict_map_key=False, unicode_errors="surrogateescape"
        )
        return [_event(codec.read_list(row, "an event")) for row in codec.read_list(rows, "events")]
    except (ProtocolError, ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise RecordingError(f"a frame's events are not readable: {error}") from error


def _fields(event: Event) -> list[Wire]:
    match event:
        case Created(id, description, parent, pose, attachment, is_new):
            return [id, description.wire(), parent, list(pose), attachment, is_new]
        case Destroyed(id):
            return [id]
        case Mounted(id, pose):
            return [id, list(pose)]
        case LightShown(signal, state, elapsed_s, green_s, yellow_s, red_s, is_frozen):
            return [signal, state, elapsed_s, green_s, yellow_s, red_s, is_frozen]
        case WeatherSet(numbers):
            return [list(numbers)]
        case Collided(a, b, impulse_ns):
            return [a, b, list(impulse_ns)]
        case Detailed(id, bounds, parameters):
            return [id, bounds, parameters]


def _id(value: Wire) -> int:
    """An actor's number; one near the end of 32 bits would leave none for others."""
    number = codec.read_int(value, "an actor")
    if not 0 < number < 2**31:
        raise ValueError(f"expected an actor's number in 1..{2**31 - 1}, got {number}")
    return number


def _event(row: list[Wire]) -> Event:
    """One event; ``ProtocolError`` or ``ValueError`` when it has another shape."""
    kind, *rest = row
    integer, numbers = codec.read_int, codec.read_numbers
    match kind, rest:
        case 0, [id, description, parent, pose, attachment, is_new]:
            return Created(
                _id(id),
                codec.read_description(description),
                integer(parent, "a parent"),
                numbers(pose, 6, "a pose"),
                integer(attachment, "an attachment"),
                bool(is_new),
            )
        case 1, [id]:
            return Destroyed(_id(id))
        case 2, [id, pose]:
            return Mounted(_id(id), numbers(pose, 6, "a pose"))
        case 3, [signal, state, *times, is_frozen]:
            elapsed_s, green_s, yellow_s, red_s = numbers(times, 4, "a light's times")
            return LightShown(
                codec.read_text(signal, "a signal"), integer(state, "a light's state"),
                elapsed_s, green_s, yellow_s, red_s, bool(is_frozen),
            )  # fmt: skip
        case 4, [weather]:
            return WeatherSet(codec.read_weather(weather)[0])
        case 5, [a, b, impulse]:
            return Collided(
                integer(a, "an actor"),
                integer(b, "an actor"),
                codec.read_vector(impulse, "an impulse"),
            )
        case 6, [id, bounds, parameters]:
            return Detailed(_id(id), bounds, parameters)
    raise ValueError(f"event {kind!r} with {len(rest)} fields is not known")
