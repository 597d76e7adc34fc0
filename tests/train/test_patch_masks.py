"""Training the network that finds prints, on four small frames."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from simattack.classifiers import patches
from simattack.errors import SimattackError
from simattack.train import patch_masks
from simattack.train.dataset import Labelled, Record, read_picture, write_picture
from simattack.train.pasting import paste
from simattack.train.patch_masks import Recipe, fit, score

torch = pytest.importorskip("torch")
TINY = Recipe(steps=6, batch=2, window_px=48)


@pytest.fixture
def frames(tmp_path):
    """A folder with four frames of a grey street and a red sign, and their records."""
    records = []
    for number in range(4):
        image = np.full((96, 128, 3), 90 + 20 * number, np.uint8)
        image[30:60, 50:80] = (200, 20, 20)
        write_picture(tmp_path / f"{number}.png", image)
        sign = Labelled("stop sign", (50, 30, 80, 60), 900, 900.0, 1.0, 20.0, "sign", False)
        records.append(Record(str(number), f"{number}.png", "a", 0, (sign,)))
    return tmp_path, records


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_the_same_seed_gives_the_same_network_and_another_another(frames, tmp_path):
    first = fit(*frames, TINY, tmp_path / "a")
    assert same(first, fit(*frames, TINY, tmp_path / "b"))
    assert not same(first, fit(*frames, Recipe(**{**vars(TINY), "seed": 1}), tmp_path / "c"))


def test_what_broke_off_ends_as_what_did_not(frames, tmp_path, monkeypatch):
    monkeypatch.setattr(patch_masks, "_KEPT_EVERY", 2)
    whole = fit(*frames, TINY, tmp_path / "whole")

    def stop(done, of, numbers):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(*frames, TINY, tmp_path / "broken", stop)
    steps = []
    again = fit(*frames, TINY, tmp_path / "broken", lambda done, of, numbers: steps.append(done))
    assert steps == [5, 6] and same(whole, again)


def test_a_damaged_checkpoint_is_told_in_one_line(frames, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "state.pt").write_bytes(b"nothing")
    with pytest.raises(SimattackError, match=r"state\.pt is not the state of a training"):
        fit(*frames, TINY, tmp_path / "a")


def test_a_checkpoint_of_another_recipe_is_begun_anew(frames, tmp_path, monkeypatch):
    monkeypatch.setattr(patch_masks, "_KEPT_EVERY", 2)
    fit(*frames, TINY, tmp_path / "a")
    steps = []
    longer = Recipe(**{**vars(TINY), "steps": 7})
    fit(*frames, longer, tmp_path / "a", lambda done, of, numbers: steps.append(done))
    assert steps[0] == 1


def test_prints_move_to_be_found_less_and_nothing_else_moves():
    torch.manual_seed(0)
    network = patches.build()
    seen = torch.rand(2, 3, 32, 32)
    cover = torch.zeros(2, 32, 32)
    cover[:, 8:20, 8:20] = 1
    moved = patch_masks._moved(network, seen, cover, Recipe(moves=3, move=0.05))
    assert torch.equal(moved[:, :, cover[0] == 0], seen[:, :, cover[0] == 0])
    network.eval()
    before, after = (patches.logits(network, x).sigmoid()[cover > 0].sum() for x in (seen, moved))
    assert after < before
    assert (moved - seen).abs().max() <= 0.15 + 1e-6


def test_a_loss_is_less_where_prints_are_found_and_the_rest_is_not():
    cover = torch.zeros(1, 8, 8)
    cover[0, 2:4, 2:4] = 1
    right = patch_masks._loss(8 * cover - 4, cover, 2.0)
    missed = patch_masks._loss(torch.full_like(cover, -4), cover, 2.0)
    flooded = patch_masks._loss(torch.full_like(cover, 4), cover, 2.0)
    assert right < missed < flooded


def test_scores_are_of_prints_on_held_out_frames_and_of_bare_ones(frames):
    folder, records = frames

    def told(shares):
        return score(SimpleNamespace(shares=shares), folder, records, 0)

    bare = {record.id: read_picture(folder, record) for record in records}
    covers = {}
    for number, record in enumerate(records):
        rng = np.random.default_rng([0, 8, number])
        pasted = paste(bare[record.id], [(50, 30, 80, 60)], rng)
        covers[pasted.image.tobytes()] = (pasted.cover > 0.5).astype(np.float32)
    nothing = np.zeros((96, 128), np.float32)
    perfect = told(lambda image: covers.get(image.tobytes(), nothing))
    assert perfect == {"printed_recall": 1, "printed_iou": 1, "bare_share": 0, "bare_frames": 0}
    flood = told(lambda image: nothing + 1)
    assert flood["printed_recall"] == flood["bare_share"] == flood["bare_frames"] == 1
    assert flood["printed_iou"] < 0.2
