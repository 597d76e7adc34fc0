import dataclasses

import numpy as np
import pytest
import torch

from simattack import registry
from simattack.defenses.retrained import Retrained
from simattack.detectors.yolo import Yolo
from simattack.errors import WeightsError
from simattack.taxonomy import Family
from simattack.types import CarInfo, Defense, Detections, Differentiable


def test_the_car_looks_with_the_new_weights_and_its_image_is_left_alone():
    defense = Retrained("town_yolo11n", confidence=0.4)
    assert isinstance(defense, Defense) and isinstance(defense, Differentiable)
    running = defense.begin(CarInfo(), np.random.default_rng(0))
    assert running.wrap("the detector") == Yolo("town_yolo11n", 0.4) == defense.network
    obs = {"camera": np.zeros((4, 4, 3), np.uint8)}
    assert running.clean(obs) is obs
    seen = Detections.none()
    assert running.judge(obs, seen).detections is seen
    images = torch.rand(1, 3, 4, 4)
    assert defense.surrogate(images, np.random.default_rng(0)) is images


def test_the_new_weights_report_from_the_score_of_the_detector_whose_place_they_take():
    running = Retrained("town_yolo11n_hardened").begin(CarInfo(), np.random.default_rng(0))
    assert running.wrap(Yolo("town_yolo11n", 0.01)) == Yolo("town_yolo11n_hardened", 0.01)
    assert running.wrap("another kind") == Yolo("town_yolo11n_hardened")


def test_weights_that_are_not_there_are_one_line():
    with pytest.raises(WeightsError, match=r"no_such.*does not exist; shipped"):
        registry.build("defenses", "retrained", {"weights": "no_such"}, "test")


def test_weights_that_mask_gradients_say_so(monkeypatch):
    assert not Retrained("town_yolo11n").masks_gradients
    card = Yolo("town_yolo11n").card
    for hot, is_masking in ((10.0, True), (1.0, False)):
        lesson = {"kind": "distilled", "temperature": hot}
        told = dataclasses.replace(card, recipe={**card.recipe, "lesson": lesson})
        monkeypatch.setattr(Yolo, "card", property(lambda self, told=told: told))
        assert Retrained("town_yolo11n").masks_gradients is is_masking


def test_the_distilled_student_is_called_gradient_masking_and_attacked_through_its_own_network():
    defense = registry.build("defenses", "distilled", {}, "test")
    assert defense.family == Family.MASKING and defense.masks_gradients
    assert defense.network == Yolo("town_yolo11n_distilled")
