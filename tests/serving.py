"""Embedded servers as processes of their own, for tests."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys

import pytest

READY = re.compile(r"^simattack server ready on ([\d.]+):(\d+) \(streams (\d+)\), map (\S+), (.+)$")
START_S = 120.0


def start_server(*flags: str) -> tuple[subprocess.Popen[str], re.Match[str]]:
    """A server process and its ready line; fails when it does not come up."""
    command = [
        sys.executable,
        "-m",
        "simattack.server",
        "--port",
        "0",
        "--parent",
        str(os.getpid()),
    ]
    process = subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    is_there, _, _ = select.select([process.stdout], [], [], START_S)
    line = process.stdout.readline() if is_there else ""
    found = READY.match(line)
    if not found:
        stop_server(process)
        pytest.fail(f"the server said {line!r} instead of being ready within {START_S} s")
    return process, found


def stop_server(process: subprocess.Popen[str]) -> int:
    """Asks a server to end, makes it if it does not; its exit status."""
    process.terminate()
    try:
        return process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(10)
    finally:
        if process.stdout is not None:
            process.stdout.close()
