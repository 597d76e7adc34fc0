"""What all attacks on the camera by light, fields, sound and its link have in common."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from simattack import registry
from simattack.envs import observation_space
from simattack.errors import BudgetError, ConfigError
from simattack.taxonomy import Stage
from simattack.types import Attack, CarInfo
from tests.attacks.driveby import Street, drive, picture, sensed

STRONG = {
    "laser": ("blinding", {"power_mw": 300.0, "at": (0.4, 0.5), "distance_m": 20.0}),
    "led": ("blinding", {"source": "led", "power_mw": 5e4, "wavelength_nm": None}),
    "switched laser": (
        "blinding",
        {"power_mw": 500.0, "frequency_hz": 700.0, "at": [0.5, 0.5], "distance_m": 20.0},
    ),
    "noise": ("interference", {"power_w": 40.0}),
    "tone": ("interference", {"modulation_hz": 800.0, "distance_m": 2.0}),
    "lost rows": ("interference", {"loss_field_vpm": 100.0}),
    "flicker": ("flicker", {"is_everywhere": True}),
    "flicker on a sign": ("flicker", {}),
    "linear blur": ("shake", {"pitch_dps": 200.0}),
    "rotational blur": ("shake", {"roll_dps": 400.0}),
    "swing": ("shake", {"frequency_hz": 90.0}),
    "freeze": ("link", {"fault": "freeze"}),
    "drop": ("link", {"probability": 0.7}),
    "delay": ("link", {"fault": "delay"}),
    "blackout": ("link", {"fault": "blackout"}),
}
NOTHING = {
    "laser": {"power_mw": 0.0}, "led": {"power_mw": 0.0}, "switched laser": {"power_mw": 0.0},
    "noise": {"power_w": 0.0}, "tone": {"power_w": 0.0}, "lost rows": {"power_w": 0.0},
    "flicker": {"lux": 0.0}, "flicker on a sign": {"lux": 0.0},
    "linear blur": {"pitch_dps": 0.0, "yaw_dps": 0.0},
    "rotational blur": {"roll_dps": 0.0, "yaw_dps": 0.0}, "swing": {"yaw_dps": 0.0},
    "freeze": {"probability": 0.0}, "drop": {"probability": 0.0}, "delay": {"delay_s": 0.0},
    "blackout": {"probability": 0.0},
}  # fmt: skip
TOO_MUCH = {
    "laser": {"power_mw": 501.0}, "led": {"power_mw": 100_001.0},
    "switched laser": {"power_mw": 501.0}, "noise": {"power_w": 51.0}, "tone": {"gain_dbi": 21.0},
    "lost rows": {"power_w": 51.0}, "flicker": {"lux": 20_001.0},
    "flicker on a sign": {"lux": 20_001.0}, "linear blur": {"pitch_dps": -601.0},
    "rotational blur": {"roll_dps": 601.0}, "swing": {"yaw_dps": 849.0}, "delay": {"delay_s": 60},
}  # fmt: skip
NEAR = {"event": "near", "within_m": 30.0}
ALL = pytest.mark.parametrize("name", STRONG)


def made(name, **more):
    kind, options = STRONG[name]
    return registry.build("attacks", kind, options | more, "here")


SMALL = [picture(k, 72, 96) for k in range(12)]


def same(one, other):
    return all(one[key].tobytes() == other[key].tobytes() for key in one)


@ALL
def test_it_is_an_attack_on_a_sensor_by_its_name(name):
    attack = made(name)
    assert isinstance(attack, Attack)
    assert attack.threat.stage is Stage.SENSOR
    assert hash(attack) == hash(made(name)) and attack == made(name)
    with pytest.raises(ConfigError, match="has no option 'powr'"):
        made(name, powr=1)


@ALL
def test_without_power_every_byte_stays(name):
    assert all(same(*pair) for pair in drive(made(name, **NOTHING[name]), images=SMALL, x_m=30.0))


@ALL
def test_with_power_pictures_change_and_stay_pictures(name):
    told = drive(made(name), images=SMALL, x_m=30.0)
    assert not all(same(*pair) for pair in told)
    for clean, tampered in told:
        assert set(tampered) == set(clean)
        for key, value in tampered.items():
            assert (value.shape, value.dtype) == (clean[key].shape, clean[key].dtype)
            assert key in ("camera", "clock") or value is clean[key]
        assert tampered["clock"][0] == clean["clock"][0]
        assert tampered["clock"][1] <= clean["clock"][1]
    (_, whole), _ = drive(made(name), 2, picture(0, 480, 640), x_m=30.0)
    assert observation_space(CarInfo()).contains(whole)


@ALL
def test_two_runs_with_one_seed_are_the_same(name):
    first, again = (drive(made(name), images=SMALL, x_m=30.0, seed=3) for _ in range(2))
    assert all(same(one[1], other[1]) for one, other in zip(first, again, strict=True))


@ALL
def test_ticks_between_two_captures_repeat_the_picture(name):
    told = [tampered for _, tampered in drive(made(name), images=SMALL, x_m=30.0)]
    for tick, (one, other) in enumerate(itertools.pairwise(told)):
        if one["clock"][1] == other["clock"][1]:
            assert (one["camera"] == other["camera"]).all()
            assert one["camera"] is not other["camera"], tick


@ALL
def test_it_acts_in_its_time_only(name):
    """All but automatic exposure, which lingers."""
    timing = {"start_s": 0.4, "duration_s": 0.6}
    more = {"adaptation_s": None} if STRONG[name][0] == "blinding" else {}
    told = drive(made(name, timing=timing, **more), 24, SMALL, x_m=30.0)
    acts = [tick for tick, pair in enumerate(told) if not same(*pair)]
    assert acts and min(acts) >= 8 and max(acts) < 20


@ALL
def test_it_can_wait_until_the_car_is_near(name):
    # The sign stands at 60 m.
    attack = made(name, timing=NEAR)
    assert all(same(*pair) for pair in drive(attack, images=SMALL, x_m=29.0))
    assert not all(same(*pair) for pair in drive(attack, images=SMALL, x_m=31.0))


@ALL
def test_after_its_end_every_byte_stays(name):
    told = drive(made(name), 16, SMALL, end_after=9, x_m=30.0)
    assert all(same(*pair) for pair in told[10:])


@pytest.mark.parametrize("name", TOO_MUCH)
def test_more_than_its_budget_is_refused(name):
    with pytest.raises(BudgetError, match="allowed are"):
        made(name, **TOO_MUCH[name]).begin(Street(), np.random.default_rng(0))


@ALL
def test_the_world_is_asked_for_a_surface_only_where_one_is_needed(name):
    for timing, is_needed in (({}, name in ("led", "flicker on a sign")), (NEAR, True)):
        street = Street()
        made(name, surface="sign_7", timing=timing).begin(street, np.random.default_rng(0))
        assert set(street.asked) == ({"sign_7"} if is_needed else set())


@ALL
def test_a_picture_of_any_size_will_do(name):
    for rows, columns in ((48, 64), (33, 50)):
        image = picture(1, rows, columns)
        for _, tampered in drive(made(name), 4, image, x_m=30.0):
            assert tampered["camera"].shape == image.shape


def test_the_inputs_of_these_tests_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        sensed(0, picture())["camera"][0] = 1
