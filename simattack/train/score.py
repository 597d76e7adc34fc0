"""How well a detector sees: average precision, recall by distance, and stability on approach.

AP50 is COCO's: the mean of the interpolated precision at 101 recalls 0.00 to 1.00, detections of
all images in one ranking, each object matched at most once at IoU >= 0.5, by the best score first.
Objects outside the rule below are ignored: neither missing nor finding them counts.

Source: Lin et al., Microsoft COCO, 2014, and its published evaluation code's definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from simattack.geometry import box_iou
from simattack.train.dataset import Example, Labelled, Record, read_picture, visible_share
from simattack.types import CLASS_NAMES, Detections, Floats, Image

MIN_HEIGHT_PX = 10.0
MIN_VISIBLE = 0.4
MAX_DISTANCE_M = 60.0
IOU = 0.5
STABLE_FRAMES = 3
AP_CONFIDENCE = 0.01
"""Detections down to this score enter the ranking for average precision."""


class Sees(Protocol):
    """What of a ``types.Detector`` scoring needs."""

    def detect(self, images: Image) -> list[Detections]: ...


@dataclass(frozen=True, eq=False)
class Scores:
    """Of one detector on one evaluation set."""

    ap50: dict[str, float]
    """Class -> average precision; NaN where the set has none."""
    counts: dict[str, int]
    """Objects that count, by class."""
    places: int
    frames: int
    recall: dict[str, float]
    """Class -> recall at the working threshold."""
    precision: dict[str, float]
    false_alarms: dict[str, int]
    """Class -> detections at the working threshold that are none of its objects."""
    sign_recall: dict[str, tuple[int, int]]
    """Distance bucket of stop signs, such as ``10-15`` -> (found, of)."""
    sign_recall_8_30: float


def evaluation_example(record: Record, fill: dict[str, float]) -> Example:
    """What counts in one frame: objects >= 10 px high, >= 40 % visible, within 60 m."""
    counted: list[Labelled] = []
    ignored: list[Labelled] = []
    for item in record.objects:
        counts = (
            not item.is_doubtful
            and item.height_px >= MIN_HEIGHT_PX
            and item.distance_m <= MAX_DISTANCE_M
            and visible_share(item, fill) >= MIN_VISIBLE
        )
        (counted if counts else ignored).append(item)
    return Example(record, tuple(counted), tuple(ignored))


def score(
    detector: Sees,
    folder: Path,
    examples: Sequence[Example],
    confidence: float,
    on_frame: Callable[[int, int], None] = lambda done, of: None,
) -> Scores:
    """Score a detector that reports down to ``AP_CONFIDENCE``; ``confidence`` is its working one.

    Args:
        detector: asked one frame at a time, at camera scale.
        folder: of the data set.
        examples: of ``evaluation_example``.
        confidence: for recall and precision.
        on_frame: told frames done and frames in all.
    """
    seen = []
    for number, example in enumerate(examples):
        seen.append(detector.detect(read_picture(folder, example.record)[None])[0])
        on_frame(number + 1, len(examples))
    return summarise(examples, seen, confidence)


def summarise(examples: Sequence[Example], seen: Sequence[Detections], confidence: float) -> Scores:
    """The scores of detections already made, one set an example."""
    ap50, recall, precision, false_alarms = {}, {}, {}, {}
    counts = {
        name: sum(item.label == name for e in examples for item in e.objects)
        for name in CLASS_NAMES
    }
    for name in CLASS_NAMES:
        ranked = [
            _ranked(example, found, name) for example, found in zip(examples, seen, strict=True)
        ]
        ranking = np.concatenate([r for r in ranked]).reshape(-1, 2)
        ap50[name] = average_precision(ranking[:, 0], ranking[:, 1] > 0, counts[name])
        working = ranking[ranking[:, 0] > confidence]
        found_count = float((working[:, 1] > 0).sum())
        recall[name] = found_count / counts[name] if counts[name] else float("nan")
        precision[name] = found_count / len(working) if len(working) else float("nan")
        false_alarms[name] = len(working) - int(found_count)
    buckets, near = _sign_recall(examples, seen, confidence)
    return Scores(
        ap50=ap50,
        counts=counts,
        places=len({example.record.place for example in examples}),
        frames=len(examples),
        recall=recall,
        precision=precision,
        false_alarms=false_alarms,
        sign_recall=buckets,
        sign_recall_8_30=near,
    )


def average_precision(
    scores: Floats, is_hit: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], objects: int
) -> float:
    """COCO's 101-point average precision; NaN without objects."""
    if not objects:
        return float("nan")
    if not len(scores):
        return 0.0
    hits = is_hit[np.argsort(-scores, kind="stable")]
    found = np.cumsum(hits)
    recall, precision = found / objects, found / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    index = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.where(index < len(envelope), np.append(envelope, 0.0)[index], 0.0).mean())


