"""Controllers, gears, grip and loads against what a pencil says."""

import math
from dataclasses import replace

import numpy as np
import pytest

from simattack.server import gearbox, telemetry
from simattack.server.ackermann import Ackermann, AckermannOrder, AckermannSettings
from simattack.server.blueprints import BLUEPRINTS
from simattack.server.codec import VehicleControl, read_twist
from simattack.server.physics import Physics
from simattack.server.triggers import FrictionBox
from simattack.server.tyres import wheel_angle
from simattack.server.vehicle_parameters import default_parameters
from simattack.types import Pose

# On a dry road's tyres and with the same lock at every speed: what closed forms are about.
CAR = replace(BLUEPRINTS["vehicle.tesla.model3"], top_friction=1.0, steering_curve=((0.0, 1.0),))
BIKE = BLUEPRINTS["vehicle.kawasaki.ninja"]
WALKER = BLUEPRINTS["walker.pedestrian.0001"]
TICK_S, G = 0.05, 9.81


class Hill:
    """Ground that rises with x."""

    def __init__(self, rise=0.0):
        self.rise = rise

    def height(self, xy):
        return self.rise * xy[:, 0]


def one(blueprint=CAR, speed=0.0, rise=0.0, **changes):
    physics = Physics(Hill(rise), ())
    physics.add(1, blueprint, Pose())
    physics.set_velocity(1, (speed, 0.0, 0.0))
    if changes:
        physics.set_parameters(1, replace(physics.parameters(1), **changes))
    return physics


def run(physics, seconds):
    for _ in range(round(seconds / TICK_S)):
        physics.step(TICK_S)
    return physics.state(1)


def wheels(**changes):
    return tuple(replace(wheel, **changes) for wheel in default_parameters(CAR).wheels)


def measured(physics, control=None, gear=1, blueprint=CAR):
    control = control or VehicleControl()
    now, work = physics.parameters(1), physics.axles(1)
    return telemetry.measure(blueprint, now, control, gear, work)


def follow(physics, order, seconds, settings=None):
    """Speeds under Ackermann control, a tick each."""
    driver = Ackermann(settings)
    driver.order = order
    steer, speeds = 0.0, [physics.state(1).velocity_mps[0]]
    for _ in range(round(seconds / TICK_S)):
        control = driver.step(speeds[-1], steer, physics.parameters(1).max_steer_rad, TICK_S)
        steer = control.steer
        physics.control(1, control.throttle, control.steer, control.brake, reverse=control.reverse)
        speeds.append(run(physics, TICK_S).velocity_mps[0])
    return np.array(speeds)


@pytest.mark.parametrize(("start", "goal"), [(0.0, 8.0), (15.0, 6.0), (0.0, -4.0)])
def test_ackermann_control_reaches_its_speed_within_the_acceleration_asked_for(start, goal):
    speeds = follow(one(speed=start), AckermannOrder(speed_mps=goal, acceleration_mps2=1.5), 18.0)
    assert np.abs(speeds[-20:] - goal).max() < 0.5
    # the acceleration's own loop overshoots its limit at first
    assert np.abs(np.diff(speeds)).max() / TICK_S < 2 * 1.5


