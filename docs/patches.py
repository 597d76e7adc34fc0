"""Writes docs/patches.md: every shipped patch with what its card tells and what came of it.

``python docs/patches.py``. Scores are those of the card; drives are counted from the rows that
``simattack run patches --out results/patches`` left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simattack import config, wording
from simattack.patchfile import Patch, load_patch
from simattack.results import Folder

HERE = Path(__file__).resolve().parent
PATCHES = HERE.parent / "patches"
RESULTS = HERE.parent / "results" / "patches"
PAGE = HERE / "patches.md"
HIGH_PX = 110
HEAD = """# The shipped patches

What a scenario calls `patch: NAME`; `python docs/patches.py` writes this page from the cards in
`patches/`. A *score* is how much of the goal is missing: for `hide` and `misclassify` the best
score that the detector gives the thing, for `appear` one minus that of the class that is to be
seen. 0 is a full success of the attack. *Twin* is the highest score in views of the twin that were
held out, *simulator* the mean score of photographs in weathers and views that no optimisation saw,
beside that of plain grey in the same place; *gap* the median PSNR between twin and photograph; *on
the road* in how many drives came about what the scenario calls unsafe (`simattack run patches`).
How they are made: [attacks](attacks.md#making-a-print).
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page([load_patch(path) for path in sorted(PATCHES.glob("*.png"))]))


def page(patches: Sequence[Patch]) -> str:
    """The text of docs/patches.md."""
    rows = [
        "| patch | made for | size [m] | twin | simulator, patch / grey | gap "
        "| on the road, bare / grey / patch |",
        "|---|---|---|---|---|---|---|",
        *(_row(patch) for patch in patches),
    ]
    made = [f"- `{patch.name}`: `{patch.card.command}`" for patch in patches if patch.card.command]
    return "\n".join([HEAD, *rows, "", "Made by:", "", *made]) + "\n"


def _row(patch: Patch) -> str:
    card = patch.card
    height, width = patch.image.shape[:2]
    wide_px = max(24, round(HIGH_PX * width / height))
    picture = f'<img src="../patches/{patch.name}.png" width="{min(wide_px, 160)}">'
    what = " ".join(word for word in (card.goal or "hide", card.label) if word)
    made_for = f"{card.attack or card.surface}: {what}" if card.optimizer else f"{what}, by hand"
    twin = f"{max(card.scores.values()):.2f}" if card.scores else ""
    told = card.gap if "control" in card.gap else measured_later(patch.name) or card.gap
    gap = told.get("patch", {})
    scores = [told.get(name, {}).get("simulator_score") for name in ("patch", "control")]
    photographed = " / ".join("" if score is None else f"{score:.2f}" for score in scores)
    cells = [
        f"{picture}<br>`{patch.name}`",
        made_for,
        f"{card.width_m:g} x {card.height_m:g}",
        twin,
        photographed if any(score is not None for score in scores) else "",
        f"{gap['median_db']:.0f} dB" if gap else "",
        drives(RESULTS, patch.name),
    ]
    return f"| {' | '.join(cells)} |"


def measured_later(patch: str) -> Mapping[str, Any]:
    """The gap of a patch whose card was written before cards told of photographs."""
    path = RESULTS / "gap.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    found: Mapping[str, Any] = known.get(patch, {}).get("gap", {})
    return found


def drives(folder: Path, patch: str) -> str:
    """How many of the drives in each arm went wrong; "" where none were made with that patch."""
    if not folder.exists():
        return ""
    results = Folder(folder)
    rows, _ = results.rows()
    for name, one in results.manifest().inputs["scenarios"].items():
        scenario = config.restore(one["content"])
        if scenario.attack is None or scenario.attack.options.get("patch") != patch:
            continue
        arms: dict[str, list[Mapping[str, Any]]] = {"clean": [], "control_grey": [], "attacked": []}
        for result in (row.result for row in rows if row.result.scenario == name):
            if result.arm in arms and result.metrics is not None:
                arms[result.arm].append(result.metrics)
        shares = (
            f"{sum(bool(one[scenario.unsafe]) for one in driven)} of {len(driven)}"
            for driven in arms.values()
        )
        return f"{wording.label(scenario.unsafe).text}: {' / '.join(shares)}"
    return ""


if __name__ == "__main__":
    main()
