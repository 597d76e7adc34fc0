"""The race of patch attacks: who takes turns, what counts, and what is said of it. ART is not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from simattack.calibration import calibrate
from simattack.standpoints import standpoints
from simattack.types import Weather
from tests.pinhole import PinholeScene, survey

pytestmark = pytest.mark.usefixtures("one_thread")

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    """The folder's own imports work as if it was run from there."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


class Runner:
    """Each step takes so long, and hides a tenth more."""

    def __init__(self, name, clock, step_s, last=100):
        self.name, self._clock, self._step_s, self._last = name, clock, step_s, last
        self.steps = 0

    def step(self):
        if self.steps == self._last:
            return False
        self.steps += 1
        self._clock[0] += self._step_s
        return True

    def picture(self):
        return np.full((1, 1, 3), max(0, 10 - self.steps), np.uint8)


def run(*paces, limit_s=100.0, last=100):
    from rivals.race import race

    clock = [0.0]
    sides = [Runner(f"side{i}", clock, pace, last) for i, pace in enumerate(paces)]

    def judge(picture):
        clock[0] += 50.0  # judging costs much, and counts for nobody
        return int(picture[0, 0, 0]) / 10

    return race(sides, judge, limit_s, (1.0, 0.0), now=lambda: (clock[0], 2 * clock[0]))


def test_each_side_is_charged_for_its_own_steps_only():
    quick, slow = run(1.0, 3.0)
    assert (quick.cpu_s, quick.wall_s, quick.steps) == (8.0, 16.0, 8)
    assert (slow.cpu_s, slow.steps) == (24.0, 8)
    assert quick.has_arrived and quick.trace[-1] == [8.0, 8, 0.2]
    assert [look[2] for look in quick.trace] == [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]


def test_a_side_that_runs_out_of_time_or_steps_has_not_arrived():
    from rivals.race import ratio

    quick, slow = run(1.0, 5.0, limit_s=12.0)
    assert slow.cpu_s == 15.0 and not slow.has_arrived and slow.best == 0.7
    assert ratio(quick, slow) == (15 / 8, True)
    assert ratio(slow, quick)[1] and math.isnan(ratio(slow, quick)[0])
    (short,) = run(1.0, last=3)
    assert short.steps == 3 and not short.has_arrived


class Redness:
    """Sees what is red in the middle of a target, whatever the network is."""

    def loss(self, images, targets):
        found = []
        for image, target in zip(images, targets, strict=True):
            x0, y0, x1, y1 = (round(float(v)) for v in target.boxes[0])
            red, green, blue = image[:, y0:y1, x0:x1].mean((1, 2))
            found.append(4 * (red - (green + blue) / 2))
        return torch.stack(found).sigmoid()

    scores_near = loss


@pytest.fixture(scope="module")
def arenas():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        from rivals.arena import Fixed, Signs

        scene = PinholeScene()
        stands = standpoints(["sign"], 8, 1, np.random.default_rng(0), (7.0, 20.0))
        twin = calibrate(scene, survey(stands, [Weather()]))
        yield Signs(twin, Redness()), Fixed(twin, Redness(), least_px=16.0)


@pytest.mark.parametrize("which", [0, 1])
def test_our_side_hides_a_stand_in_on_both_grounds(arenas, which):
    from rivals.arena import controls
    from rivals.ours import Ours

    arena = arenas[which]
    assert controls(arena, 0)["clean"] == 1.0
    side = Ours(arena, 0)
    before = arena.scores(side.picture()).mean()
    for _ in range(12):
        assert side.step()
    assert side.picture().shape == (arena.side_px, arena.side_px, 3)
    assert arena.scores(side.picture()).mean() < before - 0.02


def test_the_patch_takes_its_part_of_the_sign_and_lies_in_the_middle(arenas):
    signs, fixed = arenas
    left, _, right, _ = signs.twin.faces[0].extent
    assert signs.share == pytest.approx(42 / 48 * (right - left))
    expanded = signs.layout.expand(torch.ones(3, 42, 42))
    assert expanded.shape == (4, 48, 48) and float(expanded[3].sum()) == 42**2
    images = torch.zeros(2, 3, 128, 128)
    shown = fixed.paste(images, torch.ones(3, 16, 16))
    assert torch.equal(shown[0, 0].nonzero().amin(0), torch.tensor([56, 56]))
    assert float(shown.sum()) == 2 * 3 * 16**2
    for frames in (fixed.lesson, fixed.held_out):
        for target in frames.targets:
            middle = (target.boxes[0, :2] + target.boxes[0, 2:]) / 2
            assert np.abs(middle - 64).max() <= 2


def test_the_table_says_at_least_where_a_side_has_not_arrived(tmp_path, monkeypatch):
    import toolbox_race

    monkeypatch.setattr(toolbox_race, "OUT", tmp_path)
    assert toolbox_race.table()[0].endswith("nothing is recorded yet\n")
    trace = [[4.0, 8, 0.1]]
    ours = {"side": "ours", "cpu_s": 4.0, "wall_s": 5.0, "steps": 8, "has_arrived": True}
    other = {"side": "art_patch", "cpu_s": 10.0, "wall_s": 9.0, "steps": 5, "has_arrived": False}
    courses = [{**ours, "trace": trace}, {**other, "trace": [[10.0, 5, 0.7]]}]
    (tmp_path / "signs_0.json").write_text(json.dumps({"courses": courses}))
    text, is_met = toolbox_race.table()
    assert ">= 2.5" in text and "MISSED signs: art_patch takes 3.00" in text and not is_met
    courses[1]["cpu_s"] = 13.0
    (tmp_path / "signs_0.json").write_text(json.dumps({"courses": courses}))
    (tmp_path / "cost.json").write_text(json.dumps({"ratio": 1.25}))
    text, is_met = toolbox_race.table()
    assert ">= 3.2" in text and "met    an iteration costs 1.25" in text and is_met
    # A seed in which ours did not arrive is no gain, whatever the others say.
    courses[0]["has_arrived"] = False
    for seed in (1, 2):
        (tmp_path / f"signs_{seed}.json").write_text(json.dumps({"courses": courses}))
    text, is_met = toolbox_race.table()
    assert "MISSED signs: art_patch" in text and not is_met
