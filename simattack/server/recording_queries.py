"""What a recording tells, as text for people."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from simattack.server import codec
from simattack.server.playhead import TICK_S
from simattack.server.recording_events import (
    Collided,
    Created,
    Destroyed,
    Detailed,
    Event,
    LightShown,
    Mounted,
    Six,
    WeatherSet,
)
from simattack.server.recording_file import VERSION, Frame, Reader, rows

MAX_TEXT = 32 << 20
"""Characters of one answer."""
SAME_TOUCH_S = 0.5
"""Two actors that part for less than this have collided once."""
SCENERY = "scenery"
_COLORS = ("red", "yellow", "green", "off", "unknown")
_MASS = 11
"""Its place in a VehiclePhysicsControl."""


class Cast:
    """Who is in a recording, as its frames go by."""

    def __init__(self) -> None:
        self._types: dict[int, str] = {}
        self._heroes: set[int] = set()

    def meet(self, event: Event) -> None:
        """Takes note of an actor."""
        if isinstance(event, Created):
            self._types[event.id] = event.description.type_id
            for name, _, value in event.description.attributes:
                if (name, value) == ("role_name", "hero"):
                    self._heroes.add(event.id)

    def type_id(self, number: int) -> str:
        """Of an actor; 0 is scenery."""
        return self._types.get(number, "unknown") if number else SCENERY

    def is_in(self, number: int, category: str) -> bool:
        """Whether an actor is of a category: any, hero, vehicle, walker, traffic light, other."""
        type_id = self.type_id(number)
        kind = "o"
        for prefix, letter in (("vehicle.", "v"), ("walker.", "w"), ("traffic.traffic_light", "t")):
            if type_id.startswith(prefix):
                kind = letter
        return category in ("a", kind) or (category == "h" and number in self._heroes)

    def name(self, number: int) -> str:
        """How a text calls an actor."""
        mark = ", hero" if number in self._heroes else ""
        return f"{number} ({self.type_id(number)}{mark})" if number else SCENERY


def info(reader: Reader, is_complete: bool) -> str:
    """What happened in which frame; with ``is_complete`` also where everything was."""
    lines, size = _about(reader), 0
    cast = Cast()
    for frame in reader.frames():
        told = [line for event in frame.events for line in _tell(event, cast, is_complete)]
        if is_complete:
            told += _motion(frame, cast)
        if told:
            told = [f"Frame {frame.number} at {frame.time_s:.3f} s", *told]
            size += sum(map(len, told))
            if size > MAX_TEXT:
                lines.append(f"(the rest, from frame {frame.number} on, is too long to tell)")
                break
            lines += told
    lines += ["", *_length(reader)]
    return "\n".join(lines) + "\n"


def collisions(reader: Reader, first: str, second: str) -> str:
    """Each beginning of a touch between actors of two categories, one line each."""
    lines = _about(reader)
    lines.append(f"{'Time':>10}  {'Impulse':>12}  Actors")
    cast, count = Cast(), 0
    touched_s: dict[tuple[int, int], float] = {}
    for frame in reader.frames():
        for event in frame.events:
            cast.meet(event)
            if not isinstance(event, Collided):
                continue
            pair = (event.a, event.b)
            before_s = touched_s.get(pair)
            touched_s[pair] = frame.time_s
            # Contact lasts for many frames, with gaps of a few: the first one is the collision.
            is_first = before_s is None or frame.time_s - before_s > SAME_TOUCH_S
            if is_first and _fits(cast, pair, first, second):
                push = sum(part**2 for part in event.impulse_ns) ** 0.5
                names = f"{cast.name(event.a)} and {cast.name(event.b)}"
                lines.append(f"{frame.time_s:8.3f} s  {push:9.1f} Ns  {names}")
                count += 1
    lines += ["", f"Collisions: {count}", *_length(reader)]
    return "\n".join(lines) + "\n"


def _fits(cast: Cast, pair: tuple[int, int], first: str, second: str) -> bool:
    a, b = pair
    return any(
        cast.is_in(one, first) and cast.is_in(other, second) for one, other in ((a, b), (b, a))
    )


def blocked(reader: Reader, least_s: float, least_m: float) -> str:
    """Vehicles and walkers that stayed within ``least_m`` of a place for ``least_s``.

    The longest stay comes first.
    """
    cast = Cast()
    found: list[tuple[float, float, int]] = []
    stays: dict[int, tuple[tuple[float, float, float], float]] = {}

    def leave(number: int, now_s: float) -> None:
        since_s = stays.pop(number)[1]
        if now_s - since_s + TICK_S >= least_s:
            found.append((now_s - since_s, since_s, number))

    for frame in reader.frames():
        for event in frame.events:
            cast.meet(event)
            if isinstance(event, Destroyed) and event.id in stays:
                leave(event.id, frame.time_s)
        for number, place in _places(frame):
            if not (cast.is_in(number, "v") or cast.is_in(number, "w")):
                continue
            if number in stays:
                away = sum((a - b) ** 2 for a, b in zip(place, stays[number][0], strict=True))
                if away**0.5 < least_m:
                    continue
                leave(number, frame.time_s)
            stays[number] = (place, frame.time_s)
    for number in list(stays):
        leave(number, reader.duration_s)
    lines = _about(reader)
    lines.append(f"{'From':>10}  {'Duration':>10}  Actor")
    for lasted_s, since_s, number in sorted(found, key=lambda stay: (-stay[0], *stay[1:])):
        lines.append(f"{since_s:8.3f} s  {lasted_s:8.3f} s  {cast.name(number)}")
    lines += ["", f"Blocked: {len(found)}", *_length(reader)]
    return "\n".join(lines) + "\n"


def _places(frame: Frame) -> Iterator[tuple[int, tuple[float, float, float]]]:
    for number, (x, y, z, *_), *_ in rows(frame.tables().motion):
        yield number, (x, y, z)


def _about(reader: Reader) -> list[str]:
    """The first lines of every answer."""
    head = reader.head
    # The file's own date: with one inside, two recordings of one drive would differ.
    written = datetime.datetime.fromtimestamp(reader.path.stat().st_mtime)
    lines = [
        f"Recording: {reader.path.name}",
        f"Version: {VERSION}, by {head.made_by}",
        f"Map: {head.map} (OpenDRIVE SHA-256 {head.digest.hex()[:16]})",
        f"Date: {written:%Y-%m-%d %H:%M:%S}",
        f"Additional data: {'yes' if head.is_additional else 'no'}",
        f"End: {reader.ending or 'none (still being written, or its server was killed)'}",
    ]
    if reader.damage:
        lines.append(f"Damage: {reader.damage}; what comes after is left out")
    return [*lines, ""]


def _length(reader: Reader) -> list[str]:
    return [f"Frames: {len(reader)}", f"Duration: {reader.duration_s:g} seconds"]


def _tell(event: Event, cast: Cast, is_complete: bool) -> list[str]:
    """What an event is in words; nothing for one that only repeats what a key frame needs."""
    cast.meet(event)
    match event:
        case Created(number, description, parent, pose, _, is_new):
            if not is_new:
                return []
            place = f" on {cast.name(parent)}" if parent else ""
            lines = [f"  Create {cast.name(number)}{place} at {_spot(pose)}"]
            return lines + [f"    {name} = {value}" for name, _, value in description.attributes]
        case Destroyed(number):
            return [f"  Destroy {cast.name(number)}"]
        case Mounted(number, pose):
            return [f"  Mount {cast.name(number)} at {_spot(pose)}"]
        case Collided(a, b):
            return [f"  Collision between {cast.name(a)} and {cast.name(b)}"]
    if not is_complete:
        return []
    match event:
        case LightShown(signal, state, elapsed_s):
            color = _COLORS[state] if 0 <= state < len(_COLORS) else str(state)
            frozen = ", frozen" if event.is_frozen else ""
            return [f"  Traffic light {signal}: {color} for {elapsed_s:.2f} s{frozen}"]
        case WeatherSet(numbers):
            named = zip(codec.WEATHER_FIELDS, numbers, strict=True)
            return ["  Weather: " + ", ".join(f"{name} {value:g}" for name, value in named)]
        case Detailed(number, bounds, parameters):
            return [f"  Details of {cast.name(number)}: {_details(bounds, parameters)}"]
    return []


def _details(bounds: codec.Wire, parameters: codec.Wire) -> str:
    match bounds:
        case [_, [x, y, z], *_]:
            text = f"half size {x}, {y}, {z} m"
        case _:
            text = "no box"
    if isinstance(parameters, list) and len(parameters) > _MASS:
        text += f", mass {parameters[_MASS]} kg"
    return text


def _motion(frame: Frame, cast: Cast) -> list[str]:
    tables = frame.tables()
    lines = []
    for number, pose, velocity, *_ in rows(tables.motion):
        x, y, z = velocity
        lines.append(
            f"  {cast.name(number)} at {_spot(pose)} moves by ({x:.2f}, {y:.2f}, {z:.2f}) m/s"
        )
    for number, (throttle, steer, brake), flags, gear in rows(tables.controls):
        lines.append(
            f"  {cast.name(number)} throttle {throttle:.3f} steer {steer:.3f} brake {brake:.3f} "
            f"flags {flags} gear {gear}"
        )
    for number, direction, speed, _ in rows(tables.walks):
        x, y, z = direction
        lines.append(
            f"  {cast.name(number)} walks to ({x:.2f}, {y:.2f}, {z:.2f}) at {speed:.2f} m/s"
        )
    for number, flags in rows(tables.lamps):
        lines.append(f"  {cast.name(number)} lamps {flags}")
    return lines


def _spot(pose: Six | list[float]) -> str:
    x, y, z, pitch, yaw, roll = pose
    return f"({x:.2f}, {y:.2f}, {z:.2f}) turned ({pitch:.1f}, {yaw:.1f}, {roll:.1f})"
