"""Rows of a comparison as a leaderboard: text, CSV, and one self-contained page.

A defense has a rank only where an attack was made through it; whoever did not try cannot say.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simattack.compare import plots, roads
from simattack.compare.sanity import CHECKS
from simattack.scenario import UNDEFENDED as NONE

Row = Mapping[str, Any]
HEAD = (
    "rank", "attack", "defense", "family", "hidden, adaptive", "hidden, oblivious",
    "bare sign lost", "AP50 clean", "false alarms a frame", "ms mean", "ms p99",
    "ms declared", "checks",
)  # fmt: skip
PROVEN = (
    "attack",
    "defense",
    "certified recall",
    "clean recall",
    "no attack of this kind hides it",
)
MISSING = "missing"


def ranks(rows: Sequence[Row]) -> list[int | None]:
    """Place of each row among its attack's defenses, 1 the best; None without an adaptive outcome.

    By the share hidden by the adaptive attack, then by the bare signs lost; equals share a place.
    The car without a defense has a place, too: a defense below it does harm.
    """
    found: list[int | None] = []
    for row in rows:
        mine = _worth(row)
        others = [_worth(other) for other in rows if other["attack"] == row["attack"]]
        better = sum(other is not None and mine is not None and other < mine for other in others)
        found.append(None if mine is None else better + 1)
    return found


def _worth(row: Row) -> tuple[float, float] | None:
    if row["adaptive"] is None:
        return None
    return float(row["adaptive"]["value"]), float(row["clean_hidden"]["value"])


def cells(rows: Sequence[Row]) -> list[list[str]]:
    """The leaderboard under ``HEAD``; of each attack the ranked rows first, best on top."""
    attacks = list(dict.fromkeys(row["attack"] for row in rows))
    order = sorted(
        zip(ranks(rows), rows, strict=True),
        key=lambda item: (attacks.index(item[1]["attack"]), item[0] is None, item[0] or 0),
    )
    return [[_rank(rank), *_cells(row)] for rank, row in order]


def _rank(rank: int | None) -> str:
    return "-" if rank is None else str(rank)


def _cells(row: Row) -> list[str]:
    frames, latency = row["frames"] or {}, row["latency"] or {}
    is_bare = row["defense"] == NONE
    return [
        row["attack"],
        row["defense"],
        row["family"],
        MISSING if row["adaptive"] is None else _share(row["adaptive"]),
        _share(row["oblivious"]),
        _share(row["clean_hidden"]),
        _number(frames.get("ap50"), "{:.3f}"),
        _number(frames.get("false_alarms_a_frame"), "{:.3f}"),
        *(
            "" if is_bare else _number(latency.get(name), "{:.1f}", 1000)
            for name in ("mean_s", "p99_s", "declared_s")
        ),
        _said(row),
    ]


def _said(row: Row) -> str:
    if row["adaptive"] is None:
        return str(row["adaptive_missing"])
    said = "FLAGGED: " + ", ".join(row["flags"]) if row["flags"] else "pass"
    return f"{said}; masks gradients" if row["masks_gradients"] else said


def _share(interval: Row | None) -> str:
    if interval is None:
        return ""
    if interval["value"] is None:
        return "none to count"
    value, low, high = (100 * interval[name] for name in ("value", "low", "high"))
    return f"{value:.0f} % ({low:.0f} to {high:.0f}, n {interval['n']})"


def certificates(rows: Sequence[Row]) -> list[list[str]]:
    """Under ``PROVEN``, what defenses prove, beside what is seen of the same views bare.

    A bound that no attack gets below is told apart from what attacks were measured to do.
    """
    return [
        [row["attack"], row["defense"], _share(row["certified"]), _seen(row["clean_hidden"]),
         row["certified"]["against"]]
        for row in rows if row["certified"] is not None
    ]  # fmt: skip


def _seen(hidden: Row) -> str:
    """The other side of a share."""
    low, high = 1 - hidden["high"], 1 - hidden["low"]
    return _share({**hidden, "value": 1 - hidden["value"], "low": low, "high": high})


def _number(value: float | None, form: str, times: float = 1.0) -> str:
    return "not measured" if value is None else form.format(times * value)


def sheet(rows: Sequence[Row]) -> str:
    """The leaderboard as CSV, numbers bare: one line a row, empty where there is none."""
    names = ("adaptive", "oblivious", "clean_hidden", "certified")
    parts = ("value", "low", "high", "n")
    checks = tuple(name for name in CHECKS if name != "oblivious")
    on_frames = ("label", "objects", "ap50", "ap50_mean", "recall", "false_alarms_a_frame")
    head = ["rank", "attack", "defense", "family"]
    head += [f"{name}_{part}" for name in names for part in parts]
    head += [f"check_{name}" for name in checks]
    head += [f"frames_{name}" for name in on_frames]
    head += [
        "certified_against",
        "latency_mean_s",
        "latency_p99_s",
        "latency_declared_s",
        "flags",
        "adaptive_missing",
    ]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    for rank, row in zip(ranks(rows), rows, strict=True):
        frames, latency = row["frames"] or {}, row["latency"] or {}
        line = [rank, row["attack"], row["defense"], row["family"]]
        line += [(row[name] or {}).get(part) for name in names for part in parts]
        line += [(row["checks"].get(name) or {}).get("value") for name in checks]
        line += [frames.get(name) for name in on_frames]
        line += [(row["certified"] or {}).get("against")]
        line += [latency.get(name) for name in ("mean_s", "p99_s", "declared_s")]
        line += [" ".join(row["flags"]), row["adaptive_missing"]]
        writer.writerow(["" if value is None else value for value in line])
    return file.getvalue()


def matrix(
    rows: Sequence[Row],
    claims: Mapping[str, Sequence[str]],
    kinds: Mapping[str, str],
    driven: Sequence[Row] = (),
) -> tuple[list[str], list[list[str]]]:
    """Attacks x defenses, by what was measured: head and body.

    Args:
        rows: of the comparison.
        claims: kind of attack -> defenses that claim to answer it, as the taxonomy has it.
        kinds: attack of a row -> its kind.
        driven: of ``paired.differences``.
    """
    defenses = list(dict.fromkeys(row["defense"] for row in rows if row["defense"] != NONE))
    defenses += sorted({name for names in claims.values() for name in names} - {*defenses})
    measured: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        measured.setdefault((kinds[row["attack"]], row["defense"]), []).append(row)
    body = []
    # What was measured comes first; an attack of one's own is in no taxonomy.
    for kind in dict.fromkeys((*(kind for kind, _ in measured), *claims)):
        claimed, line = claims.get(kind, ()), [kind]
        for defense in defenses:
            found = measured.get((kind, defense), [])
            if found:
                cells = (_outcome(row, _road(row, driven), len(found) > 1) for row in found)
                line.append(" | ".join(cells))
            else:
                line.append("claimed, not measured" if defense in claimed else "")
        body.append(line)
    return ["attack", *defenses], body


def _road(row: Row, driven: Sequence[Row]) -> Row | None:
    """Unsafe drives with a row's defense beside those without: under the attack that was made
    through it where that was driven, else under the scenario's own.
    """
    mine = {
        str(line["arm"]).partition("+")[0]: line
        for line in driven
        if line["is_unsafe"]
        and (line["scenario"], line["defense"]) == (row["attack"], row["defense"])
    }
    under = (mine.get(arm) for arm in ("adaptive_all", "adaptive", "attacked"))
    return next((line for line in under if line is not None), None)


def _outcome(row: Row, road: Row | None, is_named: bool) -> str:
    adaptive, told = row["adaptive"], []
    if row["clean_hidden"] is not None:
        hidden = MISSING if adaptive is None else f"{100 * adaptive['value']:.0f} %"
        flagged = " FLAGGED" if row["flags"] else ""
        told.append(f"{hidden}{flagged}; costs {100 * row['clean_hidden']['value']:.0f} %")
    if road is not None:
        shares = (f"{100 * road[side]:.0f}" for side in ("without", "with"))
        told.append(f"unsafe drives {' to '.join(shares)} % (n {road['n']})")
    name = f"{row['attack']}: " if is_named else ""
    return name + ("; ".join(told) or "not driven")


def page(
    title: str,
    rows: Sequence[Row],
    driven: Sequence[Row],
    grid: tuple[list[str], list[list[str]]],
    drives: str = "",
    pages: Mapping[tuple[str, str], str] | None = None,
) -> str:
    """The comparison for somebody who was not there.

    Args:
        title: of the comparison.
        rows: of the screening.
        driven: of ``paired.differences``.
        grid: of ``matrix``.
        drives: link to the drives' own report; empty without.
        pages: (attack, defense) -> link to the page of that row.
    """
    links = pages or {}
    parts = [
        f"<h1>simattack compare: {html.escape(title)}</h1>",
        "<h2>What happens to the car</h2>",
        *_on_the_road(rows, driven, drives, links),
        "<h2>Single views</h2>",
        "<p>Share of views in which the target (the stop sign, the person) is not found behind "
        "each defense, with 95 % intervals (Wilson). <i>Adaptive</i>: the attack of somebody who "
        "knows the defense, the best of those made through it and of the one made without it. A "
        "defense without that has no rank. FLAGGED: the attack was weak, the rank says little.</p>",
        table(HEAD, [_linked(line, links, 1) for line in cells(rows)], _width_of),
    ]
    if proven := certificates(rows):
        parts += ["<h2>Proven</h2>", table(PROVEN, proven)]
    figures = plots.by_attack(rows, "attack", plot)
    parts += [
        "<h2>Safety kept against clean cost</h2>",
        *(figures or ["<p>No attack was made through a defense on single views.</p>"]),
        *plots.by_attack(driven, "scenario", plots.road_plot),
        "<h2>How strong the attacks were</h2>",
        *map(strength, rows),
        "<h2>Attacks and countermeasures</h2>",
        "<p>Measured cells: the share of views hidden by the adaptive attack, the share of bare "
        "signs that the defense loses, and unsafe drives without and with it, under the adaptive "
        "attack where that was driven. The others are what the taxonomy claims.</p>",
        table(*grid, classes=_class_of),
    ]
    return document(f"simattack: {title}", parts)


def _on_the_road(
    rows: Sequence[Row],
    driven: Sequence[Row],
    drives: str,
    links: Mapping[tuple[str, str], str],
) -> list[str]:
    if not driven:
        return ["<p>Not driven; <code>simattack compare NAME --drive</code>.</p>"]
    return [
        "<p>Without an attack / under the scenario's own / under that of somebody who knows the "
        "defense. <i>Unsafe</i>: by what the scenario is about. Every arm drives the same seeds; "
        "<i>none</i> is the car without a defense in those that the others are held against. "
        f'<a href="{html.escape(drives)}">Frames, films and alarms</a></p>',
        table(roads.HEAD, [_linked(line, links, 0) for line in roads.cells(driven, rows)]),
        f"<details><summary>All {len(driven)} differences, with 95 % intervals</summary>",
        *_differences(driven),
        "</details>",
    ]


def _differences(driven: Sequence[Row]) -> list[str]:
    head = ["scenario", "arm", "metric", "without", "with", "difference", "95 %", "pairs"]
    body = [
        [
            row["scenario"], row["arm"], row["metric"], f"{row['without']:.3g}",
            f"{row['with']:.3g}", f"{row['value']:+.3g}", _span(row), str(row["n"]),
        ]
        for row in driven
    ]  # fmt: skip
    return [table(head, body)]


def document(title: str, parts: Sequence[str]) -> str:
    """A page of HTML with the comparison's looks; ``parts`` are HTML already."""
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:100rem;padding:0 1rem}"
        "table{border-collapse:collapse;font-size:.85rem}summary{cursor:pointer;margin:1rem 0}"
        "td{white-space:nowrap}td[class]{white-space:normal;min-width:7rem}td.long{min-width:24rem}"
        "th,td{text-align:left;padding:.25rem .45rem;border-bottom:1px solid #ddd}"
        "div{overflow-x:auto}.plots{display:flex;flex-wrap:wrap}"
        "figure{margin:0 0 1rem}.plots figure{flex:0 1 31rem}figure img{max-width:100%}"
        "figcaption{font-size:.9rem;color:#444}svg{max-width:100%;height:auto}"
        ".good{background:#dff0e0}.middling{background:#fdf3d0}.bad{background:#f8dcd8}"
        ".open{color:#888}"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{style}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def strength(row: Row) -> str:
    """One row's checks, each with the share that its attack hid."""
    title = f"<h3>{html.escape(row['defense'])} ({html.escape(row['attack'])})</h3>"
    if row["adaptive"] is None:
        return f"{title}<p>{MISSING}: {html.escape(row['adaptive_missing'])}</p>"
    shares = {"adaptive": row["adaptive"], "oblivious": row["oblivious"], **row["checks"]}
    if (made := row.get("through")) is not None:
        shares["the best of those made through it"] = made
    body = [
        [name, _share(share), f"FLAGGED: {CHECKS[name]}" if name in row["flags"] else ""]
        for name, share in shares.items()
    ]
    return title + table(["attack", "hidden", ""], body)


