"""Where on a surface a print does most: many places tried on one twin of the whole surface.

The camera's response is measured over the whole surface once. Each place then gets a few steps of
the method, and its value stands beside that of plain grey there. Which places are allowed is asked
of the attack itself, which begins with a print there in every scene.

What is found is written a line a place as it is found, so that a search goes on where it stopped.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simattack.errors import BudgetError, ConfigError, ResultsError
from simattack.results import Appender
from simattack.types import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALES = (1.0, 0.7)
"""Of the print's width and height that are tried in each place."""
MOST_PLACES = 400


@dataclass(frozen=True)
class Spot:
    """A print's middle in u, v of its surface, and its width and height."""

    u: float
    v: float
    width_m: float
    height_m: float

    @property
    def centre(self) -> tuple[float, float]:
        return self.u, self.v

    @property
    def size_m(self) -> tuple[float, float]:
        return self.width_m, self.height_m


@dataclass(frozen=True)
class Tried:
    """What came of one place; scores are 0 where the goal is reached and 1 where nothing is."""

    u: float
    v: float
    width_m: float
    height_m: float
    refused: str
    """By the attack's own rule, in its words; empty: allowed."""
    grey: float
    """Mean held-out score with plain grey there; NaN where refused."""
    mean: float
    """The same with the picture that a few steps found."""
    worst: float
    """The highest score of the same."""
    value: float
    """What the places are compared by; the lower the better."""

    @property
    def spot(self) -> Spot:
        return Spot(self.u, self.v, self.width_m, self.height_m)


def spots(
    count: int, size_m: tuple[float, float], surface_m: tuple[float, float]
) -> tuple[Spot, ...]:
    """About ``count`` centres in each of SCALES, on grids as even as the surface's sides allow.

    Raises:
        ConfigError: the print is larger than the surface, or nobody would wait for so many.
    """
    if not 1 <= count <= MOST_PLACES:
        raise ConfigError(f"expected 1 to {MOST_PLACES} places to try, got {count}")
    found = []
    for scale in SCALES:
        sides = size_m[0] * scale, size_m[1] * scale
        room = [max(whole - side, 0.0) for whole, side in zip(surface_m, sides, strict=True)]
        if scale == 1.0 and any(s > w * 1.001 for s, w in zip(sides, surface_m, strict=True)):
            raise ConfigError(
                f"a print of {size_m[0]:g} x {size_m[1]:g} m is larger than the surface, "
                f"{surface_m[0]:.2f} x {surface_m[1]:.2f} m; make it smaller by --size-m"
            )
        across, down = _grid(count, room[0], room[1])
        for v in _ends(down, room[1] / surface_m[1]):
            for u in _ends(across, room[0] / surface_m[0]):
                width_m, height_m = (round(side, 4) for side in sides)
                found.append(Spot(round(u, 4), round(v, 4), width_m, height_m))
    return tuple(found)


def _grid(count: int, wide: float, high: float) -> tuple[int, int]:
    if min(wide, high) < 1e-6:
        return (count, 1) if wide > high else (1, count) if high > wide else (1, 1)
    across = max(1, round(float(np.sqrt(count * wide / high))))
    return across, max(1, round(count / across))


def _ends(count: int, room: float) -> list[float]:
    """Positions 0..1 of middles, from one end of the room to the other."""
    if count == 1:
        return [0.5]
    return [float(at) for at in np.linspace(0.5 - room / 2, 0.5 + room / 2, count)]


def search(
    candidates: Sequence[Spot],
    is_refused: Callable[[Spot], str],
    trial: Callable[[Spot], tuple[float, float, float, float]],
    path: Path,
    report: Callable[[int, int, Tried], None] | None = None,
) -> list[Tried]:
    """Every candidate tried, in order; those in the file at ``path`` are not tried again.

    Args:
        candidates: places.
        is_refused: the attack's words, or "".
        trial: mean score of grey, mean and worst score of what was found, and its value.
        path: JSON lines, one a place.
        report: is told after each.

    Raises:
        ResultsError: the file is damaged.
    """
    done = {tried.spot: tried for tried in _read(path)}
    found = []
    for number, spot in enumerate(candidates, 1):
        tried = done.get(spot)
        if tried is None:
            words = is_refused(spot)
            grey, mean, worst, value = (float("nan"),) * 4 if words else map(_rounded, trial(spot))
            tried = Tried(
                **asdict(spot), refused=words, grey=grey, mean=mean, worst=worst, value=value
            )
            with Appender(path) as file:
                file.append(json.dumps(asdict(tried)))
        found.append(tried)
        if report is not None:
            report(number, len(candidates), tried)
    return found


