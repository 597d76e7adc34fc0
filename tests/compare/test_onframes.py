import dataclasses

import numpy as np
import pytest

from simattack.compare import asking, offline, onframes
from simattack.compare.bench import hides
from simattack.compare.onframes import OnFrames, Photographs, tampered
from simattack.comparison import Effort
from simattack.errors import BudgetError, ConfigError, ResultsError
from simattack.registry import build
from simattack.scenario import Part, Scenario
from simattack.types import Detections
from tests.pinhole import PinholeScene

pytestmark = pytest.mark.usefixtures("one_thread")

EFFORT = Effort(blackbox=12, query_views=2, views=8, judged_views=4)
BLOB = Part("lens_blob", {"diameter_mm": 12, "timing": {"start_s": 100}})


class Bright:
    """Sees a stop sign as surely as the middle of its box is bright, in boxes that it is told."""

    weights = "bright"

    def __init__(self, boxes):
        self.boxes = boxes

    def detect(self, images):
        seen = []
        for image in images:
            scores = []
            for box in self.boxes:
                x0, y0, x1, y1 = np.clip(np.round(box), 0, (640, 480) * 2).astype(int)
                scores.append(float(image[y0:y1, x0:x1].mean() / 255))
            seen.append(
                Detections(np.array(self.boxes), np.array(scores), ("stop sign",) * len(scores))
            )
        return seen


def frames(count, seed):
    """Light grey pictures with one target each, all at one place, left of the middle."""
    images = np.random.default_rng(seed).integers(180, 220, (count, 480, 640, 3)).astype(np.uint8)
    target = Detections(np.array([[190.0, 190, 250, 250]]), np.ones(1), ("stop sign",))
    return Photographs(images, (target,) * count, np.linspace(8, 40, count))


@pytest.fixture
def bench(tmp_path):
    learnt, judged = frames(8, 0), frames(4, 1)
    detector = Bright([judged.found[0].boxes[0]])
    return OnFrames(detector, BLOB, EFFORT, learnt, judged, tmp_path)


def test_whatever_its_timing_the_attack_is_on_and_leaves_the_frames_alone(bench):
    before = bench.judged.images.copy()
    under = bench.oblivious()
    assert under.shape == before.shape and under.dtype == np.uint8
    assert np.array_equal(bench.judged.images, before)
    assert (under != before).any(axis=(1, 2, 3)).all()


def test_a_blob_is_moved_over_the_sign_by_asking_and_moves_no_further_when_resumed(bench):
    """Where it begins, in the middle of the picture, it hides nothing."""
    jpeg = build("defenses", "jpeg", {}, "")
    assert hides(bench, jpeg, bench.bare()).tolist() == [0, 0, 0, 0]
    row = offline.cell(bench, "jpeg", jpeg, 2)
    assert row["adaptive"]["value"] == 1.0 > row["oblivious"]["value"]
    assert row["adaptive_by"] == "cma, 12 looks" and set(row["checks"]) == {"half", "random"}
    assert row["certified"] is None and len(row["made"]) == 2
    made = row["made"][0]
    assert made["kind"] == "tuned" and made["attack"]["kind"] == "lens_blob"
    # What a comparison hands on to the drives is an attack that a scenario can hold.
    assert Part("sticker").replaced(made).build("attacks").attack.kind == "lens_blob"
    assert offline.cell(bench, "jpeg", jpeg, 2) == row


def moved_aside(made):
    """The same blob at the edge of the picture, where it hides nothing."""
    _, high = asking.box_of(BLOB.build("attacks"))
    return {**made, "parameters": (float(high[0]), *made["parameters"][1:])}


def test_what_hides_more_in_all_views_is_shown_whatever_luck_a_search_had(bench, monkeypatch):
    jpeg = build("defenses", "jpeg", {}, "")
    over = bench.attempts("none", None)[0]["adaptive"]
    beside = moved_aside(over)
    assert (bench._hidden(jpeg, beside), bench._hidden(jpeg, over)) == (0.0, 1.0)
    tried = asking.Tried((), (), over, 0.5)
    monkeypatch.setattr(OnFrames, "_chance", lambda *_: tried)
    monkeypatch.setattr(OnFrames, "_search", lambda *_: (beside, 0.0))
    made, how = bench.attempts("jpeg", jpeg)
    assert (made["adaptive"], how) == (over, "random, 12 looks")


