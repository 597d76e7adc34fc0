"""Training by ultralytics' trainer, broken off and gone on with, on four windows."""

import numpy as np
import pytest
import torch
from pinhole import PinholeScene

from simattack.calibration import calibrate
from simattack.detectors.weights import Card, save
from simattack.detectors.yolo import Yolo
from simattack.optimize.plan import WEATHERS
from simattack.standpoints import Survey, before_sign, standpoints
from simattack.train.adversarial import Adversarial
from simattack.train.dataset import Example, Labelled, Record, write_picture
from simattack.train.distilled import Distilled
from simattack.train.recipe import Recipe, fit, write_crops
from simattack.train.run import Unbudgeted
from simattack.types import CLASS_NAMES

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    rng = np.random.default_rng(0)
    examples = []
    for name in ("0", "1"):
        image = rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)
        image[100:140, 300:340] = (220, 0, 0)
        write_picture(folder / f"{name}.png", image)
        sign = Labelled("stop sign", (300, 100, 340, 140), 1600, 1600.0, 1.0, 20.0, "sign")
        examples.append(Example(Record(name, f"{name}.png", "a", 0, (sign,)), (sign,)))
    write_crops(folder, folder / "crops", examples, recipe(None))
    return folder / "crops"


@pytest.fixture(scope="module")
def twin():
    scene = PinholeScene()
    rng = np.random.default_rng(0)
    stands = standpoints(["sign"], 8, len(WEATHERS), rng, (7.0, 20.0))
    settings = [before_sign(Unbudgeted(size_m=0.5), "sign")]
    return calibrate(scene, Survey(settings, stands, WEATHERS))


def recipe(lesson):
    return Recipe(epochs=2, batch=2, lr0=0.0005, threads=1, lesson=lesson)


@pytest.mark.parametrize(
    "lesson",
    [Distilled(), Adversarial(batch=2, stickers=1, cells=16, views=16)],
    ids=["distilled", "adversarial"],
)
def test_a_training_that_broke_off_ends_as_one_that_did_not(crops, twin, tmp_path, capfd, lesson):
    def begin():
        return lesson.begin(twin, 0)

    seen = []
    whole = fit(crops, tmp_path / "whole", recipe(lesson), lambda *told: seen.append(told), begin)
    assert [done for done, _, _ in seen] == [1, 2, 3, 4] and seen[0][1] == 4
    assert "Caching" not in "".join(capfd.readouterr())  # only on_batch tells of it
    start = begin().weights
    assert any(not torch.equal(whole[name], start[name]) for name in start)

    def break_off(done, of, numbers):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(crops, tmp_path / "parts", recipe(lesson), break_off, begin)
    more = []
    parts = fit(crops, tmp_path / "parts", recipe(lesson), lambda *told: more.append(told), begin)
    assert [done for done, _, _ in more] == [3, 4]
    assert all(torch.equal(whole[name], parts[name]) for name in whole)

    card = Card("yolo11n.yaml", CLASS_NAMES)
    save(tmp_path / "made.safetensors", whole, card)
    found = Yolo(str(tmp_path / "made.safetensors")).detect(np.zeros((1, 64, 64, 3), np.uint8))
    assert len(found) == 1
