from __future__ import annotations

import numpy as np
import pytest
from traces import sign_at, tick, truth

from simattack.metrics import perception
from simattack.types import CarInfo, Detections

FOCAL_PX = 320 / np.tan(np.deg2rad(30))
MOUNT = CarInfo().camera.mount
SIGN_X = 60.0
SIGN = sign_at(SIGN_X, 3.0, MOUNT.z_m)
"""Its middle is as high as the camera."""


def box(depth_m: float, side_m: float = 3.0):
    middle, half = 320 + FOCAL_PX * side_m / depth_m, FOCAL_PX * 0.375 / depth_m
    return np.array([[middle - half, 240 - half, middle + half, 240 + half]])


def image(number, depth_m, score=0.9, label="stop sign", shift=0.0, is_empty=False):
    """A new image from where the sign is ``depth_m`` ahead of the camera."""
    raw = Detections(box(depth_m) + np.array([shift, 0, shift, 0]), np.array([score]), (label,))
    if is_empty:
        raw = Detections.none()
    return tick(number, SIGN_X - depth_m - MOUNT.x_m, 8.0, raw=raw)


def test_the_sign_is_where_the_pinhole_puts_it_and_as_far_as_pythagoras_says():
    (look,) = perception.sign_looks([image(4, 20.0)], truth(SIGN))
    assert look.tick == 4
    assert look.box == pytest.approx(tuple(box(20.0)[0]))
    assert look.distance_m == pytest.approx(np.hypot(20, 3))
    assert look.score == 0.9 and look.is_seen


def test_recall_is_told_by_distance_with_its_denominator():
    ticks = [
        image(0, 22.0),
        image(1, 21.0, is_empty=True),
        image(2, 20.5),
        image(3, 20.2),
        image(4, 12.0, is_empty=True),
    ]
    found = perception.measure(ticks, truth(SIGN))
    assert (found["recall_20_25m"], found["n_20_25m"]) == (0.75, 4)
    assert (found["recall_10_15m"], found["n_10_15m"]) == (0.0, 1)
    assert (found["recall_15_20m"], found["n_15_20m"]) == (None, 0)
    assert (found["attack_frames_hidden"], found["attack_frames_total"]) == (2, 5)


@pytest.mark.parametrize(
    "change", [{"score": 0.39}, {"label": "car"}, {"shift": 8.0}, {"is_empty": True}]
)
def test_what_is_weak_misnamed_or_misplaced_is_not_seen(change):
    # A 20.8 px box shifted by 8 px overlaps by 12.8 / 28.8 = 0.44.
    (look,) = perception.sign_looks([image(0, 20.0, **change)], truth(SIGN))
    assert not look.is_seen


def test_a_small_misplacement_is_still_seen():
    # Shifted by 6 px: 14.8 / 26.8 = 0.55.
    (look,) = perception.sign_looks([image(0, 20.0, shift=6.0)], truth(SIGN))
    assert look.is_seen


def test_the_score_of_a_look_is_the_best_that_overlaps():
    raw = Detections(
        np.concatenate([box(20.0), box(20.0), box(20.0) + 300]),
        np.array([0.2, 0.35, 0.99]),
        ("stop sign",) * 3,
    )
    (look,) = perception.sign_looks([tick(0, 40 - MOUNT.x_m, 8.0, raw=raw)], truth(SIGN))
    assert look.score == 0.35 and not look.is_seen


def test_images_without_the_whole_front_of_the_sign_do_not_count():
    cut = image(0, 5.5)  # its right edge is at 3.375 / 5.5 > tan 30 deg
    past = image(1, -5.0)
    old = tick(2, 30.0, 8.0)  # the detector looked at nothing new
    assert perception.sign_looks([cut, past, old], truth(SIGN)) == []
    turned = sign_at(SIGN_X, 3.0, MOUNT.z_m, towards=1.0)
    assert perception.sign_looks([image(3, 20.0)], truth(turned)) == []
    assert perception.measure([image(3, 20.0)], truth(None))["attack_frames_total"] == 0


