"""The search for a print's place: which places, what is refused, its table, going on."""

import csv
import dataclasses

import numpy as np
import pytest

from simattack.attacks.billboard import Billboard
from simattack.attacks.poster import Poster
from simattack.errors import BudgetError, CalibrationError, ConfigError
from simattack.optimize.places import Tried, best, spots
from simattack.optimize.placing import place
from simattack.optimize.plan import PatchPlan
from simattack.standpoints import Setting, Survey, before_sign, record, standpoints
from simattack.types import Weather
from tests.optimize.test_optimize_patch import Redness, before_the_sign
from tests.pinhole import PinholeScene

pytestmark = pytest.mark.usefixtures("one_thread")

PLAN = PatchPlan(
    size_m=(0.5, 0.25), pieces=1, gap_m=0.0, cells=8, iterations=24, views=8, gap_views=0,
    batch=4, rate=0.1, printability=0.0, smoothness=0.0, seed=3,
)  # fmt: skip


def searched(folder, scene=None, scenes=before_the_sign, plan=PLAN, count=3, **options):
    scene = scene or PinholeScene()
    return place(scene, Redness(), plan, scenes, count, folder, "p", steps=6, **options)


def rows(folder):
    with (folder / "p_places.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    return folder, searched(folder)


def test_places_are_even_and_reach_the_edges():
    found = spots(8, (0.4, 0.2), (1.2, 0.6))
    whole = [spot for spot in found if spot.width_m == 0.4]
    assert [spot.size_m for spot in found[:1]] == [(0.4, 0.2)] and found[-1].width_m == 0.28
    assert min(s.u for s in whole) == pytest.approx(0.2 / 1.2, abs=1e-4)
    assert max(s.v for s in whole) == pytest.approx(1 - 0.1 / 0.6, abs=1e-4)
    assert len({spot.centre for spot in whole}) == len(whole) == 8


def test_a_print_without_room_has_one_place_and_a_larger_one_none():
    assert spots(9, (1.0, 1.0), (1.0, 1.0))[0].centre == (0.5, 0.5)
    with pytest.raises(ConfigError, match=r"of 2 x 1 m is larger than the surface, 1.00 x 1.00 m"):
        spots(9, (2.0, 1.0), (1.0, 1.0))
    with pytest.raises(ConfigError, match="1 to 400 places"):
        spots(0, (0.5, 0.5), (1.0, 1.0))


def test_the_best_place_is_the_plans_and_what_hangs_over_the_edge_is_refused(made):
    folder, plan = made
    table = rows(folder)
    allowed = [row for row in table if row["value"]]
    refused = [row for row in table if not row["value"]]
    assert refused and all("hangs over the edge" in row["refused"] for row in refused)
    winner = min(allowed, key=lambda row: float(row["value"]))
    assert plan.centre == (float(winner["u"]), float(winner["v"]))
    assert plan.size_m == (float(winner["width_m"]), float(winner["height_m"]))
    assert float(winner["mean"]) < float(winner["grey"])
    # More of the red sign covered by cyan, less of it seen.
    assert float(winner["width_m"]) == 0.5
    assert (folder / "p_places.png").stat().st_size > 1000


def test_a_search_goes_on_where_it_stopped_and_ends_with_the_same_bytes(made, tmp_path):
    class Cut(Exception):
        pass

    def stop(stage, done, whole, numbers):
        if stage == "trying places" and done == 3:
            raise Cut

    with pytest.raises(Cut):
        searched(tmp_path, report=stop)
    lines = (tmp_path / "p.places" / "places.jsonl").read_text().splitlines()
    assert len(lines) == 3
    # The crash may have torn a fourth line; going on twice must not trip over it.
    path = tmp_path / "p.places" / "places.jsonl"
    path.write_text("\n".join(lines) + "\n" + lines[0][:20])
    with pytest.raises(Cut):
        searched(tmp_path, report=lambda *told: stop(told[0], told[1] - 1, *told[2:]))
    assert path.read_text().splitlines()[:3] == lines
    scene = PinholeScene()
    assert searched(tmp_path, scene).centre == made[1].centre
    for name in ("p_places.csv", "p_places.png"):
        assert (tmp_path / name).read_bytes() == (made[0] / name).read_bytes()
    ticks = scene.ticks
    searched(tmp_path, scene)  # all is known: nothing is measured
    assert scene.ticks == ticks


def test_what_has_one_place_only_is_refused(tmp_path):
    plan = dataclasses.replace(PLAN, attack="poster", size_m=(0.7, 0.7), goal="hide")
    with pytest.raises(ConfigError, match="has one place on its surface only"):
        searched(tmp_path, plan=plan, count=9, scenes=_off_centre)


def _off_centre(attack):
    assert isinstance(attack, Poster)
    return [before_sign(attack, "sign")]


def test_nothing_is_allowed_is_told_in_the_attacks_words():
    nan = float("nan")
    tried = [Tried(0.5, 0.5, 1.0, 1.0, "covers 40 %", nan, nan, nan, nan)]
    with pytest.raises(BudgetError, match="none of 1 places is allowed: covers 40 %"):
        best(tried)


class Roadside(PinholeScene):
    """A scene in which boards can be put up."""

    def lane(self, ahead_m, right_m=0.0):
        from simattack.types import Pose

        return Pose(60.0, right_m)


def on_the_road(attack):
    def enter(scene):
        scene.clear()
        return scene.route_to("sign", 60.0)

    return [Setting("road", enter, attack)]


def test_a_board_is_its_own_surface_and_has_no_place_on_it(tmp_path):
    plan = dataclasses.replace(
        PLAN, attack="billboard", goal="appear", label="person", size_m=(1.0, 2.0)
    )
    with pytest.raises(ConfigError, match="is the print itself; put it elsewhere by its own"):
        searched(tmp_path, Roadside(), on_the_road, plan)


def test_to_hide_what_nothing_stands_behind_is_refused():
    board = Billboard(fill="grey", size_m=(1.0, 2.0))
    stands = standpoints(["road"], 2, 1, np.random.default_rng(0))
    survey = Survey(on_the_road(board), stands, [Weather()])
    paints = {"grey": np.full((1, 1, 3), 128, np.uint8)}
    with pytest.raises(CalibrationError, match=r"on nothing of the kind.*--goal appear"):
        record(Roadside(), survey, paints)
    shots = record(Roadside(), dataclasses.replace(survey, is_of_print=True), paints)
    assert [shot.target.labels for shot in shots] == [("",), ("",)]
