"""Attacks on GNSS and on the inertial unit: contracts, and truths by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from simattack import registry
from simattack.attacks.gnss_jamming import GnssJamming
from simattack.attacks.gnss_meaconing import GnssMeaconing
from simattack.attacks.gnss_spoofing import MAX_RATE_MPS, GnssSpoofing
from simattack.attacks.imu_acoustic import PARTS, ImuAcoustic
from simattack.envs import observation_space
from simattack.errors import BudgetError, ConfigError
from simattack.geodesy import gnss_from_world, world_from_gnss
from simattack.policies.localisation import Localiser
from simattack.scenario import Part, Scenario
from simattack.suite import rehearse
from simattack.types import ActorState, Attack, CarInfo, Frame, Pose, Surface

ORIGIN = (49.0, 8.0)
TICK_S = 0.05
SIGN_M = np.array([60.0, -4.0, 2.0])
CAMERA = np.zeros((480, 640, 3), np.uint8)


class World:
    def __init__(self, geo_origin=ORIGIN):
        self.geo_origin = geo_origin

    def surface(self, name):
        corners = SIGN_M + np.array([(0, -1, 1), (0, 1, 1), (0, 1, -1), (0, -1, -1)])
        return Surface(name, name, corners, np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), bool))


def drive(
    attack, ticks=100, seed=0, speed_mps=8.0, yaw=0.0, noise_m=0.0, steps=None, origin=ORIGIN
):
    """(ticks of (clean, tampered, frame), running): along x or turned by ``yaw``, read-only."""
    running = attack.begin(World(origin), np.random.default_rng(seed))
    rng = np.random.default_rng(99)
    seen = []
    for tick in range(ticks):
        time_s = tick * TICK_S
        along = speed_mps * time_s
        pose = Pose(along * math.cos(yaw), along * math.sin(yaw), 0.0, yaw_rad=yaw)
        ego = ActorState(1, "", pose, (speed_mps, 0, 0), (0, 0, 0), (2, 1, 1))
        frame = Frame(tick, time_s, ego)
        at = np.array([pose.x_m, pose.y_m]) + rng.normal(0, noise_m or 1e-9, 2)
        obs = {
            "camera": CAMERA,
            "gnss": np.array([*gnss_from_world(*at, origin), 1.0]),
            "imu": np.array([0.1, -0.2, 9.81, 0.01, 0.02, 0.03, yaw + np.pi / 2]),
            "speed": np.array([speed_mps]),
            "clock": np.array([time_s, time_s]),
        }
        for value in obs.values():
            value.setflags(write=False)
        if steps:
            steps(running, tick)
        seen.append((obs, running.tamper(obs, frame), frame))
    return seen, running


def errors_m(seen):
    """(N, 2) x, y of the tampered fix minus the clean one [m]."""
    return np.array(
        [
            world_from_gnss(*there["gnss"][:2], ORIGIN) - world_from_gnss(*here["gnss"][:2], ORIGIN)
            if np.isfinite(there["gnss"]).all()
            else (np.inf, np.inf)
            for here, there, _ in seen
        ]
    )


def same(one, other):
    return set(one) == set(other) and not changes(one, other)


def changes(one, other):
    return {k for k in one if one[k] is not other[k] and one[k].tobytes() != other[k].tobytes()}


STRONG = {
    "gnss_jamming": {"power_mw": 10.0, "distance_m": 3000.0},
    "gnss_spoofing": {"rate_mps": 1.0},
    "gnss_meaconing": {"takeover_s": 0.2},
    "imu_acoustic": {"sound_dbspl": 130.0},
}
POWERLESS = {
    "gnss_jamming": [{"power_mw": 0.0}],
    "gnss_spoofing": [{"power_mw": 0.0}, {"right_m": 0.0}, {"rate_mps": 0.0}],
    "gnss_meaconing": [{"power_mw": 0.0}],
    "imu_acoustic": [{"sound_dbspl": 0.0}, {"loss_db": 120.0}],
}
BROKEN = [
    ("gnss_jamming", {"power_mw": 1500.0}, "power_mw"),
    ("gnss_spoofing", {"power_mw": 1500.0}, "power_mw"),
    ("gnss_spoofing", {"rate_mps": 300.0}, "rate_mps"),
    ("gnss_spoofing", {"profile": "exponential", "growth": 9e9, "step_s": 0.1}, "growth"),
    ("gnss_spoofing", {"profile": "jump", "right_m": 501.0}, "takeover_s"),
    ("gnss_meaconing", {"power_mw": 1500.0}, "power_mw"),
    ("gnss_meaconing", {"delay_s": 4000.0}, "delay_s"),
    ("imu_acoustic", {"sound_dbspl": 141.0}, "sound_dbspl"),
]
KINDS = sorted(STRONG)


def made(kind, **options):
    return registry.build("attacks", kind, STRONG[kind] | options, "here")


# -- contracts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), [(k, o) for k in KINDS for o in POWERLESS[k]])
def test_without_power_every_byte_is_as_it_was(kind, options):
    # A map of CARLA's own lies at 0, 0, where a fix moved by nothing comes back rounded.
    seen, _ = drive(made(kind, **options), noise_m=0.3, origin=(0.0, 0.0))
    assert all(same(before, after) for before, after, _ in seen)


@pytest.mark.parametrize("kind", KINDS)
def test_at_full_power_only_its_own_sensor_changes_within_the_space(kind):
    assert isinstance(made(kind), Attack)
    seen, _ = drive(made(kind))
    changed = {sensor for before, after, _ in seen for sensor in changes(before, after)}
    assert changed == {kind.split("_")[0]}
    assert all(after in observation_space(CarInfo()) for _, after, _ in seen[::10])


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_makes_one_run(kind):
    one, other = drive(made(kind), seed=3)[0], drive(made(kind), seed=3)[0]
    assert all(same(a[1], b[1]) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", ["gnss_jamming", "imu_acoustic"])
def test_another_seed_makes_another_run(kind):
    one, other = drive(made(kind), seed=3)[0], drive(made(kind), seed=4)[0]
    assert not all(same(a[1], b[1]) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("kind", "options", "told"), BROKEN)
def test_what_breaks_the_budget_does_not_begin(kind, options, told):
    with pytest.raises(BudgetError, match=told):
        made(kind, **options).begin(World(), np.random.default_rng(0))


@pytest.mark.parametrize("kind", KINDS)
def test_timing_says_when(kind):
    options = {"timing": {"start_s": 1.0, "duration_s": 1.0}}
    if kind == "imu_acoustic":
        options["phase_deg"] = 45.0
    seen, _ = drive(made(kind, **options))
    changed = [f.tick for before, after, f in seen if not same(before, after)]
    assert min(changed) in (20, 21)  # a drag begins at nothing
    last = 39 + (4 if kind == "gnss_meaconing" else 0)  # the way back takes 0.2 s
    assert max(changed) == last


@pytest.mark.parametrize("kind", KINDS)
def test_near_is_measured_from_the_surface(kind):
    timing = {"event": "near", "within_m": 30.0}
    seen, _ = drive(made(kind, timing=timing, surface="sign"))
    first = min(f.tick for before, after, f in seen if not same(before, after))
    # (60 - x)^2 + 16 <= 900 from x = 30.27 m on: tick 76 at 0.4 m a tick.
    assert first in (76, 77)


@pytest.mark.parametrize("kind", KINDS)
def test_it_begins_before_anything_is_driven_at_the_sign_of_the_site(kind):
    options = STRONG[kind] | {"timing": {"event": "near"}}
    if kind.startswith("gnss"):
        options["at"] = "surface"
    rehearse(
        Scenario(
            name="here",
            sites=("stop_sign_0",),
            policy=Part("modular"),
            detector=Part("oracle"),
            attack=Part(kind, options),
        )
    )


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_off_again_after_its_end(kind):
    def steps(running, tick):
        if tick in (50, 51):
            running.end()

    seen, _ = drive(made(kind), steps=steps)
    assert not all(same(a, b) for a, b, _ in seen[:50])
    assert all(same(a, b) for a, b, _ in seen[50:])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_set_is_within_the_box_and_of_its_shape(kind):
    # So far away that even the box's upper end leaves room above it.
    faint = {"gnss_jamming": {"loss_db": 25.0}, "imu_acoustic": {"loss_db": 40.0}}
    attack = made(kind, **faint.get(kind, {}))
    low, high = attack.box
    running = attack.begin(World(), np.random.default_rng(0))
    with pytest.raises(ConfigError, match="expected"):
        running.set(np.zeros(low.size + 1))

    def off(running, tick):
        if tick == 0:
            running.set(0 * low)

    seen, _ = drive(attack, steps=off)
    assert all(same(before, after) for before, after, _ in seen)
    beyond, top = [
        drive(attack, steps=lambda r, tick, v=v: tick or r.set(v))[0] for v in (high * 3, high)
    ]
    assert all(same(a[1], b[1]) for a, b in zip(beyond, top, strict=True))
    assert not all(same(a, b) for a, b, _ in top)


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("gnss_jamming", {"at": "here"}, "at must be one of"),
        ("gnss_jamming", {"place_m": [1, 2]}, "place_m needs three numbers"),
        ("gnss_jamming", {"track_dbhz": 40.0}, "track_dbhz <= acquire_dbhz <= cn0_dbhz"),
        ("gnss_jamming", {"lost_fix": "nan"}, "lost_fix must be one of none, frozen"),
        ("gnss_jamming", {"quality": 0}, "quality must be a number, from 0.01"),
        ("gnss_jamming", {"spacing_chips": 1.5}, "spacing_chips must be a number, from 0.01"),
        ("gnss_jamming", {"timing": {"event": "noon"}}, "event must be one of"),
        ("gnss_spoofing", {"profile": "walk"}, "profile must be one of"),
        ("gnss_spoofing", {"right_m": math.nan}, "right_m must be a number within"),
        ("gnss_spoofing", {"profile": "exponential", "growth": 1}, "needs growth above 1"),
        ("gnss_spoofing", {"rate_mps": -1}, "rate_mps must be a number, 0 or more"),
        ("gnss_meaconing", {"antenna": "place"}, "antenna_m needs x, y, z"),
        ("gnss_meaconing", {"antenna_ahead_m": "far"}, "antenna_ahead_m must be a number"),
        ("imu_acoustic", {"part": "mems"}, "part must be one of adxl103, l3g4200d"),
        ("imu_acoustic", {"alias_hz": 60.0}, "alias_hz must be within half of sample_hz"),
        ("imu_acoustic", {"clock_ppm": -1e6}, "clock_ppm must be a number, from -1000"),
        ("gnss_jamming", {"cn0_dbhz": 5000.0}, "cn0_dbhz must be a number, from 0 to 60"),
        ("imu_acoustic", {"sign": 0}, "sign must be 1 or -1"),
        ("imu_acoustic", {"frequency_hz": -5}, "frequency_hz must be a number, from 0"),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(kind, options, told):
    with pytest.raises(ConfigError, match=told) as caught:
        made(kind, **options)
    assert "\n" not in str(caught.value)


# -- jamming -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("power_mw", "floor_dbhz", "range_m", "digit_m"),
    [
        (1, 25, 500, 10),
        (10, 25, 1600, 50),
        (100, 25, 5000, 50),
        (1000, 25, 15900, 50),
        (10, 28, 2300, 50),
    ],
)
def test_a_jammer_reaches_as_far_as_free_space_lets_it(power_mw, floor_dbhz, range_m, digit_m):
    """By hand from -128.5 dBm: J/S at the floor, then Friis' loss turned round for distance."""
    js_db = 10 * math.log10(2 * 1.023e6 * (10 ** (-floor_dbhz / 10) - 10**-4.5))
    loss_db = 10 * math.log10(power_mw) + 128.5 - js_db
    reach_m = 10 ** (loss_db / 20) * 0.190294 / (4 * math.pi)  # L1's wavelength
    assert reach_m == pytest.approx(range_m, abs=digit_m)
    attack = GnssJamming(power_mw=power_mw)
    assert attack.effective_dbhz(reach_m * 1.001) > floor_dbhz
    assert attack.effective_dbhz(reach_m * 0.999) < floor_dbhz


