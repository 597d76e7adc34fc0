import numpy as np
import pytest
import torch

from simattack import registry
from simattack.defenses.bit_depth import BitDepth
from simattack.defenses.entropy import Entropy
from simattack.defenses.jpeg import Jpeg
from simattack.defenses.median import Median
from simattack.defenses.smoothing import Smoothing
from simattack.defenses.squeezing import join
from simattack.guarding import through
from simattack.types import CarInfo, Defense, Detections, Differentiable

ZERO_STRENGTH = {
    "bit_depth": {"bits": 8},
    "entropy": {"threshold_bits": 4.0},
    "jpeg": {"quality": 100},
    "median": {"window_px": 1},
    "noise": {"std": 0.0},
    "persistence": {"images": 0},
    "resizing": {"shrink": 0.0},
    "smoothing": {"factor": 0.0},
    "squeezing": {"window_px": 1},
}
MINE = sorted(ZERO_STRENGTH)
OF_IMAGES = sorted(set(MINE) - {"persistence", "squeezing"})
"""That change the image; the other two change what is made of it."""
BY_CHANCE = {"resizing", "squeezing"}
"""Whose surrogate draws for itself."""
DIFFERENTIABLE = sorted(set(MINE) - {"persistence"})


def test_every_shipped_defense_of_the_image_is_under_the_contract():
    assert set(registry.kinds("defenses")) >= set(MINE)


def street(seed=0):
    """A smooth image with a square of noise in it."""
    ramp = np.linspace(40, 200, 160)
    image = np.repeat((ramp[None, :, None] + np.linspace(0, 30, 128)[:, None, None]), 3, 2)
    rng = np.random.default_rng(seed)
    image[40:80, 60:100] = rng.integers(0, 2, (40, 40, 3)) * 255
    return np.rint(image).clip(0, 255).astype(np.uint8)


def guard(kind, **options):
    defense = registry.build("defenses", kind, options, "test")
    return defense.begin(CarInfo(), np.random.default_rng(0))


def observation(image):
    return {"camera": image, "speed": np.array([3.0])}


@pytest.mark.parametrize("kind", MINE)
def test_a_defense_keeps_the_contract(kind):
    defense = registry.build("defenses", kind, {}, "test")
    assert isinstance(defense, Defense)
    assert isinstance(defense, Differentiable) == (kind in DIFFERENTIABLE)
    assert 0 < defense.latency_s < 0.1
    assert hash(defense) == hash(registry.build("defenses", kind, {}, "test"))
    running = guard(kind)
    if kind != "squeezing":
        assert running.wrap("the detector") == "the detector"
    seen = Detections(np.array([[1.0, 2, 3, 4]]), np.array([0.9]), ("car",))
    assert running.judge(observation(street()), seen).detections is seen


@pytest.mark.parametrize("kind", OF_IMAGES)
def test_a_defense_changes_the_camera_alone_and_in_a_new_array(kind):
    image = street()
    before = image.copy()
    obs = observation(image)
    cleaned = guard(kind).clean(obs)
    assert (image == before).all() and obs["camera"] is image
    assert cleaned["speed"] is obs["speed"]
    assert cleaned["camera"].shape == image.shape and cleaned["camera"].dtype == np.uint8
    assert (cleaned["camera"] != image).any()


@pytest.mark.parametrize("kind", MINE)
def test_a_defense_without_strength_does_nothing(kind):
    image = street()
    cleaned = guard(kind, **ZERO_STRENGTH[kind]).clean(observation(image))["camera"]
    assert (cleaned == image).all() and cleaned is not image


@pytest.mark.parametrize("kind", OF_IMAGES)
def test_a_new_image_is_defended_anew_and_one_told_again_is_not(kind):
    running, again = guard(kind), guard(kind)
    image = observation(street(0))
    first, repeated = (running.clean(image)["camera"] for _ in range(2))
    assert first is repeated
    second = running.clean(observation(street(1)))["camera"]
    again.clean(observation(street(0)))
    assert (second == again.clean(observation(street(1)))["camera"]).all()
    assert (first != second).any()


