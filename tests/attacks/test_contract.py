"""What holds for every attack that ships, whatever it attacks: odd options, parameters, its end."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest

from simattack import config, registry
from simattack.easel import Easel
from simattack.errors import BudgetError, ConfigError, SimattackError
from simattack.light import light_of
from simattack.onlens import OnLens
from simattack.onsensor import OnSensor
from simattack.suite import rehearse
from tests.attacks.adversaries import trained
from tests.attacks.driveby import Street, frame, picture, sensed

ROOT = Path(__file__).resolve().parents[2]
KINDS = [
    kind
    for kind in registry.kinds("attacks")
    if registry.lookup("attacks", kind).__module__.startswith("simattack.attacks.")
]
EACH = pytest.mark.parametrize("kind", KINDS)
_FOLDER = tempfile.TemporaryDirectory(prefix="adversary_")
PRINTS = (
    "billboard", "decal", "fake_sign", "garment", "glasses", "poster", "road_decal", "sticker",
)  # fmt: skip
NEEDED = {kind: {"fill": "code"} for kind in PRINTS} | {
    "several": {"parts": ({"kind": "lens_blob"},)},
    "tuned": {"attack": {"kind": "gnss_jamming"}, "parameters": (25.0,)},
    "learned": {"weights": trained(Path(_FOLDER.name))},
}
"""Options without which an attack is none."""
ODD = (
    math.nan, math.inf, -1, 0, 2.5, 1e308, 1e-308, 10**400, "3", "x", "", None, True, (), [1, 2],
    [[1]], {"a": 1}, {1: 2, "b": 3}, b"x",
)  # fmt: skip
IMAGE = picture(0, 24, 32)


class Scene(Street):
    """The street of a drive-by, and what a print may ask for beside it."""

    geo_origin = (49.0, 8.0)

    def __getattr__(self, name):
        return getattr(Easel("town", "stop_sign_0"), name)

    def surface(self, name):
        return Easel("town", "stop_sign_0").surface(name) if ":" in name else super().surface(name)


def begin(kind, **options):
    made = registry.build("attacks", kind, NEEDED.get(kind, {}) | options, "here")
    return made, made.begin(Scene(), np.random.default_rng(0))


@EACH
def test_an_odd_value_is_taken_or_refused_in_a_line_that_names_its_option(kind):
    for field in dataclasses.fields(registry.lookup("attacks", kind)):
        for value in ODD:
            try:
                made, running = begin(kind, **{field.name: value})
                hash(made)
                for tick in (0, 2):
                    told = running.tamper(sensed(tick, IMAGE), frame(tick, 30.0))
                    assert not any(np.isnan(reading).any() for reading in told.values())
                running.end()
                running.end()
            except SimattackError as error:
                assert "\n" not in str(error)
                assert field.name in str(error) or not str(error).startswith("here:")


@EACH
def test_parameters_that_are_no_numbers_are_refused_in_one_line(kind):
    made, running = begin(kind)
    size = made.box[0].size if hasattr(made, "box") else 1
    for wrong in (np.full(size, np.nan), np.zeros(size + 1)):
        with pytest.raises(ConfigError, match="expected"):
            running.set(wrong)


@EACH
def test_a_sensor_that_the_car_does_not_have_is_told(kind):
    made, running = begin(kind)
    acting = getattr(made, "attack", made).kind
    if isinstance(running, OnSensor | OnLens):
        with pytest.raises(ConfigError, match=f"'{acting}' attacks the .*this car does not have"):
            running.tamper({"speed": np.zeros(1), "clock": np.zeros(2)}, frame(0))


def test_a_broken_budget_is_told_with_its_scenario_its_arm_and_its_kind():
    scenario = config.Scenario(
        name="loud",
        sites=("stop_sign_0",),
        policy=config.Part("modular"),
        detector=config.Part("oracle"),
        attack=config.Part("gnss_jamming"),
        controls=(config.Control("strong", {"power_mw": 5000.0}),),
    )
    told = (
        r"^scenario 'loud': arm 'control_strong': gnss_jamming: power_mw is 5000, allowed are "
        r"at most 1000 of a jammer$"
    )
    with pytest.raises(BudgetError, match=told):
        rehearse(scenario)


MINE = """
    from dataclasses import dataclass

    from simattack.onsensor import OnSensor
    from simattack.taxonomy import Frequency, Knowledge, Scope, Stage, Target, ThreatModel
    from simattack.timing import Timing


    @dataclass(frozen=True)
    class Mine:
        gain: float = 2.0
        surface: str = ""
        timing: Timing = Timing()
        threat = ThreatModel(
            Stage.SENSOR, Knowledge.BLACK, Frequency.ONE_SHOT, Target.DEGRADE, Scope.UNIVERSAL
        )

        def begin(self, world, rng):
            return OnSensor(self, world, "speed", lambda reading, moment: self.gain * reading)
