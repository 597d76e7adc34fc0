"""Faults of the camera's link."""

from __future__ import annotations

import numpy as np
import pytest

from simattack.attacks.link import Link
from simattack.errors import BudgetError
from tests.attacks.driveby import Street, drive, picture


def story(attack, ticks=16, seed=0):
    """[(which capture is shown, its time of capture)] of each tick; None: black."""
    images = [picture(k, 24, 32) for k in range(ticks)]
    found = []
    for _, told in drive(attack, ticks, images, seed):
        image = told["camera"]
        which = next((k for k, own in enumerate(images) if (own == image).all()), None)
        if which is None:
            assert (image == 0).all()
        found.append((which, round(float(told["clock"][1]), 6)))
    return found


CLEAN = [(k // 2, round(k // 2 * 0.1, 6)) for k in range(16)]


def test_a_delay_brings_every_picture_so_much_later_with_its_own_time():
    found = story(Link(fault="delay", delay_s=0.25))
    for tick, (which, at_s) in enumerate(found):
        # The newest capture, every 0.1 s, that is 0.25 s old; the first at once.
        newest = max(int((tick * 0.05 - 0.25 + 1e-9) // 0.1), 0)
        assert (which, at_s) == (newest, pytest.approx(0.1 * newest))


def test_a_delay_of_a_whole_number_of_ticks_is_no_tick_more():
    found = story(Link(fault="delay", delay_s=0.1))
    assert [which for which, _ in found] == [0, 0] + [which for which, _ in CLEAN[:-2]]


def test_a_delay_that_sets_in_and_ends_never_goes_back_in_time():
    timing = {"start_s": 0.3, "duration_s": 0.3}
    found = story(Link(fault="delay", delay_s=0.2, timing=timing))
    assert found[:6] == CLEAN[:6] and found[12:] == CLEAN[12:]
    assert [which for which, _ in found[6:12]] == [2, 2, 2, 2, 3, 3]


def test_a_drop_keeps_the_picture_before_and_its_old_time():
    found = story(Link(timing={"start_s": 0.4, "duration_s": 0.2}))
    assert found[:8] == CLEAN[:8] and found[12:] == CLEAN[12:]
    assert found[8:12] == [(3, 0.3)] * 4


def test_a_freeze_has_new_times():
    found = story(Link(fault="freeze", timing={"start_s": 0.4, "duration_s": 0.2}))
    assert found[8:12] == [(3, 0.4), (3, 0.4), (3, 0.5), (3, 0.5)]
    assert found[12:] == CLEAN[12:]


def test_a_blackout_is_black_in_time():
    found = story(Link(fault="blackout", timing={"start_s": 0.4, "duration_s": 0.2}))
    assert found[8:12] == [(None, 0.4), (None, 0.4), (None, 0.5), (None, 0.5)]
    assert found[12:] == CLEAN[12:]


def test_a_lossy_link_loses_the_share_it_says_in_geometric_gaps():
    """Independent losses of probability p: gaps of mean 1 / (1 - p) captures (Bernoulli trials)."""
    black = np.zeros((2, 2, 3), np.uint8)
    told = drive(Link(probability=0.3), 4000, black)
    arrived = np.unique([float(t["clock"][1]) for _, t in told])
    assert len(arrived) / 2000 == pytest.approx(0.7, abs=0.03)
    assert np.diff(arrived).mean() == pytest.approx(0.1 / 0.7, rel=0.03)


def test_only_the_camera_and_its_time_are_touched():
    for clean, told in drive(Link(fault="delay")):
        assert told["clock"][0] == clean["clock"][0]
        assert all(told[name] is clean[name] for name in ("gnss", "imu", "speed"))


def test_a_board_on_the_cable_stores_64_mib():
    # 640 x 480 x 3 bytes, ten a second: 72 pictures, 7.2 s.
    Link(fault="delay", delay_s=7.2).begin(Street(), np.random.default_rng(0))
    with pytest.raises(BudgetError, match=r"needs 6[45] MiB"):
        Link(fault="delay", delay_s=7.3).begin(Street(), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"fault": "noise"}, "fault must be one of freeze, drop, delay, blackout"),
        ({"probability": 1.2}, "probability must be a number, from 0 to 1, got 1.2"),
        ({"delay_s": -0.1}, "delay_s must be a number, 0 or more"),
    ],
)
def test_a_wrong_recipe_is_one_line(options, told):
    with pytest.raises(ValueError, match=told):
        Link(**options)