def test_a_detection_is_stable_at_the_third_image_running():
    seen = [True, True, False, True, True, True, True]
    ticks = []
    for i, is_seen in enumerate(seen):
        ticks.append(image(2 * i, 40.0 - i, is_empty=not is_seen))
        ticks.append(tick(2 * i + 1, 0.0, 8.0))  # between two images
    found = perception.measure(ticks, truth(SIGN))
    assert found["first_stable_detection_m"] == pytest.approx(np.hypot(35, 3))
    short = perception.measure(ticks[:10], truth(SIGN))
    assert short["first_stable_detection_m"] is None


def test_only_images_nearer_than_thirty_metres_judge_the_attack():
    ticks = [image(0, 31.0, is_empty=True), image(1, 29.0, is_empty=True), image(2, 28.0)]
    found = perception.measure(ticks, truth(SIGN))
    assert (found["attack_frames_hidden"], found["attack_frames_total"]) == (1, 2)


def boxes_at_20_m(*seen: tuple[str, float, float]):
    """One image with detections (label, score, shift in px)."""
    labels, scores, shifts = zip(*seen, strict=True)
    boxes = np.concatenate([box(20.0) + np.array([shift, 0, shift, 0]) for shift in shifts])
    raw = Detections(boxes, np.array(scores), labels)
    return tick(0, SIGN_X - 20.0 - MOUNT.x_m, 8.0, raw=raw)


@pytest.mark.parametrize(
    "seen, name",
    [
        ([("traffic light", 0.4, 0.0)], "traffic light"),
        (
            [("car", 0.5, 0.0), ("traffic light", 0.7, 0.0), ("stop sign", 0.39, 0.0)],
            "traffic light",
        ),
        ([("traffic light", 0.39, 0.0)], None),
        ([("traffic light", 0.9, 8.0)], None),  # overlaps by 0.44
        ([("traffic light", 0.9, 0.0), ("stop sign", 0.4, 0.0)], None),
    ],
    ids=["another", "best-of-others", "weak", "elsewhere", "seen-as-well"],
)
def test_a_sign_is_misnamed_when_only_another_class_is_reported_there(seen, name):
    (look,) = perception.sign_looks([boxes_at_20_m(*seen)], truth(SIGN))
    assert look.misnamed == name


def test_misnaming_is_told_with_its_denominator_and_its_commonest_class():
    ticks = [
        image(0, 41.0, label="bus"),  # too far to be judged
        image(1, 39.0, label="car"),
        image(2, 30.0, label="traffic light"),
        image(3, 29.0),
        image(4, 28.0, is_empty=True),
        image(5, 20.0, label="traffic light"),
    ]
    found = perception.measure(ticks, truth(SIGN))
    assert (found["misnamed_5_40m"], found["n_5_40m"]) == (0.6, 5)
    assert found["misnamed_as"] == "traffic light"
    tied = perception.measure(ticks[1:3], truth(SIGN))
    assert (tied["misnamed_5_40m"], tied["misnamed_as"]) == (1.0, "car")
    right = perception.measure(ticks[3:5], truth(SIGN))
    assert (right["misnamed_5_40m"], right["misnamed_as"]) == (0.0, None)
    unseen = perception.measure([image(0, 50.0)], truth(SIGN))
    assert (unseen["misnamed_5_40m"], unseen["n_5_40m"]) == (None, 0)


def test_seen_misnamed_and_missed_are_all_the_images_there_are():
    ticks = [image(i, 30.0 - i, label=label) for i, label in enumerate(["stop sign", "bus", "car"])]
    ticks.append(image(3, 20.0, is_empty=True))
    looks = perception.sign_looks(ticks, truth(SIGN))
    assert [(look.is_seen, look.misnamed) for look in looks] == [
        (True, None),
        (False, "bus"),
        (False, "car"),
        (False, None),
    ]