@pytest.mark.parametrize("kind", sorted(set(DIFFERENTIABLE) - BY_CHANCE))
def test_the_surrogate_shows_what_the_defense_shows_and_passes_gradients(kind):
    image = street()
    defense = registry.build("defenses", kind, {}, "test")
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    tensor.requires_grad_(True)
    shown = defense.surrogate(tensor, np.random.default_rng(0))
    true = guard(kind).clean(observation(image))["camera"] / 255
    assert np.abs(shown.detach()[0].permute(1, 2, 0).numpy() - true).max() <= 0.51 / 255
    shown.sum().backward()
    assert (tensor.grad > 0).all()


def test_fewer_bits_reach_from_black_to_white():
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, 2)
    squeezed = BitDepth(2).squeeze(ramp)
    assert np.unique(squeezed).tolist() == [0, 85, 170, 255]
    # Three steps: the middle of the first two levels is a sixth of the way.
    assert squeezed[0, 42, 0] == 0 and squeezed[0, 43, 0] == 85


def test_a_single_pixel_vanishes_in_the_median_and_an_edge_stays():
    image = np.full((9, 9, 3), 50, np.uint8)
    image[:, 5:] = 200
    image[4, 2] = 255
    shown = Median(3).filter(image)
    assert (shown[:, :5] == 50).all() and (shown[:, 5:] == 200).all()


def test_noise_is_as_strong_as_said_and_new_for_each_image():
    image = np.full((64, 64, 3), 128, np.uint8)
    running = guard("noise", std=10.0)
    one, two = (running.clean(observation(image.copy()))["camera"].astype(float) for _ in "ab")
    assert (one - 128).std() == pytest.approx(10, rel=0.03)
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] == pytest.approx(0, abs=0.03)


def test_boxes_of_a_shrunk_image_are_told_where_they_are_in_the_cameras():
    image = np.full((120, 160, 3), 60, np.uint8)
    image[30:60, 80:120] = 220
    running = guard("resizing", shrink=0.5)
    shown = running.clean(observation(image))["camera"][..., 0] > 150
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    found = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], float)
    assert abs(found - [80, 30, 120, 60]).max() > 3, "it was moved"
    seen = Detections(found, np.ones(1), ("car",))
    told = running.judge(observation(image), seen).detections.boxes[0]
    assert told == pytest.approx([80, 30, 120, 60], abs=3)


def test_what_resizing_shows_beside_the_picture_is_no_box():
    """A detector may see something in the padding; a box without an area breaks who measures it."""
    running = guard("resizing", shrink=0.5)
    running.clean({"camera": np.full((40, 60, 3), 90, np.uint8)})
    whole = np.array([[0.0, 0, 60, 40]])
    beside = np.array([[0.0, 0, 1, 40], [59, 0, 60, 40], [0, 0, 60, 1], [0, 39, 60, 40]])
    boxes = np.concatenate([whole, beside])
    seen = Detections(boxes, np.full(5, 0.9), ("car",) * 5)
    left = running.judge({}, seen).detections
    assert 1 <= len(left) < 5 and (left.boxes[:, 2:] > left.boxes[:, :2]).all()


def test_several_mask_gradients_if_a_part_does():
    for kind, masks in (("distilled", True), ("jpeg", False)):
        parts = {"parts": [{"kind": "median"}, {"kind": kind}]}
        assert registry.build("defenses", "several", parts, "test").masks_gradients is masks


def test_the_surrogate_of_resizing_moves_about_and_passes_gradients():
    defense = registry.build("defenses", "resizing", {"shrink": 0.4}, "test")
    images = torch.rand(2, 3, 40, 50, requires_grad=True)
    shown = defense.surrogate(images, np.random.default_rng(0))
    assert shown.shape == images.shape
    (shown[:, :, 20, 25].sum()).backward()
    assert float(images.grad.abs().sum()) > 0


