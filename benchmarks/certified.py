"""How many objects `masking` certifies, by class, by the size of the patch, and by its lines.

``python benchmarks/certified.py --frames DIR`` takes labelled frames, as `simattack compare` and
`simattack train` leave them in DIR, and writes ``results/certified/recall.csv``: of every class and
for patches of some shares of each object's own box, the share of its objects that no such patch
can hide, wherever it is and whatever it shows, beside the share that is seen with nothing masked.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from acceptance.record import ROOT, git

from simattack import statistics
from simattack.defenses.masking import Masking
from simattack.errors import ConfigError, SimattackError
from simattack.geometry import box_iou
from simattack.registry import build
from simattack.train.dataset import read_picture, read_records, visibility
from simattack.train.score import evaluation_example

SHARES = (0.1, 0.25, 0.5, 1.0)
"""Sides of the patch, of the object's own."""
IOU = 0.5
PATH = ROOT / "results" / "certified" / "recall.csv"
HEAD = (
    "lines", "looks", "label", "patch_share", "objects", "certified", "certified_low",
    "certified_high", "clean_recall", "commit",
)  # fmt: skip


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--frames", type=Path, required=True, help="a folder of labelled frames")
    parser.add_argument("--lines", type=int, nargs="+", default=[5, 15])
    parser.add_argument("--weights", default="town_yolo11n")
    flags = parser.parse_args()
    try:
        rows = [row for lines in flags.lines for row in measure(flags.frames, lines, flags.weights)]
    except SimattackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    PATH.parent.mkdir(parents=True, exist_ok=True)
    with PATH.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEAD)
        writer.writerows(rows)
    sys.stdout.write(PATH.read_text(encoding="utf-8"))
    return 0


def measure(folder: Path, lines: int, weights: str) -> list[list[object]]:
    """Rows under ``HEAD``, of one number of lines.

    Raises:
        ConfigError: the folder has no frames.
    """
    masking = Masking(lines=lines)
    detector = build("detectors", "yolo", {"weights": weights}, "--weights")
    records = read_records(folder)
    if not records:
        raise ConfigError(f"--frames: expected labelled frames of `simattack train`, got {folder}")
    fill = visibility(records)
    sure: dict[tuple[str, float], list[bool]] = defaultdict(list)
    seen_bare: dict[str, list[bool]] = defaultdict(list)
    for number, record in enumerate(records, 1):
        sys.stderr.write(f"\r{lines} lines: frame {number} of {len(records)}")
        objects = evaluation_example(record, fill).objects
        if not objects:
            continue
        image = read_picture(folder, record)
        whole = detector.detect(image[None])[0]
        whole = whole.select(whole.scores >= masking.score)
        looks = masking.looks(detector, image)
        for item in objects:
            box = np.array([item.box])
            own = whole.select(np.array([label == item.label for label in whole.labels], bool))
            found = bool(len(own)) and float(box_iou(own.boxes, box).max()) >= IOU
            seen_bare[item.label].append(found)
            wide, tall = box[0, 2:] - box[0, :2]
            for share in SHARES:
                patch = (max(1, round(share * tall)), max(1, round(share * wide)))
                proven = masking.certificate(looks, image.shape[:2], box, [item.label], patch)
                sure[item.label, share].append(bool(proven[0]))
    sys.stderr.write("\n")
    told: list[list[object]] = []
    for label, share in sorted(sure):
        held, bare = sure[label, share], seen_bare[label]
        rate = statistics.rate(sum(held), len(held))
        interval = [round(v, 4) for v in (rate.value, rate.low, rate.high) if v is not None]
        told.append(
            [
                lines,
                4 * lines,
                label,
                share,
                len(held),
                *interval,
                round(sum(bare) / len(bare), 4),
                git("rev-parse", "--short", "HEAD"),
            ]
        )
    return told


if __name__ == "__main__":
    raise SystemExit(main())
