"""A radar's echoes, noise and jamming, against equations written out anew."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simattack.radarlink import RadarLink, watts

LINK = RadarLink()
"""33 dBm = 2 W, 20 dBi = 100, 10 dB = 10, 13 dB = 20; 3.92 mm."""


def test_the_noise_of_a_cell_is_minus_139_dbm():
    """-174 dBm/Hz at 290 K + 10 log10(200 Hz) + 12 dB = -138.98 dBm."""
    assert 10 * math.log10(LINK.noise_w * 1000) == pytest.approx(-138.98, abs=0.03)


def test_a_car_is_seen_as_far_as_the_radar_equation_says():
    """10 m2: (2 W * 100 * (3.919 mm)^2 * 10 / ((4 pi)^3 * 10 * 1.269e-17 W * 20))^(1/4)."""
    top = 1.995 * 100 * 3.919e-3**2 * 10
    by_hand = (top / ((4 * math.pi) ** 3 * 10 * 1.269e-17 * 19.95)) ** 0.25
    assert LINK.detection_m(10.0) == pytest.approx(by_hand, rel=1e-3) == pytest.approx(279.4, abs=1)


def test_sixteen_times_the_cross_section_is_seen_twice_as_far():
    assert LINK.detection_m(16.0) / LINK.detection_m(1.0) == pytest.approx(2.0)


@pytest.mark.parametrize(("eirp_mw", "rcs_m2"), [(1e4, 10.0), (1e5, 0.5)])
def test_a_target_that_carries_its_jammer_burns_through_at_a_closed_form(eirp_mw, rcs_m2):
    """Where noise is only the jammer's, S/J = (EIRP rcs / (4 pi R^2 L)) / (EIRPj / (B T)) is the
    least ratio at R^2 = EIRP rcs B T / (4 pi L EIRPj SNR)."""
    wide = watts(33.0) * rcs_m2 * 1e9 * 0.005
    burn_m = math.sqrt(wide / (4 * math.pi * 10 * eirp_mw / 1000 * 10**1.3))
    jamming_w = LINK.jamming_w(eirp_mw, burn_m, 1e9)
    assert jamming_w > 100 * LINK.noise_w
    assert LINK.detection_m(rcs_m2, jamming_w) == pytest.approx(burn_m, rel=0.005)


def test_noise_narrower_than_a_chirp_gains_nothing():
    assert LINK.jamming_w(1.0, 30.0, 1e6) == LINK.jamming_w(1.0, 30.0, 500e6)
    assert LINK.jamming_w(1.0, 30.0, 1e9) == pytest.approx(LINK.jamming_w(1.0, 30.0, 5e8) / 2)


def test_a_beam_is_3_db_down_at_half_its_width_and_no_weaker_than_its_sidelobes():
    gain_db = 10 * np.log10(LINK.beside(np.radians([0.0, 3.0, -3.0, 40.0, 359.0])))
    assert gain_db == pytest.approx([0.0, -3.0, -3.0, -25.0, -12 / 36], abs=1e-6)


def test_a_repeater_needs_the_power_that_the_target_would_scatter():
    """EIRP rcs d^2 / (4 pi R^4 L): 2 W * 10 m2 * (10 m)^2 / (4 pi (20 m)^4 * 10) = 99 uW."""
    by_hand_mw = 1995.0 * 10 * 100 / (4 * math.pi * 20**4 * 10)
    assert LINK.imitating_mw(10.0, 20.0, 10.0) == pytest.approx(by_hand_mw, rel=1e-3)
    assert by_hand_mw == pytest.approx(0.0992, abs=1e-4)


def test_a_radar_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="look_s must be a number"):
        RadarLink(look_s=0.0)
