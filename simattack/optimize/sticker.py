"""From a world and a detector to a patch on disk: calibrate, optimise, measure the gap, save."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simattack import registry
from simattack.calibration import calibrate
from simattack.gap import DISTANCE_M, UNSEEN_WEATHERS, measure_gap, saturated
from simattack.optimize import runs
from simattack.optimize.goals import Aim, RawDetector
from simattack.optimize.layout import Layout
from simattack.optimize.objective import LABELS, Asked, Hiding, ScoringDetector
from simattack.optimize.runs import Report
from simattack.optimize.transforms import Transforms
from simattack.patchfile import Patch, PatchCard, save_patch
from simattack.placement import in_outline, place
from simattack.resources import sha256
from simattack.standpoints import Scene, Survey, standpoints
from simattack.twin import Twin
from simattack.types import Detections, Differentiable, Floats, Image, Step, Weather

WEATHERS: tuple[Weather, ...] = (
    Weather(sun_azimuth_angle=20.0, sun_altitude_angle=60.0),
    Weather(sun_azimuth_angle=110.0, sun_altitude_angle=30.0),
    Weather(cloudiness=50.0, sun_azimuth_angle=200.0, sun_altitude_angle=45.0),
    Weather(sun_azimuth_angle=245.0, sun_altitude_angle=35.0),
    Weather(
        cloudiness=40.0,
        fog_density=10.0,
        fog_distance=20.0,
        sun_azimuth_angle=330.0,
        sun_altitude_angle=50.0,
    ),
)
"""That stickers are optimised in."""
_LOSS = (
    "mean of the best scores near the target, half the weight on the worse half of a "
    "batch; non-printability; total variation"
)
_CHECKPOINT_VERSION = 2
_NOBODY: Any = object()
"""Stands for a detector where only goal and label are looked at."""
_HELD_OUT_EVERY = 4


@dataclass(frozen=True, kw_only=True)
class StickerPlan:
    """All that decides the outcome, beside the world and the detector."""

    sites: tuple[str, ...]
    """Surfaces to calibrate at."""
    size_m: tuple[float, float] = (0.468, 0.468)
    """Width and height of the sticker, or of the whole set with its gaps."""
    pieces: int = 3
    """Stickers of the set along each side; 1 for a single one. Nine small ones hide a sign that
    one of their area does not."""
    gap_m: float = 0.048
    """Between neighbours of a set."""
    centre: tuple[float, float] = (0.5, 0.5)
    cells: int = 117
    """Of the picture, along its longer side."""
    goal: str = "hide"
    """What the detector is to say; see ``goals``."""
    label: str = ""
    """Class to be seen, of a goal that wants one."""
    method: str = "adam"
    """How, by its name in the registry: with gradients, or by queries alone."""
    options: tuple[tuple[str, Any], ...] = ()
    """Of the method, beside its length and rate."""
    iterations: int = 300
    """Of the method; looks of one without gradients."""
    labels: str = "scores"
    """What a method without gradients is told of a query: ``scores`` or ``hard`` labels."""
    seed: int = 0
    views: int = 128
    """Standpoints to calibrate at; every fourth is held out to choose the best picture by."""
    gap_views: int = 16
    """Other standpoints, to measure the twin's gap at; 0 leaves it out."""
    distance_m: tuple[float, float] = (7.0, 60.0)
    rate: float = 0.03
    """Of a method with gradients."""
    query_views: int = 16
    """In each look of a method without gradients; each is one query of the detector."""
    batch: int = 8
    printability: float = 0.02
    smoothness: float = 0.02
    last_level: int | None = None
    """Of the server's mip levels; None for a full pyramid, 0 for a server without."""
    transforms: Transforms = field(default_factory=Transforms)

    def __post_init__(self) -> None:
        if not self.sites:
            raise ValueError("sites needs at least one surface")
        if self.views < 8 or self.iterations < 1 or self.cells < 2 or self.batch < 1:
            raise ValueError(
                "views must be at least 8, iterations and batch at least 1, cells at least 2; got "
                f"{self.views}, {self.iterations}, {self.batch}, {self.cells}"
            )
        if self.pieces < 1 or self.gap_m < 0:
            raise ValueError(
                f"pieces must be at least 1 and gap_m not negative: {self.pieces}, {self.gap_m}"
            )
        Aim((_NOBODY,), self.goal, self.label)
        if self.labels not in LABELS:
            raise ValueError(f"labels must be one of {', '.join(LABELS)}, got {self.labels!r}")
        _ = self.layout, self.optimizer

    @property
    def optimizer(self) -> Any:
        """The method, with the plan's length and what else of the plan it takes.

        Raises:
            ConfigError: no method of that name, or an option that it does not take.
        """
        cls = registry.lookup("optimize", self.method)
        mine = {
            "iterations": self.iterations,
            "queries": self.iterations,
            "rate": self.rate,
            "shape": self.layout.shape,
        }
        fields = getattr(cls, "__dataclass_fields__", {})
        if "queries" in fields:
            del mine["rate"]
        options = {name: value for name, value in mine.items() if name in fields}
        options |= dict(self.options)
        return registry.build("optimize", self.method, options, f"method {self.method!r}")

    @property
    def layout(self) -> Layout:
        return Layout.of(self.size_m, self.cells, self.pieces, self.gap_m)


