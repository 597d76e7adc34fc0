import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from simattack.optimize.printability import (
    SOLIDS,
    distance_to_printable,
    printable_colours,
    total_variation,
)
from simattack.optimize.transforms import Transforms, _blur

pytestmark = pytest.mark.usefixtures("one_thread")

NONE = Transforms(**dict.fromkeys(vars(Transforms()), 0.0))
BOXES = np.array([[10.0, 20, 30, 50], [60, 60, 70, 80]])


def images(seed=0):
    return torch.rand(2, 3, 40, 48, generator=torch.Generator().manual_seed(seed))


def test_no_range_leaves_everything_as_it_is():
    rng = np.random.default_rng(0)
    assert torch.allclose(NONE.photograph(images(), rng), images(), atol=1e-6)
    assert torch.equal(NONE.print(images()[0], rng), images()[0])
    np.testing.assert_allclose(NONE.warps(BOXES, rng), np.tile(np.eye(3), (2, 1, 1)), atol=1e-12)


@pytest.mark.parametrize("name", ["brightness", "contrast", "gamma", "blur_px", "noise"])
def test_each_range_alone_changes_the_photograph(name):
    one = Transforms(**(vars(NONE) | {name: 0.9}))
    shown = one.photograph(images(), np.random.default_rng(0))
    assert (shown - images()).abs().max() > 0.01
    assert 0 <= float(shown.min()) and float(shown.max()) <= 1


@pytest.mark.parametrize("name", ["shift_px", "scale", "rotation_rad"])
def test_a_warp_stays_within_its_range_about_the_targets_middle(name):
    one = Transforms(**(vars(NONE) | {name: 0.1}))
    rng = np.random.default_rng(1)
    middle = np.column_stack([(BOXES[:, :2] + BOXES[:, 2:]) / 2, np.ones(2)])
    seen = []
    for _ in range(50):
        warps = one.warps(BOXES, rng)
        moved = (warps @ middle[:, :, None])[:, :2, 0] - middle[:, :2]
        assert np.abs(moved).max() <= (0.1 if name == "shift_px" else 1e-9)
        seen.append(np.abs(warps - np.eye(3))[:, :2].max())
    assert max(seen) > 0.05


def test_blur_keeps_the_mean_and_lowers_the_contrast():
    one = Transforms(**(vars(NONE) | {"blur_px": 1.0}))
    flat = torch.full((1, 3, 32, 32), 0.5)
    assert torch.allclose(one.photograph(flat, np.random.default_rng(0)), flat, atol=1e-5)
    assert one.photograph(images(), np.random.default_rng(0)).std() < 0.9 * images().std()


def test_the_blur_is_a_gaussian_of_five_taps_with_repeated_edges():
    sigmas = np.array([0.3, 1.1])
    blurred = _blur(images().double(), sigmas).numpy()
    for shown, image, sigma in zip(blurred, images().double().numpy(), sigmas, strict=True):
        for axis in (1, 2):
            image = gaussian_filter1d(image, sigma, axis, mode="nearest", radius=2)
        np.testing.assert_allclose(shown, image, atol=1e-12)


def test_the_way_back_through_the_blur_is_its_gradient():
    small = images()[:, :1, :5, :6].double().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: _blur(x, np.array([0.4, 0.9])), small)


def test_transforms_pass_gradients():
    leaf = (images() * 0.6 + 0.2).requires_grad_(True)
    Transforms().photograph(leaf, np.random.default_rng(0)).sum().backward()
    assert (leaf.grad.abs() > 0).float().mean() > 0.99


def test_one_seed_gives_one_photograph():
    shots = [Transforms().photograph(images(), np.random.default_rng(s)) for s in (4, 4, 5)]
    assert torch.equal(shots[0], shots[1]) and not torch.equal(shots[0], shots[2])


def test_a_negative_range_is_refused():
    with pytest.raises(ValueError, match="noise must not be negative"):
        Transforms(noise=-0.1)


def test_paper_and_solid_inks_are_printable():
    colours = torch.tensor(printable_colours()).float()
    assert len(colours) == 125
    for solid in SOLIDS.values():
        cell = (torch.tensor(solid) / 255).reshape(3, 1, 1)
        assert float(distance_to_printable(cell, colours)) < 1e-3


def test_pure_screen_colours_are_not_printable():
    colours = torch.tensor(printable_colours()).float()
    blue = torch.tensor([0.0, 0.0, 1.0]).reshape(3, 1, 1)
    # The nearest ink colour is at least a quarter of the scale away.
    assert float(distance_to_printable(blue, colours)) > 0.25


def test_total_variation_by_hand():
    picture = torch.zeros(3, 2, 3)
    picture[:, :, 2] = 0.6  # one of two steps across is 0.6, none down
    assert float(total_variation(picture)) == pytest.approx(0.3)
