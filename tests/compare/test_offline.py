import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from simattack.compare import bench as benches
from simattack.compare import offline, onprints
from simattack.compare.looking import Defended, extra_latency, found
from simattack.comparison import Effort
from simattack.errors import ConfigError
from simattack.patchfile import Patch, PatchCard, load_patch, save_patch
from simattack.registry import build
from simattack.scenario import Part, Scenario
from simattack.types import Detections
from tests.pinhole import PinholeScene

pytestmark = pytest.mark.usefixtures("one_thread")

EFFORT = Effort(
    iterations=20, queries=4, blackbox=4, query_views=2, views=8, judged_views=4, cells=8,
    size_m=0.37, pieces=1, batch=4, rate=0.1,
)  # fmt: skip


class Redness:
    """Finds a sign where an image is red on average; the target's box is known to it."""

    weights = "redness"

    def __init__(self):
        self.box = np.zeros(4)

    def loss(self, images, targets):
        found = []
        for image, target in zip(images, targets, strict=True):
            x0, y0, x1, y1 = (round(float(v)) for v in target.boxes[0])
            red, green, blue = image[:, y0:y1, x0:x1].mean((1, 2))
            found.append(8 * (red - (green + blue) / 2))
        return torch.stack(found).sigmoid()

    scores_near = loss


class Finder(Redness):
    """Looks for the reddest 9 x 9 px and draws the box given beside it."""

    def __init__(self, boxes):
        self.boxes = boxes
        self.latency_s = 0.0

    def detect(self, images):
        seen = []
        for image in images:
            tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
            targets = [Detections(b[None], np.ones(1), ("stop sign",)) for b in self.boxes]
            scores = [float(self.loss(tensor, [t])[0]) for t in targets]
            seen.append(
                Detections(np.array(self.boxes), np.array(scores), ("stop sign",) * len(scores))
            )
        return seen


def scenario(patch, sites=("sign",)):
    attack = Part("sticker", {"patch": patch})
    return Scenario(
        name="pinhole", sites=sites, policy=Part("modular"), detector=Part("yolo"), attack=attack
    )


@pytest.fixture(scope="module")
def bench(tmp_path_factory, patch):
    folder = tmp_path_factory.mktemp("bench")
    made = onprints.prepare(PinholeScene(), None, scenario(patch), EFFORT, folder)
    boxes = [made.judged.target(i).boxes[0] for i in range(len(made.judged))]
    return dataclasses.replace(made, detector=Finder(boxes))


@pytest.fixture(scope="module")
def patch(tmp_path_factory):
    image = np.full((8, 8, 3), (0, 220, 220), np.uint8)
    card = PatchCard(width_m=0.37, height_m=0.37)
    return str(save_patch(tmp_path_factory.mktemp("p"), Patch("cyan", image, card)))


def test_only_a_sure_box_of_the_right_class_on_the_target_is_found():
    target = Detections(np.array([[0.0, 0, 10, 10]]), np.ones(1), ("stop sign",))

    def seen(box, score, label):
        return Detections(np.array([box], float), np.array([score]), (label,))

    looks = [
        seen([0, 0, 10, 10], 0.4, "stop sign"),
        seen([0, 0, 10, 10], 0.39, "stop sign"),
        seen([0, 0, 10, 10], 0.9, "car"),
        seen([20, 0, 30, 10], 0.9, "stop sign"),
        seen([0, 0, 10, 3.1], 0.9, "stop sign"),  # 31 of 100: IoU 0.31
        Detections.none(),
    ]
    assert found(looks, [target] * 6).tolist() == [True, False, False, False, True, False]


def test_a_defense_takes_at_least_no_time_and_says_what_it_declared(bench):
    jpeg = build("defenses", "jpeg", {}, "")
    told = extra_latency(jpeg, bench.detector, list(bench.bare()))
    assert told["declared_s"] == 0.01 and told["images"] == 4
    assert 0 <= told["mean_s"] <= told["p99_s"]


