"""How often each defense raises an alarm for nothing, and how soon for its home attack.

``python benchmarks/alarms.py`` records clean drives with all sensors and a detector of the truth
into ``--out`` (once; what is there is used again), runs every defense of sensors over them, plain
and tampered with from ``--from-s`` on, and prints one table. What is recorded does not answer: an
attack changes what the car would see, not how it would drive then. Defenses of the picture look
through the car's own detector, and at drives past the attack of ``--attacked`` besides.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simattack import registry
from simattack.config import read_scenario
from simattack.envs import DriveEnv
from simattack.episode import drive
from simattack.errors import ConfigError
from simattack.session import Session
from simattack.staging import fitted
from simattack.types import (
    SENSORS,
    ActorState,
    Detections,
    Detector,
    Frame,
    Observation,
    Pose,
    Surface,
    Tick,
)

OWN = "its own"
"""The attack of the scenario, in the scene as the car drives past."""
HOMES: tuple[tuple[str, dict[str, Any], str, str, dict[str, Any]], ...] = (
    ("gnss_gate", {}, "gnss", "gnss_spoofing", {"profile": "jump"}),
    ("gnss_gate", {}, "gnss", "gnss_spoofing", {"rate_mps": 0.5}),
    ("gnss_gate", {}, "gnss", "gnss_meaconing", {}),
    ("gnss_gate", {}, "gnss", "gnss_jamming", {}),
    ("imu_check", {}, "imu", "imu_acoustic", {}),
    ("imu_check", {}, "imu", "imu_acoustic", {"part": "adxl103", "axis": "x"}),
    ("lidar_void", {}, "lidar", "lidar_removal", {}),
    ("lidar_void", {}, "lidar", "lidar_removal", {"method": "high_frequency"}),
    ("lidar_void", {}, "lidar", "lidar_saturation", {}),
    ("lidar_density", {}, "lidar", "lidar_injection", {}),
    ("lidar_density", {}, "lidar", "lidar_injection", {"hardware": "early"}),
    ("radar_check", {}, "radar", "radar_jamming", {}),
    ("radar_check", {}, "radar", "radar_ghost", {}),
    ("radar_check", {}, "radar", "radar_ghost", {"profile": "approaching", "range_m": 40.0}),
    ("cross_sensor", {}, "camera", "a box too many", {}),
    ("cross_sensor", {}, "camera", "no boxes", {}),
    ("sign_memory", {}, "camera", "no boxes", {}),
    ("lens_check", {}, "camera", "lens_mud", {"coverage": 0.6, "count": 40}),
    ("lens_check", {}, "camera", "lens_blockage", {"coverage": 0.5}),
    ("lens_check", {}, "camera", "lens_condensation", {"coverage": 0.85}),
    ("glare_check", {}, "camera", "link", {"fault": "freeze"}),
    ("glare_check", {}, "camera", "link", {"fault": "drop"}),
    ("glare_check", {}, "camera", "link", {"fault": "blackout"}),
    ("glare_check", {}, "camera", "blinding",
     {"power_mw": 100.0, "at": [0.5, 0.5], "distance_m": 20.0}),
    ("glare_check", {}, "camera", "blinding",
     {"power_mw": 500.0, "at": [0.5, 0.5], "distance_m": 5.0, "wavelength_nm": None}),
    ("glare_check", {}, "camera", "interference", {"power_w": 50.0}),
    ("smoothing", {}, "camera", OWN, {}),
    ("entropy", {}, "camera", OWN, {}),
    ("squeezing", {}, "camera", OWN, {}),
    ("segmenter", {}, "camera", OWN, {}),
    ("persistence", {}, "camera", OWN, {}),
)  # fmt: skip
"""Defense, its options, the sensor it speaks of, its home attack and that one's options."""
PICTURE = {home[0] for home in HOMES if home[3] == OWN}
"""Defenses that look at the picture, through the car's detector."""
LIED = {"a box too many", "no boxes"}
"""What a patch or a phantom would make of the detections: a car 12 m ahead, or nothing."""
GHOST = Detections(np.array([[270.0, 228.0, 370.0, 309.0]]), np.ones(1), ("car",))


@dataclass(frozen=True, eq=False)
class Drive:
    """A recorded drive, tick by tick."""

    arrays: dict[str, np.ndarray[Any, Any]]

    @property
    def ticks(self) -> int:
        """How many there are."""
        return len(self.arrays["clock"])

    def steps(self) -> Iterator[tuple[Frame, Observation, Detections]]:
        """Frame without others, fresh observation and the newest image's detections."""
        a = self.arrays
        first = np.concatenate([[0], np.cumsum(a["counts"])])
        for tick in range(self.ticks):
            look = int(a["look"][tick])
            obs = {name: a[name][tick].copy() for name in ("gnss", "imu", "speed", "clock")}
            obs |= {name: a[name][look] for name in ("camera", "lidar", "radar")}
            rows = slice(int(first[look]), int(first[look + 1]))
            names = tuple(str(name) for name in a["labels"][rows])
            seen = Detections(a["boxes"][rows], np.ones(len(names)), names)
            ego = ActorState(
                1,
                "vehicle.lincoln.mkz_2020",
                Pose(*(float(value) for value in a["pose"][tick])),
                tuple(a["velocity"][tick].tolist()),
                tuple(a["push"][tick].tolist()),
                (2.45, 0.93, 0.76),
            )
            yield Frame(tick, float(obs["clock"][0]), ego), obs, seen


