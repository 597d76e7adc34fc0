"""Measures what simattack promises and records it under results/, with the commit.

``python benchmarks/accept.py`` runs every check; name some to run only those. Each check prints
its figures and whether they meet the target, and writes ``results/accept/<check>.json``.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "results" / "accept"
SIMATTACK = [sys.executable, "-m", "simattack"]
Figures = dict[str, Any]
WEIGHTS = ROOT / "simattack" / "detectors" / "weights"
SHIPPED = "town_yolo11n"
_MIB = 2**20


def suite(folder: Path) -> Figures:
    """The full stop-sign suite: what happens to the car in each arm, and how long it takes."""
    started = time.monotonic()
    _call("run", "stop_sign", "--workers", "2", "--out", str(folder / "suite"))
    minutes = (time.monotonic() - started) / 60
    summary = json.loads((folder / "suite" / "summary.json").read_text())
    rows = _rows(folder / "suite")
    arms = sorted({row["arm"] for row in rows})
    violations, stops = _rates(rows, "stop_sign_violation"), _rates(rows, "stopped")
    keep = RECORDS.parent / "stop_sign"
    keep.mkdir(parents=True, exist_ok=True)
    for name in ("episodes.jsonl", "summary.json", "manifest.json", "timing.jsonl"):
        shutil.copy(folder / "suite" / name, keep / name)
    walls = [json.loads(line) for line in (folder / "suite" / "timing.jsonl").open()]
    slowest = max(float(wall["wall_s"]) for wall in walls)
    must_stop = ["clean", *(arm for arm in arms if arm.startswith("control_"))]
    return {
        "minutes": round(minutes, 1),
        "slowest_episode_s": round(slowest, 1),
        "violation_rate": violations,
        "stop_rate": stops,
        "n": {arm: sum(row["arm"] == arm for row in rows) for arm in arms},
        "n_metrics": len(summary),
        "meets": {
            "suite in 20 min": minutes <= 20,
            "clean and controls stop in 90 %": all(stops[arm] >= 0.9 for arm in must_stop),
            "attacked violates in 80 %": violations["attacked"] >= 0.8,
        },
    }


def speed(folder: Path) -> Figures:
    """One episode with everything on one core."""
    walls = {}
    for arm in ("clean", "attacked"):
        out = folder / f"speed_{arm}"
        _call("run", "stop_sign", "--arms", arm, "--seeds", "2", "--out", str(out), cpu=0)
        lines = [json.loads(line) for line in (out / "timing.jsonl").open()]
        # The second one: the first also starts the server and loads the weights.
        walls[arm] = round(float(lines[-1]["wall_s"]), 1)
    return {"one_core_episode_s": walls, "meets": {"<= 20 s": max(walls.values()) <= 20}}


def identity(folder: Path) -> Figures:
    """The same bytes from one worker, two workers, and a run that was interrupted."""
    common = ["run", "stop_sign", "--seeds", "3", "--max-ticks", "40"]
    _call(*common, "--workers", "1", "--out", str(folder / "one"))
    _call(*common, "--workers", "2", "--out", str(folder / "two"))
    broken = folder / "broken"
    process = subprocess.Popen(
        [*SIMATTACK, *common, "--workers", "2", "--out", str(broken)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    partial = broken / "episodes.partial.jsonl"
    while process.poll() is None:
        if partial.exists() and partial.read_bytes().count(b"\n") >= 5:
            os.killpg(process.pid, signal.SIGINT)
            break
        time.sleep(0.2)
    process.wait()
    before = partial.read_bytes().count(b"\n") if partial.exists() else 0
    _call(*common, "--workers", "2", "--out", str(broken))
    texts = [(folder / name / "episodes.jsonl").read_bytes() for name in ("one", "two", "broken")]
    return {
        "rows": texts[0].count(b"\n"),
        "rows_before_interruption": before,
        "meets": {
            "two workers": texts[0] == texts[1],
            "interrupted and resumed": texts[0] == texts[2] and 0 < before < texts[0].count(b"\n"),
        },
    }


def memory(folder: Path) -> Figures:
    """Resident memory over 100 short episodes."""
    process = subprocess.Popen(
        [*SIMATTACK, "run", "stop_sign", "--arms", "clean", "--seeds", "100", "--max-ticks", "20",
         "--out", str(folder / "memory")],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    samples: dict[str, list[tuple[int, float]]] = {"server": [], "worker": []}
    partial = folder / "memory" / "episodes.partial.jsonl"
    while process.poll() is None:
        done = partial.read_bytes().count(b"\n") if partial.exists() else 0
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                command, size = " ".join(child.cmdline()), child.memory_info().rss / _MIB
            except psutil.Error:
                continue
            if "simattack.server" in command:
                samples["server"].append((done, size))
            elif "spawn_main" in command:
                samples["worker"].append((done, size))
        time.sleep(0.5)
    figures: Figures = {}
    for name, points in samples.items():
        early = [size for done, size in points if 10 <= done < 30]
        late = [size for done, size in points if done >= 80]
        figures[name] = {
            "peak_mib": round(max(size for _, size in points)),
            "mean_after_10_mib": round(sum(early) / len(early)),
            "mean_after_80_mib": round(sum(late) / len(late)),
        }
    growth = {
        name: value["mean_after_80_mib"] - value["mean_after_10_mib"]
        for name, value in figures.items()
    }
    return {
        **figures,
        "growth_mib": growth,
        "meets": {
            "server <= 1 GB": figures["server"]["peak_mib"] <= 1000,
            "worker <= 2 GB": figures["worker"]["peak_mib"] <= 2000,
            "flat (<= 30 MiB)": max(growth.values()) <= 30,
        },
    }


def mistakes(folder: Path) -> Figures:
    """One clear line and exit 1 for what a user gets wrong."""
    wrong_key = folder / "wrong.yaml"
    text = (ROOT / "scenarios" / "stop_sign.yaml").read_text()
    wrong_key.write_text(text.replace("weather:", "wether:"))
    from PIL import Image

    flat = folder / "flat.png"
    Image.new("RGB", (64, 16)).save(flat)
    weights = folder / "town.safetensors"
    shipped = WEIGHTS / f"{SHIPPED}.safetensors"
    weights.write_bytes(shipped.read_bytes()[:-1] + b"\0")
    shutil.copy(shipped.with_suffix(".json"), weights.with_suffix(".json"))
    out = ["--out", str(folder / "never")]
    cases = {
        "missing scenario": ["run", "missing.yaml", *out],
        "wrong key": ["run", str(wrong_key), *out],
        "patch of a wrong size": [
            "run",
            "stop_sign",
            "--patch",
            str(flat),
            "--size-m",
            "0.6",
            *out,
        ],
        "weights with a wrong hash": ["run", "stop_sign", "--detector", str(weights), *out],
        "no server there": ["run", "stop_sign", "--host", "127.0.0.1", "--port", "1", *out],
    }
    lines, meets = {}, {}
    for name, arguments in cases.items():
        ended = subprocess.run(
            [*SIMATTACK, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        errors = [line for line in ended.stderr.splitlines() if line.strip()]
        lines[name] = errors[-1] if errors else ""
        meets[name] = (
            ended.returncode == 1
            and len([line for line in errors if line.startswith("simattack:")]) == 1
            and "Traceback" not in ended.stderr
        )
    return {"lines": {name: _without_paths(line) for name, line in lines.items()}, "meets": meets}


def killed(folder: Path) -> Figures:
    """The embedded server killed once, and again, in the middle of a run."""
    figures: Figures = {"meets": {}}
    for times in (1, 2):
        out = folder / f"killed_{times}"
        process = subprocess.Popen(
            [*SIMATTACK, "run", "stop_sign", "--arms", "clean", "--seeds", "2", "--out", str(out)],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        shot: set[int] = set()
        while process.poll() is None and len(shot) < times:
            for child in psutil.Process(process.pid).children(recursive=True):
                try:
                    is_server = "simattack.server" in " ".join(child.cmdline())
                    if (
                        is_server
                        and child.pid not in shot
                        and time.time() - child.create_time() > 12
                    ):
                        child.kill()
                        shot.add(child.pid)
                except psutil.Error:
                    continue
            time.sleep(0.2)
        _, errors = process.communicate()
        rows = _rows(out)
        n_errors = sum(row["error"] is not None for row in rows)
        figures[f"killed {times} x"] = {
            "exit": process.returncode, "rows": len(rows), "rows_with_error": n_errors,
            "lines": [_without_paths(x) for x in errors.splitlines() if "simattack:" in x][:6],
        }  # fmt: skip
        expected = (0, 0) if times == 1 else (1, 1)
        figures["meets"][f"killed {times} x"] = (process.returncode, n_errors) == expected
    return figures


def detector(folder: Path) -> Figures:
    """The shipped detector's scores, as the training command measured and wrote them."""
    card = json.loads((WEIGHTS / f"{SHIPPED}.json").read_text())
    metrics = card["metrics"]
    ap50, counts = metrics["ap50"], metrics["objects"]
    wanted = {"stop sign": (0.85, 300), "car": (0.85, 500), "person": (0.75, 200)}
    return {
        **metrics,
        "meets": {
            **{f"AP50 of {name} >= {low}": ap50[name] >= low for name, (low, _) in wanted.items()},
            **{f">= {n} of {name}": counts[name] >= n for name, (_, n) in wanted.items()},
            ">= 4 places": metrics["places"] >= 4,
            "sign recall >= 0.95 from 8 to 30 m": metrics["stop_sign_recall_8_to_30_m"] >= 0.95,
            "stable by 25 m in 90 %": metrics["stable_by_25_m"] >= 0.9,
        },
    }


