from __future__ import annotations

import carla
import numpy as np
import pytest

from simattack.policies.localisation import (
    Localiser,
    from_frame,
    into_frame,
    world_from_gnss,
    yaw_from_compass,
)
from simattack.resources import find

ORIGIN = (49.0, 8.0)


def observation(time_s, x=0.0, y=0.0, yaw=0.0, speed=0.0, turn=0.0):
    earth = 6378137.0 * 0.9996
    latitude = ORIGIN[0] + np.rad2deg(y / earth)
    longitude = ORIGIN[1] + np.rad2deg(x / earth / np.cos(np.deg2rad(latitude)))
    return {
        "gnss": np.array([latitude, longitude, 0.0]),
        "imu": np.array([0, 0, 9.81, 0, 0, turn, yaw + np.pi / 2]),
        "speed": np.array([speed]),
        "clock": np.array([time_s, time_s]),
    }


def test_a_fix_lands_where_carla_says_it_came_from():
    path = find("scenarios/maps/town.xodr")
    town = carla.Map("town", path.read_text())
    zero = town.transform_to_geolocation(carla.Location(0, 0, 0))
    for x, y in [(0, 0), (300, -400), (-290, 290), (-500, 700)]:
        fix = town.transform_to_geolocation(carla.Location(x, y, 0))
        here = world_from_gnss(fix.latitude, fix.longitude, (zero.latitude, zero.longitude))
        assert here == pytest.approx([x, y], abs=0.01)


@pytest.mark.parametrize(
    "compass, yaw",
    [(np.pi / 2, 0.0), (0.0, -np.pi / 2), (np.pi, np.pi / 2), (6.0, 6.0 - np.pi / 2 - 2 * np.pi)],
)
def test_the_compass_reads_zero_to_the_north_and_a_quarter_to_the_east(compass, yaw):
    assert yaw_from_compass(compass) == pytest.approx(yaw)


def test_a_pose_frame_has_x_ahead_and_y_to_the_right():
    facing_south = np.array([10.0, 20.0, np.pi / 2])  # world +y
    assert into_frame(np.array([[10.0, 25.0]]), facing_south)[0] == pytest.approx([5.0, 0.0])
    assert into_frame(np.array([[7.0, 20.0]]), facing_south)[0] == pytest.approx([0.0, 3.0])
    there = np.array([[3.0, -2.0], [0.5, 8.0]])
    assert into_frame(from_frame(there, facing_south), facing_south) == pytest.approx(there)


def test_noise_of_half_a_metre_is_averaged_out_on_the_way():
    rng = np.random.default_rng(4)
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    errors = []
    for tick in range(200):
        time_s, x = tick * 0.05, tick * 0.05 * 8
        noise = rng.normal(0, 0.5, 2)
        localiser.update(
            observation(time_s, x + noise[0], noise[1], rng.normal(0, 0.02), speed=8.0)
        )
        errors.append(localiser.pose[:2] - [x, 0])
    assert np.sqrt(np.mean(np.square(errors[60:]))) < 0.15


def test_odometry_ignores_the_fixes_and_remembers_where_it_was():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    rng = np.random.default_rng(0)
    turn = np.pi / 4
    for tick in range(41):
        yaw = 0.1 + turn * tick * 0.05
        localiser.update(
            observation(tick * 0.05, *rng.normal(0, 5, 2), speed=2.0, turn=turn, yaw=yaw)
        )
    # A quarter turn to the right in 2 s on a circle of radius 2 / (pi / 4) = 2.546 m.
    assert localiser.odometry == pytest.approx([2.546, 2.546, np.pi / 2], abs=0.003)
    assert localiser.odometry_at(1.0)[2] == pytest.approx(np.pi / 4, abs=1e-3)
    assert localiser.odometry_at(0.975)[2] == pytest.approx(np.pi / 4 * 0.975, abs=1e-3)


def test_a_first_fix_at_the_seam_of_the_compass_does_not_turn_the_car_round():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    for tick, yaw in enumerate([3.13, -3.13, 3.14, -3.14] * 5):
        localiser.update(observation(tick * 0.05, yaw=yaw))
        assert abs(abs(localiser.pose[2]) - np.pi) < 0.05


def test_a_pose_is_refused_before_the_first_observation():
    with pytest.raises(RuntimeError, match="call update first"):
        _ = Localiser(ORIGIN, 0.5, 0.02).pose


def test_without_a_fix_it_goes_on_by_wheels_gyroscope_and_compass():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    for tick in range(40):
        localiser.update(observation(tick * 0.05, tick * 0.4, speed=8.0))
    for tick in range(40, 140):
        blind = observation(tick * 0.05, speed=8.0)
        blind["gnss"] = np.full(3, np.nan if tick % 2 else np.inf)
        localiser.update(blind)
    assert localiser.pose == pytest.approx([139 * 0.4, 0, 0], abs=0.02)
    # 5 s at 8 m/s by wheels of 1.5 cm a root of a metre, and by a compass that holds the heading.
    assert 0.09 < np.sqrt(localiser._spread[0, 0]) < 0.2
    assert np.sqrt(localiser._spread[2, 2]) < 0.01