def _span(row: Row) -> str:
    if row["low"] is None or row["high"] is None:
        return "none"
    return f"{row['low']:+.3g} to {row['high']:+.3g}"


class Link(str):
    """A cell that leads somewhere."""

    where = ""

    @classmethod
    def to(cls, text: str, where: str) -> Link:
        """A cell of that text."""
        link = cls(text)
        link.where = where
        return link


def _linked(line: list[str], links: Mapping[tuple[str, str], str], at: int) -> list[str]:
    """A line whose defense, in the column after ``at``, the attack's, leads to its page."""
    where = links.get((line[at], line[at + 1]))
    if where is None:
        return line
    return [*line[: at + 1], Link.to(line[at + 1], where), *line[at + 2 :]]


def _width_of(cell: str) -> str:
    """A sentence takes several lines before the table grows wider than the page."""
    return "long" if len(cell) > 30 else ""


def _class_of(cell: str) -> str:
    """How a cell of the matrix is to look, by what it says: by views, else by drives.

    Where nothing was unsafe without the defense, its drives say nothing of it.
    """
    hidden = [int(share) for share in re.findall(r"(\d+) %(?: FLAGGED)?; costs", cell)]
    drives = re.findall(r"unsafe drives (\d+) to (\d+) %", cell)
    worst = max(hidden or [int(after) for before, after in drives if int(before)], default=None)
    if worst is None:
        return "open"
    return "good" if worst < 25 else "middling" if worst < 60 else "bad"