class Nowhere:
    """A world for attacks that touch nothing in the scene."""

    def __init__(self, geo_origin: tuple[float, float]) -> None:
        self.geo_origin = geo_origin

    def surface(self, name: str) -> Surface:
        """There is none."""
        raise ConfigError(f"expected an attack on a sensor, got one that asks for {name!r}")


def record(
    session: Session, name: str, seed: int, path: Path, max_ticks: int, is_attacked: bool
) -> None:
    """Drive one seed of a scenario, without or with its attack, and keep what the car sensed."""
    scenario = dataclasses.replace(read_scenario(name), sensors=SENSORS)
    env = DriveEnv(scenario, session, max_ticks)
    rows: dict[str, list[Any]] = {
        key: [] for key in "gnss imu speed clock look pose velocity push".split()
    }
    looks: dict[str, list[Any]] = {key: [] for key in "camera lidar radar boxes counts".split()}
    labels: list[str] = []

    def keep(tick: Tick, obs: Observation) -> None:
        if tick.is_new_image:
            for key in ("camera", "lidar", "radar"):
                looks[key].append(obs[key])
            looks["boxes"].append(tick.raw.boxes)
            looks["counts"].append(len(tick.raw))
            labels.extend(tick.raw.labels)
        for key in ("gnss", "imu", "speed", "clock"):
            rows[key].append(obs[key])
        ego = tick.frame.ego
        rows["look"].append(len(looks["camera"]) - 1)
        rows["pose"].append(dataclasses.astuple(ego.pose))
        rows["velocity"].append(ego.velocity_mps)
        rows["push"].append(ego.acceleration_mps2)

    detector = registry.build("detectors", "oracle", {}, "alarms")
    policy = registry.build("policies", "modular", {}, "alarms")
    part = scenario.attack
    attack = part.build("attacks", name) if is_attacked and part is not None else None
    drive(env, detector, policy, seed, attack, recorder=keep)
    boxes = np.concatenate(looks.pop("boxes")).reshape(-1, 4)
    arrays = {key: np.array(value) for key, value in (rows | looks).items()}
    np.savez(
        path,
        boxes=boxes,
        labels=np.array(labels, dtype=str),
        origin=np.array(session.geo_origin),
        route=env.route.points,
        **arrays,
    )


def alarms(
    drive: Drive,
    kind: str,
    options: dict[str, Any],
    attack: Any,
    lie: str,
    from_s: float,
    detector: Detector | None = None,
) -> dict[str, np.ndarray[Any, Any]]:
    """By sensor, (looks, 2): when a look was judged and the alarm then.

    With a detector, what it finds in the picture takes the place of what was recorded.
    """
    car = fitted(SENSORS, 0.05)
    defense = registry.build("defenses", kind, options, "alarms")
    guard = defense.begin(car, np.random.default_rng(0))
    world: Any = Nowhere(tuple(drive.arrays["origin"].tolist()))
    running = None if attack is None else attack.begin(world, np.random.default_rng(1))
    looking = None if detector is None else guard.wrap(detector)
    told: dict[str, list[tuple[float, float]]] = {}
    judged_s = -1.0
    for frame, plain, truly in drive.steps():
        obs = plain if running is None else running.tamper(plain, frame)
        obs = guard.clean(obs)
        time_s = float(obs["clock"][0])
        # As in the stack: once a capture, and again when one is overdue.
        if time_s - judged_s > car.camera_period_s - 1e-9:
            judged_s = time_s
            seen = truly if looking is None else looking.detect(obs["camera"][None])[0]
            if time_s >= from_s and lie:
                seen = _joined(truly, GHOST) if lie == "a box too many" else Detections.none()
            for sensor, alarm in guard.judge(obs, seen).alarm.items():
                told.setdefault(sensor, []).append((time_s, float(alarm)))
    return {sensor: np.array(rows) for sensor, rows in told.items()}


def _joined(one: Detections, two: Detections) -> Detections:
    return Detections(
        np.concatenate([one.boxes, two.boxes]),
        np.concatenate([one.scores, two.scores]),
        one.labels + two.labels,
    )