def _rounded(number: float) -> float:
    return round(number, 4)


def best(found: Sequence[Tried]) -> Tried:
    """The allowed place of the lowest value.

    Raises:
        BudgetError: the attack refuses all of them.
    """
    allowed = [tried for tried in found if not tried.refused]
    if not allowed:
        raise BudgetError(f"none of {len(found)} places is allowed: {found[0].refused}")
    return min(allowed, key=lambda tried: tried.value)


def begun(is_in: Callable[[], Any]) -> str:
    """What an attack says that refuses to begin; "" if it does not."""
    try:
        is_in()
    except BudgetError as error:
        return str(error)
    return ""


def write(folder: Path, name: str, found: Sequence[Tried], surface_m: tuple[float, float]) -> Path:
    """``<name>_places.csv`` and the map of it, ``.png``; the table's path."""
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(asdict(found[0]))
    for tried in found:
        row = asdict(tried).values()
        table.writerow("" if isinstance(v, float) and np.isnan(v) else v for v in row)
    path = folder / f"{name}_places.csv"
    path.write_text(text.getvalue(), encoding="utf-8")
    figure = _map(found, surface_m)
    figure.savefig(path.with_suffix(".png"), dpi=90, metadata={"Software": None})
    return path


def _map(found: Sequence[Tried], surface_m: tuple[float, float]) -> Figure:
    """The surface, and on it every place: how far below grey's the score came there."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    sizes = list(dict.fromkeys(tried.spot.size_m for tried in found))
    figure = Figure(figsize=(4.2 * len(sizes), 3.6), layout="constrained")
    plots = figure.subplots(ncols=len(sizes), squeeze=False)[0]
    top = max([t.grey - t.mean for t in found if not t.refused] + [1e-3])
    allowed = [t for t in found if not t.refused]
    winner = min(allowed, key=lambda t: t.value) if allowed else None
    dots = None
    for plot, size in zip(plots, sizes, strict=True):
        mine = [t for t in found if t.spot.size_m == size]
        plot.add_patch(Rectangle((0, 0), *surface_m, fill=False, color="0.5"))
        at: Floats = np.array([(t.u * surface_m[0], t.v * surface_m[1]) for t in mine])
        gone = np.array([bool(t.refused) for t in mine])
        plot.scatter(*at[gone].T, marker="x", color="0.6")
        gains = [t.grey - t.mean for t in mine if not t.refused]
        if gains:
            dots = plot.scatter(*at[~gone].T, 160, gains, vmin=0.0, vmax=top, cmap="viridis")
        if winner is not None and winner.spot.size_m == size:
            corner = winner.u * surface_m[0] - size[0] / 2, winner.v * surface_m[1] - size[1] / 2
            plot.add_patch(Rectangle(corner, *size, fill=False, color="tab:red"))
        plot.set(
            title=f"{size[0]:g} x {size[1]:g} m", xlabel="to the right [m]", ylabel="down [m]",
            xlim=(-0.05 * surface_m[0], 1.05 * surface_m[0]),
            ylim=(1.05 * surface_m[1], -0.05 * surface_m[1]), aspect="equal",
        )  # fmt: skip
    if dots is not None:
        figure.colorbar(dots, ax=list(plots), label="score below that of grey; red: the best")
    return figure


def _read(path: Path) -> list[Tried]:
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], 1):
        try:
            found.append(Tried(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ResultsError(
                f"{path}:{number}: expected a tried place: {error}; remove the line"
            ) from error
    return found
