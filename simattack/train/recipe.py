"""The recipe: native-scale crops, then ultralytics' trainer from a yaml, nothing downloaded.

Frames are never shrunk for training: a far sign is a dozen pixels wide. So the network learns from
320 x 320 windows cut out of them at camera scale, around objects, and a few wider ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pictures

from simattack.detectors.weights import prepare_ultralytics
from simattack.errors import ConfigError
from simattack.train.checkpoints import Checkpoints
from simattack.train.dataset import Example, Labelled, Record, read_picture, visible_share
from simattack.train.lesson import Lesson, Teaching
from simattack.train.soiling import Soiler
from simattack.types import CLASS_NAMES, Floats, Image

if TYPE_CHECKING:
    from torch import Tensor

LEARN_VISIBLE = 0.25
LEARN_HEIGHT_PX = 6.0
LEARN_PIXELS = 1500
"""An object with so many visible pixels is learnt however much of it is hidden or cut off."""
KEPT_SHARE = 0.35
"""A label stays in a window that shows at least so much of its box."""
_CLASS_WEIGHTS = {"stop sign": 4.0, "person": 2.5, "traffic light": 3.0, "car": 1.0}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights besides the data."""

    architecture: str = "yolo11n.yaml"
    epochs: int = 10
    crops_a_frame: int = 2
    crop_px: int = 320
    wide_share: float = 0.12
    """Of windows that are half as large again and shrunk, for objects larger than a window."""
    batch: int = 8
    lr0: float = 0.002
    threads: int = 2
    scale: float = 0.25
    translate: float = 0.1
    hsv: tuple[float, float, float] = (0.015, 0.5, 0.4)
    mosaic: float = 0.0
    seed: int = 0
    lesson: Lesson | None = None
    """What is learnt beside the labels; None: they alone, from random weights."""


def training_example(record: Record, fill: dict[str, float]) -> Example:
    """What of a frame is learnt: whatever can be made out at all."""
    learnt = [
        item
        for item in record.objects
        if not item.is_doubtful
        and (
            item.pixels >= LEARN_PIXELS
            or (item.height_px >= LEARN_HEIGHT_PX and visible_share(item, fill) >= LEARN_VISIBLE)
        )
    ]
    return Example(record, tuple(learnt))


def write_crops(
    source: Path,
    folder: Path,
    examples: Sequence[Example],
    recipe: Recipe,
    on_frame: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, int]:
    """Cut the training windows into a data set for ultralytics (``folder/data.yaml``).

    What was cut before of the same frames by the same recipe stays.

    Returns:
        Objects by class over all windows.
    """
    n_soiled = 0 if recipe.lesson is None else recipe.lesson.soiled
    how = (recipe.crops_a_frame, recipe.crop_px, recipe.wide_share, recipe.seed, n_soiled)
    token = hashlib.sha256(repr((how, list(examples))).encode()).hexdigest()
    marker = folder / "counts.json"
    if marker.exists():
        known = json.loads(marker.read_text())
        if known["token"] == token and known["folder"] == str(folder.resolve()):
            return dict(known["counts"])
    shutil.rmtree(folder, ignore_errors=True)
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True)
    rng = np.random.default_rng([recipe.seed, 1])
    soil = Soiler(recipe.seed)
    counts = dict.fromkeys(CLASS_NAMES, 0)
    for done, example in enumerate(examples):
        clean = (read_picture(source, example.record), list(example.objects))
        views = [clean] * recipe.crops_a_frame
        if n_soiled:
            views += [soil(*clean, example.record.scene)] * n_soiled
        for number, (image, objects) in enumerate(views):
            picture, labels, boxes = crop(image, objects, number, recipe, rng)
            name = f"{example.record.id}_{number}"
            Pictures.fromarray(picture).save(
                folder / "images" / "train" / f"{name}.png", compress_level=1
            )
            size = recipe.crop_px
            lines = [
                f"{CLASS_NAMES.index(label)} {(x0 + x1) / 2 / size:.6f} {(y0 + y1) / 2 / size:.6f} "
                f"{(x1 - x0) / size:.6f} {(y1 - y0) / size:.6f}\n"
                for label, (x0, y0, x1, y1) in zip(labels, boxes, strict=True)
            ]
            (folder / "labels" / "train" / f"{name}.txt").write_text("".join(lines))
            for label in labels:
                counts[label] += 1
        on_frame(done + 1, len(examples))
    names = {index: name for index, name in enumerate(CLASS_NAMES)}
    # JSON is YAML. ultralytics wants a validation set even where none is used: one picture.
    first = sorted((folder / "images" / "train").iterdir())[0]
    (folder / "val.txt").write_text(f"./images/train/{first.name}\n")
    (folder / "data.yaml").write_text(
        json.dumps(
            {
                "path": str(folder.resolve()),
                "train": "images/train",
                "val": "val.txt",
                "names": names,
            }
        )
    )
    told = {"token": token, "folder": str(folder.resolve()), "counts": counts}
    marker.write_text(json.dumps(told))  # last, so that half a set is cut anew
    return counts


