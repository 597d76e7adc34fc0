from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from simattack import config, registry, resources
from simattack.config import Part, Scenario, WeatherRanges
from simattack.errors import ConfigError
from simattack.reading import load_yaml
from simattack.taxonomy import Stage
from simattack.types import SENSORS, Weather

PLAIN = """
sites: [stop_sign_0, stop_sign_1, stop_sign_2]
policy: modular
detector: {kind: yolo, confidence: 0.3}
weather: {fog_density: [0, 20], sun_altitude_angle: [20, 70]}
traffic: {vehicles: [0, 4], walkers: 2}
attack: {kind: sticker, patch: mine, size_m: [0.3, 0.4]}
controls: {grey: {fill: grey}, noise: {fill: noise}}
defenses: [jpeg, {kind: smoothing, strength: 2}]
seeds: 3
"""


@pytest.fixture
def write(tmp_path):
    def put(text: str, name: str = "mine.yaml") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return put


def scenario(**changes: object) -> Scenario:
    given = {"name": "s", "sites": ("a",), "policy": Part("p"), "detector": Part("d")}
    return Scenario(**{**given, **changes})


def test_a_scenario_is_read_with_its_parts_ranges_and_defaults(write):
    read = config.read_scenario(write(PLAIN))
    assert read.name == "mine"
    assert read.detector == Part("yolo", {"confidence": 0.3})
    assert read.attack == Part("sticker", {"patch": "mine", "size_m": (0.3, 0.4)})
    assert read.weather.fog_density == (0.0, 20.0)
    assert read.traffic == config.Traffic((0, 4), (2, 2))
    assert read.defenses == (Part("jpeg"), Part("smoothing", {"strength": 2}))
    assert read.seeds == (0, 1, 2)
    assert read.speed_mps == (6.0, 10.0)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("weather:", "wether:", r"mine\.yaml: field 'wether': unknown, did you mean 'weather'\?"),
        ("fog_density", "fog_densty", r"field 'weather\.fog_densty': .* mean 'fog_density'\?"),
        ("[0, 20]", "[20, 0]", r"field 'weather\.fog_density': expected \[low, high\] with low"),
        ("[0, 20]", "[0, 1, 2]", r"field 'weather\.fog_density': expected one number, or"),
        ("[0, 20]", "thick", r"field 'weather\.fog_density': expected a number, got 'thick'"),
        ("[0, 20]", "[0, .nan]", r"field 'weather\.fog_density': expected a finite number"),
        ("[0, 4]", "[0, 1.5]", r"field 'traffic\.vehicles': expected a whole number, got 1\.5"),
        ("[0, 4]", "[-1, 4]", r"field 'traffic\.vehicles': must not be negative"),
        ("policy: modular", "", r"field 'policy': missing"),
        ("policy: modular", "policy: 3", r"field 'policy': expected a name, or a mapping"),
        ("kind: sticker, ", "", r"field 'attack': expected a name, or a mapping with 'kind'"),
        (
            "seeds: 3",
            "sensors: [cemera]",
            r"'sensors': no sensor 'cemera'; did you mean 'camera'\?",
        ),
        ("seeds: 3", "sensors: [sonar]", r"'sensors': no sensor 'sonar'; known: camera, lidar, ra"),
        ("{kind: sticker,", "{kind: sticker, as: it,", r"field 'attack': expected no 'as', which"),
        ("seeds: 3", "sensors: [gnss, gnss]", r"field 'sensors': names gnss twice"),
        ("seeds: 3", "sensors: gnss", r"field 'sensors': expected a list, got 'gnss'"),
        ("seeds: 3", "seeds: 0", r"field 'seeds': expected at least 1 seed, got 0"),
        ("seeds: 3", "seeds: [1, 1]", r"field 'seeds': names one seed twice"),
        ("seeds: 3", "seeds: 3\nseeds: 4", r"not valid YAML in line 11: .*'seeds' stands twice"),
        ("seeds: 3", "seeds: [3", r"not valid YAML in line 11"),
        ("seeds: 3", "speed_mps: [-1, 3]", r"field 'speed_mps': must not be negative"),
        ("seeds: 3", "max_time_s: 0", r"field 'max_time_s': must be above 0"),
        ("defenses: [jpeg,", "defenses: [smoothing,", r"'defenses': two arms would be called"),
        ("controls: {grey: {fill: grey},", "controls: {grey: grey,", r"field 'controls': expected"),
    ],
)
def test_an_error_names_the_file_the_field_and_what_was_expected(write, old, new, message):
    assert old in PLAIN
    with pytest.raises(ConfigError, match=message) as caught:
        config.read(write(PLAIN.replace(old, new, 1)))
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_holds_no_mapping_is_told(write):
    with pytest.raises(ConfigError, match=r"expected a mapping of fields, got a list"):
        config.read(write("[1, 2]"))
    with pytest.raises(ConfigError, match=r"expected a mapping of fields, got nothing"):
        config.read(write(""))


