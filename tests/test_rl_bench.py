"""Adversaries side by side: what is driven once is not driven again, and what is said of it."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from simattack import config
from simattack.adversary import Terms
from simattack.errors import ResultsError

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
    assert (drawn_anew.value, drawn_anew.low, drawn_anew.high) == pytest.approx((0.5, 0.0, 1.0))
    assert rl.differences(found, []) == {}
