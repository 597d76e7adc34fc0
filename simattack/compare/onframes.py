"""A bench for what acts on the camera itself: whole recorded frames, tampered with as on the road.

The attack's numbers are searched by asking: its recipe's box, the detector behind the defense, the
frames to learn from. Frames are clean photographs of a scenario's things from drawn standpoints.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.adversary import box_of
from simattack.compare.bench import Made, named
from simattack.compare.looking import Defended
from simattack.compare.onprints import plan_of
from simattack.comparison import Effort
from simattack.errors import BudgetError, ConfigError, ResultsError
from simattack.gap import UNSEEN_WEATHERS
from simattack.guarding import tensor_of
from simattack.optimize import runs
from simattack.optimize.blackbox import BlackBox
from simattack.optimize.objective import MIDDLE_WEIGHT, share_found, spread
from simattack.optimize.patch import survey
from simattack.optimize.plan import WEATHERS
from simattack.optimize.runs import Report
from simattack.optimize.scenes import settings_of
from simattack.registry import build
from simattack.scenario import Part, Scenario
from simattack.standpoints import Scene, record
from simattack.types import ActorState, Detections, Floats, Frame, Image, Pose

_NOW = Frame(1, 1.0, ActorState(0, "", Pose(), (0, 0, 0), (0, 0, 0), (1, 1, 1)))
_STEPS = (1.0, 0.5, 0.25, 0.125, 0.06, 0.03)
"""Of the way from the scenario's own parameters to others, that is gone as far as is allowed."""
_DRAWS = 16
_DRAWS_AT_LAST = 128
"""The same numbers break a budget by one drive's chance and keep it by another's: so many drives
have to bear what is tried, and what a search ends with."""
_APART = 10_000
"""Between the first drives that the draws of two seeds are taken from."""
_CLEAR = np.zeros((2, 2, 4), np.uint8)
"""A print of which nothing is printed."""


@dataclass(frozen=True, eq=False)
class Photographs:
    """Whole frames (N, H, W, 3), each with its one target and the distance to it."""

    images: Image
    found: tuple[Detections, ...]
    distances_m: Floats

    def __len__(self) -> int:
        return len(self.found)

    def select(self, index: NDArray[np.int64]) -> Photographs:
        """Those of them."""
        return Photographs(
            self.images[index], tuple(self.found[int(i)] for i in index), self.distances_m[index]
        )

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                images=self.images,
                boxes=np.array([one.boxes[0] for one in self.found]),
                labels=np.array([one.labels[0] for one in self.found]),
                distances_m=self.distances_m,
            )
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Photographs:
        """What ``save`` wrote.

        Raises:
            ResultsError: the file is damaged.
        """
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                found = tuple(
                    Detections(box[None], np.ones(1), (str(label),))
                    for box, label in zip(file["boxes"], file["labels"], strict=True)
                )
                return cls(file["images"], found, file["distances_m"])
        except Exception as error:  # a damaged archive can fail in any way
            raise ResultsError(
                f"{path} is damaged ({type(error).__name__}: {error}); remove it to start anew"
            ) from error


