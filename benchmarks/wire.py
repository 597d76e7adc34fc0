"""Calls made of any bytes, and a world without pictures to try them on.

Both the fuzzer and the tests turn bytes into calls with this, so that what one finds the other can
keep: the same bytes are the same calls. About half of the values in a call are what CARLA's client
would send; the others are of a wrong type, size or number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

import msgpack

from simattack.errors import ProtocolError
from simattack.server import maps, stream
from simattack.server.codec import Settings
from simattack.server.methods import METHODS, perform
from simattack.server.render import Renderer
from simattack.server.rpc import Call, Rpc, Unanswerable
from simattack.server.world import World

NASTY: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 255, 2**31, 2**32 - 1, 2**63, 2**64 - 1, -(2**63),
    0.0, -0.0, 0.5, -1e-320, 1e5, 1e12, 3e38, -3e38, 1e39, 1.7e308, math.nan, math.inf, -math.inf,
    "", "town", "x" * 300, "\udc80", "a/../..", b"", b"\x00" * 9, [], [[]], [None], {}, {"a": 1},
    [0, 0, 0], [1e308] * 3, [[[[[[]]]]]], [False], [True], [True, [1]], [1, 2, 3, 4, 5, 6, 7],
)  # fmt: skip
"""What stands where something else belongs."""
_LIGHT, FIRST = 2, 30
"""The traffic light's id, and the car's; the walker, the board and the IMU follow."""
_MAP = """<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="" version="1">
<geoReference>+proj=tmerc +lat_0=49 +lon_0=2</geoReference></header>
<road name="" length="120" id="1" junction="-1"><link/>
<planView><geometry s="0" x="0" y="0" hdg="0" length="120"><line/></geometry></planView>
<lanes><laneSection s="0"><center><lane id="0" type="none" level="false"/></center><right>
<lane id="-1" type="driving" level="false"><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane>
<lane id="-2" type="sidewalk" level="false"><width sOffset="0" a="2" b="0" c="0" d="0"/></lane>
</right></laneSection></lanes>
<signals><signal id="7" s="100" t="-6" zOffset="0" hOffset="0" name="light" dynamic="yes"
orientation="+" type="1000001" subtype="-1" value="-1" height="1" width="1" country="OpenDRIVE">
<validity fromLane="-1" toLane="-1"/></signal></signals></road>
<controller id="1" name="c"><control signalId="7" type=""/></controller></OpenDRIVE>"""
_PLACE, _TURN = [60.0, -1.5, 0.5], [0.0, 90.0, 0.0]
_POSE = [_PLACE, _TURN]
_CAR = [0, "vehicle.lincoln.mkz_2020", [["color", 5, "10,20,30"]]]
_WALKER = [0, "walker.pedestrian.0001", [["speed", 3, "1.4"]]]
_IMU = [0, "sensor.other.imu", [["sensor_tick", 3, "0.0"]]]
_BOARD = [0, "static.prop.mesh", [["mass", 3, "1.0"]]]
_CONTROL = [0.5, 0.1, 0.0, False, False, False, 0]
_COMMANDS = [
    [0, [_CAR, _POSE, [False], 96, "", []]],
    [0, [_IMU, _POSE, [True, 30], 0, "", [[[6, [0, _POSE]]]]]],
    [2, [30, _CONTROL]],
    [4, [31, [[1.0, 0.0, 0.0], 1.4, False]]],
    [6, [30, _POSE]],
    [7, [31, _POSE, 1.4]],
    [8, [30, [3.0, 0.0, 0.0]]],
    [18, [30, 4]],
    [21, [_LIGHT, 1]],
    [1, [32]],
]
_WHEEL = [1.0, 0.25, 69.0, 35.0, 1500.0, 3000.0, 2.0, 17.0, 1000.0, [130.0, 80.0, 30.0]]
_PHYSICS = [
    [[0.0, 500.0], [5000.0, 400.0]], 5000.0, 1.0, 0.15, 2.0, 0.35, True, 0.5, 10.0, 4.0,
    [[4.25, 0.5, 0.65]], 1800.0, 0.3, [0.0, 0.0, 0.0], [[0.0, 1.0], [120.0, 0.7]],
    [_WHEEL] * 4, True,
]  # fmt: skip
_SHAPE = [[1, [_PLACE, [0.0, 0.0, 9.0], 0.1]], [255, 0, 0], 5.0, False]
_CALLS: dict[str, list[Any]] = {
    "get_sensor_token": [2],
    "set_episode_settings": [Settings(True, False, 0.05).wire()],
    "load_new_episode": ["town", True, 65535],
    "copy_opendrive_to_file": ["<OpenDRIVE/>", [2.0, 50.0, 1.0, 0.6, True, True, True]],
    "set_weather_parameters": [[10.0] * 14],
    "get_actors_by_id": [[1, 30]],
    "spawn_actor": [_CAR, _POSE],
    "spawn_actor_with_parent": [_IMU, _POSE, 30, 0, ""],
    "set_actor_location": [30, _PLACE],
    "set_actor_transform": [30, _POSE],
    "apply_control_to_vehicle": [30, _CONTROL],
    "apply_ackermann_control_to_vehicle": [30, [0.1, 0.0, 5.0, 1.0, 0.0]],
    "apply_ackermann_controller_settings": [30, [0.15, 0.0, 0.25, 0.01, 0.0, 0.01]],
    "apply_physics_control": [30, _PHYSICS],
    "set_vehicle_light_state": [30, [4]],
    "apply_control_to_walker": [31, [[1.0, 0.0, 0.0], 1.4, False]],
    "set_bones_transform": [31, [[["crl_root", _POSE]]]],
    "get_bones_transform": [31],
    "blend_pose": [31, 0.5],
    "get_pose_from_animation": [31],
    "set_actor_dead": [31],
    "draw_debug_shape": [_SHAPE],
    "update_lights_state": ["127.0.0.1:1", [[1, _PLACE, 10.0, 2, [255, 0, 0], True]], False],
    "query_lights_state": ["127.0.0.1:1"],
    "update_day_night_cycle": ["127.0.0.1:1", True],
    "enable_environment_objects": [[1, 2], False],
    "project_point": [_PLACE, [0.0, 0.0, -1.0], 100.0],
    "cast_ray": [_PLACE, [0.0, 0.0, -9.0]],
    "get_all_level_BBs": [8],
    "get_environment_objects": [8],
    "apply_color_texture_to_objects": [["Actor_32"], 2, [1, 1, [[1, 2, 3, 4]]]],
    "apply_float_color_texture_to_objects": [["Actor_32"], 2, [1, 1, [[0.1, 0.2, 0.3, 1.0]]]],
    "apply_batch": [[[row] for row in _COMMANDS], False],
    "replay_file": ["x", 0.0, 0.0, 0, False, _POSE],
    "add_traffic_manager_running": [["127.0.0.1", 8000]],
    "get_required_files": [""],
    "request_file": ["town.bin"],
    "send": [30, "x"],
    "set_ignored_vehicles": [33, [30]],
    "set_actor_autopilot": [30, True],
    "set_wheel_steer_direction": [30, 0, 10.0],
    "set_wheel_pitch_angle": [30, 0, 10.0],
}
"""What CARLA's client sends; calls that are not here take an actor, a number and a vector."""
_LIGHT_CALLS = ("traffic_light", "light_boxes")
_ASKING = ("get_", "show_", "is_", "are_", "query_", "version", "request_file", "cast_ray")
"""What calls begin with that change nothing."""
_STEP = Settings(True, False, 0.01)
"""As short as one step of physics, for speed."""
NAMES = sorted(METHODS)


