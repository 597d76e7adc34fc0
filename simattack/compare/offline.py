"""One cell of defenses x attacks without driving: on views of the twin that nothing learnt from.

A sign that is not found counts as hidden, whoever hid it: attack, weather or the defense itself.
The bare sign's recall behind the same defense stands beside it.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack import statistics
from simattack.calibration import calibrate
from simattack.compare import exhibits, sanity
from simattack.compare.looking import Defended, found
from simattack.config import Effort
from simattack.errors import ConfigError
from simattack.gap import UNSEEN_WEATHERS
from simattack.guarding import arrays_of
from simattack.optimize.blackbox import BlackBox
from simattack.optimize.patch import WEATHERS, PatchPlan, optimize_patch, survey
from simattack.optimize.runs import Report
from simattack.patchfile import load_patch
from simattack.standpoints import Scene, Setting, before_sign
from simattack.twin import Twin
from simattack.types import Attack, Defense, Detections, Floats, Image

if TYPE_CHECKING:
    from torch import Tensor

_STEP = 8 / 255
"""Of an attack without limits, a pixel and iteration."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What all cells of one attack share."""

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

    def images(self, picture: Image) -> Image:
        """(N, S, S, 3) the judged views with a picture stuck on."""
        import torch

        tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
        with torch.no_grad():
            parts = [self.judged.render(tensor, torch.tensor([i])) for i in range(len(self.judged))]
        pixels = (torch.cat(parts).clamp(0, 1) * 255).round().to(torch.uint8)
        return np.asarray(pixels.permute(0, 2, 3, 1).contiguous().numpy(), np.uint8)

    def bare(self) -> Image:
        """(N, S, S, 3) the judged views as if nothing were stuck on."""
        return self.images(self.judged.bare)

    def targets(self) -> list[Detections]:
        return [self.judged.target(i) for i in range(len(self.judged))]

    def hides(self, defense: Defense | None, images: Image) -> Floats:
        """(N,) 1 where the sign is not found behind the defense."""
        seen = Defended(self.detector, defense).detect(images)
        return np.asarray(~found(seen, self.targets()), float)


def prepare(
    scene: Scene,
    detector: Any,
    sites: Sequence[str],
    effort: Effort,
    folder: Path,
    report: Report | None = None,
    last_level: int | None = None,
) -> Bench:
    """Measure the camera at views to learn from and at others to judge by, or load both."""
    if effort.views < max(8, 2 * len(sites)):
        raise ConfigError(
            f"expected at least {max(8, 2 * len(sites))} views, two a sign, of which one is held "
            f"out; got adaptive.views {effort.views} for {len(sites)} signs"
        )
    size_m = (effort.size_m, effort.size_m)
    plan = PatchPlan(
        size_m=size_m, pieces=effort.pieces, gap_m=effort.gap_m,
        cells=effort.cells, iterations=effort.iterations, seed=effort.seed, views=effort.views,
        gap_views=0, rate=effort.rate, query_views=effort.query_views, batch=effort.batch,
        last_level=last_level,
    )  # fmt: skip
    scenes = partial(_before, tuple(sites))
    twins = []
    for number, (name, count, weathers) in enumerate(
        (("learnt", effort.views, WEATHERS), ("judged", effort.judged_views, UNSEEN_WEATHERS))
    ):
        path = folder / f"{name}.npz"
        if not path.is_file():
            with tempfile.TemporaryDirectory(prefix="simattack_") as blank:
                settings = scenes(plan.recipe(Path(blank)))
                looks = survey(plan, settings, count, weathers, 10 + number, (7.0, 40.0))
                twin = calibrate(
                    scene, looks, last_level=last_level,
                    progress=None if report is None else _stage(report, name),
                )  # fmt: skip
            twin.save(path)
        twins.append(Twin.load(path))  # as a resumed run would see it
    learnt, judged = twins
    return Bench(scene, detector, plan, scenes, effort, learnt, judged, folder)


def _before(sites: Sequence[str], attack: Attack) -> list[Setting]:
    return [before_sign(attack, site) for site in sites]