@pytest.mark.parametrize(("js_db", "is_lost"), [(38.0, False), (38.3, True)])
def test_the_fix_is_lost_below_the_tracking_floor(js_db, is_lost):
    """25 dB-Hz is crossed at J/S 38.1 dB."""
    # 1 mW is 0 dBm: J/S = 128.5 - loss - extra loss.
    extra_db = 128.5 - js_db - 20 * math.log10(4 * math.pi * 10 / 0.190294)
    seen, _ = drive(GnssJamming(power_mw=1.0, distance_m=10.0, loss_db=extra_db), ticks=5)
    assert np.isinf([after["gnss"] for _, after, _ in seen]).all() == is_lost
    assert np.isfinite([after["gnss"] for _, after, _ in seen]).all() != is_lost


def test_a_lost_fix_is_back_only_above_the_acquisition_threshold_and_after_a_delay():
    # Set down in steps.
    steps_mw = {0: 10.0, 20: 1.0, 40: 0.7, 60: 0.1}
    attack = GnssJamming(distance_m=1000.0, reacquire_s=1.0)
    densities = [attack.effective_dbhz(1000.0, mw) for mw in steps_mw.values()]
    assert densities[0] < 25 < densities[1] < densities[2] < 33 < densities[3]
    seen, running = drive(
        attack, steps=lambda r, tick: tick in steps_mw and r.set(np.array([steps_mw[tick]]))
    )
    has_fix = [bool(np.isfinite(after["gnss"]).all()) for _, after, _ in seen]
    assert has_fix.index(True) == 80  # 33 dB-Hz at tick 60, and a second
    assert all(has_fix[80:])
    assert running.effect.cn0_dbhz == pytest.approx(densities[3])


