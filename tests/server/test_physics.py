import dataclasses
import math

import numpy as np
import pytest

from simattack.server.blueprints import BLUEPRINTS
from simattack.server.physics import Physics
from simattack.types import CarInfo, Pose

# On a dry road's tyres and with the same lock at every speed: what closed forms are about.
PLAIN = {"top_friction": 1.0, "steering_curve": ((0.0, 1.0),)}
CAR = dataclasses.replace(BLUEPRINTS["vehicle.tesla.model3"], **PLAIN)
SMALL_CAR = dataclasses.replace(BLUEPRINTS["vehicle.audi.a2"], **PLAIN)
WALKER = BLUEPRINTS["walker.pedestrian.0001"]
BOARD = BLUEPRINTS["static.prop.mesh"]
BOX = BLUEPRINTS["static.prop.box01"]
EGO = "vehicle.lincoln.mkz_2020"
TICK_S = 0.05
G = 9.81


class Plane:
    """Ground whose height grows with x and y."""

    def __init__(self, rise_x=0.0, rise_y=0.0):
        self.rise = np.array([rise_x, rise_y])

    def height(self, xy):
        return xy @ self.rise


def wall(x, half_width=5.0, thickness=0.1):
    return np.array(
        [
            (x, -half_width),
            (x + thickness, -half_width),
            (x + thickness, half_width),
            (x, half_width),
        ]
    )


def world(*obstacles, ground=None):
    return Physics(ground or Plane(), obstacles)


def one_car(blueprint=CAR, speed=0.0, **pose):
    physics = world()
    pose = Pose(**pose)
    physics.add(1, blueprint, pose)
    physics.set_velocity(1, (speed * math.cos(pose.yaw_rad), speed * math.sin(pose.yaw_rad), 0.0))
    return physics


def run(physics, seconds):
    return [c for _ in range(round(seconds / TICK_S)) for c in physics.step(TICK_S)]


def drive_at(physics, speed, steer, seconds):
    for _ in range(round(seconds / TICK_S)):
        gap = speed - physics.state(1).speed_mps
        physics.control(1, min(max(2 * gap, 0.0), 1.0), steer, 0.0)
        physics.step(TICK_S)


def test_full_brakes_stop_within_the_distance_of_their_deceleration():
    physics = one_car(speed=15.0)
    physics.control(1, 0.0, 0.0, 1.0)
    run(physics, 4.0)
    # brakes 0.9 g, engine 0.25 m/s2, rolling 0.012 g; air at 15 m/s adds 1 % at most
    expected = 15.0**2 / (2 * (0.9 * G + 0.25 + 0.012 * G))
    assert physics.state(1).pose.x_m == pytest.approx(expected, rel=0.015)


@pytest.mark.parametrize("brake", [0.1, 0.5, 1.0])
def test_a_braking_car_comes_to_rest_exactly_and_stays(brake):
    physics = one_car(speed=8.0, yaw_rad=0.7)
    physics.control(1, 0.0, 0.4, brake)
    run(physics, 12.0)
    body = physics.state(1)
    assert body.velocity_mps == (0.0, 0.0, 0.0)
    assert body.angular_velocity_radps == (0.0, 0.0, 0.0)
    run(physics, 1.0)
    assert physics.state(1).pose == body.pose


def test_a_car_left_alone_does_not_creep():
    physics = one_car()
    run(physics, 2.0)
    assert physics.state(1).pose == Pose()


def test_a_car_rolls_out_and_stops_without_brakes():
    physics = one_car(speed=5.0)
    run(physics, 20.0)
    assert physics.state(1).speed_mps == 0.0
    # engine 0.25 and rolling 0.118 m/s2
    assert physics.state(1).pose.x_m == pytest.approx(25 / (2 * 0.368), rel=0.03)


def test_a_sedan_reaches_100_kmh_in_8_to_10_s_and_tops_out_near_45_mps():
    physics = one_car()
    physics.control(1, 1.0, 0.0, 0.0)
    run(physics, 7.9)
    assert physics.state(1).speed_mps < 100 / 3.6
    run(physics, 2.1)
    assert physics.state(1).speed_mps > 100 / 3.6
    run(physics, 30.0)
    assert 43.0 < physics.state(1).speed_mps <= 45.0


