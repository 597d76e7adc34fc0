"""From a world and a detector to a patch on disk: calibrate, optimise, measure the gap, save."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from simattack.calibration import calibrate
from simattack.errors import ConfigError
from simattack.gap import DISTANCE_M, UNSEEN_WEATHERS, measure_gap, saturated
from simattack.optimize import runs
from simattack.optimize.goals import GOALS_OF_PRINTS, Aim, RawDetector
from simattack.optimize.objective import Asked, Hiding, ScoringDetector
from simattack.optimize.plan import WEATHERS, PatchPlan
from simattack.optimize.runs import Report
from simattack.patchfile import Patch, PatchCard, save_patch
from simattack.placement import in_outline
from simattack.prints import GREY
from simattack.resources import sha256
from simattack.standpoints import Scene, Setting, Survey, begin, standpoints
from simattack.twin import Twin
from simattack.types import (
    Attack,
    Detections,
    Differentiable,
    Floats,
    Image,
    Step,
    Surface,
    Weather,
)

_LOSS = {
    "every": "mean of the best scores near the target, half the weight on the worse half of a "
    "batch; non-printability; total variation",
    "most": "share of views in which the target is found, softened; non-printability; total "
    "variation",
}
_CHECKPOINT_VERSION = 4
_HELD_OUT_EVERY = 4


Scenes = Callable[[Attack], Sequence[Setting]]
"""Where a print is put up, given the attack that shows it; see ``scenes``."""


def optimize_patch(
    session: Scene,
    detector: ScoringDetector | tuple[RawDetector, ...],
    plan: PatchPlan,
    scenes: Scenes,
    out_dir: Path,
    name: str,
    defense: Differentiable | None = None,
    resume: bool = True,
    report: Report | None = None,
    measured: Twin | None = None,
    start: Floats | None = None,
    command: str = "",
) -> Path:
    """A print that reaches the plan's goal; the path of its picture, with the card beside it.

    Several detectors are an ensemble: each of them has to fall for it.

    The twin, checkpoints and TensorBoard's curves lie in ``out_dir/<name>.run``. An interrupted
    run goes on from its last checkpoint and ends with the same picture.

    Several runs with one plan may share a twin, ``measured`` before. ``start`` (3 h w,) is the
    picture to begin with, in cells of the plan's layout; ``start_of`` if None. ``command`` stands
    on the card.

    Raises:
        ConfigError: the attack is no print, or its scenes cannot be set.
        ResultsError: there is a run of that name with other inputs, or a damaged one.
        CalibrationError: the twin cannot be calibrated here.
        BudgetError: the print may not be put up there.
    """
    with tempfile.TemporaryDirectory(prefix="simattack_") as blank:
        plan, settings, kind = probed(session, plan, scenes, Path(blank))
        folder = out_dir / f"{name}.run"
        inputs = decided(plan, settings, detector, defense)
        if start is not None:
            inputs["start"] = hashlib.sha256(np.asarray(start, float).tobytes()).hexdigest()
        runs.claim(folder, inputs, resume)
        aim = aim_of(detector, plan)
        twin = measured or twin_of(session, plan, settings, folder, report)
        objective = objective_of(twin, len(settings), aim, plan, defense)
        asked = plan.asked(objective)
        best = _optimize(asked, plan, folder, report, start)
        picture = plan.layout.picture(best.point)
        gap = gap_of(session, aim, plan, settings, picture, report)
    scores = objective.buckets(objective.scores(best.point))
    card = PatchCard(
        width_m=plan.size_m[0],
        height_m=plan.size_m[1],
        attack=plan.attack,
        surface=kind,
        centre=plan.centre,
        optimizer=plan.method,
        iterations=best.iteration,
        queries=best.iteration * asked.images if isinstance(asked, Asked) else 0,
        seed=plan.seed,
        detector="+".join(str(getattr(m, "weights", type(m).__name__)) for m in _members(detector)),
        detector_sha256=inputs["detector_sha256"],
        defense=inputs["defense"],
        goal=plan.goal,
        label=plan.label,
        loss=f"{plan.goal}: {plan.labels} of {asked.images} views a look"
        if isinstance(asked, Asked)
        else f"{plan.goal}: {_LOSS[plan.seek]}",
        sites=tuple(setting.name for setting in settings),
        command=command,
        eot={key: float(value) for key, value in asdict(plan.transforms).items()},
        scores={f"{near}_m": round(score, 4) for near, score in scores.items()},
        gap=gap,
    )
    return save_patch(out_dir, Patch(name, picture, card))


def probed(
    session: Scene, plan: PatchPlan, scenes: Scenes, folder: Path
) -> tuple[PatchPlan, Sequence[Setting], str]:
    """The plan with the size that the attack prints at, its settings, and its kind of surface.

    Nobody waits for a print that may not be put up: it is, once, in each of the settings.
    """
    settings = scenes(plan.recipe(folder))
    if not settings:
        raise ConfigError("expected at least one scene to put the print up in, got none")
    size_m, kind = plan.size_m, plan.attack
    for setting in settings:
        setting.enter(session)
        running = begin(session, setting)
        surface, placement = running.places[0]
        running.end()
        left, top, right, bottom = placement.extent
        width_m, height_m = surface.size_m
        size_m = (right - left) * width_m, (bottom - top) * height_m
        kind = _kind(surface, plan.attack)
    if not np.allclose(size_m, plan.size_m, rtol=1e-3):  # such as a poster, as large as its face
        rounded = round(size_m[0], 3), round(size_m[1], 3)
        plan = replace(plan, size_m=rounded)
        settings = scenes(plan.recipe(folder))
    return plan, settings, kind


def _kind(surface: Surface, attack: str) -> str:
    """Such as ``stop_sign``, ``vehicle_rear``, or the attack's own where it puts up a board."""
    if ":" in surface.name:
        kind, _, side = surface.name.split(":")
        return f"{kind}_{side}"
    return surface.name.rstrip("0123456789").rstrip("_") if surface.object_name else attack


