"""What a defense costs on labelled frames: which frames, and that they are scored once."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from simattack.compare import onclean
from simattack.errors import ConfigError
from simattack.train.dataset import Labelled, Record, write_picture, write_record
from simattack.types import Detections

BOX = (10.0, 10.0, 40.0, 40.0)


class Part:
    """A detector or defense that is already built, as a scenario names it."""

    def __init__(self, kind, built):
        self.kind, self.options, self._built = kind, {}, built
        self.confidence = None

    def with_options(self, confidence):
        self.confidence = confidence
        return self

    def build(self, room, where=""):
        return self._built


class BrightSigns:
    """Sees a stop sign in every bright picture, and in every picture one that is not there."""

    def __init__(self):
        self.looks = 0

    def detect(self, images):
        self.looks += len(images)
        return [self._seen(image) for image in images]

    @staticmethod
    def _seen(image):
        ghost = (50.0, 50.0, 80.0, 80.0)
        boxes, scores = ([BOX, ghost], [0.9, 0.5]) if image.mean() > 100 else ([ghost], [0.5])
        return Detections(np.array(boxes), np.array(scores), ("stop sign",) * len(boxes))


class Darkness:
    """A defense that leaves the car in the dark."""

    latency_s = 0.0

    def begin(self, car, rng):
        return self

    def clean(self, obs):
        return {**obs, "camera": np.zeros_like(obs["camera"])}

    def wrap(self, detector):
        return detector

    def judge(self, obs, seen):
        return SimpleNamespace(detections=seen, alarm={})


@pytest.fixture
def folder(tmp_path):
    """Four frames with a stop sign each, one of them dark."""
    for number, level in enumerate((200, 200, 200, 0)):
        name = f"frames/{number}.png"
        write_picture(tmp_path / name, np.full((96, 96, 3), level, np.uint8))
        sign = Labelled("stop sign", BOX, 900, 1000.0, 1.0, 20.0, "stop sign_0", False)
        write_record(tmp_path, Record(str(number), name, "a", 0, (sign,)))
    return tmp_path


def scenario(detector):
    return SimpleNamespace(name="mine", detector=Part("bright", detector), plugins=())


def test_a_row_tells_what_the_defended_detector_finds_and_makes_up(folder):
    told = onclean.measure(scenario(BrightSigns()), None, "stop sign", folder, {})["frames"]
    assert (told["frames"], told["objects"], told["recall"]) == (4, 4, 0.75)
    assert told["false_alarms_a_frame"] == 1.0
    # Ranked: three hits, then nothing but ghosts: precision 1 up to recall 3/4, 76 of 101 recalls.
    assert told["ap50"] == pytest.approx(76 / 101) == told["ap50_mean"]


def test_a_defense_is_scored_behind_itself(folder):
    dark = Part("darkness", Darkness())
    told = onclean.measure(scenario(BrightSigns()), dark, "stop sign", folder, {})["frames"]
    assert (told["ap50"], told["recall"]) == (0.0, 0.0)
    assert told["false_alarms_a_frame"] == 1.0, "those of a detector that finds nothing count, too"


def test_what_a_row_has_is_not_scored_again(folder):
    detector = BrightSigns()
    first = onclean.measure(scenario(detector), None, "stop sign", folder, {})
    again = onclean.measure(scenario(detector), None, "stop sign", folder, {"a": first})
    assert again == first and detector.looks == 4
    other = onclean.measure(scenario(detector), None, "person", folder, {"a": first})
    assert other["frames_key"] != first["frames_key"]


def test_without_frames_nothing_is_said(tmp_path):
    comparison = SimpleNamespace(frames="", clean_frames=0)
    assert onclean.folder_of(comparison, None, tmp_path, None) is None
    assert onclean.measure(None, None, "stop sign", None, {}) == onclean.NOT_MEASURED
    assert onclean.identity(comparison) == ""


def test_a_folder_without_frames_is_refused_before_anything_is_measured(tmp_path):
    comparison = SimpleNamespace(name="mine", frames=str(tmp_path), clean_frames=0)
    with pytest.raises(ConfigError, match="'mine': field 'frames': expected a folder of labelled"):
        onclean.identity(comparison)


def test_frames_that_were_gathered_are_not_gathered_again(tmp_path):
    comparison = SimpleNamespace(frames="", clean_frames=3)
    (tmp_path / "frames").mkdir()
    for number in range(12):  # a scene of them
        write_record(tmp_path / "frames", Record(str(number), "x", "a", 0, ()))
    assert onclean.folder_of(comparison, None, tmp_path, None) == tmp_path / "frames"
    assert onclean.identity(comparison) != onclean.identity(
        SimpleNamespace(frames="", clean_frames=15)
    )
