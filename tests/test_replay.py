from __future__ import annotations

from pathlib import Path

from simattack.replay import Replayed
from simattack.results import Row
from simattack.types import EpisodeResult


def differing(row: dict | None, now: dict) -> list[str]:
    error = None if row is not None else "ServerGone: twice"
    kept = Row("k", EpisodeResult("s", "clean", 0, row, error), {})
    return Replayed(Path("x.mp4"), EpisodeResult("s", "clean", 0, now), kept).differing


def test_an_episode_that_went_the_same_way_differs_in_nothing():
    assert differing({"v": 1.0, "ttc": None}, {"v": 1.0 + 1e-12, "ttc": float("nan")}) == []


def test_what_differs_or_is_no_longer_measured_is_named():
    assert differing({"v": 1.0, "w": 2.0, "gone": 0.0}, {"v": 1.5, "w": 2.0}) == ["gone", "v"]


def test_a_metric_younger_than_the_row_is_no_difference():
    assert differing({"v": 1.0}, {"v": 1.0, "new": 3.0}) == []


def test_a_row_with_an_error_differs_in_all_that_was_measured_now():
    assert differing(None, {"v": 1.0, "w": 0.0}) == ["v", "w"]


def test_without_a_row_there_is_nothing_to_differ_from():
    assert Replayed(Path("x.mp4"), EpisodeResult("s", "clean", 0, {"v": 1.0}), None).differing == []
