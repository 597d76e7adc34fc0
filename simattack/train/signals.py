"""``simattack train --what signals``: crops of several maps, a small network, its scores, a card.

Everything lies in one folder; gathering resumes by map and variant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simattack.classifiers.signals import ARCHITECTURE, CLASSES, LIGHTS, SIGNS, Signals, build
from simattack.detectors.weights import Card, save
from simattack.errors import ConfigError
from simattack.resources import locate, sha256
from simattack.train.signal_crops import VARIANTS, Crops, exchanged, gather
from simattack.train.split import EVALUATION_SHARE
from simattack.types import Floats

if TYPE_CHECKING:
    from torch import Tensor

    from simattack.session import Session

BANDS_M = ((5, 15), (15, 25), (25, 40), (40, 60))


@dataclass(frozen=True)
class Recipe:
    """How the network learns."""

    epochs: int = 5
    batch: int = 128
    lr0: float = 2e-3
    weight_decay: float = 1e-3
    gain: float = 0.35
    """Light and contrast are varied by so much, as a share."""
    tint: float = 0.06
    """Each colour channel by so much more."""
    noise: float = 0.03
    """Standard deviation of a pixel's noise, at most."""
    smoothing: float = 0.05
    """Of the labels."""
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """What to gather and how to learn from it."""

    maps: tuple[str, ...] = ("town",)
    frames: int = 520
    """Of each map, a fourth of them in each variant."""
    seed: int = 0
    recipe: Recipe = field(default_factory=Recipe)


Say = Callable[[str], None]
Progress = Callable[[str, int, int, Mapping[str, float]], None]


