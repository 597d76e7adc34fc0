from __future__ import annotations

import sys

import pytest
from texts import routes, trial, with_other

from simattack import cli, config


@pytest.fixture
def go(monkeypatch, capsys, tmp_path):
    """Type a command line in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["simattack", *arguments])
        code = cli.main()
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_a_file_is_imported_and_what_was_taken_otherwise_is_told(go, tmp_path):
    (tmp_path / "some.xosc").write_text(with_other(mps=8))
    code, out, err = go("import", "some.xosc", "--out", "mine.yaml")
    assert (code, out) == (0, "mine.yaml\n")
    assert err.startswith("simattack: some.xosc: line 5: <ScenarioObject> 'ego': its route")
    assert config.read_scenario("mine.yaml").cast[0].does.kind == "cruise"


def test_a_route_is_chosen_by_its_id_and_named_after_it(go, tmp_path):
    (tmp_path / "some.xml").write_text(routes(trial("ParkingCutIn")))
    assert go("import", "some.xml", "--route", "7")[:2] == (0, "some_7.yaml\n")
    assert config.read_scenario("some_7.yaml").cast


def test_what_is_refused_is_one_line_and_lenient_skips_it(go, tmp_path):
    (tmp_path / "some.xml").write_text(routes(trial("ControlLoss")))
    code, out, err = go("import", "some.xml")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "some.xml: line 4: <scenario> 'ControlLoss_1': expected a scenario of a type" in err
    code, out, err = go("import", "some.xml", "--lenient")
    assert (code, out) == (0, "some_7.yaml\n") and err.startswith("simattack: skipped: ")