class NoPictures:
    """A renderer that draws nothing: no fault of a call is sought in OpenGL."""

    gl_renderer = "none"

    def load(self, road: object, town: object) -> None:
        """Nothing to build."""

    def paint(self, name: str, rgba: object, is_single: bool = False) -> None:
        """Nothing to show."""

    def forget(self, name: str) -> None:
        """Nothing to hide."""


class Sink:
    """A listener that throws away what it hears."""

    def send(self, parts: object, is_lossy: bool) -> None:
        """Into nothing."""


def make_world() -> World:
    """One street by the town's name, for speed, with a car, a walker, a board and an IMU on it."""
    atlas = maps.Maps()
    place = atlas.of_text(_MAP, maps.DEFAULT)
    token = stream.token(1, 2001, "127.0.0.1")
    world = World(atlas, place, cast(Renderer, NoPictures()), lambda number: token)
    furnish(world)
    return world


def furnish(world: World) -> None:
    """Puts the four actors back where they begin, and nothing else beside the map's own."""
    for number in [number for number in world.actors if number >= FIRST]:
        if number in world.actors:  # what was fixed to another goes with it
            world.destroy(world.actors[number])
    world.apply_settings(_STEP)
    world.traffic_managers.clear()
    world.pending = None
    world.drawings.clear()
    # Calls name them by number, whatever was there before; no client keeps an old one here.
    world._next_id = FIRST
    points = world.road.spawn_points
    for number, (row, at) in enumerate(zip((_CAR, _WALKER, _BOARD, _IMU), points, strict=False)):
        pose = [[at.x_m, at.y_m, at.z_m], [0.0, 0.0, 0.0]]
        answer = perform(world, Call(number, "spawn_actor", (row, pose)))
        if answer[0][0] != 1 or answer[0][1][0] != FIRST + number:
            raise RuntimeError(f"expected actor {FIRST + number}, got {answer}")
    world.subscribe(world.actors[FIRST + 3].stream, Sink())


