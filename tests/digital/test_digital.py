import json

import numpy as np
import pytest
import torch

from simattack import registry
from simattack.calibration import calibrate
from simattack.digital import table
from simattack.digital.command import recipes_of
from simattack.digital.dpatch import DPatch, beside, pasted
from simattack.digital.frames import Frames, check
from simattack.digital.one_pixel import OnePixel, dotted
from simattack.digital.pixels import Bim, Fgsm
from simattack.errors import BudgetError, ConfigError, ResultsError
from simattack.standpoints import record, standpoints
from simattack.types import Detections, Weather
from tests.pinhole import PinholeScene, survey

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS = registry.kinds("digital")
SMALL = {
    "dpatch": {"side_px": 6, "iterations": 4, "batch": 2},
    "one_pixel": {"queries": 30},
    "fgsm": {},
}
"""Options that make a quick run; of the others four iterations."""
BOX = np.array([8.0, 10.0, 16.0, 18.0])


class Redness:
    """Finds what is redder than green and blue, around the target and in it, a little."""

    def __init__(self):
        self.looks = 0

    def _logit(self, images):
        self.looks += len(images)
        return 24 * (images[:, 0] - images[:, 1:].mean(1))[:, 6:22, 2:28].mean((1, 2)) - 1

    def loss(self, images, targets):
        return self._logit(images).sigmoid()

    scores_near = loss

    def detect(self, images):
        tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        scores = self._logit(tensor).sigmoid().numpy()
        return [
            Detections(BOX[None], np.array([float(score)]), ("stop sign",))
            if score > 0.25
            else Detections.none()
            for score in scores
        ]


