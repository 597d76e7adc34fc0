import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from simattack.calibration import calibrate
from simattack.errors import BudgetError, ConfigError, ResultsError
from simattack.optimize.layout import Layout
from simattack.optimize.objective import Asked, Hiding
from simattack.optimize.patch import optimize_patch
from simattack.optimize.plan import PatchPlan
from simattack.patchfile import load_patch
from simattack.standpoints import before_sign, standpoints
from simattack.types import CLASS_NAMES, Weather
from tests.pinhole import PinholeScene, survey

pytestmark = pytest.mark.usefixtures("one_thread")


class Redness:
    """Finds what is redder than green and blue; its best enemy is cyan."""

    weights = "redness"

    def _score(self, images, targets):
        found = []
        for image, target in zip(images, targets, strict=True):
            x0, y0, x1, y1 = (round(float(v)) for v in target.boxes[0])
            red, green, blue = image[:, y0:y1, x0:x1].mean((1, 2))
            found.append(4 * (red - (green + blue) / 2))
        return torch.stack(found)

    def loss(self, images, targets):
        return self._score(images, targets).sigmoid()

    scores_near = loss


PLAN = PatchPlan(
    size_m=(0.37, 0.37), pieces=1, cells=8, iterations=24, views=8, gap_views=2,
    batch=4, rate=0.1, printability=0.0, smoothness=0.0, seed=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def twin():
    scene = PinholeScene()
    stands = standpoints(["sign"], 8, 1, np.random.default_rng(0))
    return calibrate(scene, survey(stands, [Weather()]))


def hiding(twin, **options):
    return Hiding(twin, twin.select([0, 4, 7]), Redness(), Layout((8, 8)), **options)


def optimize(folder, scene=None, plan=PLAN, **options):
    scene = scene or PinholeScene()
    return optimize_patch(scene, Redness(), plan, before_the_sign, folder, "p", **options)


def before_the_sign(attack):
    return [before_sign(attack, "sign")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return optimize(folder)


def test_the_optimiser_finds_the_colour_that_hides_the_target(made):
    red, green, blue = load_patch(made).image.reshape(-1, 3).mean(0)
    assert red < 40 and green > 215 and blue > 215


def test_the_card_tells_how_the_patch_came_to_be(made):
    card = load_patch(made).card
    assert (card.width_m, card.height_m) == (0.37, 0.37)
    assert (card.optimizer, card.iterations, card.seed) == ("adam", 24, 3)
    assert card.detector == "redness" and card.sites == ("sign",) and card.surface == "sign"
    assert card.eot["noise"] == 0.015
    assert set(card.gap) == {"patch", "random", "control"}
    assert card.gap["random"]["median_db"] > 35
    assert card.gap["random"]["mean_colour_db"] < card.gap["random"]["median_db"] - 10
    assert card.gap["patch"]["close_scores"] == 1.0
    assert card.scores and max(card.scores.values()) < 0.9


def test_an_interrupted_run_ends_with_the_same_patch(made, tmp_path):
    class Cut(Exception):
        pass

    def stop_at_21(stage, done, total, scalars):
        if stage == "optimising" and done == 21:  # one past the checkpoint at 20
            raise Cut

    with pytest.raises(Cut):
        optimize(tmp_path, report=stop_at_21)
    assert not (tmp_path / "p.png").exists()
    scene = PinholeScene()
    again = optimize(tmp_path, scene)
    assert again.read_bytes() == made.read_bytes()
    assert again.with_suffix(".json").read_bytes() == made.with_suffix(".json").read_bytes()
    # Only the gap was measured again: 8 constant paints and 3 pictures; the print went up twice.
    assert scene.paints == 8 + 3 + 2


def test_a_run_with_other_inputs_is_not_resumed(made):
    other = dataclasses.replace(PLAN, seed=4)
    with pytest.raises(ResultsError, match="belongs to a run with another plan"):
        optimize(made.parent, plan=other)


def test_a_damaged_checkpoint_is_one_line(made, tmp_path):
    folder = tmp_path / "p.run"
    shutil.copytree(made.parent / "p.run", folder)
    (folder / "checkpoint.npz").write_bytes(b"PK no")
    with pytest.raises(ResultsError, match=r"checkpoint\.npz is damaged"):
        optimize(tmp_path)
    assert not (tmp_path / "p.png").exists()
    optimize(tmp_path, plan=dataclasses.replace(PLAN, iterations=1), resume=False)
    assert (tmp_path / "p.png").exists()


def test_curves_and_inputs_lie_in_the_run(made):
    folder = made.parent / "p.run"
    assert list((folder / "tensorboard").glob("events.*"))
    assert json.loads((folder / "inputs.json").read_text())["plan"]["seed"] == 3


def test_the_worst_bucket_decides(twin):
    objective = hiding(twin)
    scores = objective.scores(np.full(192, 0.5))
    buckets = objective.buckets(scores)
    assert len(buckets) == 3 and max(buckets.values()) == pytest.approx(scores.max())
    value = objective(np.full(192, 0.5))
    assert value == pytest.approx(scores.max() + 0.2 * scores.mean())


def test_views_that_do_worst_come_up_more_often(twin):
    objective = hiding(twin, batch=4)
    objective.memory[:] = 0.1
    objective.memory[5] = 0.9
    rng = np.random.default_rng(0)
    drawn = [objective.draw(rng) for _ in range(60)]
    assert all(len(set(index)) == 4 for index in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=8)
    assert counts.min() > 0 and counts.argmax() == 5


def test_a_window_holds_its_target(twin):
    objective = hiding(twin, window_px=96)
    crops = twin.render(torch.zeros(3, 8, 8), torch.arange(8))
    boxes = np.array([view.box for view in twin.views])
    corners, targets = objective._windows(np.arange(8), np.random.default_rng(0))
    images = twin.render(torch.zeros(3, 8, 8), torch.arange(8), window=(corners, 96))
    assert images.shape == (8, 3, 96, 96)
    for i, target in enumerate(targets):
        x0, y0, x1, y1 = (int(v) for v in target.boxes[0])
        left, top = (int(v) for v in boxes[i][:2])
        assert 0 <= x0 and 0 <= y0 and x1 <= 96 and y1 <= 96
        assert torch.equal(images[i, :, y0, x0], crops[i, :, top, left])


def test_a_defense_stands_between_camera_and_detector(twin):
    class Blackout:
        def surrogate(self, images, rng):
            return images * 0

    plain, defended = hiding(twin), hiding(twin, defense=Blackout())
    red = np.concatenate([np.ones(64), np.zeros(128)])
    assert plain.scores(red).max() > 0.6
    np.testing.assert_allclose(defended.scores(red), 0.5)
    _, parts = defended.loss(torch.from_numpy(red).float(), np.random.default_rng(0))
    assert parts["hiding"] == pytest.approx(0.5)


def test_print_limits_weigh_in(twin):
    rough = np.random.default_rng(0).integers(0, 2, 192).astype(np.float32)
    losses = []
    for weight in (0.0, 1.0):
        objective = hiding(twin, printability=weight, smoothness=weight)
        loss, parts = objective.loss(torch.from_numpy(rough), np.random.default_rng(0))
        losses.append(float(loss))
    assert losses[1] - losses[0] == pytest.approx(
        parts["unprintable"] + parts["roughness"], rel=1e-3
    )


def test_a_window_that_does_not_fit_the_grid_is_refused(twin):
    with pytest.raises(ValueError, match="multiple of 32 up to 256, got 100"):
        hiding(twin, window_px=100)


def test_an_oblong_plan_keeps_square_cells():
    assert PatchPlan(size_m=(0.4, 0.2), pieces=1, cells=96).layout.shape == (48, 96)
    assert Layout((1, 2)).picture(np.arange(6) / 5).tolist() == [[[0, 102, 204], [51, 153, 255]]]


def test_a_set_lies_apart_by_its_gaps():
    layout = PatchPlan().layout
    assert (layout.pieces, layout.piece, layout.gap) == (3, (31, 31), 12)  # of 4 mm
    picture = layout.picture(np.full(3 * 93 * 93, 0.2))
    assert picture.shape == (117, 117, 4)
    assert picture[31:43, :, 3].max() == 0 and picture[:31, :31, 3].min() == 255
    assert picture[:, :, 3].mean() == 255 * 93**2 / 117**2
    assert picture[50, 50].tolist() == [51, 51, 51, 255]


def test_what_a_set_shows_in_steps_is_what_is_saved():
    layout = Layout((2, 3), pieces=2, gap=1)
    point = np.random.default_rng(0).integers(0, 256, 3 * 4 * 6) / 255
    shown = layout.expand(torch.from_numpy(point).reshape(3, 4, 6))
    saved = layout.picture(point)
    assert saved.shape == (5, 7, 4)
    np.testing.assert_allclose(shown.permute(1, 2, 0).numpy()[:, :, :3] * 255, saved[:, :, :3])
    np.testing.assert_array_equal(shown[3].numpy() * 255, saved[:, :, 3])
    assert len({tuple(cell) for cell in saved[saved[:, :, 3] > 0]}) == 24  # each cell once


def test_a_search_by_queries_hides_the_target_and_tells_how_often_it_asked(tmp_path):
    plan = dataclasses.replace(PLAN, method="square", iterations=120, query_views=3, cells=4)
    card = load_patch(optimize(tmp_path, plan=plan)).card
    assert (card.optimizer, card.iterations, card.queries) == ("square", 120, 360)
    red, green, blue = load_patch(tmp_path / "p.png").image.reshape(-1, 3).mean(0)
    assert red < 100 and min(green, blue) > 150
    assert card.loss == "hide: scores of 3 views a look"


def test_a_sticker_for_another_goal_and_two_detectors_says_so_on_its_card(tmp_path):
    class Reddish(Redness):
        weights = "reddish"

        def raw(self, images):
            boxes = torch.tensor([[[0.0, 0.0, 256.0, 256.0]]]).repeat(len(images), 1, 1)
            reds = images[:, 0].mean((1, 2)) - images[:, 1:].mean((1, 2, 3))
            logits = torch.zeros(len(images), 1, len(CLASS_NAMES)) - 3
            return boxes, logits + 40 * reds[:, None, None]

    plan = dataclasses.replace(PLAN, goal="appear", label="person")
    path = optimize_patch(
        PinholeScene(), (Reddish(), Reddish()), plan, before_the_sign, tmp_path, "p"
    )
    card = load_patch(path).card
    assert (card.goal, card.label, card.detector) == ("appear", "person", "reddish+reddish")
    assert card.loss.startswith("appear: ")
    red, green, blue = load_patch(path).image.reshape(-1, 3).mean(0)
    assert red > 215 and max(green, blue) < 40
    with pytest.raises(ValueError, match="label"):
        dataclasses.replace(PLAN, goal="appear")


def test_hard_labels_tell_in_how_many_views_the_target_is_found(twin):
    objective = hiding(twin)
    soft, hard = (Asked(objective, 4, labels) for labels in ("scores", "hard"))
    red = np.concatenate([np.ones(64), np.zeros(128)])
    assert soft.images == hard.images == 4
    assert hard(red) == 1.0 and Asked(objective, 4, "hard", 0.95)(1 - red) == 0.0
    scores = np.sort(objective.scores(red, soft._twin))
    assert soft(red) == pytest.approx(0.5 * scores.mean() + 0.5 * scores[2:].mean())
    with pytest.raises(ValueError, match="labels must be one of scores, hard, got 'loud'"):
        Asked(objective, 4, "loud")


def test_who_seeks_most_views_counts_those_that_can_be_won(twin):
    """A view that stays far above the score from which a target is found has no say."""

    class Levels(Redness):
        """Redness on top of what no picture takes away, by the target's height."""

        def loss(self, images, targets):
            low = torch.tensor([0.0 if len(t) and t.boxes[0, 3] > cut else 0.9 for t in targets])
            return low + 0.1 * super().loss(images, targets)

        scores_near = loss

    cut = float(np.median([view.box[3] for view in twin.views]))
    every, most = (
        Hiding(twin, twin, Levels(), Layout((8, 8)), seek=seek) for seek in ("every", "most")
    )
    red = np.concatenate([np.ones(64), np.zeros(128)])
    scores = most.scores(red)
    assert 0 < (scores > 0.8).mean() < 1 and (scores[scores < 0.8] < 0.2).all()
    share = (scores >= 0.4).mean()
    assert most(red) == pytest.approx(share + 0.2 * scores.mean())
    assert every(red) > 0.9 > most(red)
    asked = Asked(most, len(twin))
    assert asked(red) == pytest.approx(most(red))
    with pytest.raises(ValueError, match="seek must be one of every, most, got 'all'"):
        dataclasses.replace(PLAN, seek="all")


def test_who_seeks_most_views_follows_the_ones_at_the_edge(twin):
    """Of a hopeless view and one at the edge, the gradient is that of the latter."""

    class Slopes(Redness):
        def scores_near(self, images, targets):
            edge = torch.tensor([0.4, 1.0, 1.0, 1.0][: len(targets)])
            seen = images[:, 0].mean((1, 2))
            return edge + seen - seen.detach()

    slopes = {}
    for seek in ("every", "most"):
        objective = Hiding(
            twin, twin, Slopes(), Layout((8, 8)), seek=seek, batch=4, printability=0, smoothness=0
        )
        point = torch.full((192,), 0.5, requires_grad=True)
        loss, parts = objective.loss(point, np.random.default_rng(0))
        (slope,) = torch.autograd.grad(loss, point)
        slopes[seek] = float(slope.abs().sum())
        assert parts["hiding"] == pytest.approx(float(loss.detach()), abs=1e-6)
    # One view of four at the steepest place of the sigmoid, the others at a thousandth of it.
    assert slopes["most"] > 0
    assert parts["hiding"] == pytest.approx((0.5 + 3 / (1 + np.exp(-6))) / 4, abs=1e-4)


def test_an_unknown_method_or_option_is_told_before_anything_is_measured():
    with pytest.raises(ConfigError, match="did you mean 'cma'"):
        dataclasses.replace(PLAN, method="cmaes")
    with pytest.raises(ConfigError, match="method 'pgd': 'pgd' has no option 'pace'"):
        dataclasses.replace(PLAN, method="pgd", options=(("pace", 2),))


@pytest.mark.parametrize(("name", "least"), [("views", 8), ("query_views", 1), ("cells", 2)])
def test_too_few_of_something_are_told_by_name(name, least):
    told = f"{name} must be at least {least}, got {least - 1}"
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(PLAN, **{name: least - 1})


@pytest.mark.parametrize("wrong", [{"gap_m": 0.24}, {"pieces": 0}, {"gap_m": -0.1}])
def test_a_set_that_does_not_fit_is_refused(wrong):
    with pytest.raises(ValueError, match=r"do not fit in 0.468 x 0.468 m|pieces must be"):
        PatchPlan(**wrong)


def test_nobody_waits_for_a_set_that_is_too_large(tmp_path):
    plan = dataclasses.replace(PLAN, size_m=(0.5, 0.5), pieces=2, gap_m=0.02, cells=50)
    with pytest.raises(BudgetError, match=r"covers 49\.4%"):
        optimize(tmp_path, plan=plan)
    assert not list(tmp_path.iterdir())
