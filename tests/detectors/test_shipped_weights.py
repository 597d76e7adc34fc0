import numpy as np
import pytest

from simattack.defenses.distilled import Distilled
from simattack.detectors.yolo import Yolo
from simattack.surfaces import approaches
from simattack.types import CLASS_NAMES, Detections

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def detector():
    return Yolo()


@pytest.fixture(scope="module")
def street():
    """A sign's face, 40 px wide, on its post before a plain wall: sky, wall, road."""
    from PIL import Image

    picture = np.full((160, 160, 3), (150, 152, 158), np.uint8)
    picture[:50], picture[120:] = (200, 208, 220), (95, 95, 98)
    surface = next(iter(approaches("town").values())).surface
    size = (40, 40)
    face = np.asarray(Image.fromarray(surface.texture).resize(size, Image.Resampling.BOX))
    mask = np.asarray(Image.fromarray(surface.face).resize(size, Image.Resampling.NEAREST))
    picture[90:150, 79:82] = (120, 120, 120)
    picture[52:92, 60:100] = np.where(mask[..., None], face, picture[52:92, 60:100])
    return picture


def test_the_card_tells_its_data_and_meets_what_is_asked_of_it(detector):
    card = detector.card
    assert card.classes == CLASS_NAMES and len(card.data["held_out_places"]) >= 4
    ap50, objects = card.metrics["ap50"], card.metrics["objects"]
    assert objects["stop sign"] >= 300 and objects["car"] >= 500 and objects["person"] >= 200
    assert ap50["stop sign"] >= 0.85 and ap50["car"] >= 0.85 and ap50["person"] >= 0.75
    assert card.metrics["stop_sign_recall_8_to_30_m"] >= 0.95
    assert card.metrics["stable_by_25_m"] >= 0.9
    assert card.latency_s == detector.latency_s


def test_a_stop_sign_is_found_where_it_is(detector, street):
    (seen,) = detector.detect(street[None])
    signs = seen.select(np.array([label == "stop sign" for label in seen.labels]))
    assert len(signs) == 1 and signs.scores[0] > 0.5
    np.testing.assert_allclose(signs.boxes[0], (60, 52, 100, 92), atol=6)


def test_another_family_finds_the_same_sign_and_learnt_from_other_frames(detector, street):
    other = Yolo("town_yolov8n")
    assert other.card.architecture == "yolov8n.yaml" != detector.card.architecture
    assert other.card.seed != detector.card.seed
    assert other.card.data["frames_sha256"] != detector.card.data["frames_sha256"]
    assert other.card.metrics["ap50"]["stop sign"] >= 0.9
    (seen,) = other.detect(street[None])
    (sign,) = np.flatnonzero(np.array([label == "stop sign" for label in seen.labels]))
    np.testing.assert_allclose(seen.boxes[sign], (60, 52, 100, 92), atol=6)


def test_gradient_steps_on_its_middle_hide_the_sign_and_grey_does_not(detector, street):
    import torch

    target = [Detections(np.array([[60.0, 52, 100, 92]]), np.ones(1), ("stop sign",))]
    clean = torch.from_numpy(street).permute(2, 0, 1)[None].float() / 255
    middle = (slice(None), slice(None), slice(61, 83), slice(69, 91))
    sticker = torch.full((1, 3, 22, 22), 0.5)

    def shown(patch):
        image = clean.clone()
        image[middle] = patch
        return image

    with torch.no_grad():
        grey = detector.scores_near(shown(sticker), target).item()
    for _ in range(25):
        sticker.requires_grad_()
        (gradient,) = torch.autograd.grad(detector.loss(shown(sticker), target).sum(), sticker)
        sticker = (sticker - 0.04 * gradient.sign()).clamp(0, 1).detach()
    with torch.no_grad():
        hidden = detector.scores_near(shown(sticker), target).item()
    assert grey > 0.3 and hidden < 0.5 * grey


def test_the_distilled_student_sees_the_sign_and_gradients_of_its_scores_vanish(detector, street):
    import torch

    target = [Detections(np.array([[60.0, 52, 100, 92]]), np.ones(1), ("stop sign",))]
    image = torch.from_numpy(street).permute(2, 0, 1)[None].float() / 255
    sizes = []
    for network in (detector, Distilled().network):
        asked = image.clone().requires_grad_()
        score = network.scores_near(asked, target).sum()
        assert score > 0.5
        score.backward()
        sizes.append(float(asked.grad.norm()))
    assert sizes[1] < 0.1 * sizes[0], sizes