def test_reverse_drives_backwards():
    physics = one_car()
    physics.control(1, 0.5, 0.0, 0.0, reverse=True)
    run(physics, 2.0)
    assert physics.state(1).velocity_mps[0] < -1.0
    assert physics.state(1).pose.x_m < -1.0


@pytest.mark.parametrize("steer", [0.3, -0.6, 0.45])
def test_a_slow_turn_has_the_radius_of_wheelbase_over_tangent_of_steer(steer):
    physics = one_car(speed=1.5)
    drive_at(physics, 1.5, steer, 6.0)
    body = physics.state(1)
    rear_radius = CAR.wheelbase_m / math.tan(steer * CAR.max_steer_rad)
    centre_radius = math.copysign(math.hypot(rear_radius, CAR.wheelbase_m / 2), steer)
    turn = body.angular_velocity_radps[2]
    assert body.speed_mps / turn == pytest.approx(centre_radius, rel=0.01)


def test_steering_to_the_right_turns_clockwise_towards_positive_y():
    physics = one_car(speed=5.0)
    drive_at(physics, 5.0, 0.2, 1.0)
    assert physics.state(1).pose.yaw_rad > 0.1
    assert physics.state(1).pose.y_m > 0.1


def test_side_acceleration_never_beats_the_grip_of_the_tyres():
    physics = one_car(speed=25.0)
    peak = 0.0
    for _ in range(80):
        physics.control(1, 0.5, 0.4, 0.0)
        physics.step(TICK_S)
        peak = max(peak, math.hypot(*physics.state(1).acceleration_mps2[:2]))
    # friction 1 holds for the tyres; air drag comes on top
    assert 0.9 * G < peak < 1.03 * G


def test_half_the_tyre_friction_doubles_the_braking_distance():
    distances = []
    for friction in (3.5, 0.45):
        physics = one_car(speed=15.0)
        was = physics.parameters(1)
        wheels = tuple(dataclasses.replace(w, tire_friction=friction) for w in was.wheels)
        physics.set_parameters(1, dataclasses.replace(was, wheels=wheels))
        physics.control(1, 0.0, 0.0, 1.0)
        run(physics, 6.0)
        distances.append(physics.state(1).pose.x_m)
    # 0.9 g of brakes + 0.0375 g of drag against 0.45 g of grip
    assert distances[1] / distances[0] == pytest.approx(0.9375 / 0.45, rel=0.03)


def test_parameters_change_mass_steering_limit_and_torque():
    physics = one_car()
    was = physics.parameters(1)
    front = [dataclasses.replace(w, max_steer_rad=0.3) for w in was.wheels[:2]]
    curve = tuple((rpm, torque / 2) for rpm, torque in was.torque_curve)
    physics.set_parameters(
        1, dataclasses.replace(was, wheels=(*front, *was.wheels[2:]), torque_curve=curve)
    )
    physics.control(1, 1.0, 1.0, 0.0)
    run(physics, 1.0)
    assert physics.state(1).steer_rad == pytest.approx(0.3)
    half = physics.state(1).speed_mps
    other = one_car()
    other.control(1, 1.0, 0.0, 0.0)
    run(other, 1.0)
    assert half < 0.6 * other.state(1).speed_mps
    physics.set_parameters(1, dataclasses.replace(was, mass_kg=10 * was.mass_kg))
    physics.set_velocity(1, (0.0, 0.0, 0.0))
    physics.add_impulse(1, (10 * was.mass_kg, 0.0, 0.0))
    assert physics.state(1).velocity_mps == pytest.approx((1.0, 0.0, 0.0))


def test_the_steering_curve_takes_lock_away_with_speed():
    physics = one_car(speed=20.0)
    was = physics.parameters(1)
    curve = ((0.0, 1.0), (72.0, 0.5))
    physics.set_parameters(1, dataclasses.replace(was, steering_curve=curve))
    physics.control(1, 0.0, 0.01, 0.0)
    physics.step(TICK_S)
    assert physics.state(1).steer_rad == pytest.approx(0.005 * CAR.max_steer_rad, rel=0.01)