def _stage(report: Report, name: str) -> Callable[[str, int, int], None]:
    return lambda stage, done, of: report(f"{name}: {stage}", done, of, {})


def cell(
    bench: Bench,
    kind: str,
    defense: Defense | None,
    patch: str,
    is_adaptive: bool,
    report: Report | None = None,
) -> dict[str, Any]:
    """All that is measured of one defense against one attack, as plain values.

    ``kind`` names the defense in file names; ``defense`` None is the car without one.
    """
    shown = load_patch(patch)
    if not np.allclose(shown.size_m, bench.plan.size_m):
        raise ConfigError(
            f"expected a patch as large as what is made against it, {bench.plan.size_m} m; "
            f"{patch!r} is {shown.size_m} m; set 'adaptive.size_m'"
        )
    bare = bench.bare()
    row: dict[str, Any] = {
        "views": len(bench.judged),
        "clean_hidden": _rate(bench.hides(defense, bare)),
        "oblivious": _rate(bench.hides(defense, bench.images(shown.image))),
        "adaptive": None,
        "adaptive_missing": "",
        "adaptive_by": "",
        "masks_gradients": bool(getattr(defense, "masks_gradients", False)),
        "patch": "",
        "checks": {},
        "flags": [],
        "certified": _certified(bench, defense, bare),
    }
    if defense is not None and not is_adaptive:
        row["adaptive_missing"] = "nobody made it: the comparison has no 'adaptive'"
    elif not _has_way(defense) and not bench.effort.blackbox:
        row["adaptive_missing"] = (
            "gradients have no way through this defense, and nobody asked without them: "
            "'adaptive.blackbox' is 0"
        )
    else:
        row |= _adaptive(bench, kind, defense, bare, report)
        hidden = {name: check["value"] for name, check in row["checks"].items()}
        hidden |= {name: row[name]["value"] for name in ("oblivious", "adaptive")}
        row["flags"] = sanity.flags(hidden)
    return row


def exhibit(bench: Bench, folder: Path, defense: Defense, stickers: Mapping[str, str]) -> None:
    """Keep what a defense made of a few judged views, bare and under each sticker.

    Args:
        bench: of the attack.
        folder: of this defense's exhibits alone.
        defense: whose.
        stickers: name of each -> its patch.
    """
    shown = exhibits.chosen(bench.judged.distances_m)
    behind = Defended(bench.detector, defense)
    sets = {"bare": bench.bare()}
    sets |= {name: bench.images(load_patch(patch).image) for name, patch in stickers.items()}
    looks = [
        (name, bench.judged.distances_m[i], bench.judged.target(i), behind.look(images[i]))
        for i in shown
        for name, images in sets.items()
    ]
    exhibits.keep(folder, looks, bench.detector, defense)


def _has_way(defense: Any) -> bool:
    """Whether gradients get past a defense; past none they do."""
    return defense is None or hasattr(defense, "surrogate")