def test_what_else_the_machine_does_counts_for_no_defense(monkeypatch):
    """A machine that gets slower all the time, and a defense that does nothing."""
    clock = [0.0]

    class Slowing:
        latency_s = 0.0

        def detect(self, images):
            clock[0] += 0.001 * (1 + clock[0])
            return [Detections.none()] * len(images)

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    nothing = build("defenses", "bit_depth", {"bits": 8}, "")
    told = extra_latency(nothing, Slowing(), [np.zeros((4, 4, 3), np.uint8)] * 100)
    assert told["mean_s"] < 2e-6 and told["images"] == 100


def test_the_bare_view_shows_the_sign_as_it_was_under_the_sticker(bench):
    """Its texture is red; the background of the twin holds a grey sticker."""
    assert benches.hides(bench, None, bench.bare()).tolist() == [0, 0, 0, 0]


def test_fewer_than_two_views_a_sign_are_refused_before_anything_is_measured(tmp_path, patch):
    with pytest.raises(ConfigError, match=r"at least 10 views.*got adaptive.views 8 for 5 places"):
        onprints.prepare(PinholeScene(), None, scenario(patch, ("sign",) * 5), EFFORT, tmp_path)


def test_a_cell_has_every_check_and_is_the_same_when_resumed(bench):
    jpeg = build("defenses", "jpeg", {}, "")
    first = offline.cell(bench, "jpeg", jpeg, 1)
    assert set(first["checks"]) == {"half", "square", "nes", "random", "unbounded"}
    assert first["clean_hidden"]["value"] == 0.0 and first["adaptive"]["n"] == 4
    assert first["checks"]["unbounded"]["value"] == 1.0
    assert offline.cell(bench, "jpeg", jpeg, 1) == first


def test_a_defense_without_a_way_for_gradients_is_asked_and_has_every_check(bench):
    masking = build("defenses", "masking", {"lines": 1}, "")
    row = offline.cell(bench, "masking", masking, 1)
    assert row["adaptive"]["n"] == row["certified"]["n"] == 4 and row["adaptive_missing"] == ""
    assert row["adaptive_by"] == "square, 4 looks; for every view"
    assert set(row["checks"]) == {"half", "nes", "random", "unbounded"}
    card = load_patch(str(bench.folder / "masking_adaptive.png")).card
    assert card.queries == 4 * 2 and "behind Masking(lines=1" in card.detector
    assert len(Defended(bench.detector, masking).detect(bench.bare())) == 4


def test_a_random_defense_draws_anew_for_every_other_picture():
    class Draws:
        latency_s, needs = 0.0, ("camera",)

        def begin(self, car, rng):
            drawn.append(float(rng.random()))
            return build("defenses", "jpeg", {}, "").begin(car, rng)

    class Blind:
        latency_s = 0.0

        def detect(self, images):
            return [Detections.none() for _ in images]

    drawn = []
    views = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    looks = Defended(Blind(), Draws())
    looks.detect(views)
    looks.detect(views)
    assert drawn[:3] == drawn[3:] and len(set(drawn)) == 3


def test_asking_begins_with_what_gradients_find_without_the_defense(bench):
    once = dataclasses.replace(bench, effort=dataclasses.replace(bench.effort, blackbox=1))
    row = offline.cell(once, "lone", build("defenses", "persistence", {}, ""), 1)
    bare = load_patch(str(bench.folder / "none_adaptive.png"))
    assert np.array_equal(load_patch(row["made"][0]["patch"]).image, bare.image)


def test_nobody_asks_where_no_looks_are_allowed(bench):
    none = dataclasses.replace(bench, effort=dataclasses.replace(bench.effort, blackbox=0))
    row = offline.cell(none, "masking", build("defenses", "masking", {}, ""), 1)
    assert row["adaptive"] is None and "'adaptive.blackbox' is 0" in row["adaptive_missing"]


