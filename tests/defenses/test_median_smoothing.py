"""Certified median smoothing, held against a detector whose worst attack is known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from simattack.compare.looking import FOUND_IOU
from simattack.defenses.median_smoothing import OVERLAP, TOGETHER, MedianSmoothing
from simattack.geometry import box_iou
from simattack.types import CarInfo, Detections

SIZE = (12, 16, 3)
BOX = np.array([2.0, 2.0, 12.0, 10.0])
TARGET = Detections(BOX[None], np.ones(1), ("car",))
PIXELS = int(np.prod(SIZE))


class Brightness:
    """Finds a car where the mean level is at least ``least``, of 255."""

    latency_s = 0.0

    def __init__(self, least=128.0):
        self.least = least

    def detect(self, images):
        found = Detections(BOX[None], np.array([0.9]), ("car",))
        return [found if image.mean() >= self.least else Detections.none() for image in images]


def evenly(level):
    return np.full(SIZE, level, np.uint8)


def worst_norm(level, detector):
    """Of the least change that takes half of the noisy images below: the same in every pixel."""
    return (level - detector.least) / 255 * np.sqrt(PIXELS)


def share_shown(smoothing, detector, image, count=400):
    rng = np.random.default_rng(5)
    looks = smoothing.noisy_looks(detector, image, count, rng)
    return np.mean([len(seen) > 0 for seen in looks])


@pytest.mark.parametrize("level", [129, 130, 131])
def test_nothing_within_the_certified_norm_hides_the_object(level):
    smoothing = MedianSmoothing(std=40.0, certificate_looks=300)
    detector = Brightness()
    looks = smoothing.noisy_looks(detector, evenly(level), 300, np.random.default_rng(0))
    certified = smoothing.radius(np.array([len(seen) > 0 for seen in looks]))
    exact = worst_norm(level, detector)
    assert 0 < certified < exact
    # By trying: the strongest direction there is, at the certified norm, and others.
    rng = np.random.default_rng(level)
    directions = [-np.ones(SIZE), *(rng.standard_normal((20, *SIZE)))]
    for direction in directions:
        change = 255 * certified * direction / np.linalg.norm(direction)
        rounded = np.rint(evenly(level) + change).clip(0, 255).astype(np.uint8)
        if np.linalg.norm((rounded.astype(float) - evenly(level)) / 255) <= certified:
            assert share_shown(smoothing, detector, rounded) > 0.5


def test_the_exact_attack_beyond_the_norm_does_hide_it():
    smoothing, detector = MedianSmoothing(std=40.0), Brightness()
    assert share_shown(smoothing, detector, evenly(130)) > 0.8
    assert share_shown(smoothing, detector, evenly(126)) < 0.2


def test_the_norm_is_that_of_the_bound_of_few_looks():
    smoothing = MedianSmoothing(std=25.5, chance=0.001)
    everywhere = np.ones(100, bool)
    # All of 100 looks: at least 0.001 ** (1 / 100) of all there are.
    assert smoothing.radius(everywhere) == pytest.approx(0.1 * norm.ppf(0.001**0.01))
    assert smoothing.radius(~everywhere) == 0.0
    assert smoothing.radius(np.arange(100) < 60) == 0.0  # 60 of 100 might be half of all


def test_an_object_is_certified_up_to_its_norm_and_not_beyond():
    detector, image = Brightness(), evenly(131)
    near = MedianSmoothing(std=40.0, norm=0.1)
    assert near.is_certified(detector, image, TARGET)
    far = MedianSmoothing(std=40.0, norm=worst_norm(131, detector))
    assert not far.is_certified(detector, image, TARGET)
    elsewhere = Detections(BOX[None] + 6, np.ones(1), ("car",))
    assert not near.is_certified(detector, image, elsewhere)


def test_boxes_that_show_a_certified_object_vote_for_each_other():
    rng = np.random.default_rng(0)
    shifted = BOX + rng.uniform(-2, 2, (4000, 4))
    close = shifted[box_iou(shifted, BOX[None])[:, 0] >= OVERLAP]
    assert len(close) > 100 and box_iou(close, close).min() >= TOGETHER


def looked(*rows):
    return Detections(
        np.array([box for box, _, _ in rows], float).reshape(-1, 4),
        np.array([score for _, score, _ in rows], float),
        tuple(label for _, _, label in rows),
    )


def test_what_most_looks_show_is_reported_once_by_its_median_score():
    smoothing = MedianSmoothing(looks=3)
    looks = [
        looked((BOX, 0.9, "car"), (BOX + 30, 0.9, "car")),
        looked((BOX + 0.5, 0.7, "car"), (BOX, 0.8, "person")),
        looked((BOX - 0.5, 0.5, "car")),
    ]
    told = smoothing.join(looks)
    assert told.labels == ("car",) and told.scores.tolist() == [0.7]
    assert not len(smoothing.join(looks[1:2] + [Detections.none()] * 2))


def test_what_is_reported_in_place_of_a_certified_objects_box_still_counts_as_found():
    """A box a half of which is something else must not stand for the object."""
    target = np.array([[0.0, 0, 70, 100]])
    aside, own = np.array([50.0, 0, 100, 100]), np.array([0.0, 0, 100, 100])
    smoothing = MedianSmoothing(looks=15)
    looks = [looked((aside, 0.9, "car"), (own, 0.45, "car"))] * 15
    told = smoothing.join(looks)
    assert box_iou(told.boxes, target).max() >= FOUND_IOU


def test_one_run_reports_what_the_smoothed_detector_does_and_costs_its_looks():
    smoothing = MedianSmoothing(looks=9, std=40.0, pass_s=0.01)
    assert smoothing.latency_s == pytest.approx(0.08)
    run = smoothing.begin(CarInfo(), np.random.default_rng(0))
    detector = run.wrap(Brightness())
    bright, dark = detector.detect(np.stack([evenly(150), evenly(100)]))
    assert bright.labels == ("car",) and len(dark) == 0
    bare = MedianSmoothing(looks=1, std=0.0).begin(CarInfo(), np.random.default_rng(0))
    assert isinstance(bare.wrap(detector), type(detector))


@pytest.mark.parametrize(
    "options", [{"looks": 0}, {"certificate_looks": 1.5}, {"chance": 0.0}, {"std": -1.0}]
)
def test_options_out_of_range_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MedianSmoothing(**options)
