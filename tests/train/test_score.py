import numpy as np
import pytest

from simattack.train.approach import stable_share
from simattack.train.dataset import Labelled, Record
from simattack.train.score import (
    average_precision,
    evaluation_example,
    match,
    stable_from,
    summarise,
)
from simattack.types import Detections


def item(label="car", box=(0, 0, 100, 50), distance=20.0, pixels=900, doubtful=False):
    return Labelled(label, box, pixels, 1000.0, 1.0, distance, label, doubtful)


def seen(*rows):
    """Rows of (label, score, box)."""
    return Detections(
        np.array([box for _, _, box in rows], float).reshape(-1, 4),
        np.array([score for _, score, _ in rows], float),
        tuple(label for label, _, _ in rows),
    )


def example(*objects, fill=0.9):
    views = {o.view: fill for o in objects}
    return evaluation_example(Record("0", "", "a", 0, tuple(objects)), views)


def test_average_precision_of_a_case_worked_by_hand():
    # Ranked hits 1 0 1 of 4 objects: precision 1 up to recall 1/4, 2/3 up to 1/2, 0 beyond.
    # Of recalls 0.00 .. 1.00, 26 are <= 0.25 and 25 more are <= 0.50.
    scores, hits = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    assert average_precision(scores, hits, 4) == pytest.approx((26 * 1 + 25 * 2 / 3) / 101)


def test_average_precision_ranks_by_score_not_by_order():
    worst = average_precision(np.array([0.1, 0.9]), np.array([True, False]), 1)
    best = average_precision(np.array([0.9, 0.1]), np.array([True, False]), 1)
    assert (worst, best) == (pytest.approx(0.5), pytest.approx(1.0))
    assert average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0
    assert np.isnan(average_precision(np.zeros(0), np.zeros(0, bool), 0))


def test_two_detections_of_one_object_are_one_hit_and_one_false():
    rows, taken = match(
        [item()], [], seen(("car", 0.5, (0, 0, 100, 50)), ("car", 0.9, (5, 0, 100, 50))), "car"
    )
    assert rows.tolist() == [[0.9, 1.0], [0.5, 0.0]] and taken.tolist() == [True]


def test_half_the_overlap_decides_a_hit():
    just = seen(("car", 0.5, (0, 0, 51, 50)))
    short = seen(("car", 0.5, (0, 0, 49, 50)))
    assert match([item()], [], just, "car")[1].all()
    assert not match([item()], [], short, "car")[1].any()


def test_another_class_never_matches():
    rows, taken = match([item()], [], seen(("truck", 0.9, (0, 0, 100, 50))), "car")
    assert len(rows) == 0 and not taken.any()


def test_a_detection_of_an_ignored_object_is_neither_right_nor_wrong():
    tiny = item(box=(200, 200, 209, 209))
    found = seen(("car", 0.9, (199, 199, 210, 210)), ("car", 0.8, (300, 300, 340, 340)))
    assert match([item()], [tiny], found, "car")[0].tolist() == [[0.8, 0.0]]


@pytest.mark.parametrize(
    "change",
    [
        {"box": (0, 0, 100, 9.5)},
        {"distance": 60.5},
        {"pixels": 350},
        {"doubtful": True},
    ],
    ids=["low", "far", "hidden", "doubtful"],
)
def test_the_evaluation_rule_ignores_what_is(change):
    assert len(example(item()).objects) == 1
    ignored = example(item(**change))
    assert ignored.objects == () and len(ignored.ignored) == 1


def test_recall_of_signs_is_told_by_distance():
    def sign(distance, x):
        return item("stop sign", (x, 0, x + 40, 40), distance)

    frames = [
        example(sign(9.0, 0), sign(28.0, 100), sign(7.0, 200)),
        example(sign(29.0, 0), sign(40.0, 100)),
    ]
    found = [
        seen(("stop sign", 0.9, (0, 0, 40, 40)), ("stop sign", 0.2, (100, 0, 140, 40))),
        seen(("stop sign", 0.9, (0, 0, 40, 40)), ("car", 0.9, (300, 0, 340, 40))),
    ]
    scores = summarise(frames, found, confidence=0.25)
    assert scores.sign_recall == {"5-10": (1, 2), "25-30": (1, 2), "40-45": (0, 1)}
    assert scores.sign_recall_8_30 == pytest.approx(2 / 3)
    assert scores.recall["stop sign"] == pytest.approx(2 / 5)
    assert scores.precision["stop sign"] == 1.0 and scores.precision["car"] == 0.0
    assert scores.counts["stop sign"] == 5 and scores.places == 1


def test_a_sign_is_stable_where_three_seen_frames_running_are_complete():
    gaps = [40.0, 39.0, 38.0, 37.0, 36.0, 35.0]
    assert stable_from(gaps, [True, True, False, True, True, True]) == 35.0
    assert stable_from(gaps, [True, True, False, True, True, False]) is None


def test_approaches_never_stable_count_as_failed():
    assert stable_share({0: 30.0, 1: 24.9, 2: None, 3: 25.0}) == 0.5