def frames(count, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(40, 200, (count, 30, 30, 3), np.uint8)
    images[:, :, :, 0] += 30
    target = Detections(BOX[None], np.ones(1), ("stop sign",))
    return Frames(images, (target,) * count)


def recipe(kind, **options):
    given = {**SMALL.get(kind, {"iterations": 4}), **options}
    return registry.build("digital", kind, given, "test")


def measure(out, kinds=KINDS, seed=0, detector=None, report=None):
    return table.measure(
        [recipe(kind) for kind in kinds], frames(3, 1), frames(4, 2), detector or Redness(), out,
        seed, report,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, measure(folder)


def test_every_method_has_a_row_that_says_it_is_not_physical(made):
    folder, rows = made
    assert [row.method for row in rows] == KINDS
    assert not any(row.is_physical for row in rows)
    head, *lines = (folder / "baselines.csv").read_text().splitlines()
    assert len(lines) == len(KINDS)
    assert all(line.split(",")[head.split(",").index("is_physical")] == "False" for line in lines)
    assert [row["is_physical"] for row in json.loads((folder / "baselines.json").read_text())] == [
        False
    ] * len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_digital_attack_does_more_than_noise_and_keeps_to_its_norm(made, kind):
    row = made[1][KINDS.index(kind)]
    assert row.frames == 3 and row.recall_clean == 1.0
    assert row.score_attacked < row.score_noise
    image, target = next(iter(frames(1, 1)))
    before = image.copy()
    attack = recipe(kind).begin(frames(2, 2), Redness(), np.random.default_rng(0), made[0] / kind)
    changed = attack.change(image, target, np.random.default_rng(0))
    noise = attack.noise(image, target, np.random.default_rng(0))
    assert (image == before).all()
    for picture in (changed.image, noise):
        check(recipe(kind), image, picture)
        assert picture.dtype == np.uint8 and (picture != image).any()


def test_equal_runs_are_equal_bytes_and_another_seed_is_another_run(made, tmp_path):
    folder, _ = made
    measure(tmp_path / "again")
    measure(tmp_path / "other", seed=1)
    for name in ("baselines.csv", "baselines.json"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
        assert (folder / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(made, tmp_path):
    class Cut(Exception):
        pass

    def stop(stage, done, total, numbers):
        if stage.startswith("pgd") and done == 2:
            raise Cut

    with pytest.raises(Cut):
        measure(tmp_path, report=stop)
    assert not (tmp_path / "baselines.csv").exists()
    with (tmp_path / table.PROGRESS).open("a") as file:
        file.write('{"key": "torn')
    measure(tmp_path)
    assert (tmp_path / "baselines.csv").read_bytes() == (made[0] / "baselines.csv").read_bytes()
    idle = Redness()
    measure(tmp_path, detector=idle)
    assert idle.looks == 3  # the pictures as they were recorded, and nothing else


def test_a_damaged_line_of_progress_is_one_line(tmp_path):
    (tmp_path / table.PROGRESS).write_text("no\n")
    with pytest.raises(ResultsError, match=r"progress\.jsonl:1: expected a line of progress"):
        measure(tmp_path)


def test_one_step_by_the_sign_changes_every_channel_by_epsilon():
    image, target = next(iter(frames(1, 1)))
    attack = Fgsm(epsilon=5).begin(frames(1, 2), Redness(), np.random.default_rng(0), None)
    changed = attack.change(image, target, np.random.default_rng(0))
    away = changed.image.astype(int) - image
    seen = away[6:22, 2:28]
    assert (seen[..., 0] == -5).all() and (seen[..., 1:] == 5).all()
    assert not away[:6].any()  # where nothing depends on it, nothing is changed
    assert changed.gradients == 1


def test_the_looks_at_the_detector_are_counted():
    image, target = next(iter(frames(1, 1)))
    detector = Redness()
    attack = Bim(iterations=8).begin(frames(1, 2), detector, np.random.default_rng(0), None)
    changed = attack.change(image, target, np.random.default_rng(0))
    assert (changed.gradients, changed.queries) == (8, 5)  # judged at the start, then every second
    assert detector.looks == 13


def test_a_change_beyond_the_norm_is_refused():
    image = np.full((4, 4, 3), 100, np.uint8)
    brighter = image + np.uint8(9)
    check(Bim(epsilon=9), image, brighter)
    with pytest.raises(BudgetError, match="bim may change a channel by 8 of 255"):
        check(Bim(epsilon=8), image, brighter)
    with pytest.raises(BudgetError, match="in 2 pixels; it changed 16"):
        check(OnePixel(pixels=2), image, brighter)


def test_pixels_are_set_near_the_target_and_a_square_beside_it():
    image, target = next(iter(frames(1, 1)))
    for x in (0.0, 0.5, 1.0):
        dot = dotted(image, target, np.array([x, 1 - x, 1.0, 0.0, 0.5]))
        rows, columns = np.nonzero((dot != image).any(2))
        assert len(rows) == 1 and 8 <= rows[0] <= 19 and 6 <= columns[0] <= 17
        assert dot[rows[0], columns[0]].tolist() == [255, 0, 128]
    square = np.zeros((6, 6, 3), np.uint8)
    changed = (pasted(image, target, square) != image).any(2)
    assert changed.any() and not changed[10:18, 8:16].any()
    assert beside(target, (30, 30), 6) == (18, 11)  # the target is left of the middle
    with pytest.raises(ConfigError, match="no room for a square of 29 px"):
        beside(target, (30, 30), 29)


def test_recipes_are_one_an_epsilon_where_there_is_one():
    made = recipes_of(("fgsm", "one_pixel"), (1, 4))
    assert [(type(r).__name__, r.epsilon) for r in made] == [
        ("Fgsm", 1), ("Fgsm", 4), ("OnePixel", 255)
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="did you mean 'fgsm'"):
        recipes_of(("fgms",), (1,))
    with pytest.raises(ConfigError, match="epsilon must be a number, from 1 to 255, got 0"):
        recipes_of(("pgd",), (0,))
    with pytest.raises(ConfigError, match="side_px must be a whole number"):
        registry.build("digital", "dpatch", {"side_px": 0}, "test")
    assert DPatch(side_px=3).pixels == 9


def test_frames_show_the_sign_with_nothing_stuck_on_it():
    scene = PinholeScene()
    stands = standpoints(["sign"], 2, 1, np.random.default_rng(0))
    looks = survey(stands, [Weather()])
    twin = calibrate(scene, looks)
    shots = record(scene, looks, {"black": np.zeros((1, 1, 3), np.uint8)})
    scene.clear()
    for i, image in enumerate(Frames.of(twin).images):
        scene.camera_pose = lambda at=shots[twin.views[i].shot].camera_pose: at
        left, top = twin.views[i].corner_px
        true = scene.observe()["camera"][top : top + twin.side_px, left : left + twin.side_px]
        off = np.abs(image.astype(int) - true)
        assert off.mean() < 0.1 and off[twin.mask(i)].mean() < 2
        grey = np.abs(twin.background[i].astype(int) - true)
        assert grey[twin.mask(i)].mean() > 20
