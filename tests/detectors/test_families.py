"""Every family of detectors under one contract, with random weights and small pictures."""

import copy
import pickle
import socket

import numpy as np
import pytest
import torch

from simattack.detectors import torchvision_models
from simattack.detectors import weights as files
from simattack.detectors.onnx_file import Onnx
from simattack.detectors.predictions import ABSENT_LOGIT
from simattack.detectors.torchvision_models import Torchvision, _one_against_rest
from simattack.detectors.yolo import Yolo
from simattack.errors import WeightsError
from simattack.types import CLASS_NAMES, Detections

pytestmark = pytest.mark.usefixtures("one_thread")

OF_TORCHVISION = ("fasterrcnn_mobilenet_v3_large_320_fpn", "ssdlite320_mobilenet_v3_large")
FAMILIES = [
    "yolo26n", "yolov8-rtdetr", "ssdlite320_mobilenet_v3_large",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("yolov8n", "yolov10n", "yolo12n", "fasterrcnn_mobilenet_v3_large_320_fpn")
    ),
]  # fmt: skip
TARGET = Detections(np.array([[4.0, 4.0, 60.0, 60.0]]), np.ones(1), ("stop sign",))
SIGN = CLASS_NAMES.index("stop sign")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="module", params=FAMILIES)
def detector(request, folder):
    name = request.param
    torch.manual_seed(0)
    if name in OF_TORCHVISION:
        classes = ("background", *CLASS_NAMES)
        network = torchvision_models.build(name, len(classes))
        normed(network, network.backbone)
        if hasattr(network, "rpn"):
            # Proposals are the anchors, and the same ones whatever the picture.
            network.rpn.head.bbox_pred.weight.data.zero_()
            network.rpn.head.cls_logits.weight.data.zero_()
            network.roi_heads.box_predictor.bbox_pred.weight.data.zero_()
            for inner in network.backbone.fpn.inner_blocks:
                inner[0].weight.data /= 1e4  # of what random layers blow up
        path = folder / f"{name}.pth"
        torch.save(network.state_dict(), path)
        return Torchvision(
            str(path), name, classes, confidence=0.05, frame_px=(64, 64), trust_pickle=True
        )
    network = files.build(f"{name}.yaml", len(CLASS_NAMES))
    normed(network, network)
    for branch in getattr(network.model[-1], "cv3", ()):
        branch[-1].weight.data *= 2.0
        branch[-1].bias.data[:] = -1.0  # as built, nothing is likelier than one in a million
    path = folder / f"{name}.safetensors"
    state = {key: value.clone() for key, value in network.state_dict().items()}
    files.save(path, state, files.Card(architecture=f"{name}.yaml", classes=CLASS_NAMES))
    return Yolo(str(path), confidence=0.05, device="cpu")


def normed(network, part):
    """Random weights pass hardly anything on: norm every layer to what noise makes of it."""

    def learn(module, given):
        module.running_mean.copy_(given[0].mean((0, 2, 3)))
        module.running_var.copy_(given[0].var((0, 2, 3), unbiased=False))

    hooks = [
        module.register_forward_pre_hook(learn)
        for module in network.modules()
        if "BatchNorm2d" in type(module).__name__
    ]
    with torch.no_grad():
        part.eval()(torch.rand(4, 3, 64, 64))
    for hook in hooks:
        hook.remove()


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)


def tensor(image):
    return torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255


def test_every_family_tells_all_it_predicts_and_reports_what_is_above_its_threshold(detector):
    boxes, logits = detector.raw(tensor(picture()))
    assert boxes.shape[2] == 4 and logits.shape == (1, boxes.shape[1], len(CLASS_NAMES))
    assert torch.isfinite(boxes).all() and torch.isfinite(logits).all()
    (seen,) = detector.detect(picture())
    assert 0 < len(seen) and seen.scores.min() > 0.05 and np.all(np.diff(seen.scores) <= 0)
    assert seen.scores[0] == pytest.approx(logits.detach().sigmoid().max().item(), abs=1e-5)
    assert seen.boxes.min() >= 0 and seen.boxes.max() <= 64


