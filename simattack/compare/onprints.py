"""A bench for prints: views of the twin, on which any picture can be shown and made anew."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.calibration import calibrate
from simattack.compare.bench import Made, has_way, named
from simattack.compare.looking import Defended, found
from simattack.comparison import Effort
from simattack.errors import ConfigError
from simattack.gap import UNSEEN_WEATHERS
from simattack.guarding import arrays_of, tensor_of, through
from simattack.optimize.blackbox import BlackBox
from simattack.optimize.objective import spread
from simattack.optimize.patch import optimize_patch, probed, start_of, survey
from simattack.optimize.plan import WEATHERS, PatchPlan
from simattack.optimize.runs import Report
from simattack.optimize.scenes import place_of, settings_of
from simattack.patchfile import find_patch, load_patch
from simattack.scenario import Part, Scenario
from simattack.standpoints import Scene, Setting
from simattack.twin import Twin
from simattack.types import Attack, Detections, Floats, Image

if TYPE_CHECKING:
    from torch import Tensor

FAR_M = 40.0
"""Views are no farther from the print: beyond, many signs are not found bare."""
CHOSEN_BY = 32
"""Views that an attacker chooses by, of those that he learnt from, at most."""
ENOUGH = 0.95
"""Share of hidden views from which on an attacker leaves it at that."""
_EVERY, _MOST = "for every view", "for most views"
"""What an attack made through the defense works for."""
_ASKING = ("square", "nes", "random")
"""Methods without gradients: they see what the car is told."""
_STEP = 8 / 255
"""Of an attack without limits, a pixel and iteration."""


@dataclass(frozen=True)
class Strongest:
    """What hides the most behind a defense of all that an attacker who knows it has."""

    made: Made
    origin: str
    through: Made
    """The best of what was made through the defense; it may be ``made`` itself."""
    plan: PatchPlan
    """How that was made, ..."""
    start: Floats | None
    """... and what it began with."""


@dataclass(frozen=True, eq=False)
class OnPrints:
    """What all cells of one print share."""

    scene: Scene
    detector: Any
    """With ``detect``, ``loss`` and ``scores_near``."""
    plan: PatchPlan
    scenes: Callable[[Attack], Sequence[Setting]]
    effort: Effort
    learnt: Twin
    judged: Twin
    folder: Path
    """For the patches and their runs."""
    patch: str
    """The scenario's own."""

    @property
    def distances_m(self) -> Floats:
        return self.judged.distances_m

    def images(self, picture: Image, twin: Twin | None = None) -> Image:
        """(N, S, S, 3) the views, by default the judged ones, with a picture stuck on."""
        import torch

        tensor, twin = tensor_of(picture[None])[0], twin or self.judged
        with torch.no_grad():
            parts = [twin.render(tensor, torch.tensor([i])) for i in range(len(twin))]
        return arrays_of(torch.cat(parts))

    def bare(self) -> Image:
        first, *others = self.judged.bare
        images = self.images(first)
        for face, picture in enumerate(others, 1):
            view, row, column, _ = self.judged.pixel[self.judged.pixel[:, 3] == face].T
            images[view, row, column] = self.images(picture)[view, row, column]
        return images

    def targets(self) -> list[Detections]:
        return [self.judged.target(i) for i in range(len(self.judged))]

    def oblivious(self) -> Image:
        """The judged views under the scenario's own patch.

        Raises:
            ConfigError: it is of another size than what is made here.
        """
        shown = load_patch(self.patch)
        if not np.allclose(shown.size_m, self.plan.size_m, rtol=1e-2):
            raise ConfigError(
                f"expected a patch as large as what is made against it, {self.plan.size_m} m; "
                f"{self.patch!r} is {shown.size_m} m; set 'adaptive.size_m'"
            )
        return self.images(shown.image)

    def under(self, made: Made) -> Image:
        return self.images(load_patch(made["patch"]).image)

    def why_not(self, defense: Any) -> str:
        if has_way(defense) or self.effort.blackbox:
            return ""
        return (
            "gradients have no way through this defense, and nobody asked without them: "
            "'adaptive.blackbox' is 0"
        )

    def attempts(
        self, name: str, defense: Any, report: Report | None = None
    ) -> tuple[Mapping[str, Made], str]:
        plan, _ = self._best(defense, 1, report)
        strongest = self._strongest(name, defense, 1, report)
        told = strongest.plan
        halved = dataclasses.replace(told, iterations=max(1, told.iterations // 2))
        ending = "half_most" if told.seek == "most" else "half"
        made = {"half": self._make(f"{name}_{ending}", halved, defense, report, strongest.start)}
        for method in _ASKING:
            if has_way(defense) or method != "square":
                asked = dataclasses.replace(plan, method=method, iterations=self.effort.queries)
                made[method] = self._make(f"{name}_{method}", asked, defense, report)
        how = (
            f"{plan.method}, {plan.iterations} "
            f"{'steps' if has_way(defense) else 'looks'}; {strongest.origin}"
        )
        return {"adaptive": strongest.made, "through": strongest.through, **made}, how

    def again(self, name: str, defense: Any, number: int, report: Report | None = None) -> Made:
        return self._strongest(name, defense, number, report).made

    def _strongest(self, name: str, defense: Any, number: int, report: Report | None) -> Strongest:
        """The ``number``-th attack through a defense, and what it came from.

        Who knows the defense also has what was made without it, and shows whichever hides the most
        in the views that were learnt from. While that leaves some, another attempt begins there.
        """
        ending = "" if number == 1 else f"_{number}"
        plan, start = self._best(defense, number, report)
        begun = {_EVERY: (plan, start)}
        tried = {_EVERY: self._make(f"{name}_adaptive{ending}", plan, defense, report, start)}
        if defense is not None:
            unaware = dataclasses.replace(self.plan, seed=plan.seed)
            tried["made without it"] = self._make(f"none_adaptive{ending}", unaware, None, report)
        if number == 1:
            tried["the scenario's own"] = {"patch": self.patch}
        hidden = {what: self._hidden(made, defense) for what, made in tried.items()}
        best = max(hidden, key=lambda what: hidden[what])
        if hidden[best] < ENOUGH and has_way(defense):
            # The scenario's own may have other cells than what is made here.
            made = {what: load_patch(one["patch"]).image for what, one in tried.items()}
            size = plan.layout.picture(start_of(plan)).shape[:2]
            fits = [what for what, image in made.items() if image.shape[:2] == size]
            start = plan.layout.point(made[max(fits, key=lambda what: hidden[what])])
            plan = dataclasses.replace(plan, seek="most")
            begun[_MOST] = (plan, start)
            most = self._make(f"{name}_most{ending}", plan, defense, report, start)
            tried[_MOST], hidden[_MOST] = most, self._hidden(most, defense)
            best = max(hidden, key=lambda what: hidden[what])
        through_it = max(begun, key=lambda what: hidden[what])
        return Strongest(tried[best], best, tried[through_it], *begun[through_it])

    def _hidden(self, made: Made, defense: Any) -> float:
        """Share of views learnt from in which a print hides the target behind the defense."""
        which = spread(self.learnt.distances_m, CHOSEN_BY)
        images = self.images(load_patch(made["patch"]).image, self.learnt.select(which))
        seen = Defended(self.detector, defense).detect(images)
        return float(1 - found(seen, [self.learnt.target(int(i)) for i in which]).mean())

    def _best(
        self, defense: Any, number: int, report: Report | None
    ) -> tuple[PatchPlan, Floats | None]:
        """How the ``number``-th attack through a defense is made, and what it begins with."""
        plan = dataclasses.replace(self.plan, seed=self.plan.seed + number - 1)
        if has_way(defense):
            return plan, None
        # Asking takes many looks: begin with what gradients find where the defense is not.
        name = "none_adaptive" if number == 1 else f"none_adaptive_{number}"
        begun = self._make(name, plan, None, report)
        start = plan.layout.point(load_patch(begun["patch"]).image)
        return dataclasses.replace(plan, method="square", iterations=self.effort.blackbox), start

    def _make(
        self,
        name: str,
        plan: PatchPlan,
        defense: Any,
        report: Report | None,
        start: Floats | None = None,
    ) -> Made:
        """A print made through a defense: by gradients, or by asking what is left behind it."""
        if has_way(defense) and plan.method not in _ASKING:
            # A defense that looks for itself is the one to be fooled.
            target: Any = getattr(defense, "network", self.detector)
            through = defense
        else:
            behind: Any = Defended(self.detector, defense)
            target, through = BlackBox(behind), None
        path = optimize_patch(
            self.scene, target, plan, self.scenes, self.folder, name, through, True,
            named(report, name), self.learnt, start,
        )  # fmt: skip
        return {"patch": str(path)}

    def unbounded(self, defense: Any, which: Sequence[int]) -> Floats:
        """(n,) 1 where a target is hidden by an attacker who sets each of its pixels.

        Where gradients have no way through, those of the bare detector are followed, and a target
        of plain grey counts, too.
        """
        import torch

        network = getattr(defense, "network", self.detector)
        bare = self.bare()
        rng = np.random.default_rng(0)
        hidden = []
        for i in which:
            target = self.judged.target(i)
            pixels = tensor_of(bare[i][None])
            mask = _inside(pixels, target)
            for _ in range(max(20, self.effort.iterations // 4)):
                pixels = pixels.detach().requires_grad_(True)
                known = defense if defense is not None and has_way(defense) else None
                seen, aims = through(known, pixels, [target], rng)
                loss = network.loss(seen, aims).sum()
                (slope,) = torch.autograd.grad(loss, pixels)
                pixels = (pixels - _STEP * mask * slope.sign()).clamp(0, 1)
            tries = [pixels.detach()]
            if not has_way(defense):
                tries.append(pixels.detach() * (1 - mask) + 0.5 * mask)
            looked = Defended(self.detector, defense).detect(arrays_of(torch.cat(tries)))
            hidden.append(float(not found(looked, [target] * len(tries)).all()))
        return np.array(hidden, float)

    def patch_px(self, view: int) -> tuple[int, int]:
        rows, columns = np.nonzero(self.judged.mask(view, core=False))
        return (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1) if len(rows) else (0, 0)


def plan_of(attack: Part, effort: Effort, last_level: int | None = None) -> PatchPlan:
    """What is made against each defense: the scenario's print, with another picture.

    Raises:
        ConfigError: the effort makes no sense for it.
    """
    how, centre = place_of(attack.options)
    given: dict[str, Any] = {"cells": effort.cells, "pieces": effort.pieces, "gap_m": effort.gap_m}
    if effort.size_m is not None:
        given["size_m"] = (effort.size_m, effort.size_m)
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        plan = PatchPlan(
            attack=attack.kind, how=how, centre=centre, goal="hide",
            iterations=effort.iterations, seed=effort.seed, views=effort.views, gap_views=0,
            rate=effort.rate, query_views=effort.query_views, batch=effort.batch,
            last_level=last_level, **options,
        )  # fmt: skip
    except ValueError as error:
        raise ConfigError(f"comparison: attack {attack.kind!r}: {error}") from error
    near_m, far_m = plan.distance_m
    return dataclasses.replace(plan, distance_m=(near_m, min(far_m, FAR_M)))


def patch_of(scenario: Scenario) -> str:
    """The picture that the scenario's print shows.

    Raises:
        ConfigError: it shows none.
    """
    attack = scenario.attack
    patch = None if attack is None else attack.options.get("patch")
    if attack is None or not isinstance(patch, str):
        raise ConfigError(
            f"scenario {scenario.name!r}: expected a print with a 'patch', which the twin can "
            f"show; got {dict(attack.options) if attack else 'no attack'}"
        )
    find_patch(patch)
    return patch


def prepare(
    scene: Scene,
    detector: Any,
    scenario: Scenario,
    effort: Effort,
    folder: Path,
    report: Report | None = None,
    last_level: int | None = None,
) -> OnPrints:
    """Measure the camera at views to learn from and at others to judge by, or load both.

    Args:
        scene: a world of the scenario's map.
        detector: with gradients.
        scenario: with a print that has a patch.
        effort: of the attacker.
        folder: for all that is made.
        report: is told how far it is.
        last_level: of the server's mip levels.

    Raises:
        ConfigError: too few views, or the print cannot be put up.
    """
    assert scenario.attack is not None  # patch_of
    patch = patch_of(scenario)
    plan = plan_of(scenario.attack, effort, last_level)
    at = partial(settings_of, scenario, reach_m=plan.distance_m[1])
    twins = []
    with tempfile.TemporaryDirectory(prefix="simattack_") as blank:
        needed = max(8, 2 * len(at(plan.recipe(Path(blank)))))
        if effort.views < needed:
            raise ConfigError(
                f"expected at least {needed} views, two a place, of which one is held out; got "
                f"adaptive.views {effort.views} for {needed // 2} places"
            )
        plan, settings, _ = probed(scene, plan, at, Path(blank))
        for number, (name, count, weathers) in enumerate(
            (("learnt", effort.views, WEATHERS), ("judged", effort.judged_views, UNSEEN_WEATHERS))
        ):
            path = folder / f"{name}.npz"
            if not path.is_file():
                looks = survey(plan, settings, count, weathers, 10 + number)
                told = None if report is None else _stage(report, name)
                calibrate(scene, looks, last_level=last_level, progress=told).save(path)
            twins.append(Twin.load(path))  # as a resumed run would see it
    learnt, judged = twins
    return OnPrints(scene, detector, plan, at, effort, learnt, judged, folder, patch)


def _stage(report: Report, name: str) -> Callable[[str, int, int], None]:
    return lambda stage, done, of: report(f"{name}: {stage}", done, of, {})


def _inside(pixels: Tensor, target: Detections) -> Tensor:
    import torch

    left, top, right, bottom = (round(float(v)) for v in target.boxes[0])
    mask = torch.zeros_like(pixels[:, :1])
    mask[:, :, max(top, 0) : bottom + 1, max(left, 0) : right + 1] = 1
    return mask
