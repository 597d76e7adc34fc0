"""The command `simattack optimize`: from its flags to a plan, and from there to a file."""

from __future__ import annotations

import difflib
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from simattack.errors import ConfigError
from simattack.terminal import Stages

if TYPE_CHECKING:
    from simattack.scenario import Part, Scenario
    from simattack.session import Session


def optimize(
    scenario: tyro.conf.Positional[str],
    name: str,
    out: Path | None = None,
    attack: str | None = None,
    on: Literal["twin", "drives"] = "twin",
    goal: str | None = None,
    label: str | None = None,
    method: str | None = None,
    iterations: int | None = None,
    labels: str | None = None,
    query_views: int | None = None,
    seek: Literal["every", "most"] | None = None,
    cells: int | None = None,
    size_m: tuple[float, ...] | None = None,
    pieces: int | None = None,
    gap_m: float | None = None,
    sites: tuple[str, ...] | None = None,
    scene_count: int | None = None,
    places: int = 0,
    views: int | None = None,
    gap_views: int | None = None,
    distance_m: tuple[float, float] | None = None,
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

    On the twin: a print (a sticker, a decal, a garment, a billboard, ...) that fools the
    scenario's detector, through the measured camera. On drives: whatever numbers the attack leaves
    free, by what happens to the car.

    Writes <out>/<name>.png and its card, or the design <out>/<name>.json; an interrupted run goes
    on from its last checkpoint.
    Curves for TensorBoard lie in <out>/<name>.run.

    Args:
        scenario: Says where, on whom, which detector and which map.
        name: Of the new patch or design.
        out: Folder for it; patches, or designs on drives.
        attack: The print, by its kind or with options as in YAML, such as "{kind: billboard,
            ahead_m: 60}"; by default the scenario's own.
        on: What to learn from: the twin, or drives.
        goal: hide, appear, misclassify or overload.
        label: Class to be seen, for appear and misclassify.
        method: How, such as adam, pgd, lbfgs, cma, nes, square; see `simattack list optimize`.
        iterations: Steps of the optimiser, or looks of one without gradients.
        labels: What a method without gradients is told: scores, or hard labels only.
        query_views: Views in each look of a method without gradients; each is one query of the
            detector. Fewer make more looks of the same number of queries.
        seek: Whether it has to work in every view, or, against a detector that will not be fooled
            from everywhere, in most of them.
        cells: Of the picture, along its longer side; fewer make a smaller search.
        size_m: Width and height of the print or of the whole set [m], or the side of a square.
        pieces: Prints of a set along each side; 1 for a single one.
        gap_m: Between neighbours of a set.
        sites: Signs or places to make it for; by default the scenario's.
        scene_count: Drawn scenes to make it for, unless it is for signs.
        places: Places on the surface to try first, each in two sizes; the print is made for the
            best of them. Their map is <out>/<name>_places.csv and .png.
        views: Standpoints to measure the camera at.
        gap_views: Others, to measure at how far the twin is from the simulator; 0 leaves it out.
        distance_m: Nearest and farthest distance of the camera that it is made for.
        seed: Of every random draw.
        drives: Seeds driven in every look on drives.
        defense: Make it get past this defense, too.
        detector: Weights of your own (.safetensors, .pt) instead of the scenario's.
        also: More weights; the print has to fool all of them.
        trust_pickle: Load a .pt file, which can run any code that is in it.
        host: Use a running CARLA server instead of an embedded one.
        port: Of that server.
        restart: Forget what an interrupted run of that name has done.
    """
    from simattack import config, overrides
    from simattack.optimize import scenes

    change = overrides.changes(detector=detector, trust_pickle=trust_pickle)
    chosen = change(config.read_scenario(scenario))
    chosen.load_plugins()

    def open_session() -> Session:
        from simattack.session import Session

        if host is None:
            return Session.launch(str(chosen.map_file()))
        return Session.connect(host, port, str(chosen.map_file()))

    if on == "drives":
        _only_of_the_twin(
            attack=attack, goal=goal, label=label, labels=labels, query_views=query_views,
            seek=seek, cells=cells, size_m=size_m, pieces=pieces, gap_m=gap_m, sites=sites,
            scene_count=scene_count, places=places or None, views=views, gap_views=gap_views,
            distance_m=distance_m, defense=defense, also=also or None,
        )  # fmt: skip
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
        "query_views": query_views,
        "seek": seek,
        "cells": cells,
        "size_m": None if size_m is None else _pair("--size-m", size_m),
        "pieces": pieces,
        "gap_m": gap_m,
        "views": views,
        "gap_views": gap_views,
        "distance_m": distance_m,
    }
    part = print_of(chosen, attack, sites)
    chosen = scenes.on_sites(chosen, sites)
    path = _on_twin(
        chosen, name, out or Path("patches"), part, given, scene_count, places, seed, defense,
        also, not restart, open_session,
    )  # fmt: skip
    sys.stdout.write(f"patch: {path}\ncard: {path.with_suffix('.json')}\n")
    return 0


def _on_twin(
    scenario: Scenario,
    name: str,
    out: Path,
    attack: Part,
    given: Mapping[str, Any],
    scene_count: int | None,
    place_count: int,
    seed: int,
    defense: str | None,
    also: tuple[str, ...],
    resume: bool,
    open_session: Callable[[], Session],
) -> Path:
    from simattack.config import Part
    from simattack.optimize import patch, placing, scenes
    from simattack.optimize.plan import PatchPlan

    network = scenario.detector.build("detectors", f"scenario {scenario.name!r}: field 'detector'")
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
    how, centre = scenes.place_of(attack.options)
    try:
        plan = PatchPlan(
            attack=attack.kind, how=how, centre=centre, scenes=scenario.digest(), seed=seed,
            **options,
        )  # fmt: skip
    except ValueError as error:
        raise ConfigError(str(error)) from error
    chosen = getattr(guard, "network", network)  # a defense that looks for itself is the target
    if not hasattr(chosen, "loss"):
        chosen = _black_box(chosen, scenario.detector.kind, plan, networks)
    at = partial(scenes.settings_of, scenario, count=scene_count or 8, reach_m=plan.distance_m[1])
    targets = (chosen, *networks) if networks else chosen
    with tempfile.TemporaryDirectory(prefix="simattack_") as blank:
        at(plan.recipe(Path(blank)))  # told before a server is started, if it cannot be
    with open_session() as session, Stages() as stages:
        if place_count:
            plan = placing.place(
                session, targets, plan, at, place_count, out, name, guard, resume, stages.show
            )
        return patch.optimize_patch(
            session, targets, plan, at, out, name, guard, resume, stages.show,
            command=command_of(sys.argv[1:]),
        )  # fmt: skip


def _only_of_the_twin(**given: object) -> None:
    """Refuse what says nothing to a search on drives, which takes the scenario as it is.

    Raises:
        ConfigError: names the options.
    """
    odd = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if odd:
        raise ConfigError(
            f"{', '.join(odd)}: only with --on twin; on drives the scenario's own attack is "
            "searched, as it is driven"
        )


def command_of(argv: Sequence[str]) -> str:
    """What makes the same patch again, wherever it is written and whoever serves."""
    kept, words = [], iter(argv)
    for word in words:
        flag = word.split("=")[0]
        if flag in ("--out", "--host", "--port") and "=" not in word:
            next(words, None)
        elif flag not in ("--out", "--host", "--port", "--restart"):
            kept.append(word)
    return shlex.join(["simattack", *kept])


def _pair(flag: str, values: tuple[float, ...]) -> tuple[float, float]:
    if len(values) not in (1, 2):
        raise ConfigError(f"{flag}: expected a width and a height, or one side, got {values}")
    return values[0], values[-1]


def print_of(scenario: Scenario, told: str | None, sites: tuple[str, ...] | None) -> Part:
    """The print to optimise: ``--attack``, else the scenario's own, else a sticker on --sites.

    Raises:
        ConfigError: none of these, or what is told is no attack that shows a print.
    """
    from simattack import reading
    from simattack.config import Part, read_part
    from simattack.optimize.plan import prints_of_all

    known = prints_of_all()
    own = scenario.attack
    if told is None:
        if own is not None and own.kind in known:
            return own
        if sites is not None:
            return Part("sticker")
        raise ConfigError(
            f"scenario {scenario.name!r} has no print to optimise; name one by --attack "
            f"({', '.join(known)}), or search its attack's numbers by --on drives"
        )
    part = read_part(reading.Reader("--attack"), _yaml(told), "")
    if part.kind == getattr(own, "kind", None) and own is not None:
        part = Part(part.kind, {**own.options, **part.options})
    if ":" not in part.kind and part.kind not in known:
        near = difflib.get_close_matches(part.kind, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"prints are: {', '.join(known)}"
        raise ConfigError(f"--attack: expected an attack that shows a print, got {told!r}; {hint}")
    return part


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        line = " ".join(str(error).split())
        raise ConfigError(
            f"--attack: expected a kind or a mapping, got {text!r}: {line}"
        ) from error


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
