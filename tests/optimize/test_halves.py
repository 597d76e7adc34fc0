"""Views to learn from and views to judge by."""

from dataclasses import dataclass

import numpy as np
import pytest

from simattack.optimize.patch import halves
from simattack.standpoints import standpoints


@dataclass
class Shot:
    shot: int


class Views:
    def __init__(self, views):
        self.views = views

    def select(self, which):
        return Views([self.views[int(i)] for i in which])


@pytest.mark.parametrize(("sites", "count"), [(8, 96), (8, 32), (4, 64), (1, 24), (3, 40)])
def test_every_distance_and_every_site_has_views_on_both_sides(sites, count):
    names = [f"site_{number}" for number in range(sites)]
    stands = standpoints(names, count, 4, np.random.default_rng(0), (7.0, 40.0))
    sides = halves(Views([Shot(number) for number in range(count)]), sites)
    for side, most_m in zip(sides, (5.0, 9.0), strict=True):
        far = sorted(stands[view.shot].distance_m for view in side.views)
        # No stretch of the road is left out: the widest gap is a few steps.
        gaps = np.diff([7.0, *far, 40.0])
        assert gaps.max() < max(most_m, 8 * 33.0 / count)
        assert {stands[view.shot].site for view in side.views} == set(names)
    learnt, held_out = (len(side.views) for side in sides)
    assert learnt + held_out == count and 0.15 * count <= held_out <= 0.35 * count
