"""Checks that drive: what happens to the car, how fast, in how much memory, byte for byte."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import Any

import numpy as np
import psutil

from acceptance.record import ROOT, Figures, Finding, Target, at_least, at_most
from acceptance.work import Failed, Work, call, rows, rows_so_far, started, timings

_MIB = 2**20
_KEPT = ("episodes.jsonl", "summary.json", "manifest.json", "timing.jsonl")


def suite(work: Work) -> Finding:
    """The full stop-sign suite: what happens to the car in each arm, and how long it takes."""
    out = work / "suite"
    arguments = ("run", "stop_sign", "--workers", "2", "--out", str(out))
    # An episode that ended in an error is a figure, not the end of the measurement.
    seconds = work.clocked("suite", lambda: call(*arguments, allowed=(0, 1)))
    found = rows(out)
    keep = ROOT / "results" / "stop_sign"
    keep.mkdir(parents=True, exist_ok=True)
    for name in _KEPT:
        shutil.copy(out / name, keep / name)
    violations, stops = _shares(found, "stop_sign_violation"), _shares(found, "stopped")
    counts = {arm: sum(row["arm"] == arm for row in found) for arm in violations}
    must_stop = [arm for arm in counts if arm == "clean" or arm.startswith("control_")]
    covered = _covered_share()
    targets = [
        at_most("the suite with 2 workers <= 20 min", round(seconds / 60, 1), 20, " min"),
        at_least("seeds an arm >= 10", min(counts.values()), 10),
        *(at_least(f"{arm}: stops in >= 90 %", 100 * stops[arm], 90, " %") for arm in must_stop),
        at_least("attacked: violation in >= 80 %", 100 * violations["attacked"], 80, " %"),
        at_most("sticker <= 30 % of the face", round(100 * covered, 1), 30, " %"),
    ]
    figures: Figures = {
        "episodes": counts,
        "episodes_with_error": sum(row["error"] is not None for row in found),
        "violation_share": violations,
        "stop_share": stops,
        "slowest_episode_s": max(wall["wall_s"] for wall in timings(out)),
    }
    return Finding(targets, figures)


def speed(work: Work) -> Finding:
    """One episode with everything, server and worker, on one core."""

    def second_drive(arm: str) -> float:
        out = work / f"speed_{arm}"
        shutil.rmtree(out, ignore_errors=True)
        call("run", "stop_sign", "--arms", arm, "--seeds", "2", "--out", str(out), cpu=0)
        # The first also starts the server and loads the weights.
        return float(next(wall["wall_s"] for wall in timings(out) if wall["seed"] == 1))

    walls = {
        arm: round(work.once(f"one core, {arm}", lambda arm=arm: second_drive(arm)), 1)
        for arm in ("clean", "attacked")
    }
    targets = [
        at_most(f"{arm}: one episode on one core <= 20 s", wall, 20, " s")
        for arm, wall in walls.items()
    ]
    return Finding(targets, {"episode_s": walls})


def identity(work: Work) -> Finding:
    """The same bytes from one worker, two workers, and a run that was interrupted."""
    common = ["run", "stop_sign", "--seeds", "3", "--max-ticks", "40"]
    for name, workers in (("one", "1"), ("two", "2")):
        arguments = [*common, "--workers", workers, "--out", str(work / name)]
        work.once(f"{name} worker(s)", lambda arguments=arguments: call(*arguments))
    broken = work / "broken"

    def interrupt() -> int:
        shutil.rmtree(broken, ignore_errors=True)
        arguments = [*common, "--workers", "2", "--out", str(broken)]
        with started(*arguments, stdout=subprocess.DEVNULL, start_new_session=True) as process:
            while process.poll() is None and rows_so_far(broken) < 5:
                time.sleep(0.1)
            if process.poll() is None:
                # As Ctrl-C in a terminal does it: to the whole group.
                os.killpg(process.pid, signal.SIGINT)
            process.wait()
        return rows_so_far(broken)

    before = work.once("interrupted", interrupt)
    work.once("resumed", lambda: call(*common, "--workers", "2", "--out", str(broken)))
    texts = [(work / name / "episodes.jsonl").read_bytes() for name in ("one", "two", "broken")]
    count = texts[0].count(b"\n")

    def same(text: str, other: bytes, is_fair: bool = True) -> Target:
        is_same = other == texts[0]
        measured = f"{count} rows, {'the same' if is_same else 'other'} bytes"
        return Target(text, measured if is_fair else f"{before} rows before", is_same and is_fair)

    targets = [
        same("two workers: the bytes of one", texts[1]),
        same("interrupted and resumed: the bytes of one", texts[2], 0 < before < count),
    ]
    return Finding(targets, {"rows": count, "rows_before_interruption": before})


def memory(work: Work) -> Finding:
    """Resident memory of server and worker over 100 short episodes."""
    out = work / "memory"

    def watch() -> dict[str, list[tuple[int, float]]]:
        shutil.rmtree(out, ignore_errors=True)
        samples: dict[str, list[tuple[int, float]]] = {"server": [], "worker": []}
        arguments = ["run", "stop_sign", "--arms", "clean", "--seeds", "100", "--max-ticks", "20"]
        with started(*arguments, "--out", str(out), stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                done = rows_so_far(out)
                for name, size in _sizes(process.pid):
                    samples[name].append((done, size))
                time.sleep(0.25)
        if process.returncode:
            raise Failed(f"the run of 100 episodes ended with exit code {process.returncode}")
        return samples

    samples = work.once("100 episodes", watch)
    figures: Figures = {}
    for name, points in samples.items():
        early = [size for done, size in points if 10 <= done < 30]
        late = [size for done, size in points if done >= 80]
        if not early or not late:
            raise Failed(f"no sample of the {name}'s memory early or late in the run")
        figures[name] = {
            "peak_mib": round(max(size for _, size in points)),
            "mean_after_10_mib": round(float(np.mean(early)), 1),
            "mean_after_80_mib": round(float(np.mean(late)), 1),
        }
    growth = {
        name: round(sizes["mean_after_80_mib"] - sizes["mean_after_10_mib"], 1)
        for name, sizes in figures.items()
    }
    targets = [
        at_most("server resident <= 1 GB", figures["server"]["peak_mib"], 1e9 / _MIB, " MiB"),
        at_most("worker resident <= 2 GB", figures["worker"]["peak_mib"], 2e9 / _MIB, " MiB"),
        *(at_most(f"{name}: flat (<= 30 MiB)", size, 30, " MiB") for name, size in growth.items()),
    ]
    return Finding(targets, {**figures, "growth_mib": growth})


def _sizes(pid: int) -> list[tuple[str, float]]:
    """Resident MiB of the servers and workers of a run."""
    found = []
    try:
        for child in psutil.Process(pid).children(recursive=True):
            command, size = " ".join(child.cmdline()), child.memory_info().rss / _MIB
            if "simattack.server" in command:
                found.append(("server", size))
            elif "spawn_main" in command:
                found.append(("worker", size))
    except psutil.Error:
        pass  # one of them ended while it was looked at
    return found


def _shares(found: list[dict[str, Any]], metric: str) -> dict[str, float]:
    """Share of all episodes of an arm, crashed ones included, in which a metric is true."""
    arms: dict[str, list[bool]] = {}
    for row in found:
        hit = bool(row["metrics"] and row["metrics"][metric])
        arms.setdefault(row["arm"], []).append(hit)
    return {arm: round(sum(hits) / len(hits), 3) for arm, hits in sorted(arms.items())}


def _covered_share() -> float:
    """Of the sign's face that the shipped sticker's printed matter covers."""
    from simattack.config import read_scenario
    from simattack.patchfile import load_patch
    from simattack.placement import place
    from simattack.surfaces import approaches

    scenario = read_scenario("stop_sign")
    assert scenario.attack is not None
    patch = load_patch(scenario.attack.options["patch"])
    surface = approaches(scenario.map)[scenario.sites[0]].surface
    placed = place(surface, patch.size_m, patch.image, patch.card.centre, most=1.0)
    return float((placed.coverage * surface.face).sum() / surface.face.sum())