def twin(folder: Path) -> Figures:
    """The twin against the simulator, for the shipped patch and for a random saturated one."""
    import numpy as np

    from simattack.config import read_scenario
    from simattack.gap import DISTANCE_M, UNSEEN_WEATHERS, measure_gap, saturated
    from simattack.optimize.sticker import scorer_of
    from simattack.patchfile import load_patch
    from simattack.session import Session
    from simattack.standpoints import standpoints

    scenario = read_scenario("stop_sign")
    patch = load_patch("stop_sign")
    rng = np.random.default_rng(12345)
    scorer = scorer_of(scenario.detector.build("detectors", "twin"))
    with Session.launch(scenario.map) as session:
        stands = standpoints(session, scenario.sites, 24, len(UNSEEN_WEATHERS), rng, DISTANCE_M)
        gaps = measure_gap(
            session, stands, UNSEEN_WEATHERS, {"patch": patch.image, "random": saturated(rng)},
            patch.size_m, patch.card.centre, scorer,
        )  # fmt: skip
    meets = {}
    for name, gap in gaps.items():
        meets[f"{name}: median >= 30 dB"] = gap.median_db >= 30
        meets[f"{name}: 5th percentile >= 25 dB"] = gap.low_db >= 25
        meets[f"{name}: scores within 0.1 in 90 %"] = gap.close_scores >= 0.9
        meets[f"{name}: mean colour >= 5 dB worse"] = gap.median_db - gap.mean_colour_db >= 5
    return {**{name: gap.plain() for name, gap in gaps.items()}, "meets": meets}