def optimize_sticker(
    session: Scene,
    detector: ScoringDetector | tuple[RawDetector, ...],
    plan: StickerPlan,
    out_dir: Path,
    name: str,
    defense: Differentiable | None = None,
    resume: bool = True,
    report: Report | None = None,
    measured: Twin | None = None,
) -> Path:
    """A sticker that reaches the plan's goal; the path of its picture, with the card beside it.

    Several detectors are an ensemble: each of them has to fall for it.

    The twin, checkpoints and TensorBoard's curves lie in ``out_dir/<name>.run``. An interrupted
    run goes on from its last checkpoint and ends with the same picture.

    Several runs with one plan may share a twin, ``measured`` before.

    Raises:
        ResultsError: there is a run of that name with other inputs, or a damaged one.
        CalibrationError: the twin cannot be calibrated here.
        BudgetError: the sticker would be too large.
    """
    folder = out_dir / f"{name}.run"
    blank = plan.layout.picture(np.zeros(3 * np.prod(plan.layout.shape)))
    for site in plan.sites:  # nobody waits for a sticker that may not be stuck on
        place(session.surface(site), plan.size_m, blank, plan.centre)
    inputs = _inputs(plan, detector, defense)
    runs.claim(folder, inputs, resume)
    members = _members(detector)
    is_plain = plan.goal == "hide" and len(members) == 1
    aim: ScoringDetector = members[0] if is_plain else Aim(members, plan.goal, plan.label)
    learnt, held_out = halves(measured or twin_of(session, plan, folder, report), len(plan.sites))
    objective = Hiding(
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
    )
    method = plan.optimizer
    asked = Asked(objective, plan.query_views, plan.labels)
    has_gradients = runs.has_gradients(method)
    best = _optimize(objective if has_gradients else asked, method, plan, folder, report)
    picture = plan.layout.picture(best.point)
    scores = objective.buckets(objective.scores(best.point))
    gap = _gap(session, aim, plan, picture, report)
    card = PatchCard(
        width_m=plan.size_m[0],
        height_m=plan.size_m[1],
        surface=plan.sites[0].rstrip("0123456789").rstrip("_"),
        centre=plan.centre,
        optimizer=plan.method,
        iterations=best.iteration,
        queries=0 if has_gradients else best.iteration * asked.images,
        seed=plan.seed,
        detector="+".join(str(getattr(m, "weights", type(m).__name__)) for m in members),
        detector_sha256=inputs["detector_sha256"],
        defense=inputs["defense"],
        goal=plan.goal,
        label=plan.label,
        loss=f"{plan.goal}: {_LOSS}"
        if has_gradients
        else f"{plan.goal}: {plan.labels} of {asked.images} views a look",
        sites=plan.sites,
        eot={key: float(value) for key, value in asdict(plan.transforms).items()},
        scores={f"{near}_m": round(score, 4) for near, score in scores.items()},
        gap=gap,
    )
    return save_patch(out_dir, Patch(name, picture, card))


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


