import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures

from simattack.errors import PatchError
from simattack.patchfile import Patch, PatchCard, find_patch, load_patch, save_patch
from simattack.resources import shipped
from tests.docscripts import script

IMAGE = np.arange(6 * 12 * 3, dtype=np.uint8).reshape(6, 12, 3)
CARD = PatchCard(width_m=0.4, height_m=0.2, seed=3, sites=("a", "b"), eot={"noise": 0.01})


@pytest.fixture
def saved(tmp_path):
    return save_patch(tmp_path, Patch("mine", IMAGE, CARD))


def test_a_saved_patch_comes_back(saved):
    patch = load_patch(saved)
    assert (patch.image == IMAGE).all()
    assert patch.size_m == (0.4, 0.2) and patch.card.sites == ("a", "b")
    assert patch.card.centre == (0.5, 0.5) and patch.card.seed == 3


def test_saving_twice_writes_the_same_bytes(saved, tmp_path):
    again = save_patch(tmp_path / "again", load_patch(saved))
    assert again.read_bytes() == saved.read_bytes()
    assert again.with_suffix(".json").read_bytes() == saved.with_suffix(".json").read_bytes()


def test_a_path_without_suffix_and_a_card_name_the_patch(saved):
    assert load_patch(saved.with_suffix("")).name == "mine"
    assert load_patch(saved.with_suffix(".json")).name == "mine"


def test_a_picture_changed_under_its_card_is_refused(saved):
    Pictures.fromarray(255 - IMAGE).save(saved)
    with pytest.raises(PatchError, match="SHA-256 differs"):
        load_patch(saved)


def test_another_size_than_the_cards_is_refused(saved):
    assert load_patch(saved, (0.4, 0.2)).size_m == (0.4, 0.2)
    with pytest.raises(PatchError, match=r"made to be 0\.4 x 0\.2 m, but 0\.3 x 0\.15 m"):
        load_patch(saved, (0.3, 0.15))


def test_a_bare_picture_needs_a_size(tmp_path):
    Pictures.fromarray(IMAGE).save(tmp_path / "bare.png")
    assert load_patch(tmp_path / "bare.png", (0.2, 0.1)).size_m == (0.2, 0.1)
    with pytest.raises(PatchError, match=r"no card bare\.json beside it; state its size"):
        load_patch(tmp_path / "bare.png")


def test_a_size_of_another_aspect_is_refused(tmp_path):
    Pictures.fromarray(IMAGE).save(tmp_path / "bare.png")
    with pytest.raises(PatchError, match=r"12 x 6 px cannot be printed at 0\.2 x 0\.2 m"):
        load_patch(tmp_path / "bare.png", (0.2, 0.2))


def test_what_is_no_picture_is_one_line(tmp_path):
    (tmp_path / "x.png").write_bytes(b"nothing")
    with pytest.raises(PatchError, match=r"x\.png is not a picture"):
        load_patch(tmp_path / "x.png", (0.1, 0.1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "version 99, this simattack reads version 1"),
        ({"width_m": -1}, "width_m and height_m must be above 0"),
        ({"wider": 1}, "unexpected keyword argument 'wider'"),
    ],
)
def test_a_wrong_card_is_one_line(saved, change, message):
    card = saved.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    with pytest.raises(PatchError, match=message) as caught:
        load_patch(saved)
    assert "\n" not in str(caught.value)


def test_a_missing_patch_names_what_there_is():
    with pytest.raises(PatchError, match="which does not exist; shipped:"):
        load_patch("no_such_patch")


@pytest.mark.parametrize("name", shipped("patches", ".png"))
def test_a_shipped_patch_is_small_belongs_to_its_card_and_stands_on_the_page(name):
    patch = load_patch(name)
    assert find_patch(name).stat().st_size < 60_000
    page = (Path(__file__).resolve().parents[1] / "docs" / "patches.md").read_text()
    assert f"`{name}`" in page, "run python docs/patches.py"
    if patch.card.gap:
        assert patch.card.gap["random"]["median_db"] > patch.card.gap["random"]["mean_colour_db"]


def test_the_page_of_patches_is_what_cards_and_rows_say():
    module = script("patches")
    made = [load_patch(path) for path in sorted(module.PATCHES.glob("*.png"))]
    assert module.page(made) == module.PAGE.read_text(encoding="utf-8"), (
        "run python docs/patches.py"
    )
