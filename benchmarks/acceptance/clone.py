"""The check of a fresh clone: set up, demo, tests, each in the time that was promised."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from acceptance.record import ROOT, Finding, Target, at_most
from acceptance.work import Failed, Work, say


def fresh_clone(work: Work) -> Finding:
    """``make setup``, ``make demo`` and ``make test`` in a clone of what is committed."""
    clone = work / "clone"

    def fetch() -> float:
        shutil.rmtree(clone, ignore_errors=True)
        began = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        return time.monotonic() - began

    work.once("clone", fetch)
    setup_s, _ = work.once("make setup", lambda: _make(clone, "setup"))
    demo_s, demo = work.once("make demo", lambda: _make(clone, "demo"))
    test_s, tests = work.once("make test", lambda: _make(clone, "test"))
    # pytest's last line, of the tests and then of the journeys: "412 passed in 101.20s (0:01:41)".
    ends = re.findall(r"^=*\s*(.*\b(?:passed|failed|error).*) in ([\d.]+)s", tests, re.M)
    if len(ends) != 2:
        raise Failed(f"expected two summaries of pytest from make test, got {len(ends)}")
    counts = [text for text, _ in ends]
    table = re.search(r"^arm\s+episodes", demo, re.M)
    page = re.search(r"^report: (\S+)$", demo, re.M)
    has_page = page is not None and (clone / page[1]).is_file()
    pytest_s = float(ends[0][1])
    is_green = not any("failed" in text or "error" in text for text in counts)
    targets = [
        at_most("make demo with set-up <= 25 min", round((setup_s + demo_s) / 60, 1), 25, " min"),
        at_most("the main job <= 12 min", round(demo_s / 60, 1), 12, " min"),
        Target(
            "make demo ends with the table and the report",
            f"table: {'yes' if table else 'no'}, report: {'yes' if has_page else 'no'}",
            table is not None and has_page,
        ),
        at_most("pytest <= 3 min", round(pytest_s / 60, 1), 3, " min"),
        at_most("make test <= 12 min", round(test_s / 60, 1), 12, " min"),
        Target("make test is green", "; ".join(counts), is_green),
    ]
    figures = {
        "setup_s": round(setup_s),
        "demo_s": round(demo_s),
        "pytest_s": round(pytest_s),
        "test_s": round(test_s),
        "tests": counts,
    }
    shutil.rmtree(clone)
    return Finding(targets, figures)


def _make(clone: Path, target: str) -> list[float | str]:
    """Seconds that a target took, and the end of its output."""
    # As in a new terminal: without the environment that this program runs in.
    hidden = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    if "VIRTUAL_ENV" in os.environ:
        inside = str(Path(os.environ["VIRTUAL_ENV"]) / "bin")
        paths = environment["PATH"].split(os.pathsep)
        environment["PATH"] = os.pathsep.join(path for path in paths if path != inside)
    began = time.monotonic()
    process = subprocess.Popen(
        ["make", target], cwd=clone, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if sys.stderr.isatty():
            say(line.rstrip()[:100])
    code = process.wait()
    # Tests that fail are a figure; a set-up or demo that fails leaves nothing to measure.
    if code and target != "test":
        raise Failed(f"make {target} ended with exit code {code}: {''.join(lines[-3:]).strip()}")
    return [time.monotonic() - began, "".join(lines[-200:])]
