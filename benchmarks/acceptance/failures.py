"""Checks of what goes wrong: a user's mistakes, servers that vanish, servers that are killed."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import psutil

from acceptance.record import ROOT, Finding, Target
from acceptance.work import (
    SIMATTACK,
    Failed,
    Work,
    call,
    rows,
    rows_so_far,
    serving,
    started,
    told,
)

_SHIPPED = ROOT / "simattack" / "detectors" / "weights" / "town_yolo11n.safetensors"
_DRIVING_S = 4.0
"""So long after its client has come, a server is in the middle of an episode of some 10 s."""


def mistakes(work: Work) -> Finding:
    """One clear line and exit 1 for what a user gets wrong."""
    from PIL import Image

    wrong_key = work / "wrong.yaml"
    text = (ROOT / "scenarios" / "stop_sign.yaml").read_text()
    changed = text.replace("weather:", "wether:")
    if changed == text:
        raise Failed("scenarios/stop_sign.yaml has no key 'weather' to misspell")
    wrong_key.write_text(changed)
    flat = work / "flat.png"
    Image.new("RGB", (64, 16)).save(flat)
    weights = work / "town.safetensors"
    content = _SHIPPED.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    shutil.copy(_SHIPPED.with_suffix(".json"), weights.with_suffix(".json"))
    cases = {
        "missing scenario": (["missing.yaml"], r"missing\.yaml.* does not exist"),
        "wrong key": ([str(wrong_key)], "wether.*did you mean 'weather'"),
        "patch of a wrong size": (
            ["stop_sign", "--patch", str(flat), "--size-m", "0.6"],
            "0.6 .*64 x 16|64 x 16.*0.6",
        ),
        "weights with a wrong hash": (["stop_sign", "--detector", str(weights)], "sha256"),
        "no server there": (
            ["stop_sign", "--host", "127.0.0.1", "--port", "1"],
            "expected a CARLA server at 127.0.0.1",
        ),
    }
    targets, lines = [], {}
    for name, (arguments, pattern) in cases.items():
        ended = subprocess.run(
            [*SIMATTACK, "run", *arguments, "--out", str(work / "never")],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines[name] = told(ended.stderr)
        is_one_line = len(lines[name]) == 1 and ended.stderr.count("\n") == 1
        is_right = is_one_line and re.search(pattern, ended.stderr) is not None
        measured = f"exit {ended.returncode}, {ended.stderr.count(chr(10))} line(s)"
        if is_one_line and not is_right:
            measured += ", which do not say it"
        targets.append(
            Target(f"{name}: one clear line, exit 1", measured, ended.returncode == 1 and is_right)
        )
    return Finding(targets, {"lines": lines})


def vanished(work: Work) -> Finding:
    """Somebody else's server dies in the middle of a run, which then goes on without it."""
    out = work / "vanished"
    shutil.rmtree(out, ignore_errors=True)
    command = ["run", "stop_sign", "--arms", "clean", "--seeds", "3", "--max-ticks", "60"]
    with serving() as (server, port):
        there = ("--host", "127.0.0.1", "--port", str(port))
        with started(
            *command, "--out", str(out), *there, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as run:
            while run.poll() is None and rows_so_far(out) < 1:
                time.sleep(0.05)
            server.kill()
            _, stderr = run.communicate(timeout=300)
    lines, before = told(stderr), rows_so_far(out)
    call(*command, "--out", str(out))
    after = rows(out)
    is_clear = len(lines) == 1 and "Traceback" not in stderr
    is_whole = 0 < before < 3 == len(after) and not any(row["error"] for row in after)
    targets = [
        Target(
            "remote server vanishes: one clear line, exit 1",
            f"exit {run.returncode}, {len(lines)} line(s)",
            run.returncode == 1 and is_clear,
        ),
        Target("remote server vanishes: resumable", f"{before}, then {len(after)} rows", is_whole),
    ]
    return Finding(targets, {"lines": lines, "rows_before": before})


def killed(work: Work) -> Finding:
    """The embedded server killed with ``kill -9`` once, and once more, in the middle of a run."""
    targets, figures = [], {}
    wanted = {
        1: ("server killed: one line, repeated once, exit 0", 0, 0),
        2: ("server killed again: a row with its error, exit 1", 1, 1),
    }
    for times, (text, code, errors) in wanted.items():
        out = work / f"killed_{times}"
        found = work.once(f"killed {times} x", lambda out=out, times=times: _killing(out, times))
        lines = found["lines"]
        is_told = len(lines) == 1 if times == 1 else len(lines) >= 2
        is_met = (found["exit"], found["rows_with_error"], found["rows"]) == (code, errors, 2)
        measured = (
            f"exit {found['exit']}, {found['rows_with_error']} of {found['rows']} rows with an "
            f"error, {len(lines)} line(s)"
        )
        targets.append(Target(text, measured, is_met and is_told and found["kills"] == times))
        figures[f"killed {times} x"] = found
    return Finding(targets, figures)


def _killing(out: Path, times: int) -> dict[str, object]:
    """Run two episodes and kill the server in the first of them, so many times."""
    shutil.rmtree(out, ignore_errors=True)
    shot: set[int] = set()
    came_s: dict[int, float] = {}
    with started(
        *("run", "stop_sign", "--arms", "clean", "--seeds", "2", "--out", str(out)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        while process.poll() is None and len(shot) < times:
            for server in _servers(process.pid):
                if server.pid in shot or not _has_client(server):
                    continue
                if time.monotonic() - came_s.setdefault(server.pid, time.monotonic()) > _DRIVING_S:
                    server.kill()
                    shot.add(server.pid)
            time.sleep(0.1)
        _, stderr = process.communicate()
    found = rows(out)
    return {
        "exit": process.returncode,
        "kills": len(shot),
        "rows": len(found),
        "rows_with_error": sum(row["error"] is not None for row in found),
        "lines": told(stderr),
    }


def _servers(pid: int) -> list[psutil.Process]:
    """Embedded servers that a run has started and that live."""
    found = []
    try:
        for child in psutil.Process(pid).children(recursive=True):
            if "simattack.server" in " ".join(child.cmdline()):
                found.append(child)
    except psutil.Error:
        pass  # one of them ended while it was looked at
    return found


def _has_client(server: psutil.Process) -> bool:
    try:
        # Called connections() before psutil 6.
        look = getattr(server, "net_connections", None) or server.connections
        return any(peer.status == psutil.CONN_ESTABLISHED for peer in look("tcp"))
    except psutil.Error:
        return False