def _inputs(plan: StickerPlan, detector: Any, defense: Differentiable | None) -> dict[str, Any]:
    paths = [getattr(member, "path", None) for member in _members(detector)]
    return {
        "plan": json.loads(json.dumps(asdict(plan))),
        "detector_sha256": "+".join(sha256(path) for path in paths if isinstance(path, Path)),
        "defense": "" if defense is None else str(getattr(defense, "kind", defense)),
        "defense_options": "" if defense is None else repr(defense),
        "version": _CHECKPOINT_VERSION,
    }


def _members(detector: Any) -> tuple[Any, ...]:
    """The detectors of an ensemble, or the one."""
    return tuple(detector) if isinstance(detector, tuple) else (detector,)


def twin_of(session: Scene, plan: StickerPlan, folder: Path, report: Report | None = None) -> Twin:
    """The twin of a plan, measured in that folder now or before.

    Raises:
        CalibrationError: it cannot be calibrated here, or the file is damaged.
    """
    path = folder / "twin.npz"
    if path.is_file():
        return Twin.load(path)
    rng = np.random.default_rng([plan.seed, 1])
    stands = standpoints(session, plan.sites, plan.views, len(WEATHERS), rng, plan.distance_m)
    twin = calibrate(
        session,
        stands,
        WEATHERS,
        plan.size_m,
        plan.centre,
        last_level=plan.last_level,
        progress=None if report is None else lambda stage, done, all: report(stage, done, all, {}),
    )
    twin.save(path)
    return Twin.load(path)  # as a resumed run would see it


def halves(twin: Twin, sites: int) -> tuple[Twin, Twin]:
    """The views to learn from, and those held out to choose and to judge by: every fourth.

    Args:
        twin: made by a plan.
        sites: how many surfaces the plan has.
    """
    # Whole rounds over the sites, so that each site has views on both sides.
    rounds = np.array([view.shot for view in twin.views]) // sites
    held_out = rounds % _HELD_OUT_EVERY == 1
    return twin.select(np.flatnonzero(~held_out)), twin.select(np.flatnonzero(held_out))


def _gap(
    session: Scene,
    detector: ScoringDetector,
    plan: StickerPlan,
    picture: Image,
    report: Report | None,
) -> dict[str, Any]:
    if not plan.gap_views:
        return {}
    rng = np.random.default_rng([plan.seed, 2])
    stands = standpoints(session, plan.sites, plan.gap_views, len(UNSEEN_WEATHERS), rng, DISTANCE_M)
    found = measure_gap(
        session,
        Survey(stands, UNSEEN_WEATHERS, plan.size_m, plan.centre),
        {"patch": picture, "random": in_outline(saturated(rng), picture)},
        scorer_of(detector),
        plan.last_level,
        progress=None
        if report is None
        else lambda _, done, all: report("measuring the twin's gap", done, all, {}),
    )
    return {name: gap.plain() for name, gap in found.items()}


def _optimize(
    objective: Hiding | Asked, method: Any, plan: StickerPlan, folder: Path, report: Report | None
) -> Step:
    """The last step; its point is the best of the run."""
    rng = np.random.default_rng([plan.seed, 3])
    count = 3 * plan.layout.shape[0] * plan.layout.shape[1]
    start = 0.5 + 0.05 * np.random.default_rng([plan.seed, 4]).standard_normal(count)
    every = getattr(method, "check_every", 50)
    return runs.drive(method, objective, start.clip(0, 1), rng, folder, report, every)
