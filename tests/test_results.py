from __future__ import annotations

import json
import math

import numpy as np
import pytest

from simattack import results
from simattack.errors import ResultsError
from simattack.results import Appender, Folder, Manifest, Row
from simattack.types import EpisodeResult

INPUTS = {"patch": "aa" * 32, "scenarios": {"town": {"speed": 1.5}}}


def row(seed: int, arm: str = "clean", **metrics: object) -> Row:
    key = results.key(INPUTS, "stop", arm, seed)
    return Row(key, EpisodeResult("stop", arm, seed, metrics or {"jerk": 0.5}), {"site": "a"})


def test_a_row_read_back_says_what_was_written(tmp_path):
    given = row(3, jerk=np.float64(1 / 3), stopped=np.bool_(True), ttc=math.nan, far=-math.inf)
    path = tmp_path / "rows.jsonl"
    path.write_text(given.line() + "\n")
    (back,), note = results.read_rows(path)
    assert note is None
    assert back.key == given.key
    assert back.result.metrics == {"jerk": 0.333333333, "stopped": True, "ttc": None, "far": None}
    assert back.line() == given.line()


def test_floats_that_agree_to_nine_digits_are_equal_bytes():
    assert row(1, x=0.1 + 0.2).line() == row(1, x=0.3).line()
    assert row(1, x=-0.0).line() == row(1, x=0.0).line()
    assert row(1, x=0.30000001).line() != row(1, x=0.3).line()


@pytest.mark.parametrize(
    "change",
    [{"scenario": "go"}, {"arm": "attacked"}, {"seed": 2}, {"inputs": {**INPUTS, "patch": "b"}}],
)
def test_a_key_changes_with_everything_it_stands_for(change):
    given = {"inputs": INPUTS, "scenario": "stop", "arm": "clean", "seed": 1}
    assert results.key(**given) == results.key(**given)
    assert results.key(**given) != results.key(**{**given, **change})


def test_a_torn_last_line_is_dropped_with_a_note_and_cut_before_the_next_is_written(tmp_path):
    folder = Folder(tmp_path)
    folder.partial.write_text(row(1).line() + "\n" + row(2).line()[:40])
    rows, notes = folder.rows()
    assert [item.result.seed for item in rows] == [1]
    assert notes == ["episodes.partial.jsonl: dropped a torn last line (40 bytes)"]
    with Appender(folder.partial) as file:
        file.append(row(2).line())
    rows, notes = folder.rows()
    assert [item.result.seed for item in rows] == [1, 2]
    assert notes == []


def test_a_damaged_line_in_the_middle_is_an_error_that_names_the_line(tmp_path):
    path = tmp_path / "episodes.jsonl"
    path.write_text(row(1).line() + "\n{oops\n" + row(2).line() + "\n")
    with pytest.raises(ResultsError, match=r"episodes\.jsonl:2"):
        results.read_rows(path)


def test_a_row_of_another_version_is_an_error(tmp_path):
    path = tmp_path / "episodes.jsonl"
    path.write_text(json.dumps({**json.loads(row(1).line()), "version": 99}) + "\n")
    with pytest.raises(ResultsError, match="expected a row of version 1, got 99"):
        results.read_rows(path)


def test_finishing_sorts_by_scenario_arm_and_seed_and_keeps_each_row_once(tmp_path):
    folder = Folder(tmp_path)
    with Appender(folder.partial) as file:
        for item in (row(10), row(2), row(1, "attacked"), row(2)):
            file.append(item.line())
    rows, _ = folder.rows()
    folder.finish(rows)
    lines = [json.loads(line) for line in folder.final.read_text().splitlines()]
    assert [(line["arm"], line["seed"]) for line in lines] == [
        ("attacked", 1),
        ("clean", 2),
        ("clean", 10),
    ]
    assert not folder.partial.exists()


def test_a_folder_takes_the_same_inputs_again_and_names_what_differs_in_others(tmp_path):
    folder = Folder(tmp_path)
    folder.adopt(Manifest(INPUTS, {"seeds": [1]}))
    folder.adopt(Manifest(INPUTS, {"seeds": [1, 2]}))
    assert folder.manifest().plan == {"seeds": [1, 2]}
    other = {**INPUTS, "scenarios": {"town": {"speed": 2.5}}}
    with pytest.raises(ResultsError, match=r"scenarios\.town\.speed: 1\.5 there, 2\.5 now"):
        folder.adopt(Manifest(other, {}))
    assert folder.manifest().inputs == INPUTS


def test_rows_without_a_manifest_are_not_adopted(tmp_path):
    folder = Folder(tmp_path)
    folder.final.write_text(row(1).line() + "\n")
    with pytest.raises(ResultsError, match=r"no manifest\.json"):
        folder.adopt(Manifest(INPUTS, {}))


@pytest.mark.parametrize("content", ["{", '{"version": 1}', '{"version": 1, "odd": 2}'])
def test_a_damaged_manifest_is_one_clear_error(tmp_path, content):
    folder = Folder(tmp_path)
    folder.manifest_path.write_text(content)
    with pytest.raises(ResultsError, match=r"manifest\.json: damaged"):
        folder.manifest()


def test_a_folder_that_is_none_says_so(tmp_path):
    with pytest.raises(ResultsError, match="expected a results folder"):
        Folder(tmp_path / "nothing").manifest()


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    folder = Folder(tmp_path / "x")
    with folder.locked(), pytest.raises(ResultsError, match="another run"), folder.locked():
        pass
    with folder.locked():
        pass