def is_furnished(world: World) -> bool:
    """Whether there still is what calls name, and not much else."""
    own = range(FIRST, FIRST + 4)
    return all(number in world.actors for number in own) and len(world.actors) < 200


class Source:
    """Choices out of bytes; 0 when they have run out."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def pick(self, count: int) -> int:
        """A number below ``count``, which is at most 256."""
        self._at += 1
        return self._data[self._at - 1] % count if self._at <= len(self._data) else 0


def _spoilt(value: Any, source: Source) -> Any:
    """The value, or that value with something in it that does not belong there."""
    if not source:
        return value
    choice = source.pick(8)
    if choice == 0:
        return NASTY[source.pick(len(NASTY))]
    if isinstance(value, list) and value:
        if choice == 1:
            return value[:-1]
        if choice == 2:
            return [*value, NASTY[source.pick(len(NASTY))]]
        at = source.pick(min(len(value), 256))
        return [*value[:at], _spoilt(value[at], source), *value[at + 1 :]]
    return NASTY[source.pick(len(NASTY))] if choice < 4 else value


def usual(name: str) -> list[Any]:
    """Arguments that CARLA's client could send."""
    if name in _CALLS:
        return list(_CALLS[name])
    actor = _LIGHT if any(part in name for part in _LIGHT_CALLS) else 30
    return [actor, 1, _PLACE, 1.0, "x", "x", "x"][: METHODS[name].most]


def message(source: Source, number: int) -> bytes:
    """One call as it lies on the wire; about one in eight is no call at all."""
    name = NAMES[source.pick(len(NAMES))]
    args = usual(name)
    for _ in range(source.pick(4)):
        args = _spoilt(args, source)
        if not isinstance(args, list):
            args = [args]
    row: Any = [0, number, name, [[False], *args]]
    if source.pick(16) == 1:
        row = _spoilt(row, source)
    packed: bytes = msgpack.packb(row, unicode_errors="surrogateescape")
    return packed[: source.pick(256)] if source.pick(24) == 1 else packed


def calls(data: bytes) -> bytes:
    """A few calls, one after the other; the first byte says whether ``data`` is meant itself."""
    if data[:1] == b"\x00":
        return data[1:]
    source, out = Source(data[1:]), b""
    for number in range(4):
        if source:
            out += message(source, number)
    return out


def try_wire(world: World, wire: bytes) -> list[str]:
    """Lets a client send bytes, then ticks; what became of each call.

    Whatever is raised here is a fault: a client's bytes are answered, refused, or cost the client
    its connection.
    """
    rpc, told, is_changed = Rpc(), list[str](), False
    half = len(wire) // 2
    for part in (wire[:half], wire[half:]):
        try:
            found = rpc.feed(part)
        except ProtocolError:
            told.append("dropped")
            break
        for call in found:
            try:
                answer = rpc.reply(call, perform(world, call))
            except Unanswerable as refusal:
                answer = rpc.fail(call, str(refusal))
                told.append("refused")
            else:
                told.append("answered")
                is_changed |= not call.method.startswith(_ASKING)
            if not isinstance(answer, bytes):
                raise TypeError(f"expected an answer as bytes, got {answer!r}")
    # Of all that is done here, a tick takes longest by far.
    if is_changed:
        world.tick()
        look_on(world)
        if not is_furnished(world):
            furnish(world)
    return told


def look_on(world: World) -> None:
    """Reads what another client would be told, of the types that its own code takes.

    Raises:
        ValueError: that client would stop with ``std::bad_cast``.
    """
    settings = world.settings.wire()
    lights = perform(world, Call(0, "get_vehicle_light_states", ()))[0][1]
    lamps = perform(world, Call(0, "query_lights_state", ("",)))[0][1]
    rows = perform(world, Call(0, "get_actors_by_id", (list(world.actors),)))[0][1]
    checks: dict[str, Iterable[bool]] = {
        "settings": map(_alike, settings, Settings().wire()),
        "light states": (_is_u32(flags) for _, flags in lights),
        "lamps": (0 <= row[3] < 256 and math.isfinite(row[2]) for row in lamps),
        "actors": (_is_u32(row[2][0]) and isinstance(row[2][1], str) for row in rows),
        "weather": (math.isfinite(value) for value in world.weather_numbers),
    }
    for what, are_right in checks.items():
        if not all(are_right):
            raise ValueError(f"another client cannot read the {what}")


def _alike(value: Any, usual: Any) -> bool:
    """Whether a client that expects the one can read the other: integers pass as floats."""
    if isinstance(usual, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(usual)


def _is_u32(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 2**32
