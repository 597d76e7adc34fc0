"""The search for a print's place on its surface, before the print itself is made."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from simattack.calibration import calibrate
from simattack.errors import ConfigError
from simattack.optimize import runs
from simattack.optimize.patch import (
    Scenes,
    aim_of,
    decided,
    objective_of,
    probed,
    start_of,
    survey,
)
from simattack.optimize.places import Spot, Tried, begun, best, search, spots, write
from simattack.optimize.plan import WEATHERS, PatchPlan
from simattack.standpoints import Scene, Setting, begin
from simattack.twin import Twin
from simattack.types import Differentiable, Surface

STEPS = 40
"""Of the method in each place, or looks of one without gradients."""


def place(
    session: Scene,
    detector: Any,
    plan: PatchPlan,
    scenes: Scenes,
    count: int,
    out_dir: Path,
    name: str,
    defense: Differentiable | None = None,
    resume: bool = True,
    report: runs.Report | None = None,
    steps: int = STEPS,
) -> PatchPlan:
    """The plan with the best of about ``count`` places on its surface, in two sizes each.

    Writes ``out_dir/<name>_places.csv`` and the map of it, ``.png``.

    Raises:
        ConfigError: the print has no place to choose.
        ResultsError: there is a search of that name with other inputs, or a damaged one.
        CalibrationError: the twin cannot be calibrated here.
        BudgetError: the print may not be put up, or in none of the places.
    """
    with tempfile.TemporaryDirectory(prefix="simattack_") as blank:
        plan, settings, _ = probed(session, plan, scenes, Path(blank))
        surface_m = _surface(session, settings[0]).size_m
        candidates = spots(count, plan.size_m, surface_m)
        folder = out_dir / f"{name}.places"
        inputs = decided(plan, settings, detector, defense) | {"places": count, "steps": steps}
        runs.claim(folder, inputs, resume)
        if not resume:
            (folder / "places.jsonl").unlink(missing_ok=True)
        trials = _Trials(
            session, detector, plan, scenes, candidates, folder, Path(blank), defense, report, steps
        )
        found = search(candidates, trials.refused, trials.run, folder / "places.jsonl", trials.tell)
    write(out_dir, name, found, surface_m)
    chosen = best(found)
    return replace(plan, size_m=chosen.spot.size_m, centre=chosen.spot.centre)


def _surface(session: Scene, setting: Setting) -> Surface:
    """What the print lies on.

    Raises:
        ConfigError: that is the print itself.
    """
    setting.enter(session)
    running = begin(session, setting)
    surface = running.places[0][0]
    running.end()
    if not surface.object_name and surface.actor_id is None:
        raise ConfigError(
            f"expected a print on a surface, but {surface.name!r} is the print itself; put it "
            "elsewhere by its own options in --attack, such as ahead_m and right_m"
        )
    return surface


class _Trials:
    """What is tried in every place, on one twin that is measured when it is first needed."""

    def __init__(
        self,
        session: Scene,
        detector: Any,
        plan: PatchPlan,
        scenes: Scenes,
        candidates: Sequence[Spot],
        folder: Path,
        blank: Path,
        defense: Differentiable | None,
        report: runs.Report | None,
        steps: int,
    ) -> None:
        self._session, self._plan, self._scenes = session, plan, scenes
        self._aim, self._defense = aim_of(detector, plan), defense
        self._candidates, self._folder, self._blank = candidates, folder, blank
        self._report, self._steps = report, steps

    def refused(self, spot: Spot) -> str:
        """The attack's words against a print there, "" if it is allowed."""
        return self._words[spot]

    def run(self, spot: Spot) -> tuple[float, float, float, float]:
        """Mean held-out score of grey there; mean and worst score, and value, after a few steps."""
        plan = self._at(spot, iterations=self._steps)
        twin = self._twin.moved(spot.size_m, spot.centre)
        objective = objective_of(twin, len(self._settings), self._aim, plan, self._defense)
        grey = objective.scores(np.full(3 * int(np.prod(plan.layout.shape)), 0.5))
        judged = plan.asked(objective)
        rng = np.random.default_rng([plan.seed, 3])
        *_, last = plan.optimizer.steps(judged, start_of(plan), rng, None)
        scores = objective.scores(last.point)
        value = objective(last.point)
        return float(grey.mean()), float(scores.mean()), float(scores.max()), float(value)

    def _told(self, stage: str, done: int, whole: int) -> None:
        if self._report is not None:
            self._report(stage, done, whole, {})

    def tell(self, done: int, whole: int, tried: Tried) -> None:
        """A line about the newest place."""
        if self._report is not None:
            numbers = {"u": tried.u, "v": tried.v, "grey": tried.grey, "mean": tried.mean}
            self._report("trying places", done, whole, numbers)

    def _at(self, spot: Spot, **others: Any) -> PatchPlan:
        return replace(self._plan, size_m=spot.size_m, centre=spot.centre, **others)

    @cached_property
    def _settings(self) -> Sequence[Setting]:
        return self._scenes(self._plan.recipe(self._blank))

    @cached_property
    def _words(self) -> dict[Spot, str]:
        """What the attack says of every place: each is tried in every scene that is set once."""
        words = dict.fromkeys(self._candidates, "")
        for number, setting in enumerate(self._settings):
            setting.enter(self._session)
            for spot in self._candidates:
                if not words[spot]:
                    here = self._scenes(self._at(spot).recipe(self._blank))[number]
                    words[spot] = begun(partial(self._begin, here, spot))
        return words

    def _begin(self, setting: Setting, spot: Spot) -> None:
        running = begin(self._session, setting)
        extent = running.places[0][1].extent
        running.end()
        middle = (extent[0] + extent[2]) / 2, (extent[1] + extent[3]) / 2
        if not np.allclose(middle, spot.centre, atol=1e-3):
            raise ConfigError(
                f"attack {self._plan.attack!r} has one place on its surface only, with its middle "
                f"at {middle[0]:g}, {middle[1]:g}; there is none to search for"
            )

    @cached_property
    def _twin(self) -> Twin:
        path = self._folder / "twin.npz"
        if not path.is_file():
            whole = replace(
                survey(self._plan, self._settings, self._plan.views, WEATHERS, 1), is_whole=True
            )
            calibrate(
                self._session,
                whole,
                last_level=self._plan.last_level,
                progress=self._told,
            ).save(path)
        return Twin.load(path)  # as a resumed run would see it
