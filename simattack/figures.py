"""The report's plots, as SVG text; equal data give equal bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simattack.types import Floats

Trace = Mapping[str, Floats]
_BIN_M, _BIN_S = 2.0, 0.25
_COLORS = {"clean": "#2a7f3f", "attacked": "#c0392b", "control": "#6b6b6b"}
_DEFENDED = "#2f5fa8"


def against_distance(traces: Mapping[str, Sequence[Trace]], column: str, label: str) -> str:
    """One panel an arm: every seed thin, their median thick, over the distance to the line.

    Over time, where no trace has a line.

    Args:
        traces: arm -> one trace a seed; see ``recording.Recording``.
        column: of the traces, such as ``speed_mps``.
        label: of the vertical axis.
    """
    import matplotlib

    # Text stays text: it prints sharp, can be searched, and needs no font in the file.
    options: dict[Any, Any] = {"svg.hashsalt": "simattack", "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(options):
        return _draw(traces, column, label)


def alarms(traces: Mapping[str, Sequence[Trace]], sensors: Sequence[str]) -> list[tuple[str, str]]:
    """(sensor, plot over distance or time) of every sensor that any trace has an alarm for."""
    found = []
    for sensor in sensors:
        column = f"alarm_{sensor}"
        # Traces of older versions have no alarms.
        having = {
            arm: [trace for trace in seeds if column in trace] for arm, seeds in traces.items()
        }
        having = {arm: seeds for arm, seeds in having.items() if seeds}
        if any(trace[column].max(initial=0.0) > 0 for seeds in having.values() for trace in seeds):
            found.append((sensor, against_distance(having, column, f"alarm for the {sensor}")))
    return found


def median_line(traces: Sequence[Trace], column: str) -> tuple[Floats, Floats]:
    """Distances (B,) and medians (B,) of all seeds' values in bins 2 m wide; empty bins left out.

    Where no trace has a line: times, in bins of 0.25 s.

    Within a bin each seed counts once, by its own median: a standing car fills a bin with ticks.
    """
    pieces: dict[int, list[float]] = {}
    width = _BIN_M if any(map(_has_line, traces)) else _BIN_S
    for trace in traces:
        distance, values = _points(trace, column)
        bins = np.floor(distance / width).astype(int)
        for index in np.unique(bins):
            pieces.setdefault(int(index), []).append(float(np.median(values[bins == index])))
    order = sorted(pieces)
    return (
        np.array([(index + 0.5) * width for index in order]),
        np.array([np.median(pieces[index]) for index in order]),
    )


def _draw(traces: Mapping[str, Sequence[Trace]], column: str, label: str) -> str:
    from matplotlib.figure import Figure

    columns = min(4, len(traces))
    rows = -(-len(traces) // columns)
    # One panel alone is narrower than what stands below it.
    size = (max(2.6 * columns, 3.8), 1.9 * rows + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    has_line = any(_has_line(trace) for seeds in traces.values() for trace in seeds)
    drawn = [_points(trace, column) for seeds in traces.values() for trace in seeds]
    farthest = max((float(x.max()) for x, _ in drawn if len(x)), default=80.0)
    highest = max((float(y.max()) for _, y in drawn if len(y)), default=1.0)
    for axis, (arm, seeds) in zip(axes, traces.items(), strict=False):
        color = arm_color(arm)
        for trace in seeds:
            x, y = _thinned(*_points(trace, column))
            axis.plot(x, y, color=color, alpha=0.3, linewidth=0.7)
        axis.plot(*median_line(seeds, column), color=color, linewidth=2)
        if has_line:
            axis.axvline(0, color="black", linewidth=0.8, linestyle=":")
        axis.set_title(f"{arm} (n = {len(seeds)})", fontsize=9)
        axis.grid(alpha=0.25, linewidth=0.5)
    for axis in axes[len(traces) :]:
        axis.set_axis_off()
    if has_line:
        axes[0].set_xlim(farthest + 2, -12)  # the car drives to the right
    axes[0].set_ylim(-0.03 * max(highest, 1), 1.05 * max(highest, 1))
    along = "distance to the stop line [m]; dotted: the line" if has_line else "time [s]"
    figure.supxlabel(along, fontsize=9)
    figure.supylabel(label, fontsize=9)
    buffer = io.StringIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": None}
    figure.savefig(buffer, format="svg", metadata=metadata)
    text = buffer.getvalue()
    return text[text.index("<svg") :]  # a page in HTML has no place for an XML declaration


def arm_color(arm: str) -> str:
    """One colour a kind of arm, that print and most eyes tell apart."""
    if "+" in arm:
        return _DEFENDED
    return _COLORS.get(arm, _COLORS["control"])


def _has_line(trace: Trace) -> bool:
    return bool(np.isfinite(trace["distance_m"]).any())


def _points(trace: Trace, column: str) -> tuple[Floats, Floats]:
    """Distance, or time without a line, and value of the ticks that have both."""
    along = "distance_m" if _has_line(trace) else "time_s"
    distance, values = np.asarray(trace[along]), np.asarray(trace[column])
    known = np.isfinite(distance) & np.isfinite(values)
    return distance[known], values[known]


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """At most 150 points, rounded: no finer than the page shows."""
    step = max(1, len(x) // 150)
    return np.round(x[::step], 2), np.round(y[::step], 3)
