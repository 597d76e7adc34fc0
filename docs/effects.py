"""Writes the table of what each attack does to safety, out of rows that `simattack run` left.

``python docs/effects.py`` reads every results folder in ``FOLDERS`` and writes ``docs/effects.md``.
An attack that does nothing is told as loudly as one that does.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simattack import config, wording
from simattack.results import Folder
from simattack.summary import summarise

HERE = Path(__file__).resolve().parent
TABLE = HERE / "effects.md"
FOLDERS = (HERE.parent / "results" / "channels",)
BESIDE = (
    "collision",
    "stop_sign_violation",
    "red_light_violation",
    "yield_violation",
    "lane_departure",
    "off_road",
    "ttc_critical",
    "phantom_braking",
    "max_lane_offset_m",
    "max_localisation_error_m",
    "leaderboard_2_1_score",
)
"""Metrics in which an attack may show beside the one that its scenario calls unsafe."""
ENOUGH = 20
"""Seeds from which on an effect is claimed; fewer screen."""
_HEAD = """\
# What each attack does to safety

Written by `python docs/effects.py` from the committed rows of `simattack run channels`, which
anybody may continue (`simattack run channels --out results/channels`). Each line is one
attack in its home scenario: the same seeds with nothing, with the control (the same thing without
its power or pattern) and with the attack. *Unsafe* is what the scenario calls so; shares with the
95 % Wilson interval; *difference* is attacked minus the control that comes nearest to it, seed by
seed, with the 95 % interval (Newcombe for shares, bootstrap for means).

*Effect* says whether that interval excludes 0 against the clean drives and against every control:
**yes** from 20 seeds on, **screened** with fewer, **more** where the attack was worse without the
interval excluding 0, **as its control** where the control does as much (its pattern adds nothing),
**none** where it was not worse at all. *Also changed* names other metrics
whose intervals exclude 0 in the same way; they are many, so one or the other of them is chance.
"""


def lines(folder: Folder) -> Iterator[tuple[str, str]]:
    """Of each attack ``something``, ``nothing`` or ``few``, and its line of the table."""
    manifest = folder.manifest()
    rows, _ = folder.rows()
    summary = summarise(rows)["scenarios"]
    for name, arms in sorted(summary.items()):
        scenario = config.restore(manifest.inputs["scenarios"][name]["content"])
        if "attacked" not in arms or scenario.attack is None:
            continue
        unsafe = scenario.unsafe
        controls = [arm for arm in arms if arm.startswith("control_")]
        attacked = arms["attacked"]
        gaps = _gaps(attacked, unsafe)
        nearest = min(gaps, key=lambda gap: gap["value"]) if gaps else None
        clean = attacked["differences"].get("clean", {}).get("metrics", {}).get(unsafe)
        effect = _effect(gaps, clean)
        told = {
            metric: wording.difference(least, metric)
            for metric in BESIDE
            if metric != unsafe and (least := _shown(_gaps(attacked, metric))) is not None
        }
        beside = [
            f"{wording.label(metric).text} {text}"
            for metric, text in told.items()
            if any(digit in text.partition("(")[0] for digit in "123456789")
        ]
        cells = [
            f"`{scenario.attack.kind}`",
            f"`{name}`",
            ", ".join(scenario.sensors),
            wording.label(unsafe).text,
            _rate(arms.get("clean"), unsafe),
            "; ".join(_rate(arms[arm], unsafe) for arm in controls) or "–",
            _rate(attacked, unsafe),
            wording.difference(nearest, unsafe),
            effect,
            "; ".join(beside) or "–",
        ]
        changed = beside or effect in ("**yes**", "screened", "as its control")
        what = "something" if changed else "few" if effect == "too few" else "nothing"
        yield what, "| " + " | ".join(cells) + " |"


def _gaps(attacked: Mapping[str, Any], metric: str) -> list[dict[str, Any]]:
    """Attacked minus each arm without an attack."""
    found = (told["metrics"].get(metric) for told in attacked["differences"].values())
    return [gap for gap in found if gap is not None and gap["low"] is not None]


def _effect(gaps: list[dict[str, Any]], clean: Mapping[str, Any] | None) -> str:
    if not gaps:
        return "not measured"
    pairs = min(gap["n"] for gap in gaps)
    if pairs < wording.MIN_PAIRS:
        return "too few"
    if all(gap["low"] > 0 for gap in gaps):
        return "**yes**" if pairs >= ENOUGH else "screened"
    if all(gap["value"] > 0 for gap in gaps):
        return "more"
    return "as its control" if clean is not None and (clean["low"] or 0) > 0 else "none"


def _shown(gaps: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The smallest of gaps that all lie on the same side of 0, intervals and all."""
    if not gaps or min(gap["n"] for gap in gaps) < wording.MIN_PAIRS:
        return None
    if all(gap["low"] > 0 for gap in gaps) or all(gap["high"] < 0 for gap in gaps):
        return min(gaps, key=lambda gap: abs(gap["value"]))
    return None


def _rate(told: Mapping[str, Any] | None, metric: str) -> str:
    return "–" if told is None else wording.estimate(told["metrics"].get(metric), metric)


def page() -> str:
    """The whole page.

    Raises:
        ResultsError: a folder has no rows that can be read.
    """
    found = [line for path in FOLDERS for line in lines(Folder(path))]
    count = Counter(what for what, _ in found)
    table = [
        "| attack | rows | the car's sensors | unsafe | clean | control | attacked | difference "
        "| effect | also changed |",
        "|" + "---|" * 10,
        *(line for _, line in found),
    ]
    told = (
        f"Of {len(found)} attacks {count['something']} changed something, {count['nothing']} "
        f"nothing, and {count['few']} have too few drives yet."
    )
    return "\n".join([_HEAD, told, "", *table, ""])


if __name__ == "__main__":
    TABLE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{TABLE}\n")
