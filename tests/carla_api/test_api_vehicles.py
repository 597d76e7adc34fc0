"""Vehicles and walkers: driving, parameters, lamps, doors, wheels, poses."""

from __future__ import annotations

import math

import carla
import pytest

api = pytest.mark.carla_api
FL, FR, BL = (
    carla.VehicleWheelLocation.FL_Wheel,
    carla.VehicleWheelLocation.FR_Wheel,
    carla.VehicleWheelLocation.BL_Wheel,
)


def speed(actor):
    return actor.get_velocity().length()


@api("apply_control_to_vehicle")
def test_throttle_drives_the_brake_stops_and_reverse_goes_back(world, car, tools):
    start, ahead = car.get_location(), car.get_transform().get_forward_vector()
    car.apply_control(carla.VehicleControl(throttle=0.8))
    tools.drive(world, 40)
    assert car.get_control().throttle == pytest.approx(0.8)
    assert speed(car) > 4.0
    car.apply_control(carla.VehicleControl(brake=1.0))
    tools.drive(world, 60)
    assert speed(car) < 0.05
    stop = car.get_location()
    assert (stop - start).dot(ahead) > 4.0
    car.apply_control(carla.VehicleControl(throttle=0.8, reverse=True))
    tools.drive(world, 40)
    assert (car.get_location() - stop).dot(ahead) < -1.0


def test_steering_to_the_right_turns_to_growing_yaw(world, car, tools):
    first = car.get_transform().rotation.yaw
    car.apply_control(carla.VehicleControl(throttle=0.6, steer=0.5))
    tools.drive(world, 40)
    assert 10 < math.remainder(car.get_transform().rotation.yaw - first, 360) < 170


@api(
    "apply_ackermann_control_to_vehicle",
    "get_ackermann_controller_settings",
    "apply_ackermann_controller_settings",
)
def test_ackermann_control_reaches_its_speed(world, car, tools):
    settings = car.get_ackermann_controller_settings()
    settings.speed_kp = 0.2
    car.apply_ackermann_controller_settings(settings)
    assert car.get_ackermann_controller_settings().speed_kp == pytest.approx(0.2)
    car.apply_ackermann_control(carla.VehicleAckermannControl(speed=6.0, acceleration=3.0))
    tools.drive(world, 120)
    assert speed(car) == pytest.approx(6.0, abs=0.6)
    car.apply_ackermann_control(carla.VehicleAckermannControl(steer=0.15, speed=6.0))
    first = car.get_transform().rotation.yaw
    tools.drive(world, 20)
    assert math.remainder(car.get_transform().rotation.yaw - first, 360) > 3


@api(
    "get_physics_control",
    "apply_physics_control",
    partly="mass, drag, torque, gears, steering, brakes, tyre friction and lateral stiffness act; "
    "inertia and damping of engine and wheels, clutch, shifting time and sweeping are only kept",
)
def test_parameters_come_back_and_act(world, car, tools):
    control = car.get_physics_control()
    control.mass *= 1.5
    control.use_sweep_wheel_collision = True
    wheels = control.wheels
    for wheel in wheels:
        wheel.max_steer_angle = 20.0 if wheel.max_steer_angle > 0 else 0.0
        wheel.tire_friction = 0.0
    control.wheels = wheels
    car.apply_physics_control(control)
    world.tick()
    now = car.get_physics_control()
    assert now.mass == pytest.approx(control.mass)
    assert now.wheels[0].max_steer_angle == pytest.approx(20.0)
    # No friction: neither throttle nor brake has anything to act on.
    car.set_target_velocity(10.0 * car.get_transform().get_forward_vector())
    car.apply_control(carla.VehicleControl(brake=1.0))
    tools.drive(world, 10)
    assert speed(car) == pytest.approx(10.0, abs=0.5)


@api("get_telemetry_data")
def test_telemetry_tells_speed_and_pedals(world, car, tools):
    car.apply_control(carla.VehicleControl(throttle=0.6, steer=0.1))
    tools.drive(world, 30)
    told = car.get_telemetry_data()
    assert told.speed == pytest.approx(speed(car), abs=0.3)
    assert told.throttle == pytest.approx(0.6, abs=0.01)
    assert told.engine_rpm > 500
    assert len(told.wheels) == 4
    assert all(wheel.omega > 1.0 for wheel in told.wheels)
    load = sum(wheel.tire_load for wheel in told.wheels)
    assert load > 1000


@api("show_vehicle_debug_telemetry", partly="accepted; there is no window to show it in")
def test_showing_telemetry_changes_nothing(world, car):
    before = car.get_transform()
    car.show_debug_telemetry(True)
    world.tick()
    assert car.get_transform() == before


@api("get_vehicle_light_state", "set_vehicle_light_state", "get_vehicle_light_states")
def test_lights_come_back_and_shine(world, car, look):
    ahead = car.get_transform()
    place = ahead.transform(carla.Location(x=5.0, z=0.7))
    pose = carla.Transform(place, carla.Rotation(yaw=ahead.rotation.yaw + 180))
    shot = look("sensor.camera.rgb", pose, fov=60)
    dark = shot()
    state = carla.VehicleLightState(
        carla.VehicleLightState.LowBeam | carla.VehicleLightState.LeftBlinker
    )
    car.set_light_state(state)
    lit = shot()
    assert int(car.get_light_state()) == int(state)
    assert int(dict(world.get_vehicles_light_states())[car.id]) == int(state)
    assert abs(lit - dark).max() > 40