def _held(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(looks,) whether this look and the two before it are alarms: what the fallback acts on."""
    is_on = rows[:, 1] >= 0.5
    return is_on & np.roll(is_on, 1) & np.roll(is_on, 2) & (np.arange(len(rows)) >= 2)


@dataclass(frozen=True)
class Judged:
    """The drives to judge and what to judge them by."""

    clean: list[Drive]
    attacked: list[Drive]
    from_s: float
    options: dict[str, dict[str, Any]]
    """By kind of defense."""
    detector: Detector | None
    """Of the car; none where nothing looks at the picture."""

    def eyes(self, kind: str) -> Detector | None:
        """What a defense of the picture looks through; the others are told the truth."""
        return self.detector if kind in PICTURE else None


def table_of_clean(judged: Judged, kinds: list[str]) -> None:
    """Print the share of looks with an alarm, and with one that is held, and the levels."""
    write(f"{'defense':16s}{'sensor':8s}{'looks':>7s}{'alarm':>8s}{'held':>8s}")
    write(f"{'50 %':>9s}{'90 %':>8s}{'99 %':>8s}   of levels, clean\n")
    for kind in kinds:
        eyes = judged.eyes(kind)
        parts = [
            alarms(drive, kind, judged.options[kind], None, "", judged.from_s, eyes)
            for drive in judged.clean
        ]
        for sensor in sorted({sensor for part in parts for sensor in part}):
            rows = [part[sensor] for part in parts if sensor in part]
            level = np.concatenate([part[:, 1] for part in rows])
            held = sum(int(_held(part).sum()) for part in rows) / len(level)
            spread = "".join(f"{np.quantile(level, q):8.3f}" for q in (0.5, 0.9, 0.99))
            alarm = float((level >= 0.5).mean())
            write(f"{kind:16s}{sensor:8s}{len(level):7d}{alarm:8.3f}{held:8.3f} {spread}\n")


def table_of_attacked(judged: Judged, kinds: list[str]) -> None:
    """Print the drives in which an alarm is held, the median delay, and the share of looks."""
    write(f"\n{'defense':16s}{'home attack':52s}{'told':>6s}{'delay s':>9s}{'held':>8s}\n")
    for kind, extra, sensor, name, given in HOMES:
        if kind not in kinds:
            continue
        options = judged.options[kind] | extra
        drives = judged.attacked if name == OWN else judged.clean
        from_s = 0.0 if name == OWN else judged.from_s
        delays, held = [], []
        for one in drives:
            attack = None
            if name not in LIED | {OWN}:
                timing = {"timing": {"start_s": from_s}}
                attack = registry.build("attacks", name, given | timing, "alarms")
            lie = name if name in LIED else ""
            heard = alarms(one, kind, options, attack, lie, from_s, judged.eyes(kind))
            rows = heard.get(sensor, np.zeros((0, 2)))
            is_held = _held(rows) & (rows[:, 0] >= from_s)
            if is_held.any():
                delays.append(float(rows[is_held.argmax(), 0]) - from_s)
            if (rows[:, 0] >= from_s).any():
                held.append(float(is_held[rows[:, 0] >= from_s].mean()))
        what = f"{name} {' '.join(f'{key}={value}' for key, value in given.items())}"
        delay = f"{np.median(delays):.2f}" if delays else "-"
        share = float(np.mean(held)) if held else 0.0
        write(f"{kind:16s}{what:52.52s}{len(delays):3d}/{len(drives)}{delay:>9s}{share:8.2f}\n")


def recorded(
    names: list[str], seeds: list[int], folder: Path, ticks: int, is_attacked: bool = False
) -> list[Drive]:
    """The drives, those that are missing made first."""
    drives = []
    for name in names:
        for seed in seeds:
            path = folder / f"{name}_{seed}{'_attacked' * is_attacked}.npz"
            if not path.exists():
                with Session.launch(str(read_scenario(name).map_file())) as session:
                    record(session, name, seed, path, ticks, is_attacked)
                sys.stderr.write(f"recorded {path}\n")
            drives.append(Drive(dict(np.load(path, allow_pickle=False))))
    return drives


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> int:
    """Record what is missing, judge it and print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("/tmp/simattack_alarms"))
    parser.add_argument("--scenarios", nargs="+", default=["stop_sign", "stopped_car", "curve"])
    parser.add_argument("--attacked", nargs="+", default=["stop_sign"], help="by their own attack")
    parser.add_argument("--seeds", nargs="+", type=int, default=[2])
    parser.add_argument("--ticks", type=int, default=260, help="of a drive, at most")
    parser.add_argument("--from-s", type=float, default=4.0, help="when attacks begin")
    parser.add_argument("--only", nargs="+", help="kinds of defenses")
    parser.add_argument("--options", type=json.loads, default={}, help="JSON, of every defense")
    parser.add_argument("--signs", default="", help="a survey for sign_memory")
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    kinds = [
        kind
        for kind in dict.fromkeys(home[0] for home in HOMES)
        if not flags.only or kind in flags.only
    ]
    options = {kind: dict(flags.options) for kind in kinds}
    if "sign_memory" in options:
        options["sign_memory"]["signs"] = flags.signs
    is_looking = bool(PICTURE & {*kinds})
    judged = Judged(
        recorded(flags.scenarios, flags.seeds, flags.out, flags.ticks),
        recorded(flags.attacked if is_looking else [], flags.seeds, flags.out, flags.ticks, True),
        flags.from_s,
        options,
        registry.build("detectors", "yolo", {}, "alarms") if is_looking else None,
    )
    table_of_clean(judged, kinds)
    table_of_attacked(judged, kinds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
