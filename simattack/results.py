"""What a run leaves behind: rows, manifest, and the folder that holds them.

::

    runs/x/manifest.json           what was run with what: hashes, versions, machine
           episodes.partial.jsonl  rows while the run lasts, one fsynced line each
           episodes.jsonl          all rows, sorted; holds no clock, so equal runs are equal bytes
           timing.jsonl            seconds each episode took
           summary.json            per arm: rates, means, paired differences, intervals
           inputs/                 copies of the patch and its card
           traces/ media/          per-episode arrays; films and pictures of the first seed
           given_up.jsonl          rows that --renew gave up, for the record; nothing reads them
           report.html

A row's key is a hash over everything that decides the episode, so a resumed run never mixes
inputs.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from simattack.errors import ResultsError
from simattack.types import EpisodeResult

VERSION = 1
"""Of the row and of the manifest; raised when a reader of the old kind would misread them."""
DIGITS = 9
"""Significant digits of every float in a row: beyond any metric, short of rounding noise."""

Plain = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One episode in ``episodes.jsonl``."""

    key: str
    """Hex; over everything that decides the episode."""
    result: EpisodeResult
    conditions: Mapping[str, Any]
    """What the seed drew, as plain values."""

    @property
    def order(self) -> tuple[str, str, int]:
        """What rows are sorted by."""
        return self.result.scenario, self.result.arm, self.result.seed

    def line(self) -> str:
        """The row as one line of JSON, without its newline; equal rows are equal bytes."""
        plain = {
            "version": VERSION,
            "key": self.key,
            "scenario": self.result.scenario,
            "arm": self.result.arm,
            "seed": self.result.seed,
            "conditions": self.conditions,
            "metrics": self.result.metrics,
            "error": self.result.error,
            "is_privileged": self.result.is_privileged,
        }
        return json.dumps(tidy(plain), sort_keys=True, ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class Manifest:
    """What was run with what."""

    inputs: Mapping[str, Any]
    """All that decides an episode apart from arm and seed; a resumed run must have the same."""
    plan: Mapping[str, Any]
    """Scenarios, arms and seeds; a resumed run may have more."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    """Told, not compared."""
    commands: Sequence[str] = ()
    """Command lines that ran it, oldest first."""
    version: int = VERSION


def key(inputs: Mapping[str, Any], scenario: str, arm: str, seed: int) -> str:
    """The hash that one episode is known by."""
    return digest([VERSION, inputs, scenario, arm, seed])[:24]


def digest(value: Any) -> str:
    """Hex SHA-256 of what ``value`` is as plain JSON."""
    text = json.dumps(tidy(value), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def tidy(value: Any) -> Any:
    """Plain JSON values: floats to ``DIGITS`` digits, NaN and infinity to null, numpy to Python."""
    if isinstance(value, Mapping):
        return {str(name): tidy(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [tidy(item) for item in value]
    if isinstance(value, np.ndarray):
        return [tidy(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        # + 0.0 makes a zero of minus zero.
        return float(f"{value:.{DIGITS}g}") + 0.0 if math.isfinite(value) else None
    return value


class Folder:
    """A results folder; see the top of this file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest_path = path / "manifest.json"
        self.partial = path / "episodes.partial.jsonl"
        self.final = path / "episodes.jsonl"
        self.timing = path / "timing.jsonl"
        self.summary = path / "summary.json"
        self.report = path / "report.html"

    def trace(self, scenario: str, arm: str, seed: int) -> Path:
        """Where the arrays of one episode lie."""
        return self.path / "traces" / scenario / f"{arm}_{seed}.npz"

    def media(self, scenario: str, arm: str, seed: int) -> Path:
        """Where films and pictures of one episode lie: a name to put endings after."""
        return self.path / "media" / scenario / f"{arm}_{seed}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out of this folder.

        Raises:
            ResultsError: another run holds it, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = (self.path / ".lock").open("w")
        except OSError as error:
            raise ResultsError(f"{self.path}: cannot be written: {error.strerror}") from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ResultsError(
                    f"{self.path}: another run is writing there; wait for it or give another --out"
                ) from None
            yield

    def adopt(self, manifest: Manifest) -> None:
        """Begin a run here, or go on with one that had the same inputs.

        Raises:
            ResultsError: the folder holds results of other inputs; names what differs.
        """
        if self.manifest_path.exists():
            known = self.manifest()
            differs = differences(known.inputs, tidy(dict(manifest.inputs)))
            if differs:
                raise ResultsError(
                    f"{self.path} holds results of other inputs ({'; '.join(differs)}); "
                    "give another --out, or --renew to drive those scenarios anew"
                )
        elif self.final.exists() or self.partial.exists():
            raise ResultsError(
                f"{self.path} holds rows but no manifest.json, so their inputs are unknown; "
                "give another --out, or remove the folder"
            )
        write_json(self.manifest_path, asdict(manifest))

    def renew(
        self,
        inputs: Mapping[str, Any],
        unchanged: Callable[[str, Mapping[str, Any]], set[str]],
        may_lose: bool,
    ) -> list[str]:
        """Keep what these inputs say nothing against, give up the rest; tells what was given up.

        Rows given up go to ``given_up.jsonl``, which nothing reads; their recordings are removed.

        Args:
            inputs: of the run to come.
            unchanged: (scenario, its inputs before) -> arms that drive as they did; they are kept
                where something else about the scenario is not as it was.
            may_lose: whether anything may be given up.

        Raises:
            ResultsError: something would be given up and may not be, or the manifest or a row is
                damaged.
        """
        if not self.manifest_path.exists():
            return []
        before, now = self.manifest(), tidy(dict(inputs))
        try:
            keeps = _kept(before.inputs, now, unchanged)
        except (KeyError, TypeError, AttributeError) as error:
            raise ResultsError(f"{self.manifest_path} is damaged: {error!r}") from error
        kept: list[Row] = []
        gone: list[Row] = []
        for row in self.rows()[0]:
            done = row.result
            if done.scenario not in keeps:
                kept.append(row)
            elif done.arm in keeps[done.scenario]:
                own = {"versions": now["versions"], **now["scenarios"][done.scenario]}
                kept.append(replace(row, key=key(own, done.scenario, done.arm, done.seed)))
            else:
                gone.append(row)
        told = _arms_of(gone)
        if gone and not may_lose:
            differs = "; ".join(differences(before.inputs, now))
            raise ResultsError(
                f"{self.path} holds results of other inputs ({differs}), of which {len(gone)} "
                f"episodes would be given up: {'; '.join(told)}; give another --out, or --renew to "
                "drive those anew"
            )
        if gone:
            with Appender(self.path / "given_up.jsonl") as file:
                for row in gone:
                    file.append(row.line())
                    self._forget(row.result)
        self.finish(kept)
        plan = dict(before.plan)
        for name, arms in keeps.items():
            left = [arm for arm in plan.pop(name, {}).get("arms", ()) if arm in arms]
            if left:
                plan[name] = {**before.plan[name], "arms": left}
        write_json(self.manifest_path, asdict(replace(before, inputs=now, plan=plan)))
        return told

    def _forget(self, done: EpisodeResult) -> None:
        """Remove what one episode recorded."""
        self.trace(done.scenario, done.arm, done.seed).unlink(missing_ok=True)
        media = self.media(done.scenario, done.arm, done.seed)
        # Another arm's name may go on where this one's ends: jpeg_20 after jpeg.
        mine = re.compile(re.escape(media.name) + r"(\.mp4|_\d+(m|s)\.png)")
        for path in media.parent.iterdir() if media.parent.is_dir() else ():
            if mine.fullmatch(path.name):
                path.unlink()

    def manifest(self) -> Manifest:
        """What the folder says it was run with.

        Raises:
            ResultsError: there is none, or it is damaged or of another version.
        """
        try:
            plain = json.loads(self.manifest_path.read_text(encoding="utf-8"))
            if plain["version"] != VERSION:
                raise ResultsError(
                    f"{self.manifest_path}: expected version {VERSION}, got {plain['version']}"
                )
            return Manifest(**plain)
        except FileNotFoundError:
            raise ResultsError(
                f"expected a results folder, got {self.path}: it has no manifest.json"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise ResultsError(f"{self.manifest_path}: damaged: {error}") from error

    def rows(self) -> tuple[list[Row], list[str]]:
        """All rows, finished or not, sorted and each once; and notes about what was dropped.

        Raises:
            ResultsError: a line that is not the last one is damaged.
        """
        rows: dict[str, Row] = {}
        notes: list[str] = []
        for path in (self.final, self.partial):
            if path.exists():
                found, note = read_rows(path)
                rows.update((row.key, row) for row in found)
                notes += [note] if note else []
        return sorted(rows.values(), key=lambda row: row.order), notes

    def finish(self, rows: list[Row]) -> None:
        """Put all rows, sorted, in the place of the partial file, at once or not at all."""
        ordered = sorted(rows, key=lambda row: row.order)
        write_text(self.final, "".join(row.line() + "\n" for row in ordered))
        self.partial.unlink(missing_ok=True)


def _kept(
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    unchanged: Callable[[str, Mapping[str, Any]], set[str]],
) -> dict[str, set[str]]:
    """Scenario whose inputs are not what they were -> its arms that are all the same."""
    is_same = before["versions"] == now["versions"]
    keeps: dict[str, set[str]] = {}
    for name, content in before["scenarios"].items():
        if not is_same or name not in now["scenarios"]:
            keeps[name] = set()
        elif now["scenarios"][name] != content:
            keeps[name] = unchanged(name, content)
    return keeps


def _arms_of(rows: Sequence[Row]) -> list[str]:
    """Such as ``stop_sign (attacked, clean)``."""
    arms: dict[str, dict[str, None]] = {}
    for row in rows:
        arms.setdefault(row.result.scenario, {})[row.result.arm] = None
    return [f"{name} ({', '.join(found)})" for name, found in sorted(arms.items())]


class Appender:
    """Appends lines to a file so that a crash at any moment loses at most the last of them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Appender:
        if self._path.exists():
            _cut_torn_line(self._path)
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, line: str) -> None:
        """Write one line and wait until the disk has it."""
        self._file.write(line + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read_rows(path: Path) -> tuple[list[Row], str | None]:
    """The rows of a file in its order, and a note if a torn last line was dropped.

    Raises:
        ResultsError: a line that is not the last one is damaged, or of another version.
    """
    text = path.read_bytes()
    rows, note = [], None
    lines = text.split(b"\n")
    if lines[-1]:
        note = f"{path.name}: dropped a torn last line ({len(lines[-1])} bytes)"
    for number, line in enumerate(lines[:-1], 1):
        try:
            plain = json.loads(line)
            if plain["version"] != VERSION:
                raise ResultsError(
                    f"{path}:{number}: expected a row of version {VERSION}, "
                    f"got {plain['version']!r}"
                )
            names = ("scenario", "arm", "seed", "metrics", "error", "is_privileged")
            result = EpisodeResult(**{name: plain[name] for name in names})
            rows.append(Row(plain["key"], result, plain["conditions"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ResultsError(f"{path}:{number}: expected a row of results: {error!r}") from error
    return rows, note


def differences(old: Mapping[str, Any], new: Mapping[str, Any], place: str = "") -> list[str]:
    """Where two nested mappings differ, as ``name: old there, new now``."""
    found: list[str] = []
    for name in sorted({*old, *new}):
        full = f"{place}.{name}" if place else name
        before, now = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            found += differences(before, now, full)
        elif before != now:
            found.append(f"{full}: {_short(before)} there, {_short(now)} now")
    return found


def write_text(path: Path, text: str) -> None:
    """Replace a file's whole content, at once or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Replace a file by JSON for people: indented, sorted, floats rounded."""
    write_text(path, json.dumps(tidy(value), indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def whole_lines(path: Path) -> list[str]:
    """The lines of a file that an ``Appender`` writes, without a torn last one; none without it."""
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []


def _cut_torn_line(path: Path) -> None:
    """Remove what stands after the last newline, so that the next line begins a line."""
    with path.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    # A hash is told well enough by its first characters.
    return text if len(text) <= 40 else text[:12] + "..."
