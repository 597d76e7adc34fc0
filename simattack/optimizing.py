"""The command `simattack optimize`: from its flags to a plan, and from there to a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from simattack.errors import ConfigError
from simattack.terminal import Stages

if TYPE_CHECKING:
    from simattack.scenario import Scenario
    from simattack.session import Session


def optimize(
    scenario: tyro.conf.Positional[str],
    name: str,
    out: Path | None = None,
    on: Literal["twin", "drives"] = "twin",
    goal: str | None = None,
    label: str | None = None,
    method: str | None = None,
    iterations: int | None = None,
    labels: str | None = None,
    cells: int | None = None,
    size_m: float | None = None,
    pieces: int | None = None,
    gap_m: float | None = None,
    sites: tuple[str, ...] | None = None,
    views: int | None = None,
    seed: int = 0,
    drives: tuple[int, ...] = (1000, 1001, 1002),
    defense: str | None = None,
    detector: str | None = None,
    also: tuple[str, ...] = (),
    trust_pickle: bool = False,
    host: str | None = None,
    port: int = 2000,
    restart: bool = False,
) -> int:
    """Find the worst that a scenario's attack may be within its budget.

    On the twin: a sticker for the scenario's signs that fools its detector, through the measured
    camera. On drives: whatever numbers the attack leaves free, by what happens to the car.

    Writes <out>/<name>.png and its card, or the design <out>/<name>.json; an interrupted run goes
    on from its last checkpoint.
    Curves for TensorBoard lie in <out>/<name>.run.

    Args:
        scenario: Says which signs, which detector and which map.
        name: Of the new patch or design.
        out: Folder for it; patches, or designs on drives.
        on: What to learn from: the twin, or drives.
        goal: hide, appear, misclassify or overload.
        label: Class to be seen, for appear and misclassify.
        method: How, such as adam, pgd, lbfgs, cma, nes, square; see `simattack list optimize`.
        iterations: Steps of the optimiser, or looks of one without gradients.
        labels: What a method without gradients is told: scores, or hard labels only.
        cells: Of the picture, along its longer side; fewer make a smaller search.
        size_m: Side of the square sticker, or of the whole set, in metres.
        pieces: Stickers of the set along each side; 1 for a single one.
        gap_m: Between neighbours of a set.
        sites: Signs to make it for; by default the scenario's.
        views: Standpoints to measure the camera at.
        seed: Of every random draw.
        drives: Seeds driven in every look on drives.
        defense: Make it get past this defense, too.
        detector: Weights of your own (.safetensors, .pt) instead of the scenario's.
        also: More weights; the sticker has to fool all of them.
        trust_pickle: Load a .pt file, which can run any code that is in it.
        host: Use a running CARLA server instead of an embedded one.
        port: Of that server.
        restart: Forget what an interrupted run of that name has done.
    """
    from simattack import config, overrides

    change = overrides.changes(detector=detector, trust_pickle=trust_pickle)
    chosen = change(config.read_scenario(scenario))
    chosen.load_plugins()

    def open_session() -> Session:
        from simattack.session import Session

        if host is None:
            return Session.launch(str(chosen.map_file()))
        return Session.connect(host, port, str(chosen.map_file()))

    if on == "drives":
        given: dict[str, Any] = {"method": method, "looks": iterations}
        path = _on_drives(
            chosen, name, out or Path("designs"), given, seed, drives, not restart, open_session
        )
        sys.stdout.write(f"design: {path}\n")
        return 0
    given = {
        "goal": goal,
        "label": label,
        "method": method,
        "iterations": iterations,
        "labels": labels,
        "cells": cells,
        "size_m": None if size_m is None else (size_m, size_m),
        "pieces": pieces,
        "gap_m": gap_m,
        "views": views,
    }
    path = _on_twin(
        chosen, name, out or Path("patches"), given, sites, seed, defense, also, not restart,
        open_session,
    )  # fmt: skip
    sys.stdout.write(f"patch: {path}\ncard: {path.with_suffix('.json')}\n")
    return 0


def _on_twin(
    scenario: Scenario,
    name: str,
    out: Path,
    given: Mapping[str, Any],
    sites: tuple[str, ...] | None,
    seed: int,
    defense: str | None,
    also: tuple[str, ...],
    resume: bool,
    open_session: Callable[[], Session],
) -> Path:
    from simattack.config import Part
    from simattack.optimize import sticker

    where = f"scenario {scenario.name!r}"
    if sites is None and any(scenario.place(site) is not None for site in scenario.sites):
        raise ConfigError(
            f"{where} is about no sign that a sticker could go on; name signs by --sites, or "
            "search its attack's numbers by --on drives"
        )
    network = scenario.detector.build("detectors", f"{where}: field 'detector'")
    if getattr(network, "is_privileged", False):
        raise ConfigError(
            f"optimising on the twin needs a detector that looks at pictures, such as yolo; got "
            f"{scenario.detector.kind!r}"
        )
    networks = tuple(
        scenario.detector.with_options(weights=weights).build("detectors", f"--also {weights}")
        for weights in also
    )
    guard = None if defense is None else Part(defense).build("defenses", "--defense")
    if guard is not None and not hasattr(guard, "surrogate"):
        raise ConfigError(f"--defense {defense}: has no surrogate that gradients go through")
    options = {key: value for key, value in given.items() if value is not None}
    try:
        plan = sticker.StickerPlan(sites=sites or scenario.sites, seed=seed, **options)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    chosen = getattr(guard, "network", network)  # a defense that looks for itself is the target
    if not hasattr(chosen, "loss"):
        chosen = _black_box(chosen, scenario.detector.kind, plan, networks)
    with open_session() as session, Stages() as stages:
        return sticker.optimize_sticker(
            session, (chosen, *networks) if networks else chosen, plan, out, name, guard,
            resume, stages.show,
        )  # fmt: skip


def _black_box(detector: Any, kind: str, plan: Any, others: tuple[Any, ...]) -> Any:
    """A detector without gradients, for methods that need none.

    Raises:
        ConfigError: the method, the goal or an ensemble needs more than boxes.
    """
    from simattack import registry
    from simattack.optimize import runs
    from simattack.optimize.blackbox import BlackBox

    if runs.has_gradients(plan.optimizer):
        free = [
            name for name in registry.kinds("optimize")
            if "queries" in getattr(registry.lookup("optimize", name), "__dataclass_fields__", {})
        ]  # fmt: skip
        raise ConfigError(
            f"detector {kind!r} has no gradients, which method {plan.method!r} follows; methods "
            f"that need none: {', '.join(free)}"
        )
    if plan.goal != "hide" or others:
        raise ConfigError(
            f"detector {kind!r} only tells boxes: it can be hidden from (--goal hide), alone "
            "(no --also)"
        )
    return BlackBox(detector)


def _on_drives(
    scenario: Scenario,
    name: str,
    out: Path,
    given: Mapping[str, Any],
    seed: int,
    seeds: tuple[int, ...],
    resume: bool,
    open_session: Callable[[], Session],
) -> Path:
    from simattack import inputs
    from simattack.optimize import drives

    scenario.check()
    options = {key: value for key, value in given.items() if value is not None}
    try:
        plan = drives.DrivesPlan(seed=seed, seeds=seeds, **options)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    _ = plan.optimizer
    network = scenario.detector.build("detectors", f"scenario {scenario.name!r}")
    decided = inputs.of_run([scenario])
    out.mkdir(parents=True, exist_ok=True)
    with open_session() as session, Stages() as stages:
        return drives.optimize_drives(
            drives.driver(session, scenario, network), scenario, plan, out, name, decided, resume,
            stages.show,
        )  # fmt: skip