def _adaptive(
    bench: Bench, kind: str, defense: Any, bare: Image, report: Report | None
) -> dict[str, Any]:
    plan, effort = bench.plan, bench.effort
    has_way = _has_way(defense)
    start = None
    if not has_way:
        # Asking takes many looks: begin with what gradients find where the defense is not.
        begun = _made(bench, "none_adaptive", plan, None, report)
        start = plan.layout.point(load_patch(begun).image)
        plan = dataclasses.replace(plan, method="square", iterations=effort.blackbox)
    plans = {
        "adaptive": plan,
        "half": dataclasses.replace(plan, iterations=max(1, plan.iterations // 2)),
        **{
            name: dataclasses.replace(plan, method=name, iterations=effort.queries)
            for name in ("square", "nes", "random")
            if has_way or name != "square"
        },
    }
    made: dict[str, Any] = {}
    patch = Path()
    for name, one in plans.items():
        begins = start if name in ("adaptive", "half") else None
        path = _made(bench, f"{kind}_{name}", one, defense, report, begins)
        patch = path if name == "adaptive" else patch
        made[name] = _rate(bench.hides(defense, bench.images(load_patch(path).image)))
    # Of the signs that the defended detector finds bare: others need no attack.
    is_there = bench.hides(defense, bare) == 0
    free = unbounded(bench, defense, bare[is_there], np.flatnonzero(is_there))
    made["unbounded"] = _rate(free)
    return {
        "adaptive": made.pop("adaptive"),
        "adaptive_by": f"{plan.method}, {plan.iterations} {'steps' if has_way else 'looks'}",
        "patch": str(patch),
        "checks": made,
    }


def _made(
    bench: Bench,
    name: str,
    plan: PatchPlan,
    defense: Any,
    report: Report | None,
    start: Floats | None = None,
) -> Path:
    """A sticker made through a defense: by gradients, or by asking what is left behind it."""
    told = None if report is None else _named(report, name)
    if _has_way(defense):
        # A defense that looks for itself is the one to be fooled.
        target: Any = getattr(defense, "network", bench.detector)
        through = defense
    else:
        behind: Any = Defended(bench.detector, defense)
        target, through = BlackBox(behind), None
    return optimize_patch(
        bench.scene, target, plan, bench.scenes, bench.folder, name, through, True, told,
        bench.learnt, start,
    )  # fmt: skip


def unbounded(bench: Bench, defense: Any, images: Image, which: Sequence[int] | Any) -> Floats:
    """(N,) 1 where a sign is hidden by an attacker who sets each of its pixels in each view.

    Where gradients have no way through, those of the bare detector are followed, and a sign of
    plain grey counts, too.
    """
    import torch

    network = getattr(defense, "network", bench.detector)
    has_way = _has_way(defense)

    targets = [bench.judged.target(int(i)) for i in which]
    rng = np.random.default_rng(0)
    hidden = []
    for image, target in zip(images, targets, strict=True):
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        mask = _inside(pixels, target)
        for _ in range(max(20, bench.effort.iterations // 4)):
            pixels = pixels.detach().requires_grad_(True)
            seen = defense.surrogate(pixels, rng) if defense is not None and has_way else pixels
            loss = network.loss(seen, [target]).sum()
            (slope,) = torch.autograd.grad(loss, pixels)
            pixels = (pixels - _STEP * mask * slope.sign()).clamp(0, 1)
        tries = [pixels.detach()]
        if not has_way:
            tries.append(pixels.detach() * (1 - mask) + 0.5 * mask)
        looked = Defended(bench.detector, defense).detect(arrays_of(torch.cat(tries)))
        hidden.append(float(not found(looked, [target] * len(tries)).all()))
    return np.array(hidden, float)


def _inside(pixels: Tensor, target: Detections) -> Tensor:
    import torch

    left, top, right, bottom = (round(float(v)) for v in target.boxes[0])
    mask = torch.zeros_like(pixels[:, :1])
    mask[:, :, max(top, 0) : bottom + 1, max(left, 0) : right + 1] = 1
    return mask


def _certified(bench: Bench, defense: Any, bare: Image) -> dict[str, Any] | None:
    """Share of bare signs that no patch of the sticker's size can hide; None: no certificate."""
    if not hasattr(defense, "certificate"):
        return None
    sure = []
    for i, image in enumerate(bare):
        rows, columns = np.nonzero(bench.judged.mask(i, core=False))
        if not len(rows):
            sure.append(0.0)
            continue
        patch_px = (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1)
        target = bench.judged.target(i)
        looks = defense.looks(bench.detector, image)
        certified = defense.certificate(
            looks, image.shape[:2], target.boxes, target.labels, patch_px
        )
        sure.append(float(certified[0]))
    return _rate(np.array(sure))


def _rate(values: Floats) -> dict[str, Any]:
    return dataclasses.asdict(statistics.rate(int(values.sum()), len(values)))


def _named(report: Report, name: str) -> Report:
    return lambda stage, done, of, numbers: report(f"{name}: {stage}", done, of, numbers)