def test_ackermann_control_uses_the_gains_it_was_given():
    order, none = AckermannOrder(speed_mps=8.0), AckermannSettings(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert follow(one(), order, 2.0, none).max() == 0.0
    assert follow(one(), order, 2.0).max() > 1.0


def test_ackermann_steering_turns_no_faster_than_asked_for():
    driver = Ackermann()
    driver.order = AckermannOrder(steer_rad=0.4, steer_speed_radps=0.5)
    steer, angles = 0.0, []
    for _ in range(30):
        steer = driver.step(0.0, steer, 0.7, TICK_S).steer
        angles.append(steer * 0.7)
    assert np.diff([0.0, *angles]).max() == pytest.approx(0.5 * TICK_S)
    assert angles[-1] == pytest.approx(0.4)
    driver.order = AckermannOrder(steer_rad=-9.0)
    assert driver.step(0.0, steer, 0.7, TICK_S).steer == -1.0


def test_ackermann_control_of_zero_speed_holds_a_standing_car():
    control = Ackermann().step(0.02, 0.0, 0.7, TICK_S)
    assert (control.throttle, control.brake) == (0.0, 1.0)


@pytest.mark.parametrize("friction", [0.2, 0.5, 0.8])
def test_full_brakes_stop_in_the_distance_of_the_friction_coefficient(friction):
    physics = one(speed=15.0, wheels=wheels(tire_friction=friction), drag_coefficient=0.0)
    physics.control(1, 0.0, 0.0, 1.0)
    assert run(physics, 9.0).pose.x_m == pytest.approx(15.0**2 / (2 * friction * G), rel=0.01)


def test_without_friction_and_drag_a_car_keeps_its_speed_under_full_brakes():
    physics = one(speed=20.0, wheels=wheels(tire_friction=0.0), drag_coefficient=0.0)
    physics.control(1, 0.0, 1.0, 1.0, hand_brake=True)
    assert run(physics, 5.0).velocity_mps == (20.0, 0.0, 0.0)


@pytest.mark.parametrize("blueprint", [CAR, BIKE, WALKER], ids=lambda b: b.mesh)
def test_an_impulse_changes_the_speed_by_itself_over_the_mass(blueprint):
    physics = one(blueprint, speed=3.0)
    physics.add_impulse(1, (600.0, -300.0, 0.0))
    expected = (3.0 + 600.0 / blueprint.mass_kg, -300.0 / blueprint.mass_kg, 0.0)
    assert physics.state(1).velocity_mps == pytest.approx(expected)


def test_an_upward_impulse_throws_a_car_as_high_as_its_energy_allows():
    physics = one()
    run(physics, 0.1)
    physics.add_impulse(1, (0.0, 0.0, 5.0 * CAR.mass_kg))
    heights = [run(physics, TICK_S).pose.z_m for _ in range(30)]
    # a step of 50 ms takes up to v dt / 2 off the top
    assert 25 / (2 * G) - 5 * TICK_S / 2 - 0.01 < max(heights) <= 25 / (2 * G)
    assert heights[-1] == 0.0


def test_a_force_beyond_the_weight_lifts_and_one_below_does_not():
    for share, is_lifted in ((0.9, False), (1.2, True)):
        physics = one()
        run(physics, 0.1)
        for _ in range(20):
            physics.add_force(1, (0.0, 0.0, share * CAR.mass_kg * G))
            physics.step(TICK_S)
        height = physics.state(1).pose.z_m
        assert physics.axles(1).is_on_road != is_lifted
        # 0.2 g for a second
        assert height == pytest.approx(0.5 * 0.2 * G if is_lifted else 0.0, rel=0.08)


def test_without_gravity_a_car_floats_on_and_no_tyre_holds_it():
    physics = one(speed=10.0)
    run(physics, 0.1)
    before = physics.state(1).velocity_mps[0]
    physics.enable_gravity(1, False)
    physics.set_velocity(1, (before, 0.0, 0.2))
    physics.control(1, 0.0, 0.0, 1.0)
    body = run(physics, 1.0)
    assert body.velocity_mps == (before, 0.0, 0.2)
    assert body.pose.z_m == pytest.approx(0.2)


def test_an_angular_impulse_comes_in_the_engines_degrees_and_centimetres():
    inertia = CAR.mass_kg * (CAR.size_m[0] ** 2 + CAR.size_m[1] ** 2) / 12
    physics = one()
    physics.add_angular_impulse(1, read_twist([0.0, 0.0, math.degrees(inertia * 1e4)]))
    assert physics.state(1).angular_velocity_radps[2] == pytest.approx(1.0)


def test_a_constant_velocity_holds_up_a_hill():
    physics = one(rise=0.2)
    physics.constant_velocity(1, (8.0, 0.0, 0.0))
    body = run(physics, 3.0)
    assert math.hypot(*body.velocity_mps) == pytest.approx(8.0, rel=1e-6)
    assert body.velocity_mps[2] == pytest.approx(8.0 * math.sin(math.atan(0.2)), rel=1e-6)


def test_a_held_gear_gives_the_torque_curve_at_its_ratio_until_the_engine_turns_too_fast():
    physics = one(drag_coefficient=0.0)
    now = physics.parameters(1)
    first = gearbox.hold(now, 1)
    top = now.max_rpm * 2 * math.pi / 60 * now.radius_m / (now.gears[0].ratio * now.final_ratio)
    # half the throttle, so that the tyres hold it all
    physics.control(1, 0.5, 0.0, 0.0, in_gear=first)
    run(physics, 2.0)
    before = physics.state(1).velocity_mps[0]
    after = run(physics, TICK_S).velocity_mps[0]
    rpm = before / now.radius_m * now.gears[0].ratio * now.final_ratio * 60 / (2 * math.pi)
    speeds, torques = zip(*now.torque_curve, strict=True)
    torque = np.interp(rpm, speeds, torques)
    force = 0.5 * torque * now.gears[0].ratio * now.final_ratio / now.radius_m
    expected = force / now.mass_kg - 0.012 * G
    assert (after - before) / TICK_S == pytest.approx(expected, rel=0.02)
    assert run(physics, 8.0).velocity_mps[0] == pytest.approx(top, abs=0.1)


def test_in_neutral_the_pedal_moves_nothing():
    physics = one()
    physics.control(1, 1.0, 0.0, 0.0, in_gear=gearbox.hold(physics.parameters(1), 0))
    assert run(physics, 1.0).pose == Pose()


def test_the_automatic_gear_rises_and_falls_with_the_speed_without_hunting():
    now, gear, seen = default_parameters(CAR), 1, []
    for speed in [*np.linspace(0, 45, 200), *np.linspace(45, 0, 200)]:
        gear = gearbox.automatic(now, gear, float(speed))
        seen.append(gear)
        rpm = gearbox.engine_rpm(now, gear, float(speed), 1.0)
        assert gearbox.IDLE_RPM <= rpm <= now.max_rpm
        assert gearbox.automatic(now, gear, float(speed)) == gear
    assert seen[0] == seen[-1] == 1 and max(seen) == len(now.gears)
    assert np.abs(np.diff(seen)).max() == 1 and np.count_nonzero(np.diff(seen)) == 8


@pytest.mark.parametrize("blueprint", [CAR, BIKE], ids=lambda b: b.mesh)
def test_the_loads_at_rest_sum_up_to_the_weight(blueprint):
    physics = one(blueprint)
    run(physics, 0.2)
    loads = [wheel.tire_load_n for wheel in measured(physics, blueprint=blueprint).wheels]
    assert sum(loads) == pytest.approx(blueprint.mass_kg * G)
    assert loads == pytest.approx([blueprint.mass_kg * G / 4] * 4)


def test_a_centre_of_mass_further_forward_loads_the_front_and_frees_the_rear():
    shift = 0.3
    physics = one(speed=15.0, center_of_mass_m=(shift, 0.0, 0.0), drag_coefficient=0.0)
    run(physics, TICK_S)
    front = 0.5 + shift / CAR.wheelbase_m
    loads = [wheel.tire_load_n for wheel in measured(physics).wheels]
    assert sum(loads[:2]) == pytest.approx(CAR.mass_kg * G * front, rel=0.03)  # it coasts
    physics.control(1, 0.0, 0.0, 0.0, hand_brake=True)
    before = run(physics, TICK_S).velocity_mps[0]
    slowed = (before - run(physics, 1.0).velocity_mps[0]) / 1.0
    # the locked rear wheels, the engine and the rolling
    assert slowed == pytest.approx((1 - front) * G + 0.25 + 0.012 * G, rel=0.01)
    # and the body turns about the place where its mass is
    free = one(center_of_mass_m=(shift, 0.0, 0.0), wheels=wheels(tire_friction=0.0))
    free.set_angular_velocity(1, (0.0, 0.0, math.pi))
    pose = run(free, 1.0).pose
    assert (pose.x_m, pose.y_m) == pytest.approx((2 * shift, 0.0), abs=0.01)


def test_softer_tyres_slip_more_for_the_same_bend():
    slips = []
    for value in (17.0, 8.5):
        physics = one(speed=10.0, wheels=wheels(lat_stiff_value=value))
        physics.control(1, 0.2, 0.08, 0.0)
        run(physics, 2.0)
        slips.append(measured(physics).wheels[0].lat_slip_deg)
    assert slips[1] / slips[0] == pytest.approx(2.0, rel=0.15)


def test_the_forces_shown_are_those_that_move_the_car():
    physics = one(speed=15.0)
    physics.control(1, 0.0, 0.0, 0.4)
    run(physics, 0.5)
    before = physics.state(1).velocity_mps[0]
    slowed = (before - run(physics, TICK_S).velocity_mps[0]) / TICK_S
    shown = measured(physics, VehicleControl(brake=0.4))
    along = sum(wheel.long_force_n for wheel in shown.wheels)
    assert -along + shown.drag_n == pytest.approx(CAR.mass_kg * slowed, rel=0.01)
    assert shown.drag_n == pytest.approx(0.5 * 1.2 * 0.3 * 0.8 * 2.16 * 1.49 * before**2, rel=0.05)
    front, rear = shown.wheels[0], shown.wheels[2]
    assert front.tire_load_n > rear.tire_load_n  # it dives
    height, base = 0.35 * CAR.size_m[2], CAR.wheelbase_m
    shifted = 2 * front.tire_load_n - CAR.mass_kg * G / 2
    assert shifted == pytest.approx(-along * height / base, rel=1e-6)
    assert front.omega_radps < before / 0.35 and -1 < front.long_slip < 0


def test_in_a_steady_bend_the_side_forces_turn_the_mass():
    physics = one(speed=10.0)
    for _ in range(60):
        speed = math.hypot(*physics.state(1).velocity_mps[:2])
        physics.control(1, min(max(2 * (10 - speed), 0), 1), 0.1, 0.0)
        physics.step(TICK_S)
    body, shown = physics.state(1), measured(physics, VehicleControl(steer=0.1))
    across = sum(wheel.lat_force_n for wheel in shown.wheels)
    expected = CAR.mass_kg * 10.0 * body.angular_velocity_radps[2]
    assert across == pytest.approx(expected, rel=0.02)
    left, right = shown.wheels[0], shown.wheels[1]
    assert left.tire_load_n > right.tire_load_n  # it turns right and leans left
    assert sum(w.tire_load_n for w in shown.wheels) == pytest.approx(CAR.mass_kg * G)
    assert right.normalized_tire_load < 1 < left.normalized_tire_load


def test_locked_wheels_stand_still_and_a_falling_cars_carry_nothing():
    physics = one(speed=10.0, wheels=wheels(tire_friction=0.3))
    physics.control(1, 0.0, 0.0, 1.0)
    run(physics, 0.3)
    for wheel in measured(physics, VehicleControl(brake=1.0)).wheels:
        assert (wheel.omega_radps, wheel.long_slip) == (0.0, -1.0)
        assert wheel.tire_friction == 0.3
    physics.set_velocity(1, (10.0, 0.0, 4.0))
    run(physics, 0.2)
    assert [w.tire_load_n for w in measured(physics).wheels] == [0.0] * 4


def test_a_walker_jumps_as_high_as_its_leap_and_lands():
    physics = one(WALKER)
    physics.jump(1)  # not standing yet
    run(physics, 0.1)
    assert physics.state(1).pose.z_m == 0.0
    physics.jump(1)
    heights = [run(physics, TICK_S).pose.z_m for _ in range(20)]
    assert 4.2**2 / (2 * G) - 0.12 < max(heights) < 4.2**2 / (2 * G)
    assert heights[-1] == 0.0


@pytest.mark.parametrize(
    ("pose", "is_in"),
    [
        (Pose(), True),
        (Pose(x_m=4.3), True),  # 2 m of box and 2.395 m of car
        (Pose(x_m=4.5), False),
        (Pose(y_m=4.5), False),
        (Pose(y_m=4.3, yaw_rad=math.pi / 2), True),
        (Pose(x_m=3.9, y_m=3.9, yaw_rad=-math.pi / 4), False),  # its corners pass each other
        (Pose(z_m=1.2), False),  # its floor is above the lid
        (Pose(z_m=-2.0), True),
    ],
)
def test_a_friction_box_holds_what_overlaps_it(pose, is_in):
    box = FrictionBox.of(Pose(), {"extent_x": "200", "extent_y": "200", "extent_z": "100"})
    assert box.touches(pose, CAR.size_m) == is_in


def test_the_front_wheels_roll_about_the_point_that_the_rear_axle_turns_about():
    left, right = (wheel_angle(0.3, 2.9, 1.8, is_right) for is_right in (False, True))
    assert right > 0.3 > left  # a right turn
    # cot(outer) - cot(inner) = track / wheelbase
    assert 1 / math.tan(left) - 1 / math.tan(right) == pytest.approx(1.8 / 2.9)
    assert wheel_angle(0.0, 2.9, 1.8, True) == 0.0
