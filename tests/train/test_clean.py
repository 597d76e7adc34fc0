import numpy as np
import pytest

from simattack.train.clean import clean
from simattack.train.dataset import Labelled, Record, visibility, write_picture
from simattack.types import Camera

FOCAL = Camera().focal_px


def car(height_m=1.5, distance=20.0):
    height = height_m * FOCAL / distance
    return Labelled("car", (10, 10, 60, 10 + height), 900, 1000.0, 1.0, distance, "car 0")


@pytest.fixture()
def folder(tmp_path):
    """Fourteen good frames of noise, each of its own."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(14):
        coarse = rng.integers(60, 200, (12, 16, 3), dtype=np.uint8)
        write_picture(tmp_path / f"{number}.png", coarse.repeat(40, 0).repeat(40, 1))
        records.append(Record(str(number), f"{number}.png", "a", 0, (car(),)))
    return tmp_path, records


def dropped(folder, records):
    return clean(folder, records, visibility(records)).dropped


def test_good_frames_are_all_kept_in_order(folder):
    path, records = folder
    result = clean(path, records, visibility(records))
    assert list(result.kept) == records and result.dropped == {}


def test_missing_broken_blank_and_wrongly_sized_pictures_are_unreadable(folder):
    path, records = folder
    (path / "0.png").unlink()
    (path / "1.png").write_bytes(b"no picture")
    (path / "2.png").write_bytes((path / "3.png").read_bytes()[:300])
    write_picture(path / "4.png", np.full((480, 640, 3), 90, np.uint8))
    write_picture(path / "5.png", np.zeros((240, 320, 3), np.uint8))
    reasons = dropped(path, records)
    assert sorted(reasons) == ["0", "1", "2", "4", "5"]
    assert all(reason.startswith("unreadable: ") for reason in reasons.values())
    assert "blank" in reasons["4"] and "expected 640x480" in reasons["5"]


def test_a_repeated_picture_is_dropped_and_its_first_kept(folder):
    path, records = folder
    from PIL import Image

    same = np.asarray(Image.open(path / "2.png")).astype(int)
    noise = np.random.default_rng(1).integers(-2, 3, same.shape)
    write_picture(path / "9.png", (same + noise).astype(np.uint8))
    assert dropped(path, records) == {"9": "duplicate: of 2"}


def test_a_picture_far_brighter_than_all_others_is_an_outlier(folder):
    path, records = folder
    bright = np.full((480, 640, 3), 255, np.uint8)
    bright[:200, :300] = 120
    write_picture(path / "7.png", bright)
    reasons = dropped(path, records)
    assert list(reasons) == ["7"] and reasons["7"].startswith("outlier: ")


def test_a_label_of_impossible_height_is_an_outlier(folder):
    path, records = folder
    records[5] = Record("5", "5.png", "a", 0, (car(), car(height_m=7.0)))
    reasons = dropped(path, records)
    assert reasons == {"5": "outlier: car 7.0 m high"}


def test_reasons_are_counted_by_kind(folder):
    path, records = folder
    (path / "0.png").unlink()
    counts = clean(path, records, visibility(records)).counts()
    assert counts == {"unreadable": 1, "duplicate": 0, "outlier": 0}
