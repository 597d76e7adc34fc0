"""A bench for what acts on the camera itself: whole recorded frames, tampered with as on the road.

The attack's numbers are searched by asking: its recipe's box, the detector behind the defense, the
frames to learn from. Frames are clean photographs of a scenario's things from drawn standpoints.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simattack.compare.asking import DRAWS, DRAWS_AT_LAST, STEPS, Scores, Tried, tampered
from simattack.compare.bench import Made, named
from simattack.compare.looking import Defended, found
from simattack.compare.onprints import plan_of
from simattack.comparison import Effort
from simattack.errors import BudgetError, ConfigError, ResultsError
from simattack.gap import UNSEEN_WEATHERS
from simattack.optimize import runs
from simattack.optimize.objective import spread
from simattack.optimize.patch import survey
from simattack.optimize.plan import WEATHERS
from simattack.optimize.runs import Report
from simattack.optimize.scenes import settings_of
from simattack.registry import build
from simattack.results import Appender, whole_lines
from simattack.scenario import Part, Scenario
from simattack.standpoints import Scene, record
from simattack.types import Detections, Floats, Image

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
        if not self._is_bearable:
            return "the numbers of one drive break the attack's own budget in others: make it less"
        return ""

    @cached_property
    def _draws(self) -> int:
        """So many drives have to bear what a search ends with."""
        return max(DRAWS_AT_LAST, self.effort.judged_views, self.effort.query_views)

    @cached_property
    def _is_bearable(self) -> bool:
        scores = self._scores(None)
        try:
            return scores.bears(scores.start, self._draws)
        except BudgetError:
            return False
        finally:
            scores.end()

    def attempts(
        self, name: str, defense: Any, report: Report | None = None
    ) -> tuple[Mapping[str, Made], str]:
        through, how, tried = self._strongest(name, "", defense, 0, report)
        looks = self.effort.blackbox
        half = self._search(f"{name}_half", max(1, looks // 2), 0, defense, tried, report)
        made, told = through, f"{how}, {looks} looks"
        if defense is not None:
            is_better = self._hidden(defense, self._without) > self._hidden(defense, through)
            if is_better:
                made, told = self._without, f"{told}; made without it"
        ways = {"adaptive": made, "through": through, "half": half[0], "random": tried.best}
        return ways, told

    def again(self, name: str, defense: Any, number: int, report: Report | None = None) -> Made:
        return self._strongest(name, f"_{number}", defense, number - 1, report)[0]

    def _strongest(
        self, name: str, ending: str, defense: Any, number: int, report: Report | None
    ) -> tuple[Made, str, Tried]:
        """What hides the most in the views learnt from, how it was found, and what chance found.

        A search begins with the best of its first draws by chance; with the draws alone, as many
        as it has looks, somebody else tries. Whichever hides more in all views learnt from is
        shown: the few that a search asks can be won by luck behind a defense that draws.
        """
        looks = self.effort.blackbox
        tried = self._chance(f"{name}_random{ending}", looks, number, defense, report)
        made, value = self._search(
            f"{name}_adaptive{ending}", looks, number, defense, tried, report
        )
        ways = ((made, "cma", value), (tried.best, "random", tried.value))
        shown, how, _ = min(ways, key=lambda way: (-self._hidden(defense, way[0]), way[2]))
        return shown, how, tried

    @cached_property
    def _without(self) -> Made:
        """What is shown to the car without a defense."""
        return self._strongest("none", "", None, 0, None)[0]

    def _hidden(self, defense: Any, made: Made) -> float:
        """Share of the views learnt from in which the target is not found."""
        images = tampered(self.attack.replaced(made), self.learnt.images)
        seen = Defended(self.detector, defense).detect(images)
        return 1.0 - float(found(seen, self.learnt.found).mean())

    def _chance(
        self, name: str, looks: int, number: int, defense: Any, report: Report | None
    ) -> Tried:
        """What the attack would draw by itself in so many drives, each looked at once.

        Where it leaves nothing to chance, uniform draws from its box.
        """
        folder, seed = self._claimed(name, "random", looks, number, defense)
        objective = self._scores(defense)
        try:
            points = objective.drawn(looks, seed)
            if not points:
                tells = named(report, name)
                made, value = self._drive(objective, "random", looks, seed, None, folder, tells)
                return Tried((), (), made, value)
            kept = folder / "values.jsonl"
            try:
                values = [float(line) for line in whole_lines(kept)][: len(points)]
            except ValueError as error:
                raise ResultsError(f"{kept} is damaged ({error}); remove it") from error
            with Appender(kept) as file:
                for point in points[len(values) :]:
                    values.append(objective(point))
                    file.append(repr(values[-1]))
                    if report is not None:
                        told = {"least": min(values)}
                        report(f"{name}: trying draws", len(values), len(points), told)
            best = int(np.argmin(values))
            made = objective.made(points[best], self._draws)
            return Tried(tuple(points), tuple(values), made, values[best])
        finally:
            objective.end()

    def _search(
        self, name: str, looks: int, number: int, defense: Any, tried: Tried,
        report: Report | None,
    ) -> tuple[Made, float]:  # fmt: skip
        """The attack with the numbers that a search ends with, and what is still seen under it.

        A third of its looks are draws by chance, which keep the budget and lie all over the
        picture; the rest begins with the best of them.
        """
        folder, seed = self._claimed(name, "cma", looks, number, defense)
        objective = self._scores(defense)
        try:
            first = tried.values[: looks // 3]
            start = tried.points[int(np.argmin(first))] if first else None
            left = max(1, looks - len(first))
            tells = named(report, name)
            made, value = self._drive(objective, "cma", left, seed, start, folder, tells)
            if start is not None and min(first) < value:
                return objective.made(start, self._draws), min(first)
            return made, value
        finally:
            objective.end()

    def _scores(self, defense: Any) -> Scores:
        views = self.learnt.select(spread(self.learnt.distances_m, self.effort.query_views))
        return Scores(self.attack, views, Defended(self.detector, defense))

    def _drive(
        self, objective: Scores, method: str, looks: int, seed: int, start: Floats | None,
        folder: Path, report: Report | None,
    ) -> tuple[Made, float]:  # fmt: skip
        optimizer = build("optimize", method, {"queries": looks}, f"method {method!r}")
        begun = objective.start if start is None else start
        rng = np.random.default_rng([seed, 7])
        step = runs.drive(optimizer, objective, begun, rng, folder, report)
        return objective.made(step.point, self._draws), step.value

    def _claimed(
        self, name: str, method: str, looks: int, number: int, defense: Any
    ) -> tuple[Path, int]:
        """The folder of a search, which holds nothing of another one, and its seed."""
        seed = self.effort.seed + number
        folder = self.folder / f"{name}.run"
        told = {
            "attack": [self.attack.kind, dict(self.attack.options)],
            "method": method,
            "looks": looks,
            "seed": seed,
            "views": self.effort.query_views,
            "behind": repr(defense),
            "steps": [STEPS, DRAWS, self._draws],
        }
        runs.claim(folder, json.loads(json.dumps(told, default=list)), True)
        return folder, seed

    def unbounded(self, defense: Any, which: Sequence[int]) -> None:
        """Who may do anything to a camera covers it: nothing to be measured."""
        return

    def patch_px(self, view: int) -> None:
        return


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