def test_a_missing_scenario_is_told_with_what_ships_and_the_nearest_name():
    with pytest.raises(ConfigError, match=r"'missing\.yaml', which does not exist.*stop_sign"):
        config.read("missing.yaml")
    with pytest.raises(ConfigError, match=r"did you mean 'stop_sign'\?"):
        config.read("stop_sing")


def test_numbers_in_scientific_notation_are_numbers(write):
    assert config.read_scenario(write(PLAIN + "max_time_s: 2e1\n")).max_time_s == 20.0


def test_the_arms_hold_the_attack_its_controls_and_every_defense_with_and_without_it(write):
    arms = {arm.name: arm for arm in config.read_scenario(write(PLAIN)).arms()}
    assert list(arms) == [
        "clean",
        "control_grey",
        "control_noise",
        "attacked",
        "attacked+jpeg",
        "attacked+smoothing",
        "clean+jpeg",
        "clean+smoothing",
    ]
    grey = arms["control_grey"].attack
    assert grey == Part("sticker", {"patch": "mine", "size_m": (0.3, 0.4), "fill": "grey"})
    assert arms["attacked+jpeg"].attack == arms["attacked"].attack
    assert arms["attacked+jpeg"].defense == Part("jpeg")
    assert arms["clean+smoothing"].attack is None
    assert arms["clean"] == config.Arm("clean")


def test_a_seed_always_draws_the_same_and_seeds_draw_differently():
    one = scenario(sites=("a", "b", "c"), weather=WeatherRanges(fog_density=(0, 50)))
    drawn = [one.draw(seed) for seed in range(20)]
    assert drawn == [one.draw(seed) for seed in range(20)]
    assert {item.site for item in drawn} == {"a", "b", "c"}
    assert len({item.start_before_m for item in drawn}) == 20
    assert one.draw(0) != dataclasses.replace(one, name="t").draw(0)


def test_draws_fill_their_ranges_and_never_leave_them():
    one = scenario(
        weather=WeatherRanges(fog_density=(10, 20)),
        traffic=config.Traffic((1, 3), (0, 0)),
    )
    drawn = [one.draw(seed) for seed in range(400)]
    fog = np.array([item.weather.fog_density for item in drawn])
    start = np.array([item.start_before_m for item in drawn])
    assert 10 <= fog.min() < 10.5 and 19.5 < fog.max() <= 20
    assert 50 <= start.min() < 51 and 79 < start.max() <= 80
    assert {item.vehicles for item in drawn} == {1, 2, 3}
    assert {item.walkers for item in drawn} == {0}
    assert {item.weather.wetness for item in drawn} == {0.0}


