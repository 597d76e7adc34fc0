import json
import pickle
from copy import deepcopy

import numpy as np
import pytest

from simattack.detectors import weights as files
from simattack.detectors.looking import looking, plain
from simattack.detectors.predictions import ABSENT_LOGIT
from simattack.detectors.yolo import Yolo
from simattack.errors import WeightsError
from simattack.registry import lookup
from simattack.types import CLASS_NAMES, Detections

pytestmark = pytest.mark.usefixtures("one_thread")

SIGN = CLASS_NAMES.index("stop sign")
TARGET = Detections(np.array([[30.0, 30.0, 90.0, 90.0]]), np.ones(1), ("stop sign",))


@pytest.fixture(scope="module")
def network():
    import torch

    torch.manual_seed(0)
    network = files.build("yolo11n.yaml", len(CLASS_NAMES))
    # Random weights pass hardly anything on: norm every layer to what noise makes of it, so that
    # scores follow the picture, some of them high.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.rand(4, 3, 128, 160))
    for branch in network.model[-1].cv3:
        branch[-1].weight.data *= 2.0
        branch[-1].bias.data[:] = -1.0
    return network


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    card = files.Card(architecture="yolo11n.yaml", classes=CLASS_NAMES, seed=7)
    files.save(path, network.state_dict(), card)
    return path


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (1, 128, 160, 3), dtype=np.uint8)


def tensor(picture):
    import torch

    return torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255


def test_it_is_registered_as_yolo():
    assert lookup("detectors", "yolo") is Yolo


def test_a_written_card_is_read_back_with_its_seed_and_classes(weights):
    card = files.read_card(weights)
    assert (card.seed, card.classes, card.architecture) == (7, CLASS_NAMES, "yolo11n.yaml")
    assert Yolo(str(weights)).card.sha256 == card.sha256


def test_two_looks_at_one_picture_are_identical_and_boxes_lie_inside(weights, picture):
    detector = Yolo(str(weights), confidence=0.5)
    (first,) = detector.detect(picture)
    (again,) = Yolo(str(weights), confidence=0.5).detect(picture)
    assert len(first) > 0
    np.testing.assert_array_equal(first.boxes, again.boxes)
    np.testing.assert_array_equal(first.scores, again.scores)
    assert first.labels == again.labels
    assert first.scores.min() > 0.5 and np.all(np.diff(first.scores) <= 0)
    assert first.boxes.min() >= 0 and np.all(first.boxes[:, 2:] <= (160, 128))


def test_the_confidence_asked_for_decides_what_is_reported(weights, picture):
    (loose,) = Yolo(str(weights), confidence=0.5, iou=0.1).detect(picture)
    threshold = float(np.median(loose.scores))
    (strict,) = Yolo(str(weights), confidence=threshold, iou=0.1).detect(picture)
    assert 0 < len(strict) == (loose.scores > threshold).sum() < len(loose)


def test_a_picture_s_result_does_not_depend_on_its_neighbours(weights, picture):
    detector = Yolo(str(weights), confidence=0.5)
    both = detector.detect(np.concatenate([picture, 255 - picture]))
    np.testing.assert_array_equal(both[0].boxes, detector.detect(picture)[0].boxes)
    assert not np.array_equal(both[1].scores, both[0].scores)


def test_a_read_only_picture_is_looked_at_without_a_warning(weights, picture):
    locked = picture.copy()
    locked.setflags(write=False)
    detector = Yolo(str(weights), confidence=0.5)
    np.testing.assert_array_equal(
        detector.detect(locked)[0].boxes, detector.detect(picture)[0].boxes
    )


def test_overlapping_boxes_of_one_class_are_reported_once(weights, picture):
    (loose,) = Yolo(str(weights), confidence=0.5, iou=1.0).detect(picture)
    (strict,) = Yolo(str(weights), confidence=0.5, iou=0.1).detect(picture)
    assert len(strict) < len(loose)


