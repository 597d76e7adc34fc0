"""Equal vertices are stored once, in the order they first come."""

from __future__ import annotations

import numpy as np

from simattack.server.render.mesh import unique_rows


def test_each_row_is_kept_once_where_it_first_comes() -> None:
    rng = np.random.default_rng(3)
    table = rng.integers(-2, 3, (5000, 5)).astype(np.float32)
    kept, number = unique_rows(table)
    np.testing.assert_array_equal(table[kept][number], table)
    assert len(kept) == len(np.unique(table, axis=0))
    assert (np.diff(kept) > 0).all()
    for row in range(0, 5000, 500):
        same = (table == table[row]).all(axis=1)
        assert kept[number[row]] == np.flatnonzero(same)[0]


def test_rows_that_differ_in_one_bit_are_two() -> None:
    table = np.ones((2, 4), np.float32)
    table[1, 3] = np.nextafter(np.float32(1), np.float32(2))
    kept, number = unique_rows(table)
    assert kept.tolist() == [0, 1] and number.tolist() == [0, 1]
