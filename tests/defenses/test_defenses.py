import numpy as np
import pytest
import torch

from simattack import registry
from simattack.defenses.jpeg import Jpeg
from simattack.defenses.smoothing import Smoothing
from simattack.types import CarInfo, Defense, Detections, Differentiable

ZERO_STRENGTH = {"jpeg": {"quality": 100}, "smoothing": {"factor": 0.0}}
MINE = sorted(ZERO_STRENGTH)


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
    assert isinstance(defense, Defense) and isinstance(defense, Differentiable)
    assert 0 < defense.latency_s < 0.1
    assert hash(defense) == hash(registry.build("defenses", kind, {}, "test"))
    running = guard(kind)
    assert running.wrap("the detector") == "the detector"
    seen = Detections(np.array([[1.0, 2, 3, 4]]), np.array([0.9]), ("car",))
    assert running.judge(observation(street()), seen).detections is seen


@pytest.mark.parametrize("kind", MINE)
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


@pytest.mark.parametrize("kind", MINE)
def test_a_new_image_is_defended_anew(kind):
    running = guard(kind)
    first = running.clean(observation(street(0)))["camera"]
    second = running.clean(observation(street(1)))["camera"]
    assert (second == guard(kind).clean(observation(street(1)))["camera"]).all()
    assert (first != second).any()


@pytest.mark.parametrize("kind", MINE)
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
    assert alarms == [0.0, 1.0]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("jpeg", {"quality": 0}, "quality must be 1 to 100"),
        ("jpeg", {"latency_s": -1}, "latency_s"),
        ("smoothing", {"overlap_px": 15}, "overlap_px must be 0 to block_px - 1"),
        ("smoothing", {"factor": -1}, "factor must not be negative"),
    ],
)
def test_a_wrong_option_is_told(kind, options, message):
    from simattack.errors import ConfigError

    with pytest.raises(ConfigError, match=message):
        registry.build("defenses", kind, options, "test")
