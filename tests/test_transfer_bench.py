"""The matrix of transfer as its benchmark prints it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def transfer(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("transfer")


def cell(patch, picture, detector, recall, knowledge=""):
    return {"patch": patch, "picture": picture, "made_on": patch, "detector": detector,
            "knowledge": knowledge, "views": 20, "recall": recall, "mean_score": 0.5,
            "max_score": 0.9}  # fmt: skip


def test_stickers_stand_beside_the_range_of_their_controls(transfer):
    told = transfer.table(
        [
            cell("a", "patch", "a", 0.1, "white"),
            cell("a", "patch", "b", 0.75, "black"),
            cell("a", "grey", "a", 0.9),
            cell("a", "grey", "b", 1.0),
            cell("b", "grey", "a", 0.95),
            cell("b", "grey", "b", 1.0),
        ]
    )
    assert "10% (3-30) white" in told and "75% (53-89) black" in told
    grey = next(line for line in told.splitlines() if line.startswith("grey"))
    assert "control" in grey and "90% to 95%" in grey and grey.rstrip().endswith("100%")


def test_the_held_out_detector_is_in_no_sticker_of_several(transfer, monkeypatch, tmp_path):
    calls = []

    def call(*arguments):
        calls.append(arguments)
        if arguments[0] == "optimize":
            name = arguments[arguments.index("--name") + 1]
            for end in ("png", "json"):
                (tmp_path / "work" / f"{name}.{end}").write_text("made")
        else:
            (tmp_path / "out" / "cells.jsonl").write_text("")

    monkeypatch.setattr(transfer, "call", call)
    for folder in ("work", "out"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(
        "sys.argv",
        ["transfer.py", "--detectors", "a", "b", "there/c.safetensors", "--held-out", "c",
         "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")],
    )  # fmt: skip
    assert transfer.main() == 0
    made = {one[one.index("--name") + 1]: one for one in calls if one[0] == "optimize"}
    assert list(made) == ["a", "b", "c", "together", "asked", "views"]
    assert made["together"][made["together"].index("--detector") :][:4] == (
        "--detector", "a", "--also", "b",
    )  # fmt: skip
    assert not any("c.safetensors" in word for word in made["together"])
    at = made["a"].index("--views") + 1
    assert made["views"][-1] != made["a"][-1] and made["views"][at] != made["a"][at], (
        "it is shown on views of another seed, that stand elsewhere"
    )
    assert (tmp_path / "out" / "asked.png").read_text() == "made"
