"""Pictures as CARLA's client takes them: all pixels right, and as few set as need be."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from simattack.canvas import KEPT, Canvases


class Texture:
    """Stands in for ``carla.TextureColor``."""

    def __init__(self, width, height):
        self.pixels = np.zeros((height, width, 4), np.uint8)
        self.n_set = 0

    def set(self, x, y, color):
        self.pixels[y, x] = color
        self.n_set += 1


@pytest.fixture
def canvases():
    return Canvases(SimpleNamespace(TextureColor=Texture, Color=lambda *rgba: rgba))


def picture(level, size=(6, 9), channels=3):
    return np.full((*size, channels), level, np.uint8)


def test_every_pixel_is_the_picture_s_and_opaque_unless_it_says_otherwise(canvases):
    rng = np.random.default_rng(0)
    for channels in (3, 4):
        shown = rng.integers(0, 256, (6, 9, channels)).astype(np.uint8)
        found = canvases.texture(shown).pixels
        assert np.array_equal(found[..., :channels], shown)
        assert channels == 4 or (found[..., 3] == 255).all()


def test_a_picture_that_comes_again_costs_nothing_and_is_still_right(canvases):
    levels = range(KEPT)
    first = {level: canvases.texture(picture(level)) for level in levels}
    counts = {level: texture.n_set for level, texture in first.items()}
    for level in levels:
        again = canvases.texture(picture(level))
        assert again is first[level] and again.n_set == counts[level]
        assert (again.pixels[..., 0] == level).all()


def test_of_one_more_only_what_differs_from_the_longest_unused_is_set(canvases):
    textures = [canvases.texture(picture(level)) for level in range(KEPT)]
    canvases.texture(picture(0))  # so that 1 is the longest unused
    shown = picture(1)
    shown[2, 3] = (7, 8, 9)
    before = textures[1].n_set
    found = canvases.texture(shown)
    assert found is textures[1] and found.n_set == before + 1
    assert np.array_equal(found.pixels[..., :3], shown)
    back = canvases.texture(picture(1))  # its old content is gone, and not believed to be there
    assert (back.pixels[..., :3] == 1).all() and back is not textures[1]


def test_pictures_of_other_sizes_have_canvases_of_their_own(canvases):
    small, large = picture(5), picture(5, (12, 18))
    assert canvases.texture(small).pixels.shape == (6, 9, 4)
    assert canvases.texture(large).pixels.shape == (12, 18, 4)


def test_a_picture_changed_in_place_is_another_picture(canvases):
    shown = picture(5)
    canvases.texture(shown)
    shown[0, 0] = 200
    assert (canvases.texture(shown).pixels[0, 0, :3] == 200).all()
