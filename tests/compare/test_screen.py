"""The screening's book-keeping, with cells that take no time to measure."""

import contextlib
import json

import numpy as np
import pytest

from simattack import comparison
from simattack.compare import offline, onprints, run, write
from simattack.scenario import Part
from simattack.types import Detections

TEXT = """
defenses: [{kind: jpeg, as: coarse, quality: 20}, jpeg, bit_depth]
attacks: [{scenario: stop_sign, defenses: [coarse, jpeg, bit_depth]}]
"""


class Bench:
    detector = None

    def targets(self):
        return [Detections(np.zeros((1, 4)), np.ones(1), ("stop sign",))]

    def bare(self):
        return np.zeros((1, 8, 8, 3), np.uint8)


@pytest.fixture
def compared(tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    monkeypatch.setattr(onprints, "prepare", lambda *_: Bench())
    monkeypatch.setattr(run, "_show", lambda *_: None)
    monkeypatch.setattr(run, "extra_latency", lambda *_: {"declared_s": 0.0})
    return comparison.read(str(path))


def test_all_rows_so_far_are_told_after_each_and_none_is_measured_twice(
    compared, tmp_path, monkeypatch
):
    measured, told, ends = [], [], 2

    def cell(bench, name, defense, patches, report):
        if len(measured) == ends:
            raise KeyboardInterrupt
        measured.append(name.rpartition("_")[0] or name)
        return offline.empty(adaptive_missing="")

    def screen():
        return run.screen(
            compared,
            tmp_path,
            lambda scenario: contextlib.nullcontext(),
            tell=lambda rows: told.append([row["defense"] for row in rows]),
        )

    monkeypatch.setattr(offline, "cell", cell)
    with pytest.raises(KeyboardInterrupt):
        screen()
    assert told == [["none"], ["none", "coarse"]]
    told.clear()
    ends = 99
    rows = screen()
    every = ["none", "coarse", "jpeg", "bit_depth"]
    assert told == [every[:3], every] and [row["defense"] for row in rows] == every
    assert measured == every
    assert screen() == rows and measured == every


def test_no_two_rows_share_a_page(tmp_path):
    pairs = [
        ("drag_0.5", "gate"), ("drag_0.25", "gate"), ("stop_sign", "poster_jpeg"),
        ("stop_sign_poster", "jpeg"), ("a/b", "c"), ("a", "b/c"), ("a+b", "c"), ("a", "b+c"),
    ]  # fmt: skip
    places = {run.exhibits_of(tmp_path, *pair) for pair in pairs}
    assert len(places) == len(pairs) and {place.parent for place in places} == {
        tmp_path / "defenses"
    }


def test_a_row_is_measured_anew_when_the_user_s_own_map_has_changed(tmp_path):
    def key(path):
        compared = comparison.read(str(path))
        return run._key(compared, compared.attacks[0], None)

    ours, theirs = tmp_path / "ours.yaml", tmp_path / "theirs.yaml"
    ours.write_text(TEXT)
    own = tmp_path / "mine.xodr"
    own.write_bytes(comparison.read(str(ours)).attacks[0].scenario.map_file().read_bytes())
    theirs.write_text(TEXT.replace("{scenario: stop_sign,", f"{{scenario: stop_sign, map: {own},"))
    first = key(theirs)
    assert key(theirs) == first
    own.write_bytes(own.read_bytes() + b"\n")
    assert key(theirs) != first


def test_without_the_file_of_times_they_are_taken_again_and_nothing_else(
    compared, tmp_path, monkeypatch
):
    measured, timed = [], []

    def cell(bench, name, defense, patches, report):
        measured.append(name)
        return offline.empty(adaptive_missing="", views=1)

    def latency(defense, detector, pictures):
        timed.append(type(defense).__name__)
        return {"declared_s": 0.0, "mean_s": float(len(timed))}

    def screen():
        return run.screen(compared, tmp_path, lambda scenario: contextlib.nullcontext())

    monkeypatch.setattr(offline, "cell", cell)
    monkeypatch.setattr(run, "extra_latency", latency)
    first = [row["latency"] for row in screen()]
    assert first[0] is None and [told["mean_s"] for told in first[1:]] == [1, 2, 3]
    written = (tmp_path / "rows.jsonl").read_bytes()
    (tmp_path / "timing.jsonl").unlink()
    again = [row["latency"] for row in screen()]
    assert again[0] is None and [told["mean_s"] for told in again[1:]] == [4, 5, 6]
    assert timed == ["Jpeg", "Jpeg", "BitDepth"] * 2
    assert len(measured) == 4 and (tmp_path / "rows.jsonl").read_bytes() == written
    assert screen() and len(timed) == 6


def test_the_same_defense_on_the_same_frames_is_timed_once():
    rows = {name: {"frames_key": key} for name, key in (("a", "x"), ("b", "x"), ("c", "y"),
                                                        ("d", ""), ("e", ""))}  # fmt: skip
    times = {"a": {"latency": 1.0}, "d": {"latency": 2.0}}
    assert run._known_time("b", rows, times) == 1.0
    assert run._known_time("c", rows, times) is None
    assert run._known_time("e", rows, times) is None, "without frames nothing is the same"
    assert run._known_time("new", rows, times) is None


def test_what_pictures_say_nothing_of_opens_no_scene(compared, tmp_path):
    path = tmp_path / "driven.yaml"
    path.write_text(
        "defenses: [sign_memory, gnss_gate]\nattacks:\n"
        "  - {scenario: curve, defenses: [gnss_gate]}\n"
        "  - {scenario: stop_sign, defenses: [sign_memory]}\n"
    )

    def opened(scenario):
        raise LookupError(scenario.name)

    with pytest.raises(LookupError, match="stop_sign"):  # for the row without a defense alone
        run.screen(comparison.read(str(path)), tmp_path, opened)
    rows = run.read(tmp_path / "rows.jsonl").values()
    assert [(row["attack"], row["defense"]) for row in rows] == [
        *(("curve", "none"), ("curve", "gnss_gate"), ("stop_sign", "sign_memory")),
    ]
    assert all("only driven" in row["adaptive_missing"] for row in rows)


def test_of_several_attacks_at_once_it_is_told_that_pictures_are_not_all_and_what_they_are(
    tmp_path,
):
    path = tmp_path / "both.yaml"
    path.write_text(
        "defenses: [jpeg]\nattacks:\n"
        "  - scenario: stop_sign\n    controls: {}\n"
        "    attack: {kind: several, parts: [{kind: sticker, fill: grey}, {kind: gnss_jamming}]}\n"
    )
    compared = comparison.read(str(path))
    rows = run.screen(compared, tmp_path, lambda scenario: pytest.fail("no picture is needed"))
    why = "the attack is on other sensors than the camera, too: only driven"
    assert [row["adaptive_missing"] for row in rows] == [why, why]
    write.publish(compared, tmp_path, rows)
    assert "<td>sticker + gnss_jamming</td>" in (tmp_path / "report.html").read_text()


def test_a_time_is_told_beside_what_the_defense_declares_by_now(tmp_path):
    time = {"mean_s": 0.5, "p99_s": 0.6, "declared_s": 1.0}
    lines = [{"key": name, "latency": time} for name in ("jpeg", "gone")]
    (tmp_path / "timing.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    rows = [{"key": name, "defense": name} for name in ("jpeg", "gone", "none")]
    told = run.timed(rows, tmp_path, run.declared_s([Part("jpeg", {"latency_s": 0.25})]))
    assert told[0]["latency"] == {**time, "declared_s": 0.25}
    assert told[1]["latency"] == time and told[2]["latency"] is None
