import dataclasses

import numpy as np
import pytest

from simattack.surfaces import approaches
from simattack.train.dataset import (
    Example,
    Labelled,
    Record,
    read_records,
    write_picture,
    write_record,
)
from simattack.train.recipe import Recipe, crop, training_example, write_crops
from simattack.train.stickers import MAX_SHARE, with_sticker
from simattack.types import CLASS_NAMES

NATIVE, WIDE = Recipe(wide_share=0.0), Recipe(wide_share=1.0)


def item(label, box, **changes):
    fields = {"pixels": 900, "outline_px": 1000.0, "inside": 1.0, "distance_m": 20.0, "view": label}
    return Labelled(label, box, **(fields | changes))


@pytest.fixture()
def frame():
    """A red sign and a green car on black."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[100:140, 500:540] = (255, 0, 0)
    image[200:300, 100:300] = (0, 255, 0)
    objects = (item("stop sign", (500, 100, 540, 140)), item("car", (100, 200, 300, 300)))
    return image, objects


@pytest.mark.parametrize("recipe", [NATIVE, WIDE], ids=["native", "wide"])
def test_labels_move_with_their_pixels_into_every_window(frame, recipe):
    image, objects = frame
    colors = {"stop sign": (255, 0, 0), "car": (0, 255, 0)}
    rng = np.random.default_rng(0)
    for number in range(20):
        window, labels, boxes = crop(image, objects, number, recipe, rng)
        assert window.shape == (320, 320, 3)
        for label, box in zip(labels, boxes, strict=True):
            x0, y0, x1, y1 = np.round(box).astype(int)
            inner = window[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2]
            assert np.all(inner == colors[label])


def test_a_native_window_keeps_the_size_of_objects_and_a_wide_one_shrinks_it(frame):
    image, objects = frame
    rng = np.random.default_rng(0)
    widths = {}
    for recipe in (NATIVE, WIDE):
        found = [crop(image, objects[:1], 0, recipe, rng)[2] for _ in range(30)]
        widths[recipe] = max(float(b[0, 2] - b[0, 0]) for b in found if len(b))
    assert widths[NATIVE] == 40 and widths[WIDE] == pytest.approx(40 / 1.5)


def test_the_first_window_of_a_frame_with_a_sign_mostly_shows_it(frame):
    image, objects = frame
    rng = np.random.default_rng(0)
    shown = ["stop sign" in crop(image, objects, 0, NATIVE, rng)[1] for _ in range(50)]
    assert np.mean(shown) > 0.85


def test_what_a_window_mostly_cuts_off_is_not_learnt():
    image = np.zeros((480, 640, 3), np.uint8)
    rng = np.random.default_rng(0)
    wide = (item("bus", (0, 0, 640, 200)),)
    for _ in range(20):
        _, labels, boxes = crop(image, wide, 0, NATIVE, rng)
        assert all((b[2] - b[0]) * (b[3] - b[1]) >= 0.35 * 640 * 200 for b in boxes)
        assert len(labels) == len(boxes)


def test_hidden_low_and_doubtful_objects_are_not_learnt_but_large_parts_are():
    good = item("car", (0, 0, 50, 40))
    hidden = item("car", (0, 0, 50, 40), pixels=100)
    low = item("car", (0, 0, 12, 5))
    doubtful = item("stop sign", (0, 0, 50, 40), is_doubtful=True)
    large = item("car", (0, 0, 300, 300), pixels=20000, outline_px=1e6)
    record = Record("0", "", "a", 0, (good, hidden, low, doubtful, large))
    learnt = training_example(record, {"car": 0.9, "stop sign": 0.9}).objects
    assert learnt == (good, large)


def test_the_written_set_is_what_ultralytics_reads(tmp_path, frame):
    image, objects = frame
    write_picture(tmp_path / "0.png", image)
    example = Example(Record("0", "0.png", "a", 0, objects), objects)
    counts = write_crops(tmp_path, tmp_path / "crops", [example], Recipe(wide_share=0.0))
    lines = [
        line
        for path in (tmp_path / "crops" / "labels" / "train").iterdir()
        for line in path.read_text().splitlines()
    ]
    assert sum(counts.values()) == len(lines) > 0
    for line in lines:
        label, *box = line.split()
        assert CLASS_NAMES[int(label)] in ("stop sign", "car")
        assert all(0 <= float(value) <= 1 for value in box)


def test_windows_are_cut_once_and_anew_for_other_frames_or_another_recipe(tmp_path, frame):
    image, objects = frame
    write_picture(tmp_path / "0.png", image)
    example = Example(Record("0", "0.png", "a", 0, objects), objects)
    other = Example(Record("0", "0.png", "a", 0, objects), objects[:1])
    done = []

    def cut(examples, recipe):
        done.clear()
        counts = write_crops(
            tmp_path, tmp_path / "crops", examples, recipe, lambda n, of: done.append(n)
        )
        return counts, len(done)

    first, worked = cut([example], NATIVE)
    assert worked == 1 and cut([example], NATIVE) == (first, 0)
    assert cut([other], NATIVE)[1] == 1 and cut([other], WIDE)[1] == 1
    assert cut([other], dataclasses.replace(WIDE, lr0=0.5))[1] == 0


def test_records_come_back_as_they_were_written_and_a_torn_last_line_is_dropped(tmp_path, frame):
    record = Record("7", "7.png", "a", 3, frame[1], (1.0, 2.0), (("fog_density", 3.0),), ("s",))
    write_record(tmp_path, record)
    with (tmp_path / "frames.jsonl").open("a") as file:
        file.write('{"id": "8", "fi')
    assert read_records(tmp_path) == [record]


def test_a_sticker_stays_on_the_face_and_within_its_share():
    surface = next(iter(approaches("town").values())).surface
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(30):
        changed = np.any(with_sticker(surface, rng) != surface.texture, axis=2)
        assert not np.any(changed & ~surface.face)
        shares.append(changed.sum() / surface.face.sum())
    assert 0 < max(shares) <= MAX_SHARE + 0.01 and np.mean(shares) > 0.05