def test_the_gradient_of_every_family_is_the_slope_that_small_steps_find(detector):
    if "fasterrcnn" in getattr(detector, "architecture", ""):
        pytest.skip("with random weights it jumps within a step that float32 can tell")
    image = tensor(picture()).requires_grad_()
    loss = detector.loss(image, [TARGET])
    assert loss.shape == (1,)
    (gradient,) = torch.autograd.grad(loss.sum(), image)
    slope = gradient.norm()
    assert float(slope) > 0
    step = 0.002 * gradient / slope**2  # foretells 0.004 between the two
    with torch.no_grad():
        rise = detector.loss(image + step, [TARGET]) - detector.loss(image - step, [TARGET])
    assert rise.item() == pytest.approx(0.004, rel=0.25)


def test_proposals_have_the_gradient_that_small_steps_find_in_float64(detector):
    if "fasterrcnn" not in getattr(detector, "architecture", ""):
        pytest.skip("has no proposals")
    network = copy.deepcopy(detector._network).double()

    def mean(images):
        logits = torchvision_models._predict(network, images, tuple(range(1, 9)))[1]
        return logits[logits > ABSENT_LOGIT].double().mean()

    image = tensor(picture()).double().requires_grad_()
    (gradient,) = torch.autograd.grad(mean(image), image)
    step = 1e-5 * gradient / gradient.norm()
    rise = (mean(image + step) - mean(image - step)).item() / 2e-5
    assert rise == pytest.approx(gradient.norm().item(), rel=0.02)


def test_a_recipe_of_every_family_is_hashable_and_travels_without_its_network(detector):
    detector.detect(picture())
    text = pickle.dumps(detector)
    again = pickle.loads(text)
    assert len(text) < 1500 and again == detector and hash(again) == hash(detector)
    np.testing.assert_array_equal(
        again.detect(picture())[0].boxes, detector.detect(picture())[0].boxes
    )


def test_building_a_family_asks_no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    files.build("yolov8-rtdetr.yaml", 8)
    torchvision_models.build("ssdlite320_mobilenet_v3_large", 9)


def test_a_softmax_becomes_the_logit_of_the_same_probability():
    # Of exp(0), exp(ln 2), exp(ln 5): 1/8, 2/8, 5/8.
    logits = torch.log(torch.tensor([[[1.0, 2.0, 5.0]]]))
    told = _one_against_rest(logits, (2, None, 1)).sigmoid()[0, 0]
    assert told.tolist() == pytest.approx([0.625, 1 / (1 + np.exp(-ABSENT_LOGIT)), 0.25])


def test_torchvision_sees_a_crop_at_the_scale_of_the_frame(detector):
    if not isinstance(detector, Torchvision) or "ssd" not in detector.architecture:
        pytest.skip("said of a network that resizes to one size")
    framed = np.full((1, 64, 64, 3), 114, np.uint8)
    framed[:, :32, :40] = picture()[:, :32, :40]
    crop, whole = (detector.raw(tensor(x)) for x in (framed[:, :32, :40], framed))
    torch.testing.assert_close(crop[0], whole[0])
    torch.testing.assert_close(crop[1], whole[1])


def test_torchvision_s_labels_of_coco_are_found_by_name(folder):
    path = folder / "any.safetensors"
    path.write_bytes(b"{}")
    picked = Torchvision(str(path))._columns
    assert [picked[CLASS_NAMES.index(n)] for n in ("person", "car", "stop sign")] == [1, 3, 13]


# -- a file that only tells boxes ------------------------------------------------------------------


class Told(torch.nn.Module):
    """Says the same three boxes of any picture, their scores by its redness."""

    def forward(self, images):
        red = images[:, 0].mean((1, 2)).reshape(1, 1, 1)
        places = torch.tensor([[20.0, 50, 50], [20, 40, 40], [10, 20, 20], [8, 16, 16]])
        shares = torch.tensor([[0.0, 0.9, 0.5], [0.8, 0, 0]])
        return torch.cat([places[None], red * shares[None]], 1)