@dataclass(frozen=True, eq=False)
class OnFrames:
    """What all cells of one attack on the camera share."""

    detector: Any
    attack: Part
    """The scenario's own."""
    effort: Effort
    learnt: Photographs
    judged: Photographs
    folder: Path
    """For the searches."""

    @property
    def distances_m(self) -> Floats:
        return self.judged.distances_m

    def bare(self) -> Image:
        return self.judged.images

    def targets(self) -> list[Detections]:
        return list(self.judged.found)

    def oblivious(self) -> Image:
        return tampered(self.attack, self.judged.images)

    def under(self, made: Made) -> Image:
        return tampered(self.attack.replaced(made), self.judged.images)

    def why_not(self, defense: Any) -> str:
        if not self.effort.blackbox:
            return "nobody searched: 'adaptive.blackbox' is 0"
        if getattr(self.attack.build("attacks"), "box", None) is None:
            return "the attack leaves no number free to search"
        return ""

    def attempts(
        self, name: str, defense: Any, report: Report | None = None
    ) -> tuple[Mapping[str, Made], str]:
        looks = self.effort.blackbox
        made, how, by_chance = self._strongest(name, "", defense, 0, report)
        half, _ = self._search(f"{name}_half", "cma", max(1, looks // 2), 0, defense, report)
        return {"adaptive": made, "half": half, "random": by_chance}, f"{how}, {looks} looks"

    def again(self, name: str, defense: Any, number: int, report: Report | None = None) -> Made:
        return self._strongest(name, f"_{number}", defense, number - 1, report)[0]

    def _strongest(
        self, name: str, ending: str, defense: Any, number: int, report: Report | None
    ) -> tuple[Made, str, Made]:
        """What hides the most in the views learnt from: a search's end, or the best by chance."""
        looks, found = self.effort.blackbox, {}
        for what, method in (("adaptive", "cma"), ("random", "random")):
            found[method] = self._search(
                f"{name}_{what}{ending}", method, looks, number, defense, report
            )
        how = min(found, key=lambda method: found[method][1])
        return found[how][0], how, found["random"][0]

    def unbounded(self, defense: Any, which: Sequence[int]) -> None:
        """Who may do anything to a camera covers it: nothing to be measured."""
        return

    def patch_px(self, view: int) -> None:
        return

    def _search(
        self, name: str, method: str, looks: int, number: int, defense: Any, report: Report | None
    ) -> tuple[Made, float]:
        """The attack with the numbers that a search ends with, and what is still seen under it.

        A third of its looks goes to what the attack itself would draw: points that keep the budget
        and lie all over the picture, the best of which the rest begins with. ``random`` is such
        draws alone, where there is anything that the attack draws.
        """
        objective = _Scores(self, Defended(self.detector, defense))
        seed = self.effort.seed + number
        folder = self.folder / f"{name}.run"
        told = {
            "attack": [self.attack.kind, dict(self.attack.options)],
            "method": method,
            "looks": looks,
            "seed": seed,
            "views": self.effort.query_views,
            "behind": repr(defense),
        }
        runs.claim(folder, json.loads(json.dumps(told, default=list)), True)
        rng = np.random.default_rng([seed, 7])
        try:
            draws = objective.drawn(looks if method == "random" else looks // 3, seed)
            values = []
            for count, point in enumerate(draws, 1):
                values.append(objective(point))
                if report is not None:
                    report(f"{name}: trying draws", count, len(draws), {"least": min(values)})
            best = draws[int(np.argmin(values))] if draws else objective.start
            value = min(values, default=math.inf)
            if (left := looks - len(draws)) > 0:
                optimizer = build("optimize", method, {"queries": left}, f"method {method!r}")
                tells = named(report, name)
                step = runs.drive(optimizer, objective, best, rng, folder, tells)
                best, value = step.point, min(value, step.value)
            return objective.made(best, _DRAWS_AT_LAST), value
        finally:
            objective.end()


class _Scores:
    """A point of the attack's box, as the unit box -> how well the targets are still seen."""

    def __init__(self, bench: OnFrames, behind: Any) -> None:
        self._attack = bench.attack
        self._low, self._high = box_of(bench.attack.build("attacks"))
        self._views = bench.learnt.select(
            spread(bench.learnt.distances_m, bench.effort.query_views)
        )
        self._detector = BlackBox(behind)
        self._begun: list[Any] = []

    @cached_property
    def start(self) -> Floats:
        """The scenario's own parameters where the attack tells them, else the box's middle."""
        own = self._point(self._drives(1)[0])
        return np.full(len(self._low), 0.5) if own is None else own

    def drawn(self, count: int, seed: int) -> list[Floats]:
        """What the attack draws in so many drives; nothing if it leaves nothing to chance."""
        recipe, points = _always(self._attack).build("attacks"), []
        for number in range(count):
            running = _begun(recipe, _APART * (seed + 1) + number)
            points.append(self._point(running))
            running.end()
        told = [point for point in points if point is not None]
        return told if any(not np.array_equal(point, self.start) for point in told) else []

    def _point(self, running: Any) -> Floats | None:
        """Where the parameters of a drive lie in the box, if the attack tells them."""
        own = getattr(running, "parameters", None)
        if own is None:
            return None
        span = np.where(self._high > self._low, self._high - self._low, 1.0)
        point: Floats = ((np.asarray(own, float) - self._low) / span).clip(0, 1)
        return point

    def made(self, point: Floats, draws: int = _DRAWS) -> Made:
        """The attack with the parameters of a point, or as near to them as its budget allows.

        Args:
            point: (n,) in 0..1.
            draws: drives whose own chance has to bear it.
        """
        inner = {"kind": self._attack.kind, **self._attack.options}
        own = self.start
        for share in (*_STEPS, 0.0):
            near = own + share * (np.clip(point, 0, 1) - own)
            values = self._low + near * (self._high - self._low)
            if self._bears(values, draws):
                break
        return {"kind": "tuned", "attack": inner, "parameters": tuple(float(v) for v in values)}

    def end(self) -> None:
        """All drives that were begun to ask are over."""
        for running in self._begun:
            running.end()
        self._begun.clear()

    def _bears(self, values: Floats, draws: int) -> bool:
        try:
            for running in self._drives(draws):
                running.set(values)
        except BudgetError:
            return False
        return True

    def _drives(self, count: int) -> list[Any]:
        recipe = _always(self._attack).build("attacks")
        for number in range(len(self._begun), count):
            self._begun.append(_begun(recipe, number))
        return self._begun[:count]

    def __call__(self, point: Floats) -> float:
        images = tampered(self._attack.replaced(self.made(point)), self._views.images)
        scores = self._detector.scores_near(tensor_of(images), self._views.found).numpy()
        return share_found(scores) + MIDDLE_WEIGHT * float(scores.mean())


def tampered(attack: Part, images: Image) -> Image:
    """Frames (N, H, W, 3) as the attack leaves them; each is the first of a drive of its own.

    When it acts says nothing here: it does.

    Raises:
        BudgetError: what is drawn breaks its budget.
    """
    recipe, seen = _always(attack).build("attacks"), []
    for number, image in enumerate(images):
        running = _begun(recipe, number)
        obs = {"camera": image, "clock": np.full(2, _NOW.time_s)}
        try:
            seen.append(running.tamper(obs, _NOW)["camera"])
        finally:
            running.end()
    return np.stack(seen)


def _begun(recipe: Any, number: int) -> Any:
    """One run of an attack, with chance of its own."""
    return recipe.begin(None, np.random.default_rng([7, number]))


def _always(attack: Part) -> Part:
    """The attack without its timing."""
    inner = attack.options.get("attack")
    options = {key: value for key, value in attack.options.items() if key != "timing"}
    if attack.kind == "tuned" and isinstance(inner, Mapping):
        options["attack"] = {key: value for key, value in inner.items() if key != "timing"}
    return Part(attack.kind, options)


def prepare(
    scene: Scene,
    detector: Any,
    scenario: Scenario,
    effort: Effort,
    folder: Path,
    report: Report | None = None,
) -> OnFrames:
    """Take the photographs to learn from and to judge by, or load both.

    Raises:
        ConfigError: the scenario has no stop signs to look at.
    """
    assert scenario.attack is not None  # a comparison's attack
    if any(scenario.place(site) is not None for site in scenario.sites):
        raise ConfigError(
            f"scenario {scenario.name!r}: expected stop signs as its sites, which frames are "
            "recorded before; drive this one with `simattack run`"
        )
    plan = plan_of(Part("sticker"), effort)
    sets = []
    with tempfile.TemporaryDirectory(prefix="simattack_") as blank:
        for number, (name, count, weathers) in enumerate(
            (("learnt", effort.views, WEATHERS), ("judged", effort.judged_views, UNSEEN_WEATHERS))
        ):
            path = folder / f"{name}_frames.npz"
            if not path.is_file():
                settings = settings_of(scenario, plan.recipe(Path(blank)))
                looks = survey(plan, settings, count, weathers, 10 + number)

                def told(stage: str, done: int, of: int, name: str = name) -> None:
                    if report is not None:
                        report(f"{name}: photographs", done, of, {})

                shots = record(scene, looks, {"bare": _CLEAR}, told)
                Photographs(
                    np.stack([shot.frames["bare"] for shot in shots]),
                    tuple(shot.target for shot in shots),
                    np.array([shot.standpoint.distance_m for shot in shots]),
                ).save(path)
            sets.append(Photographs.load(path))
    learnt, judged = sets
    return OnFrames(detector, scenario.attack, effort, learnt, judged, folder)
