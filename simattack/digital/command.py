"""The command `simattack baselines`: from its flags to a table."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from simattack.errors import ConfigError
from simattack.terminal import Stages

if TYPE_CHECKING:
    from simattack.scenario import Scenario
    from simattack.session import Session
    from simattack.twin import Twin

VIEWS_SEED = 1_000_000
"""Added to the seed for the standpoints, which `simattack optimize` draws from the seed itself."""


def baselines(
    scenario: tyro.conf.Positional[str],
    out: Path,
    methods: tuple[str, ...] | None = None,
    epsilon: tuple[int, ...] = (2, 8),
    frames: int | None = None,
    views: int = 128,
    twin: Path | None = None,
    seed: int = 0,
    detector: str | None = None,
    trust_pickle: bool = False,
    host: str | None = None,
    port: int = 2000,
) -> int:
    """Attack recorded frames of a scenario digitally: what an attacker could do without physics.

    Nothing of it can be built; it tells how much physics costs. Beside the table stands, in one of
    its own, what the scenario's sticker does on the same views of the twin.

    Writes <out>/baselines.csv and .json and <out>/physical.jsonl; an interrupted run goes on.

    Args:
        scenario: Says which signs, which detector, which sticker and which map.
        out: Folder for it.
        methods: Such as fgsm, pgd, dpatch; all by default, see `simattack list digital`.
        epsilon: Most that a channel changes, of 255, for those that change every pixel.
        frames: How many of the held-out frames to attack; all by default.
        views: Standpoints to record; every fourth is held out, the others are learnt from.
        twin: The file twin.npz of an earlier run, here or of `simattack optimize`, to record none.
        seed: Of every random draw.
        detector: Weights of your own (.safetensors, .pt) instead of the scenario's.
        trust_pickle: Load a .pt file, which can run any code that is in it.
        host: Use a running CARLA server instead of an embedded one.
        port: Of that server.
    """
    from simattack import config, overrides, registry, transfer
    from simattack.digital import table
    from simattack.digital.frames import Frames
    from simattack.optimize.patch import halves
    from simattack.patchfile import load_patch
    from simattack.twin import Twin

    change = overrides.changes(detector=detector, trust_pickle=trust_pickle)
    chosen = change(config.read_scenario(scenario))
    chosen.load_plugins()
    kinds = methods or tuple(registry.kinds("digital"))
    recipes = recipes_of(kinds, epsilon)
    where = f"scenario {chosen.name!r}"
    network = chosen.detector.build("detectors", f"{where}: field 'detector'")
    if not hasattr(network, "loss"):
        raise ConfigError(
            f"{where}: digital attacks need a detector with gradients, such as yolo; got "
            f"{chosen.detector.kind!r}"
        )
    if frames is not None and frames < 1:
        raise ConfigError(f"expected at least 1 frame, got --frames {frames}")
    if seed < 0:
        raise ConfigError(f"expected a seed of 0 or more, got --seed {seed}")

    def open_session() -> Session:
        from simattack.session import Session

        if host is None:
            return Session.launch(str(chosen.map_file()))
        return Session.connect(host, port, str(chosen.map_file()))

    with Stages() as stages:
        seen = (
            Twin.load(twin) if twin is not None
            else _recorded(chosen, open_session, views, seed, out, stages)
        )  # fmt: skip
        learnt, held_out = halves(seen, len({view.surface for view in seen.views}))
        judged = Frames.of(held_out)
        rows = table.measure(
            recipes, judged.first(frames or len(judged)), Frames.of(learnt), network, out, seed,
            stages.show,
        )  # fmt: skip
    sys.stdout.write(f"not physical: changes of recorded pictures\n{table.table(rows, out)}")
    name = chosen.attack.options.get("patch") if chosen.attack is not None else None
    if name:
        few = held_out.select(range(len(held_out))[:frames])
        cells = transfer.matrix(
            few,
            [load_patch(str(name))],
            {str(getattr(network, "weights", chosen.detector.kind)): network},
            seed=seed,
        )
        transfer.write(out / "physical.jsonl", cells)
        sys.stdout.write(
            f"\nphysical: the sticker on the same views of the twin\n{transfer.table(cells)}"
        )
    sys.stdout.write(f"rows: {out / 'baselines.csv'}\n")
    return 0


def recipes_of(kinds: tuple[str, ...], epsilons: tuple[int, ...]) -> list[Any]:
    """Of each kind one recipe an epsilon, or one alone where it has none to choose.

    Raises:
        ConfigError: an unknown kind, or an epsilon that is none.
    """
    from simattack import registry

    made = []
    for kind in kinds:
        fields = dataclasses.fields(registry.lookup("digital", kind))
        options: list[dict[str, Any]] = [{}]
        if any(field.name == "epsilon" for field in fields):
            options = [{"epsilon": value} for value in epsilons]
        made += [registry.build("digital", kind, given, f"--methods {kind}") for given in options]
    return made


def _recorded(
    scenario: Scenario,
    open_session: Callable[[], Session],
    views: int,
    seed: int,
    out: Path,
    stages: Stages,
) -> Twin:
    from simattack.optimize import patch, runs, scenes
    from simattack.optimize.plan import PatchPlan
    from simattack.resources import sha256
    from simattack.twin import Twin

    try:
        # Standpoints that no sticker of the shipped recipe was made or chosen on.
        plan = PatchPlan(scenes=scenario.digest(), views=views, seed=seed + VIEWS_SEED)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    at = partial(scenes.settings_of, scenario, reach_m=plan.distance_m[1])
    with tempfile.TemporaryDirectory(prefix="simattack_") as blank:
        at(plan.recipe(Path(blank)))  # told before a server is started, if it cannot be
        decides = {"sites": list(scenario.sites), "views": views, "seed": seed + VIEWS_SEED}
        runs.claim(out, {**decides, "map": sha256(scenario.map_file())}, True)
        if (out / "twin.npz").is_file():
            return Twin.load(out / "twin.npz")
        with open_session() as session:
            plan, settings, _ = patch.probed(session, plan, at, Path(blank))
            return patch.twin_of(session, plan, settings, out, stages.show)
