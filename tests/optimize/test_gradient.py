import numpy as np
import pytest

from simattack.optimize.gradient import Adam
from simattack.optimize.sticker import load_state, save_state

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
