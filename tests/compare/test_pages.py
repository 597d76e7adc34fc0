"""A defense's page: which views it shows, what the panes are, alarms out of traces."""

import numpy as np
import pytest
from PIL import Image as Pictures
from test_board import row

from simattack.compare import exhibits, pages
from simattack.compare.looking import Defended
from simattack.registry import build
from simattack.types import Detections, Verdict

SIDE = 64
BOX = np.array([[20.0, 20, 40, 40]])
TARGET = Detections(BOX, np.ones(1), ("stop sign",))


class Bright:
    """Finds a sign where the middle of the image is bright."""

    latency_s = 0.0

    def detect(self, images):
        return [
            TARGET if image[20:40, 20:40].mean() > 140 else Detections.none() for image in images
        ]


class Darken:
    """Makes the left half of every image black, and is alarmed."""

    latency_s = 0.0

    def begin(self, car, rng):
        return self

    def clean(self, obs):
        image = obs["camera"].copy()
        image[:, : SIDE // 2] = 0
        return {**obs, "camera": image}

    def wrap(self, detector):
        return detector

    def judge(self, obs, seen):
        return Verdict(seen, {"camera": 0.5})


def kept(folder, defense, image):
    look = Defended(Bright(), defense).look(image)
    exhibits.keep(folder, [("bare", 12.34, TARGET, look)], Bright(), defense)
    (one,) = exhibits.read(folder)
    picture = np.asarray(Pictures.open(folder / one.file)).astype(int)
    return one, [picture[:, i * SIDE : (i + 1) * SIDE] for i in range(3)]


@pytest.fixture
def image():
    return np.full((SIDE, SIDE, 3), 150, np.uint8)


def test_near_middling_and_far_views_are_shown_each_once():
    assert exhibits.chosen(np.array([30.0, 10, 20, 40, 50])) == [1, 0, 4]
    assert exhibits.chosen(np.array([7.0])) == [0]


def test_the_panes_show_before_after_and_the_change(tmp_path, image):
    one, (saw, handed_on, change) = kept(tmp_path, Darken(), image)
    assert (one.before, one.after, one.alarm, one.distance_m) == (True, False, 0.5, 12.3)
    assert abs(saw[5, 5] - 150).max() < 12 and handed_on[5, 5].max() < 12
    assert change[5, 5].min() > 240 and change[5, 60].max() < 12
    # The box of the detector alone is drawn on the first pane, none on the second.
    assert saw[30, 20, 0] - saw[30, 20, 1] > 60 > handed_on[30, 20, 0] - handed_on[30, 20, 1]


def test_masks_are_shown_by_what_was_to_be_seen_where_the_sign_was_found(tmp_path, image):
    masking = build("defenses", "masking", {"lines": 3}, "")
    one, (_, _, shown) = kept(tmp_path, masking, image)
    assert "masked looks" in one.did
    looks = masking.looks(Bright(), image)
    assert 0 < sum(len(look) for look in looks) < 12
    assert shown[30, 30].mean() > 1.5 * shown[60, 2].mean()


def test_old_pictures_go_when_a_defense_is_measured_anew(tmp_path, image):
    (tmp_path / "09_old.jpg").write_bytes(b"x")
    kept(tmp_path, Darken(), image)
    assert [path.name for path in tmp_path.glob("*.jpg")] == ["00_bare.jpg"]


def trace(alarm):
    n = len(alarm)
    zero = np.zeros(n)
    return {
        "time_s": np.arange(n) / 20, "distance_m": np.linspace(20, 0, n), "speed_mps": zero + 5,
        "alarm_camera": np.array(alarm, float), "alarm_lidar": zero,
    }  # fmt: skip


def test_a_page_holds_pictures_found_or_not_and_alarms_of_the_sensors_that_had_some(
    tmp_path, image
):
    kept(tmp_path, Darken(), image)
    rows = [row("none", 0.9), {**row("dark", 0.2), "adaptive_by": "square, 4 looks"}]
    driven = {"attacked+dark": [trace([0, 1, 1])], "clean+dark": [trace([0, 0, 0])]}
    page = pages.page(rows[1], rows, exhibits.read(tmp_path), tmp_path, driven, "../r.html")
    assert (
        "alone the target is found, behind the defense the target is NOT found; alarm 0.5" in page
    )
    assert page.count("data:image/jpeg") == 1 and "made by square, 4 looks" in page
    assert "<h3>camera</h3>" in page and "<h3>lidar</h3>" not in page
    assert page.count("<tr><td>") == 2 + 2  # none and dark; adaptive and oblivious


def test_a_page_without_drives_or_pictures_says_so(tmp_path):
    rows = [row("none", 0.9), row("dark", 0.2)]
    page = pages.page(rows[1], rows, [], tmp_path, {}, "../r.html")
    assert "No pictures" in page and "Not driven" in page


def test_drives_without_alarms_say_so(tmp_path):
    rows = [row("none", 0.9), row("dark", 0.2)]
    driven = {"attacked+dark": [trace([0, 0, 0])]}
    assert "no alarm in any" in pages.page(rows[1], rows, [], tmp_path, driven, "../r.html")