def test_a_fix_of_a_jammed_receiver_is_as_noisy_as_its_code_loop():
    """Kaplan & Hegarty, eq. 5.23, by hand, at 28 dB-Hz; the noise at 45 is there already."""
    attack = GnssJamming(power_mw=10.0, distance_m=2261.0, hdop=1.0)
    assert attack.effective_dbhz(2261.0) == pytest.approx(28.0, abs=0.02)

    def chips(cn0):
        return math.sqrt(1.0 / (2 * cn0) * 0.5 * (1 + 2 / (0.02 * cn0 * 1.5)))

    wanted_m = 293.05 * math.sqrt(chips(10**2.8) ** 2 - chips(10**4.5) ** 2)
    errors = np.concatenate([errors_m(drive(attack, 100, seed)[0]) for seed in range(40)])
    # Horizontally in all hdop times a range's: both axes together.
    assert math.sqrt((errors**2).sum(1).mean()) == pytest.approx(wanted_m, rel=0.08)


def test_the_noise_keeps_as_long_as_a_first_order_loop():
    """A loop of noise bandwidth B has the time constant 1 / 4B: a tick at 1 Hz leaves e^-0.2."""
    attack = GnssJamming(power_mw=10.0, distance_m=3000.0)
    runs = [errors_m(drive(attack, 60, seed)[0])[:, 0] for seed in range(40)]
    one, next_one = np.concatenate([r[:-1] for r in runs]), np.concatenate([r[1:] for r in runs])
    assert np.corrcoef(one, next_one)[0, 1] == pytest.approx(math.exp(-0.2), abs=0.03)


