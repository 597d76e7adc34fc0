"""Certified masking, held against every patch there can be on a small image."""

from __future__ import annotations

import numpy as np
import pytest

from simattack.defenses.masking import Masking
from simattack.types import CarInfo, Detections

SIZE = (16, 20)


class Blobs:
    """Finds the box around what is bright, if there are at least ``least`` such pixels."""

    latency_s = 0.0

    def __init__(self, least=6, jammed=None):
        self.least, self.jammed = least, jammed

    def detect(self, images):
        found = []
        for image in images:
            bright = image[..., 0] > 200
            # A colour that blinds it: what a patch would show.
            if (image[..., 2] == 7).any() or bright.sum() < self.least:
                found.append(Detections.none())
                continue
            rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
            box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            found.append(Detections(np.array([box], float), np.array([0.9]), ("car",)))
        return found


def scene(x0, y0, x1, y1):
    image = np.full((*SIZE, 3), 90, np.uint8)
    image[y0:y1, x0:x1, 0] = 250
    return image, np.array([[x0, y0, x1, y1]], float)


def certified(masking, image, boxes, patch):
    looks = masking.looks(Blobs(), image)
    return bool(masking.certificate(looks, SIZE, boxes, ["car"], patch)[0])


def is_hidden_somewhere(masking, image, box, patch):
    """By trying: a patch that blinds the detector, one that darkens, one that is bright."""
    tall, wide = patch
    running = masking.begin(CarInfo(), np.random.default_rng(0))
    detector = running.wrap(Blobs())
    for top in range(SIZE[0] - tall + 1):
        for left in range(SIZE[1] - wide + 1):
            for colour in ((90, 90, 7), (90, 90, 90), (250, 90, 90)):
                attacked = image.copy()
                attacked[top : top + tall, left : left + wide] = colour
                seen = detector.detect(attacked[None])[0]
                low = np.maximum(seen.boxes[:, :2], box[:2])
                high = np.minimum(seen.boxes[:, 2:], box[2:])
                shared = np.prod(np.clip(high - low, 0, None), axis=1)
                # A box half of which lies in the object, or one that holds half of the object.
                of_box = np.prod(seen.boxes[:, 2:] - seen.boxes[:, :2], axis=1)
                of_object = np.prod(box[2:] - box[:2])
                if not (shared >= 0.5 * np.minimum(of_box, of_object)).any():
                    return True
    return False


@pytest.mark.parametrize(
    ("box", "patch", "is_certified"),
    [
        ((6, 3, 15, 13), (2, 2), True),
        ((6, 3, 15, 13), (3, 4), True),
        ((8, 5, 13, 11), (2, 2), False),  # a patch over two lines leaves too little of it
        ((0, 0, 4, 4), (2, 2), False),  # in a corner: beside the nearest lines, all of it is masked
        ((2, 2, 18, 14), (4, 4), True),
    ],
)
def test_no_patch_hides_what_is_certified(box, patch, is_certified):
    masking = Masking(lines=4)
    image, boxes = scene(*box)
    assert certified(masking, image, boxes, patch) == is_certified
    if is_certified:
        assert not is_hidden_somewhere(masking, image, boxes[0], patch)


def test_without_masks_a_patch_hides_it_and_nothing_is_certified():
    image, boxes = scene(6, 3, 15, 13)
    assert is_hidden_somewhere(Masking(lines=0), image, boxes[0], (2, 2))
    assert not certified(Masking(lines=0), image, boxes, (2, 2))


def test_an_object_of_random_places_is_never_hidden_once_certified():
    rng = np.random.default_rng(1)
    masking = Masking(lines=3)
    count = 0
    for _ in range(7):
        x0, y0 = int(rng.integers(0, 12)), int(rng.integers(0, 9))
        box = (x0, y0, x0 + int(rng.integers(4, 8)), y0 + int(rng.integers(4, 7)))
        image, boxes = scene(*box)
        patch = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        if certified(masking, image, boxes, patch):
            count += 1
            assert not is_hidden_somewhere(masking, image, boxes[0], patch)
    assert 1 <= count <= 6, "some are and some are not"


def test_masked_detections_add_only_what_the_whole_image_does_not_show():
    whole = Detections(np.array([[0.0, 0, 10, 10]]), np.array([0.8]), ("car",))
    part = Detections(np.array([[1.0, 1, 9, 5]]), np.array([0.9]), ("car",))
    other = Detections(np.array([[1.0, 1, 9, 5], [30, 0, 40, 10], [30, 0, 40, 6]]),
                       np.full(3, 0.9), ("person", "car", "car"))  # fmt: skip
    joined = Masking().join(whole, [part, other])
    assert sorted(zip(joined.labels, joined.boxes[:, 3], strict=True)) == [
        ("car", 10.0), ("car", 10.0), ("person", 5.0),
    ]  # fmt: skip


def test_a_weak_box_of_the_whole_image_takes_no_sure_masked_ones_place():
    """A patch that leaves its target a score that nobody acts on would hide it otherwise."""
    sure = Detections(np.array([[2.0, 2, 12, 12]]), np.array([0.95]), ("car",))
    for box in ([2.0, 2, 12, 12], [0.0, 0, 90, 90]):
        weak = Detections(np.array([box]), np.array([0.26]), ("car",))
        joined = Masking(score=0.4).join(weak, [sure])
        assert joined.scores.max() == 0.95 and [2.0, 2, 12, 12] in joined.boxes.tolist()
    strong = Detections(np.array([[2.0, 2, 12, 12]]), np.array([0.5]), ("car",))
    assert len(Masking(score=0.4).join(strong, [sure])) == 1


def test_a_patch_that_hides_raises_the_alarm_and_the_latency_is_of_all_passes():
    masking = Masking(lines=4, pass_s=0.05)
    assert masking.latency_s == pytest.approx(0.8)
    image, _ = scene(8, 5, 13, 11)
    running = masking.begin(CarInfo(), np.random.default_rng(0))
    detector = running.wrap(Blobs())
    assert len(detector.detect(image[None])[0]) == 1
    obs = {"camera": image}
    assert running.judge(obs, Detections.none()).alarm["camera"] == 0.0
    image[0, 0] = (90, 90, 7)
    assert len(detector.detect(image[None])[0]) >= 1
    assert running.judge(obs, Detections.none()).alarm["camera"] == 1.0


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="a patch of 17 x 3 px does not lie in 16 x 20 px"):
        Masking().certificate([], SIZE, np.zeros((0, 4)), [], (17, 3))
