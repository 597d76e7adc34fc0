"""One cell of defenses x attacks without driving: on views that nothing learnt from.

A target that is not found counts as hidden, whoever hid it: attack, weather or the defense itself.
The bare target's recall behind the same defense stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simattack.compare import exhibits, sanity
from simattack.compare.bench import Bench, Made, hides, rate
from simattack.compare.looking import Defended
from simattack.optimize.runs import Report
from simattack.types import Defense, Image

Row = dict[str, Any]


def cell(
    bench: Bench,
    name: str,
    defense: Defense | None,
    patches: int,
    report: Report | None = None,
) -> Row:
    """All that is measured of one defense against one attack, as plain values.

    Args:
        bench: of the attack.
        name: of the defense, in file names.
        defense: None is the car without one.
        patches: how often the attack is made anew, independently; 0: nobody makes it.
        report: is told how far it is.
    """
    bare = bench.bare()
    row = empty(
        views=len(bare),
        clean_hidden=rate(hides(bench, defense, bare)),
        oblivious=rate(hides(bench, defense, bench.oblivious())),
        masks_gradients=bool(getattr(defense, "masks_gradients", False)),
        certified=_certified(bench, defense, bare),
    )
    if defense is not None and not patches:
        row["adaptive_missing"] = "nobody made it: the comparison has no 'adaptive'"
    elif why := bench.why_not(defense):
        row["adaptive_missing"] = why
    else:
        row |= _adaptive(bench, name, defense, max(patches, 1), bare, report)
        hidden = {name: check["value"] for name, check in row["checks"].items()}
        made = ("oblivious", "adaptive", "through")
        hidden |= {name: row[name]["value"] for name in made if row[name] is not None}
        row["flags"] = sanity.flags(hidden)
    return row


def empty(**known: Any) -> Row:
    """A cell of which nothing but that is known."""
    return {
        "views": 0,
        "clean_hidden": None,
        "oblivious": None,
        "adaptive": None,
        "through": None,
        "adaptive_each": [],
        "adaptive_missing": "",
        "adaptive_by": "",
        "masks_gradients": False,
        "made": [],
        "checks": {},
        "flags": [],
        "certified": None,
        **known,
    }


def exhibit(bench: Bench, folder: Path, defense: Defense, made: Mapping[str, Image]) -> None:
    """Keep what a defense made of a few judged views, bare and under each attack.

    Args:
        bench: of the attack.
        folder: of this defense's exhibits alone.
        defense: whose.
        made: name of each attack -> the judged views under it.
    """
    shown = exhibits.chosen(bench.distances_m)
    behind = Defended(bench.detector, defense)
    targets = bench.targets()
    looks = [
        (name, bench.distances_m[i], targets[i], behind.look(images[i]))
        for i in shown
        for name, images in {"bare": bench.bare(), **made}.items()
    ]
    exhibits.keep(folder, looks, bench.detector, defense)


def _adaptive(
    bench: Bench, name: str, defense: Any, patches: int, bare: Image, report: Report | None
) -> Row:
    attempts, how = bench.attempts(name, defense, report)
    made: list[Made] = [attempts["adaptive"]]
    made += [bench.again(name, defense, number, report) for number in range(2, patches + 1)]
    each = [rate(hides(bench, defense, bench.under(one))) for one in made]
    checks = {
        check: rate(hides(bench, defense, bench.under(one)))
        for check, one in attempts.items()
        if check not in ("adaptive", "through")
    }
    # Of the targets that the defended detector finds bare: others need no attack.
    is_there = [int(i) for i in np.flatnonzero(hides(bench, defense, bare) == 0)]
    free = bench.unbounded(defense, is_there)
    if free is not None:
        checks["unbounded"] = rate(free)
    return {
        "adaptive": max(each, key=lambda share: float(share["value"])),
        "through": rate(hides(bench, defense, bench.under(attempts["through"])))
        if "through" in attempts
        else None,
        "adaptive_each": [share["value"] for share in each],
        "adaptive_by": how,
        "made": [dict(one) for one in made],
        "checks": checks,
    }


def _certified(bench: Bench, defense: Any, bare: Image) -> Row | None:
    """Share of bare targets that no attack of the certificate's kind can hide; None: none known."""
    if not hasattr(defense, "is_certified"):
        return None
    sure = []
    for i, (image, target) in enumerate(zip(bare, bench.targets(), strict=True)):
        found = defense.is_certified(bench.detector, image, target, bench.patch_px(i))
        if found is None:
            return None
        sure.append(float(found))
    return {**rate(np.array(sure)), "against": defense.certifies_against}