def test_a_frozen_receiver_tells_its_last_fix():
    attack = GnssJamming(lost_fix="frozen", timing={"start_s": 1.0})
    seen, _ = drive(attack, ticks=60)
    last = seen[19][0]["gnss"]
    assert all(after["gnss"].tobytes() == last.tobytes() for _, after, _ in seen[19:])


@pytest.mark.parametrize("power_mw", [1e-30, 1e-18, 1e-16, 1e-15, 1e-14, 1e-12])
def test_a_jammer_too_faint_to_count_spoils_nothing(power_mw):
    """What rounding leaves of its noise may be a hair below none; then it is none."""
    for cn0_dbhz in (36.0, 41.3, 45.0, 47.7):
        attack = GnssJamming(power_mw=power_mw, cn0_dbhz=cn0_dbhz)
        assert np.abs(errors_m(drive(attack, 4)[0])).max() < 1e-3


def test_a_jammer_at_the_sign_is_passed():
    attack = GnssJamming(power_mw=0.01, at="surface", surface="sign", acquire_dbhz=33.0)
    seen, _ = drive(attack, ticks=600)
    lost = [f.ego.pose.x_m for _, after, f in seen if np.isinf(after["gnss"]).all()]
    # 0.01 mW is 40 dB less than 0.1 W: 5.03 km become 50.3 m around the sign at 60 m, and
    # acquisition at 33 dB-Hz is 8.3 dB, or a factor of 2.6, further away.
    assert min(lost) == pytest.approx(60 - math.sqrt(50.3**2 - 20), abs=0.6)
    assert max(lost) == pytest.approx(60 + 130.8 + 16, abs=2.0)  # and 2 s at 8 m/s