def table(
    head: Sequence[str],
    body: Sequence[Sequence[str]],
    classes: Callable[[str], str] = lambda cell: "",
) -> str:
    """HTML of a table, everything escaped; ``classes`` gives the look of all but first cells."""
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    lines = []
    for line in body:
        cells = []
        for place, cell in enumerate(line):
            text = html.escape(cell)
            if isinstance(cell, Link):
                text = f'<a href="{html.escape(cell.where)}">{text}</a>'
            name = classes(cell) if place else ""
            cells.append(f'<td class="{name}">{text}</td>' if name else f"<td>{text}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    middle = "\n".join(lines)
    return f"<div><table><thead><tr>{top}</tr></thead><tbody>\n{middle}\n</tbody></table></div>"


def plot(rows: Sequence[Row]) -> str:
    """SVG: bare signs still seen to the right, signs still seen under the adaptive attack upwards.

    A defense whose adaptive outcome is missing is not in it. Empty without any defense.
    """
    points = []
    for row in rows:
        if (worth := _worth(row)) is not None:
            span = (1 - row["adaptive"]["high"], 1 - row["adaptive"]["low"])
            mark = plots.Mark(1 - worth[1], 1 - worth[0], row["defense"], bool(row["flags"]), span)
            points.append(mark)
    up = "seen under the adaptive attack, with its 95 % interval; red: FLAGGED"
    is_told = any(mark.name != NONE for mark in points)
    return plots.scatter(points, "seen bare", up) if is_told else ""
