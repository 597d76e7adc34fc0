"""The server as a process: how it starts, refuses to start, and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from maproads import straight
from serving import start_server, stop_server

STRAIGHT = straight(length=80)


@pytest.fixture
def road_map(tmp_path):
    """A map of one road, which loads fast."""
    path = tmp_path / "small.xodr"
    path.write_text(STRAIGHT)
    return str(path)


def run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "simattack.server", *flags],
        capture_output=True,
        text=True,
        timeout=60,
    )


def neighbour_of_a_free_port():
    """A listening socket below the ports that the system gives away, the one before it free."""
    for number in range(20_001, 30_000, 2):
        taken = socket.socket()
        try:
            with socket.socket() as before:
                before.bind(("127.0.0.1", number - 1))
            taken.bind(("127.0.0.1", number))
        except OSError:
            taken.close()
            continue
        taken.listen()
        return taken
    raise AssertionError("no two free ports side by side")


def test_a_taken_port_is_one_line_and_status_1(server):
    ended = run("--port", str(server[1]))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith(f"simattack: port {server[1]} on 127.0.0.1 is in use")


def test_a_taken_stream_port_is_refused_too():
    with neighbour_of_a_free_port() as taken:
        number = taken.getsockname()[1]
        ended = run("--port", str(number - 1))
    assert ended.returncode == 1
    assert f"port {number} on 127.0.0.1 is in use" in ended.stderr


@pytest.mark.journey
def test_a_broken_map_is_one_line_and_status_1(tmp_path):
    path = tmp_path / "broken.xodr"
    path.write_text("<OpenDRIVE>")
    ended = run("--port", "0", "--map", str(path))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("simattack: ")


@pytest.mark.journey
def test_a_server_ends_when_asked_and_gives_its_port_back(road_map):
    process, found = start_server("--map", road_map)
    assert found[4] == "small"
    assert stop_server(process) == 0
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", int(found[2])))


@pytest.mark.journey
def test_a_server_outlives_no_parent(road_map):
    code = (
        "import subprocess, sys, os\n"
        "p = subprocess.Popen([sys.executable, '-m', 'simattack.server', '--port', '0', '--map',"
        " sys.argv[1], '--parent', str(os.getpid())], stdout=subprocess.PIPE, text=True)\n"
        "p.stdout.readline()\n"
        "print(p.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, road_map], stdout=subprocess.PIPE, text=True, timeout=60
    )
    pid = int(ended.stdout)
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("the server outlived its parent")
