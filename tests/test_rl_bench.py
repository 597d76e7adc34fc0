"""Adversaries side by side: what is driven once is not driven again, and what is said of it."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from simattack import config
from simattack.adversary import Levers, Terms
from simattack.errors import ResultsError
from simattack.scenario import Part

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def rl(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("rl")


@pytest.fixture
def env():
    return SimpleNamespace(scenario=config.read_scenario("curve"), terms=Terms("grey", 0.5, 3.0))


def test_a_book_drives_each_contender_and_seed_once_under_the_same_terms(
    rl, env, monkeypatch, tmp_path
):
    driven = []

    def drive(env, begin, seed):
        driven.append(seed)
        return rl.Drive(0.125 * seed, seed > 1)

    monkeypatch.setattr(rl, "drive", drive)
    path = tmp_path / "there" / "curve.drives.jsonl"
    first = [rl.Book(env, path).drive("idle", None, seed) for seed in (1, 2)]
    book = rl.Book(env, path)
    assert [book.drive("idle", None, seed) for seed in (1, 2)] == first and driven == [1, 2]
    book.drive([0.0, [1.0]], None, 1)
    env.terms = Terms("grey", 0.5, 1.0)
    rl.Book(env, path).drive("idle", None, 2)
    assert driven == [1, 2, 1, 2]
    path.write_text("rubbish\n" + path.read_text())
    with pytest.raises(ResultsError, match=r"curve\.drives\.jsonl:1: .*remove the line"):
        rl.Book(env, path)


def test_a_gain_is_told_of_these_trainings_and_of_trainings_drawn_anew(rl):
    def drives(*harms):
        return [rl.Drive(harm, False) for harm in harms]

    found = {"idle": drives(0.0, 0.1, 0.0), "a": drives(1.0, 1.1, 1.0), "b": drives(0.0, 0.1, 0.0)}
    told = rl.differences(found, ["a", "b"])
    assert list(told) == ["idle"]
    these, drawn_anew = told["idle"]
    assert (these.value, these.low, these.high) == pytest.approx((0.5, 0.5, 0.5))
    # Student's t of two trainings, 1 and 0: 6.31 times 0.5 to either side.
    assert (drawn_anew.value, drawn_anew.low, drawn_anew.high) == pytest.approx(
        (0.5, 0.5 - 3.156876, 0.5 + 3.156876), abs=1e-5
    )
    assert rl.differences(found, []) == {}


class Jamming:
    """Two parameters that cost power and a place that costs none."""

    box = (np.array([-5.0, 0.0, 10.0]), np.array([5.0, 2.0, 20.0]))
    idle = np.array([0.0, 0.0, np.nan])


def test_simple_adversaries_try_all_combinations_of_the_ends_at_a_share_of_power(rl):
    levers = Levers(Jamming())
    full = [tuple(levers.parameters(one).tolist()) for one in rl.directions(levers, 1.0)]
    # -5, 0 or 5 with 0 or 2, but not both idle; each at the place's low end, middle and high end.
    assert len(full) == len(set(full)) == 15
    assert (0.0, 2.0, 20.0) in full and (-5.0, 2.0, 10.0) in full and (5.0, 0.0, 15.0) in full
    some = [tuple(levers.parameters(one).tolist()) for one in rl.directions(levers, 0.5)]
    assert (-2.5, 1.0, 10.0) in some and len(some) == 15


def test_tuning_finds_the_best_moment_and_tells_of_the_early_ones(rl, monkeypatch):
    levers = Levers(Jamming())
    target = levers.action(np.array([5.0, 1.0, 20.0]) * [0.6, 1.2, 1.0])
    drives = []

    class Known:
        def drive(self, who, begin, seed):
            drives.append(seed)
            when, direction = who
            off = abs(when - 4.0) + np.abs(np.array(direction) - target).sum()
            return rl.Drive(-off, False)

    env = SimpleNamespace(levers=levers, terms=Terms("grey", 0.5, 3.0))
    best = rl.tune(env, Known(), [0.0, 4.0, 8.0], [1.0, 0.6], range(5))
    assert max(best, key=lambda tried: best[tried][0]) == (4.0, 0.6)
    assert best[4.0, 0.6][0] == pytest.approx(0.0, abs=1e-9)
    assert rl.EARLY in best
    # 90 on two seeds, 30 on five, and those of the 15 early ones that are not among these.
    assert 90 * 2 + 30 * 5 <= len(drives) <= 90 * 2 + 45 * 5


def test_a_ramp_grows_evenly_to_full_power_and_leaves_places_where_they_are(rl):
    levers = Levers(Jamming())
    terms = Terms("grey", 0.5, 3.0)
    act = rl.ramped(levers, terms, 1.0, 2.0, levers.action(np.array([5.0, 0.0, 20.0])))(0)
    told = [levers.parameters(act(None)).round(6).tolist() for _ in range(8)]
    assert told[:2] == [[0.0, 0.0, 15.0]] * 2
    assert [one[0] for one in told[2:]] == [1.25, 2.5, 3.75, 5.0, 5.0, 5.0]
    assert {one[2] for one in told[2:]} == {20.0}


def test_the_ramp_of_the_most_harm_is_found(rl):
    levers = Levers(Jamming())

    class Known:
        def drive(self, who, begin, seed):
            _, start_s, over_s, direction = who
            far = np.abs(levers.parameters(np.array(direction)) - (-5.0, 2.0, 10.0)).sum()
            return rl.Drive(-abs(start_s - 4.0) - abs(over_s - 5.0) - far, False)

    env = SimpleNamespace(levers=levers, terms=Terms("grey", 0.5, 3.0))
    who, _ = rl.slope(env, Known(), [0.0, 4.0], [2.0, 5.0], range(5))
    assert who[:3] == ["ramp", 4.0, 5.0]
    assert levers.parameters(np.array(who[3])) == pytest.approx([-5.0, 2.0, 10.0])


def test_near_waits_until_the_target_is_near_enough_and_ahead(rl):
    levers = Levers(Part("gnss_spoofing").build("attacks"))
    full = levers.action(np.array([5.0, 0.0, 1.0]))
    act = rl.near(levers, ("a", "target ahead / 50 m"), 20.0, full)(0)
    told = [act(np.array([9.0, away_m / 50.0])).tolist() for away_m in (30.0, 20.0, 5.0, -1.0)]
    nothing = levers.action(levers.idle).tolist()
    assert told == [nothing, full.tolist(), full.tolist(), nothing]


def test_the_nearness_of_the_most_harm_is_found_among_the_best_directions(rl):
    levers = Levers(Part("gnss_spoofing").build("attacks"))

    class Known:
        def drive(self, who, begin, seed):
            _, within_m, direction = who
            return rl.Drive(-abs(within_m - 30.0) + direction[0], False)

    env = SimpleNamespace(levers=levers, sees=("a", "target ahead / 50 m"))
    best = {(float(k), 1.0): (k / 10, np.array([k / 10, 0.0, 1.0])) for k in range(5)}
    who, _ = rl.nearest(env, Known(), best, [10.0, 30.0, 60.0], range(5))
    assert who == ["near", 30.0, [0.4, 0.0, 1.0]]


def test_a_switched_attack_has_directions_with_the_switch_on(rl):
    levers = Levers(Part("gnss_spoofing").build("attacks"))
    found = [levers.parameters(one).tolist() for one in rl.directions(levers, 1.0)]
    assert len(found) == 9 and {one[2] for one in found} == {1.0}
    assert [5.0, -5.0, 1.0] in found and [0.0, 0.0, 1.0] in found
