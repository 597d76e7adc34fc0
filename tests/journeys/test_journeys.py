"""A user's way through the command line, on episodes of a second or three.

The detector is the oracle: what is looked at is the road from a command to its results.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image as Pictures

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

SIMATTACK = str(Path(sys.executable).parent / "simattack")


@pytest.fixture
def here(tmp_path) -> Path:
    """A folder of the user's own with a picture in it."""
    cells = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Pictures.fromarray(cells).save(tmp_path / "my.png")
    return tmp_path


def arguments(out: str, *more: str, ticks: int = 20) -> list[str]:
    """Of a short run of two arms."""
    return [
        *("run", "stop_sign", "--out", out, "--arms", "clean", "attacked"),
        *("--detector", "oracle", "--patch", "my.png", "--size-m", "0.3"),
        *("--max-ticks", str(ticks), *more),
    ]


class Command:
    """One command line that runs."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [SIMATTACK, *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.known: dict[int, psutil.Process] = {}

    def wait(self, timeout_s: float = 200) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        out, err = self._process.communicate(timeout=timeout_s)
        return self._process.returncode, out, err

    def is_running(self) -> bool:
        return self._process.poll() is None

    def interrupt(self) -> None:
        """As Ctrl-C in a terminal does it: to the whole group."""
        os.killpg(self.pid, signal.SIGINT)

    def kill(self) -> None:
        self._process.kill()

    def line(self) -> str:
        """The next line on stdout."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def family(self) -> list[psutil.Process]:
        """Every process that this one started so far."""
        try:
            for process in psutil.Process(self.pid).children(recursive=True):
                self.known[process.pid] = process
        except psutil.NoSuchProcess:
            pass
        return list(self.known.values())

    def servers(self) -> list[psutil.Process]:
        """Embedded servers among them that live."""
        found = []
        for process in self.family():
            try:
                if "simattack.server" in process.cmdline():
                    found.append(process)
            except psutil.Error:
                continue
        return found


def until(is_so: Callable[[], object], timeout_s: float = 120) -> None:
    """Wait for something to become true."""
    end_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end_s, "it did not come true in time"
        time.sleep(0.02)