def test_a_head_on_crash_keeps_momentum_and_reports_it():
    physics = world()
    physics.add(1, CAR, Pose(x_m=-6.0))
    physics.add(2, SMALL_CAR, Pose(x_m=6.0, yaw_rad=math.pi))
    physics.set_velocity(1, (12.0, 0.0, 0.0))
    physics.set_velocity(2, (-8.0, 0.0, 0.0))
    contacts = []
    for _ in range(40):
        before = [physics.state(id).velocity_mps[0] for id in (1, 2)]
        contacts = physics.step(TICK_S)
        if contacts:
            break
    after = [physics.state(id).velocity_mps[0] for id in (1, 2)]
    (contact,) = contacts
    assert (contact.a, contact.b) == (1, 2)
    assert contact.impulse_ns[0] < 0
    # the tyres' drag within the tick is the only other force: under 0.4 m/s2 each, and air
    slack = (CAR.mass_kg + SMALL_CAR.mass_kg) * 0.6 * TICK_S
    for mass, was, now, sign in (
        (CAR.mass_kg, before[0], after[0], 1),
        (SMALL_CAR.mass_kg, before[1], after[1], -1),
    ):
        assert mass * (now - was) == pytest.approx(sign * contact.impulse_ns[0], abs=slack)
    assert after[0] < after[1] + 1e-9  # they part


def test_a_contact_names_the_lower_id_first_and_its_own_impulse():
    physics = world()
    physics.add(9, CAR, Pose(x_m=-6.0))
    physics.add(3, CAR, Pose())
    physics.set_velocity(9, (10.0, 0.0, 0.0))
    contact = run(physics, 1.0)[0]
    assert (contact.a, contact.b) == (3, 9)
    assert contact.impulse_ns[0] > 0  # car 3 is pushed forward


@pytest.mark.parametrize("thickness", [0.05, 1.0])
def test_no_car_tunnels_through_a_wall_at_30_mps(thickness):
    physics = world(wall(20.0, thickness=thickness))
    physics.add(1, CAR, Pose())
    physics.set_velocity(1, (30.0, 0.0, 0.0))
    contacts = run(physics, 3.0)
    assert physics.state(1).pose.x_m < 20.0 - CAR.size_m[0] / 2 + 0.05
    assert {(c.a, c.b) for c in contacts} == {(1, 0)}
    # first touch takes all of the momentum and some bounce
    assert -contacts[0].impulse_ns[0] == pytest.approx(30 * CAR.mass_kg * 1.05, rel=0.08)


