"""How acceptance goes on, keeps and tells; what it measures is measured by running it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """The program with two checks of ours, ``easy`` and ``hard``, and folders of its own."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    accept = importlib.import_module("accept")
    record = importlib.import_module("acceptance.record")
    taken: list[str] = []

    def easy(work):
        """Takes two steps."""
        work.once("first", lambda: taken.append("easy first") or 1)
        value = work.once("second", lambda: taken.append("easy second") or 2)
        return record.Finding([record.at_most("few", value, 3)], {"value": value})

    def hard(work):
        """Is nothing yet."""
        taken.append("hard")
        return record.Finding([record.at_least("much", 4, 10, " m")], {})

    monkeypatch.setattr(accept, "WORK", tmp_path / "work")
    monkeypatch.setattr(record, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(record, "code", lambda: made.code)
    monkeypatch.setattr(record, "git", lambda *_: "0" * 40)
    monkeypatch.setattr(accept, "CHECKS", {"easy": easy, "hard": hard})
    made = SimpleNamespace(accept=accept, record=record, taken=taken, code="abc", path=tmp_path)
    return made


def test_a_missed_target_is_told_in_the_table_and_by_the_exit_code(bench, capsys):
    assert bench.accept.main([]) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert lines[0][:4] == ["easy", "few", "2", "pass"]
    assert lines[1][:5] == ["hard", "much", "4", "m", "FAIL"]
    assert bench.accept.main(["--only", "easy"]) == 0


def test_a_finished_check_is_kept_until_the_code_changes_or_it_is_asked_for(bench):
    bench.accept.main([])
    bench.accept.main([])
    assert bench.taken == ["easy first", "easy second", "hard"]
    bench.accept.main(["--only", "hard", "--fresh"])
    assert bench.taken[3:] == ["hard"]
    bench.code = "def"
    bench.accept.main(["--only", "hard"])
    assert bench.taken[4:] == ["hard"]


def test_a_record_says_what_it_was_measured_with(bench):
    bench.accept.main(["--only", "easy"])
    kept = json.loads((bench.path / "records/easy.json").read_text())
    assert kept["code"] == "abc" and len(kept["commit"]) == 40
    assert kept["targets"] == [{"text": "few", "measured": "2", "is_met": True}]
    assert kept["figures"] == {"value": 2}


def test_a_check_that_breaks_loses_no_other(bench, capsys, monkeypatch):
    def broken(work):
        raise OSError("no such\ndisk")

    monkeypatch.setitem(bench.accept.CHECKS, "easy", broken)
    assert bench.accept.main([]) == 1
    assert (bench.path / "records/hard.json").is_file()
    assert "OSError: no such disk" in capsys.readouterr().out


def test_an_interrupted_check_goes_on_from_its_last_step(bench, capsys, monkeypatch):
    easy = bench.accept.CHECKS["easy"]

    def interrupted(work):
        work.once("first", lambda: bench.taken.append("easy first") or 1)
        raise KeyboardInterrupt

    monkeypatch.setitem(bench.accept.CHECKS, "easy", interrupted)
    assert bench.accept.main(["--only", "hard", "easy"]) == 130
    assert "much" in capsys.readouterr().out
    monkeypatch.setitem(bench.accept.CHECKS, "easy", easy)
    assert bench.accept.main(["--only", "hard", "easy"]) == 1
    assert bench.taken == ["hard", "easy first", "easy second"]


def test_an_interrupted_check_begins_anew_when_the_code_has_changed(bench, monkeypatch):
    easy = bench.accept.CHECKS["easy"]

    def interrupted(work):
        work.once("first", lambda: 1)
        raise KeyboardInterrupt

    monkeypatch.setitem(bench.accept.CHECKS, "easy", interrupted)
    bench.accept.main(["--only", "easy"])
    monkeypatch.setitem(bench.accept.CHECKS, "easy", easy)
    bench.code = "def"
    bench.accept.main(["--only", "easy"])
    assert bench.taken == ["easy first", "easy second"]


def test_the_table_alone_measures_nothing_and_marks_what_is_older(bench, capsys):
    bench.accept.main(["--only", "easy"])
    bench.code, bench.taken[:] = "def", []
    capsys.readouterr()
    assert bench.accept.main(["--table"]) == 1
    out = capsys.readouterr().out
    assert "(older)" in out and "never measured" in out
    assert bench.taken == []


def test_a_step_that_is_taken_in_parts_is_timed_as_a_whole(bench, monkeypatch):
    work = importlib.import_module("acceptance.work")
    now = iter([0.0, 5.0, 100.0, 103.0])
    monkeypatch.setattr(work.time, "monotonic", lambda: next(now))
    mine = work.Work(bench.path / "mine")
    with pytest.raises(KeyboardInterrupt):
        mine.clocked("drive", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert work.Work(bench.path / "mine").clocked("drive", lambda: None) == 8.0


def test_the_code_is_known_by_the_files_that_decide_the_figures(bench, monkeypatch, tmp_path):
    monkeypatch.undo()
    record = importlib.import_module("acceptance.record")
    (tmp_path / "simattack").mkdir()
    (tmp_path / "simattack/a.py").write_text("one")
    monkeypatch.setattr(record, "ROOT", tmp_path)
    monkeypatch.setattr(record, "git", lambda *_: "simattack/a.py")
    before = record.code()
    (tmp_path / "simattack/a.py").write_text("two")
    assert record.code() != before