def test_widening_one_range_leaves_the_other_draws_alone():
    one = scenario()
    two = scenario(weather=WeatherRanges(cloudiness=(0, 100)))
    first, second = one.draw(7), two.draw(7)
    assert first.weather.cloudiness != second.weather.cloudiness
    weather = dataclasses.replace(second.weather, cloudiness=first.weather.cloudiness)
    assert dataclasses.replace(second, weather=weather) == first


def test_the_weather_ranges_cover_every_field_and_default_to_the_plain_weather():
    assert scenario().draw(0).weather == Weather()
    names = [item.name for item in dataclasses.fields(Weather)]
    assert [item.name for item in dataclasses.fields(WeatherRanges)] == names


def test_the_digest_follows_the_content_but_not_the_seeds():
    one = scenario()
    assert one.digest() == dataclasses.replace(one, seeds=(5,)).digest()
    assert one.digest() != dataclasses.replace(one, max_time_s=1.0).digest()
    assert one.digest() != dataclasses.replace(one, detector=Part("d", {"x": 1})).digest()


def test_an_attack_on_a_sensor_that_the_car_lacks_is_refused_before_anything_is_driven():
    blind = scenario(
        policy=Part("modular"),
        detector=Part("oracle"),
        sensors=("gnss", "imu", "speed"),
        attack=Part("several", {"parts": ({"kind": "gnss_jamming"}, {"kind": "blinding"})}),
    )
    with pytest.raises(ConfigError, match=r"'several' needs camera, but the car has gnss, imu, sp"):
        blind.check()
    dataclasses.replace(blind, sensors=("camera", "gnss")).check()
    jpeg = dataclasses.replace(blind, attack=None, defenses=(Part("jpeg"),))
    with pytest.raises(ConfigError, match=r"arm 'clean\+jpeg': field 'defenses': 'jpeg' needs cam"):
        jpeg.check()


def test_a_car_has_every_sensor_unless_its_scenario_says_otherwise_and_old_rows_had_four():
    every = scenario()
    assert every.sensors == SENSORS
    content = {k: v for k, v in every.content().items() if k != "sensors"}
    content |= {"policy": {"kind": "p", "options": {}}, "detector": {"kind": "d", "options": {}}}
    before = json.loads(json.dumps(content))
    assert config.restore(before).sensors == ("camera", "gnss", "imu", "speed")
    assert config.restore({**before, "sensors": ["lidar"]}).sensors == ("lidar",)


@pytest.mark.parametrize("kind", registry.kinds("attacks"))
def test_every_attack_on_a_sensor_says_which(kind):
    cls = registry.lookup("attacks", kind)
    if kind in ("several", "tuned", "learned"):
        return
    needs = getattr(cls, "needs", ())
    assert set(needs) <= set(SENSORS)
    assert needs or object.__new__(cls).threat.stage is not Stage.SENSOR


def test_an_entry_may_replace_the_attack_under_a_name_of_its_own(write):
    path = write(PLAIN)
    jam = "{kind: gnss_jamming, power_mw: 20}"
    entries = (
        f"entries: [{{scenario: {path}, attack: {jam}, controls: {{off: {{power_mw: 0}}}}, "
        f"sensors: [gnss, imu], policy: expert, unsafe: collision}}, "
        f"{{scenario: {path}, attack: {jam}, name: j}}]"
    )
    one, two = (entry.scenario for entry in config.read(write(entries, "suite.yaml")).entries)
    assert one.name == f"{Path(path).stem}_gnss_jamming" and two.name == "j"
    assert one.attack == Part("gnss_jamming", {"power_mw": 20})
    assert one.sensors == ("gnss", "imu") and one.unsafe == "collision"
    assert (one.policy.kind, two.policy.kind) == ("expert", "modular")
    assert [arm.name for arm in one.arms()][:3] == ["clean", "control_off", "attacked"]
    assert two.controls == (), "the other attack's controls are none of this one"
    wrong = f"entries: [{{scenario: {path}, unsafe: collision}}]"
    with pytest.raises(ConfigError, match=r"entries\[0\]\.name.*a name for the changed scenario"):
        config.read(write(wrong, "suite.yaml"))
    wrong = f"entries: [{{scenario: {path}, attack: {jam}, sensors: [gps]}}]"
    with pytest.raises(ConfigError, match=r"suite\.yaml: entries\[0\]: field 'sensors'"):
        config.read(write(wrong, "suite.yaml"))


