"""The learned segmenter of prints as a defense: shape, filling, gradients, weights."""

from __future__ import annotations

import numpy as np
import pytest

from simattack.classifiers import patches
from simattack.classifiers.patches import ARCHITECTURE, CLASSES, PatchMasks
from simattack.defenses.segmenter import Segmenter
from simattack.detectors.weights import Card, save
from simattack.errors import WeightsError
from simattack.types import CarInfo

torch = pytest.importorskip("torch")


def card(architecture=ARCHITECTURE, classes=CLASSES):
    return Card(architecture=architecture, classes=classes)


@pytest.fixture(scope="module")
def reddish(tmp_path_factory):
    """Weights of a network that takes what is red for printed."""
    path = tmp_path_factory.mktemp("weights") / "reddish.safetensors"
    network = patches.build()
    state = network.state_dict()
    for name, value in state.items():
        if value.is_floating_point() and not name.endswith("running_var"):
            value.zero_()

    # Channel 0..3 of the finest level: how much redder than green each of the four pixels is.
    for pixel in range(4):
        state["fine.0.0.weight"][pixel, pixel, 1, 1] = 10.0
        state["fine.0.0.weight"][pixel, 4 + pixel, 1, 1] = -10.0
        state["fine.1.0.weight"][pixel, pixel, 1, 1] = 1.0
        state["head.0.0.weight"][pixel, patches.WIDTHS[1] + pixel, 0, 0] = 1.0
        state["head.1.0.weight"][pixel, pixel, 1, 1] = 1.0
        state["told.weight"][pixel, pixel, 0, 0] = 4.0
        state["told.bias"][pixel] = -8.0
    for name in state:
        if name.endswith(".1.weight"):  # normalisation as it is
            state[name].fill_(1.0)
    save(path, {n: v for n, v in state.items() if v.is_floating_point()}, card())
    return str(path)


def street():
    """A grey ramp with nine red prints of 4 px, 2 px apart."""
    image = np.repeat(np.linspace(80, 160, 60)[None, :, None], 50, 0).repeat(3, 2)
    image = np.rint(image).astype(np.uint8)
    for row in range(3):
        for column in range(3):
            image[10 + 6 * row : 14 + 6 * row, 20 + 6 * column : 24 + 6 * column] = (250, 30, 30)
    return image


def test_a_set_is_painted_over_as_one_print_and_raises_the_alarm(reddish):
    defense = Segmenter(weights=reddish)
    image = street()
    guard = defense.begin(CarInfo(), np.random.default_rng(0))
    cleaned = guard.clean({"camera": image, "speed": 1.0})["camera"]
    assert np.array_equal(image, street())
    filled, mask = defense.fill(image)
    assert np.array_equal(cleaned, filled)
    assert mask[10:26, 20:36].all() and mask.sum() < 20 * 20
    assert np.ptp(cleaned.astype(int), axis=2).max() < 10, "nothing red is left"
    assert np.array_equal(filled[~mask], image[~mask])
    assert guard.judge({}, None).alarm["camera"] == 1.0


def test_a_picture_without_prints_stays_as_it_is(reddish):
    image = np.repeat(np.linspace(80, 160, 60)[None, :, None], 50, 0).repeat(3, 2).astype(np.uint8)
    defense = Segmenter(weights=reddish)
    filled, mask = defense.fill(image)
    assert np.array_equal(filled, image) and filled is not image and not mask.any()
    off = Segmenter(weights=reddish, threshold=1.0)
    assert np.array_equal(off.fill(street())[0], street())


def test_shapes_are_completed_to_their_hull_and_specks_are_none(reddish):
    defense = Segmenter(weights=reddish, least_px=6, join_px=3)
    torn = np.zeros((40, 60), bool)
    torn[10:30, 10] = torn[10, 10:30] = torn[29, 10:30] = torn[10:30, 29] = True  # a frame
    torn[5, 50] = True
    whole = defense.complete(torn)
    assert whole[10:30, 10:30].all() and not whole[:, 40:].any()
    far = np.zeros((40, 60), bool)
    far[5:10, 5:10] = far[5:10, 40:45] = True
    assert not defense.complete(far)[:, 20:30].any(), "two prints far apart stay two"


def test_the_surrogate_is_the_defense_forward_and_has_a_slope_through_the_network(reddish):
    defense = Segmenter(weights=reddish)
    image = street()
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    tensor.requires_grad_(True)
    after = defense.surrogate(tensor, np.random.default_rng(0))
    shown = (after[0].detach().permute(1, 2, 0) * 255).round().numpy().astype(np.uint8)
    assert np.array_equal(shown, defense.fill(image)[0])
    # The middle of a print is filled in: what is left of its slope says how to be found less.
    after[0, 0, 10:14, 20:24].sum().backward()
    slope = tensor.grad[0, :, 10:14, 20:24]
    assert slope.abs().max() > 0


def test_pictures_of_any_size_are_segmented(reddish):
    masks = PatchMasks(reddish)
    image = street()[:43, :57]
    shares = masks.shares(image)
    assert shares.shape == (43, 57)
    assert (shares[11:13, 21:23] > 0.9).all() and shares[:8].max() < 0.1


@pytest.mark.parametrize("wrong", [card("signals-1"), card(classes=("red",))])
def test_weights_of_something_else_are_refused(tmp_path, wrong):
    path = tmp_path / "other.safetensors"
    save(path, patches.build().state_dict(), wrong)
    with pytest.raises(WeightsError, match=r"expected 'patches-1' with print"):
        Segmenter(weights=str(path)).begin(CarInfo(), np.random.default_rng(0)).clean(
            {"camera": street()}
        )


def test_missing_weights_and_tensors_are_told(tmp_path):
    with pytest.raises(WeightsError, match="nowhere"):
        Segmenter(weights="nowhere")
    path = tmp_path / "half.safetensors"
    state = patches.build().state_dict()
    del state["told.weight"]
    save(path, state, card())
    with pytest.raises(WeightsError, match=r"lacks told\.weight"):
        PatchMasks(str(path)).shares(street())


@pytest.mark.parametrize("options", [{"threshold": 2}, {"least_px": -1}, {"join_px": 1.5}])
def test_options_out_of_range_are_refused_by_name(reddish, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Segmenter(weights=reddish, **options)
