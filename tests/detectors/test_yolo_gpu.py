"""The detector on a GPU: the same answers as on the CPU, for callers who know of no device."""

import numpy as np
import pytest

from simattack.detectors.yolo import Yolo
from simattack.types import Detections

pytestmark = pytest.mark.gpu

TARGET = Detections(np.array([[30.0, 30.0, 90.0, 90.0]]), np.ones(1), ("stop sign",))


@pytest.fixture(scope="module")
def pair():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    return Yolo(device="cuda"), Yolo(device="cpu")


@pytest.fixture(scope="module")
def images():
    import torch

    return torch.rand(2, 3, 128, 160, generator=torch.Generator().manual_seed(3))


def test_a_gradient_through_the_gpu_arrives_where_the_image_is(pair, images):
    import torch

    slopes = []
    for detector in pair:
        leaf = images.clone().requires_grad_(True)
        loss = detector.loss(leaf, [TARGET, TARGET])
        assert loss.device == leaf.device
        slopes.append(torch.autograd.grad(loss.sum(), leaf)[0])
    assert slopes[1].abs().max() > 0
    cosine = torch.nn.functional.cosine_similarity(slopes[0].flatten(), slopes[1].flatten(), 0)
    assert cosine > 0.999


def test_scores_and_boxes_are_those_of_the_cpu(pair, images):
    on_gpu, on_cpu = (detector.raw(images) for detector in pair)
    for one, other in zip(on_gpu, on_cpu, strict=True):
        assert one.device == images.device
        assert (one - other).abs().max() < 0.05 * other.abs().max()


def test_the_gpu_repeats_itself(pair):
    picture = np.random.default_rng(0).integers(0, 256, (1, 480, 640, 3), np.uint8)
    first, again = (pair[0].detect(picture)[0] for _ in range(2))
    assert np.array_equal(first.boxes, again.boxes)
    assert np.array_equal(first.scores, again.scores)


def test_an_image_on_the_gpu_is_answered_there(pair, images):
    boxes, logits = pair[0].raw(images.to("cuda"))
    assert boxes.is_cuda and logits.is_cuda


def test_a_gradient_repeats_itself_to_the_byte(pair, images):
    import torch

    from simattack.optimize.gradient import repeatable

    def slope():
        leaf = images.clone().requires_grad_(True)
        with repeatable():
            return torch.autograd.grad(pair[0].loss(leaf, [TARGET, TARGET]).sum(), leaf)[0]

    first = slope()
    assert all(torch.equal(first, slope()) for _ in range(5))
