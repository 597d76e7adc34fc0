import numpy as np
import pytest

from simattack import registry
from simattack.attacks.sticker import Sticker
from simattack.errors import BudgetError, ConfigError, PatchError
from simattack.patchfile import Patch, PatchCard, load_patch, save_patch
from simattack.placement import MAX_SHARE, place
from simattack.types import ActorState, Attack, Frame, Pose
from tests.pinhole import PinholeScene, octagon, sign

NOBODY = ActorState(0, "", Pose(), (0, 0, 0), (0, 0, 0), (1, 1, 1))


class Wall:
    """A world with one sign; remembers what was painted."""

    def __init__(self, size_px=128):
        self.sign = sign(size_px=size_px)
        self.shown = self.sign.texture

    def surface(self, name):
        assert name == "sign"
        return self.sign

    def paint(self, surface, texture):
        self.shown = texture

    def restore(self, surface):
        self.shown = surface.texture


@pytest.fixture
def patch(tmp_path):
    """A saved patch, 0.37 m square, in four colours."""
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2], image[:2, 2:], image[2:, :2] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return save_patch(tmp_path, Patch("four", image, PatchCard(width_m=0.37, height_m=0.37)))


def begin(world, **options):
    return Sticker(surface="sign", **options).begin(world, np.random.default_rng(0))


def test_a_sticker_is_an_attack_by_its_name_in_the_registry():
    made = registry.build("attacks", "sticker", {"fill": "grey"}, "here")
    assert isinstance(made, Attack)
    assert made == Sticker(fill="grey") and hash(made) == hash(Sticker(fill="grey"))


def test_the_patch_lies_where_and_as_large_as_stated(patch):
    world = Wall(size_px=300)  # 0.75 m: 2.5 mm a texel
    begin(world, patch=str(patch))
    changed = np.argwhere((world.shown != world.sign.texture).any(2))
    low, high = changed.min(0), changed.max(0) + 1
    assert high - low == pytest.approx([148, 148], abs=1)  # 0.37 m
    assert (low + high) / 2 == pytest.approx([150, 150], abs=1)
    assert world.shown[100, 100].tolist() == [255, 0, 0]
    assert world.shown[100, 200].tolist() == [0, 255, 0]
    assert world.shown[200, 100].tolist() == [0, 0, 255]


@pytest.fixture
def cut_out(tmp_path):
    """A saved patch, 0.4 m square, of which the left half and the right quarter are printed."""
    image = np.full((4, 4, 4), 255, np.uint8)
    image[:, 2, 3] = 0
    return save_patch(tmp_path, Patch("cut", image, PatchCard(width_m=0.4, height_m=0.4)))


def test_a_code_keeps_to_the_outline_of_its_patch(cut_out):
    world = Wall(size_px=300)
    stuck = begin(world, patch=str(cut_out), fill="code", code=(1, 4))
    stuck.set(np.repeat([0.0, 0.2, 0.4, 1.0], 3))
    row = world.shown[140, :, 0]
    assert row[[80, 120, 200]].tolist() == [0, 51, 255]
    assert row[160] == world.sign.texture[140, 160, 0]


def test_noise_keeps_its_own_cells_however_coarse_the_patch_is(patch, cut_out):
    for path, share in ((patch, 1.0), (cut_out, 0.75)):
        world = Wall(size_px=300)
        begin(world, patch=str(path), fill="noise", cells=16)
        changed = (world.shown != world.sign.texture).any(2)
        assert len(np.unique(world.shown[changed][:, 0])) > 100  # of 256 cells, not of 16
        assert changed[80:220, 80:220].mean() == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("fill", ["image", "grey", "noise"])
def test_where_a_patch_is_transparent_the_sign_stays_as_it_is(cut_out, fill):
    world = Wall(size_px=300)  # the sticker's 160 texels from 70 to 230
    begin(world, patch=str(cut_out), fill=fill)
    changed = (world.shown != world.sign.texture).any(2)[100]
    assert changed[70:150].mean() > 0.9 and changed[190:230].mean() > 0.9
    assert not changed[150:190].any() and not changed[:70].any()


def test_only_what_is_printed_counts_as_covered(cut_out):
    share = 0.75 * 0.4**2 / (octagon(300).mean() * 0.75**2)
    with pytest.raises(BudgetError, match=f"covers {share * 1.5625:.1%} of the face"):
        begin(Wall(size_px=300), patch=str(scaled(cut_out, 0.5)))
    begin(Wall(size_px=300), patch=str(cut_out))  # 25.7 %; whole it would be 34.3 %


def scaled(path, side_m):
    patch = load_patch(path)
    card = PatchCard(width_m=side_m, height_m=side_m)
    return save_patch(path.parent, Patch("larger", patch.image, card))


