"""Targets, and the record that a finished check leaves under ``results/accept/``.

A record says which code it was measured with, as a commit and as a hash over the files that
decide the figures, so that a later run knows whether it still holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "results" / "accept"
DECISIVE = ("simattack", "scenarios", "patches")
"""Folders whose tracked files decide the figures."""
Figures = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """One promise, what came of it, and whether that keeps it."""

    text: str
    measured: str
    is_met: bool


def at_most(text: str, value: float, bound: float, unit: str = "") -> Target:
    """A promise that a figure stays within a bound."""
    return Target(text, f"{value:g}{unit}", value <= bound)


def at_least(text: str, value: float, bound: float, unit: str = "") -> Target:
    """A promise that a figure reaches a bound."""
    return Target(text, f"{value:g}{unit}", value >= bound)


@dataclass(frozen=True)
class Finding:
    """What a check gives: its targets, and all figures worth keeping."""

    targets: list[Target]
    figures: Figures


@dataclass(frozen=True)
class Record:
    """A finished check as it is kept."""

    check: str
    commit: str
    code: str
    """Hash over the decisive files as they were."""
    has_uncommitted_changes: bool
    machine: str
    python: str
    took_s: int
    """Of the attempt that finished it."""
    targets: list[Target]
    figures: Figures

    def write(self) -> Path:
        """Keep it; the file's path."""
        RECORDS.mkdir(parents=True, exist_ok=True)
        path = RECORDS / f"{self.check}.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")
        part.replace(path)
        return path


def read(check: str) -> Record | None:
    """What is kept of a check; None if nothing is, or if it is of another form."""
    try:
        plain = json.loads((RECORDS / f"{check}.json").read_text())
        targets = [Target(**target) for target in plain.pop("targets")]
        return Record(targets=targets, **plain)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def make(check: str, finding: Finding, code: str, took_s: float) -> Record:
    """The record of a check that ended just now and began with that ``code``."""
    return Record(
        check,
        git("rev-parse", "HEAD"),
        code,
        bool(git("status", "--porcelain", "--untracked-files=no", "--", *DECISIVE)),
        f"{platform.machine()}, {os.cpu_count()} cores",
        platform.python_version(),
        round(took_s),
        finding.targets,
        finding.figures,
    )


def code() -> str:
    """Hex hash over the decisive files as they lie here."""
    whole = hashlib.sha256()
    for name in sorted(git("ls-files", "--", *DECISIVE).splitlines()):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b"gone"
        whole.update(f"{name}\n{hashlib.sha256(content).hexdigest()}\n".encode())
    return whole.hexdigest()[:16]


def git(*arguments: str) -> str:
    """What git answers about this checkout."""
    ended = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()
