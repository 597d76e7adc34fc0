"""Power over distance, C/N0 under a jammer, a code loop's noise, and fixes in metres."""

from __future__ import annotations

import math

import carla
import numpy as np
import pytest

from simattack.errors import ConfigError
from simattack.geodesy import gnss_from_world, moved, world_from_gnss
from simattack.radio import (
    Emitter,
    Lock,
    Outbox,
    code_noise_m,
    effective_cn0_dbhz,
    path_loss_db,
)
from simattack.resources import find
from simattack.types import Pose


def emitter(power_mw=10.0, at="car", distance_m=10.0, place_m=None, loss_db=0.0):
    return Emitter(power_mw, at, distance_m, place_m, loss_db)


def test_free_space_takes_a_stated_loss():
    """32.45 + 20 log d [km] + 20 log f [MHz] (ITU-R P.525, eq. 4): 96.4 dB at 1 km on L1."""
    for km in (0.01, 1.0, 20.0):
        stated = 32.45 + 20 * math.log10(km) + 20 * math.log10(1575.42)
        assert path_loss_db(km * 1000) == pytest.approx(stated, abs=0.01)


@pytest.mark.parametrize(
    ("js_db", "cn0_dbhz"), [(20, 40.9), (25, 37.3), (30, 32.8), (35, 28.0), (40, 23.1)]
)
def test_jamming_lowers_the_carrier_to_noise_density(js_db, cn0_dbhz):
    """Kaplan & Hegarty, section 6.2: 45 dB-Hz, Q 2, 1.023 Mchip/s, worked out by hand."""
    assert effective_cn0_dbhz(45.0, js_db, 2.0) == pytest.approx(cn0_dbhz, abs=0.05)


@pytest.mark.parametrize(("floor_dbhz", "js_db"), [(33.0, 29.8), (28.0, 35.0), (25.0, 38.1)])
def test_a_floor_is_crossed_at_a_stated_jammer_to_signal_ratio(floor_dbhz, js_db):
    """The same equation, solved for J/S: 10 log(Q Rc (10^(-floor/10) - 10^(-C/N0 /10)))."""
    room = 10 ** (-floor_dbhz / 10) - 10 ** (-45.0 / 10)
    assert 10 * math.log10(2 * 1.023e6 * room) == pytest.approx(js_db, abs=0.05)
    assert effective_cn0_dbhz(45.0, js_db - 0.1) > floor_dbhz > effective_cn0_dbhz(45, js_db + 0.1)


@pytest.mark.parametrize(("quality", "js_db"), [(1.0, 35.1), (2.22, 38.5)])
def test_the_jammers_spectrum_moves_the_floor(quality, js_db):
    assert effective_cn0_dbhz(45.0, js_db, quality) == pytest.approx(25.0, abs=0.06)


def test_silence_leaves_the_density_as_it_is():
    assert effective_cn0_dbhz(45.0, -math.inf) == 45.0


@pytest.mark.parametrize(
    ("bandwidth_hz", "integration_s", "b", "threshold_dbhz", "digit"),
    [
        (0.2, 0.02, 2.0, 12.4, 0.1),
        (2.0, 0.02, 2.0, 18, 0.5),
        (0.2, 0.005, 1.0, 14.6, 0.1),
        (0.2, 0.01, 1.0, 13.2, 0.1),
        (0.2, 0.02, 1.0, 11.8, 0.1),
        (0.2, 1.0, 1.0, 6.5, 0.1),
    ],
)
def test_a_code_loop_is_as_noisy_as_the_book_plots(
    bandwidth_hz, integration_s, b, threshold_dbhz, digit
):
    """Kaplan & Hegarty, fig. 5.28 (c, d): where noise is a sixth of a chip, D = 1."""

    def noise_m(cn0_dbhz):
        return code_noise_m(cn0_dbhz, bandwidth_hz, 1.0, integration_s, b * 1.023e6)

    assert noise_m(threshold_dbhz - digit) > 293.05 / 6 > noise_m(threshold_dbhz + digit)