"""


@pytest.fixture
def my_lab(tmp_path, monkeypatch):
    """A package of somebody's own, in a folder of the import path."""
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab/attacks.py").write_text(textwrap.dedent(MINE))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("my_lab", "my_lab.attacks"):
        sys.modules.pop(name, None)


def test_an_attack_outside_of_the_package_goes_by_its_import_path(my_lab):
    path = my_lab / "mine.yaml"
    path.write_text(
        "sites: [stop_sign_0]\npolicy: modular\ndetector: oracle\n"
        "attack: {kind: 'my_lab.attacks:Mine', gain: 1e+1}\n"
    )
    scenario = config.read_scenario(str(path))
    scenario.check()
    made = scenario.attack.build("attacks")
    assert (made.kind, made.gain) == ("my_lab.attacks:Mine", 10.0)
    running = made.begin(Scene(), np.random.default_rng(0))
    assert running.tamper(sensed(0, IMAGE), frame(0))["speed"].tolist() == [100.0]
    with pytest.raises(ConfigError, match="expected an attack with parameters, got 'my_lab"):
        running.set(np.zeros(1))
    assert "my_lab.attacks:Mine" not in registry.kinds("attacks")


def test_the_attack_of_the_readme_needs_neither_timing_nor_surface(tmp_path, monkeypatch):
    (mine,) = (block for block in blocks((ROOT / "README.md").read_text()) if "class Mine" in block)
    (tmp_path / "readme_lab.py").write_text(mine)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        made = registry.build("attacks", "readme_lab:Mine", {"gain": 3.0}, "here")
        running = made.begin(Scene(), np.random.default_rng(0))
        told = running.tamper(sensed(0, IMAGE), frame(0))
        assert told["speed"].tolist() == [30.0]
    finally:
        sys.modules.pop("readme_lab", None)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("my_labb.attacks:Mine", "there is no module 'my_labb'.*PYTHONPATH"),
        ("my_lab.attacks:Yours", "my_lab.attacks has no dataclass 'Yours'"),
        ("my_lab.attacks:dataclass", "my_lab.attacks has no dataclass 'dataclass'"),
        ("my_lab.broken:Mine", "fails to import: ZeroDivisionError"),
    ],
)
def test_an_import_path_that_leads_nowhere_is_one_line(my_lab, kind, told):
    (my_lab / "my_lab/broken.py").write_text("1 / 0\n")
    with pytest.raises(ConfigError, match=told) as caught:
        registry.build("attacks", kind, {}, "here")
    assert str(caught.value).startswith("here: ") and "\n" not in str(caught.value)


def test_a_look_from_before_an_attack_stays_and_one_under_it_is_repeated():
    """On from 0.05 s: the look of 0.0 s stays as it was, that of 0.1 s is changed once."""
    asked = []

    @dataclasses.dataclass(frozen=True)
    class Dim:
        timing: object = registry.build("attacks", "link", {}, "").timing.of({"start_s": 0.05})
        surface: str = ""

    def act(image, moment):
        asked.append((moment.captured_s, moment.on_s))
        return image // 2

    running = OnSensor(Dim(), None, "camera", act)
    shown = [running.tamper(sensed(tick, IMAGE), frame(tick))["camera"] for tick in range(4)]
    assert [(image == IMAGE).all() for image in shown] == [True, True, False, False]
    assert asked == [(0.1, pytest.approx(0.05))]
    assert (shown[3] == IMAGE // 2).all() and shown[3] is not shown[2]


def blocks(page):
    """The Python of a page, block by block."""
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def test_the_attacks_of_the_page_on_extending_run(tmp_path, monkeypatch):
    tape, fog = blocks((ROOT / "docs/extending.md").read_text())[:2]
    (tmp_path / "their_tape.py").write_text(tape.replace('"tape"', '"test_only_tape"'))
    (tmp_path / "their_fog.py").write_text(fog)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        stuck = registry.build("attacks", "their_tape:Tape", {}, "here")
        stuck.begin(Scene(), np.random.default_rng(0)).end()
        with pytest.raises(BudgetError):
            registry.build("attacks", "test_only_tape", {"width_m": 0.3}, "here").begin(
                Scene(), np.random.default_rng(0)
            )
        options = {"share": 0.4, "timing": {"start_s": 0.1}}
        running = registry.build("attacks", "their_fog:Fog", options, "here").begin(
            Scene(), np.random.default_rng(0)
        )
        seen = [running.tamper(sensed(k, IMAGE), frame(k))["camera"] for k in (0, 2)]
        assert (seen[0] == IMAGE).all()
        light = light_of(IMAGE)
        wanted = 0.6 * light + 0.4 * light.mean()
        assert np.abs(light_of(seen[1]) / wanted - 1).max() < 0.05
    finally:
        registry._classes["attacks"].pop("test_only_tape", None)
        for name in ("their_tape", "their_fog"):
            sys.modules.pop(name, None)
