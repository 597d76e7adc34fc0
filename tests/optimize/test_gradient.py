import numpy as np
import pytest

from simattack.optimize.gradient import Adam
from simattack.optimize.runs import load_state, save_state
from simattack.registry import build

pytestmark = pytest.mark.usefixtures("one_thread")


class Bowl:
    """Lowest, with 0, at ``bottom``; every look at the slope is noisy."""

    def __init__(self, bottom):
        self.bottom = np.asarray(bottom, float)
        self.memory = np.zeros(2)

    def loss(self, point, rng):
        self.memory += 1
        away = point - point.new_tensor(self.bottom + 0.01 * rng.standard_normal(len(self.bottom)))
        return away.square().sum(), {"steepest": float(away.detach().abs().max())}

    def judge(self, point):
        value = float(np.square(point - self.bottom).sum())
        return value, {"seen": value}


def run(iterations, state=None, stop=None):
    bowl = Bowl([0.2, 0.9, 1.4])
    steps = []
    rng = np.random.default_rng(0)
    for step in Adam(iterations=iterations, check_every=5).steps(bowl, np.full(3, 0.5), rng, state):
        steps.append(step)
        if step.iteration == stop:
            break
    return steps


def test_adam_finds_the_lowest_point_of_the_box():
    last = run(200)[-1]
    assert last.point == pytest.approx([0.2, 0.9, 1.0], abs=0.02)
    assert last.value == pytest.approx(0.16, abs=0.01)


def test_the_first_step_is_as_long_as_the_rate_in_every_direction():
    first = run(1000, stop=1)[0]
    # Adam's first step is rate * sign(slope), whatever the slope's size.
    assert first.state["point"] == pytest.approx([0.47, 0.53, 0.53], abs=1e-4)


def test_a_resumed_run_ends_as_if_it_had_not_stopped(tmp_path):
    whole = run(40)
    path = tmp_path / "checkpoint.npz"
    save_state(path, run(40, stop=15)[-1].state)
    rest = run(40, load_state(path))
    assert [step.iteration for step in rest] == list(range(16, 41))
    assert (rest[-1].state["point"] == whole[-1].state["point"]).all()
    assert (rest[-1].point == whole[-1].point).all()
    assert rest[-1].state["memory"].tolist() == [40, 40]


def test_the_best_point_is_kept_by_its_held_out_value():
    class Rising(Bowl):
        """Slopes lead downhill, judgement gets worse from the third look on."""

        looks = 0

        def judge(self, point):
            self.looks += 1
            return abs(self.looks - 3.0), {}

    steps = list(
        Adam(iterations=30, check_every=5).steps(
            Rising([0.0]), np.ones(1), np.random.default_rng(0)
        )
    )
    assert steps[-1].value == 0.0
    assert (steps[-1].point == steps[9].state["point"]).all()


@pytest.mark.parametrize("options", [{"iterations": 0}, {"check_every": 0}, {"rate": 0.0}])
def test_a_senseless_recipe_is_refused(options):
    with pytest.raises(ValueError, match="at least 1"):
        Adam(**options)


METHODS = {"pgd": {}, "momentum": {}, "rms": {}, "lbfgs": {"pairs": 3}, "adam": {}}


def follow(kind, iterations, state=None, stop=None, bowl=None, **options):
    bowl = bowl or Bowl([0.2, 0.9, 1.4])
    recipe = {"iterations": iterations, "check_every": 5, **METHODS[kind], **options}
    method = build("optimize", kind, recipe, "test")
    steps = []
    for step in method.steps(bowl, np.full(3, 0.5), np.random.default_rng(0), state):
        steps.append(step)
        if step.iteration == stop:
            break
    return steps


@pytest.mark.parametrize("kind", METHODS)
def test_a_method_finds_the_lowest_point_of_the_box(kind):
    last = follow(kind, 200)[-1]
    assert last.point == pytest.approx([0.2, 0.9, 1.0], abs=0.03)


@pytest.mark.parametrize("kind", METHODS)
def test_a_method_resumed_ends_as_if_it_had_not_stopped(kind, tmp_path):
    whole = follow(kind, 30)
    path = tmp_path / "checkpoint.npz"
    save_state(path, follow(kind, 30, stop=12)[-1].state)
    rest = follow(kind, 30, load_state(path))
    assert [step.iteration for step in rest] == list(range(13, 31))
    assert (rest[-1].state["point"] == whole[-1].state["point"]).all()
    assert (rest[-1].point == whole[-1].point).all()


def test_the_first_step_of_each_rule_is_what_its_formula_says():
    # The slope at the middle is twice the way from the bottom: 0.6, -0.8 and -1.8.
    slope = np.array([0.6, -0.8, -1.8])
    rate = 0.02 * (0.05 + 0.475 * (1 + np.cos(np.pi / 1000)))
    expected = {
        "pgd": 0.5 - rate * np.sign(slope),
        "momentum": 0.5 - rate * np.sign(slope),
        "rms": 0.5 - rate * slope / np.sqrt(np.mean(slope**2)),
    }
    for kind, point in expected.items():
        first = follow(kind, 1000, stop=1, rate=0.02)[0]
        assert first.state["point"] == pytest.approx(point, abs=5e-4), kind


def test_curvature_lets_lbfgs_cross_a_long_valley_that_a_scaled_gradient_does_not():
    class Valley(Bowl):
        def loss(self, point, rng):
            away = point - point.new_tensor(self.bottom)
            return (away * point.new_tensor([1.0, 1.0, 30.0])).square().sum(), {}

        def judge(self, point):
            away = (point - self.bottom) * [1.0, 1.0, 30.0]
            return float(np.square(away).sum()), {}

    bottom = [0.1, 0.9, 0.45]
    found = {
        kind: follow(kind, 25, bowl=Valley(bottom), rate=0.1)[-1].value for kind in ("lbfgs", "rms")
    }
    assert found["lbfgs"] < 1e-4
    assert found["rms"] > 1e-2


def test_both_gradients_of_a_pair_are_of_one_batch():
    class Noted(Bowl):
        draws = []

        def loss(self, point, rng):
            self.draws.append(float(rng.random()))
            return super().loss(point, rng)

    bowl = Noted([0.2, 0.9, 0.4])
    follow("lbfgs", 4, bowl=bowl)
    assert bowl.draws[0::2] == bowl.draws[1::2]
    assert len(set(bowl.draws)) == 4
    assert bowl.memory.tolist() == [4, 4], "the second look teaches the objective nothing"
