"""Alarms: who is believed, and how the car drives then; on a flat plane, without a simulator."""

from dataclasses import replace

import numpy as np
import pytest
from closed_loop import CAR, ORIGIN, TICK_S, straight

from simattack.policies.fallback import Doubts, Fallback, Trust, believed
from simattack.policies.localisation import EARTH_RADIUS_M
from simattack.policies.modular import Modular
from simattack.types import CarInfo, Detections, Radar, Verdict

ALL = ("camera", "lidar", "radar", "gnss", "imu", "speed")


def hear(doubts, alarm, looks, from_s=0.0, period_s=0.1):
    """The trust after so many verdicts with that alarm."""
    trust = Trust()
    for look in range(looks):
        trust = doubts.update(Verdict(Detections.none(), alarm), from_s + look * period_s)
    return trust


def test_an_alarm_counts_after_three_looks_and_not_before():
    doubts = Doubts(Fallback(looks=3), ALL)
    assert hear(doubts, {"lidar": 0.5}, 2).doubted == frozenset()
    assert hear(doubts, {"lidar": 0.5}, 1, 0.2).doubted == {"lidar"}


def test_a_verdict_told_again_is_no_second_look():
    doubts, verdict = Doubts(Fallback(looks=2), ALL), Verdict(Detections.none(), {"radar": 1.0})
    assert all(not doubts.update(verdict, tick * 0.05).doubted for tick in range(10))


def test_a_weak_alarm_and_one_that_comes_and_goes_change_nothing():
    doubts = Doubts(Fallback(looks=3), ALL)
    assert not hear(doubts, {"lidar": 0.49}, 20).doubted
    for look in range(20):
        trust = doubts.update(Verdict(Detections.none(), {"lidar": float(look % 2)}), look * 0.1)
    assert not trust.doubted


def test_a_sensor_is_believed_again_two_seconds_after_its_last_alarm():
    doubts = Doubts(Fallback(looks=1, clear_s=2.0), ALL)
    doubts.update(Verdict(Detections.none(), {"lidar": 1.0}), 0.0)
    calm = Verdict(Detections.none())
    assert doubts.update(calm, 1.95).doubted == {"lidar"}
    assert not doubts.update(calm, 2.0).doubted


def test_without_looks_alarms_change_nothing():
    assert hear(Doubts(Fallback(looks=0), ALL), dict.fromkeys(ALL, 1.0), 50) == Trust()


def test_a_car_that_sees_by_another_sensor_goes_on_slowly_without_its_camera():
    trust = hear(Doubts(Fallback(slow_mps=5.0), ALL), {"camera": 1.0}, 3)
    assert trust.limit_mps == 5.0 and not trust.is_stop
    assert not trust.counts(("camera",)) and trust.counts(("camera", "lidar"))


@pytest.mark.parametrize(
    ("sensors", "alarmed"),
    [
        (("camera", "gnss", "imu", "speed"), {"camera"}),
        (ALL, {"camera", "lidar", "radar"}),
        (ALL, {"gnss", "imu"}),
        (ALL, {"gnss", "speed"}),
    ],
)
def test_too_little_that_is_believed_stops_the_car(sensors, alarmed):
    trust = hear(Doubts(Fallback(), sensors), dict.fromkeys(alarmed, 1.0), 3)
    assert trust.is_stop
    assert trust.counts(("camera",))  # while it stops, nothing is ruled out


def test_the_car_stops_without_a_sensor_that_it_was_told_not_to_go_on_without():
    rules = Fallback(stop_without=("lidar",))
    assert hear(Doubts(rules, ALL), {"lidar": 1.0}, 3).is_stop
    assert not hear(Doubts(rules, ALL), {"radar": 1.0}, 3).is_stop
    assert not hear(Doubts(Fallback(), ALL), {"lidar": 1.0}, 3).is_stop
    # As a scenario's file says it, and as its part holds it.
    for told in (["lidar"], ("lidar",)):
        assert Modular(fallback={"stop_without": told}).fallback == rules


def test_fixes_are_done_without_for_twenty_seconds():
    doubts = Doubts(Fallback(looks=1, blind_s=20.0), ALL)
    assert not hear(doubts, {"gnss": 1.0}, 201).is_stop  # the last of them at 20.0 s
    assert hear(doubts, {"gnss": 1.0}, 1, 20.1).is_stop


def test_only_the_sensors_of_the_localisation_are_left_out_of_what_it_gets():
    obs = dict.fromkeys((*ALL, "clock"), np.zeros(1))
    kept = believed(obs, Trust(frozenset({"gnss", "camera", "lidar"})))
    assert set(kept) == {*ALL, "clock"} - {"gnss"}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"looks": 1.5}, "looks.*whole number"),
        ({"slow_mps": 0.0}, "slow_mps"),
        ({"lokks": 1}, "looks"),
        ({"stop_without": ["gnss"]}, "stop_without must be one of .*, got 'gnss'"),
        ({"stop_without": "lidar"}, "stop_without"),
    ],
)
def test_an_odd_fallback_is_refused_in_one_line(options, line):
    with pytest.raises(ValueError, match=line):
        Modular(fallback=options)


def drive(alarm, seconds, *, start_mps=8.0, car: CarInfo = CAR, fallback=None):
    """Speeds of a car on a free straight road whose verdicts have this alarm from 1 s on."""
    driver = Modular(fallback=fallback or Fallback()).begin(
        car, straight(300, 8.0), np.random.default_rng(0)
    )
    x, speed, speeds = 0.0, start_mps, []
    verdict = Verdict(Detections.none())
    for tick in range(round(seconds / TICK_S)):
        time_s = tick * TICK_S
        if tick % 2 == 0:
            verdict = Verdict(Detections.none(), alarm(time_s))
        obs = {
            "gnss": np.array(
                [ORIGIN[0], ORIGIN[1] + np.rad2deg(x / EARTH_RADIUS_M)
                 / np.cos(np.deg2rad(ORIGIN[0])), 0.0]
            ),
            "imu": np.array([0, 0, 9.81, 0, 0, 0, np.pi / 2]),
            "speed": np.array([speed]),
            "clock": np.array([time_s, time_s - time_s % 0.1]),
        }  # fmt: skip
        _, throttle, brake = driver.act(obs, verdict)
        speeds.append(speed)
        speed = max(speed + (4.4 * throttle - 8.8 * brake - 0.12) * TICK_S, 0.0)
        x += speed * TICK_S
    return np.array(speeds)


def test_a_car_with_a_camera_alone_stops_gently_and_goes_on_two_seconds_after_the_alarm():
    speeds = drive(lambda time_s: {"camera": float(1 <= time_s < 8)}, 16.0)
    assert speeds[:20].min() > 7.5
    assert speeds[140:190].max() < 0.1  # 7.0 to 9.5 s: it stands and waits
    assert speeds[-1] > 7.0
    assert np.diff(speeds).min() / TICK_S > -3.0  # 2 m/s2, and the pedals' roughness


def test_a_car_without_alarms_drives_as_one_without_a_fallback():
    free = drive(lambda _: {}, 4.0)
    assert (free == drive(lambda _: {}, 4.0, fallback=Fallback(looks=0))).all()
    assert (free == drive(lambda _: {"camera": 1.0}, 4.0, fallback=Fallback(looks=0))).all()


def test_a_car_with_another_eye_goes_at_its_slow_speed():
    seeing = replace(CAR, radar=Radar())
    speeds = drive(lambda _: {"camera": 1.0}, 10.0, car=seeing)
    assert speeds[-1] == pytest.approx(5.0, abs=0.3)