def test_a_defense_that_looks_for_itself_is_the_one_to_be_fooled(bench):
    """It finds green where the bare detector finds red: what hides from one does not from both."""

    class Greenness(Finder):
        def loss(self, images, targets):
            return super().loss(images[:, [1, 0, 2]], targets)

        scores_near = loss

    class Other:
        masks_gradients = True
        network = Greenness(bench.detector.boxes)

        def surrogate(self, images, rng):
            return images

        def begin(self, car, rng):
            guard = build("defenses", "jpeg", {"quality": 100}, "").begin(car, rng)
            guard.wrap = lambda _: self.network
            return guard

    row = offline.cell(bench, "other", Other(), 1)
    made = load_patch(row["made"][0]["patch"]).image.reshape(-1, 3).mean(0)
    assert made[1] < made[0]  # less green than red
    assert row["masks_gradients"] is True


def test_who_knows_a_defense_shows_what_hides_the_most_in_the_views_learnt_from(bench, monkeypatch):
    """What was made without it, the scenario's own, or what another attempt makes of these."""
    jpeg = build("defenses", "jpeg", {}, "")
    shares = {"strong_adaptive": 0.3, "none_adaptive": 0.5, "cyan": 0.4, "strong_most": 0.4}
    monkeypatch.setattr(
        onprints.OnPrints, "_hidden", lambda _, made, __: shares[Path(made["patch"]).stem]
    )
    made, how = bench.attempts("strong", jpeg)
    assert Path(made["adaptive"]["patch"]).stem == "none_adaptive"
    assert how.endswith("; made without it")
    inputs = json.loads((bench.folder / "strong_most.run" / "inputs.json").read_text())
    assert inputs["plan"]["seek"] == "most"
    begun = bench.plan.layout.point(load_patch(str(bench.folder / "none_adaptive.png")).image)
    assert inputs["start"] == hashlib.sha256(begun.tobytes()).hexdigest()

    shares["strong_most"] = 0.6
    made, how = bench.attempts("strong", jpeg)
    assert Path(made["adaptive"]["patch"]).stem == "strong_most"
    assert how.endswith("; for most views")
    # What is told is checked: half of its own steps, from where it began.
    assert Path(made["half"]["patch"]).stem == "strong_half_most"
    halved = json.loads((bench.folder / "strong_half_most.run" / "inputs.json").read_text())
    assert halved["start"] == inputs["start"]
    assert (halved["plan"]["seek"], halved["plan"]["iterations"]) == ("most", 10)

    shares["cyan"] = 1.0
    made, how = bench.attempts("strong", jpeg)
    assert made["adaptive"]["patch"] == bench.patch and how.endswith("; the scenario's own")
    # The same again, made from another seed, does not have it.
    shares |= {"strong_adaptive_2": 0.1, "none_adaptive_2": 0.2, "strong_most_2": 0.3}
    assert Path(bench.again("strong", jpeg, 2)["patch"]).stem == "strong_most_2"


def test_an_attack_that_hides_all_is_left_at_that(bench, monkeypatch):
    monkeypatch.setattr(onprints.OnPrints, "_hidden", lambda *_: 1.0)
    _, how = bench.attempts("easy", build("defenses", "jpeg", {}, ""))
    assert how.endswith("; for every view") and not (bench.folder / "easy_most.png").exists()


def test_attacks_made_independently_are_all_kept_and_the_best_is_told(bench):
    row = offline.cell(bench, "twice", build("defenses", "jpeg", {}, ""), 2)
    one, two = (load_patch(made["patch"]) for made in row["made"])
    assert (one.card.seed, two.card.seed) == (0, 1)
    assert row["adaptive"]["value"] == max(row["adaptive_each"]) and len(row["adaptive_each"]) == 2


