"""Bursts: nothing for a while, then one strong action until it ends."""

from __future__ import annotations

import numpy as np
import pytest

from simattack.adversary import Levers
from simattack.bursts import BEGINS, ENDS, Bursts
from simattack.scenario import Part


def made(kind, count, workers=1, seed=0):
    """(count, workers, n) actions, and the levers."""
    levers = Levers(Part(kind).build("attacks"))
    bursts = Bursts(levers, workers, seed)
    return np.array([bursts.next() for _ in range(count)]), levers


def powers(actions, levers):
    return np.array([levers.power(levers.parameters(action)) for action in actions])


@pytest.mark.parametrize("kind", ["gnss_spoofing", "gnss_jamming", "lidar_removal"])
def test_a_burst_holds_one_strong_action_and_nothing_is_done_before_and_after(kind):
    actions, levers = made(kind, 6000)
    actions = actions[:, 0]
    idle = levers.action(levers.idle).astype(np.float32)
    is_on = (actions != idle).any(1)
    assert (powers(actions[is_on], levers) >= 0.5).all()
    starts = np.flatnonzero(is_on[1:] & ~is_on[:-1])
    assert len(starts) > 50
    held = (actions[1:] == actions[:-1]).all(1)
    assert held[is_on[1:] & is_on[:-1]].all()
    # Waits of 1 / BEGINS and bursts of 1 / ENDS intervals on average.
    share = (1 / ENDS) / (1 / ENDS + 1 / BEGINS)
    assert is_on.mean() == pytest.approx(share, abs=0.08)


def test_parameters_are_at_the_ends_of_their_box_or_anywhere_in_it():
    actions, _ = made("gnss_spoofing", 20_000)
    right = actions[:, 0, 0][np.flatnonzero(np.diff(actions[:, 0, 0])) + 1]
    right = right[right != 0]
    assert 0.55 < (np.abs(right) == 1).mean() < 0.78
    assert (right == 1).sum() > 0.2 * len(right) and (right == -1).sum() > 0.2 * len(right)


def test_workers_have_bursts_of_their_own_and_a_seed_repeats_them():
    actions, _ = made("gnss_jamming", 200, workers=2, seed=[3, 4])
    assert (actions[:, 0] != actions[:, 1]).any()
    assert (actions == made("gnss_jamming", 200, workers=2, seed=[3, 4])[0]).all()
    assert (actions != made("gnss_jamming", 200, workers=2, seed=[3, 5])[0]).any()