def match(
    objects: Sequence[Labelled], ignored: Sequence[Labelled], found: Detections, label: str
) -> tuple[Floats, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Detections of one class in one image against its objects.

    A detection that matches no free object but lies mostly in an ignored one of its class, or
    matches it, is left out.

    Returns:
        rows (n, 2) of (score, 1 hit or 0 false), and for every object of the class whether found.
    """
    own = [item for item in objects if item.label == label]
    other = [item for item in ignored if item.label == label]
    taken = np.zeros(len(own), bool)
    rows = []
    order = np.argsort(-found.scores, kind="stable")
    for index in (i for i in order if found.labels[i] == label):
        box = found.boxes[index][None]
        overlap = box_iou(box, _boxes(own))[0] * ~taken
        if len(own) and overlap.max() >= IOU:
            taken[overlap.argmax()] = True
            rows.append((found.scores[index], 1.0))
        elif not (len(other) and _excused(box, _boxes(other))):
            rows.append((found.scores[index], 0.0))
    return np.array(rows, float).reshape(-1, 2), taken


def stable_from(distances_m: Sequence[float], is_seen: Sequence[bool]) -> float | None:
    """Distance [m] at the frame that first completes three seen frames running, None if never.

    Both in order of time; the distance is that of the third frame.
    """
    run = 0
    for distance, seen in zip(distances_m, is_seen, strict=True):
        run = run + 1 if seen else 0
        if run == STABLE_FRAMES:
            return float(distance)
    return None


def table(scores: Scores) -> str:
    """The scores as text."""
    lines = [
        f"{scores.frames} frames in {scores.places} unseen places",
        f"{'class':14s} {'objects':>7s} {'AP50':>6s} {'recall':>6s} {'prec.':>6s}",
    ]
    for name in CLASS_NAMES:
        lines.append(
            f"{name:14s} {scores.counts[name]:7d} {scores.ap50[name]:6.3f} "
            f"{scores.recall[name]:6.3f} {scores.precision[name]:6.3f}"
        )
    lines.append("stop-sign recall by distance [m]")
    for bucket, (found, of) in scores.sign_recall.items():
        lines.append(f"  {bucket:>6s} {found:4d} of {of:4d}  {found / of if of else 0:.3f}")
    lines.append(f"  8 to 30: {scores.sign_recall_8_30:.3f}")
    return "\n".join(lines)


def _ranked(example: Example, found: Detections, label: str) -> Floats:
    return match(example.objects, example.ignored, found, label)[0]


def _sign_recall(
    examples: Sequence[Example], seen: Sequence[Detections], confidence: float
) -> tuple[dict[str, tuple[int, int]], float]:
    distances: list[float] = []
    hits: list[bool] = []
    for example, found in zip(examples, seen, strict=True):
        working = found.select(found.scores > confidence)
        taken = match(example.objects, example.ignored, working, "stop sign")[1]
        distances += [item.distance_m for item in example.objects if item.label == "stop sign"]
        hits += [bool(hit) for hit in taken]
    far, hit = np.array(distances), np.array(hits, bool)
    buckets = {
        f"{low}-{low + 5}": (int(hit[inside].sum()), int(inside.sum()))
        for low in range(0, 60, 5)
        if (inside := (far >= low) & (far < low + 5)).any()
    }
    inside = (far >= 8) & (far <= 30)
    return buckets, float(hit[inside].mean()) if inside.any() else float("nan")


def _boxes(items: Iterable[Labelled]) -> Floats:
    return np.array([item.box for item in items], float).reshape(-1, 4)


def _excused(box: Floats, others: Floats) -> bool:
    """Whether a box (1, 4) matches one of the others, or has half its area in one."""
    low = np.maximum(box[:, :2], others[:, :2])
    high = np.minimum(box[:, 2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    own = float(np.prod(box[:, 2:] - box[:, :2]))
    return bool(box_iou(box, others).max() >= IOU or shared.max() >= IOU * max(own, 1e-9))


def as_card(scores: Scores) -> Mapping[str, object]:
    """The scores as plain numbers for a card."""
    return {
        "ap50": {name: _plain(value) for name, value in scores.ap50.items()},
        "objects": scores.counts,
        "places": scores.places,
        "frames": scores.frames,
        "recall": {name: _plain(value) for name, value in scores.recall.items()},
        "precision": {name: _plain(value) for name, value in scores.precision.items()},
        "stop_sign_recall_by_distance_m": {k: list(v) for k, v in scores.sign_recall.items()},
        "stop_sign_recall_8_to_30_m": _plain(scores.sign_recall_8_30),
    }


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
