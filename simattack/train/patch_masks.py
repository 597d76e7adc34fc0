"""``simattack train --what patches``: a network that finds prints, from labelled frames.

Prints of many kinds are put into windows of frames, on signs, cars and people and beside them, in
sets and alone, as a camera would see them; every fourth batch they move against the network first,
so that it also learns what somebody would print who knows it. It is scored on places never seen,
and on frames with no print at all: who drives by wants to be left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.classifiers import patches
from simattack.detectors.weights import Card, save
from simattack.errors import ConfigError, SimattackError
from simattack.guarding import tensor_of
from simattack.resources import sha256
from simattack.results import digest
from simattack.train import run
from simattack.train.dataset import INDEX, Record, read_picture, read_records
from simattack.train.pasting import Pasted, paste
from simattack.train.split import split
from simattack.types import Image

if TYPE_CHECKING:
    from torch import Tensor, nn

    from simattack.session import Session

_KEPT_EVERY = 100
"""Steps between two checkpoints."""


@dataclass(frozen=True)
class Recipe:
    """How the network learns."""

    steps: int = 2000
    batch: int = 16
    window_px: int = 96
    lr0: float = 3e-3
    weight_decay: float = 1e-4
    positive: float = 2.0
    """Weight of a printed pixel beside that of any other."""
    bare: float = 0.35
    """Share of windows without a print."""
    moved_every: int = 4
    """Of as many batches, the prints of one first move against the network; 0: never."""
    moves: int = 2
    move: float = 0.08
    """Of each step, of full scale."""
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """What to gather and how to learn from it."""

    frames: int = 360
    seed: int = 0
    recipe: Recipe = field(default_factory=Recipe)


def train(
    open_session: Callable[[], Session],
    folder: Path,
    weights: Path,
    plan: Plan,
    say: run.Say,
    progress: run.Progress,
) -> Card:
    """All steps; returns the card of the written weights.

    Args:
        open_session: called only if frames are missing.
        folder: for everything in between; the same folder resumes.
        weights: the .safetensors file to write.
        plan: of the whole.
        say: told results, a line or several at a time.
        progress: told how far a step is.
    """
    gathering = run.Plan(frames=plan.frames, approaches=0, seed=plan.seed)
    held = run.collect(open_session, folder, gathering, say, progress)
    frames = folder / "frames"
    dealt = split(read_records(frames), held)
    if not dealt.train or not dealt.evaluation:
        raise ConfigError(
            f"expected frames to learn from and others held out, got {len(dealt.train)} and "
            f"{len(dealt.evaluation)}; gather more than {plan.frames} --frames"
        )
    say(f"{len(dealt.train)} frames to learn from, {len(dealt.evaluation)} held out")
    state = fit(
        frames, dealt.train, plan.recipe, folder / f"fit_{weights.stem}",
        partial(progress, "training"),
    )  # fmt: skip
    card = Card(
        architecture=patches.ARCHITECTURE,
        classes=patches.CLASSES,
        seed=plan.recipe.seed,
        data={
            "frames_sha256": sha256(frames / INDEX),
            "seed": plan.seed,
            "held_out_places": list(held),
            "training_frames": len(dealt.train),
            "evaluation_frames": len(dealt.evaluation),
        },
        recipe=asdict(plan.recipe) | {"optimizer": "AdamW", "schedule": "cosine"},
        latency_s=0.0,
    )
    save(weights, state, card)
    scores = score(patches.PatchMasks(str(weights)), frames, dealt.evaluation, plan.seed)
    say(", ".join(f"{name} {value:.3g}" for name, value in scores.items()))
    return save(weights, state, replace(card, metrics=scores))


def fit(
    folder: Path,
    records: Sequence[Record],
    recipe: Recipe,
    kept: Path,
    on_step: Callable[[int, int, Mapping[str, float]], None] = lambda done, of, numbers: None,
) -> dict[str, Tensor]:
    """The trained network's tensors; the same for the same seed on one machine and one thread.

    Args:
        folder: of the frames.
        records: of those to learn from.
        recipe: how.
        kept: folder for checkpoints; what is there of the same training goes on.
        on_step: told steps done, steps in all, and the loss.

    Raises:
        SimattackError: a checkpoint is damaged.
    """
    import torch

    threads, random = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(recipe.seed)
        network = patches.build().train()
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=recipe.lr0, weight_decay=recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps)
        whole = _Training(network, optimizer, schedule)
        token = digest([asdict(recipe), [record.id for record in records]])
        path = kept / "state.pt"
        pictures = [read_picture(folder, record) for record in records]
        for step in range(whole.restore(path, token), recipe.steps):
            loss = _step(whole, pictures, records, recipe, step)
            on_step(step + 1, recipe.steps, {"loss": loss})
            if (step + 1) % _KEPT_EVERY == 0:
                whole.keep(path, token, step + 1)
    finally:
        torch.set_num_threads(threads)
        torch.random.set_rng_state(random)
    state = network.state_dict().items()
    return {n: v.detach().clone() for n, v in state if v.is_floating_point()}


def score(
    masks: patches.PatchMasks, folder: Path, records: Sequence[Record], seed: int
) -> dict[str, float]:
    """On whole frames, each bare and with prints on one of its objects, at ``patches.SURE``.

    Returns:
        ``printed_recall`` and ``printed_iou`` over the pixels of all prints; ``bare_share``, the
        share of pixels of bare frames taken for printed, and ``bare_frames``, of frames with
        as many as ten of them.
    """
    hits, wanted, either = 0, 0, 0
    bare: list[int] = []
    pixels = 0
    for number, record in enumerate(records):
        image = read_picture(folder, record)
        rng = np.random.default_rng([seed, 8, number])
        bare.append(int((masks.shares(image) >= patches.SURE).sum()))
        pixels += image[..., 0].size
        pasted = paste(image, [item.box for item in record.objects], rng)
        printed, found = pasted.cover > 0.5, masks.shares(pasted.image) >= patches.SURE
        hits += int((printed & found).sum())
        wanted += int(printed.sum())
        either += int((printed | found).sum())
    return {
        "printed_recall": hits / max(wanted, 1),
        "printed_iou": hits / max(either, 1),
        "bare_share": sum(bare) / max(pixels, 1),
        "bare_frames": float(np.mean([count >= 10 for count in bare])),
    }


@dataclass(eq=False)
class _Training:
    network: nn.Module
    optimizer: Any
    schedule: Any

    def keep(self, path: Path, token: str, step: int) -> None:
        import torch

        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        parts = {name: value.state_dict() for name, value in vars(self).items()}
        torch.save({"token": token, "step": step, **parts}, part)
        part.replace(path)

    def restore(self, path: Path, token: str) -> int:
        """The step to go on from."""
        import torch

        if not path.is_file():
            return 0
        try:
            # No pickle that could run code: tensors, numbers and text only.
            state = torch.load(path, weights_only=True)
            if state["token"] != token:
                return 0
            for name, value in vars(self).items():
                value.load_state_dict(state[name])
            return int(state["step"])
        except Exception as error:  # a damaged file can fail in any way
            raise SimattackError(
                f"{path} is not the state of a training ({type(error).__name__}: {error}); "
                "remove it to train anew"
            ) from error


def _step(
    whole: _Training,
    pictures: Sequence[Image],
    records: Sequence[Record],
    recipe: Recipe,
    step: int,
) -> float:
    import torch

    rng = np.random.default_rng([recipe.seed, 7, step])
    drawn = [_window(pictures, records, recipe, rng) for _ in range(recipe.batch)]
    seen = tensor_of(np.stack([one.image for one in drawn]))
    cover = torch.from_numpy(np.stack([one.cover for one in drawn]))
    if recipe.moved_every and step % recipe.moved_every == recipe.moved_every - 1:
        seen = _moved(whole.network, seen, cover, recipe)
    whole.network.train()
    loss = _loss(patches.logits(whole.network, seen), cover, recipe.positive)
    whole.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch's own
    whole.optimizer.step()
    whole.schedule.step()
    return float(loss.detach())


def _loss(found: Tensor, cover: Tensor, positive: float) -> Tensor:
    """Cross entropy by pixel and, over the batch, one minus the overlap (Dice)."""
    from torch.nn.functional import binary_cross_entropy_with_logits as entropy

    weight = 1 + (positive - 1) * cover
    shares = found.sigmoid()
    dice = (2 * (shares * cover).sum() + 1) / (shares.sum() + cover.sum() + 1)
    return entropy(found, cover, weight) + 0.5 * (1 - dice)


def _moved(network: nn.Module, seen: Tensor, cover: Tensor, recipe: Recipe) -> Tensor:
    """The windows with what their prints show moved so that the network finds them less."""
    import torch

    network.eval()
    moved = seen.clone()
    for _ in range(recipe.moves):
        moved.requires_grad_(True)
        found = patches.logits(network, moved)
        (slope,) = torch.autograd.grad((found.sigmoid() * cover).sum(), moved)
        moved = (moved.detach() - recipe.move * slope.sign() * cover[:, None]).clamp(0, 1)
    return moved.detach()


def _window(
    pictures: Sequence[Image],
    records: Sequence[Record],
    recipe: Recipe,
    rng: np.random.Generator,
) -> Pasted:
    """A window of a frame with one of its objects in it, most often printed over."""
    number = int(rng.integers(len(pictures)))
    image, objects = pictures[number], records[number].objects
    side = recipe.window_px
    limits = np.array([image.shape[1] - side, image.shape[0] - side])
    corner = rng.integers(0, limits + 1)
    if objects and rng.random() < 0.8:
        signs = [item for item in objects if item.label == "stop sign"]
        among = signs if signs and rng.random() < 0.6 else objects
        x0, y0, x1, y1 = among[int(rng.integers(len(among)))].box
        middle = np.array([x0 + x1, y0 + y1]) / 2
        shift = rng.uniform(-0.35, 0.35, 2) * side
        corner = np.clip(np.rint(middle + shift - side / 2), 0, limits).astype(int)
    left, top = (int(value) for value in corner)
    window = np.ascontiguousarray(image[top : top + side, left : left + side])
    boxes = [
        (item.box[0] - left, item.box[1] - top, item.box[2] - left, item.box[3] - top)
        for item in objects
    ]
    if rng.random() < recipe.bare:
        return Pasted(window, np.zeros((side, side), np.float32))
    return paste(window, boxes, rng)