def simattack(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command line to its end."""
    return Command(folder, *arguments).wait()


def rows(folder: Path) -> int:
    path = folder / "episodes.partial.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> Path:
    """The folder of an undisturbed run of two seeds; what others are compared with."""
    folder = tmp_path_factory.mktemp("calm")
    cells = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Pictures.fromarray(cells).save(folder / "my.png")
    code, out, err = simattack(folder, *arguments("runs/x", "--seeds", "2"))
    assert code == 0, err
    assert "ran the stop sign" in out and "report: runs/x/report.html" in out
    return folder / "runs/x"


def test_a_run_ends_with_a_table_a_report_and_all_its_files(calm):
    lines = (calm / "episodes.jsonl").read_text().splitlines()
    told = [(row["arm"], row["seed"], row["error"]) for row in map(json.loads, lines)]
    assert told == [(arm, seed, None) for arm in ("attacked", "clean") for seed in (0, 1)]
    assert all(json.loads(line)["is_privileged"] for line in lines)
    for name in ("summary.json", "timing.jsonl", "manifest.json", "inputs/my.png"):
        assert (calm / name).stat().st_size > 0
    assert (calm / "media/stop_sign/clean_0.mp4").stat().st_size > 1000
    assert (calm.parent / "latest").resolve() == calm.resolve()
    page = (calm / "report.html").read_text()
    assert "given ground truth" in page and "--seeds 2" in page


def of_first_seed(folder: Path) -> bytes:
    """Its rows of seed 0."""
    lines = (folder / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    return b"".join(line for line in lines if json.loads(line)["seed"] == 0)


def test_two_workers_and_an_interrupted_run_give_the_same_bytes(calm, here):
    code, _, err = simattack(here, *arguments("two", "--seeds", "2", "--workers", "2"))
    assert code == 0, err
    cut = Command(here, *arguments("cut", "--seeds", "1"))
    until(lambda: rows(here / "cut") >= 1)
    family = cut.family()
    cut.interrupt()
    code, _, err = cut.wait()
    assert code == 130
    assert "the same command goes on from there" in err and "Traceback" not in err
    until(lambda: not any(map(lives, family)), 20)
    assert not (here / "cut/episodes.jsonl").exists()
    code, _, err = simattack(here, *arguments("cut", "--seeds", "1"))
    assert code == 0, err
    assert (here / "two/episodes.jsonl").read_bytes() == (calm / "episodes.jsonl").read_bytes()
    assert (here / "cut/episodes.jsonl").read_bytes() == of_first_seed(calm)


def test_a_killed_server_costs_one_line_and_nothing_else(calm, here):
    run = Command(here, *arguments("x", "--seeds", "1"))
    until(lambda: rows(here / "x") >= 1 and run.servers())
    run.servers()[0].kill()
    code, _, err = run.wait()
    assert code == 0, err
    assert [line for line in err.splitlines() if "repeated once" in line]
    assert err.count("simattack: ") == 1
    assert (here / "x/episodes.jsonl").read_bytes() == of_first_seed(calm)


def test_a_server_killed_again_and_again_leaves_rows_with_errors_and_exit_1(here):
    run = Command(here, *arguments("x", "--seeds", "1"))
    until(lambda: rows(here / "x") >= 1)
    while run.is_running():
        for server in run.servers():
            server.kill()
        time.sleep(0.05)
    code, out, err = run.wait()
    assert code == 1, err
    assert "1 of 2 episodes ended in an error" in err
    row = json.loads((here / "x/episodes.jsonl").read_text().splitlines()[0])
    assert row["arm"] == "attacked" and row["metrics"] is None
    assert row["error"].startswith("ServerGone")
    assert "1 (1 errors)" in out


def test_a_killed_worker_costs_one_line_and_nothing_else(calm, here):
    run = Command(here, *arguments("x", "--seeds", "1"))
    until(lambda: rows(here / "x") >= 1 and run.servers())
    server = run.servers()[0]
    server.parent().kill()
    code, _, err = run.wait()
    assert code == 0, err
    assert "worker died" in err and err.count("simattack: ") == 1
    assert (here / "x/episodes.jsonl").read_bytes() == of_first_seed(calm)
    until(lambda: not lives(server), 20)


def test_nothing_is_left_running_when_the_command_itself_is_killed(here):
    # An episode that would go on for minutes.
    run = Command(here, "run", "clean_route", "--out", "x", "--seeds", "1", "--detector", "oracle")
    until(lambda: len(run.servers()) == 1)
    family = run.family()
    run.kill()
    run.wait()
    until(lambda: not any(map(lives, family)), 20)


@pytest.fixture
def remote(here) -> Iterator[tuple[Command, str]]:
    """A server that the user started: the command, and its port."""
    server = Command(here, "serve", "--port", "0")
    try:
        line = server.line()
        port = re.search(r"ready on 127\.0\.0\.1:(\d+)", line)
        assert port is not None, line
        yield server, port.group(1)
    finally:
        server.kill()
        server.wait()


def test_a_remote_server_gives_the_same_bytes_and_may_vanish(calm, here, remote):
    server, port = remote
    there = ("--seeds", "1", "--host", "127.0.0.1", "--port", port)
    run = Command(here, *arguments("x", *there))
    until(lambda: rows(here / "x") >= 1)
    server.kill()
    code, _, err = run.wait()
    assert code == 1
    assert re.search(r"1 of 2 episodes are kept; the same command goes on", err)
    assert len([line for line in err.splitlines() if line.startswith("simattack: ")]) == 1
    code, _, err = simattack(here, *arguments("x", *there))
    assert code == 1 and "expected a CARLA server at 127.0.0.1" in err
    code, _, err = simattack(here, *arguments("x", "--seeds", "1"))
    assert code == 0, err
    assert (here / "x/episodes.jsonl").read_bytes() == of_first_seed(calm)


def test_a_replay_goes_the_same_way_and_leaves_a_film(calm):
    folder = calm.parent.parent
    code, out, err = simattack(folder, "replay", "runs/x", "--arm", "attacked", "--seed", "1")
    assert code == 0, err
    assert "same metrics as the folder's row" in out
    film = folder / out.rstrip().rpartition("film: ")[2]
    assert film.read_bytes()[4:8] == b"ftyp"


def test_other_inputs_in_the_same_folder_are_refused(calm):
    folder = calm.parent.parent
    code, _, err = simattack(folder, *arguments("runs/x", "--seeds", "2", ticks=30))
    assert code == 1
    assert "max_time_s: 1.0 there, 1.5 now" in err and err.count("\n") == 1


def test_a_ready_server_says_so_in_one_line_and_a_busy_port_is_one_line(here, remote):
    _, port = remote
    code, out, err = simattack(here, "serve", "--port", port)
    assert (code, out) == (1, "")
    assert err.startswith("simattack: ") and port in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "changes, message",
    [
        (["--size-m", "0.5"], "covers"),
        (["--patch", "none.png"], "none.png"),
        (["--detector", "changed.safetensors"], "sha256"),
        (["--detector", "foreign.pt"], "--trust-pickle|trust_pickle"),
        (["--arms", "atacked"], "did you mean 'attacked'"),
        (["--host", "127.0.0.1", "--port", "1"], "expected a CARLA server at 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_exit_1(here, changes, message):
    (here / "changed.safetensors").write_bytes(b"other bytes")
    card = {"architecture": "yolo11n.yaml", "classes": ["stop sign"], "sha256": "00" * 32}
    (here / "changed.json").write_text(json.dumps({**card, "format": 1}))
    (here / "foreign.pt").write_bytes(b"a pickle")
    code, out, err = simattack(here, *arguments("x", *changes))
    assert (code, out) == (1, "")
    assert re.search(message, err), err
    told = [line for line in err.splitlines() if line.strip()]
    assert len(told) == 1 and told[0].startswith("simattack: ")


def test_a_patch_is_printed_at_its_size(here):
    code, out, err = simattack(here, "print", "my.png", "--size-m", "0.2", "--out", "my.pdf")
    assert code == 0, err
    assert (here / "my.pdf").read_bytes().startswith(b"%PDF") and "my.pdf" in out


def test_the_doctor_finds_this_machine_able_to_simulate(here):
    _, out, _ = simattack(here, "doctor")
    for subject in ("Python", "carla client", "OpenGL by EGL", "embedded server", "ffmpeg"):
        assert re.search(f"^ok   {subject}", out, re.M), out