def test_the_compass_alone_still_turns_the_pose():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    localiser.update(observation(0.0))
    for tick in range(1, 60):
        blind = observation(tick * 0.05, yaw=0.1)
        blind["gnss"] = np.full(3, np.inf)
        localiser.update(blind)
    assert localiser.pose[2] == pytest.approx(0.1, abs=0.02)


def test_the_first_fix_may_come_late():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    blind = observation(0.0, speed=8.0)
    blind["gnss"] = np.full(3, np.inf)
    localiser.update(blind)
    assert not localiser.has_pose
    localiser.update(observation(0.05, 12.0, 3.0, speed=8.0))
    assert localiser.has_pose
    assert localiser.pose[:2] == pytest.approx([12.0, 3.0], abs=0.01)


def travelled(localiser, seconds, *, sensors=("gnss", "imu", "speed"), push=0.0, turn=0.0,
              too_much=(0.0, 0.0), speed=8.0, std_m=0.3, gnss_s=np.inf, seed=0):  # fmt: skip
    """(3,) true x, y, yaw after driving from the origin along +x; errors of sensors by ``seed``.

    ``push`` [m/s2] and ``turn`` [rad/s] are the car's; ``too_much`` is read on top of them.
    """
    rng = np.random.default_rng(seed)
    x = y = yaw = 0.0
    for tick in range(round(seconds / 0.05) + 1):
        if tick:
            step = (speed + push * 0.025) * 0.05
            x += step * np.cos(yaw + turn * 0.025)
            y += step * np.sin(yaw + turn * 0.025)
            yaw, speed = yaw + turn * 0.05, speed + push * 0.05
        noise = rng.normal(0, std_m, 2)
        obs = observation(tick * 0.05, x + noise[0], y + noise[1], yaw, speed)
        obs["imu"][[0, 5]] = push + too_much[0], turn + too_much[1]
        if tick * 0.05 > gnss_s:
            obs["gnss"] = np.full(3, np.inf)
        kept = {name: value for name, value in obs.items() if name in {*sensors, "clock"}}
        localiser.update(kept, turn)
    return np.array([x, y, yaw])


def textbook(state, spread, obs, dt, gnss_var, compass_var, wheel_var):
    """One step by the usual formulas: numerical Jacobian, all readings at once, no Joseph."""

    def move(s):
        turn, push = (obs["imu"][5] - s[5]) * dt, (obs["imu"][0] - s[4]) * dt
        step, yaw = (s[3] + push / 2) * dt, s[2] + turn / 2
        x = step * np.cos(yaw) - 1.4 * turn * np.sin(yaw)
        y = step * np.sin(yaw) + 1.4 * turn * np.cos(yaw)
        return s + np.array([x, y, turn, push, 0, 0])

    nudges = 1e-6 * np.eye(6)
    jacobian = np.stack([(move(state + d) - move(state - d)) / 2e-6 for d in nudges], axis=1)
    moved = move(state)
    slip = Localiser.DRIFT_M**2 * (state[3] + (obs["imu"][0] - state[4]) * dt / 2) * dt
    grown = np.square([Localiser.TURN_DRIFT_RAD, Localiser.PUSH_DRIFT_MPS, *Localiser.BIAS_WALK])
    spread = jacobian @ spread @ jacobian.T + np.diag([slip, slip, *(grown * dt)])
    fix = world_from_gnss(*obs["gnss"][:2], ORIGIN)
    seen = np.array([*fix, yaw_from_compass(obs["imu"][6]), obs["speed"][0]])
    rows = np.eye(6)[:4]
    noise = np.diag([gnss_var, gnss_var, compass_var, wheel_var])
    gain = spread @ rows.T @ np.linalg.inv(rows @ spread @ rows.T + noise)
    return moved + gain @ (seen - moved[:4]), (np.eye(6) - gain @ rows) @ spread


def test_it_agrees_with_a_textbooks_filter_that_takes_all_readings_at_once():
    localiser = Localiser(ORIGIN, 0.5, 0.02, 0.1, rear_m=1.4)
    rng = np.random.default_rng(3)
    localiser.update(observation(0.0, speed=6.0))
    state, spread = localiser._state.copy(), localiser._spread.copy()
    for tick in range(1, 40):
        x, y, yaw, speed = rng.normal([tick * 0.3, 0, 0.01 * tick, 6], [0.5, 0.5, 0.02, 0.1])
        obs = observation(tick * 0.05, x, y, yaw, speed, turn=rng.normal(0.2, 0.05))
        obs["imu"][0] = rng.normal(0.5, 0.3)
        localiser.update(obs)
        state, spread = textbook(state, spread, obs, 0.05, 0.5**2, 0.02**2, 0.1**2)
        assert localiser._state == pytest.approx(state, abs=1e-6)
        assert localiser._spread == pytest.approx(spread, abs=1e-7)