def test_resizing_tells_an_attacker_where_the_target_went():
    defense = registry.build("defenses", "resizing", {"shrink": 0.4}, "test")
    both = registry.build(
        "defenses",
        "several",
        {"parts": [{"kind": "resizing", "shrink": 0.4}, {"kind": "jpeg"}]},
        "",
    )
    images = torch.zeros(6, 3, 60, 80)
    images[:, :, 20:40, 30:60] = 1.0
    target = Detections(np.array([[30.0, 20, 60, 40]]), np.ones(1), ("car",))
    moved, targets = through(both, images, [target] * 6, np.random.default_rng(3))
    for image, aim in zip(moved, targets, strict=True):
        rows, columns = np.nonzero(image[0].numpy() > 0.8)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert aim.boxes[0] == pytest.approx(seen, abs=2)
    assert len({tuple(aim.boxes[0]) for aim in targets}) == 6
    alone = through(defense, images, [target] * 6, np.random.default_rng(3))
    assert (alone[0] == defense.surrogate(images, np.random.default_rng(3))).all()
    assert alone[1][2].boxes.tolist() == targets[2].boxes.tolist()
    assert through(None, images, [target] * 6, np.random.default_rng(3))[1][0] is target


def test_noise_has_all_the_entropy_there_is_and_a_wall_none():
    rng = np.random.default_rng(0)
    image = np.full((80, 80, 3), 90, np.uint8)
    image[20:60, 20:60] = rng.integers(0, 256, (40, 40, 1))
    bits = Entropy(window_px=17).bits(image)
    assert bits[40, 40] == pytest.approx(4.0, abs=0.15)
    assert bits[5, 5] == pytest.approx(0.0, abs=1e-3)
    filled, share = Entropy().fill(image)
    assert abs(filled[40, 40].astype(int) - 90).max() < 12, "filled from around"
    assert 0.1 < share < 0.5 and (filled[:8] == image[:8]).all()


BOX = np.array([[10.0, 10, 40, 40]])


class Seeing:
    """Finds the sign in bright images only."""

    latency_s = 0.0

    def detect(self, images):
        score = float(images[0].max() == 255) * 0.9
        return [Detections(BOX[: int(score > 0)], np.full(int(score > 0), score),
                           ("stop sign",) * int(score > 0))]  # fmt: skip


def test_what_one_of_two_looks_finds_is_kept_and_raises_the_alarm():
    image = np.full((60, 60, 3), 90, np.uint8)
    image[30, 30] = 255  # gone in the median
    running = guard("squeezing")
    detector = running.wrap(Seeing())
    (seen,) = detector.detect(image[None])
    verdict = running.judge(observation(image), seen)
    assert verdict.detections.labels == ("stop sign",)
    # A score of 0.9 that fades altogether is an alarm; it reaches 1 at a difference of 1.2.
    assert verdict.alarm["camera"] == pytest.approx(0.9 / 1.2)
    image[20:40, 20:40] = 255
    (seen,) = detector.detect(image[None])
    assert len(seen) == 1, "the two looks are of one sign"
    assert running.judge(observation(image), seen).alarm["camera"] == 0.0


def test_joined_looks_keep_the_stronger_of_a_pair_and_all_that_have_none():
    one = Detections(np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]]), np.array([0.5, 0.7]),
                     ("car", "person"))  # fmt: skip
    other = Detections(np.array([[1.0, 0, 11, 10], [50, 50, 60, 60]]), np.array([0.8, 0.3]),
                       ("car", "car"))  # fmt: skip
    joined, difference = join(one, other)
    assert joined.labels == ("car", "person", "car")
    assert joined.scores.tolist() == [0.8, 0.7, 0.3]
    assert joined.boxes[0].tolist() == [1, 0, 11, 10]
    assert difference == pytest.approx(0.7), "nobody saw the person twice"


