"""The recordings of a server: their folder, the one being made, the one being replayed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from simattack.errors import MapError, RecordingError
from simattack.server import recording_file
from simattack.server.bodies import Contact
from simattack.server.recorder import Recorder, digest
from simattack.server.recording_file import Reader
from simattack.server.replayer import Options, Replayer, Wish
from simattack.server.world import World

_LOG = logging.getLogger(__name__)


def default_folder() -> Path:
    """Where recordings are when nobody says where."""
    return Path.home() / ".cache" / "simattack" / "recordings"


class Recordings:
    """All that a world has to do with recordings; it asks twice a tick, and when an episode ends.

    Names that would lead out of ``folder`` are refused: a client must not read or write other files
    of the server's machine. All methods raise ``RecordingError``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or default_folder()).expanduser().resolve()
        self.options = Options()
        self._recorder: Recorder | None = None
        self._replayer: Replayer | None = None

    # What clients ask for

    def start(self, world: World, name: str, is_additional: bool) -> Path:
        """Begins a recording, which replaces an old one of that name; where it is."""
        path = self._path(name)
        self.stop()
        self.stop_replay(world, is_keeping=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._make_room(path)
            self._recorder = Recorder(path, world, is_additional)
        except OSError as error:
            raise RecordingError(f"cannot write recording {path}: {error.strerror}") from error
        return path

    def stop(self, reason: str = "stopped by a client") -> None:
        """Ends the recording, if one is being made."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            try:
                recorder.close(reason)
            except OSError as error:
                _LOG.warning("recording %s has no proper end: %s", recorder.path, error)

    def open(self, name: str) -> Reader:
        """A recording to read."""
        return Reader(self._path(name))

    def replay(self, world: World, name: str, wish: Wish) -> Replayer:
        """Begins a replay, on the recording's map; an earlier one's actors play on or go."""
        reader = self.open(name)
        try:
            self.stop()
            self._go_to_map(world, reader)
            known: dict[int, int] = {}
            if self._replayer is not None:
                self._replayer.finish(world)
                known = self._replayer.made
            self._replayer = Replayer(world, reader, self.options, wish, known)
        except BaseException:
            reader.close()
            raise
        return self._replayer

    def stop_replay(self, world: World, is_keeping: bool) -> None:
        """Ends the replay, also one that came to its end before.

        Args:
            world: that it plays in.
            is_keeping: whether the actors that were created for it stay.
        """
        if self._replayer is not None:
            self._replayer.finish(world)
            if not is_keeping:
                self._replayer.remove(world)

    # What the world asks for

    def advance(self, world: World, step_s: float) -> list[Contact]:
        """Lets the replay move its actors by a tick; the touches it tells of."""
        replayer = self._replayer
        if replayer is None or not replayer.is_running:
            return []
        try:
            return replayer.step(world, step_s)
        except RecordingError as error:
            _LOG.warning("the replay ends early: %s", error)
            replayer.finish(world)
            return []

    def note(self, world: World, contacts: Sequence[Contact]) -> None:
        """Adds the tick to the recording."""
        if self._recorder is None:
            return
        try:
            self._recorder.record(world, contacts)
        except OSError as error:
            # The drive goes on without it: a full disk must not stop the world.
            _LOG.warning("recording %s ends early: %s", self._recorder.path, error)
            self._recorder.abandon()
            self._recorder = None

    def end(self, reason: str) -> None:
        """Ends everything with the episode."""
        self.stop(reason)
        if self._replayer is not None:
            self._replayer.close()
            self._replayer = None

    # Names

    def _path(self, name: str) -> Path:
        """Where a recording of that name is."""
        try:
            path = (self.folder / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise RecordingError(f"expected a recording's name, got {name!r}: {error}") from error
        if not name or path == self.folder or not path.is_relative_to(self.folder):
            raise RecordingError(
                f"recording {name!r} is not inside {self.folder}; give a plain name, or start the "
                "server with --recordings and the folder you want"
            )
        return path

    def _make_room(self, path: Path) -> None:
        """Takes away the old recording of that name; nothing else."""
        if path.is_file():
            with path.open("rb") as old:
                start = old.read(len(recording_file.MAGIC))
            if start and start != recording_file.MAGIC:
                raise RecordingError(f"{path} is no recording, so it is not written over")
            # Unlinked, not emptied: somebody may be reading it.
            path.unlink()

    def _go_to_map(self, world: World, reader: Reader) -> None:
        """Loads the map of a recording if it is not the present one."""
        head = reader.head
        if digest(world.road.opendrive) == head.digest:
            return
        try:
            place = world.find_map(head.map)
        except MapError as error:
            raise RecordingError(f"the recording needs its map: {error}") from error
        if digest(place.road.opendrive) != head.digest:
            raise RecordingError(
                f"the recording was made on another map by the name of {head.map!r}; load that "
                "one, then replay"
            )
        world.load(place, is_resetting=False)
