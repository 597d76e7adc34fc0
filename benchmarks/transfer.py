"""Stickers made on one detector each, shown to all of them, beside grey and random ones.

``python benchmarks/transfer.py`` makes what is missing by ``simattack optimize``: one sticker on
each detector, one on all but the held-out ones together, and one by asking the first alone, without
gradients. Then ``simattack transfer`` shows all of them to all detectors, on views that none was
made on, and writes ``results/transfer/cells.jsonl``. An interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from acceptance.record import ROOT
from acceptance.work import Failed, call

from simattack import statistics
from simattack.terminal import columns

SHIPPED = (
    "town_yolo11n",
    "town_yolo11n_hardened",
    "town_yolo11n_distilled",
    "town_yolo11n_soiled",
    "town_yolov8n",
)
HELD_OUT = ("town_yolo11n_hardened", "town_yolov8n")
"""No sticker of several is made on them."""
VIEWS_SEED = 1000
QUERIES, CELLS, LOOK = 10_000, 15, 12
"""Of the sticker that is made by asking: as in ``black_box.py``."""


def main() -> int:
    """Make, show and print."""
    flags = arguments()
    together = [name for name in flags.detectors if stem(name) not in flags.held_out]
    first = flags.detectors[0]
    makings = {stem(name): ["--detector", name] for name in flags.detectors}
    makings["together"] = ["--detector", together[0], "--also", *together[1:]]
    makings["asked"] = ["--detector", first, "--method", "square", "--cells", str(CELLS),
                        "--query-views", str(LOOK)]  # fmt: skip
    try:
        stickers = []
        for name, told in makings.items():
            looks = QUERIES // LOOK if name == "asked" else flags.iterations
            stickers.append(made(flags, name, looks, flags.seed, told))
        # So many others stand elsewhere: standpoints are spread evenly over the distances.
        made(flags, "views", 1, VIEWS_SEED, ["--detector", first], 5 * flags.views // 6)
        twin = flags.work / "views.run" / "twin.npz"
        call("transfer", *map(str, stickers), "--twin", str(twin),
             "--detectors", *flags.detectors, "--out", str(flags.out / "cells.jsonl"))  # fmt: skip
    except Failed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for sticker in stickers:
        for path in (sticker, sticker.with_suffix(".json")):
            shutil.copy(path, flags.out)
    lines = (flags.out / "cells.jsonl").read_text().splitlines()
    sys.stdout.write(table([json.loads(line) for line in lines]))
    return 0


def made(
    flags: argparse.Namespace,
    name: str,
    iterations: int,
    seed: int,
    told: Sequence[str],
    views: int = 0,
) -> Path:
    """A sticker of the stop sign, and the twin beside it."""
    path: Path = flags.work / f"{name}.png"
    # What is made is not made again, and what was made in another way is refused.
    call(
        "optimize", "stop_sign", "--name", name, "--out", str(flags.work), *told,
        "--iterations", str(iterations), "--views", str(views or flags.views),
        "--gap-views", "0", "--seed", str(seed),
    )  # fmt: skip
    return path


def stem(name: str) -> str:
    """What weights are called, by name or by path."""
    return Path(name).stem


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Shares of the views in which the sign is seen, in percent with 95 % Wilson intervals."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    controls: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        views, seen = cell["views"], round(cell["recall"] * cell["views"])
        if cell["picture"] == "patch":
            rate = statistics.rate(seen, views)
            low, high = (100 * (bound or 0.0) for bound in (rate.low, rate.high))
            text = f"{cell['recall']:.0%} ({low:.0f}-{high:.0f}) {cell['knowledge']}"
            rows.setdefault((cell["patch"], ""), {})[cell["detector"]] = text
        else:
            controls.setdefault(cell["picture"], {}).setdefault(cell["detector"], []).append(
                cell["recall"]
            )
    for picture, by_detector in controls.items():
        rows[picture, "control"] = {
            name: f"{min(found):.0%}" + (f" to {max(found):.0%}" if len({*found}) > 1 else "")
            for name, found in by_detector.items()
        }
    names = list(dict.fromkeys(cell["detector"] for cell in cells))
    body = [[*key, *(row.get(name, "") for name in names)] for key, row in rows.items()]
    return columns(["sticker made on", "", *names], body)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--detectors", nargs="+", default=list(SHIPPED), help="names or paths")
    parser.add_argument("--held-out", nargs="*", default=list(HELD_OUT), help="names")
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--views", type=int, default=96, help="standpoints of a twin")
    parser.add_argument("--seed", type=int, default=0, help="of the making")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "transfer")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "transfer")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
