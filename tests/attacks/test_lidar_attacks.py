"""Light, spoofed points and removed points in a scan: truths by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simattack.attacks.lidar_injection import HARDWARE, LidarInjection
from simattack.attacks.lidar_removal import LidarRemoval, looking_at
from simattack.attacks.lidar_saturation import LidarSaturation
from simattack.types import Lidar
from tests.attacks.ranging import WALL_M, drive, sensed

LIDAR = Lidar()
STEP_DEG = 360 / 1024
SURE = {"success": 1.0, "point_std_m": 0.0, "scan_std_m": 0.0}


def scan(attack, ticks=1, **options):
    """The last scan."""
    return drive(attack, ticks, **options)[0][-1][1]["lidar"]


def columns_deg(mask):
    """Least and greatest azimuth of the firings in a mask, and how many columns they have."""
    columns = np.flatnonzero(mask.any(0))
    azimuth = np.degrees(LIDAR.azimuth_rad[columns])
    return azimuth.min(), azimuth.max(), len(columns)


# -- light ---------------------------------------------------------------------------------------


def test_a_light_blinds_up_to_a_distance():
    """0.5 W through 36e-6 pi m2: 4 P A / (pi w^2) is 1e-4 W where the beam is w = 0.849 m wide,
    at (0.849 - 0.005) / (2 tan 10 mrad) = 42.2 m; a firing 0.2 and 1 deg aside sees 2 % less."""
    attack = LidarSaturation()
    assert attack.reach_m(1e-4) == pytest.approx(42.17, abs=0.01)
    assert attack.collected_w(42.17) == pytest.approx(1e-4, rel=1e-3)
    assert (scan(LidarSaturation(distance_m=41.0))[..., 0] == 0).any()
    assert not (scan(LidarSaturation(distance_m=42.5))[..., 0] == 0).any()


def test_a_light_blinds_the_sector_that_its_power_gives():
    """From 15 m a firing collects 7.74 times what saturates it: within 1.5 deg *
    sqrt(log2(7.74) - (2 / 15)^2) = 2.57 deg it is blind, 7 columns either way of those 1 deg up
    or down."""
    blind = scan(LidarSaturation(distance_m=15.0))[..., 0] == 0
    assert blind[7].sum() == blind[8].sum() == 14
    assert columns_deg(blind) == pytest.approx((-6.5 * STEP_DEG, 6.5 * STEP_DEG, 14))


def test_beside_the_blind_sector_ranges_are_random():
    told = scan(LidarSaturation(distance_m=15.0))
    random = (told[..., 0] != np.float32(WALL_M)) & (told[..., 0] > 0)
    assert random.sum() > 150
    values = told[random][:, 0]
    assert values.mean() == pytest.approx(50, abs=3 * 100 / math.sqrt(12 * len(values)))
    # log2(774) = 9.6: 4.64 deg aside at most.
    assert columns_deg(random)[1] <= 4.64


def test_a_light_to_the_left_blinds_the_left():
    low, high, _ = columns_deg(scan(LidarSaturation(bearing_deg=-90.0))[..., 0] == 0)
    assert (low + high) / 2 == pytest.approx(-90.0, abs=STEP_DEG)


# -- spoofed points --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hardware", "points", "sector_deg"), [("early", 60, 8.0), ("delayed", 200, 10.0)]
)
def test_a_spoofer_places_no_more_points_than_it_can_in_its_sector(hardware, points, sector_deg):
    """A wall 3 m from the bumper offers more than either can place within its sector."""
    attack = LidarInjection(outline="wall", ahead_m=3.0, hardware=hardware, **SURE)
    is_told = scan(attack)[..., 0] != np.float32(WALL_M)
    assert is_told.sum() == points
    low, high, _ = columns_deg(is_told)
    assert -sector_deg / 2 <= low < -sector_deg / 2 + 1 and high == -low


def test_the_points_lie_on_the_outline_where_it_is_said_to_stand():
    told = scan(LidarInjection(ahead_m=7.65, right_m=0.5, **SURE), seed=5)
    told[told[..., 0] == np.float32(WALL_M)] = 0
    points = LIDAR.points(told)
    # 7.65 m from a bumper 2.35 m ahead of the middle; 3 cm are the sensor's own noise.
    assert np.abs(points[:, 0] - 10.0).max() < 5 * 0.03
    assert -0.41 < points[:, 1].min() and points[:, 1].max() < 1.41
    assert 0 < points[:, 2].min() and points[:, 2].max() < 1.5


def test_all_points_of_a_scan_share_an_error_and_each_has_its_own():
    plain = LidarInjection(outline="wall", ahead_m=7.65)
    errors = []
    for seed in range(20):
        told = scan(plain, seed=seed)
        told[told[..., 0] == np.float32(WALL_M)] = 0
        aim = plain.aimed_m(LIDAR, 0.0)
        is_told = told[..., 0] > 0
        errors.append((told[..., 0] - aim)[is_told])
    means = np.array([error.mean() for error in errors])
    assert np.std(means) == pytest.approx(0.35, abs=3 * 0.35 / math.sqrt(40))
    own = np.concatenate([error - error.mean() for error in errors])
    assert own.std() == pytest.approx(math.hypot(0.10, 0.03), rel=0.05)
    assert np.mean([len(error) for error in errors]) / (aim > 0).sum() == pytest.approx(
        0.985, abs=0.01
    )


def test_what_stands_comes_nearer_and_what_moves_along_does_not():
    def nearest(attack):
        told, _ = drive(attack, 21, speed_mps=4.0)
        return [tampered["lidar"][..., 0].min() for _, tampered in (told[0], told[20])]

    first, last = nearest(LidarInjection(ahead_m=12.0, **SURE))
    assert first - last == pytest.approx(4.0, abs=0.3)  # after 1 s
    first, last = nearest(LidarInjection(ahead_m=12.0, is_standing=False, **SURE))
    assert first - last == pytest.approx(0.0, abs=0.2)


def test_a_thing_is_put_elsewhere_while_it_is_seen():
    def move(running, tick):
        if tick == 4:
            running.set(np.array([20.0, 5.0, 0.0]))

    told, _ = drive(LidarInjection(ahead_m=12.0, **SURE), 5, steps=move)
    first, last = (told[k][1]["lidar"][..., 0].min() for k in (0, 4))
    assert (first, last) == pytest.approx((14.4, 7.4), abs=0.3)  # 2.35 m to the bumper


def test_a_thing_that_is_asked_for_again_stays_where_it_stands():
    def again(running, tick):
        running.set(np.array([20.0, 12.0, 0.0]))

    attack = LidarInjection(ahead_m=12.0, **SURE)
    told, _ = drive(attack, 11, speed_mps=4.0, steps=again)
    first, last = (told[k][1]["lidar"][..., 0].min() for k in (0, 10))
    assert first - last == pytest.approx(2.0, abs=0.3)  # after 0.5 s


def test_a_thing_is_put_ahead_anew_each_time_that_the_attack_goes_on():
    """On for one scan of three, 3 m of driving apart: as near in each."""
    timing = {"duration_s": 0.05, "every_s": 0.3}
    told, _ = drive(LidarInjection(ahead_m=12.0, timing=timing, **SURE), 13, speed_mps=10.0)
    nearest = [told[k][1]["lidar"][..., 0].min() for k in (0, 6, 12)]
    assert nearest == pytest.approx([14.4] * 3, abs=0.2)
    assert all((told[k][1]["lidar"] == told[k][0]["lidar"]).all() for k in (2, 4, 8, 10))


def test_a_pulse_that_is_weaker_than_the_echo_changes_nothing():
    """As strong as the echo from 20 m: what is farther away is overwritten, what is nearer not."""
    bare = LidarInjection(power_w=1.0, outline="wall", **SURE)
    power_w = float(bare.receiver.echo_w(np.array(20.0))) / bare.collected_w(10.0)
    attack = LidarInjection(power_w=power_w, outline="wall", **SURE)
    for range_m, is_changed in ((19.9, False), (20.1, True)):
        clean = np.full((16, 1024, 2), range_m, np.float32)
        assert (scan(attack, scan=clean) != clean).any() == is_changed


def test_a_pulse_that_comes_when_the_sensor_no_longer_listens_leaves_the_echo():
    """A wall 98 m from the bumper is 100.35 m away, of a scan that ends at 100 m."""
    far = LidarInjection(outline="wall", ahead_m=98.0, **SURE)
    assert (far.aimed_m(LIDAR, 0.0) > 100.3).sum() > 0
    assert (scan(far, seed=1) == sensed(0)["lidar"]).all()
    assert (scan(LidarInjection(outline="wall", ahead_m=97.0, **SURE)) != sensed(0)["lidar"]).any()


def test_more_hardware_places_more_until_the_sensor_has_no_more_firings():
    """The table of docs/attacks.md: points on a thing so far from the bumper."""
    table = {
        (outline, hardware): [
            int((LidarInjection(outline=outline, hardware=hardware, ahead_m=m).aimed_m(
                LIDAR, 0.0) > 0).sum())
            for m in (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
        ]
        for outline in ("car", "pedestrian")
        for hardware in HARDWARE
    }  # fmt: skip
    assert table["car", "early"] == [60, 60, 32, 14, 18, 12]
    assert table["car", "delayed"] == [112, 66, 32, 14, 18, 12]
    assert table["car", "patterned"] == table["car", "modern"] == [160, 66, 32, 14, 18, 12]
    assert {tuple(table["pedestrian", hardware]) for hardware in HARDWARE} == {
        (46, 20, 10, 4, 4, 4)
    }


# -- removed points --------------------------------------------------------------------------------


def test_pulses_in_time_leave_nothing_of_the_sector_and_all_of_the_rest():
    told = scan(LidarRemoval(success=1.0))
    gone = told[..., 0] == 0
    # 45 deg / 2 = 64 columns either way.
    assert gone.sum() == 16 * 128 and columns_deg(gone)[2] == 128
    assert (told[~gone] == sensed(0)["lidar"][~gone]).all()


def test_each_firing_works_by_chance():
    gone = (scan(LidarRemoval(success=0.6))[..., 0] == 0).sum()
    assert gone / (16 * 128) == pytest.approx(0.6, abs=4 * math.sqrt(0.24 / 2048))


def test_a_sensor_that_does_not_filter_tells_points_nearer_than_its_least_range():
    told = scan(LidarRemoval(success=1.0, is_filtered=False, least_range_m=0.8))[..., 0]
    near = told[told < WALL_M]
    assert near.size == 16 * 128 and 0 < near.min() and near.max() <= 0.8


def test_pulses_at_a_high_frequency_leave_random_ranges():
    attack = LidarRemoval(method="high_frequency", sector_deg=60.0, success=1.0)
    told = scan(attack)[..., 0]
    hit = told[told != np.float32(WALL_M)]
    assert hit.size == pytest.approx(16 * 170, abs=16)
    # 1 m of 100 m is filtered out.
    assert np.mean(hit == 0) == pytest.approx(0.01, abs=4 * math.sqrt(0.01 / hit.size))
    assert hit.mean() == pytest.approx(50.0, abs=4 * 100 / math.sqrt(12 * hit.size))


def test_a_slow_pulse_train_misses_firings():
    """The sensor listens for 2 * 100 m / c = 667 ns: at 0.6 MHz for 0.4 of the time."""
    attack = LidarRemoval(method="high_frequency", pulse_mhz=0.6, success=1.0)
    assert attack.chance(LIDAR) == pytest.approx(0.4003, abs=1e-4)
    assert LidarRemoval(method="high_frequency", success=0.9).chance(LIDAR) == 0.9


def test_of_an_actor_the_firings_at_its_box_are_taken():
    """The car's rear is 20 m ahead, 1.9 m wide and 1.5 m high, its front 24.7 m: 2.72 + 1 deg
    either way are 11 columns, and from -5.43 - 1 to -0.93 + 1 deg three channels."""
    attack = LidarRemoval(target="actor", actor="vehicle", success=1.0)
    gone = scan(attack)[..., 0] == 0
    assert gone.sum(1).tolist() == [0] * 8 + [22] * 3 + [0] * 5
    assert not (scan(LidarRemoval(target="actor", actor="truck"))[..., 0] == 0).any()


def test_an_actor_beside_the_sector_is_out_of_reach():
    away = LidarRemoval(target="actor", actor="vehicle", bearing_deg=90.0)
    assert not (scan(away)[..., 0] == 0).any()


def test_a_box_straight_behind_is_looked_at_from_both_ends_of_the_scan():
    corners = np.array([[-10.0, y, z] for y in (-1, 1) for z in (-1, 1)])
    columns = np.flatnonzero(looking_at(LIDAR, corners, 0.0).any(0))
    assert len(columns) == 32 and {0, 1023} <= set(columns)  # atan(1 / 10) = 5.7 deg either way


def test_an_echo_that_is_stronger_than_the_pulse_stays():
    bare = LidarRemoval(power_w=1.0)
    power_w = float(bare.receiver.echo_w(np.array(20.0))) / bare.collected_w(5.0)
    near = np.full((16, 1024, 2), 19.9, np.float32)
    assert (scan(LidarRemoval(power_w=power_w), scan=near) == near).all()