def objective_of(
    twin: Twin, sites: int, aim: ScoringDetector, plan: PatchPlan, defense: Differentiable | None
) -> Hiding:
    """What the plan is after, on a twin whose views are of so many settings in turn."""
    learnt, held_out = halves(twin, sites)
    return Hiding(
        twin=learnt,
        held_out=held_out,
        detector=aim,
        layout=plan.layout,
        transforms=plan.transforms,
        printability=plan.printability,
        smoothness=plan.smoothness,
        batch=plan.batch,
        defense=defense,
        is_bfloat16=has_bfloat16(),
        seek=plan.seek,
    )


def halves(twin: Twin, sites: int) -> tuple[Twin, Twin]:
    """The views to learn from, and those held out to judge by: every fourth of each site."""
    # Shots go round the sites, ever farther away: one site later in each round, so that each site
    # and each distance has views on both sides.
    shots = np.array([view.shot for view in twin.views])
    held_out = (shots // sites + shots % sites) % _HELD_OUT_EVERY == 1
    return twin.select(np.flatnonzero(~held_out)), twin.select(np.flatnonzero(held_out))


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware."""
    import torch

    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(supported()) if supported is not None else False


def scorer_of(detector: ScoringDetector) -> Callable[[Image, Sequence[Detections]], Floats]:
    """Best scores near targets, for images (B, H, W, 3), one image at a time."""
    import torch

    def score(images: Image, targets: Sequence[Detections]) -> Floats:
        found = []
        with torch.no_grad():
            for image, target in zip(images, targets, strict=True):
                tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
                found.append(float(detector.scores_near(tensor, [target])[0]))
        return np.array(found)

    return score


def decided(
    plan: PatchPlan, settings: Sequence[Setting], detector: Any, defense: Differentiable | None
) -> dict[str, Any]:
    """All that decides what a run makes, as plain values."""
    paths = [getattr(member, "path", None) for member in _members(detector)]
    return {
        "plan": json.loads(json.dumps(asdict(plan))),
        "sites": [setting.name for setting in settings],
        "detector_sha256": "+".join(sha256(path) for path in paths if isinstance(path, Path)),
        "defense": "" if defense is None else str(getattr(defense, "kind", defense)),
        "defense_options": "" if defense is None else repr(defense),
        "version": _CHECKPOINT_VERSION,
    }


def aim_of(detector: Any, plan: PatchPlan) -> ScoringDetector:
    """The plan's goal held against a detector, or against each of several."""
    members = _members(detector)
    if plan.goal == "hide" and len(members) == 1:
        lone: ScoringDetector = members[0]
        return lone
    return Aim(members, plan.goal, plan.label)


def _members(detector: Any) -> tuple[Any, ...]:
    """The detectors of an ensemble, or the one."""
    return tuple(detector) if isinstance(detector, tuple) else (detector,)


def survey(
    plan: PatchPlan,
    settings: Sequence[Setting],
    count: int,
    weathers: Sequence[Weather],
    stream: int,
    distance_m: tuple[float, float] | None = None,
) -> Survey:
    """Standpoints before the plan's print, drawn from one of the seed's streams."""
    rng = np.random.default_rng([plan.seed, stream])
    names = [setting.name for setting in settings]
    stands = standpoints(names, count, len(weathers), rng, distance_m or plan.distance_m)
    return Survey(settings, stands, weathers, plan.goal in GOALS_OF_PRINTS)


def twin_of(
    session: Scene,
    plan: PatchPlan,
    settings: Sequence[Setting],
    folder: Path,
    report: Report | None = None,
) -> Twin:
    """The twin of a plan, measured in that folder now or before.

    Raises:
        CalibrationError: it cannot be calibrated here, or the file is damaged.
    """
    path = folder / "twin.npz"
    if path.is_file():
        return Twin.load(path)
    twin = calibrate(
        session,
        survey(plan, settings, plan.views, WEATHERS, 1),
        last_level=plan.last_level,
        progress=None if report is None else lambda stage, done, all: report(stage, done, all, {}),
    )
    twin.save(path)
    return Twin.load(path)  # as a resumed run would see it


def gap_of(
    session: Scene,
    detector: ScoringDetector,
    plan: PatchPlan,
    settings: Sequence[Setting],
    picture: Image,
    report: Report | None = None,
) -> dict[str, Any]:
    """How a card tells of the twin's gap: of a picture, a random one and grey in its outline.

    At ``plan.gap_views`` standpoints and in weathers that no optimisation sees; empty with none.
    """
    if not plan.gap_views:
        return {}
    near_m, far_m = max(DISTANCE_M[0], plan.distance_m[0]), min(DISTANCE_M[1], plan.distance_m[1])
    looks = survey(plan, settings, plan.gap_views, UNSEEN_WEATHERS, 2, (near_m, far_m))
    rng = np.random.default_rng([plan.seed, 5])
    grey = np.full((1, 1, 3), GREY, np.uint8)
    found = measure_gap(
        session,
        looks,
        {
            "patch": picture,
            "random": in_outline(saturated(rng), picture),
            "control": in_outline(grey, picture),
        },
        scorer_of(detector),
        plan.last_level,
        progress=None
        if report is None
        else lambda _, done, all: report("measuring the twin's gap", done, all, {}),
    )
    return {name: gap.plain() for name, gap in found.items()}


def start_of(plan: PatchPlan) -> Floats:
    """Nearly grey, flat (3 h w,)."""
    count = 3 * plan.layout.shape[0] * plan.layout.shape[1]
    start = 0.5 + 0.05 * np.random.default_rng([plan.seed, 4]).standard_normal(count)
    return np.asarray(start.clip(0, 1), float)


def _optimize(
    objective: Hiding | Asked,
    plan: PatchPlan,
    folder: Path,
    report: Report | None,
    start: Floats | None,
) -> Step:
    """The last step; its point is the best of the run."""
    method = plan.optimizer
    rng = np.random.default_rng([plan.seed, 3])
    every = getattr(method, "check_every", 50)
    begin = start_of(plan) if start is None else start.clip(0, 1)
    return runs.drive(method, objective, begin, rng, folder, report, every)