def crop(
    image: Image,
    objects: Sequence[Labelled],
    number: int,
    recipe: Recipe,
    rng: np.random.Generator,
) -> tuple[Image, list[str], Floats]:
    """One window: picture (S, S, 3), labels, boxes (N, 4) in the window [px].

    The first window of a frame with a stop sign always shows one.
    """
    height, width = image.shape[:2]
    is_wide = rng.random() < recipe.wide_share
    side = min(int(recipe.crop_px * (1.5 if is_wide else 1.0)), height, width)
    signs = [item for item in objects if item.label == "stop sign"]
    pool = signs if signs and number == 0 else list(objects)
    if pool and rng.random() < 0.9:
        weights = np.array([_CLASS_WEIGHTS.get(item.label, 2.0) for item in pool])
        x0, y0, x1, y1 = pool[rng.choice(len(pool), p=weights / weights.sum())].box
        middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + rng.uniform(-0.36, 0.36, 2) * side
    else:
        middle = rng.uniform((0, 0), (width, height))
    left = int(np.clip(middle[0] - side / 2, 0, width - side))
    top = int(np.clip(middle[1] - side / 2, 0, height - side))
    window = image[top : top + side, left : left + side]
    shrink = recipe.crop_px / side
    if side != recipe.crop_px:
        resized = Pictures.fromarray(window).resize(
            (recipe.crop_px, recipe.crop_px), Pictures.Resampling.BOX
        )
        window = np.asarray(resized)
    labels, boxes = [], []
    for item in objects:
        box = np.array(item.box)
        inside = np.clip(box - [left, top, left, top], 0, side)
        share = np.prod(inside[2:] - inside[:2]) / np.prod(box[2:] - box[:2])
        inside = inside * shrink
        if share >= KEPT_SHARE and (inside[2:] - inside[:2]).min() >= 3:
            labels.append(item.label)
            boxes.append(inside)
    return window, labels, np.array(boxes, float).reshape(-1, 4)


