"""Writes what defenses were measured to do, out of what `simattack compare` left under results/.

``python docs/leaderboard.py`` reads the folders in ``FOLDERS`` and writes ``docs/leaderboard.md``,
all cells and all drives, and the short table in the README between its two marks: the defenses
against the first attack of the first folder's comparison, and on the road by the first folder that
drove them. Whatever is missing is told as missing.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simattack import comparison
from simattack.compare import board, roads, run
from simattack.scenario import UNDEFENDED

HERE = Path(__file__).resolve().parent
PAGE = HERE / "leaderboard.md"
README = HERE.parent / "README.md"
FOLDERS = tuple(HERE.parent / "results" / name for name in ("defenses", "hardened", "localisation"))
MARKS = ("<!-- defenses: python docs/leaderboard.py -->", "<!-- /defenses -->")
_HEAD = """\
# Defenses, measured

Written by `python docs/leaderboard.py` from the committed rows of `simattack compare`, which
anybody may continue. [How to read it](compare.md), and when not to believe it. *Hidden*: the
share of views in which the target is not found behind the defense, with 95 % Wilson intervals;
*adaptive*: under an attack that was made through this defense. On the road each arm stands beside
the same seeds without the defense; the difference with its 95 % interval.
"""
_ROAD = (
    "collision", "lane_departure", "phantom_braking", "leaderboard_2_0_score",
    "leaderboard_2_1_score", "route_completion", "min_ttc_capped_s", "duration_s",
)  # fmt: skip
"""Told beside what a scenario is about."""

Row = Mapping[str, Any]
Line = Mapping[str, Any]


def measured(folder: Path) -> list[Row]:
    """The rows of a folder's comparison with their times, in its order."""
    rows = list(run.read(folder / "rows.jsonl").values())
    if folder not in FOLDERS:
        return run.timed(rows, folder, {})
    compared = comparison.read(folder.name)
    rows = run.timed(rows, folder, run.declared_s(compared.defenses))
    attacks = [versus.name for versus in compared.attacks]
    defenses = [UNDEFENDED, *(part.title for part in compared.defenses)]
    # What was measured again comes later in the file.
    newest = {(row["attack"], row["defense"]): row for row in rows}
    known = [one for at, one in newest.items() if at[0] in attacks and at[1] in defenses]
    return sorted(
        known, key=lambda row: (attacks.index(row["attack"]), defenses.index(row["defense"]))
    )


def driven(folder: Path) -> list[Line]:
    """The lines of ``driven.csv``, as ``paired.differences`` told them; none if nobody drove."""
    path = folder / "driven.csv"
    if not path.is_file():
        return []
    return [
        {
            **line,
            **{name: float(line[name]) for name in ("without", "with", "value")},
            **{name: float(line[name]) if line[name] else None for name in ("low", "high")},
            "n": int(line["n"]),
            "is_unsafe": line["is_unsafe"] == "True",
        }
        for line in csv.DictReader(path.read_text().splitlines())
    ]


def page(folders: Iterable[Path]) -> str:
    """The whole page."""
    parts = [_HEAD]
    for folder in folders:
        parts += [f"## {folder.name}", ""]
        rows = measured(folder)
        parts += table(board.HEAD, board.cells(rows))
        if proven := board.certificates(rows):
            parts += ["", "Proven, whatever an attack of the kind does:", ""]
            parts += table(board.PROVEN, proven)
        if lines := driven(folder):
            head = ("scenario", "arm", "metric", "without", "with", "difference", "pairs")
            body = [_road(line) for line in lines if line["is_unsafe"] or line["metric"] in _ROAD]
            parts += ["", "On the road:", "", *table(roads.HEAD, roads.cells(lines, rows))]
            parts += ["", "On the road, difference by difference:", "", *table(head, body)]
        parts.append("")
    return "\n".join(parts)


def short(
    rows: Sequence[Row],
    folders: Sequence[Sequence[Line]],
    scenario: str,
    declared_s: Mapping[str, float],
) -> str:
    """The README's table: defenses against one scenario's attack.

    Args:
        rows: of the comparison.
        folders: of each, what ``driven`` tells.
        scenario: whose attack.
        declared_s: defense -> the time that it declares.
    """
    head = (
        "defense", "family", "hidden by the shipped attack", "by who knows the defense",
        "bare ones lost", "AP50", "unsafe drives: clean / shipped / adaptive",
        "route completed: clean / shipped / adaptive", "braked for nothing, clean", "declared",
    )  # fmt: skip
    body = []
    # What more drives tell comes first.
    folders = sorted(folders, key=lambda lines: -max((one["n"] for one in lines), default=0))
    for row in (row for row in rows if row["attack"] == scenario):
        flagged = " (attack too weak)" if row["flags"] else ""
        name, frames = row["defense"], row["frames"] or {}
        latency_s = declared_s.get(name)
        # Of the first folder that drove it, all numbers.
        own = next((lines for lines in folders if _has(lines, scenario, name)), [])
        body.append(
            [
                f"`{name}`",
                row["family"] or "–",
                _percent(row["oblivious"]),
                _percent(row["adaptive"]) + flagged,
                _percent(row["clean_hidden"]),
                f"{frames['ap50']:.2f}" if frames.get("ap50") is not None else "–",
                roads.unsafe(own, scenario, name),
                roads.by_arm(own, scenario, name, "route_completion"),
                roads.percent(roads.mean(own, scenario, name, "clean", "phantom_braking")),
                "–" if latency_s is None else f"{1000 * latency_s:.0f} ms",
            ]
        )
    return "\n".join(table(head, body))


def _has(lines: Sequence[Line], scenario: str, defense: str) -> bool:
    """Whether the drives tell of a defense; of the car without one, all do."""
    return any(
        line["scenario"] == scenario and defense in (UNDEFENDED, line["defense"]) for line in lines
    )


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Lines of Markdown."""
    rule = "|" + "---|" * len(head)
    return ["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(row) + " |" for row in body)]


def _percent(share: Row | None) -> str:
    return "missing" if share is None else f"{100 * share['value']:.0f} %"


def _road(line: Line) -> list[str]:
    low, high = line["low"], line["high"]
    span = "" if low is None or high is None else f" ({low:+.3g} to {high:+.3g})"
    return [
        f"`{line['scenario']}`",
        f"`{line['arm']}`",
        line["metric"],
        f"{line['without']:.3g}",
        f"{line['with']:.3g}",
        f"{line['value']:+.3g}{span}",
        str(line["n"]),
    ]


def with_table(readme: str, text: str) -> str:
    """The README with that between its marks.

    Raises:
        ValueError: it has no marks.
    """
    before, begin, rest = readme.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not begin or not end:
        raise ValueError(f"{README}: expected the marks {' and '.join(MARKS)}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def readme_table(folders: Sequence[Path]) -> str:
    """``short`` of the first folder's comparison and its first attack."""
    compared = comparison.read(folders[0].name)
    declared_s = run.declared_s(compared.defenses)
    told = [driven(folder) for folder in folders]
    return short(measured(folders[0]), told, compared.attacks[0].name, declared_s)


def main() -> None:
    """Write both."""
    folders = [folder for folder in FOLDERS if (folder / "rows.jsonl").is_file()]
    PAGE.write_text(page(folders), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
    if folders:
        text = with_table(README.read_text(encoding="utf-8"), readme_table(folders))
        README.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{README}\n")


if __name__ == "__main__":
    main()