def test_a_sign_that_vanishes_is_kept_where_it_would_be_and_given_up_later():
    running = guard("persistence", needed=3, images=2)
    obs = observation(street())

    def look(*boxes):
        seen = Detections(np.array(boxes, float).reshape(-1, 4), np.full(len(boxes), 0.9),
                          ("stop sign",) * len(boxes))  # fmt: skip
        return running.judge(obs, seen)

    for k in range(4):  # it grows by 2 px an image on each side
        verdict = look((100 - 2 * k, 100 - 2 * k, 120 + 2 * k, 120 + 2 * k))
        assert len(verdict.detections) == 1 and verdict.alarm["camera"] == 0.0
    for k in range(2):
        verdict = look()
        # The growth is averaged from nothing: 1.75 px after three steps.
        grown = 94 - 1.75 * (k + 1)
        assert verdict.detections.boxes[0] == pytest.approx([grown] * 2 + [220 - grown] * 2)
        assert verdict.alarm["camera"] == 1.0
    assert len(look().detections) == 0


def test_what_leaves_the_picture_or_was_seen_once_is_not_kept():
    running = guard("persistence", needed=3)
    obs = observation(street())
    edge = Detections(np.array([[600.0, 100, 634, 130]]), np.ones(1), ("stop sign",))
    for _ in range(5):
        running.judge(obs, edge)
    assert len(running.judge(obs, Detections.none()).detections) == 0
    once = Detections(np.array([[300.0, 100, 334, 130]]), np.ones(1), ("car",))
    running.judge(obs, once)
    assert len(running.judge(obs, Detections.none()).detections) == 0


def test_a_lower_quality_loses_more():
    image = street()
    loss = [
        np.square(Jpeg(quality).compress(image).astype(float) - image).mean()
        for quality in (90, 50, 10)
    ]
    assert loss[0] < loss[1] < loss[2]


def test_smoothing_dims_the_noisy_square_and_spares_the_street():
    image = street()
    shown, share = Smoothing().smooth(image)
    inside, outside = np.s_[42:78, 62:98], np.s_[100:, 110:]
    assert shown[inside].mean() < 0.5 * image[inside].mean()
    assert (shown[outside] == image[outside]).all()
    assert 0.02 < share < 0.2


def test_smoothing_by_hand():
    # One step of 200 between columns 7 and 8: the normalised gradient is 1 there and 0 elsewhere.
    # A 15 px block that holds the step has a mean gradient of 1/15 < 0.1; of 1/5 in 5 px blocks.
    image = np.zeros((30, 30, 3), np.uint8)
    image[:, 8:] = 200
    assert (Smoothing().smooth(image)[0] == image).all()
    fine = Smoothing(block_px=5, overlap_px=0, factor=0.5).busy(image)
    assert (fine[:, 7] == 1).all() and fine.sum() == 30


def test_smoothing_raises_its_alarm_at_dense_gradients():
    flat = np.full((64, 64, 3), 90, np.uint8)
    running = guard("smoothing")
    alarms = []
    for image in (flat, street()):
        obs = observation(image)
        running.clean(obs)
        alarms.append(running.judge(obs, Detections.none()).alarm["camera"])
    busy = Smoothing().smooth(street())[1]
    assert alarms == [0.0, pytest.approx(busy / Smoothing().alarm_share)] and alarms[1] < 0.5


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("jpeg", {"quality": 0}, "quality must be 1 to 100"),
        ("jpeg", {"latency_s": -1}, "latency_s"),
        ("smoothing", {"overlap_px": 15}, "overlap_px must be 0 to block_px - 1"),
        ("smoothing", {"factor": -1}, "factor must not be negative"),
        ("bit_depth", {"bits": 0}, "bits must be 1 to 8"),
        ("median", {"window_px": 2}, "window_px must be an odd number from 1 on, got 2"),
        ("resizing", {"shrink": 1.5}, "shrink must be a number, from 0 to 0.9"),
        ("noise", {"std": float("nan")}, "std must be a number"),
        ("entropy", {"window_px": 4}, "window_px must be an odd number from 3 on"),
        ("squeezing", {"difference": 0}, "difference must be a number"),
        ("persistence", {"needed": 1}, "needed must be a whole number, 2 or more, got 1"),
    ],
)
def test_a_wrong_option_is_told(kind, options, message):
    from simattack.errors import ConfigError

    with pytest.raises(ConfigError, match=message):
        registry.build("defenses", kind, options, "test")
