import numpy as np
import pytest
import torch

from simattack.errors import ConfigError
from simattack.optimize.blackbox import BlackBox
from simattack.optimize.plan import PatchPlan
from simattack.optimizing import _black_box
from simattack.types import Detections

TARGET = Detections(np.array([[10.0, 10, 30, 30]]), np.ones(1), ("stop sign",))


class Teller:
    """Tells one box in the target, as sure as the picture is bright, and a surer one elsewhere."""

    weights = "teller"
    latency_s = 0.0

    def detect(self, images):
        boxes = np.array([[10.0, 10, 30, 30], [40, 40, 60, 60], [10, 10, 30, 30]])
        names = ("stop sign", "stop sign", "car")
        return [Detections(boxes, np.array([i.mean() / 255, 0.9, 0.95]), names) for i in images]


def plan(**options):
    return PatchPlan(pieces=1, cells=8, iterations=5, **options)


def test_a_black_box_scores_by_the_box_of_its_target_alone():
    images = torch.stack([torch.zeros(3, 64, 64), torch.full((3, 64, 64), 0.6)])
    scores = BlackBox(Teller()).scores_near(images, [TARGET, TARGET])
    assert scores.tolist() == pytest.approx([0.0, 0.6])
    assert BlackBox(Teller()).scores_near(images, [Detections.none()] * 2).tolist() == [0, 0]


def test_a_black_box_has_no_gradients_and_tells_whose_weights_it_has():
    box = BlackBox(Teller())
    assert box.weights == "teller"
    assert not hasattr(box, "loss") and not hasattr(box, "raw") and not hasattr(box, "path")


def test_a_method_with_gradients_is_refused_in_a_line_that_names_the_others():
    with pytest.raises(ConfigError, match=r"'onnx' has no gradients.*cma.*nes.*square") as caught:
        _black_box(Teller(), "onnx", plan(), ())
    assert "\n" not in str(caught.value)
    assert isinstance(_black_box(Teller(), "onnx", plan(method="random"), ()), BlackBox)


def test_goals_that_need_more_than_boxes_are_refused():
    with pytest.raises(ConfigError, match="only tells boxes"):
        _black_box(Teller(), "onnx", plan(method="random", goal="overload"), ())