def collect(
    open_session: Callable[[str], Session], folder: Path, plan: Plan, progress: Progress
) -> tuple[Crops, dict[str, str]]:
    """All crops, those missing gathered now; and the SHA-256 of each map's file.

    Raises:
        ConfigError: the folder was gathered with another plan, or a map is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [locate(name, "scenarios/maps", ".xodr") for name in plan.maps]
    hashes = {path.stem: sha256(path) for path in paths}
    wanted = {"maps": hashes, "frames": plan.frames, "seed": plan.seed}
    marker = folder / "plan.json"
    if marker.exists() and json.loads(marker.read_text()) != wanted:
        raise ConfigError(
            f"{folder} was gathered with {marker.read_text()}, asked for {json.dumps(wanted)}; "
            "choose another folder"
        )
    marker.write_text(json.dumps(wanted))
    parts, share = [], -(-plan.frames // VARIANTS)
    for number, path in enumerate(paths):
        maps = []
        for variant in range(VARIANTS):
            kept = folder / f"{path.stem}_{variant}.npz"
            if not kept.exists():
                text = folder / f"{path.stem}_{variant}.xodr"
                text.write_text(exchanged(path.read_text(), variant))
                of = share * VARIANTS * len(paths)
                on_frame = _counting(progress, (number * VARIANTS + variant) * share, of)
                with open_session(str(text)) as session:
                    gather(session, share, (plan.seed, number, variant), on_frame).save(kept)
            maps.append(Crops.load(kept))
        parts.append(Crops.joined(maps, is_one_map=True))
    return Crops.joined(parts), hashes


def _counting(progress: Progress, before: int, of: int) -> Callable[[int], None]:
    def told(done: int) -> None:
        progress("gathering frames", before + done, of, {})

    return told


def held_out(places: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of the places kept for scoring: of each map its share."""
    kept = []
    for number in np.unique(places // 1000):
        own = np.unique(places[places // 1000 == number])
        kept.append(rng.permutation(own)[: max(1, round(EVALUATION_SHARE * len(own)))])
    return np.sort(np.concatenate(kept))


def train(
    open_session: Callable[[str], Session],
    folder: Path,
    weights: Path,
    plan: Plan,
    say: Say,
    progress: Progress,
) -> Card:
    """All steps; returns the card of the written weights.

    Args:
        open_session: of a map's path; called only if crops are missing.
        folder: for everything in between; the same folder resumes.
        weights: the .safetensors file to write.
        plan: of the whole.
        say: told results, a line or several at a time.
        progress: told how far a step is.
    """
    found, hashes = collect(open_session, folder, plan, progress)
    held = held_out(found.places, np.random.default_rng([plan.seed, 2]))
    is_held = np.isin(found.places, held)
    counts = _counts(found.labels[~is_held])
    say(
        f"{len(np.unique(found.places))} places, {len(held)} held out; "
        f"crops to learn from: {counts}"
    )
    missing = [name for name, count in counts.items() if count == 0]
    if missing:
        say(f"nothing to learn {', '.join(missing)} from on these maps")
    state = fit(
        found.pictures[~is_held], found.labels[~is_held], plan.recipe,
        lambda done, of, loss: progress("training", done, of, {"loss": loss}),
    )  # fmt: skip
    card = Card(
        architecture=ARCHITECTURE,
        classes=CLASSES,
        seed=plan.recipe.seed,
        data={
            "maps_sha256": hashes,
            "frames_a_map": plan.frames,
            "variants": VARIANTS,
            "seed": plan.seed,
            "places": len(np.unique(found.places)),
            "held_out_places": [int(number) for number in held],
            "crops": counts,
        },
        recipe=asdict(plan.recipe) | {"optimizer": "AdamW", "schedule": "cosine"},
        versions=_versions(),
        latency_s=0.0,
    )
    save(weights, state, card)
    scores = score(Signals(str(weights)), found, is_held & (found.copies == 0))
    say(table(scores))
    return save(weights, state, replace(card, metrics=scores))


def fit(
    pictures: NDArray[np.uint8],
    labels: NDArray[np.int64],
    recipe: Recipe,
    on_step: Callable[[int, int, float], None] = lambda done, of, loss: None,
) -> dict[str, Tensor]:
    """The trained network's tensors; the same for the same seed on one machine and one thread.

    Args:
        pictures: (N, 32, 32, 3).
        labels: (N,) into ``CLASSES``; rare ones are drawn as often as common ones.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        random = torch.random.get_rng_state()
        torch.manual_seed(recipe.seed)
        rng = np.random.default_rng([recipe.seed, 3])
        network = build().train()
        torch.random.set_rng_state(random)
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=recipe.lr0, weight_decay=recipe.weight_decay
        )
        steps = recipe.epochs * max(len(labels) // recipe.batch, 1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        counts = np.bincount(labels, minlength=len(CLASSES))
        # The square root lies between drawing by class and drawing by crop.
        weight = 1 / np.sqrt(np.maximum(counts, 1))[labels]
        weight /= weight.sum()
        for step in range(steps):
            chosen = rng.choice(len(labels), recipe.batch, p=weight)
            batch = torch.from_numpy(_varied(pictures[chosen], recipe, rng))
            target = torch.from_numpy(labels[chosen])
            loss = _loss(network(batch), target, recipe.smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            optimizer.step()
            schedule.step()
            on_step(step + 1, steps, float(loss.detach()))
    finally:
        torch.set_num_threads(threads)
    state: Mapping[str, Tensor] = network.state_dict()
    return {n: v.detach().contiguous() for n, v in state.items() if v.is_floating_point()}


def score(classifier: Signals, found: Crops, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """Right answers by class, distance, day and night, as [right, of]; false alarms of ``none``."""
    rows = np.flatnonzero(chosen)
    shares = np.concatenate(
        [
            classifier.read(found.pictures[part])
            for part in np.array_split(rows, len(rows) // 256 + 1)
        ]
    )
    labels = found.labels[rows]
    is_light = np.isin(labels, [CLASSES.index(name) for name in LIGHTS])
    best = np.array([_best(row, light) for row, light in zip(shares, is_light, strict=True)])
    is_right = best == labels
    scores: dict[str, Any] = {"crops": len(rows), "right": round(float(is_right.mean()), 4)}
    away, night = found.distances_m[rows], found.is_night[rows]
    for name in CLASSES:
        own = labels == CLASSES.index(name)
        parts = {"all": own, "day": own & ~night, "night": own & night}
        if name != "none":
            parts |= {f"{a}-{b} m": own & (away >= a) & (away < b) for a, b in BANDS_M}
        scores[name] = {
            part: [int(is_right[mask].sum()), int(mask.sum())] for part, mask in parts.items()
        }
    # How often a lit lamp is taken for another, the mistake that matters; dark is only careful.
    lit = np.isin(labels, [CLASSES.index(name) for name in ("red", "yellow", "green")])
    wrong = lit & (best != labels) & (best != CLASSES.index("off"))
    scores["lit_taken_for_another"] = [int(wrong.sum()), int(lit.sum())]
    return scores


def table(scores: Mapping[str, Any]) -> str:
    """The scores for people."""
    bands = ["all", "day", "night", *(f"{a}-{b} m" for a, b in BANDS_M)]
    lines = ["class     " + "".join(f"{band:>14}" for band in bands)]
    for name in CLASSES:
        cells = [
            f"{right}/{of} {right / of:4.0%}" if of else "-"
            for right, of in (scores[name].get(band, (0, 0)) for band in bands)
        ]
        lines.append(f"{name:<10}" + "".join(f"{cell:>14}" for cell in cells))
    wrong, lit = scores["lit_taken_for_another"]
    return "\n".join([*lines, f"lit lamps taken for another colour: {wrong} of {lit}"])


def _best(shares: Floats, is_light: bool) -> int:
    group = LIGHTS if is_light else SIGNS
    numbers = [CLASSES.index(name) for name in group]
    return numbers[int(np.argmax(shares[numbers]))]


def _loss(logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Mean cross entropy; lights compete with lights only, signs with signs."""
    import torch
    from torch.nn.functional import cross_entropy

    terms, start = [], 0
    for names in (LIGHTS, SIGNS):
        own = (target >= start) & (target < start + len(names))
        if own.any():
            part = logits[own, start : start + len(names)]
            terms.append(
                cross_entropy(part, target[own] - start, reduction="sum", label_smoothing=smoothing)
            )
        start += len(names)
    return torch.stack(terms).sum() / len(target)


def _varied(
    pictures: NDArray[np.uint8], recipe: Recipe, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(B, 3, 32, 32) in 0..1 under other light, with some noise."""
    n = len(pictures)
    x = pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255
    gain = 1 + rng.uniform(-recipe.gain, recipe.gain, (n, 1, 1, 1))
    gain = gain * (1 + rng.uniform(-recipe.tint, recipe.tint, (n, 3, 1, 1)))
    haze = rng.uniform(0, recipe.gain, (n, 1, 1, 1)) * (rng.random((n, 1, 1, 1)) < 0.3)
    x = x * gain * (1 - haze) + 0.6 * haze
    x = x + rng.normal(0, 1, x.shape) * rng.uniform(0, recipe.noise, (n, 1, 1, 1))
    return np.asarray(x.clip(0, 1), np.float32)


def _counts(labels: NDArray[np.int64]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(CLASSES))
    return {name: int(count) for name, count in zip(CLASSES, counts, strict=True)}


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "torchvision", "numpy")}