def test_a_suite_names_scenarios_arms_and_seeds(write):
    path = write(PLAIN)
    entries = f"entries: [{{scenario: {path}, arms: [attacked, clean], seeds: 2}}, {path}]"
    suite = config.read(write(entries, "suite.yaml"))
    assert [arm.name for arm in suite.entries[0].arms] == ["clean", "attacked"]
    assert [entry.seeds for entry in suite.entries] == [(0, 1), (0, 1, 2)]
    assert len(suite.entries[1].arms) == 8


@pytest.mark.parametrize(
    "text, message",
    [
        ("entries: []", "field 'entries': expected a list of scenarios"),
        ("entries: [{scenario: X, arm: [a]}]", r"'entries\[0\]\.arm': unknown, did you mean 'arms"),
        ("entries: [{scenario: X, arms: [atacked]}]", "no arm 'atacked'; did you mean 'attacked'"),
        ("entries: [3]", r"field 'entries\[0\]': expected a scenario's name"),
    ],
)
def test_a_wrong_suite_is_told_by_file_and_field(write, text, message):
    path = write(PLAIN)
    with pytest.raises(ConfigError, match=message) as caught:
        config.read(write(text.replace("X", path), "suite.yaml"))
    assert "suite.yaml" in str(caught.value)


def test_arms_and_seeds_can_be_chosen_from_outside(write):
    suite = config.read(write(PLAIN))
    chosen = suite.select(["attacked", "clean"], 2).entries[0]
    assert [arm.name for arm in chosen.arms] == ["clean", "attacked"]
    assert chosen.seeds == (0, 1)
    assert suite.select(None, 5).entries[0].seeds == (0, 1, 2, 3, 4)
    assert suite.select(None, None) == suite
    with pytest.raises(ConfigError, match="did you mean 'clean'"):
        suite.select(["claen"], None)
    with pytest.raises(ConfigError, match="at least 1 seed"):
        suite.select(None, 0)


def test_plugins_are_found_beside_the_scenario_and_registered(write, tmp_path):
    (tmp_path / "my_policy.py").write_text(
        "from dataclasses import dataclass\n"
        "from simattack.registry import register\n"
        "@register('policies', 'test_config_mine')\n"
        "@dataclass(frozen=True)\n"
        "class Mine:\n"
        "    speed_mps: float = 1.0\n"
    )
    text = PLAIN.replace("policy: modular", "policy: {kind: test_config_mine, speed_mps: 3}")
    read = config.read_scenario(write(text + "plugins: [my_policy.py]\n"))
    read.load_plugins()
    assert read.policy.build("policies").speed_mps == 3


@pytest.mark.parametrize("name", resources.shipped("scenarios", ".yaml"))
def test_every_shipped_scenario_reads(name):
    read = config.read_scenario(name)
    assert read.name == name
    assert len(read.seeds) >= 10


@pytest.mark.parametrize("name", resources.shipped("scenarios/suites", ".yaml"))
def test_every_shipped_suite_reads(name):
    assert config.read(name).name == name


def test_a_number_with_an_exponent_and_no_point_is_a_number(tmp_path):
    """As in YAML 1.2 and everywhere else; YAML 1.1 takes 1e-3 for text."""
    path = tmp_path / "s.yaml"
    path.write_text("a: 1e-3\nb: [-2E+2, .5e1]\nc: e1\nd: 1e-3x\n")
    assert load_yaml(path) == {"a": 0.001, "b": [-200.0, 5.0], "c": "e1", "d": "1e-3x"}
