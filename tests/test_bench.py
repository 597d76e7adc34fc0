"""What the speed run counts, and what it says of a client that is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    """The folder's own imports work as if it was run from there."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_time_counts_for_the_innermost_part_and_else_for_the_protocol():
    from speed.counted import Meter

    now = [0.0]
    meter = Meter(lambda: now[0])

    def draw():
        now[0] += 4.0

    def tick():
        now[0] += 2.0
        counted_draw()
        now[0] += 1.0

    counted_draw = meter.counted("render", draw)
    counted_tick = meter.counted("bookkeeping", tick)
    now[0] += 8.0
    counted_tick()
    now[0] += 16.0
    spent = meter.read()
    assert spent == {
        "render": 4.0, "bookkeeping": 3.0, "protocol": 24.0, "physics": 0.0, "sensors": 0.0
    }  # fmt: skip


def test_a_part_that_fails_is_left_all_the_same():
    from speed.counted import Meter

    now = [0.0]
    meter = Meter(lambda: now[0])

    def step():
        now[0] += 1.0
        raise ValueError("off the map")

    with pytest.raises(ValueError, match="off the map"):
        meter.counted("physics", step)()
    now[0] += 5.0
    assert meter.read()["physics"] == 1.0
    assert meter.read()["protocol"] == 5.0


def test_a_client_that_aborts_is_told_by_its_signal():
    from speed import run

    aborting = "import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.abort()"
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", aborting], stdout=subprocess.PIPE, text=True
    )
    with process, pytest.raises(run.Lost, match=r"^the client ended by SIGABRT$"):
        run._line(process, "client")


def test_a_lost_client_keeps_the_slices_that_it_finished():
    import bench
    from speed.run import Lost, Slice

    class Dying:
        """A client that is gone after one slice."""

        def __init__(self):
            self.slices = [Slice(100, 2.0, 0.1, dict.fromkeys(bench.PARTS, 0.04))]

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            pass

        def measure(self, case, ticks):
            if not self.slices:
                raise Lost("the client ended by SIGABRT")
            return self.slices.pop()

    row, told = bench.traffic(Dying()).splitlines()
    assert row.split()[3:6] == ["50.0", "2.00", "20.0%"]
    assert "ended by SIGABRT after 1 of 3 slices" in told
