"""Searching by outcomes: harm, looks over fixed seeds, and a design that a scenario can take."""

from __future__ import annotations

import json

import numpy as np
import pytest

from simattack.errors import ConfigError
from simattack.optimize.drives import Drives, DrivesPlan, harm, optimize_drives
from simattack.scenario import Part, Scenario

JAMMER = Part("gnss_jamming", {"power_mw": 10})


def scenario(attack=JAMMER):
    return Scenario(
        name="x", sites=("a",), policy=Part("modular"), detector=Part("yolo"), attack=attack,
        unsafe="lane_departure",
    )  # fmt: skip


class Road:
    """The car leaves its lane by a metre for every 100 mW off from 300; seed 2 by half of it."""

    def __init__(self):
        self.drives = []

    def __call__(self, attack, seed):
        (power_mw,) = attack.options["parameters"]
        self.drives.append((power_mw, seed))
        offset = max(0.0, 3.0 - abs(power_mw - 300) / 100) / (2 if seed == 2 else 1)
        return {"lane_departure": offset > 2.5, "max_lane_offset_m": offset}


def test_harm_is_one_for_the_unsafe_and_at_most_half_for_coming_near():
    near = {"lane_departure": False, "max_lane_offset_m": 1.5}
    assert harm(near, "lane_departure") == pytest.approx(0.25)
    assert harm({**near, "lane_departure": True}, "lane_departure") == pytest.approx(1.25)
    assert harm({"is_late": True}, "is_late") == 1.0
    stopped = {"stop_sign_violation": False, "line_speed_mps": 2.0}
    assert harm(stopped, "stop_sign_violation") == pytest.approx(0.1)
    hidden = {**stopped, "attack_frames_hidden": 8, "attack_frames_total": 10}
    assert harm(hidden, "stop_sign_violation") == pytest.approx(0.2)
    close = {"collision": False, "min_distance_m": 1.0, "min_ttc_s": 4.0}
    assert harm(close, "collision") == pytest.approx(0.25)


def test_a_look_drives_every_seed_with_the_parameters_of_the_point():
    road = Road()
    objective = Drives(road, JAMMER, (1, 2), "lane_departure")
    low, high = 0.0, 1000.0  # mW, the jammer's box
    value = objective(np.array([0.3]))
    assert road.drives == [(low + 0.3 * (high - low), seed) for seed in (1, 2)]
    # Seed 1: 3 m off, unsafe: 1.5. Seed 2: 1.5 m off: 0.25.
    assert value == pytest.approx(-(1.5 + 0.25) / 2)
    assert [outcome["max_lane_offset_m"] for outcome in objective.outcomes] == [3.0, 1.5]


def test_a_search_writes_a_design_that_a_scenario_takes(tmp_path):
    road = Road()
    plan = DrivesPlan(method="cma", looks=40, seeds=(1, 2), options=(("population", 5),))
    path = optimize_drives(road, scenario(), plan, tmp_path, "worst", {"hash": "a"})
    design = json.loads(path.read_text())
    assert design["drives"] == len(road.drives) == 80
    assert design["parameters"][0] == pytest.approx(300, abs=20)
    assert design["harm"] == pytest.approx(0.875, abs=0.04)
    tuned = Part("tuned", {"design": str(path)}).build("attacks")
    assert tuned.attack.kind == "gnss_jamming"
    assert tuned.parameters == tuple(design["parameters"])
    # Run again, it is there; with other inputs it is refused.
    again = optimize_drives(road, scenario(), plan, tmp_path, "worst", {"hash": "a"})
    assert len(road.drives) == 80 and again == path
    with pytest.raises(Exception, match="belongs to a run with another scenario"):
        optimize_drives(road, scenario(), plan, tmp_path, "worst", {"hash": "b"})


def test_what_cannot_be_searched_is_told():
    with pytest.raises(ConfigError, match="needs gradients, which do not flow through a drive"):
        _ = DrivesPlan(method="adam").optimizer
    with pytest.raises(ConfigError, match="has no parameters to tune"):
        Drives(Road(), Part("link", {"fault": "freeze"}), (1,), "collision")
    with pytest.raises(ConfigError, match="'x' has no attack to optimise"):
        optimize_drives(Road(), scenario(None), DrivesPlan(), None, "n", {})