# -- spoofing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "at_s", "offset_m"),
    [
        ({"rate_mps": 0.5}, 4.0, 2.0),
        ({"rate_mps": 0.5, "right_m": -3.0}, 4.0, -2.0),
        ({"rate_mps": 1.0, "right_m": 3.0}, 4.0, 3.0),
        ({"profile": "jump", "right_m": 2.5}, 0.0, 2.5),
        # FusionRipper: d f^i, with i the steps since it began.
        ({"profile": "exponential", "start_m": 0.5, "growth": 1.5}, 3.0, 0.5 * 1.5**3),
        ({"profile": "exponential", "start_m": 0.5, "growth": 1.5, "step_s": 0.5}, 2.0, 2.53125),
    ],
)
@pytest.mark.parametrize("yaw", [0.0, 2.0])
def test_the_offset_at_a_moment_is_as_the_profile_says(options, at_s, offset_m, yaw):
    """Rate times time; d f^i after i steps (Shen et al. 2020)."""
    seen, _ = drive(GnssSpoofing(**options), yaw=yaw)
    x, y = errors_m(seen)[round(at_s / TICK_S)]
    # To the right of a heading: (-sin, cos) in a frame whose y points right of x.
    assert -x * math.sin(yaw) + y * math.cos(yaw) == pytest.approx(offset_m, abs=1e-6)
    assert x * math.cos(yaw) + y * math.sin(yaw) == pytest.approx(0.0, abs=1e-6)


def test_an_offset_along_the_route_and_one_in_the_world():
    ahead = errors_m(drive(GnssSpoofing(0.0, 5.0, "start", "jump"), yaw=2.0)[0])[-1]
    assert ahead == pytest.approx([5 * math.cos(2.0), 5 * math.sin(2.0)], abs=1e-6)
    world = errors_m(drive(GnssSpoofing(1.0, 5.0, "world", "jump"), yaw=2.0)[0])[-1]
    assert world == pytest.approx([5.0, 1.0], abs=1e-6)


def test_the_axes_turn_with_the_car_or_stay_as_they_were():
    def turned(axes):
        running = GnssSpoofing(2.0, axes=axes, profile="jump").begin(World(), None)
        for yaw in (0.0, math.pi / 2):
            ego = ActorState(1, "", Pose(yaw_rad=yaw), (0, 0, 0), (0, 0, 0), (1, 1, 1))
            obs = {"gnss": np.array([49.0, 8.0, 0.0]), "clock": np.zeros(2)}
            there = running.tamper(obs, Frame(0, yaw, ego))["gnss"]
        return world_from_gnss(there[0], there[1], ORIGIN)

    assert turned("car") == pytest.approx([-2, 0], abs=1e-6)
    assert turned("start") == pytest.approx([0, 2], abs=1e-6)


def test_a_changed_goal_is_reached_at_the_profiles_pace():
    def steps(running, tick):
        if tick == 40:
            running.set(np.array([0.0, 3.0]))

    seen, _ = drive(GnssSpoofing(rate_mps=1.0), steps=steps)
    moves = np.diff(errors_m(seen), axis=0)
    assert np.hypot(*moves.T).max() == pytest.approx(0.05, abs=1e-6)
    # 1.95 m right at tick 39; then straight towards 3 m ahead, 3.58 m away.
    x, y = errors_m(seen)[99]
    assert x == pytest.approx(3 * 3.0 / math.hypot(3, 1.95), abs=1e-5)
    assert y == pytest.approx(1.95 - 1.95 * 3.0 / math.hypot(3, 1.95), abs=1e-5)