@api(
    "get_wheel_steer_angle",
    "set_wheel_steer_direction",
    "get_wheel_pitch_angle",
    "set_wheel_pitch_angle",
    partly="wheels are turned by hand only while physics is off; one angle draws both front wheels",
)
def test_wheels_turn_with_the_car_and_by_hand_without_physics(world, car, tools):
    car.apply_control(carla.VehicleControl(throttle=0.5, steer=0.5))
    tools.drive(world, 30)
    assert car.get_wheel_steer_angle(FR) > 5.0
    assert car.get_wheel_steer_angle(FL) > 5.0
    assert car.get_wheel_steer_angle(BL) == 0.0
    first = car.get_wheel_pitch_angle(FL)
    world.tick()
    assert car.get_wheel_pitch_angle(FL) != first
    car.set_simulate_physics(False)
    car.set_wheel_steer_direction(FL, -17.0)
    car.set_wheel_pitch_angle(FL, 33.0)
    world.tick()
    assert car.get_wheel_steer_angle(FL) == pytest.approx(-17.0, abs=0.1)
    assert car.get_wheel_pitch_angle(FL) == pytest.approx(33.0, abs=0.1)


@api(
    "open_vehicle_door",
    "close_vehicle_door",
    partly="accepted and kept; no car is drawn with its doors open",
)
def test_doors_do_not_change_the_picture(world, car, look):
    side = car.get_transform().transform(carla.Location(y=-5.0, z=1.0))
    yaw = car.get_transform().rotation.yaw + 90
    shot = look("sensor.camera.depth", carla.Transform(side, carla.Rotation(yaw=yaw)))
    before = shot()
    car.open_door(carla.VehicleDoor.All)
    assert (shot() == before).all()
    car.close_door(carla.VehicleDoor.FL)


@api("get_vehicle_bone_world_transforms")
def test_a_cars_bones_are_on_the_car(world, car):
    bones = car.get_vehicle_bone_world_transforms()
    assert len(bones) == len(car.get_bone_names()) >= 4
    reach = car.bounding_box.extent.length() + 0.5
    assert all(bone.location.distance(car.get_location()) < reach for bone in bones)


@api(
    "enable_carsim",
    "use_carsim_road",
    absent="CarSim is not here: vehicles move by this server's own physics (the client does not "
    "wait for the answer; the server prints it)",
)
def test_carsim_is_refused(raw, car, world):
    words = "CarSim is not here: vehicles move by this server's own physics"
    assert raw("enable_carsim", car.id, "road.sim") == (None, [[True, [words]]])
    assert raw("use_carsim_road", car.id, True) == (None, [[True, [words]]])
    car.enable_carsim("road.sim")
    car.use_carsim_road(True)
    assert world.tick()


@api(
    "enable_chrono_physics",
    absent="Chrono is not here: vehicles move by this server's own physics (the client does not "
    "wait for the answer; the server prints it)",
)
@api("restore_physx_physics", partly="accepted; nothing else was enabled")
def test_chrono_is_refused_and_the_car_drives_on(raw, car, world, tools):
    words = "Chrono is not here: vehicles move by this server's own physics"
    row = (car.id, 5, 0.002, "a", "b", "c", "d")
    assert raw("enable_chrono_physics", *row) == (None, [[True, [words]]])
    car.enable_chrono_physics(5, 0.002, "a", "b", "c", "d")
    car.restore_physx_physics()
    car.apply_control(carla.VehicleControl(throttle=1.0))
    tools.drive(world, 20)
    assert speed(car) > 1.0


# Walkers


@pytest.fixture
def walker(world, spawn, places):
    made = spawn("walker.pedestrian.0001", places[8])
    world.tick()
    return made


@api("apply_control_to_walker")
def test_a_walker_goes_where_it_is_told(world, walker, tools):
    start = walker.get_location()
    walker.apply_control(carla.WalkerControl(carla.Vector3D(0, 1, 0), 1.4))
    tools.drive(world, 40)
    assert walker.get_control().speed == pytest.approx(1.4)
    moved = walker.get_location() - start
    assert moved.y == pytest.approx(1.4 * 2.0, abs=0.3)
    assert abs(moved.x) < 0.1


@api("get_bones_transform", "set_bones_transform", "blend_pose", "get_pose_from_animation")
def test_a_walkers_bones_are_set_and_blended(world, walker):
    def turn(wanted):
        """Yaw of a bone against its parent [deg]."""
        found = {bone.name: bone.relative for bone in walker.get_bones().bone_transforms}
        return found[wanted].rotation.yaw

    bones = walker.get_bones().bone_transforms
    assert len(bones) > 10
    name, relative = bones[5].name, bones[5].relative
    rest = relative.rotation.yaw
    turned = carla.Transform(
        relative.location, carla.Rotation(relative.rotation.pitch, rest + 40, 0)
    )
    walker.set_bones(carla.WalkerBoneControlIn([(name, turned)]))
    walker.show_pose()
    world.tick()
    assert turn(name) == pytest.approx(rest + 40, abs=1.0)
    walker.blend_pose(0.5)
    world.tick()
    assert rest + 10 < turn(name) < rest + 30
    walker.hide_pose()
    world.tick()
    assert turn(name) == pytest.approx(rest, abs=1.0)
    # The gait's pose takes the place of the one that was set.
    walker.get_pose_from_animation()
    walker.show_pose()
    world.tick()
    assert turn(name) == pytest.approx(rest, abs=1.0)
