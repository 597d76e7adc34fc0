import numpy as np
import pytest
from scipy.ndimage import label

from simattack.train.pasting import paste

BOX = (40.0, 30.0, 100.0, 90.0)


def street(seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(60, 180, (128, 160, 3)).astype(np.uint8)


def pasted(seed, boxes=(BOX,)):
    return paste(street(), boxes, np.random.default_rng(seed))


def test_only_what_is_covered_changes_and_the_picture_given_is_left_alone():
    image = street()
    for seed in range(40):
        found = paste(image, [BOX], np.random.default_rng(seed))
        assert np.array_equal(found.image[found.cover == 0], image[found.cover == 0])
        assert 0 <= found.cover.min() and found.cover.max() <= 1.0001
        assert found.cover.dtype == np.float32 and found.cover.shape == image.shape[:2]
    assert np.array_equal(image, street())


def test_most_prints_lie_on_the_thing_and_cover_a_part_of_it():
    inside, shares = 0, []
    for seed in range(60):
        cover = pasted(seed).cover
        rows, columns = np.nonzero(cover > 0.5)
        is_in = len(rows) and 35 < columns.min() and columns.max() < 105
        inside += bool(is_in and 25 < rows.min() and rows.max() < 95)
        shares.append(cover.sum() / 3600)
    assert 40 <= inside < 60
    assert max(shares) < 1.1 and 0.02 < np.median(shares) < 0.6


def test_some_are_sets_of_pieces_with_gaps_between_them():
    pieces = [label(pasted(seed).cover > 0.5)[1] for seed in range(80)]
    counts = {count: pieces.count(count) for count in (1, 4, 9)}
    assert counts[1] > 30 and counts[4] > 3 and counts[9] > 3


@pytest.mark.parametrize("boxes", [(), ((-50.0, -50.0, -40.0, -40.0),)])
def test_without_a_thing_in_sight_a_print_is_anywhere(boxes):
    middles = []
    for seed in range(30):
        rows, columns = np.nonzero(pasted(seed, boxes).cover > 0.3)
        if len(rows):
            middles.append([rows.mean(), columns.mean()])
    assert np.std(middles, axis=0).min() > 20


def test_the_same_chances_give_the_same_picture():
    first, again, other = pasted(3), pasted(3), pasted(4)
    assert np.array_equal(first.image, again.image) and np.array_equal(first.cover, again.cover)
    assert not np.array_equal(first.image, other.image)