def test_a_spoofer_that_is_weaker_than_the_signal_does_nothing():
    # 2 dB over -128.5 dBm at 10 m, by Friis: 56.4 dB, so -70.1 dBm, or 9.8e-8 mW.
    for power_mw, is_changed in ((9.5e-8, False), (1.01e-7, True)):
        seen, _ = drive(GnssSpoofing(profile="jump", power_mw=power_mw), ticks=3)
        assert (not same(*seen[2][:2])) == is_changed


def test_a_spoofer_switched_off_tells_no_lie_and_begins_anew_when_it_is_on_again():
    def steps(running, tick):
        if tick in (40, 60):
            running.switch(tick == 60)

    seen, _ = drive(GnssSpoofing(rate_mps=1.0), steps=steps)
    right_m = errors_m(seen)[:, 1]
    assert right_m[39] == pytest.approx(1.95, abs=1e-6)
    assert right_m[40:60] == pytest.approx(np.zeros(20), abs=1e-6)
    assert right_m[61] == pytest.approx(0.05, abs=1e-6)
    assert right_m[99] == pytest.approx(1.95, abs=1e-6)


def test_a_takeover_costs_the_fix_for_a_while():
    attack = GnssSpoofing(profile="jump", right_m=800.0, takeover_s=0.5)
    seen, _ = drive(dataclasses.replace(attack, timing={"start_s": 1.0}), ticks=60)
    errors = errors_m(seen)
    assert errors[19] == pytest.approx([0, 0])
    assert np.isinf(errors[20:30]).all()
    assert errors[30] == pytest.approx([0, 800], abs=1e-5)


def test_the_fastest_drag_keeps_a_first_order_loop_within_a_quarter_chip():
    """Lag of a first-order loop: speed / 4B; a quarter of 293.05 m at 1 Hz."""
    assert MAX_RATE_MPS / (4 * 1.0) == pytest.approx(293.05 / 4, abs=0.01)


def test_a_dragged_fix_takes_the_cars_localiser_along():
    seen, _ = drive(GnssSpoofing(right_m=3.0, rate_mps=0.5), ticks=200, noise_m=0.3)
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    for _, after, _ in seen:
        localiser.update(after)
    assert localiser.pose[1] == pytest.approx(3.0, abs=0.3)


# -- meaconing ---------------------------------------------------------------------------------


def ranging(antenna, car, sender, delay_s):
    """Position and clock [m] by least squares from pseudoranges that a repeater sends on."""
    azimuths, elevations = np.array([10, 80, 150, 220, 300, 0]), np.array([20, 40, 60, 30, 50, 85])
    a, e = np.deg2rad(azimuths), np.deg2rad(elevations)
    satellites = 2.2e7 * np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], 1)
    ranges = np.linalg.norm(satellites - antenna, axis=1)
    ranges = ranges + 299_792_458.0 * delay_s + np.linalg.norm(np.subtract(sender, car))
    guess = np.array([*car, 0.0], float)
    for _ in range(8):
        sight = guess[:3] - satellites
        far = np.linalg.norm(sight, axis=1)
        slope = np.column_stack([sight / far[:, None], np.ones(len(far))])
        guess = guess + np.linalg.lstsq(slope, ranges - far - guess[3], rcond=None)[0]
    return guess


def test_the_fix_is_the_antennas_place_and_the_delay_is_the_clocks():
    """Four unknowns from six pseudoranges (Kaplan & Hegarty, section 2.4), solved here."""
    antenna, sender = (250.0, -120.0, 15.0), (70.0, 40.0, 5.0)
    attack = GnssMeaconing(
        "place", antenna, delay_s=2e-6, takeover_s=0.0, at="place", place_m=sender
    )
    seen, running = drive(attack, ticks=60)
    _, after, frame = seen[-1]
    car = (frame.ego.pose.x_m, frame.ego.pose.y_m, frame.ego.pose.z_m)
    solved = ranging(np.array(antenna), car, sender, 2e-6)
    told = world_from_gnss(*after["gnss"][:2], ORIGIN)
    assert told == pytest.approx(solved[:2], abs=1e-4)
    assert after["gnss"][2] - 1.0 == pytest.approx(solved[2], abs=1e-3)  # clean: 1 m over the car
    assert running.effect.clock_shift_s * 299_792_458.0 == pytest.approx(solved[3], abs=1e-3)


