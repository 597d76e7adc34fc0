import math

import numpy as np
import pytest

from simattack.server.bodies import Body, Contact
from simattack.server.sensors.events import CollisionEvent, collisions
from simattack.server.sensors.navigation import compass, gnss, imu, noise_stream
from simattack.types import Pose

G = 9.81


class Globe:
    def geolocation(self, x, y, z):
        return 49.0 + y * 1e-5, 8.0 + x * 2e-5, z


def test_gnss_without_noise_is_the_place_of_the_sensor():
    fix = gnss(Globe(), Pose(10.0, 20.0, 3.0), {}, noise_stream({}))
    assert fix == pytest.approx((49.0002, 8.0002, 3.0), abs=1e-12)


def test_gnss_noise_has_the_bias_and_deviation_of_its_attributes():
    attributes = {
        "noise_lat_bias": "1e-4",
        "noise_lat_stddev": "2e-5",
        "noise_lon_bias": "-3e-4",
        "noise_lon_stddev": "5e-5",
        "noise_alt_bias": "1.5",
        "noise_alt_stddev": "0.5",
        "noise_seed": "7",
    }
    rng = noise_stream(attributes)
    fixes = np.array([gnss(Globe(), Pose(), attributes, rng) for _ in range(4000)])
    errors = fixes - (49.0, 8.0, 0.0)
    deviations = np.array([2e-5, 5e-5, 0.5])
    # standard errors of 4000 draws: 1.6 % for the mean, 1.1 % for the deviation
    assert np.abs(errors.mean(0) - [1e-4, -3e-4, 1.5]) / deviations == pytest.approx(0, abs=0.064)
    assert errors.std(0) == pytest.approx(deviations, rel=0.045)
    correlation = np.corrcoef(errors.T)
    assert np.abs(correlation[np.triu_indices(3, 1)]).max() < 0.07


def test_one_seed_gives_one_noise_and_another_another():
    attributes = {"noise_lat_stddev": "1e-5", "noise_seed": "3"}
    first = gnss(Globe(), Pose(), attributes, noise_stream(attributes))
    assert gnss(Globe(), Pose(), attributes, noise_stream(attributes)) == first
    other = {**attributes, "noise_seed": "4"}
    assert gnss(Globe(), Pose(), other, noise_stream(other)) != first
    assert gnss(Globe(), Pose(), attributes, noise_stream(attributes, 1)) != first


@pytest.mark.parametrize(
    ("yaw_deg", "expected_deg"), [(-90, 0), (0, 90), (90, 180), (180, 270), (-135, 315)]
)
def test_the_compass_counts_clockwise_from_minus_y(yaw_deg, expected_deg):
    pose = Pose(yaw_rad=math.radians(yaw_deg))
    reading = imu(Body(pose), pose, {}, noise_stream({}))
    assert math.degrees(reading.compass_rad) == pytest.approx(expected_deg, abs=1e-9)


def test_the_compass_stays_below_a_full_circle():
    assert 0.0 <= compass(-1e-300, -1.0) < 2 * math.pi


def test_a_unit_at_rest_feels_gravity_upwards():
    reading = imu(Body(Pose(yaw_rad=1.0)), Pose(yaw_rad=1.0), {}, noise_stream({}))
    assert reading.accelerometer_mps2 == pytest.approx((0.0, 0.0, G))
    assert reading.gyroscope_radps == (0.0, 0.0, 0.0)


def test_gravity_turns_with_the_mounting():
    nose_up = imu(Body(Pose()), Pose(pitch_rad=math.radians(30)), {}, noise_stream({}))
    assert nose_up.accelerometer_mps2 == pytest.approx((G / 2, 0.0, G * math.sqrt(3) / 2))
    right_down = imu(Body(Pose()), Pose(roll_rad=math.radians(90)), {}, noise_stream({}))
    assert right_down.accelerometer_mps2 == pytest.approx((0.0, -G, 0.0))


def test_braking_towards_minus_x_world_is_felt_along_the_cars_own_axes():
    body = Body(Pose(yaw_rad=math.pi / 2), acceleration_mps2=(0.0, -4.0, 0.0))
    reading = imu(body, body.pose, {}, noise_stream({}))
    assert reading.accelerometer_mps2 == pytest.approx((-4.0, 0.0, G))


def test_a_unit_ahead_of_the_centre_feels_the_turn():
    body = Body(
        Pose(),
        angular_velocity_radps=(0.0, 0.0, 0.5),
        angular_acceleration_radps2=(0.0, 0.0, 0.2),
    )
    reading = imu(body, Pose(x_m=2.0), {}, noise_stream({}))
    # towards the centre w^2 r = 0.5; sideways, to the right as yaw speeds up, 0.2 * 2
    assert reading.accelerometer_mps2 == pytest.approx((-0.5, 0.4, G))
    assert reading.gyroscope_radps == pytest.approx((0.0, 0.0, 0.5))


def test_imu_noise_has_the_deviations_and_biases_of_its_attributes():
    attributes = {
        "noise_accel_stddev_x": "0.1",
        "noise_accel_stddev_z": "0.3",
        "noise_gyro_stddev_y": "0.02",
        "noise_gyro_bias_x": "0.05",
        "noise_gyro_bias_z": "-0.01",
    }
    rng = noise_stream(attributes)
    readings = [imu(Body(Pose()), Pose(), attributes, rng) for _ in range(2000)]
    felt = np.array([reading.accelerometer_mps2 for reading in readings])
    turned = np.array([reading.gyroscope_radps for reading in readings])
    assert felt.std(0) == pytest.approx([0.1, 0.0, 0.3], rel=0.07)
    assert felt.mean(0) == pytest.approx([0.0, 0.0, G], abs=0.03)
    assert turned.std(0) == pytest.approx([0.0, 0.02, 0.0], rel=0.07, abs=1e-12)
    assert turned.mean(0) == pytest.approx([0.05, 0.0, -0.01], abs=0.002)


def test_both_sides_of_a_crash_hear_of_it_with_opposite_impulses():
    contacts = [Contact(3, 8, (-5.0, 1.0, 0.0)), Contact(8, 0, (2.0, 0.0, 0.0))]
    events = list(collisions(contacts, {20: 3, 21: 8, 22: 5}))
    assert events == [
        CollisionEvent(20, 3, 8, (-5.0, 1.0, 0.0)),
        CollisionEvent(21, 8, 3, (5.0, -1.0, 0.0)),
        CollisionEvent(21, 8, 0, (2.0, 0.0, 0.0)),
    ]


def test_a_sensor_without_a_parent_hears_nothing_of_scenery():
    assert list(collisions([Contact(8, 0, (2.0, 0.0, 0.0))], {20: 0})) == []