def test_of_several_attacks_the_one_that_hides_the_most_is_told(bench, monkeypatch):
    shares = {"1": 0.25, "2": 0.75, "3": 0.5}
    monkeypatch.setattr(onprints.OnPrints, "again", lambda *args: {"patch": str(args[3])})
    monkeypatch.setattr(
        onprints.OnPrints, "attempts", lambda *_: ({"adaptive": {"patch": "1"}}, "by hand")
    )
    monkeypatch.setattr(onprints.OnPrints, "unbounded", lambda *_: None)
    monkeypatch.setattr(onprints.OnPrints, "under", lambda _, made: made["patch"])

    def hides(_, __, images):
        count = round(4 * shares[images]) if isinstance(images, str) else 0
        return np.arange(4) < count

    monkeypatch.setattr(offline, "hides", hides)
    row = offline.cell(bench, "jpeg", build("defenses", "jpeg", {}, ""), 3)
    assert row["adaptive"]["value"] == 0.75 and row["adaptive_each"] == [0.25, 0.75, 0.5]


def test_a_print_on_two_sides_leaves_each_its_own_bare_texture(bench):
    """As of somebody's clothes: the right half of the sign is here the other side."""
    (front,) = bench.judged.faces
    green = np.broadcast_to(np.uint8([0, 200, 0]), front.texture.shape)
    pixel = bench.judged.pixel.copy()
    pixel[:, 3] = pixel[:, 2] > np.median(pixel[:, 2])
    faces = (front, dataclasses.replace(front, texture=np.ascontiguousarray(green)))
    both = dataclasses.replace(bench.judged, faces=faces, pixel=pixel)
    seen = dataclasses.replace(bench, judged=both).bare()
    view, row, column, face = pixel[bench.judged.core].T
    own, other = bench.bare(), bench.images(np.full((8, 8, 3), (0, 200, 0), np.uint8))
    expected = np.where(face[:, None] == 1, other[view, row, column], own[view, row, column])
    apart = np.abs(seen[view, row, column].astype(int) - expected)
    assert apart.mean() < 1 and np.abs(own.astype(int) - other).max() > 50
    assert len(both.bare) == 2 and (both.bare[1] == (0, 200, 0)).all()


def test_a_patch_of_another_size_than_what_is_made_against_it_is_refused(bench, tmp_path):
    image = np.zeros((8, 8, 3), np.uint8)
    card = PatchCard(width_m=0.3, height_m=0.3)
    small = str(save_patch(tmp_path, Patch("small", image, card)))
    with pytest.raises(ConfigError, match=r"as large as what is made.*adaptive.size_m"):
        dataclasses.replace(bench, patch=small).oblivious()


class Fragile(Finder):
    """Finds a sign of which no pixel about its middle lacks red: many pictures hide it."""

    def loss(self, images, targets):
        found = []
        for image, target in zip(images, targets, strict=True):
            x0, y0, x1, y1 = (round(float(v)) for v in target.boxes[0])
            wide, tall = (x1 - x0) // 4, (y1 - y0) // 4
            middle = image[0, y0 + tall : y1 - tall, x0 + wide : x1 - wide]
            found.append((16 * (middle.min() - 0.4)).sigmoid())
        return torch.stack(found)

    scores_near = loss


class Shattered:
    """Does nothing but let no gradient through: strong, for who follows nothing else."""

    latency_s, needs = 0.0, ("camera",)
    begin = staticmethod(lambda car, rng: build("defenses", "bit_depth", {"bits": 8}, "").begin(
        car, rng))  # fmt: skip

    @staticmethod
    def surrogate(images, rng):
        return images.detach() + 0 * images


def test_a_defense_that_only_masks_its_gradients_is_flagged(tmp_path):
    image = np.full((8, 8, 3), (200, 100, 100), np.uint8)
    card = PatchCard(width_m=0.37, height_m=0.37)
    red = str(save_patch(tmp_path, Patch("reddish", image, card)))
    effort = dataclasses.replace(EFFORT, queries=40)
    made = onprints.prepare(PinholeScene(), None, scenario(red), effort, tmp_path / "bench")
    boxes = [made.judged.target(i).boxes[0] for i in range(len(made.judged))]
    bench = dataclasses.replace(made, detector=Fragile(boxes))
    row = offline.cell(bench, "shattered", Shattered(), 1)
    assert "unbounded" in row["flags"]
    honest = offline.cell(bench, "honest", build("defenses", "bit_depth", {"bits": 8}, ""), 1)
    assert honest["flags"] == []
