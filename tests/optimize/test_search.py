"""Methods without gradients: each finds, each resumes, each counts its queries."""

from __future__ import annotations

import numpy as np
import pytest

from simattack.errors import ResultsError
from simattack.optimize import runs
from simattack.optimize.runs import load_state, save_state
from simattack.registry import build, kinds

METHODS = ("cma", "de", "nes", "random", "square")
BOTTOM = np.array([0.2, 0.9, 0.6, 0.4])


class Bowl:
    """Lowest, with 0, at BOTTOM; counts how often it was looked at."""

    def __init__(self):
        self.looks = 0

    def __call__(self, point):
        self.looks += 1
        return float(np.square(point - BOTTOM).sum())


def run(kind, queries, state=None, stop=None, seed=3, **options):
    bowl = Bowl()
    method = build("optimize", kind, {"queries": queries, **options}, "test")
    steps = []
    for step in method.steps(bowl, np.full(4, 0.5), np.random.default_rng(seed), state):
        steps.append(step)
        if step.iteration == stop:
            break
    return steps, bowl


def test_every_method_without_gradients_is_tested_here():
    assert set(METHODS) <= set(kinds("optimize"))


@pytest.mark.parametrize(
    ("kind", "queries", "near"),
    [("cma", 400, 1e-4), ("de", 600, 0.02), ("nes", 2000, 0.02), ("square", 2000, 0.02),
     ("random", 2000, 0.06)],
)  # fmt: skip
def test_a_method_comes_near_the_lowest_point_of_a_bowl(kind, queries, near):
    steps, _ = run(kind, queries)
    # From 0.36 at the start: the middle of the box is 0.3, 0.4, 0.1 and 0.1 away.
    assert steps[0].value == pytest.approx(0.27)
    assert steps[-1].value < near
    assert np.square(steps[-1].point - BOTTOM).sum() == pytest.approx(steps[-1].value)


@pytest.mark.parametrize("kind", METHODS)
def test_a_query_is_one_look_and_no_more_are_made_than_allowed(kind):
    steps, bowl = run(kind, 37)
    assert bowl.looks == len(steps) == 37
    assert [step.iteration for step in steps] == list(range(1, 38))
    assert all(0 <= step.point.min() and step.point.max() <= 1 for step in steps)


@pytest.mark.parametrize("kind", METHODS)
def test_a_resumed_search_ends_as_if_it_had_not_stopped(kind, tmp_path):
    whole, _ = run(kind, 60)
    path = tmp_path / "checkpoint.npz"
    save_state(path, run(kind, 60, stop=23)[0][-1].state)
    rest, bowl = run(kind, 60, load_state(path))
    assert [step.iteration for step in rest] == list(range(24, 61))
    assert bowl.looks == 37, "what was known is not looked at again"
    assert (rest[-1].point == whole[-1].point).all()
    assert rest[-1].state["values"].tolist() == whole[-1].state["values"].tolist()


@pytest.mark.parametrize("kind", METHODS)
def test_another_seed_looks_elsewhere(kind):
    one, two = (run(kind, 10, seed=seed)[0][-1].state["values"] for seed in (1, 2))
    assert not np.array_equal(one, two)


def test_squares_of_a_picture_have_one_colour_at_the_corners_of_the_box():
    seen = []

    def look(point):
        seen.append(np.array(point).reshape(4, 5, 3))
        return 2.0 if len(seen) == 1 else 1.0  # the stripes are better than the start

    method = build(
        "optimize",
        "square",
        {"queries": 6, "shape": (4, 5), "part": 0.2, "has_planes": False},
        "test",
    )
    list(method.steps(look, np.full(60, 0.5), np.random.default_rng(0)))
    stripes = seen[1]
    assert set(np.unique(stripes)) <= {0.0, 1.0}
    assert (stripes == stripes[:1]).all(), "vertical stripes"
    # A fifth of 20 cells, or less by the schedule's first marks: a square of 1 or 2 a side.
    changed = (seen[3] != seen[1]).any(axis=2)
    assert changed.sum() in (0, 1, 2, 3, 4)


def test_squares_leave_a_start_that_the_stripes_do_not_better():
    seen = []

    def look(point):
        seen.append(np.array(point).reshape(4, 5, 3))
        return 0.0 if len(seen) == 1 else 1.0

    method = build("optimize", "square", {"queries": 20, "shape": (4, 5), "has_planes": False}, "t")
    start = np.random.default_rng(1).random(60)
    last = list(method.steps(look, start, np.random.default_rng(0)))[-1]
    assert (last.point == start).all()
    # Each look after the stripes changes one square of the start.
    assert all((one != seen[0]).any(axis=2).sum() <= 6 for one in seen[2:])


def test_evolution_crosses_the_start_with_its_members():
    seen = []
    start = np.random.default_rng(1).random(12)

    def look(point):
        seen.append(np.array(point))
        return 0.0 if len(seen) == 1 else float(np.abs(point - start).sum())

    method = build("optimize", "de", {"queries": 300}, "t")
    list(method.steps(look, start, np.random.default_rng(0)))
    # Children of the start lie beside it; without it the nearest of 300 is about 1 away.
    assert min(np.abs(one - start).sum() for one in seen[1:]) < 0.3


def test_squares_shrink_from_part_of_the_picture_to_single_cells():
    seen = []

    def look(point):
        seen.append(np.array(point).reshape(12, 12, 3))
        return float(len(seen) != 2)  # the stripes stay the best

    options = {"queries": 100, "shape": (12, 12), "part": 0.25, "has_planes": False}
    method = build("optimize", "square", options, "test")
    list(method.steps(look, np.full(432, 0.5), np.random.default_rng(0)))
    sides = []
    for picture in seen[2:]:
        rows = (picture != seen[1]).any(axis=(1, 2))
        sides.append(int(np.flatnonzero(rows)[[0, -1]] @ [-1, 1] + 1) if rows.any() else 0)
    assert [max(sides[a:b]) for a, b in ((0, 3), (4, 13), (14, 33), (34, 73), (75, 98))] == [
        6, 4, 3, 2, 1,
    ]  # fmt: skip


def test_a_wrong_option_is_told_by_name():
    with pytest.raises(Exception, match="cma: queries must be a whole number, 1 or more"):
        build("optimize", "cma", {"queries": 0}, "test")
    with pytest.raises(ValueError, match=r"shape \(2, 2\) needs 12 numbers, got 4"):
        run("square", 5, shape=(2, 2))
    with pytest.raises(Exception, match="name of one of nevergrad's optimizers, got 'Nobody'"):
        run("de", 5, optimizer="Nobody")


def test_a_damaged_checkpoint_or_claim_is_told_in_one_line(tmp_path):
    runs.claim(tmp_path, {"a": 1}, True)
    (tmp_path / "inputs.json").write_text("[1]")
    with pytest.raises(ResultsError, match=r"inputs\.json is damaged \(no mapping\); remove"):
        runs.claim(tmp_path, {"a": 1}, True)
    path = tmp_path / "checkpoint.npz"
    save_state(path, {"best": np.zeros(2)})
    with pytest.raises(ResultsError, match=r"checkpoint\.npz is damaged \(KeyError: 'iteration'"):
        load_state(path)
    save_state(path, {"best": np.zeros(2), "iteration": 3})
    method = build("optimize", "random", {"queries": 9}, "t")
    with pytest.raises(ResultsError, match=r"checkpoint\.npz is damaged \(KeyError: 'values'"):
        runs.drive(method, lambda point: 0.0, np.zeros(2), np.random.default_rng(0), tmp_path)
