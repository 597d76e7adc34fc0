from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from simattack import statistics


@pytest.mark.parametrize("hits, n", [(0, 6), (1, 6), (6, 6), (37, 50), (999, 1000)])
def test_a_rate_has_the_wilson_interval_that_scipy_gives(hits, n):
    oracle = binomtest(hits, n).proportion_ci(0.95, "wilson")
    interval = statistics.rate(hits, n)
    assert (interval.low, interval.high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)
    assert (interval.value, interval.n) == (hits / n, n)


def test_a_rate_of_nothing_is_unknown_and_an_impossible_one_is_refused():
    assert statistics.rate(0, 0) == statistics.Interval(None, None, None, 0, "wilson")
    with pytest.raises(ValueError, match="4 of 3"):
        statistics.rate(4, 3)


def test_a_mean_has_the_bootstrap_interval_that_scipy_gives():
    data = np.random.default_rng(5).exponential(2.0, 25)
    rng = np.random.default_rng(1)
    oracle = bootstrap((data,), np.mean, n_resamples=10_000, method="percentile", rng=rng)
    interval = statistics.mean(data.tolist())
    width = interval.high - interval.low
    assert interval.value == pytest.approx(data.mean())
    # Both are drawn: 10 000 resamples leave about 2 % of the width.
    assert interval.low == pytest.approx(oracle.confidence_interval.low, abs=0.05 * width)
    assert interval.high == pytest.approx(oracle.confidence_interval.high, abs=0.05 * width)


def test_the_same_numbers_give_the_same_interval_and_one_number_gives_none():
    assert statistics.mean([1.0, 2.0, 4.0]) == statistics.mean([1.0, 2.0, 4.0])
    assert statistics.mean([3.0]) == statistics.Interval(3.0, None, None, 1, "bootstrap")
    assert statistics.mean([]).value is None


def test_paired_means_resample_pairs_so_a_shared_seed_effect_cancels():
    seeds = np.linspace(0, 100, 12)
    noise = np.random.default_rng(0).normal(0, 0.1, 12)
    interval = statistics.paired_mean((seeds + 2 + noise).tolist(), seeds.tolist())
    assert interval.value == pytest.approx(2.0, abs=0.1)
    assert interval.high - interval.low < 0.2


def test_paired_rates_worked_out_by_hand():
    # 4 seeds, all yes against all no: each Wilson interval is 1/(1 + z2/4) wide.
    interval = statistics.paired_rate([True] * 4, [False] * 4)
    width = 1 - 1 / (1 + statistics.Z_95**2 / 4)
    assert interval.value == 1.0
    assert interval.low == pytest.approx(1 - np.sqrt(2) * width)
    assert interval.high == 1.0
    # Both yes 5, first only 3, second only 1, neither 6 of 15; cross = 30 - 3 - 7.5 = 19.5.
    first = [True] * 5 + [True] * 3 + [False] * 1 + [False] * 6
    second = [True] * 5 + [False] * 3 + [True] * 1 + [False] * 6
    one, two = statistics.rate(8, 15), statistics.rate(6, 15)
    phi = 19.5 / np.sqrt(8 * 7 * 6 * 9)
    a, b = one.value - one.low, two.high - two.value
    low = 2 / 15 - np.sqrt(a * a - 2 * phi * a * b + b * b)
    assert statistics.paired_rate(first, second).low == pytest.approx(low)


def test_paired_rates_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(1000):
        latent = rng.random(20)
        first = latent < 0.7
        second = np.where(rng.random(20) < 0.5, latent, rng.random(20)) < 0.4
        interval = statistics.paired_rate(first.tolist(), second.tolist())
        inside += interval.low <= 0.3 <= interval.high
    assert 930 <= inside <= 985


def test_pairs_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="2 and 1"):
        statistics.paired_mean([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="2 and 1"):
        statistics.paired_rate([True, False], [True])


def test_patches_and_seeds_are_resampled_on_their_own():
    """One bad patch of three on all days is no sure thing, however many days there are."""
    table = [[1.0] * 30, [0.0] * 30, [0.0] * 30]
    crossed = statistics.crossed_mean(table)
    assert crossed.value == pytest.approx(1 / 3) and crossed.n == 90
    # Student's t of (1, 0, 0): 1/3 +- 4.303 * 1/3. The bootstrap alone would say 0 to 1.
    assert crossed.low == pytest.approx(1 / 3 - 4.302653 / 3, abs=1e-6)
    assert crossed.high == pytest.approx(1 / 3 + 4.302653 / 3, abs=1e-6)
    flat = statistics.mean([value for row in table for value in row])
    assert flat.low > 0.2 and flat.high < 0.45
    assert statistics.crossed_mean([[0.0, 1.0]]).low is None
    with pytest.raises(ValueError, match="rows of one length"):
        statistics.crossed_mean([[1.0], [1.0, 2.0]])


def test_drives_that_all_agree_still_leave_the_chance_of_one_patch_on_these_seeds():
    pairs = [[(False, True)] * 30] * 3
    crossed, one = statistics.crossed_rate(pairs), statistics.paired_rate([False] * 30, [True] * 30)
    assert (crossed.value, crossed.low, crossed.n) == (-1.0, -1.0, 90)
    assert crossed.high == pytest.approx(one.high) and one.high > -0.9
    worst = statistics.crossed_rate([[(True, False)] * 30, [(False, False)] * 30] * 2)
    assert worst.value == pytest.approx(0.5) and worst.low >= -1.0 and worst.high <= 1.0


def test_the_crossed_interval_of_three_patches_covers_about_what_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        table = rng.normal(size=(3, 1)) + rng.normal(size=(3, 30))
        crossed = statistics.crossed_mean(table.tolist(), 0.9)
        hits += crossed.low <= 0.0 <= crossed.high
    assert hits >= 170, "of 200; a bootstrap alone reaches about 125"