class Boxed(torch.nn.Module):
    def forward(self, images):
        red = images[:, 0].mean((1, 2)).reshape(1, 1, 1)
        row = torch.tensor([[[15.0, 16, 25, 24, 0, 1], [40, 32, 60, 48, 0, 0]]])
        return row + red * torch.tensor([[[0, 0, 0, 0, 0.8, 0], [0, 0, 0, 0, 0.9, 0]]])


def exported(network, path, names="{0: 'stop sign', 1: 'car'}", size=64):
    import warnings

    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.zeros(1, 3, size, size),), str(path), input_names=["images"],
            opset_version=17, dynamo=False,
        )  # fmt: skip
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {"names": names})
    onnx.save(model, str(path))
    return path


def red(level, size=64):
    image = np.zeros((1, size, size, 3), np.uint8)
    image[..., 0] = level
    return image


@pytest.mark.parametrize(("network", "layout"), [(Told(), "anchors"), (Boxed(), "boxes")])
def test_an_onnx_file_s_boxes_are_read_in_either_layout(network, layout, tmp_path):
    path = exported(network, tmp_path / "told.onnx")
    (seen,) = Onnx(str(path), layout).detect(red(255))
    # Centre (20, 20), 10 x 8; of the two boxes in one place only the better is told.
    assert seen.labels == ("stop sign", "car")
    assert seen.boxes.tolist() == [[40, 32, 60, 48], [15, 16, 25, 24]]
    assert seen.scores.tolist() == pytest.approx([0.9, 0.8], abs=1e-5)
    (dark,) = Onnx(str(path), layout, confidence=0.35).detect(red(102))
    assert dark.labels == ("stop sign",) and dark.scores[0] == pytest.approx(0.36, abs=1e-5)


def test_an_onnx_recipe_is_hashable_and_has_no_gradients(tmp_path):
    one = Onnx(str(exported(Told(), tmp_path / "told.onnx")))
    one.detect(red(255))
    again = pickle.loads(pickle.dumps(one))
    assert again == one and hash(again) == hash(one)
    assert not hasattr(one, "loss") and not hasattr(one, "raw")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda p: Onnx(str(p / "none.onnx")), "expected an .onnx file"),
        (lambda p: Onnx(str(p / "bad.onnx")).detect(red(0)), "no ONNX file that can be run"),
        (lambda p: Onnx(str(p / "told.onnx"), "boxes").detect(red(0)), r"expects \(1, N, 6\)"),
        (lambda p: Onnx(str(p / "told.onnx")).detect(red(0, 96)), "takes pictures of 64 x 64"),
        (lambda p: Onnx(str(p / "told.onnx"), classes=("kite",)), "detects kite"),
        (lambda p: Onnx(str(p / "dumb.onnx")).detect(red(0)), "does not name its classes"),
        (lambda p: Torchvision(str(p / "none.pth")), "found no file; torchvision's own"),
        (lambda p: Torchvision(str(p / "bad.pth")), "--trust-pickle"),
        (lambda p: Torchvision(str(p / "bad.pth"), trust_pickle=True)._network, "no state dict"),
        (lambda p: Torchvision(str(p / "bad.st"), "alexnet")._network, "has no detector 'alexnet'"),
        (
            lambda p: Torchvision(str(p / "w.pth"), trust_pickle=True)._network,
            "does not fit fasterrcnn",
        ),
    ],
)
def test_a_bad_file_is_one_line(make, told, tmp_path):
    exported(Told(), tmp_path / "told.onnx")
    exported(Told(), tmp_path / "dumb.onnx", names="")
    for name in ("bad.onnx", "bad.pth", "bad.st"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
    torch.save({"w": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=told) as caught:
        make(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
