"""What all attacks on LiDAR and radar have in common."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simattack import registry
from simattack.envs import DriveEnv, observation_space
from simattack.errors import BudgetError, ConfigError
from simattack.scenario import Part, Scenario
from simattack.suite import rehearse
from simattack.taxonomy import Stage
from simattack.types import Attack, CarInfo, Lidar, Radar
from tests.attacks.driveby import Street
from tests.attacks.ranging import drive, frame, sensed

STRONG = {
    "saturation": ("lidar_saturation", {}),
    "injection": ("lidar_injection", {}),
    "injected walker": ("lidar_injection", {"outline": "pedestrian", "hardware": "early"}),
    "removal": ("lidar_removal", {}),
    "removal of a car": ("lidar_removal", {"target": "actor", "actor": "vehicle"}),
    "random removal": ("lidar_removal", {"method": "high_frequency", "sector_deg": 60.0}),
    "jamming": ("radar_jamming", {}),
    "ghost": ("radar_ghost", {}),
    "coming ghost": ("radar_ghost", {"profile": "approaching", "returns": 1}),
}
NOTHING = {
    "lidar_saturation": [{"power_w": 0.0}, {"in_band": 0.0}],
    "lidar_injection": [{"power_w": 0.0}, {"points": 0}, {"success": 0.0}, {"sector_deg": 0.0}],
    "lidar_removal": [{"power_w": 0.0}, {"success": 0.0}, {"sector_deg": 0.0}],
    "radar_jamming": [{"power_mw": 0.0}],
    "radar_ghost": [{"power_mw": 0.0}],
}
TOO_MUCH = [
    ("saturation", {"power_w": 20.1}, "power_w is 20.1, allowed are at most 20 "),
    ("injection", {"power_w": 76.0}, "power_w is 76, allowed are at most 75 "),
    ("injection", {"points": 61, "hardware": "early"}, "points is 61, allowed are at most 60 "),
    ("injection", {"sector_deg": 61.0}, "sector_deg is 61, allowed are at most 60 "),
    ("removal", {"sector_deg": 46.0}, "sector_deg is 46, allowed are at most 45 "),
    ("removal", {"power_w": 76.0}, "power_w is 76, allowed are at most 75 "),
    ("random removal", {"pulse_mhz": 21.0}, "is 2.1, allowed are at most 2 of a laser"),
    ("jamming", {"power_mw": 1e5 + 1}, "power_mw is 100001, allowed are at most 100000 "),
    ("ghost", {"power_mw": 1e5 + 1}, "power_mw is 100001, allowed are at most 100000 "),
    ("ghost", {"closing_mps": 101.0}, "closing_mps is 101, allowed are at most 100 "),
]
ALL = pytest.mark.parametrize("name", STRONG)


def made(name, **more):
    kind, options = STRONG[name]
    return registry.build("attacks", kind, options | more, "here")


def sensor(name):
    return STRONG[name][0].split("_")[0]


def same(one, other):
    return all(one[key].tobytes() == other[key].tobytes() for key in one)


@ALL
def test_it_is_an_attack_on_a_sensor_by_its_name(name):
    attack = made(name)
    assert isinstance(attack, Attack) and attack.threat.stage is Stage.SENSOR
    assert hash(attack) == hash(made(name)) and attack == made(name)


@pytest.mark.parametrize(
    ("name", "less"), [(n, less) for n, (kind, _) in STRONG.items() for less in NOTHING[kind]]
)
def test_without_power_every_byte_stays(name, less):
    assert all(same(*pair) for pair in drive(made(name, **less))[0])


@ALL
def test_with_power_its_own_sensor_changes_within_its_shape(name):
    told, _ = drive(made(name))
    assert not any(same(*pair) for pair in told)
    space = observation_space(CarInfo(lidar=Lidar(), radar=Radar()))
    for clean, tampered in told:
        assert set(tampered) == set(clean)
        for key, value in tampered.items():
            assert (value.shape, value.dtype) == (clean[key].shape, clean[key].dtype)
            assert key == sensor(name) or value is clean[key]
        assert space[sensor(name)].contains(tampered[sensor(name)])
        assert np.isfinite(tampered[sensor(name)]).all()
        assert 0 <= tampered[sensor(name)][..., 0].min()
        assert tampered[sensor(name)][..., 0].max() <= 100.0


@ALL
def test_one_seed_makes_one_run(name):
    first, again = (drive(made(name), seed=3)[0] for _ in range(2))
    assert all(same(one[1], other[1]) for one, other in zip(first, again, strict=True))


@ALL
def test_ticks_between_two_looks_repeat_the_data_in_an_array_of_their_own(name):
    told, _ = drive(made(name), 2)
    one, other = (tampered[sensor(name)] for _, tampered in told)
    assert one.tobytes() == other.tobytes() and one is not other


@ALL
def test_a_car_without_the_sensor_is_told_so(name):
    running = made(name).begin(Street(), np.random.default_rng(0))
    obs = {key: value for key, value in sensed(0).items() if key != sensor(name)}
    with pytest.raises(ConfigError, match=f"attacks the {sensor(name)}, which this car does not"):
        running.tamper(obs, frame(0))


@ALL
def test_it_acts_in_its_time_only(name):
    told, _ = drive(made(name, timing={"start_s": 0.2, "duration_s": 0.2}), 12)
    assert [tick for tick, pair in enumerate(told) if not same(*pair)] == [4, 5, 6, 7]


@ALL
def test_it_can_wait_until_the_car_is_near_a_surface(name):
    attack = made(name, timing={"event": "near", "within_m": 59.0})  # the sign is at 60 m, 3 m
    assert all(same(*pair) for pair in drive(attack, 2)[0])
    assert not any(same(*pair) for pair in drive(attack, 2, x_m=1.5)[0])


@ALL
def test_it_is_off_after_its_end(name):
    told, running = drive(made(name), 8, steps=lambda r, tick: tick < 4 or r.end())
    assert not same(*told[3]) and all(same(*pair) for pair in told[4:])
    running.end()


@pytest.mark.parametrize(("name", "more", "told"), TOO_MUCH)
def test_more_than_its_budget_is_refused(name, more, told):
    with pytest.raises(BudgetError, match=told):
        made(name, **more).begin(Street(), np.random.default_rng(0))


@ALL
def test_what_is_set_is_within_the_box_and_of_its_shape(name):
    attack = made(name)
    low, high = attack.box
    running = attack.begin(Street(), np.random.default_rng(0))
    with pytest.raises(ConfigError, match="expected"):
        running.set(np.zeros(low.size + 1))
    off, _ = drive(attack, 2, steps=lambda r, tick: r.set(0 * low))
    assert all(same(*pair) for pair in off)
    beyond, top = (drive(attack, 2, steps=lambda r, _, v=v: r.set(v))[0] for v in (high * 3, high))
    assert all(same(a[1], b[1]) for a, b in zip(beyond, top, strict=True))


@pytest.mark.parametrize("name", ["saturation", "injection", "removal", "jamming", "ghost"])
def test_it_begins_before_anything_is_driven_at_the_sign_of_the_site(name):
    kind, options = STRONG[name]
    part = Part(kind, options | {"at": "surface"})
    parts = {"policy": Part("modular"), "detector": Part("oracle"), "attack": part}
    scenario = Scenario(name="here", sites=("stop_sign_0",), **parts)
    scenario.check()
    rehearse(scenario)
    without = dataclasses.replace(scenario, sensors=("camera",))
    with pytest.raises(ConfigError, match=sensor(name)):
        without.check()


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        ("saturation", {"at": "moon"}, "at must be one of car, surface, place, actor"),
        ("saturation", {"place_m": [1, 2, 3]}, "place_m needs x, y, z with at 'place'"),
        ("saturation", {"receiver": {"fov": 3}}, "field 'receiver.fov': unknown, did you mean"),
        ("saturation", {"receiver": {"dazzle_w": 1.0}}, "dazzle_w must be a number, from 1e-12 to"),
        ("injection", {"outline": "ship"}, "outline must be one of car, pedestrian, wall"),
        ("injection", {"hardware": "best"}, "hardware must be one of early, delayed, patterned"),
        ("injection", {"points": 1.5}, "points must be a whole number, got 1.5"),
        ("removal", {"method": "mirror"}, "method must be one of synchronised, high_frequency"),
        ("removal", {"actor": 3}, "actor needs part of a type id, got 3"),
        ("jamming", {"vehicle_rcs_m2": 0}, "vehicle_rcs_m2 must be a number"),
        ("jamming", {"radar": 7}, "field 'radar': expected a mapping of fields, got 7"),
        ("ghost", {"returns": 0}, "returns must be a number, from 1 to 50"),
        ("ghost", {"profile": "flying"}, "profile must be one of standing, following, approach"),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(name, more, told):
    with pytest.raises(ConfigError, match=told) as caught:
        made(name, **more)
    assert "\n" not in str(caught.value)


def test_options_of_the_sensor_are_a_mapping_in_a_scenario():
    attack = made("jamming", radar={"snr_db": 10}, at="place", place_m=[1, 2, 3])
    assert attack.radar.snr_db == 10.0 and attack.place_m == (1.0, 2.0, 3.0)
    assert made("removal", receiver={"pulse_w": 60}).receiver.pulse_w == 60.0


def test_the_inputs_of_these_tests_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        sensed(0)["lidar"][0] = 1


@pytest.mark.journey
def test_each_changes_what_the_sensors_of_a_driven_car_tell(session):
    """The town's own scan and returns: a street, and nobody ahead."""
    parts = {"policy": Part("modular"), "detector": Part("oracle")}
    env = DriveEnv(Scenario(name="here", sites=("stop_sign_0",), **parts), session, max_ticks=4)
    env.reset(seed=0)
    seen, *_, info = env.step(np.zeros(3))
    for name in sorted(set(STRONG) - {"removal of a car"}):
        attack = made(name, power_mw=1e5) if name == "jamming" else made(name)
        running = attack.begin(session, np.random.default_rng(0))
        told = running.tamper(seen, info["frame"])
        assert env.observation_space.contains(told), name
        clean, tampered = (obs[sensor(name)][..., 0] for obs in (seen, told))
        assert 20 < (clean > 0).sum() and (clean != tampered).any(), name
        if name in ("removal", "jamming"):
            assert (tampered > 0).sum() < (clean > 0).sum(), name