def test_the_cars_own_past_is_replayed():
    attack = GnssMeaconing(antenna_ahead_m=0.0, delay_s=1.5, takeover_s=0.0)
    errors = errors_m(drive(attack)[0])
    assert errors[:30] == pytest.approx(np.zeros((30, 2)), abs=1e-6)  # nothing recorded yet
    assert errors[30:, 0] == pytest.approx(-1.5 * 8.0, abs=1e-6)


def test_an_antenna_on_a_vehicle_behind():
    attack = GnssMeaconing(antenna_ahead_m=-30.0, antenna_right_m=3.5, takeover_s=0.0)
    x, y = errors_m(drive(attack, yaw=math.pi / 2)[0])[-1]
    assert (x, y) == pytest.approx((-3.5, -30.0), abs=1e-6)


# -- sound -------------------------------------------------------------------------------------


def heard(attack, ticks=400, channel=5, **options):
    seen, _ = drive(attack, ticks=ticks, **options)
    return np.array([after["imu"][channel] - before["imu"][channel] for before, after, _ in seen])


@pytest.mark.parametrize(
    ("sound_hz", "sample_hz"),
    [(8101.0, 100.0), (8098.5, 100.0), (8123.0, 20.0), (5503.7, 20.0), (8089.0, 33.0)],
)
def test_a_sound_shows_at_its_alias(sound_hz, sample_hz):
    """|f - n fs| with the nearest n (Trippel et al. 2017), found by a spectrum of 20 s."""
    recipe = ImuAcoustic(frequency_hz=sound_hz, sample_hz=sample_hz, sound_dbspl=130.0)
    alias_hz = abs(sound_hz - round(sound_hz / sample_hz) * sample_hz)
    swing = heard(recipe) * np.hanning(400)
    spectrum = np.abs(np.fft.rfft(swing, 8000))
    found_hz = np.argmax(spectrum) / 8000 / TICK_S
    assert found_hz == pytest.approx(alias_hz, abs=0.03)


def test_the_attacker_tunes_to_the_alias_nearest_to_the_resonance():
    assert ImuAcoustic(alias_hz=1.0, sample_hz=100.0).sounded_hz() == 8101.0
    assert ImuAcoustic(alias_hz=0.0, sample_hz=190.0).sounded_hz() == 43 * 190.0
    assert ImuAcoustic(part="adxl103", alias_hz=-2.0, sample_hz=400.0).sounded_hz() == 5598.0


def test_a_sound_at_a_multiple_of_the_sampling_rate_is_a_bias():
    """Output biasing of Trippel et al. (2017): A sin(phase), without end."""
    recipe = ImuAcoustic(alias_hz=0.0, phase_deg=90.0, sound_dbspl=110.0)
    assert heard(recipe, ticks=100) == pytest.approx(0.5, abs=1e-9)
    down = ImuAcoustic(alias_hz=0.0, phase_deg=-30.0, sound_dbspl=110.0)
    assert heard(down, ticks=100) == pytest.approx(-0.25, abs=1e-9)


def test_a_clock_that_is_off_makes_a_bias_drift():
    """f - n fs (1 + e): 8100 Hz and 100 ppm make 0.81 Hz."""
    recipe = ImuAcoustic(alias_hz=0.0, clock_ppm=100.0, sound_dbspl=130.0)
    spectrum = np.abs(np.fft.rfft(heard(recipe) * np.hanning(400), 8000))
    assert np.argmax(spectrum) / 8000 / TICK_S == pytest.approx(0.81, abs=0.03)


@pytest.mark.parametrize("sign", [1, -1])
def test_side_swing_has_the_mean_of_half_waves(sign):
    """The mean of half a wave rectified: A / pi."""
    swing = heard(ImuAcoustic(wave="side_swing", sign=sign, sound_dbspl=110.0))
    assert swing.mean() == pytest.approx(sign * 0.5 / math.pi, rel=0.01)
    assert (swing * sign >= 0).all()


