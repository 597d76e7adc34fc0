"""Is this machine ready? What is right, what is wrong, and what to do about it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simattack import resources
from simattack.errors import SimattackError

CARLA_VERSION = "0.9.16"
_PYTHONS = ((3, 10), (3, 12))


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    is_right: bool
    text: str
    """What was found."""
    advice: str = ""
    """What to do, if it is not right."""
    is_needed: bool = True
    """Whether simattack cannot do its main job without it."""

    def line(self) -> str:
        """As the command line prints it."""
        mark = "ok  " if self.is_right else ("BAD " if self.is_needed else "note")
        advice = f" -> {self.advice}" if self.advice and not self.is_right else ""
        return f"{mark} {self.subject}: {self.text}{advice}"


Check = Callable[[], Finding]


def examine(checks: Sequence[Check] | None = None) -> list[Finding]:
    """All findings, in order; a check that fails in a way it did not expect is a finding too."""
    findings = []
    for check in CHECKS if checks is None else checks:
        try:
            findings.append(check())
        except Exception as error:
            # The doctor is asked when things are broken; no breakage may silence it.
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            subject = getattr(check, "__name__", "check").strip("_").replace("_", " ")
            findings.append(Finding(subject, False, text, "see the message"))
    return findings


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing that is needed is wrong."""
    return all(finding.is_right or not finding.is_needed for finding in findings)


def python() -> Finding:
    """The interpreter's version."""
    low, high = _PYTHONS
    is_right = low <= sys.version_info[:2] <= high
    span = " to ".join(".".join(map(str, version)) for version in _PYTHONS)
    return Finding("Python", is_right, sys.version.split()[0], f"use Python {span}")


def carla() -> Finding:
    """CARLA's client: imports, and is the version whose protocol is spoken."""
    advice = f"pip install carla=={CARLA_VERSION}"
    try:
        importlib.import_module("carla")
        version = importlib.metadata.version("carla")
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        return Finding("carla client", False, f"does not import: {error}", advice)
    return Finding("carla client", version == CARLA_VERSION, version, advice)


def opengl() -> Finding:
    """A headless OpenGL context, with which the embedded server draws."""
    from simattack.server.render import Renderer

    try:
        name = Renderer().gl_renderer
    except SimattackError as error:
        # It says itself what to install.
        return Finding("OpenGL by EGL", False, str(error))
    kind = "on the CPU" if "llvmpipe" in name.lower() else "on a GPU"
    return Finding("OpenGL by EGL", True, f"{name} ({kind})")


def server() -> Finding:
    """The embedded server starts, finds free ports, and is reached by CARLA's client."""
    from simattack.session import Session

    advice = "run `simattack serve` to see what it says"
    try:
        with Session.launch() as session:
            session.tick()
    except SimattackError as error:
        return Finding("embedded server", False, str(error), advice)
    return Finding("embedded server", True, "starts, and CARLA's client drives it")


def gpu() -> Finding:
    """A GPU for torch; simattack does without."""
    import torch

    if torch.cuda.is_available():
        return Finding("GPU for torch", True, torch.cuda.get_device_name(0), is_needed=False)
    text = f"none ({torch.get_num_threads()} CPU threads)"
    advice = "not needed; optimising and training are slower without"
    return Finding("GPU for torch", False, text, advice, is_needed=False)


def ports() -> Finding:
    """CARLA's usual ports; runs take free ones of their own."""
    busy = []
    for port in (2000, 2001):
        with contextlib.closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                busy.append(port)
    if not busy:
        return Finding("ports 2000, 2001", True, "free", is_needed=False)
    text = f"taken: {', '.join(map(str, busy))}"
    advice = "`simattack serve --port` another; runs find free ports themselves"
    return Finding("ports 2000, 2001", False, text, advice, is_needed=False)


def ffmpeg() -> Finding:
    """An encoder for films: writes one."""
    from simattack.video import Film

    advice = "pip install --force-reinstall imageio-ffmpeg"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        try:
            with Film(path, 64, 48, 10) as film:
                for level in (0, 255):
                    film.add(np.full((48, 64, 3), level, np.uint8))
        except (SimattackError, OSError) as error:
            return Finding("ffmpeg with H.264", False, str(error), advice)
        if not path.is_file() or not path.stat().st_size:
            return Finding("ffmpeg with H.264", False, "writes no film", advice)
    return Finding("ffmpeg with H.264", True, "writes films")


def weights() -> Finding:
    """Shipped weights are there and are what their cards say."""
    from simattack.detectors.weights import FOLDER, find_weights, read_card

    names = resources.shipped(FOLDER, ".safetensors")
    if not names:
        return Finding("weights", False, "none ship here", "make some with `simattack train`")
    try:
        for name in names:
            read_card(find_weights(name))
    except SimattackError as error:
        return Finding("weights", False, str(error), "install simattack anew")
    return Finding("weights", True, ", ".join(names))


def patches() -> Finding:
    """Shipped patches are there and are what their cards say."""
    from simattack.patchfile import FOLDER, load_patch

    names = resources.shipped(FOLDER, ".png")
    if not names:
        return Finding("patches", False, "none ship here", "make one with `simattack optimize`")
    try:
        for name in names:
            load_patch(name)
    except SimattackError as error:
        return Finding("patches", False, str(error), "install simattack anew")
    return Finding("patches", True, ", ".join(names))


CHECKS: tuple[Check, ...] = (
    python,
    carla,
    opengl,
    server,
    gpu,
    ports,
    ffmpeg,
    weights,
    patches,
)
