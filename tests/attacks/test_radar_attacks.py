"""Jamming against the burn-through range, and ghosts: truths by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from simattack.attacks.radar_ghost import RadarGhost
from simattack.attacks.radar_jamming import RadarJamming
from simattack.radarlink import RadarLink
from simattack.types import Pose
from tests.attacks.ranging import CAR, RETURNS, drive, returns

QUIET = {"range_std_m": 0.0, "velocity_std_mps": 0.0, "azimuth_std_deg": 0.0, "returns": 1}
NONE = returns()


def left(attack, seen, **options):
    """(N, 4) returns of the last of ``ticks``."""
    told = drive(attack, seen=seen, **{"ticks": 1, **options})[0][-1][1]["radar"]
    return told[told[:, 0] > 0]


# -- jamming ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("power_mw", [1e3, 1e4, 3e4])
def test_what_is_beyond_the_burn_through_range_vanishes(power_mw):
    """Written out anew: R^4 = EIRP G l^2 rcs / ((4 pi)^3 L SNR (N + J)), with
    J = EIRPj G l^2 / ((4 pi d)^2 B T); 3 m2, 30 m away."""
    wave_m, gain, loss, snr = 299792458 / 76.5e9, 100.0, 10.0, 10**1.3
    noise = 1.380649e-23 * 290 * 10**1.2 / 0.005
    jam = power_mw / 1000 * gain * (wave_m / (4 * math.pi * 30)) ** 2 / (1e9 * 0.005)
    top = 10**0.3 * gain * wave_m**2 * 3.0
    burn_m = (top / ((4 * math.pi) ** 3 * loss * snr * (noise + jam))) ** 0.25
    attack = RadarJamming(power_mw=power_mw)
    assert attack.burn_through_m(3.0, 30.0) == pytest.approx(burn_m, rel=1e-6)
    seen = returns(*[(burn_m + m, 0.0, 0.0, -1.0) for m in (-0.1, 0.1, -0.2, 0.2)])
    assert left(attack, seen)[:, 0] == pytest.approx([burn_m - 0.1, burn_m - 0.2])


def test_a_vehicle_is_seen_farther_than_a_walker():
    """(10 / 0.5)^(1/4) = 2.11 times."""
    attack = RadarJamming()
    ratio = attack.burn_through_m(10.0, 30.0) / attack.burn_through_m(0.5, 30.0)
    assert ratio == pytest.approx(2.115, abs=0.001)
    # A jammer between the two directions: 3 dB less in either, so both see 2^(1/4) as far.
    strong = RadarJamming(power_mw=1e5, distance_m=13.0, bearing_deg=3.0)
    reach_m = [2**0.25 * strong.burn_through_m(rcs, 13.0) for rcs in (0.5, 10.0)]
    assert reach_m == pytest.approx([9.1, 19.2], abs=0.1)  # the walker is at 9.6 m, the car 17.5
    assert left(strong, RETURNS)[:, 0].tolist() == [17.5]


def test_a_barrier_sends_back_less_than_a_car():
    """By (3 / 10)^(1/4) of the range: one that stands between the two ranges is lost."""
    attack = RadarJamming(power_mw=4e4)
    low_m, high_m = (attack.burn_through_m(rcs, 30.0) for rcs in (3.0, 10.0))
    middle_m = (low_m + high_m) / 2
    there = replace(CAR, pose=Pose(x_m=middle_m + 2.4 + 2.3))
    barrier = replace(there, kind="static.prop.streetbarrier")
    seen = returns((middle_m, 0.0, 0.0, 0.0))
    assert len(left(attack, seen, others=(there,))) == 1
    assert len(left(attack, seen, others=(barrier,))) == 0


def test_a_beam_that_looks_elsewhere_hears_less():
    """25 dB of sidelobes are 25 / 40 decades of range."""
    attack = RadarJamming(power_mw=1e4, bearing_deg=-15.0)
    beam_m = attack.burn_through_m(3.0, 30.0)
    aside = returns((1.5 * beam_m, 0.2, 0.0, 0.0), (1.5 * beam_m, math.radians(-15), 0.0, 0.0))
    assert left(attack, aside)[:, 1] == pytest.approx([0.2])


def test_what_the_link_would_not_see_itself_goes_with_the_first_noise():
    weak = returns((99.0, 0.0, 0.0, 0.0))
    link = RadarLink(eirp_dbm=0.0)
    assert link.detection_m(3.0) < 99.0
    assert len(left(RadarJamming(power_mw=0.0, radar=link), weak)) == 1
    assert len(left(RadarJamming(power_mw=1.0, radar=link), weak)) == 0


# -- ghosts ----------------------------------------------------------------------------------------


def test_a_standing_ghost_comes_nearer_as_fast_as_the_car_drives():
    """10 m/s over 0.1 s a look: 20, 19, 18 m, and -10 m/s."""
    told = drive(RadarGhost(**QUIET), 6, speed_mps=10.0, seen=NONE)[0]
    ghosts = [tampered["radar"][0] for _, tampered in told[::2]]
    assert [float(ghost[0]) for ghost in ghosts] == pytest.approx([20.0, 19.0, 18.0])
    assert all(ghost[3] == -10.0 for ghost in ghosts)


def test_a_ghost_that_is_asked_for_again_goes_on_as_it_was():
    def steps(running, tick):
        running.set(np.array([100.0, 20.0 if tick < 4 else 30.0]))

    told = drive(RadarGhost(**QUIET), 6, speed_mps=10.0, seen=NONE, steps=steps)[0]
    ghosts = [tampered["radar"][0, 0] for _, tampered in told[::2]]
    assert ghosts == pytest.approx([20.0, 19.0, 30.0])


def test_a_ghost_begins_anew_each_time_that_the_attack_goes_on():
    """On for one look of three, 3 m of driving apart."""
    timing = {"duration_s": 0.05, "every_s": 0.3}
    told = drive(RadarGhost(timing=timing, **QUIET), 13, speed_mps=10.0, seen=NONE)[0]
    ranges = [tampered["radar"][0, 0] for _, tampered in told[::2]]
    assert ranges == pytest.approx([20.0, 0.0, 0.0] * 2 + [20.0])


def test_a_ghost_follows_or_approaches():
    follow = left(RadarGhost(profile="following", **QUIET), NONE, ticks=11, speed_mps=10.0)
    assert follow[0, [0, 3]].tolist() == [20.0, 0.0]
    come = left(RadarGhost(profile="approaching", closing_mps=4.0, **QUIET), NONE, ticks=11)
    assert come[0, [0, 3]] == pytest.approx([18.0, -4.0])  # after 0.5 s


def test_a_ghost_comes_from_where_its_repeater_is():
    told = left(RadarGhost(bearing_deg=10.0, **QUIET), NONE)
    assert told[0, 1] == pytest.approx(math.radians(10.0))
    assert not len(left(RadarGhost(bearing_deg=21.0, **QUIET), NONE))  # 40 deg are seen


def test_a_repeater_that_is_only_late_makes_no_ghost_nearer_than_itself():
    """10 m, and 30 ns through it: 4.5 m more."""
    late = RadarGhost(range_m=5.0, **QUIET)
    assert late.nearest_m(10.0) == pytest.approx(14.497, abs=0.001)
    assert left(late, NONE)[0, 0] == pytest.approx(14.497, abs=0.001)
    assert left(RadarGhost(range_m=5.0, is_synchronised=True, **QUIET), NONE)[0, 0] == 5.0


def test_a_ghost_needs_power_enough_to_be_told():
    """At the least, 20 times the noise: 20 * 1.27e-17 W / (100 (3.92 mm / (4 pi 10 m))^2)."""
    wave_m = 299792458 / 76.5e9
    gain = 100.0 * (wave_m / (4 * math.pi * 10.0)) ** 2
    least_mw = 1000 * 10**1.3 * 1.380649e-23 * 290 * 10**1.2 / 0.005 / gain
    assert not len(left(RadarGhost(power_mw=0.99 * least_mw, **QUIET), NONE))
    assert len(left(RadarGhost(power_mw=1.01 * least_mw, **QUIET), NONE)) == 1


def test_a_ghost_is_no_stronger_than_what_it_imitates():
    attack = RadarGhost(power_mw=1e5)
    echo_w = float(attack.radar.echo_w(np.array(20.0), np.array(10.0)))
    assert attack.snr(20.0, 10.0) == pytest.approx(echo_w / attack.radar.noise_w)


def test_a_ghost_stands_among_genuine_returns_by_its_range():
    told = left(RadarGhost(**QUIET), RETURNS)
    assert told[:, 0].tolist() == pytest.approx([9.6, 17.5, 20.0, 60.0]) and told.shape == (4, 4)
    assert (told[[0, 1, 3]] == RETURNS[[0, 1, 2]]).all()


def test_for_a_ghost_a_full_radar_leaves_out_the_farthest():
    full = returns(*[(30.0 + k, 0.0, 0.0, 0.0) for k in range(8)], slots=8)
    assert left(RadarGhost(**QUIET), full)[:, 0].tolist() == [20, 30, 31, 32, 33, 34, 35, 36]


def test_a_ghost_that_has_come_near_is_over():
    attack = RadarGhost(range_m=20.0, is_synchronised=True, **QUIET)
    assert len(left(attack, NONE, ticks=37, speed_mps=10.0)) == 1  # 2 m after 1.8 s
    assert len(left(attack, NONE, ticks=41, speed_mps=10.0)) == 0