def traffic(folder: Path) -> Figures:
    """CARLA's TrafficManager with 20 cars for 5 simulated minutes in the town."""
    script = ROOT / "benchmarks" / "traffic_check.py"
    ended = subprocess.run(
        [sys.executable, str(script), "--cars", "20", "--minutes", "5", "--seed", "0"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"\{.*\}", ended.stdout, re.DOTALL)
    figures: Figures = json.loads(found[0]) if found else {"output": ended.stdout[-500:]}
    return {**figures, "meets": {"none stuck, off road or lost": ended.returncode == 0}}


CHECKS: dict[str, Callable[[Path], Figures]] = {
    check.__name__: check
    for check in (detector, mistakes, identity, speed, twin, memory, killed, traffic, suite)
}


def main(names: list[str]) -> int:
    """Run the named checks, or all; 1 if a target is missed."""
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        sys.exit(f"accept: no check {unknown[0]!r}; there are: {', '.join(CHECKS)}")
    RECORDS.mkdir(parents=True, exist_ok=True)
    is_met = True
    for name in names or CHECKS:
        with tempfile.TemporaryDirectory(prefix="simattack-accept-") as folder:
            started = time.monotonic()
            figures = CHECKS[name](Path(folder))
        record = {
            "check": name,
            "commit": _git("rev-parse", "HEAD"),
            "has_uncommitted_changes": bool(_git("status", "--porcelain", "--", "simattack")),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "took_s": round(time.monotonic() - started),
            **figures,
        }
        (RECORDS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        print(json.dumps(record, indent=1))
        missed = [target for target, met in figures["meets"].items() if not met]
        is_met &= not missed
        print(f"{name}: {'met' if not missed else 'MISSED: ' + ', '.join(missed)}", flush=True)
    return 0 if is_met else 1


def _call(*arguments: str, cpu: int | None = None) -> None:
    command = [*SIMATTACK, *arguments]
    if cpu is not None:
        command = ["taskset", "-c", str(cpu), *command]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "episodes.jsonl").open()]


def _rates(rows: list[dict[str, Any]], metric: str) -> dict[str, float]:
    """Share of all episodes of an arm, crashed ones included, in which a metric is true."""
    arms: dict[str, list[bool]] = {}
    for row in rows:
        hit = bool(row["metrics"] and row["metrics"][metric])
        arms.setdefault(row["arm"], []).append(hit)
    return {arm: round(sum(hits) / len(hits), 3) for arm, hits in sorted(arms.items())}


def _git(*arguments: str) -> str:
    ended = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return ended.stdout.strip()


def _without_paths(line: str) -> str:
    return line.replace(str(ROOT), "~/simattack").replace(tempfile.gettempdir(), "/tmp")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