def test_cells_mix_into_texels_by_their_area():
    surface = sign(size_px=100)  # 7.5 mm a texel
    # One cell of 0.3 m from 0.3 to 0.7 of the face plus a quarter of a texel to the right.
    here = place(surface, (0.3, 0.3), np.zeros((1, 1, 3), np.uint8), (0.5025, 0.5))
    shown = here.compose(np.zeros((100, 100, 3), np.uint8), np.full((1, 1, 3), 200, np.uint8))
    assert shown[50, 29:32, 0].tolist() == [0, 150, 200]
    assert shown[50, 69:72, 0].tolist() == [200, 50, 0]


def test_end_gives_the_sign_back_and_may_be_called_twice(patch):
    world = Wall()
    running = begin(world, patch=str(patch))
    assert (world.shown != world.sign.texture).any()
    running.end()
    assert (world.shown == world.sign.texture).all()
    world.shown = "somebody else's paint"
    running.end()
    assert world.shown == "somebody else's paint"


def test_a_sticker_leaves_the_sensors_alone(patch):
    obs = {"camera": np.zeros((4, 4, 3), np.uint8)}
    assert begin(Wall(), patch=str(patch)).tamper(obs, Frame(0, 0.0, NOBODY)) is obs


def test_controls_cover_the_same_texels_as_the_patch(patch):
    covered = []
    for fill in ("image", "grey", "noise"):
        world = Wall()
        begin(world, patch=str(patch), fill=fill)
        covered.append((world.shown != world.sign.texture).any(2))
        if fill == "grey":
            assert world.shown[64, 64].tolist() == [128, 128, 128]
    both = covered[1] & covered[2]
    assert both.sum() > 0.98 * covered[1].sum()
    assert (covered[0] & covered[1]).sum() > 0.98 * covered[1].sum()


def test_noise_depends_on_its_seed_only():
    shown = []
    for seed in (1, 1, 2):
        world = Wall()
        Sticker(surface="sign", fill="noise", seed=seed).begin(world, np.random.default_rng(seed))
        shown.append(world.shown)
    assert (shown[0] == shown[1]).all() and (shown[0] != shown[2]).any()


def test_thirty_percent_of_the_octagon_is_the_budget():
    # An octagon 0.75 m across has 2 (sqrt(2) - 1) 0.75^2 = 0.466 m2.
    area = 2 * (np.sqrt(2) - 1) * 0.75**2
    side = np.sqrt(MAX_SHARE * area)
    world = Wall(512)
    begin(world, fill="grey", size_m=float(side) - 0.002)
    with pytest.raises(BudgetError, match=r"covers 30\.\d% of the face, allowed are 30%"):
        begin(world, fill="grey", size_m=float(side) + 0.002)


def test_too_large_a_sticker_is_refused_before_anything_is_painted():
    world = Wall()
    with pytest.raises(BudgetError, match="make it smaller"):
        begin(world, fill="grey", size_m=0.6)
    assert world.shown is world.sign.texture


@pytest.mark.parametrize("centre", [(0.1, 0.5), (0.85, 0.85), (0.5, 1.2)])
def test_a_sticker_over_the_edge_is_refused(centre):
    with pytest.raises(BudgetError, match="hangs over the edge"):
        begin(Wall(), fill="grey", size_m=0.2, centre=centre)


def test_a_code_shows_the_parameters_row_by_row():
    world = Wall()
    running = begin(world, fill="code", code=(2, 2))
    low, high = Sticker(fill="code", code=(2, 2)).box
    assert low.shape == high.shape == (12,)
    running.set(np.array([1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1.0]))
    assert world.shown[48, 48].tolist() == [255, 0, 0]
    assert world.shown[48, 80].tolist() == [0, 255, 0]
    assert world.shown[80, 48].tolist() == [0, 0, 255]
    with pytest.raises(ConfigError, match=r"expected 12 parameters .* got 5"):
        running.set(np.zeros(5))


def test_a_printed_sticker_has_nothing_to_set(patch):
    with pytest.raises(ConfigError, match="fill 'image'"):
        begin(Wall(), patch=str(patch)).set(np.zeros(192))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill": "stripes"}, "fill must be one of"),
        ({}, "needs a patch"),
        ({"fill": "grey", "size_m": -0.1}, "size_m must be 0.001 to 100"),
        ({"fill": "grey", "size_m": [0.1, 0.2, 0.3]}, "size_m needs two numbers"),
        ({"fill": "noise", "cells": 0}, "at least 1"),
    ],
)
def test_a_wrong_recipe_is_told_when_it_is_made(options, message):
    with pytest.raises(ConfigError, match=message):
        registry.build("attacks", "sticker", options, "scenario 'x'")


def test_an_unknown_patch_is_told_when_the_recipe_is_made():
    with pytest.raises(PatchError, match=r"got 'no_such_patch'.*shipped"):
        Sticker(patch="no_such_patch")


def test_the_twins_scene_and_a_sticker_agree(patch):
    scene = PinholeScene()
    running = Sticker(patch=str(patch), surface="sign").begin(scene, np.random.default_rng(0))
    assert set(scene.painted) == {"sign"}
    running.end()
    assert not scene.painted