def test_a_wide_front_end_leaves_the_spacing_to_tell():
    """The equation's first case by hand at 28 dB-Hz: 0.1 / 630.957 * (1 + 2 / 12.619)."""
    chips = math.sqrt(0.1 / 630.957 * (1 + 2 / (0.02 * 630.957)))
    assert code_noise_m(28.0, 0.2, 1.0, 0.02, 20e6) == pytest.approx(chips * 293.05, abs=0.01)
    half_m = code_noise_m(60.0, 0.2, 0.5, 0.02, 20e6)
    assert half_m == pytest.approx(code_noise_m(60.0, 0.2, 1, 0.02, 20e6) / math.sqrt(2), rel=1e-3)


def test_an_emitter_is_carried_or_stands_where_it_is_put():
    car = Pose(3.0, 4.0, 0.0)
    assert emitter().distance_to(car, emitter().stand(np.zeros(3))) == 10.0
    at = emitter(at="place", place_m=(0.0, 0.0, 12.0))
    assert at.distance_to(car, at.stand(None)) == 13.0
    sign = emitter(at="surface")
    assert sign.distance_to(car, sign.stand(np.array([3.0, 0.0, 0.0]))) == 4.0
    with pytest.raises(ConfigError, match="needs a surface"):
        sign.stand(None)


def test_an_emitters_power_over_the_signal_is_counted_in_decibels():
    # 10 mW is 10 dBm; 96.40 dB at 1 km; -128.5 dBm is the signal: 10 - 96.4 + 128.5 = 42.1 dB.
    assert emitter().over_signal_db(1000.0) == pytest.approx(42.10, abs=0.01)
    assert emitter(loss_db=20.0).over_signal_db(1000.0) == pytest.approx(22.10, abs=0.01)
    assert emitter(0.0).over_signal_db(1.0) == -math.inf


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"at": "moon"}, "at must be one of car, surface, place"),
        ({"power_mw": -1.0}, "power_mw must be a number, 0 or more"),
        ({"loss_db": math.nan}, "loss_db must be a number, 0 or more"),
        ({"at": "place"}, "place_m needs x, y, z"),
        ({"place_m": (0.0, 0.0, 0.0)}, "place_m needs x, y, z"),
    ],
)
def test_an_emitter_that_makes_no_sense_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        emitter(**options)


def test_a_receiver_changes_over_without_a_fix_for_a_while():
    lock = Lock(0.1)
    states = [lock.step(tick >= 2 and tick < 6, tick * 0.05) for tick in range(10)]
    assert states == [
        "genuine", "genuine", "none", "none", "false", "false", "none", "none", "genuine",
        "genuine",
    ]  # fmt: skip
    assert Lock(0.0).step(True, 0.0) == "false"


def test_no_fix_is_infinite_or_the_last_one():
    none, frozen = Outbox("none"), Outbox("frozen")
    assert np.isinf(frozen.without_fix()).all()
    fix = np.array([49.0, 8.0, 1.0])
    assert frozen.sent(fix) is fix and none.sent(fix) is fix
    assert frozen.without_fix().tolist() == fix.tolist()
    assert np.isinf(none.without_fix()).all()


def test_metres_of_the_world_become_the_fix_that_carlas_map_tells():
    town = carla.Map("town", find("scenarios/maps/town.xodr").read_text())
    zero = town.transform_to_geolocation(carla.Location(0, 0, 0))
    origin = (zero.latitude, zero.longitude)
    for x, y in [(0, 0), (300, -400), (-290, 290), (-500, 700)]:
        there = town.transform_to_geolocation(carla.Location(x, y, 0))
        found = gnss_from_world(x, y, origin)
        assert found == pytest.approx([there.latitude, there.longitude], abs=1e-7)  # 1 cm
        assert world_from_gnss(*found, origin) == pytest.approx([x, y], abs=1e-6)


def test_a_fix_is_moved_by_metres_and_none_stays_none():
    fix = np.array([*gnss_from_world(100.0, -50.0, (49.0, 8.0)), 5.0])
    there = moved(fix, np.array([3.0, -4.0, 2.0]), (49.0, 8.0))
    assert world_from_gnss(there[0], there[1], (49.0, 8.0)) == pytest.approx([103, -54], abs=1e-6)
    assert there[2] == 7.0
    assert np.isinf(moved(np.full(3, np.inf), np.ones(3), (49.0, 8.0))).all()