def test_the_accelerometer_swings_as_far_as_was_measured():
    """Guo et al. (2021): 4.97 m/s2 under 115 dB SPL, for an ADXL103."""
    recipe = ImuAcoustic("adxl103", "x", 115.0, 1.0, frequency_hz=5500.0, sample_hz=101.0)
    swing = heard(recipe, channel=0)
    assert np.abs(swing).max() == pytest.approx(4.97, rel=0.01)
    assert heard(recipe, channel=1) == pytest.approx(0.0)


def test_sound_falls_with_distance_and_off_the_resonance():
    near = ImuAcoustic(frequency_hz=8100.0, sound_dbspl=120.0)
    # Twice as far, half the pressure (6.02 dB); 140 dB SPL at 1 m are 108.5 at 37.58 m.
    assert dataclasses.replace(near, distance_m=2.0).amplitude(120) == pytest.approx(
        near.amplitude(120) / 2
    )
    far = dataclasses.replace(near, distance_m=37.58)
    assert far.amplitude(140.0) == pytest.approx(near.amplitude(108.5), rel=1e-3)
    # A resonance of quality Q falls to 1 / sqrt 2 at the ends of a band f / Q wide.
    edge_hz = 8100.0 * (math.sqrt(1 + 1 / 1600) + 1 / 40)
    aside = dataclasses.replace(near, frequency_hz=edge_hz)
    assert aside.amplitude(120) == pytest.approx(near.amplitude(120) / math.sqrt(2), rel=1e-6)


def test_what_a_sensor_reads_of_motion_and_sound_together_ends_at_its_range():
    """ADXL103: 1.7 g, of which 9.81 m/s2 of gravity leave 6.86 upwards and 26.5 downwards."""
    loud = ImuAcoustic("adxl103", "z", 140.0, 0.5, frequency_hz=5500.0, sample_hz=101.0)
    swing = heard(loud, channel=2)
    assert swing.max() == pytest.approx(1.7 * 9.80665 - 9.81, abs=1e-9)
    assert swing.min() == pytest.approx(-1.7 * 9.80665, rel=0.01)


def test_no_sound_takes_a_sensor_beyond_its_range():
    for name, part in PARTS.items():
        loud = ImuAcoustic(name, sound_dbspl=140.0, distance_m=0.01, sample_hz=50.0)
        assert loud.amplitude(140.0) == part.full_scale


def test_a_bias_of_the_gyroscope_turns_the_cars_heading_until_the_compass_shows_it():
    recipe = ImuAcoustic(alias_hz=0.0, phase_deg=90.0, sound_dbspl=110.0, timing={"start_s": 5.0})
    seen, _ = drive(recipe, ticks=500)
    clean, shaken = Localiser(ORIGIN, 0.5, 0.02), Localiser(ORIGIN, 0.5, 0.02)
    off = []
    for before, after, _ in seen:
        clean.update(before)
        shaken.update(after)
        off.append(shaken.pose[2] - clean.pose[2])
    assert max(off[:100]) == 0
    assert max(off) > 0.2
    assert abs(off[-1]) < 0.05
    # 0.5 rad/s, and by 20 s on it has been found out.
    assert shaken.biases[1] - clean.biases[1] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("has_wheels, least_mps", [(True, 0.3), (False, 0.8)])
def test_a_swing_of_the_accelerometer_shakes_the_speed_the_car_believes(has_wheels, least_mps):
    recipe = ImuAcoustic("adxl103", axis="x", sound_dbspl=115.0, phase_deg=0.0)
    seen, _ = drive(dataclasses.replace(recipe, timing={"start_s": 5.0}), ticks=200)
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    speeds = []
    for _, after, _ in seen:
        kept = {name: value for name, value in after.items() if has_wheels or name != "speed"}
        localiser.update(kept)
        speeds.append(localiser.speed_mps)
    assert np.ptp(speeds[60:100]) < 0.25
    assert np.ptp(speeds[120:]) / 2 > least_mps
