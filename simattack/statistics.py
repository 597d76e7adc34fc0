"""Intervals for rates, means and paired differences: pure functions of numbers.

All intervals are two-sided and 95 % unless said otherwise. Nothing here knows of episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simattack.types import Floats

Z_95 = 1.959963984540054
"""Quantile of the normal distribution at 0.975."""
RESAMPLES = 10_000
METHODS = {
    "wilson": "Wilson score interval",
    "bootstrap": f"percentile bootstrap, {RESAMPLES} resamples, seeded",
    "crossed": f"percentile bootstrap over patches and seeds, {RESAMPLES} resamples, seeded, and "
    "Student's t over patches where that is wider",
    "newcombe": "Newcombe's hybrid score interval for paired proportions (method 10)",
}
"""Names used in ``Interval.method``, spelled out."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; all None where there is nothing to estimate from."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """The denominator: how many measurements it rests on."""
    method: str
    """A key of ``METHODS``."""


def rate(hits: int, n: int) -> Interval:
    """The share ``hits / n`` with Wilson's score interval.

    Raises:
        ValueError: not 0 <= hits <= n.

    Source: Wilson, JASA 22 (1927); Brown, Cai & DasGupta, Statistical Science 16 (2001), sec. 3.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"need 0 <= hits <= n, got {hits} of {n}")
    if n == 0:
        return Interval(None, None, None, 0, "wilson")
    low, high = _wilson(hits, n)
    return Interval(hits / n, low, high, n, "wilson")


def mean(values: Sequence[float], level: float = 0.95) -> Interval:
    """The mean with a percentile bootstrap interval of that level; one value gives no interval.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), ch. 13.
    """
    data = np.asarray(values, float)
    if data.size == 0:
        return Interval(None, None, None, 0, "bootstrap")
    centre = float(data.mean())
    if data.size == 1:
        return Interval(centre, None, None, 1, "bootstrap")
    low, high = np.quantile(_resampled_means(data), [(1 - level) / 2, (1 + level) / 2])
    return Interval(centre, float(low), float(high), int(data.size), "bootstrap")


def paired_mean(first: Sequence[float], second: Sequence[float], level: float = 0.95) -> Interval:
    """The mean of ``first - second``, pair by pair; whole pairs are resampled.

    Raises:
        ValueError: the two differ in length.
    """
    if len(first) != len(second):
        raise ValueError(f"need pairs, got {len(first)} and {len(second)} values")
    return mean((np.asarray(first, float) - np.asarray(second, float)).tolist(), level)


def crossed_mean(values: Sequence[Sequence[float]], level: float = 0.95) -> Interval:
    """The mean of a table, patches x seeds, of which rows and columns are resampled on their own.

    What two patches share on one day, and what one patch does on all days, are both no chance of
    a single drive; resampling drives alone would take them for it. A bootstrap of three rows is far
    too narrow (it covers 64 % where 90 % is said), so the interval also takes in Student's t of the
    rows' means. One row or one column gives no interval.

    Raises:
        ValueError: no table, or rows of different length.

    Source: Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1 (2007) 386.
    """
    if len({len(row) for row in values}) != 1 or not values[0]:
        raise ValueError(f"need rows of one length, got {[len(row) for row in values]}")
    table = np.asarray(values, float)
    rows, columns = table.shape
    centre = float(table.mean())
    if rows == 1 or columns == 1:
        return Interval(centre, None, None, table.size, "crossed")
    from scipy.stats import t as student  # a second of imports

    rng = np.random.default_rng(0)
    of_rows = rng.multinomial(rows, np.full(rows, 1 / rows), RESAMPLES) / rows
    of_columns = rng.multinomial(columns, np.full(columns, 1 / columns), RESAMPLES) / columns
    means = np.einsum("br,rc,bc->b", of_rows, table, of_columns)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    spread = float(table.mean(axis=1).std(ddof=1)) / rows**0.5
    reach = spread * float(student.ppf((1 + level) / 2, rows - 1))
    bounds = min(float(low), centre - reach), max(float(high), centre + reach)
    return Interval(centre, *bounds, table.size, "crossed")


def crossed_rate(pairs: Sequence[Sequence[tuple[bool, bool]]]) -> Interval:
    """The share of firsts minus that of seconds, in a table of pairs, patches x seeds.

    As ``crossed_mean``, but at least as wide as Newcombe's interval of one patch on these seeds
    (the mean of the patches' bounds): a bootstrap of drives that all agree has no width.

    Raises:
        ValueError: no table, or rows of different length.
    """
    crossed = crossed_mean([[float(a) - float(b) for a, b in row] for row in pairs])
    each = [paired_rate(*zip(*row, strict=True)) for row in pairs]
    lows = [one.low for one in each if one.low is not None]
    highs = [one.high for one in each if one.high is not None]
    if crossed.low is None or crossed.high is None or not lows:
        return crossed
    return replace(
        crossed,
        low=max(-1.0, min(crossed.low, sum(lows) / len(lows))),
        high=min(1.0, max(crossed.high, sum(highs) / len(highs))),
    )


def paired_rate(first: Sequence[bool], second: Sequence[bool]) -> Interval:
    """The share in ``first`` minus the share in ``second``, for paired yes-or-no outcomes.

    A bootstrap would give a few seeds that all agree an interval of no width; this does not.

    Raises:
        ValueError: the two differ in length.

    Source: Newcombe, Statistics in Medicine 17 (1998) 2635, method 10.
    """
    if len(first) != len(second):
        raise ValueError(f"need pairs, got {len(first)} and {len(second)} values")
    n = len(first)
    if n == 0:
        return Interval(None, None, None, 0, "newcombe")
    one, two = np.asarray(first, bool), np.asarray(second, bool)
    both, only_one = int((one & two).sum()), int((one & ~two).sum())
    only_two, neither = int((~one & two).sum()), int((~one & ~two).sum())
    p1, p2 = (both + only_one) / n, (both + only_two) / n
    low1, high1 = _wilson(both + only_one, n)
    low2, high2 = _wilson(both + only_two, n)
    margins = (both + only_one) * (only_two + neither) * (both + only_two) * (only_one + neither)
    cross = float(both * neither - only_one * only_two)
    # A positive association is shrunk by a continuity correction, but never past zero.
    cross = max(cross - n / 2, 0.0) if cross > 0 else cross
    phi = cross / np.sqrt(margins) if margins else 0.0
    down = (p1 - low1) ** 2 - 2 * phi * (p1 - low1) * (high2 - p2) + (high2 - p2) ** 2
    up = (high1 - p1) ** 2 - 2 * phi * (high1 - p1) * (p2 - low2) + (p2 - low2) ** 2
    difference = p1 - p2
    # Rounding may leave a square a hair below zero.
    low = max(-1.0, difference - float(np.sqrt(max(down, 0.0))))
    high = min(1.0, difference + float(np.sqrt(max(up, 0.0))))
    return Interval(difference, low, high, n, "newcombe")


def _wilson(hits: int, n: int) -> tuple[float, float]:
    share, z2 = hits / n, Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)))
    # At the ends the formula gives exactly 0 and 1, but for rounding.
    return (0.0 if hits == 0 else centre - half, 1.0 if hits == n else centre + half)


def _resampled_means(data: Floats) -> Floats:
    """(RESAMPLES,) means of resamples of ``data`` (N,); the same for the same data."""
    rng = np.random.default_rng(0)
    # In blocks, so that thousands of values do not take gigabytes.
    block = max(1, 2_000_000 // data.size)
    parts = []
    for start in range(0, RESAMPLES, block):
        rows = min(block, RESAMPLES - start)
        parts.append(data[rng.integers(data.size, size=(rows, data.size))].mean(axis=1))
    return np.concatenate(parts)
