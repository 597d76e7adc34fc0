"""Each goal's loss falls and its score reaches 0 as a detector does what the goal wants."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from simattack.optimize.goals import FLOOD, Aim
from simattack.types import CLASS_NAMES, Detections

pytestmark = pytest.mark.usefixtures("one_thread")
STOP, PERSON = CLASS_NAMES.index("stop sign"), CLASS_NAMES.index("person")
TARGET = Detections(np.array([[10.0, 10.0, 30.0, 30.0]]), np.ones(1), ("stop sign",))


class Fixed:
    """Predicts 300 boxes of 4 px: number 0 in the middle of the target, all others far away."""

    def __init__(self, stop=3.0, person=-6.0, others=-6.0):
        self.stop, self.person, self.others = stop, person, others

    def raw(self, images):
        centres = torch.full((300, 2), 200.0)
        centres[0] = 20.0
        boxes = torch.cat([centres - 2, centres + 2], 1)[None].repeat(len(images), 1, 1)
        logits = torch.full((len(images), 300, len(CLASS_NAMES)), -6.0)
        logits[:, :, STOP] = self.others
        logits[:, 0, STOP], logits[:, 0, PERSON] = self.stop, self.person
        return boxes, logits + 0 * images.mean()

    def loss(self, images, targets):
        return torch.full((len(images),), float(self.stop))

    def scores_near(self, images, targets):
        return torch.full((len(images),), self.stop).sigmoid()


def told(goal, label="", *detectors):
    aim = Aim(detectors, goal, label)
    images = torch.zeros(2, 3, 64, 64)
    loss = aim.loss(images, [TARGET, TARGET])
    assert loss.shape == (2,)
    return float(loss[0]), float(aim.scores_near(images, [TARGET, TARGET])[0])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_hiding_is_the_detectors_own_loss():
    assert told("hide", "", Fixed()) == pytest.approx((3.0, sigmoid(3.0)))


def test_something_appears_when_its_class_scores_in_the_place():
    far, near = told("appear", "person", Fixed()), told("appear", "person", Fixed(person=3.0))
    assert far == pytest.approx((1 - sigmoid(-6) + 0.05 * 8, 1 - sigmoid(-6)))
    assert near == pytest.approx((1 - sigmoid(3.0), 1 - sigmoid(3.0)))
    elsewhere = told("appear", "stop sign", Fixed(stop=-6.0, others=6.0))
    assert elsewhere[1] == pytest.approx(1 - sigmoid(-6))


def test_a_sign_is_misnamed_only_when_its_own_class_falls_and_the_other_rises():
    both = told("misclassify", "person", Fixed(stop=3.0, person=3.0))
    neither = told("misclassify", "person", Fixed(stop=-6.0, person=-6.0))
    done = told("misclassify", "person", Fixed(stop=-6.0, person=3.0))
    assert both[1] == pytest.approx(sigmoid(3.0)) and neither[1] == pytest.approx(1 - sigmoid(-6))
    assert done[1] == pytest.approx(1 - sigmoid(3.0))
    assert done[0] < min(both[0], neither[0])


def test_a_flood_is_full_at_a_hundred_boxes():
    class Some(Fixed):
        def raw(self, images):
            boxes, logits = super().raw(images)
            logits[:, :40, STOP] = 1.0
            return boxes, logits

    assert told("overload", "", Some())[1] == pytest.approx(1 - 40 / FLOOD)
    assert told("overload", "", Fixed(others=1.0))[1] == 0.0
    assert told("overload", "", Some())[0] < told("overload", "", Fixed())[0]


def test_of_several_detectors_the_worst_decides_and_all_are_followed():
    loss, score = told("appear", "person", Fixed(), Fixed(person=3.0))
    one, other = told("appear", "person", Fixed()), told("appear", "person", Fixed(person=3.0))
    assert loss == pytest.approx((one[0] + other[0]) / 2)
    assert score == pytest.approx(one[1])


@pytest.mark.parametrize("goal", ["appear", "misclassify", "overload"])
def test_every_goal_has_a_gradient(goal):
    class Bright(Fixed):
        def raw(self, images):
            boxes, logits = super().raw(images)
            return boxes, logits + images.mean((1, 2, 3))[:, None, None]

    images = torch.zeros(1, 3, 8, 8, requires_grad=True)
    Aim((Bright(),), goal, "person").loss(images, [TARGET]).sum().backward()
    assert float(images.grad.abs().sum()) > 0


def test_a_wrong_goal_or_class_is_told():
    with pytest.raises(ValueError, match="goal must be one of hide, appear"):
        Aim((Fixed(),), "vanish")
    with pytest.raises(ValueError, match=r"label \(of goal 'appear'\) must be one of person"):
        Aim((Fixed(),), "appear", "dragon")
    with pytest.raises(ValueError, match="at least one detector"):
        Aim(())