def fit(
    data: Path,
    folder: Path,
    recipe: Recipe,
    on_batch: Callable[[int, int, Mapping[str, float]], None] = lambda done, of, numbers: None,
    begin: Callable[[], Teaching] | None = None,
) -> dict[str, Tensor]:
    """Train, or go on with a training that broke off in ``folder``; returns the averaged weights.

    With one thread on one machine, a training that broke off ends with the same weights as one
    that did not.

    Args:
        data: of ``write_crops``.
        folder: for checkpoints; one training only.
        recipe: must be the one the training began with.
        on_batch: told batches done, batches in all, and mean numbers of the epoch so far.
        begin: of the recipe's lesson; called if there is anything left to train.

    Raises:
        ConfigError: another recipe's training lies there.
    """
    from safetensors.torch import load_file, save_file

    finished, noted = folder / "averaged.safetensors", folder / "recipe.json"
    text = json.dumps(plain(recipe))
    if noted.exists() and noted.read_text() != text:
        raise ConfigError(
            f"{folder} holds a training by another recipe: {noted.read_text()}; "
            f"asked for {text}; choose another folder"
        )
    if finished.exists():
        return dict(load_file(str(finished)))
    folder.mkdir(parents=True, exist_ok=True)
    noted.write_text(text)
    prepare_ultralytics()
    import torch
    import ultralytics.engine.trainer as engine
    from ultralytics.models.yolo import detect

    threads = torch.get_num_threads()
    teaching = None if begin is None else begin()
    kept = Checkpoints(folder / "run", recipe.seed, teaching)
    last = folder / "run" / "weights" / "last.pt"
    options: dict[str, Any] = {
        "model": recipe.architecture, "data": str(data / "data.yaml"), "epochs": recipe.epochs,
        "imgsz": recipe.crop_px, "batch": recipe.batch, "nbs": recipe.batch, "optimizer": "AdamW",
        "lr0": recipe.lr0, "momentum": 0.9, "cos_lr": True, "warmup_epochs": 1.0,
        "warmup_bias_lr": 0.0, "mosaic": recipe.mosaic, "close_mosaic": 0, "scale": recipe.scale,
        "translate": recipe.translate, "fliplr": 0.0, "hsv_h": recipe.hsv[0],
        "hsv_s": recipe.hsv[1], "hsv_v": recipe.hsv[2], "cache": "ram", "amp": False, "val": False,
        "plots": False, "pretrained": False, "seed": recipe.seed, "deterministic": False,
        "device": "0" if torch.cuda.is_available() else "cpu", "workers": 0, "verbose": False,
        "project": str(folder.resolve()), "name": "run", "exist_ok": True,
    }  # fmt: skip
    if last.is_file():
        options["resume"] = str(last)
    trainer: Any = detect.DetectionTrainer(overrides=options)
    if teaching is not None:
        make = trainer.get_model

        def started(*args: Any, **options: Any) -> Any:
            network = make(*args, **options)
            network.load_state_dict(teaching.weights)
            return network

        trainer.get_model = started
        model_train = trainer._model_train

        def ready() -> None:
            model_train()
            teaching.ready(trainer.model)

        trainer._model_train = ready

    def at_start(running: Any) -> None:
        torch.set_num_threads(recipe.threads)  # ultralytics just set one
        if not torch.cuda.is_available():
            running.model.to(memory_format=torch.channels_last)
        kept.restore(running)
        if teaching is not None:
            network, labels = running.model, running.model.loss
            network.loss = lambda batch, preds=None: teaching.loss(network, batch, labels)

    def after_batch(running: Any) -> None:
        at_start_of_epoch = running.epoch * len(running.train_loader)
        done[0] = at_start_of_epoch + counter[0] + 1
        counter[0] += 1
        told = {name: float(value) for name, value in running.tloss.items()}
        losses = [told.pop(name) for name in list(told) if name.endswith("_loss")]
        on_batch(done[0], running.epochs * len(running.train_loader), {"loss": sum(losses), **told})

    def new_epoch(running: Any) -> None:
        counter[0] = 0
        kept.reseed(running)

    done, counter = [0], [0]
    trainer.add_callback("on_train_start", at_start)
    trainer.add_callback("on_train_epoch_start", new_epoch)
    trainer.add_callback("on_train_batch_end", after_batch)
    trainer.add_callback("on_train_epoch_end", kept.write)
    trainer.add_callback("on_model_save", kept.tidy)
    # Scored by ``train.score`` at camera scale afterwards, and never on what it learnt from.
    trainer.validate = lambda: ({}, 0.0)
    trainer.final_eval = lambda: None
    try:
        with _fast_cpu(engine), _no_bars():
            trainer.train()
    finally:
        torch.set_num_threads(threads)
    averaged = {n: v.detach().cpu().contiguous() for n, v in trainer.ema.ema.state_dict().items()}
    if teaching is not None:
        averaged = teaching.finished(averaged)
    save_file(averaged, str(finished))
    return averaged


def as_card(recipe: Recipe) -> dict[str, Any]:
    """The recipe with all that is the same for every one, as plain values."""
    lesson = recipe.lesson
    return plain(recipe) | {
        "optimizer": "AdamW", "momentum": 0.9, "schedule": "cosine", "warmup_epochs": 1.0,
        "fliplr": 0.0, "averaged": "EMA",
        "from": "random weights" if lesson is None else lesson.start,
    }  # fmt: skip


def plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, its lesson by name; without one, as before there were any."""
    told = asdict(recipe)
    lesson = told.pop("lesson")
    if lesson is None:
        return told
    return told | {"lesson": {"kind": type(recipe.lesson).__name__.lower(), **lesson}}


@contextlib.contextmanager
def _fast_cpu(engine: Any) -> Iterator[None]:
    """bfloat16 forward passes while training on CPUs that have the instructions.

    ultralytics refuses them on every CPU; where they exist they halve the time. Weights, gradients
    and the optimiser stay float32.
    """
    import torch

    has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    if torch.cuda.is_available() or not has_bf16:
        yield
        return
    before = engine.autocast
    engine.autocast = lambda *a, **k: torch.autocast("cpu", dtype=torch.bfloat16)
    try:
        yield
    finally:
        engine.autocast = before


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    """Without ultralytics' bar over pictures it caches, which heeds no switch of its own."""
    import ultralytics.data.base

    caching: Any = ultralytics.data.base
    before = caching.TQDM
    caching.TQDM = lambda *a, **k: before(*a, **{**k, "disable": True})
    try:
        yield
    finally:
        caching.TQDM = before