def test_a_size_off_the_stride_is_padded_not_resized(weights, picture):
    boxes, logits = Yolo(str(weights)).raw(tensor(picture[:, :100, :150]))
    cells = sum((128 // s) * (160 // s) for s in (8, 16, 32))
    assert boxes.shape == (1, cells, 4) and logits.shape == (1, cells, len(CLASS_NAMES))


def test_detected_scores_are_those_the_gradients_flow_from(weights, picture):
    detector = Yolo(str(weights), confidence=0.5)
    _, logits = detector.raw(tensor(picture))
    best = number(logits.sigmoid().max())
    assert detector.detect(picture)[0].scores.max() == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("size", [(128, 160), (480, 640), (100, 150)])
def test_looking_is_not_torch_s_and_gives_its_logits_at_any_size(size):
    import torch

    detector = Yolo(device="cpu")
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        boxes, logits = detector.raw(images)
        fast_boxes, fast_logits = detector._run(detector._looking, images)
    torch.testing.assert_close(fast_logits, logits, rtol=0, atol=1e-3)
    torch.testing.assert_close(fast_boxes, boxes, rtol=0, atol=1e-2)
    assert not torch.equal(fast_logits, logits), "looked at by torch, a third slower"


def test_a_network_that_onnx_cannot_say_is_looked_through_by_torch(network, picture):
    import torch

    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = deepcopy(network).eval()
            self.model = self.inner.model

        def forward(self, images):
            return self.inner(images + 0 * torch.linalg.eigvals(images[0, 0, :2, :2]).real.mean())

    odd = Odd()
    with torch.no_grad():
        boxes, logits = looking(odd)(tensor(picture))
        again, _ = plain(odd)(tensor(picture))
    assert torch.equal(boxes, again) and logits.shape[1] == len(CLASS_NAMES)


def test_the_gradient_reaches_the_image_after_a_detection_and_falls_off_its_target(
    weights, picture
):
    detector = Yolo(str(weights))
    detector.detect(picture)
    image = tensor(picture).requires_grad_()
    loss = detector.loss(image, [TARGET])
    assert loss.shape == (1,)
    loss.sum().backward()
    assert float(image.grad.abs().max()) > 0
    assert all(not p.requires_grad for p in detector._network[0].parameters())


def test_a_small_step_against_the_gradient_lowers_the_loss_as_it_foretells(weights, picture):
    import torch

    detector = Yolo(str(weights))
    image = tensor(picture).requires_grad_()
    loss = detector.loss(image, [TARGET]).sum()
    (gradient,) = torch.autograd.grad(loss, image)
    slope = gradient.norm()
    step = 0.01 * loss.detach() / slope  # foretells 1 % less
    with torch.no_grad():
        after = detector.loss(image - step * gradient / slope, [TARGET])
    fall = 1 - number(after / loss.detach())
    assert 0.005 < fall < 0.015


def test_the_loss_looks_only_at_its_own_class_and_place(weights, picture):
    import torch

    detector = Yolo(str(weights))
    boxes, logits = detector.raw(tensor(picture))
    middle = (boxes[0, :, :2] + boxes[0, :, 2:]) / 2
    near = ((middle - torch.tensor([60.0, 60.0])).abs() <= 1.3 * 30).all(1)
    expected = logits[0, near, SIGN].max().sigmoid()
    assert number(detector.scores_near(tensor(picture), [TARGET])) == pytest.approx(
        number(expected)
    )


def test_images_without_targets_cost_nothing_but_stay_in_the_graph(weights, picture):
    import torch

    detector = Yolo(str(weights))
    image = tensor(picture).requires_grad_()
    loss = detector.loss(torch.cat([image, image]), [Detections.none(), TARGET])
    assert number(loss[0]) == 0 and number(loss[1]) > 0
    with pytest.raises(ValueError, match="as many sets of targets"):
        detector.loss(image, [])


def test_the_recipe_pickles_without_its_network(weights, picture):
    detector = Yolo(str(weights), confidence=0.5)
    detector.detect(picture)
    text = pickle.dumps(detector)
    assert len(text) < 1000
    copy = pickle.loads(text)
    assert copy == detector
    np.testing.assert_array_equal(copy.detect(picture)[0].boxes, detector.detect(picture)[0].boxes)


def test_loading_leaves_torch_threads_and_the_environment_as_they_were(weights):
    import os

    import torch

    before = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    files.load(weights)
    assert (torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")) == before


def copied(weights, folder):
    path = folder / weights.name
    path.write_bytes(weights.read_bytes())
    card = files.card_path(weights)
    files.card_path(path).write_text(card.read_text())
    return path


def number(value):
    return value.detach().item()


def one_line(caught):
    text = str(caught.value)
    return "\n" not in text and len(text) < 400


def test_changed_weights_are_refused(weights, tmp_path):
    path = copied(weights, tmp_path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"sha256.*expects") as caught:
        Yolo(str(path))
    assert one_line(caught)


def test_missing_weights_name_what_ships():
    with pytest.raises(WeightsError, match=r"no_such.*does not exist; shipped") as caught:
        Yolo("no_such")
    assert one_line(caught)


def test_weights_without_a_card_are_refused(weights, tmp_path):
    path = copied(weights, tmp_path)
    files.card_path(path).unlink()
    with pytest.raises(WeightsError, match="expected the card") as caught:
        Yolo(str(path))
    assert one_line(caught)


def test_a_damaged_card_is_refused(weights, tmp_path):
    path = copied(weights, tmp_path)
    files.card_path(path).write_text("{")
    with pytest.raises(WeightsError, match="not a card"):
        Yolo(str(path))


def test_weights_of_foreign_classes_are_refused(weights, tmp_path):
    path = copied(weights, tmp_path)
    card = json.loads(files.card_path(path).read_text())
    card["classes"] = [f"galaxy {i}" for i in range(8)]
    files.card_path(path).write_text(json.dumps(card))
    with pytest.raises(WeightsError, match=r"detects galaxy 0.*expected some of COCO") as caught:
        Yolo(str(path))
    assert one_line(caught)


def test_weights_that_do_not_fit_their_card_are_refused(weights, tmp_path):
    path = copied(weights, tmp_path)
    card = json.loads(files.card_path(path).read_text())
    card["classes"] = card["classes"][:3] + card["classes"][7:]
    files.card_path(path).write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="does not fit yolo11n"):
        files.load(path)


def test_a_pickle_is_loaded_only_when_trusted(network, tmp_path, picture):
    import copy

    import torch

    path = tmp_path / "coco.pt"
    twin = copy.deepcopy(network)
    # A network of other classes in another order, as COCO's are.
    twin.names = dict(enumerate(["stop sign", "kite", "car", *(f"x{i}" for i in range(5))]))
    torch.save({"model": twin, "train_args": {}}, path)
    with pytest.raises(WeightsError, match="--trust-pickle") as caught:
        Yolo(str(path))
    assert one_line(caught)
    detector = Yolo(str(path), trust_pickle=True)
    _, logits = detector.raw(tensor(picture))
    assert number(logits[..., CLASS_NAMES.index("person")].max()) == ABSENT_LOGIT
    own = twin.float().eval()(tensor(picture))[1]["scores"].transpose(1, 2)
    np.testing.assert_allclose(logits[..., SIGN].detach(), own[..., 0].detach(), atol=2e-3)
    np.testing.assert_allclose(
        logits[..., CLASS_NAMES.index("car")].detach(), own[..., 2].detach(), atol=2e-3
    )


def test_a_pickle_of_something_else_is_one_line(tmp_path):
    path = tmp_path / "list.pt"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(WeightsError, match="not an ultralytics detection model") as caught:
        Yolo(str(path), trust_pickle=True).card  # noqa: B018
    assert one_line(caught)
