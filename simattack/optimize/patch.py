"""From a world and a detector to a patch on disk: calibrate, optimise, measure the gap, save."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from simattack import registry
from simattack.calibration import calibrate
from simattack.errors import ConfigError
from simattack.gap import DISTANCE_M, UNSEEN_WEATHERS, measure_gap, saturated
from simattack.optimize import runs
from simattack.optimize.goals import GOALS_OF_PRINTS, Aim, RawDetector
from simattack.optimize.layout import Layout
from simattack.optimize.objective import LABELS, Asked, Hiding, ScoringDetector
from simattack.optimize.runs import Report
from simattack.optimize.transforms import Transforms
from simattack.patchfile import Patch, PatchCard, save_patch
from simattack.placement import in_outline
from simattack.prints import GREY, MAX_SIZE_M, MIN_SIZE_M, Format, Printed
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
"""That prints are optimised in."""
_LOSS = (
    "mean of the best scores near the target, half the weight on the worse half of a "
    "batch; non-printability; total variation"
)
_CHECKPOINT_VERSION = 3
_NOBODY: Any = object()
"""Stands for a detector where only goal and label are looked at."""
_OF_ATTACK: Any = None
"""Stands for what the attack's class says."""
_HELD_OUT_EVERY = 4


Scenes = Callable[[Attack], Sequence[Setting]]
"""Where a print is put up, given the attack that shows it; see ``scenes``."""


@dataclass(frozen=True, kw_only=True)
class PatchPlan:
    """All that decides the outcome, beside the world, the scenes and the detector.

    What is None is as the attack's class has it: ``prints.Format``, ``USUAL_SIZE_M``, ``GOAL``.
    """

    attack: str = "sticker"
    """Kind of print, by its name in the registry."""
    how: tuple[tuple[str, Any], ...] = ()
    """Options of it: where it is and on whom; not its picture."""
    scenes: str = ""
    """Digest of what decides the scenes; a run goes on only with the same."""
    size_m: tuple[float, float] = _OF_ATTACK
    """Width and height of the print, or of the whole set with its gaps."""
    pieces: int = _OF_ATTACK
    """Prints of the set along each side; 1 for a single one."""
    gap_m: float = _OF_ATTACK
    """Between neighbours of a set."""
    centre: tuple[float, float] = (0.5, 0.5)
    cells: int = _OF_ATTACK
    """Of the picture, along its longer side."""
    goal: str = _OF_ATTACK
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
    distance_m: tuple[float, float] = _OF_ATTACK
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
        for name, value in self._usual().items():
            if getattr(self, name) is _OF_ATTACK:
                object.__setattr__(self, name, value)
        if self.views < 8 or self.iterations < 1 or self.cells < 2 or self.batch < 1:
            raise ValueError(
                "views must be at least 8, iterations and batch at least 1, cells at least 2; got "
                f"{self.views}, {self.iterations}, {self.batch}, {self.cells}"
            )
        if self.pieces < 1 or self.gap_m < 0:
            raise ValueError(
                f"pieces must be at least 1 and gap_m not negative: {self.pieces}, {self.gap_m}"
            )
        if not 0 < self.distance_m[0] < self.distance_m[1]:
            raise ValueError(
                "distance_m needs a nearest above 0 and a farthest beyond it, got "
                f"{self.distance_m}"
            )
        if not all(MIN_SIZE_M <= side_m <= MAX_SIZE_M for side_m in self.size_m):
            raise ValueError(f"size_m must be {MIN_SIZE_M:g} to {MAX_SIZE_M:g}, got {self.size_m}")
        Aim((_NOBODY,), self.goal, self.label)
        if self.labels not in LABELS:
            raise ValueError(f"labels must be one of {', '.join(LABELS)}, got {self.labels!r}")
        _ = self.layout, self.optimizer

    def _usual(self) -> dict[str, Any]:
        cls = registry.lookup("attacks", self.attack)
        usual: Format = getattr(cls, "FORMAT", Format())
        size_m = usual.size_m or getattr(cls, "USUAL_SIZE_M", Printed.USUAL_SIZE_M)
        goal = getattr(cls, "GOAL", Printed.GOAL)
        return {**vars(usual), "size_m": size_m, "goal": goal}

    def recipe(self, folder: Path) -> Attack:
        """The attack as it will begin with the patch, in plain grey; writes its outline there.

        Raises:
            ConfigError: there is no such attack, it is no print, or refuses its options.
        """
        blank = self.layout.picture(np.zeros(3 * np.prod(self.layout.shape)))
        width_m, height_m = self.size_m
        card = PatchCard(width_m=width_m, height_m=height_m, centre=self.centre)
        name = "_".join(f"{value:g}" for value in (width_m, height_m, *self.centre))
        path = save_patch(folder, Patch(name, blank, card))
        cls = registry.lookup("attacks", self.attack)
        known = getattr(cls, "__dataclass_fields__", {})
        if "patch" not in known or "fill" not in known:
            prints = ", ".join(prints_of_all())
            raise ConfigError(
                f"attack {self.attack!r} shows no print that could be optimised; prints are: "
                f"{prints}"
            )
        options = {**dict(self.how), "patch": str(path), "fill": "grey"}
        made: Attack = registry.build("attacks", self.attack, options, f"attack {self.attack!r}")
        return made

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

    def asked(self, objective: Hiding) -> Hiding | Asked:
        """What the method is told of an objective: its gradients, or answers to queries."""
        if runs.has_gradients(self.optimizer):
            return objective
        return Asked(objective, self.query_views, self.labels)

    @property
    def layout(self) -> Layout:
        return Layout.of(self.size_m, self.cells, self.pieces, self.gap_m)


def prints_of_all() -> list[str]:
    """Kinds of attack that show a print."""
    fields = {
        kind: getattr(registry.lookup("attacks", kind), "__dataclass_fields__", {})
        for kind in registry.kinds("attacks")
    }
    return [kind for kind, known in fields.items() if "patch" in known and "fill" in known]


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
        gap = _gap(session, aim, plan, settings, picture, report)
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
        else f"{plan.goal}: {_LOSS}",
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
    )


def halves(twin: Twin, sites: int) -> tuple[Twin, Twin]:
    """The views to learn from, and those held out to judge by: every fourth of each site."""
    # Whole rounds over the sites, so that each site has views on both sides.
    rounds = np.array([view.shot for view in twin.views]) // sites
    held_out = rounds % _HELD_OUT_EVERY == 1
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


def _gap(
    session: Scene,
    detector: ScoringDetector,
    plan: PatchPlan,
    settings: Sequence[Setting],
    picture: Image,
    report: Report | None,
) -> dict[str, Any]:
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