def test_the_middle_of_a_turning_car_swings_out_of_where_it_looks():
    """A quarter turn about a point 5 m beside the rear axle, of a car with it 1.4 m behind."""
    localiser = Localiser(ORIGIN, 0.5, 0.02, rear_m=1.4)
    turn = np.pi / 4
    for tick in range(41):
        yaw = turn * tick * 0.05
        obs = observation(tick * 0.05, yaw=yaw, speed=5.0 * turn, turn=turn)
        if tick:
            obs["gnss"] = np.full(3, np.inf)
        localiser.update(obs)
    # The axle goes from (-1.4, 0) to (3.6, 5), and the middle is then 1.4 m beyond it in y.
    assert localiser.odometry == pytest.approx([5.0 - 1.4, 5.0 + 1.4, np.pi / 2], abs=0.01)
    assert localiser.pose == pytest.approx([3.6, 6.4, np.pi / 2], abs=0.01)


def test_it_learns_what_the_inertial_unit_reads_too_much():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    travelled(localiser, 20.0, turn=0.1, too_much=(0.4, 0.02))
    assert localiser.biases == pytest.approx([0.4, 0.02], abs=0.003)
    assert localiser.turn_radps == pytest.approx(0.1, abs=0.003)


def test_a_push_that_nobody_felt_adds_up_twice_without_wheels_and_fixes():
    sensors = ("gnss", "imu")
    lost = Localiser(ORIGIN, 0.5, 0.02)
    truth = travelled(lost, 20.0, sensors=sensors, std_m=0.0)
    start, before = truth[0], float(lost.biases[0])
    for tick in range(1, 201):
        obs = observation(20.0 + tick * 0.05)
        obs["imu"][0] = before + 0.1
        lost.update({"imu": obs["imu"], "clock": obs["clock"]})
    # 8 m/s for 10 s, and 0.1 m/s2 that is not there: 0.1 * 10^2 / 2 = 5 m too far.
    assert lost.pose[0] - start == pytest.approx(80 + 5.0, abs=0.3)
    assert lost.speed_mps == pytest.approx(9.0, abs=0.03)


def test_without_a_fix_for_half_a_minute_it_is_a_few_decimetres_off():
    worst = 0.0
    for seed in range(3):
        localiser = Localiser(ORIGIN, 0.5, 0.02)
        truth = travelled(localiser, 40.0, turn=0.05, gnss_s=10.0, seed=seed)
        worst = max(worst, np.hypot(*(localiser.pose[:2] - truth[:2])))
    assert 0.01 < worst < 0.4


@pytest.mark.parametrize(
    "sensors, limit_m", [(("gnss", "speed"), 0.35), (("gnss", "imu"), 0.35), (("gnss",), 0.6)]
)
def test_it_finds_its_way_with_fewer_sensors(sensors, limit_m):
    localiser = Localiser(ORIGIN, 0.5, 0.02, heading_rad=0.15)
    truth = travelled(localiser, 20.0, sensors=sensors, turn=0.15)
    assert np.hypot(*(localiser.pose[:2] - truth[:2])) < limit_m
    assert abs((localiser.pose[2] - truth[2] + np.pi) % (2 * np.pi) - np.pi) < 0.06
    assert localiser.speed_mps == pytest.approx(8.0, abs=0.6)


def test_without_fixes_from_the_start_it_never_knows_where_it_is():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    travelled(localiser, 2.0, sensors=("imu", "speed"))
    assert not localiser.has_pose


def test_surprise_is_counted_in_standard_deviations_and_a_gate_may_refuse_it():
    localiser = Localiser(ORIGIN, 0.5, 0.02)
    found = []
    rng = np.random.default_rng(1)
    for tick in range(600):
        localiser.update(observation(tick * 0.05, *rng.normal(0, 0.5, 2)))
        found.append(localiser.nis["gnss"])
    # Chi-squared with two degrees of freedom has the mean 2, and 1 % above 9.21.
    assert np.mean(found[100:]) == pytest.approx(2.0, abs=0.25)
    gated = Localiser(ORIGIN, 0.5, 0.02, gates={"gnss": 9.21})
    for each in (localiser, gated):
        for tick in range(600, 640):
            each.update(observation(tick * 0.05))
        each.update(observation(32.0, 10.0, 0.0))
        assert each.nis["gnss"] > 100
    assert localiser.pose[0] > 0.1
    assert gated.pose[0] == pytest.approx(0.0, abs=0.1)
