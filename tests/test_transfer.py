import dataclasses
import json

import numpy as np
import pytest
import torch

from simattack.calibration import calibrate
from simattack.errors import ConfigError
from simattack.patchfile import Patch, PatchCard
from simattack.standpoints import standpoints
from simattack.transfer import knowledge, matrix, table, write
from simattack.types import Weather
from tests.pinhole import PinholeScene, survey

pytestmark = pytest.mark.usefixtures("one_thread")


class Channel:
    """As sure of a target as it shows much of one colour."""

    def __init__(self, channel):
        self._channel = channel

    def scores_near(self, images, targets):
        found = []
        for image, target in zip(images, targets, strict=True):
            x0, y0, x1, y1 = (round(float(v)) for v in target.boxes[0])
            found.append(image[self._channel, y0:y1, x0:x1].mean())
        return torch.stack(found)


def patch(**card):
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 2] = 255
    return Patch("blue", image, PatchCard(width_m=0.37, height_m=0.37, **card))


@pytest.fixture(scope="module")
def cells():
    scene = PinholeScene()
    stands = standpoints(["sign"], 4, 1, np.random.default_rng(0))
    twin = calibrate(scene, survey(stands, [Weather()]))
    detectors = {"red": Channel(0), "blue": Channel(2)}
    return matrix(twin, [patch(detector="red")], detectors, threshold=0.3)


def test_a_patch_of_another_size_than_the_twins_print_is_refused():
    stands = standpoints(["sign"], 2, 1, np.random.default_rng(0))
    twin = calibrate(PinholeScene(), survey(stands, [Weather()]))
    board = dataclasses.replace(patch().card, width_m=1.2, height_m=2.0)
    poster = Patch("board", patch().image, board)
    with pytest.raises(ConfigError, match=r"'board' measures 1\.2 x 2 m, the twin's print 0\.37"):
        matrix(twin, [poster], {"red": Channel(0)})
    with pytest.raises(ConfigError, match="a seed of 0 or more, got -1"):
        matrix(twin, [patch()], {"red": Channel(0)}, seed=-1)


def test_a_patch_and_its_controls_stand_before_every_detector(cells):
    assert [(c.picture, c.detector, c.knowledge) for c in cells] == [
        ("patch", "red", "white"), ("patch", "blue", "black"),
        ("grey", "red", ""), ("grey", "blue", ""), ("random", "red", ""), ("random", "blue", ""),
    ]  # fmt: skip
    assert all(cell.views == 4 for cell in cells)


def test_a_blue_patch_takes_red_away_and_adds_blue(cells):
    score = {(c.picture, c.detector): c.mean_score for c in cells}
    assert score["patch", "red"] < score["grey", "red"]
    assert score["patch", "blue"] > score["grey", "blue"]
    for cell in cells:
        assert cell.mean_score <= cell.max_score and cell.recall in (0, 0.25, 0.5, 0.75, 1)
        assert (cell.recall > 0) == (cell.max_score >= 0.3)


def test_what_the_maker_knew_is_told_by_the_card():
    assert knowledge(patch(detector="a+b"), "b") == "white"
    assert knowledge(patch(detector="a", queries=64), "a") == "grey"
    assert knowledge(patch(detector="ab", queries=64), "a") == "black"


def test_cells_are_written_a_line_each_and_shown_a_row_a_picture(cells, tmp_path):
    write(tmp_path / "t.jsonl", cells)
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert len(rows) == 6 and rows[0]["made_on"] == "red"
    lines = table(cells).splitlines()
    assert lines[0].split() == ["patch", "picture", "red", "blue"] and len(lines) == 5
