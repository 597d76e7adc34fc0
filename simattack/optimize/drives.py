"""Searching an attack's parameters by what happens to the car, drive after drive.

The adversary sees nothing but the outcome. A look is the mean over a few seeds, the same ones each
time, so that a point is worth the same however often it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simattack import registry
from simattack.adversary import box_of
from simattack.checks import whole
from simattack.episode import run_episode
from simattack.errors import ConfigError
from simattack.metrics.safety import Value
from simattack.optimize import runs
from simattack.optimize.runs import Report
from simattack.scenario import Arm, Part, Scenario
from simattack.session import Session
from simattack.types import Detector, Floats

Metrics = Mapping[str, Value]
Drive = Callable[[Part, int], Metrics]
"""One drive under an attack with a seed: its metrics."""

HINT_WEIGHT = 0.5
"""Of the hint beside the outcome, so that no near miss counts as much as a hit."""


def harm(metrics: Metrics, unsafe: str) -> float:
    """How bad a drive was for the car: 1 for ``unsafe``, and up to a half for coming near it.

    The hint in 0..1 says how near, by the measure that goes with the metric, where there is one.
    """
    hit = 1.0 if metrics.get(unsafe) else 0.0
    near = [rule(metrics) for names, rule in _HINTS if any(name in unsafe for name in names)]
    return hit + HINT_WEIGHT * (near[0] if near else 0.0)


def _number(metrics: Metrics, name: str) -> float | None:
    value = metrics.get(name)
    return None if value is None or isinstance(value, str) else float(value)


def _at_the_line(metrics: Metrics) -> float:
    speed = _number(metrics, "line_speed_mps")
    hidden, whole = (
        _number(metrics, f"attack_frames_{name}") or 0.0 for name in ("hidden", "total")
    )
    # A car that stops crosses the line at 2 m/s as it drives on.
    fast = 0.0 if speed is None else min(speed / 10.0, 1.0)
    return max(fast, 0.5 * hidden / whole if whole else 0.0)


def _to_others(metrics: Metrics) -> float:
    gap = _number(metrics, "min_distance_m")
    time = _number(metrics, "min_ttc_s")
    return max(
        0.0 if gap is None else 1 / (1 + max(gap, 0.0)),
        0.0 if time is None else 1 / (1 + max(time, 0.0)),
    )


def _beside_the_lane(metrics: Metrics) -> float:
    offset = _number(metrics, "max_lane_offset_m")
    return 0.0 if offset is None else min(abs(offset) / 3.0, 1.0)


_HINTS: tuple[tuple[tuple[str, ...], Callable[[Metrics], float]], ...] = (
    (("stop_sign", "red_light"), _at_the_line),
    (("lane", "road"), _beside_the_lane),
    (("collision", "ttc"), _to_others),
)
"""Parts of a metric's name -> the hint that goes with it."""


@dataclass(eq=False)
class Drives:
    """A point of the unit box -> minus the mean harm of the drives it causes."""

    drive: Drive
    attack: Part
    """Whose box the unit box stands for."""
    seeds: Sequence[int]
    unsafe: str
    outcomes: list[Metrics] = field(default_factory=list)
    """Of every drive of the newest look."""

    def __post_init__(self) -> None:
        if not self.seeds:
            raise ValueError("expected at least one seed to drive")
        self._low, self._high = box_of(self.attack.build("attacks"))

    @property
    def count(self) -> int:
        """Parameters."""
        return len(self._low)

    def part(self, point: Floats) -> Part:
        """The attack with the parameters of a point."""
        values = self._low + np.clip(point, 0, 1) * (self._high - self._low)
        inner = {"kind": self.attack.kind, **self.attack.options}
        return Part("tuned", {"attack": inner, "parameters": tuple(float(v) for v in values)})

    def __call__(self, point: Floats) -> float:
        part = self.part(point)
        self.outcomes = [self.drive(part, seed) for seed in self.seeds]
        return -float(np.mean([harm(metrics, self.unsafe) for metrics in self.outcomes]))


@dataclass(frozen=True, kw_only=True)
class DrivesPlan:
    """All that decides the outcome, beside the world and the scenario."""

    method: str = "cma"
    options: tuple[tuple[str, Any], ...] = ()
    looks: int = 50
    seeds: tuple[int, ...] = (1000, 1001, 1002)
    """Driven in every look; others than those that the design is judged by."""
    seed: int = 0
    """Of the method."""

    def __post_init__(self) -> None:
        whole("seed", self.seed)
        if self.looks < 1 or not self.seeds:
            raise ValueError(f"expected at least 1 look and 1 seed, got {self.looks}, {self.seeds}")

    @property
    def optimizer(self) -> Any:
        """The method.

        Raises:
            ConfigError: no method of that name, an option that it does not take, or one that
                needs gradients, which do not flow through a drive.
        """
        options = {"queries": self.looks, **dict(self.options)}
        cls = registry.lookup("optimize", self.method)
        if "queries" not in getattr(cls, "__dataclass_fields__", {}):
            raise ConfigError(
                f"method {self.method!r} needs gradients, which do not flow through a drive; "
                "take cma, de, nes, square or random"
            )
        return registry.build("optimize", self.method, options, f"method {self.method!r}")


def optimize_drives(
    drive: Drive,
    scenario: Scenario,
    plan: DrivesPlan,
    out_dir: Path,
    name: str,
    inputs: Mapping[str, Any],
    resume: bool = True,
    report: Report | None = None,
) -> Path:
    """The worst parameters of a scenario's attack; the path of the design file.

    Checkpoints and curves lie in ``out_dir/<name>.run``; an interrupted run goes on from there and
    ends with the same design.

    Raises:
        ConfigError: the scenario has no attack, or one with nothing to tune.
        ResultsError: there is a run of that name with other inputs, or a damaged one.
    """
    if scenario.attack is None:
        raise ConfigError(f"scenario {scenario.name!r} has no attack to optimise")
    method = plan.optimizer
    objective = Drives(drive, scenario.attack, plan.seeds, scenario.unsafe)
    folder = out_dir / f"{name}.run"
    plain = json.loads(json.dumps({"plan": vars(plan), "scenario": inputs}, default=list))
    runs.claim(folder, plain, resume)
    start = np.full(objective.count, 0.5)
    rng = np.random.default_rng([plan.seed, 5])
    best = runs.drive(method, objective, start, rng, folder, report, save_every=1)
    part = objective.part(best.point)
    path = out_dir / f"{name}.json"
    design = {
        "attack": part.options["attack"],
        "parameters": part.options["parameters"],
        "scenario": scenario.name,
        "unsafe": scenario.unsafe,
        "harm": -best.value,
        "method": plan.method,
        "looks": best.iteration,
        "drives": best.iteration * len(plan.seeds),
        "seeds": plan.seeds,
        "seed": plan.seed,
    }
    path.write_text(json.dumps(design, indent=2, default=list) + "\n")
    return path


def driver(session: Session, scenario: Scenario, detector: Detector) -> Drive:
    """Drives of a scenario in one world; an episode that fails ends the search with its error."""

    def drive(attack: Part, seed: int) -> Metrics:
        arm = Arm("attacked", attack)
        conditions = scenario.draw(seed)
        result = run_episode(session, scenario, conditions, arm, seed, detector=detector)
        return result.metrics or {}

    return drive
