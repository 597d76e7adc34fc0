"""Adversarial training and distillation: what they ask of a network, on a tiny stand-in for one."""

import dataclasses

import numpy as np
import pytest
import torch
from pinhole import PinholeScene, sign

from simattack.calibration import calibrate
from simattack.errors import ConfigError
from simattack.optimize.layout import Inset, Layout
from simattack.optimize.plan import WEATHERS
from simattack.placement import MAX_SHARE, place
from simattack.standpoints import Survey, before_sign, standpoints
from simattack.train import adversarial, lesson, soiled
from simattack.train.adversarial import Adversarial, Attacks, divergence, some_layout
from simattack.train.dataset import Labelled
from simattack.train.distilled import Distilled
from simattack.train.recipe import Recipe, plain
from simattack.train.run import Unbudgeted
from simattack.train.soiling import SOILS, Soiler
from simattack.types import CLASS_NAMES

pytestmark = pytest.mark.usefixtures("one_thread")
SIGN = CLASS_NAMES.index("stop sign")
SIDE_PX, ANCHORS = 192, 36


class Reddish(torch.nn.Module):
    """Says stop sign in each of 6 x 6 cells by how red it is; one weight can be learnt."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(6.0))

    def forward(self, images):
        cells = torch.nn.functional.adaptive_avg_pool2d(images, 6)
        red = (cells[:, 0] - cells[:, 1:].mean(1)).flatten(1)
        logits = torch.full((len(images), len(CLASS_NAMES), ANCHORS), -9.0)
        logits = torch.cat(
            [logits[:, :SIGN], (self.gain * red - 2)[:, None], logits[:, SIGN + 1 :]], 1
        )
        step = images.shape[2] / 6
        middle = (torch.arange(6) + 0.5) * step
        y, x = torch.meshgrid(middle, middle, indexing="ij")
        size = torch.full((ANCHORS,), step)
        boxes = torch.stack([x.flatten(), y.flatten(), size, size])[None].expand(
            len(images), -1, -1
        )
        return torch.cat([boxes, logits.sigmoid()], 1), {"scores": logits}


@pytest.fixture(scope="module")
def twin():
    scene = PinholeScene()
    stands = standpoints(["sign"], 8, len(WEATHERS), np.random.default_rng(0), (7.0, 20.0))
    settings = [before_sign(Unbudgeted(size_m=0.5), "sign")]
    return calibrate(scene, Survey(settings, stands, WEATHERS))


@pytest.fixture
def attacks(twin, monkeypatch):
    monkeypatch.setattr(adversarial, "starting", lambda name: (Reddish(), None))
    recipe = Adversarial(views=16, cells=16, stickers=2, lifetime=40, batch=4, attack_rate=0.1)
    return Attacks(recipe, twin, 0)


def labels(batch, found=None):
    """The loss by labels is one for each object there is."""
    return torch.full((3,), float(len(batch["cls"]))), {"cls_loss": torch.tensor(0.0)}


def clean_batch():
    return {"img": torch.rand(4, 3, 32, 32), "cls": torch.zeros(2, 1)}


def test_a_sticker_that_lives_hides_the_sign_better_and_better(attacks):
    network = Reddish()
    seen = [float(attacks.loss(network, clean_batch(), labels)[1]["seen"]) for _ in range(16)]
    assert np.mean(seen[-4:]) < 0.8 * np.mean(seen[:4])


def test_what_a_sticker_changes_is_punished_and_that_can_be_learnt_from(attacks):
    network = Reddish()
    whole, parts = attacks.loss(network, clean_batch(), labels)
    assert whole.shape == (4,) and whole[3].item() == pytest.approx(4 * float(parts["apart"]))
    whole.sum().backward()
    assert float(parts["apart"]) > 0 and network.gain.grad.abs().item() > 0


def test_the_windows_under_a_sticker_are_labelled_with_the_sign_that_is_there(attacks):
    index = np.arange(4)
    images, targets = attacks._views.look(attacks._bare, index, np.random.default_rng(1))
    told = attacks._labels(index, targets, images.shape[2])
    assert told["cls"].flatten().tolist() == [SIGN] * 4
    for image, (x, y, _, height) in zip(images, told["bboxes"] * images.shape[2], strict=True):
        # Below the middle, where this sign has no stripe.
        red, green, _ = image[:, round(float(y + 0.2 * height)), round(float(x))]
        assert red > green + 0.1


def test_an_old_sticker_gives_way_to_a_fresh_one(attacks):
    attacks._recipe = dataclasses.replace(attacks._recipe, lifetime=2)
    before = attacks._stickers[0]
    for _ in range(5):  # the two take turns
        attacks.loss(Reddish(), clean_batch(), labels)
    assert attacks._stickers[0] is not before and before.age == 2
    assert attacks._stickers[0].age == 1


def test_attacks_go_on_from_a_checkpoint_as_if_they_had_not_ended(attacks, twin, tmp_path):
    network = Reddish()
    attacks.loss(network, clean_batch(), labels)
    torch.save(attacks.state(), tmp_path / "state.pt")
    other = Attacks(attacks._recipe, twin, 7)
    other.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    batch = clean_batch()
    first, second = (a.loss(network, batch, labels)[0] for a in (attacks, other))
    assert torch.equal(first, second)


def test_every_drawn_layout_may_be_stuck_on_the_sign():
    recipe, rng = Adversarial(), np.random.default_rng(0)
    surface = sign()
    kinds = set()
    for _ in range(60):
        layout = some_layout(recipe, rng)
        sheet = layout.expand(torch.ones(3, *layout.shape))
        picture = np.asarray((sheet * 255).permute(1, 2, 0).numpy(), np.uint8)
        place(surface, (recipe.size_m, recipe.size_m), picture, most=MAX_SHARE * 1.15)
        kinds.add(layout.layout.pieces)
        assert Inset.of(layout.plain()) == layout
    assert kinds == {1, 2, 3}


def test_who_learns_from_dirt_alone_learns_labels_with_measured_inputs_kept(monkeypatch):
    start = Reddish()
    monkeypatch.setattr(soiled, "starting", lambda name: (start, None))
    teaching = soiled.Soiled(start="any").begin(None, 0)
    network = Reddish().train()
    teaching.ready(network)
    assert not network.training
    whole, _ = teaching.loss(network, clean_batch(), labels)
    assert whole.tolist() == [2.0, 2.0, 2.0]
    assert teaching.weights["gain"] == start.gain
    assert teaching.finished(teaching.weights) == dict(teaching.weights)
    with pytest.raises(ValueError, match="soiled must be a whole number, 1 or more, got 0"):
        soiled.Soiled(soiled=0)


def test_a_layout_on_a_sheet_is_printed_where_it_lies_and_nowhere_else():
    sheet = Inset(Layout((2, 3), 1), (1, 4), 8).expand(torch.ones(3, 2, 3))
    assert sheet[3].nonzero().tolist() == [[r, c] for r in (1, 2) for c in (4, 5, 6)]
    with pytest.raises(ValueError, match="do not lie on a sheet of 8"):
        Inset(Layout((2, 3), 1), (1, 6), 8)


def test_the_same_scores_are_no_divergence_and_others_are_one():
    logits = torch.randn(2, 5, 8)
    assert float(divergence(logits, logits.sigmoid())) == pytest.approx(0.0, abs=1e-4)
    # One score: p = 1/2 against 1/4 is log(1/2 / 1/4) / 2 + log(1/2 / 3/4) / 2 = 0.1438.
    told = divergence(torch.logit(torch.tensor([[[0.25]]])), torch.tensor([[[0.5]]]))
    assert float(told) == pytest.approx(0.1438, abs=1e-4)


def test_a_student_s_logits_are_the_temperature_times_what_it_learnt():
    student = Distilled(temperature=4.0).begin(None, 0)
    teacher = lesson.floats(lesson.starting("town_yolo11n")[0])
    fresh = [n for n, value in student.weights.items() if not torch.equal(value, teacher[n])]
    assert fresh and all(".cv3." in name for name in fresh)
    done = student.finished(student.weights)
    hot = {n for n, value in done.items() if not torch.equal(value, student.weights[n])}
    assert hot == {f"model.23.cv3.{i}.2.{p}" for i in range(3) for p in ("weight", "bias")}
    assert all(torch.allclose(done[name], 4 * student.weights[name]) for name in hot)


def test_a_student_learns_its_teacher_s_scores():
    student = Distilled(temperature=4.0).begin(None, 0)
    teacher = student._teacher
    batch = {"img": torch.rand(1, 3, 64, 64), "cls": torch.zeros(0, 1)}
    wrong = type(teacher).forward

    def answer(images, shift=0.0):
        found = wrong(teacher, images)[1]
        return {**found, "scores": found["scores"] + shift}

    total = lambda batch, found: (torch.ones(3), {})  # noqa: E731
    same, _ = student.loss(answer, batch, total)
    other, _ = student.loss(lambda images: answer(images, 2.0), batch, total)
    assert float(same[1]) == pytest.approx(0.0, abs=1e-2) and float(other[1]) > 0.3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Distilled(temperature=0.5), "temperature must be a number, from 1 to 100"),
        (lambda: Adversarial(consistency=-1), "consistency must be a number, 0 or more"),
        (lambda: Adversarial(stickers=0), "stickers must be a whole number, 1 or more"),
    ],
)
def test_a_lesson_refuses_what_makes_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_of_other_classes_are_no_start(monkeypatch):
    card = type("Card", (), {"classes": ("cat", "dog")})
    monkeypatch.setattr(lesson, "load", lambda path: (None, card))
    with pytest.raises(ConfigError, match=r"to start from, got 'town_yolo11n' of cat, dog"):
        lesson.starting("town_yolo11n")


def test_a_recipe_without_a_lesson_is_told_as_before_there_were_any():
    assert "lesson" not in plain(Recipe())
    assert plain(Recipe(lesson=Distilled()))["lesson"]["kind"] == "distilled"


@pytest.fixture
def scene_objects():
    image = np.full((480, 640, 3), 120, np.uint8)
    image[200:240, 300:340] = np.random.default_rng(0).integers(0, 255, (40, 40, 3))
    return image, [Labelled("car", (300, 200, 340, 240), 900, 1000.0, 1.0, 20.0, "car")]


def test_a_soiled_scene_is_the_same_lens_in_all_its_frames(scene_objects, monkeypatch):
    image, objects = scene_objects
    monkeypatch.setattr("simattack.train.soiling.SOILS", {"lens_blob": SOILS["lens_blob"]})
    soil = Soiler(0)
    first, second, other = (soil(image, objects, scene)[0] for scene in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, image) and not np.array_equal(first, other)


def test_what_a_lens_hides_is_no_longer_labelled(scene_objects, monkeypatch):
    image, objects = scene_objects
    black = {"x": 0.5, "y": 220 / 480, "diameter_mm": 8.0, "opacity": 1.0}
    away = {**black, "y": 0.05, "diameter_mm": 2.0}
    for options, left in ((black, 0), (away, 1)):
        drawn = {"lens_blob": lambda rng, options=options: options}
        monkeypatch.setattr("simattack.train.soiling.SOILS", drawn)
        assert len(Soiler(0)(image, objects, 0)[1]) == left


def test_every_kind_of_soil_is_a_known_attack_with_options_it_takes():
    from simattack import registry

    for kind, draw in SOILS.items():
        for seed in range(5):
            registry.build("attacks", kind, dict(draw(np.random.default_rng(seed))), "test")
