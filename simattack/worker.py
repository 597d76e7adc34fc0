"""What one worker process does: take a job, run its episode, keep its recording, report.

A worker has a session, and by it an embedded server, of its own. It ends when its supervisor
closes the pipe, and closes its server first.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from simattack.errors import (
    CalibrationError,
    ConfigError,
    MapError,
    PatchError,
    ServerGone,
    SetupError,
    SimattackError,
    WeightsError,
)
from simattack.places import Place as MapPlace
from simattack.recording import Place, Recorder, Recording
from simattack.scenario import Arm, Conditions, Scenario
from simattack.types import CarInfo, EpisodeResult, Floats, Route, Surface

if TYPE_CHECKING:
    from simattack.session import Session

# These would meet every episode alike: running on would fill the results with one mistake. What an
# attack's budget allows may hang on whom a seed draws, and was tried once before the first drive.
_HOPELESS = (
    CalibrationError,
    ConfigError,
    MapError,
    PatchError,
    WeightsError,
)


class World(Protocol):
    """The part of a session that a worker itself uses."""

    def stop_line(self, surface_name: str) -> Floats: ...

    def surface(self, name: str) -> Surface: ...

    @property
    def road(self) -> Roads: ...

    def lights_of(self, route: Route) -> Lights: ...


class Roads(Protocol):
    """The lanes of the map."""

    def place_route(self, place: MapPlace, start_m: float = 0.0) -> Route: ...


class Lights(Protocol):
    """The traffic lights on a route."""

    lines_m: tuple[Floats, ...]


class RunsEpisode(Protocol):
    """What ``episode.run_episode`` is."""

    def __call__(
        self,
        session: Any,
        scenario: Scenario,
        conditions: Conditions,
        arm: Arm,
        seed: int,
        recorder: Recorder | None = None,
    ) -> EpisodeResult: ...


@dataclass(frozen=True)
class Job:
    """One episode to run and where its recording goes."""

    key: str
    scenario: Scenario
    arm: Arm
    seed: int
    conditions: Conditions
    trace: Path
    media: Path | None = None
    """Film and pictures go to this name with endings after it; None films nothing."""


@dataclass(frozen=True)
class Tools:
    """What a worker works with; picklable, so functions of modules only."""

    open_world: Callable[[str], AbstractContextManager[World]]
    """From a map's file or name to a session in which it is loaded."""
    run_episode: RunsEpisode
    prepare: Callable[[], None] | None = None
    """Called once as the process starts."""


@dataclass(frozen=True)
class Report:
    """What a worker says.

    ``ready``: waits for its first job. ``done``: has a result. ``gone``: the server vanished,
    nothing was measured. ``failed``: the episode cannot be run, now or again. ``hopeless``: no
    episode can be run.
    """

    kind: str
    result: EpisodeResult | None = None
    wall_s: float = 0.0
    message: str = ""
    error: str = ""
    """Name of the exception's class."""
    details: str = field(default="", repr=False)
    """The traceback, if it is a bug."""


def open_embedded(map_name: str) -> Session:
    """An embedded server of the worker's own."""
    from simattack.session import Session

    return Session.launch(map_name)


@dataclass(frozen=True)
class OpenRemote:
    """Somebody's running server."""

    host: str
    port: int

    def __call__(self, map_name: str) -> Session:
        from simattack.session import Session

        return Session.connect(self.host, self.port, map_name)


def run_episode(
    session: Any,
    scenario: Scenario,
    conditions: Conditions,
    arm: Arm,
    seed: int,
    recorder: Recorder | None = None,
) -> EpisodeResult:
    """The real episode; imported when the first one runs."""
    from simattack import episode

    return episode.run_episode(session, scenario, conditions, arm, seed, recorder)


def one_thread() -> None:
    """Torch on one thread: as many workers as cores, and the same sums whatever their number."""
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)


def work(pipe: Connection, tools: Tools) -> None:
    """The life of a worker process."""
    # The supervisor decides when a run ends; Ctrl-C reaches the whole process group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if tools.prepare is not None:
        tools.prepare()
    with Bench(tools) as bench:
        try:
            pipe.send(Report("ready"))
            while (job := pipe.recv()) is not None:
                pipe.send(bench.run(job))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # the supervisor is gone


def _end_with(parent: int) -> None:
    """End this process, in the middle of an episode if need be, once its parent is gone."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)


class Bench:
    """Keeps a session between jobs for as long as they need the same map."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._open = ExitStack()
        self._world: World | None = None
        self._map = ""
        self._has_run = False

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def run(self, job: Job) -> Report:
        started = time.monotonic()
        try:
            result = self._run(job)
        except ServerGone as error:
            self._close()
            return _report("gone", error)
        except SetupError as error:
            # Where a server has run before, one that does not get ready was killed as it started.
            return _report("gone" if self._has_run else "hopeless", error)
        except _HOPELESS as error:
            return _report("hopeless", error)
        except SimattackError as error:
            return _report("failed", error)
        except Exception as error:
            # A bug, ours or that of a user's class. The world may be in any state.
            self._close()
            return _report("failed", error, traceback.format_exc())
        return Report("done", result, time.monotonic() - started)

    def _run(self, job: Job) -> EpisodeResult:
        job.scenario.load_plugins()
        map_file = str(job.scenario.map_file())
        if self._world is None or self._map != map_file:
            self._close()
            self._world = self._open.enter_context(self._tools.open_world(map_file))
            self._map = map_file
            self._has_run = True
        place = _about(self._world, job.scenario, job.conditions)
        film = job.media.with_name(job.media.name + ".mp4") if job.media is not None else None
        recording = Recording(place, CarInfo(), job.arm.name, film)
        try:
            result = self._tools.run_episode(
                self._world, job.scenario, job.conditions, job.arm, job.seed, recording
            )
            recording.save(job.trace, job.media)
        finally:
            recording.close()
        return result

    def _close(self) -> None:
        self._world = None
        try:
            self._open.close()
        except (SimattackError, OSError, RuntimeError):
            # What is being closed may be dead already; what matters was said by the first error.
            self._open = ExitStack()


def _about(world: World, scenario: Scenario, conditions: Conditions) -> Place:
    """What a recording measures distances to: the line of the stop sign or of the first light."""
    place = scenario.place(conditions.site)
    if place is None:
        return Place(world.stop_line(conditions.site), world.surface(conditions.site))
    lines = world.lights_of(world.road.place_route(place, conditions.start_m or 0.0)).lines_m
    return Place(lines[0] if lines else None)


def _report(kind: str, error: Exception, details: str = "") -> Report:
    message = " ".join(str(error).split())
    return Report(kind, message=message, error=type(error).__name__, details=details)
