"""Remote calls about recordings: make one, ask what is in it, replay it."""

from __future__ import annotations

from simattack.errors import RecordingError
from simattack.server import codec, recording_queries
from simattack.server.codec import Wire
from simattack.server.methods_table import Table
from simattack.server.recording_file import Reader
from simattack.server.recordings import Recordings
from simattack.server.replayer import Wish
from simattack.server.world import Refusal, World

RECORDER = Table()
CATEGORIES = "avwtoh"
_CM_PER_M = 100.0


def shelf(world: World) -> Recordings:
    """The recordings of the world's server; ``Refusal`` when it keeps none."""
    if world.recordings is None:
        raise Refusal("this server keeps no recordings")
    return world.recordings


def _open(world: World, name: Wire) -> Reader:
    return shelf(world).open(codec.read_text(name, "a recording's name"))


# Make


@RECORDER.value
def start_recorder(world: World, name: Wire, is_additional: Wire = False) -> Wire:
    try:
        path = shelf(world).start(
            world, codec.read_text(name, "a recording's name"), bool(is_additional)
        )
    except RecordingError as error:
        raise Refusal(str(error)) from error
    return str(path)


@RECORDER.void
def stop_recorder(world: World) -> None:
    shelf(world).stop()


# Ask


@RECORDER.value
def show_recorder_file_info(world: World, name: Wire, is_complete: Wire = False) -> Wire:
    try:
        with _open(world, name) as reader:
            return recording_queries.info(reader, bool(is_complete))
    except RecordingError as error:
        raise Refusal(str(error)) from error


@RECORDER.value
def show_recorder_collisions(world: World, name: Wire, first: Wire, second: Wire) -> Wire:
    letters = _category(first), _category(second)
    try:
        with _open(world, name) as reader:
            return recording_queries.collisions(reader, *letters)
    except RecordingError as error:
        raise Refusal(str(error)) from error


def _category(code: Wire) -> str:
    """A kind of actor, which travels as the code of a letter."""
    code = codec.read_int(code, "a category")
    letter = chr(code) if 0 <= code < 128 else ""
    if not letter or letter not in CATEGORIES:
        raise Refusal(
            f"expected a category of {', '.join(CATEGORIES)} (any, vehicle, walker, traffic "
            f"light, other, hero), got {letter or code!r}"
        )
    return letter


@RECORDER.value
def show_recorder_actors_blocked(world: World, name: Wire, least_s: Wire, least_cm: Wire) -> Wire:
    time_s = codec.read_float(least_s, "a time")
    away_m = codec.read_float(least_cm, "a distance") / _CM_PER_M
    try:
        with _open(world, name) as reader:
            return recording_queries.blocked(reader, time_s, away_m)
    except RecordingError as error:
        raise Refusal(str(error)) from error


# Replay


@RECORDER.value
def replay_file(
    world: World,
    name: Wire,
    start: Wire,
    duration: Wire,
    follow: Wire,
    has_sensors: Wire = False,
    offset: Wire = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
) -> Wire:
    wish = Wish(
        codec.read_float(start, "a start"),
        codec.read_float(duration, "a duration"),
        codec.read_int(follow, "an actor"),
        bool(has_sensors),
        codec.read_pose(offset),
    )
    try:
        replayer = shelf(world).replay(world, codec.read_text(name, "a recording's name"), wish)
    except RecordingError as error:
        raise Refusal(str(error)) from error
    return f"Replaying {name} from {replayer.start_s:g} s to {replayer.end_s:g} s\n"


@RECORDER.void
def stop_replayer(world: World, is_keeping: Wire) -> None:
    shelf(world).stop_replay(world, bool(is_keeping))


@RECORDER.void
def set_replayer_time_factor(world: World, factor: Wire) -> None:
    factor = codec.read_float(factor, "a time factor")
    if factor < 0:
        raise Refusal(f"expected a time factor >= 0, got {factor}")
    shelf(world).options.time_factor = factor


@RECORDER.void
def set_replayer_ignore_hero(world: World, is_ignored: Wire) -> None:
    shelf(world).options.is_hero_ignored = bool(is_ignored)


@RECORDER.void
def set_replayer_ignore_spectator(world: World, is_ignored: Wire) -> None:
    shelf(world).options.is_spectator_ignored = bool(is_ignored)