def test_who_knows_a_defense_of_frames_also_has_what_was_made_without_it(bench, monkeypatch):
    without = bench.attempts("none", None)[0]["adaptive"]
    beside = moved_aside(without)
    own = OnFrames._strongest
    weak = asking.Tried((), (), beside, 0.0)
    monkeypatch.setattr(
        OnFrames, "_strongest",
        lambda self, name, *more: own(self, name, *more) if name == "none"
        else (beside, "cma", weak),
    )  # fmt: skip
    jpeg = build("defenses", "jpeg", {}, "")
    row = offline.cell(bench, "jpeg", jpeg, 1)
    assert row["adaptive"]["value"] == 1.0 > row["through"]["value"]
    assert row["adaptive_by"] == "cma, 12 looks; made without it"


def test_who_may_not_ask_or_has_nothing_to_turn_makes_nothing(bench):
    mute = dataclasses.replace(bench, effort=dataclasses.replace(EFFORT, blackbox=0))
    assert "'adaptive.blackbox' is 0" in offline.cell(mute, "x", None, 1)["adaptive_missing"]
    fixed = dataclasses.replace(bench, attack=Part("link", {"fault": "blackout"}))
    row = offline.cell(fixed, "y", None, 1)
    assert row["adaptive"] is None and "leaves no number free" in row["adaptive_missing"]
    assert row["oblivious"]["value"] == 1.0  # nothing is to be seen


def test_a_search_counts_the_views_in_which_the_sign_is_still_found(bench):
    """One that cannot be won does not drown what was won elsewhere."""
    scores = bench._scores(None)
    scores._views = dataclasses.replace(scores._views, images=scores._views.images.copy())
    scores._views.images[0] = 255
    scores._attack = Part("lens_blob", {"diameter_mm": 1})
    one = scores(np.array([0.0, 0.0, 0.0]))
    scores._views.images[1] = 20
    assert one == pytest.approx(1.0 + 0.2 * 0.9, abs=0.05)
    assert scores(np.array([0.0, 0.0, 0.0])) == pytest.approx(0.5 + 0.2 * 0.54, abs=0.05)


def test_who_searches_in_vain_shows_what_the_search_began_with(bench, monkeypatch):
    monkeypatch.setattr(asking.Scores, "__call__", lambda self, point: float(point[0] != 0.5))
    made, _ = bench.attempts("vain", None)
    low, high = asking.box_of(BLOB.build("attacks"))
    own = bench._scores(None).start
    assert made["adaptive"]["parameters"] == pytest.approx(tuple(low + own * (high - low)))


def test_parameters_beyond_the_budget_are_followed_as_far_as_it_goes(bench):
    scores = bench._scores(None)
    own = (12 - 0.4) / 59.6
    assert scores.start.tolist() == [0.5, 0.5, pytest.approx(own)]
    # 60 mm cover the picture; halfway there is too much, too.
    made = scores.made(np.array([0.5, 0.1, 1.0]))
    share = (made["parameters"][2] - 12) / 48
    assert share == pytest.approx(0.25) or share == pytest.approx(0.125)
    assert made["parameters"][1] == pytest.approx(0.5 - 0.4 * share)
    Part("x").replaced(made).build("attacks").begin(None, np.random.default_rng(0))


def test_what_a_search_ends_with_bears_the_chance_of_other_drives(bench):
    mud = Part("lens_mud", {"coverage": 0.5, "count": 3, "opacity": 1.0})
    scores = dataclasses.replace(bench, attack=mud)._scores(None)
    wider = scores.start.copy()
    wider[2::4] *= 1.21  # radii
    seen = np.zeros((8, 60, 80, 3), np.uint8)
    with pytest.raises(BudgetError):  # the outlines of some drive are too wide for it
        tampered(mud.replaced(scores.made(wider, draws=1)), seen)
    tampered(mud.replaced(scores.made(wider, draws=8)), seen)
    assert len(scores._begun) == 8
    scores.end()
    assert not scores._begun


def test_an_attack_whose_numbers_break_its_budget_in_other_drives_is_not_searched(bench):
    wide = Part("lens_mud", {"coverage": 0.6, "count": 8, "opacity": 1.0})
    why = dataclasses.replace(bench, attack=wide).why_not(None)
    assert "budget" in why and "make it less" in why
    assert bench.why_not(None) == ""


