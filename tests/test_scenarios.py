"""The shipped scenarios: each can be read, checked and drawn, and asks about a metric there is."""

from __future__ import annotations

import dataclasses
import json

import pytest
from metrics.traces import from_speeds, truth

from simattack import config, resources, suite, surfaces
from simattack.casting import GROUPS
from simattack.errors import ConfigError
from simattack.metrics.episode import measure
from simattack.places import Place, Point, catalogue
from simattack.scenario import Part, Role, Scenario

SHIPPED = resources.shipped("scenarios", ".yaml")
METRICS = set(measure(from_speeds([5.0] * 20, 10.0), truth()))


def plain(**changes) -> Scenario:
    given = {"name": "s", "sites": ("here",), "policy": Part("p"), "detector": Part("d")}
    here = Place(name="here", start=Point(0, 0), length_m=50)
    return Scenario(**{**given, "places": (here,), **changes})


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario_is_whole(name):
    scenario = config.read_scenario(name)
    scenario.check()
    suite.rehearse(scenario)
    assert scenario.unsafe in METRICS
    known = {*catalogue(scenario.map_name), *surfaces.approaches(scenario.map_name)}
    assert set(scenario.sites) <= known
    assert scenario.attack is None or scenario.controls
    for role in scenario.cast:
        assert role.who in GROUPS or role.who.startswith(("vehicle.", "walker.", "static.prop."))
    content = json.loads(json.dumps(scenario.content()))
    assert config.restore(content, scenario.plugins).digest() == scenario.digest()


def test_there_are_fourteen_and_every_one_is_in_the_suite_of_all():
    assert len(SHIPPED) >= 14
    assert {entry.scenario.name for entry in config.read("full").entries} == set(SHIPPED)


@pytest.mark.parametrize("name", resources.shipped("scenarios/suites", ".yaml"))
def test_the_places_of_a_suite_are_on_its_maps(name):
    for entry in config.read(name).entries:
        scenario = entry.scenario
        known = {*catalogue(scenario.map_name), *surfaces.approaches(scenario.map_name)}
        assert set(scenario.sites) <= known, scenario.name


def test_a_map_without_a_catalogue_has_nothing_to_paint():
    assert surfaces.approaches("nowhere") == surfaces.billboards_and_signs("nowhere") == {}


def test_ten_clean_routes_have_a_place_and_a_name_each():
    entries = config.read("clean_10km").entries
    assert len({entry.scenario.name for entry in entries}) == len(entries) == 10
    assert all(len(entry.scenario.sites) == len(entry.seeds) == 1 for entry in entries)
    assert all([arm.name for arm in entry.arms] == ["clean"] for entry in entries)
    assert not any(entry.scenario.collision_ends for entry in entries)


def test_the_stop_sign_is_what_it_was_before_there_were_places():
    scenario = config.read_scenario("stop_sign")
    told = scenario.content()
    assert not {"places", "cast", "start_m", "red_s", "headlamps", "maps"} & set(told)
    drawn = scenario.draw(0)
    assert (drawn.site, drawn.vehicles, drawn.walkers) == ("stop_sign_1", 2, 0)
    assert drawn.start_before_m == pytest.approx(61.725135371416556)
    assert set(suite.plain_conditions(drawn)) == {
        "site", "start_before_m", "speed_mps", "weather", "vehicles", "walkers"
    }  # fmt: skip


def test_a_place_draws_its_start_and_its_light_after_all_else():
    one, two = plain(), plain(start_m=(5.0, 9.0), red_s=(3.0, 4.0))
    before, after = one.draw(4), two.draw(4)
    assert before.start_before_m is None and before.start_m == 0.0 and before.red_s is None
    assert after.start_m is not None and after.red_s is not None
    assert 5 <= after.start_m <= 9 and 3 <= after.red_s <= 4
    same = dataclasses.replace(after, start_m=0.0, red_s=None)
    assert same == before


def test_a_field_that_is_not_used_is_not_told_and_one_that_is_changes_the_digest():
    assert plain().digest() != plain(cast=(Role("car", (40.0, 40.0)),)).digest()
    assert "collision_ends" not in plain().content()
    assert plain(collision_ends=False).content()["collision_ends"] is False
    assert plain(maps="/anywhere").digest() == plain().digest()
    assert "via" not in plain().content()["places"][0]
    tour = Place(name="here", start=Point(0, 0), via=(Point(9, 0),))
    assert plain(places=(tour,)).content()["places"][0]["via"]


def test_a_cast_is_read_with_ranges_and_refused_where_it_is_wrong(tmp_path):
    text = """
    places: [{name: here, start: [1, -2.5], length_m: 80, turns: [left]}]
    sites: [here]
    policy: modular
    detector: oracle
    cast:
      - {who: child, ahead_m: [40, 50], right_m: 4, does: {kind: cross, when: {eta_s: 2}}}
    """
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    read = config.read_scenario(str(path))
    read.check()
    assert read.places[0] == Place(
        name="here", start=Point(1.0, -2.5), length_m=80.0, turns=("left",)
    )
    assert read.cast[0].ahead_m == (40.0, 50.0) and read.cast[0].right_m == (4.0, 4.0)
    path.write_text(text.replace("start: [1, -2.5]", "start: 3"))
    with pytest.raises(ConfigError, match=r"mine\.yaml: field 'places\[0\]\.start': expected \[x"):
        config.read_scenario(str(path))
    path.write_text(text.replace("kind: cross", "kind: crosss"))
    with pytest.raises(ConfigError, match=r"field 'cast\[0\]\.does'.*did you mean 'cross'"):
        config.read_scenario(str(path)).check()
    path.write_text(text.replace("{eta_s: 2}", "{eta: 2}"))
    with pytest.raises(ConfigError, match=r"cast\[0\]\.does'.*did you mean 'eta_s'"):
        config.read_scenario(str(path)).check()


def test_a_map_of_the_users_is_found_in_the_folder_and_a_missing_one_is_one_clear_line(tmp_path):
    there = plain(map="Faraway")
    with pytest.raises(ConfigError, match=r"got 'Faraway', which does not exist.*with --maps$"):
        there.map_file()
    with pytest.raises(ConfigError, match=rf"{tmp_path} does not have it$"):
        dataclasses.replace(there, maps=str(tmp_path)).map_file()
    (tmp_path / "Faraway.xodr").write_text("<OpenDRIVE/>")
    found = dataclasses.replace(there, maps=str(tmp_path)).map_file()
    assert found == tmp_path / "Faraway.xodr"


def test_an_entry_of_a_suite_may_move_a_scenario_to_another_map(tmp_path):
    path = tmp_path / "both.yaml"
    path.write_text("entries: [{scenario: curve, map: Town01, sites: [curve_2], seeds: 1}]")
    (entry,) = config.read(str(path)).entries
    assert entry.scenario.name == "curve_Town01" and entry.scenario.map == "Town01"
    assert entry.scenario.sites == ("curve_2",)
