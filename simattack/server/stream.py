"""The streaming port's bytes: tokens, subscriptions, message headers and the world snapshot.

Everything is packed little-endian without padding. Pure functions and buffers; no sockets.
Angles arrive here in degrees already (``codec`` converts), as the client shows them.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from typing import Protocol

WORLD_STREAM = 1
"""The stream of snapshots. It keeps its number over episodes, so that connected clients survive
a change of the map."""

SENSOR_TYPES: dict[str, int] = {
    "sensor.other.collision": 0,
    "sensor.camera.depth": 1,
    "sensor.camera.normals": 2,
    "sensor.camera.dvs": 3,
    "sensor.other.gnss": 4,
    "sensor.other.imu": 5,
    "sensor.other.obstacle": 7,
    "sensor.camera.optical_flow": 8,
    "sensor.other.radar": 9,
    "sensor.lidar.ray_cast_semantic": 10,
    "sensor.lidar.ray_cast": 11,
    "sensor.camera.rgb": 13,
    "sensor.camera.semantic_segmentation": 14,
    "sensor.camera.instance_segmentation": 15,
}
"""CARLA 0.9.16's registry, without those that the client computes itself."""
WORLD_OBSERVER = 17

SIX_ZEROS = (0.0,) * 6
ACTIVE = 1
"""Of ActorState: the actor lives."""

_LARGE_BYTES = 16_384
"""From here on a copy costs more than a write."""
_LENGTH = struct.Struct("<I")
_TOKEN = struct.Struct("<IHBB4s12x")
_HEADER = struct.Struct("<QQd6f")
_EPISODE = struct.Struct("<QdfiiiI")
_IMAGE = struct.Struct("<IIf")
_ACTOR = struct.Struct("<IB6f3f3f3f54s")
_VEHICLE = struct.Struct("<3f???ifB?IB")
_WALKER = struct.Struct("<4f?")
_LIGHT = struct.Struct("<32s4fI?B")
_SIGN = struct.Struct("<32s")

SUBSCRIPTION_BYTES = _LENGTH.size
HEADER_BYTES = _HEADER.size
ACTOR_BYTES = _ACTOR.size
MAP_CHANGED, LAMP_CHANGED = 1, 2
"""Bits of the snapshot's simulation state: the client fetches the map, or all lamps, again."""


def token(stream: int, port: int, host: str) -> bytes:
    """Where a client finds a stream: 24 bytes, TCP over IPv4.

    Of a server that listens on every address (0.0.0.0) it names none: the client then goes to the
    host that it called.
    """
    address = IPv4Address(host)
    is_named = not address.is_unspecified
    return _TOKEN.pack(stream, port, 1, int(is_named), address.packed)


def subscription(data: bytes) -> int:
    """The stream that a client's first four bytes ask for."""
    (number,) = _LENGTH.unpack(data)
    return int(number)


def length(parts: Sequence[bytes | memoryview]) -> bytes:
    """The prefix of a message made of ``parts``."""
    return _LENGTH.pack(sum(len(part) for part in parts))


def joined(
    parts: Sequence[bytes | memoryview],
) -> tuple[bytes, Sequence[bytes | memoryview]]:
    """A message made of ``parts`` as it is written: its prefix and the small parts it begins with
    in one piece, and what is left from its first large part on.
    """
    small = next((i for i, part in enumerate(parts) if len(part) > _LARGE_BYTES), len(parts))
    return b"".join([length(parts), *parts[:small]]), parts[small:]


def header(
    sensor_type: int, frame: int, time_s: float, transform: Sequence[float] = SIX_ZEROS
) -> bytes:
    """The head of every message; ``transform`` is x, y, z [m], pitch, yaw, roll [deg], world."""
    return _HEADER.pack(sensor_type, frame, time_s, *transform)


def image_head(width_px: int, height_px: int, fov_deg: float) -> bytes:
    """What stands between the header and the pixels of a camera's message."""
    return _IMAGE.pack(width_px, height_px, fov_deg)


def vehicle_state(
    control: Sequence[float],
    speed_limit_kmh: float,
    light_state: int,
    light_id: int,
    failure: int = 0,
) -> bytes:
    """What the snapshot says of a vehicle.

    Args:
        control: throttle, steer, brake, hand brake, reverse, manual gear shift, gear.
        speed_limit_kmh: of the road below it.
        light_state: of the traffic light that holds it; 2 (green) where none does.
        light_id: that traffic light's actor, 0 for none.
        failure: VehicleFailureState.
    """
    throttle, steer, brake, hand_brake, reverse, manual, gear = control
    return _VEHICLE.pack(
        throttle, steer, brake, hand_brake, reverse, manual, gear,
        speed_limit_kmh, light_state, light_id != 0, light_id, failure,
    )  # fmt: skip


def walker_state(direction: Sequence[float], speed_mps: float, is_jumping: bool) -> bytes:
    """What the snapshot says of a walker."""
    return _WALKER.pack(*direction, speed_mps, is_jumping)


def light_state(
    sign: str,
    green_s: float,
    yellow_s: float,
    red_s: float,
    elapsed_s: float,
    pole: int,
    is_frozen: bool,
    state: int,
) -> bytes:
    """What the snapshot says of a traffic light; ``sign`` is its id in the OpenDRIVE map."""
    return _LIGHT.pack(
        sign.encode()[:31], green_s, yellow_s, red_s, elapsed_s, pole, is_frozen, state
    )


def sign_state(sign: str) -> bytes:
    """What the snapshot says of a traffic sign."""
    return _SIGN.pack(sign.encode()[:31])


