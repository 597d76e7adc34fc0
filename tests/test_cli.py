from __future__ import annotations

import dataclasses
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import standins
from PIL import Image as Pictures

from simattack import cli, config, listing, overrides, publication, registry, suite
from simattack.errors import ConfigError, SimattackError
from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
from simattack.worker import Tools


@pytest.fixture(autouse=True)
def own_registry():
    with standins.own_registry():
        yield


@pytest.fixture
def go(monkeypatch, capsys):
    """Type a command line: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["simattack", *arguments])
        try:
            code = cli.main()
        except SystemExit as error:  # tyro's, for wrong flags and --help
            code = int(error.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture
def finished(tmp_path, capsys):
    """The folder of a finished run of the stand-ins."""
    plan = config.read(standins.write_scenario(tmp_path))
    suite.run(plan.select(None, 1), tmp_path / "x", Tools(standins.open_road, standins.drive))
    capsys.readouterr()  # its progress is not what is tested
    return tmp_path / "x"


def scenario(**changes: object) -> config.Scenario:
    given = {
        "name": "s",
        "sites": ("stop_sign_0",),
        "policy": config.Part("modular"),
        "detector": config.Part("yolo", {"confidence": 0.4}),
        "attack": config.Part("sticker", {"patch": "old", "size_m": 0.2}),
    }
    return config.Scenario(**{**given, **changes})


def test_help_is_told_without_importing_anything_heavy():
    heavy = ["torch", "ultralytics", "carla", "matplotlib", "scipy", "PIL", "yaml", "rich.progress"]
    code = f"import sys, simattack.cli; sys.exit(str([n for n in {heavy} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_help_lists_every_command(go):
    code, out, _ = go("--help")
    assert code == 0
    for command in cli.COMMANDS:
        assert command in out


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_every_command_and_each_of_its_flags_is_explained(command):
    function = cli.COMMANDS[command]
    told = inspect.getdoc(function) or ""
    assert told.split("\n")[0].endswith((".", "(MP4)."))
    for name in inspect.signature(function).parameters:
        assert f"    {name}: " in told, f"{command}: {name} is not explained"


def test_a_missing_scenario_is_one_line_and_exit_1(go):
    code, out, err = go("run", "missing.yaml")
    assert (code, out) == (1, "")
    assert err.startswith("simattack: expected a scenario") and err.count("\n") == 1


def test_a_wrong_key_is_one_line_that_names_file_and_field(go, tmp_path):
    path = standins.write_scenario(tmp_path, standins.SCENARIO + "wether: {}\n")
    code, _, err = go("run", path)
    assert code == 1
    assert f"{path}: field 'wether': unknown, did you mean 'weather'?" in err
    assert err.count("\n") == 1


def test_a_wrong_flag_is_refused_with_the_usage_code(go):
    code, _, err = go("run", "stop_sign", "--sedes", "3")
    assert code == 2
    assert "--seeds" in err


def test_a_server_starts_on_a_town_of_its_folder_and_else_on_a_shipped_map(
    go, monkeypatch, tmp_path
):
    import simattack.server

    started = []
    monkeypatch.setattr(simattack.server, "serve", lambda *given, **named: started.append(given[2]))
    (tmp_path / "Mine.xodr").write_text("")
    assert go("serve", "--maps", str(tmp_path), "--map", "Mine")[0] == 0
    assert go("serve", "--maps", str(tmp_path), "--map", "town")[0] == 0
    assert started[0] == tmp_path / "Mine.xodr" and started[1].name == "town.xodr"
    code, _, said = go("serve", "--maps", str(tmp_path), "--map", "Yours")
    assert code == 1 and "shipped: town" in said


def test_an_interrupt_is_one_line_and_code_130(go, monkeypatch):
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "doctor", interrupted)
    code, _, err = go("doctor")
    assert code == 130
    assert "the same command goes on" in err and err.count("\n") == 1


def test_a_patch_of_ones_own_replaces_the_scenarios_and_its_size():
    changed = overrides.changes("mine.png", 0.37)(scenario())
    assert changed.attack == config.Part("sticker", {"patch": "mine.png", "size_m": 0.37})
    changed = overrides.changes("mine.png")(scenario())
    assert changed.attack == config.Part("sticker", {"patch": "mine.png", "size_m": None})
    changed = overrides.changes(size_m=0.3)(scenario())
    assert changed.attack == config.Part("sticker", {"patch": "old", "size_m": 0.3})
    with pytest.raises(ConfigError, match="has no attack"):
        overrides.changes("mine.png")(scenario(attack=None))


def test_a_detector_of_ones_own_is_weights_or_a_registered_kind():
    changed = overrides.changes(detector="mine.pt", trust_pickle=True)(scenario())
    assert changed.detector == config.Part(
        "yolo", {"confidence": 0.4, "weights": "mine.pt", "trust_pickle": True}
    )
    assert overrides.changes(detector="oracle")(scenario()).detector.kind == "oracle"
    with pytest.raises(ConfigError, match="got no --detector"):
        overrides.changes(trust_pickle=True)


def test_ticks_limit_the_time_and_must_be_some():
    assert overrides.changes(max_ticks=20)(scenario()).max_time_s == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="at least 1 tick"):
        overrides.changes(max_ticks=0)


def test_a_patch_too_large_is_refused_before_anything_starts(go, tmp_path):
    Pictures.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "big.png")
    code, _, err = go(
        *("run", "stop_sign", "--out", str(tmp_path / "x"), "--detector", "oracle"),
        *("--patch", str(tmp_path / "big.png"), "--size-m", "0.6"),
    )
    assert code == 1
    assert "covers" in err and "of the face" in err and err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_report_prints_the_table_and_the_pages_path(go, finished):
    code, out, err = go("report", str(finished))
    assert (code, err) == (0, "")
    assert out.rstrip().endswith(f"report: {finished / 'report.html'}")
    rows = [line.split()[0] for line in out.splitlines() if line[:1].isalpha()]
    assert rows[1:5] == ["arm", "clean", "control_grey", "attacked"]


def test_report_of_a_folder_that_is_none_is_one_line(go, tmp_path):
    code, _, err = go("report", str(tmp_path))
    assert code == 1
    assert "expected a results folder" in err and err.count("\n") == 1


def test_publishing_lets_latest_point_at_the_newest_run(tmp_path):
    plan = config.read(standins.write_scenario(tmp_path)).select(["clean"], 1)
    tools = Tools(standins.open_road, standins.drive)
    suite.run(plan, tmp_path / "runs/one", tools)
    shutil.copytree(tmp_path / "runs/one", tmp_path / "runs/two")
    for name in ("one", "two"):
        page = publication.publish(tmp_path / "runs" / name)
        assert page == tmp_path / "runs" / name / "report.html"
        assert (tmp_path / "runs/latest").resolve() == tmp_path / "runs" / name
        assert "clean" in publication.table(tmp_path / "runs" / name)


@pytest.mark.parametrize("room", registry.ROOMS)
def test_listing_a_room_names_and_explains_everything_in_it(go, room):
    code, out, _ = go("list", room)
    assert code == 0
    told = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert set(told) == set(registry.kinds(room)) and told
    assert all(len(text) > 10 for text in told.values())


@pytest.mark.parametrize("room", registry.ROOMS)
def test_a_room_in_json_tells_every_option_with_its_default(go, room):
    code, out, _ = go("list", room, "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert set(rows) == set(registry.kinds(room))
    for name, row in rows.items():
        fields = [f.name for f in dataclasses.fields(registry.lookup(room, name)) if f.init]
        assert [option["name"] for option in row["options"]] == fields
    if room == "attacks":
        options = {option["name"]: option for option in rows["gnss_jamming"]["options"]}
        assert options["power_mw"] == {"name": "power_mw", "type": "float", "default": 10.0}
        assert options["timing"]["default"]["event"] == "start"


@pytest.mark.parametrize("what", ["scenarios", "suites", "patches"])
def test_shipped_files_in_json_are_the_names_and_lines_of_the_list(go, what):
    _, listed, _ = go("list", what)
    code, out, _ = go("list", what, "--json")
    assert code == 0
    told = [f"{row['name']:<20} {row['text']}".rstrip() for row in json.loads(out)]
    assert told == listed.splitlines()


@pytest.mark.parametrize("what", ["scenarios", "suites"])
def test_listing_shipped_files_names_them(go, what):
    code, out, _ = go("list", what)
    assert code == 0
    assert {"scenarios": "stop_sign", "suites": "demo"}[what] in out


def test_the_taxonomy_holds_every_attack_in_words_and_in_json(go):
    code, out, _ = go("taxonomy", "--json")
    assert code == 0
    told = json.loads(out)
    rows = {row["attack"]: row for row in told}
    physical, digital = registry.kinds("attacks"), registry.kinds("digital")
    assert [row["attack"] for row in told] == physical + digital and len(rows) == len(told)
    assert rows["sticker"]["stage"] == "scene" and rows["sticker"]["target"] == "hide"
    assert {"jpeg", "smoothing"} <= set(rows["sticker"]["countermeasures"])
    axes = {
        "stage": Stage, "knowledge": Knowledge, "frequency": Frequency, "target": Target,
        "scope": Scope,
    }  # fmt: skip
    assert tuple(axes) == listing.AXES
    for row in rows.values():
        for axis, values in axes.items():
            assert row[axis] in [value.value for value in values]
        assert isinstance(row["countermeasures"], list)
        assert row["physical"] is (row["attack"] in physical)
    code, out, _ = go("taxonomy")
    assert code == 0
    first, second = out.split("not physical: ")
    assert "sticker" in first and "fgsm" not in first
    assert "fgsm" in second and "sticker" not in second and "True" not in second


@pytest.mark.parametrize("room", ["attacks", "digital"])
def test_countermeasures_are_registered_defenses(room):
    for kind in registry.kinds(room):
        threat: ThreatModel = object.__new__(registry.lookup(room, kind)).threat
        assert set(threat.countermeasures) <= set(registry.kinds("defenses"))
        assert listing._threat(kind, room)["countermeasures"] == list(threat.countermeasures)


def test_no_scenario_takes_a_digital_attack():
    with pytest.raises(ConfigError, match="expected a kind of attacks, got 'fgsm'"):
        registry.build("attacks", "fgsm", {}, "scenario")


def test_a_traceback_is_left_to_bugs(go, monkeypatch):
    def broken() -> int:
        raise ZeroDivisionError

    def known() -> int:
        raise SimattackError("expected a, got b")

    monkeypatch.setitem(cli.COMMANDS, "doctor", broken)
    with pytest.raises(ZeroDivisionError):
        go("doctor")
    monkeypatch.setitem(cli.COMMANDS, "doctor", known)
    assert go("doctor") == (1, "", "simattack: expected a, got b\n")


def test_output_into_a_closed_pipe_ends_quietly():
    command = f"{sys.executable} -m simattack.cli taxonomy --json | head -c 1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=Path(cli.__file__).parents[1]
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], r"'curve' has no print to optimise; name one by --attack \(billboard, .*--on drives"),
        (["--attack", "gnss_jamming"], r"an attack that shows a print, got 'gnss_jamming'; prints"),
        (["--attack", "decals"], r"got 'decals'; did you mean 'decal'\?"),
        (["--attack", "{kind: decal"], r"--attack: expected a kind or a mapping, got '{kind: d"),
        (["--attack", "{kind: decal, hwo: x}"], r"'decal' has no option 'hwo'; did you mean 'who'"),
        (["--attack", "sticker"], r"site 'curve_1' is a place without a sign to put a sticker on"),
        (["--attack", "billboard"], r"label \(of goal 'appear'\) must be one of person, "),
        (["--attack", "decal", "--size-m", "1", "2", "3"], r"--size-m: expected a width and a h"),
        (["--attack", "decal", "--distance-m", "9", "3"], r"distance_m needs a nearest above 0"),
        (["--attack", "decal", "--seed", "-1"], r"seed must be a whole number, 0 or more, got -1"),
        (
            ["--on", "drives", "--defense", "jpeg", "--also", "x", "--scene-count", "0"],
            r"^.*--scene-count, --defense, --also: only with --on twin",
        ),
    ],
)
def test_what_cannot_be_optimised_is_told_in_one_line_before_anything_starts(
    go, flags, told, monkeypatch
):
    def refuse(*_):
        raise AssertionError("nothing may be launched")

    monkeypatch.setattr("simattack.session.Session.launch", refuse)
    code, _, err = go("optimize", "curve", "--name", "z", *flags)
    assert code == 1 and err.count("\n") == 1 and re.search(told, err), err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--temperature", "4"], "--temperature goes with --lesson distilled, got --lesson labels"),
        (
            ["--lesson", "distilled", "--consistency", "1"],
            "--consistency goes with --lesson adversarial, got --lesson distilled",
        ),
        (
            ["--lesson", "distilled", "--temperature", "0.5"],
            "--temperature must be a number, from 1 to 100, got 0.5",
        ),
        (["--lesson", "adversarial", "--start", "no_such"], "'no_such', which does not exist"),
        (["--what", "signals", "--lesson", "distilled"], "go with --what detector"),
        (["--frames", "0"], "--frames must be at least 1, got 0"),
        (["--what", "patches", "--frames", "-3"], "--frames must be at least 1, got -3"),
        (["--what", "patches", "--approaches", "1"], "go with --what detector"),
        (["--what", "patches", "--epochs", "2"], "--epochs does not go with --what patches"),
        (["--what", "patches", "--more-maps", "Town01"], "got Town01 for patches"),
    ],
)
def test_a_lesson_s_wrong_flag_is_one_line(go, tmp_path, flags, message):
    code, _, err = go("train", "x", "--out", str(tmp_path), *flags)
    assert code == 1 and message in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_baselines_of_a_negative_seed_are_refused_before_anything_starts(go, tmp_path):
    code, _, err = go("baselines", "stop_sign", "--out", str(tmp_path), "--seed", "-1")
    assert code == 1 and err == "simattack: expected a seed of 0 or more, got --seed -1\n"