def test_an_interrupted_search_looks_at_no_draw_twice(bench, monkeypatch):
    mud = Part("lens_mud", {"coverage": 0.3, "count": 2, "opacity": 1.0})
    effort = dataclasses.replace(bench.effort, blackbox=6)
    bench = dataclasses.replace(bench, attack=mud, effort=effort)
    whole = asking.Scores.__call__
    looked = []

    def look(self, point):
        if len(looked) == 4:
            raise KeyboardInterrupt
        looked.append(point)
        return whole(self, point)

    monkeypatch.setattr(asking.Scores, "__call__", look)
    with pytest.raises(KeyboardInterrupt):
        bench.attempts("cut", None)
    monkeypatch.setattr(asking.Scores, "__call__", lambda s, p: looked.append(p) or whole(s, p))
    made, _ = bench.attempts("cut", None)
    assert len(looked) == 6 + 4 + 2  # draws, and what is left to a search and to half of it
    assert made == bench.attempts("whole", None)[0]
    (kept,) = bench.folder.glob("whole_random.run/values.jsonl")
    kept.write_text("0.5\nhalf\n")
    with pytest.raises(ResultsError, match=r"values.jsonl is damaged.*'half'"):
        bench.attempts("whole", None)


def test_a_search_begins_with_the_best_of_what_the_attack_draws(bench):
    mud = Part("lens_mud", {"coverage": 0.3, "count": 2, "opacity": 1.0})
    effort = dataclasses.replace(bench.effort, blackbox=9)
    bench = dataclasses.replace(bench, attack=mud, effort=effort)
    scores = bench._scores(None)
    draws = scores.drawn(9, 0)
    values = [scores(point) for point in draws]
    assert min(values) < 0.5 < max(values)  # some lie on the sign
    made, _ = bench.attempts("mud", None)
    best = scores.made(draws[int(np.argmin(values))], 128)
    assert made["random"]["parameters"] == best["parameters"]
    low, high = asking.box_of(mud.build("attacks"))
    found = (np.array(made["adaptive"]["parameters"]) - low) / (high - low)
    assert scores(found) <= min(values[:3]) + 1e-9
    assert not np.array_equal(draws[0], scores.drawn(1, 1)[0])
    # A blob is where its options say: there is nothing to draw.
    assert dataclasses.replace(bench, attack=BLOB)._scores(None).drawn(3, 0) == []


def test_photographs_are_read_back_and_damage_is_told(tmp_path):
    path = tmp_path / "f.npz"
    frames(3, 2).save(path)
    again = Photographs.load(path)
    assert np.array_equal(again.images, frames(3, 2).images)
    assert again.found[2].labels == ("stop sign",) and again.distances_m[2] == 40
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ResultsError, match=r"f\.npz is damaged"):
        Photographs.load(path)


def test_photographs_show_the_sign_with_nothing_stuck_on(tmp_path):
    scenario = Scenario(
        name="pinhole", sites=("sign",), policy=Part("modular"), detector=Part("yolo"), attack=BLOB
    )
    made = onframes.prepare(PinholeScene(), Bright([]), scenario, EFFORT, tmp_path)
    assert len(made.learnt) == 8 and made.judged.images.shape == (4, 480, 640, 3)
    for image, target in zip(made.judged.images, made.judged.found, strict=True):
        x0, y0, x1, y1 = target.boxes[0].round().astype(int)
        red, green, blue = image[y0:y1, x0:x1].reshape(-1, 3).mean(0)
        assert red > green + 30 and red > blue + 30
    again = onframes.prepare(None, Bright([]), scenario, EFFORT, tmp_path)
    assert np.array_equal(again.judged.images, made.judged.images)


def test_frames_are_recorded_before_stop_signs_only(tmp_path):
    scenario = Scenario(
        name="other", sites=("straight_1",), policy=Part("modular"), detector=Part("yolo"),
        attack=BLOB,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="expected stop signs as its sites"):
        onframes.prepare(PinholeScene(), None, scenario, EFFORT, tmp_path)


def test_a_tuned_attack_is_on_too(bench):
    inner = {"kind": "lens_blob", **BLOB.options}
    tuned = Part("tuned", {"attack": inner, "parameters": (0.4, 0.4, 12.0)})
    assert (tampered(tuned, bench.judged.images) != bench.judged.images).any()