class Snapshot:
    """The world's message of one tick: a row of 119 bytes an actor, kept from tick to tick.

    Only rows that changed are packed again: most actors are lights, signs and sensors that stay
    where they are.
    """

    _HEAD = HEADER_BYTES + _EPISODE.size

    def __init__(self) -> None:
        self._bytes = bytearray(self._HEAD)
        self._rows: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def put(
        self,
        actor: int,
        transform: Sequence[float],
        velocity: Sequence[float] = (0.0, 0.0, 0.0),
        angular_velocity: Sequence[float] = (0.0, 0.0, 0.0),
        acceleration: Sequence[float] = (0.0, 0.0, 0.0),
        state: bytes = b"",
    ) -> None:
        """Writes an actor's row, a new one at the end.

        Args:
            actor: its id.
            transform: x, y, z [m], pitch, yaw, roll [deg], world frame.
            velocity: (3,) [m/s], world frame.
            angular_velocity: (3,) [deg/s].
            acceleration: (3,) [m/s2], world frame.
            state: out of ``vehicle_state`` and its siblings.
        """
        offset = self._rows.get(actor)
        if offset is None:
            offset = self._rows[actor] = len(self._bytes)
            self._bytes.extend(bytes(ACTOR_BYTES))
        _ACTOR.pack_into(
            self._bytes, offset, actor, ACTIVE, *transform,
            *velocity, *angular_velocity, *acceleration, state,
        )  # fmt: skip

    def drop(self, actor: int) -> None:
        """Takes an actor's row out; the others keep their order."""
        offset = self._rows.pop(actor)
        del self._bytes[offset : offset + ACTOR_BYTES]
        for other, place in self._rows.items():
            if place > offset:
                self._rows[other] = place - ACTOR_BYTES

    def clear(self) -> None:
        """Forgets all actors."""
        del self._bytes[self._HEAD :]
        self._rows.clear()

    def message(
        self,
        episode: int,
        frame: int,
        time_s: float,
        delta_s: float,
        platform_time_s: float,
        is_map_new: bool,
        is_lamp_new: bool = False,
    ) -> bytes:
        """The payload to send for ``frame``; with ``is_lamp_new`` clients ask for all lamps."""
        _HEADER.pack_into(self._bytes, 0, WORLD_OBSERVER, frame, time_s, *SIX_ZEROS)
        changes = (MAP_CHANGED if is_map_new else 0) | (LAMP_CHANGED if is_lamp_new else 0)
        _EPISODE.pack_into(
            self._bytes, HEADER_BYTES, episode, platform_time_s, delta_s, 0, 0, 0, changes
        )
        return bytes(self._bytes)


class Subscriber(Protocol):
    """One client's connection to one stream."""

    def send(self, parts: Sequence[bytes | memoryview], is_lossy: bool) -> None:
        """Hands a message over; with ``is_lossy`` a client that lags behind misses it."""
        ...


class Streams:
    """Which streams exist, who listens, and who is about to.

    A client learns from the call ``get_sensor_token`` where to connect and goes on before it has.
    A tick in between would be lost to it, so such a stream counts as *expected* until its
    connection has come.
    """

    def __init__(self) -> None:
        self.is_lossy = True
        self.is_renewing = False
        """Whether a client has loaded a world and not connected to its snapshots again.

        It still has its old connection then. A snapshot of the new episode on that one makes two
        threads of CARLA's client close it at once, which ends the process.
        """
        self.on_settled: Callable[[], None] = lambda: None
        """Called when the last expected connection has come."""
        self._listeners: dict[int, list[Subscriber]] = {WORLD_STREAM: []}
        self._expected: Counter[int] = Counter()
        self._next = WORLD_STREAM + 1

    def open(self) -> int:
        """A new stream's number; numbers are never used twice, for old listeners stay."""
        number = self._next
        self._next += 1
        self._listeners[number] = []
        return number

    def close(self, stream: int) -> None:
        """Ends a stream; its connections stay open and silent.

        A client whose connection is closed while it listens reconnects at once, for ever.
        """
        self._listeners.pop(stream, None)
        self._forget(stream, self._expected[stream])

    def expect(self, stream: int) -> None:
        """Somebody was told where to find the stream."""
        if stream in self._listeners and stream != WORLD_STREAM:
            self._expected[stream] += 1

    @property
    def is_settled(self) -> bool:
        """Whether no connection is expected."""
        return not self._expected

    def give_up(self) -> None:
        """Stops expecting connections that did not come."""
        self._expected.clear()
        self.on_settled()

    def subscribe(self, stream: int, subscriber: Subscriber) -> None:
        """Adds a listener; one to a stream that does not exist hears nothing."""
        if stream == WORLD_STREAM:
            self.is_renewing = False
        if stream in self._listeners:
            self._listeners[stream].append(subscriber)
            self._forget(stream, 1)

    def unsubscribe(self, stream: int, subscriber: Subscriber) -> None:
        """Takes a listener out, if it is one."""
        listeners = self._listeners.get(stream, [])
        if subscriber in listeners:
            listeners.remove(subscriber)

    def has_listeners(self, stream: int) -> bool:
        """Whether anybody would get what is sent."""
        return bool(self._listeners.get(stream))

    def send(self, stream: int, parts: Sequence[bytes | memoryview]) -> None:
        """One message for everybody who listens."""
        for listener in self._listeners.get(stream, ()):
            listener.send(parts, self.is_lossy)

    def _forget(self, stream: int, count: int) -> None:
        if stream in self._expected:
            self._expected[stream] -= count
            if self._expected[stream] <= 0:
                del self._expected[stream]
            if not self._expected:
                self.on_settled()