def test_two_runs_are_identical():
    def play():
        rng = np.random.default_rng(4)
        physics = world(wall(40.0, 30.0))
        for id in range(1, 21):
            place = Pose(5.5 * (id % 5), 4.0 * (id // 5), yaw_rad=rng.uniform(-3, 3))
            physics.add(id, CAR if id % 2 else SMALL_CAR, place)
        physics.add(30, WALKER, Pose(x_m=2.7, y_m=2.0))
        physics.walk(30, (1.0, 0.0, 0.0), 1.4)
        contacts = []
        for _ in range(60):
            for id in range(1, 21):
                physics.control(id, rng.uniform(), rng.uniform(-1, 1), 0.0)
            contacts += physics.step(TICK_S)
        return contacts, [physics.state(id) for id in [*range(1, 21), 30]]

    first, second = play(), play()
    assert len(first[0]) > 10
    assert first == second


def test_a_walker_walks_as_told_and_looks_where_it_goes():
    physics = world()
    physics.add(1, WALKER, Pose())
    physics.walk(1, (0.0, 2.0, 0.0), 1.4)
    run(physics, 3.0)
    body = physics.state(1)
    # it takes 1.4 / 6 s to get going, so half of 1.4 * 0.233 m is missing
    assert body.pose.y_m == pytest.approx(1.4 * 3 - 0.5 * 1.4**2 / 6, abs=0.02)
    assert body.pose.yaw_rad == pytest.approx(math.pi / 2)
    physics.walk(1, (0.0, 0.0, 0.0), 1.4)
    run(physics, 1.0)
    assert physics.state(1).speed_mps == 0.0


def test_a_placed_walker_arrives_within_one_step_at_the_speed_it_took():
    physics = world()
    physics.add(1, WALKER, Pose())
    physics.place_walker(1, Pose(x_m=0.07, yaw_rad=0.5))
    physics.step(TICK_S)
    body = physics.state(1)
    assert (body.pose.x_m, body.pose.yaw_rad) == pytest.approx((0.07, 0.5))
    assert body.velocity_mps[0] == pytest.approx(1.4)


def test_a_walker_is_run_over_and_hardly_slows_the_car():
    physics = one_car(speed=10.0)
    physics.add(2, WALKER, Pose(x_m=5.0))
    contacts = run(physics, 0.5)
    assert (contacts[0].a, contacts[0].b) == (1, 2)
    assert physics.state(2).speed_mps > 5.0
    assert physics.state(1).speed_mps > 9.0


def test_a_frozen_actor_stays_whatever_hits_it_and_moves_again_later():
    physics = one_car(speed=10.0)
    place = Pose(x_m=8.0, z_m=0.7)
    physics.add(2, CAR, place)
    physics.simulate(2, False)
    contacts = run(physics, 3.0)
    assert contacts and physics.state(2).pose == place
    assert physics.state(1).pose.x_m < 8.0 - CAR.size_m[0] + 0.05
    physics.simulate(2, True)
    physics.set_velocity(2, (5.0, 0.0, 0.0))
    run(physics, 1.0)
    assert physics.state(2).pose.x_m > 11.0
    assert physics.state(2).pose.z_m == 0.0


def test_a_prop_stands_fast_until_physics_is_turned_on():
    physics = one_car(speed=5.0)
    physics.add(2, BOX, Pose(x_m=6.0))
    run(physics, 2.0)
    assert physics.state(2).pose.x_m == 6.0
    physics.simulate(2, True)
    physics.set_velocity(2, (4.0, 0.0, 0.0))
    run(physics, 3.0)
    # slides at 0.6 g: v^2 / 2a
    assert physics.state(2).pose.x_m == pytest.approx(6.0 + 16 / (2 * 0.6 * G), abs=0.1)
    assert physics.state(2).speed_mps == 0.0


@pytest.mark.parametrize(
    ("pose", "is_hit"),
    [
        (Pose(x_m=6.0, z_m=0.5), True),
        (Pose(x_m=6.0, z_m=2.2), False),  # hangs above the roof
        (Pose(x_m=6.0, pitch_rad=math.pi / 2), False),  # lies flat on the road
    ],
)
def test_a_board_stops_a_car_only_at_the_height_of_the_car(pose, is_hit):
    physics = one_car(speed=10.0)
    physics.add(2, BOARD, pose)
    contacts = run(physics, 1.5)
    assert bool(contacts) == is_hit
    assert (physics.state(1).pose.x_m > 10.0) != is_hit


def test_an_actor_without_collisions_passes_through():
    physics = one_car(speed=10.0)
    physics.add(2, CAR, Pose(x_m=8.0))
    physics.set_collisions(2, False)
    assert run(physics, 2.0) == []
    assert physics.state(1).pose.x_m > 15.0


def test_constant_velocity_ignores_drag_and_turns_with_the_car():
    physics = one_car(yaw_rad=math.pi / 2)
    physics.constant_velocity(1, (7.0, 0.0, 0.0))
    run(physics, 2.0)
    body = physics.state(1)
    assert body.velocity_mps == pytest.approx((0.0, 7.0, 0.0), abs=1e-9)
    assert body.pose.y_m == pytest.approx(14.0, abs=0.1)
    physics.constant_velocity(1, None)
    physics.control(1, 0.0, 0.0, 1.0)
    run(physics, 2.0)
    assert physics.state(1).speed_mps == 0.0


def test_blocked_uses_turned_boxes_and_heights():
    physics = world(wall(20.0))
    physics.add(1, CAR, Pose())
    assert physics.blocked(CAR, Pose(x_m=2.0))
    assert physics.blocked(CAR, Pose(x_m=18.0))
    assert not physics.blocked(CAR, Pose(y_m=3.5))  # the next lane
    assert physics.blocked(CAR, Pose(y_m=3.3, yaw_rad=math.pi / 2))
    assert not physics.blocked(CAR, Pose(z_m=2.0))
    physics.remove(1)
    assert not physics.blocked(CAR, Pose(x_m=2.0))


def test_acceleration_is_the_change_of_velocity_over_the_step():
    physics = one_car(speed=10.0)
    physics.control(1, 0.0, 0.0, 0.6)
    before = physics.state(1).velocity_mps[0]
    physics.step(TICK_S)
    body = physics.state(1)
    assert body.acceleration_mps2[0] == pytest.approx((body.velocity_mps[0] - before) / TICK_S)
    assert body.acceleration_mps2[0] == pytest.approx(-(0.54 * G + 0.25 + 0.012 * G), rel=0.02)


def test_a_force_acts_for_one_step():
    physics = one_car(speed=5.0)
    physics.add_force(1, (CAR.mass_kg * 2.0, 0.0, 0.0))
    physics.step(TICK_S)
    pushed = physics.state(1).velocity_mps[0]
    assert pushed == pytest.approx(5.0 + (2.0 - 0.368) * TICK_S, abs=0.01)
    physics.step(TICK_S)
    assert physics.state(1).velocity_mps[0] < pushed


def test_height_pitch_and_roll_follow_the_ground():
    physics = world(ground=Plane(rise_x=0.1, rise_y=-0.05))
    physics.add(1, CAR, Pose(x_m=10.0, z_m=1.0))
    physics.control(1, 0.0, 0.0, 1.0)
    run(physics, 0.2)
    pose = physics.state(1).pose
    assert pose.z_m == pytest.approx(1.0, abs=1e-6)
    assert pose.pitch_rad == pytest.approx(math.atan(0.1), abs=1e-6)  # nose up
    assert pose.roll_rad == pytest.approx(math.atan(0.05), abs=1e-6)  # right side down


def test_a_car_rolls_down_a_slope_unless_its_brakes_hold_it():
    physics = world(ground=Plane(rise_x=0.1))
    physics.add(1, CAR, Pose())
    physics.control(1, 0.0, 0.0, 0.5)
    run(physics, 3.0)
    assert physics.state(1).speed_mps == 0.0
    physics.control(1, 0.0, 0.0, 0.0)
    run(physics, 3.0)
    assert physics.state(1).velocity_mps[0] < -1.0
    assert physics.state(1).velocity_mps[2] < -0.1


def test_a_car_spawned_above_the_road_falls_onto_it():
    physics = one_car(z_m=0.3)
    heights = []
    for _ in range(10):
        physics.step(TICK_S)
        heights.append(physics.state(1).pose.z_m)
    # semi-implicit: after n ticks 0.3 - g dt^2 n (n + 1) / 2
    assert heights[0] == pytest.approx(0.3 - G * TICK_S**2)
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] == 0.0


def test_a_spawn_yaw_of_180_degrees_stays_what_it_is():
    physics = one_car(yaw_rad=math.pi)
    run(physics, 1.0)
    assert physics.state(1).pose.yaw_rad == math.pi


def test_teleporting_moves_at_once_and_keeps_the_velocity():
    physics = one_car(speed=5.0)
    physics.teleport(1, Pose(x_m=100.0, y_m=50.0))
    assert physics.state(1).pose == Pose(x_m=100.0, y_m=50.0)
    physics.step(TICK_S)
    assert physics.state(1).pose.x_m == pytest.approx(100.25, abs=0.01)


def test_a_missing_actor_is_a_key_error_and_a_second_one_a_value_error():
    physics = one_car()
    with pytest.raises(KeyError):
        physics.state(2)
    with pytest.raises(ValueError, match="actor 1 is in physics already"):
        physics.add(1, CAR, Pose())
    physics.remove(1)
    assert 1 not in physics
    assert physics.step(TICK_S) == []


def test_a_fast_turn_runs_wide_by_the_slip_of_the_tyres():
    physics = one_car(speed=15.0)
    drive_at(physics, 15.0, 0.05, 5.0)
    body = physics.state(1)
    steer = 0.05 * CAR.max_steer_rad
    # steer = L / R + (slip in front - slip behind); slip = (a / g) / stiffness per load
    wide = body.speed_mps**2 / G * (1 / 11.5 - 1 / 13.5)
    radius = body.speed_mps / body.angular_velocity_radps[2]
    assert radius == pytest.approx((CAR.wheelbase_m + wide) / steer, rel=0.01)


def test_a_car_coasting_through_a_bend_gains_no_speed():
    physics = one_car(speed=4.0)
    physics.control(1, 0.0, 1.0, 0.0)
    run(physics, 0.5)
    speeds = []
    for _ in range(40):
        physics.step(TICK_S)
        speeds.append(physics.state(1).speed_mps)
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[-1] > 1.0


def test_yaw_wraps_at_half_a_turn_without_a_jump():
    physics = one_car(yaw_rad=0.2)
    physics.control(1, 0.0, math.radians(40) / CAR.max_steer_rad, 0.0)
    physics.constant_velocity(1, (6.0, 0.0, 0.0))
    turned = 0.2
    for _ in range(55):
        physics.step(TICK_S)
        body = physics.state(1)
        turned += math.hypot(*body.velocity_mps[:2]) * TICK_S * math.tan(body.steer_rad) / 2.9
        assert abs(body.pose.yaw_rad) <= math.pi
    assert 1.3 * math.pi < turned < 1.9 * math.pi  # one wrap: two could cancel
    # the wheels take 0.2 s to turn, which the sum over ticks knows only roughly
    assert math.remainder(body.pose.yaw_rad - turned, 2 * math.pi) == pytest.approx(0, abs=0.2)


def test_a_walker_that_begins_with_its_middle_on_the_ground_is_blocked_by_what_is_at_its_head():
    physics = world()
    physics.add(1, BOARD, Pose(z_m=1.3))
    assert physics.blocked(WALKER, Pose(z_m=-WALKER.size_m[2] / 2))
    assert not physics.blocked(WALKER, Pose(x_m=3.0, z_m=-WALKER.size_m[2] / 2))


@pytest.mark.parametrize("up_m", [0.3, 0.015, 0.0])
def test_whoever_falls_comes_down_to_the_ground_and_not_almost(up_m):
    physics = world()
    physics.add(1, WALKER, Pose(z_m=up_m))
    run(physics, 1.0)
    assert physics.state(1).pose.z_m == 0.0


@pytest.mark.parametrize("kind", ["vehicle.tesla.model3", "vehicle.ford.mustang", EGO])
def test_a_car_holds_the_turn_that_carlas_traffic_manager_takes_at_this_speed(kind):
    # It takes a turn of radius R at sqrt(0.6 g R), and steers by four fifths of the lock.
    physics = one_car(BLUEPRINTS[kind], speed=8.0)
    drive_at(physics, 8.0, 0.8, 3.0)
    body = physics.state(1)
    assert body.speed_mps * body.angular_velocity_radps[2] > 0.7 * G


def test_the_ego_turns_as_far_as_its_driver_is_told_at_every_speed():
    car, ego = CarInfo(), BLUEPRINTS[EGO]
    physics = one_car(ego)
    for speed_mps in (0.0, 4.0, 11.0, 30.0):
        physics.set_velocity(1, (speed_mps, 0.0, 0.0))
        physics.control(1, 0.0, 0.01, 0.0)
        physics.step(TICK_S)
        told = 0.01 * car.lock_rad(speed_mps)
        assert physics.state(1).steer_rad == pytest.approx(told, rel=2e-3)
