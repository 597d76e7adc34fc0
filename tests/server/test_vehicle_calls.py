"""Vehicle and walker control by CARLA's own client."""

from __future__ import annotations

import math

import carla
import pytest

CAR, BIKE, WALKER = "vehicle.tesla.model3", "vehicle.kawasaki.ninja", "walker.pedestrian.0001"
Vector = carla.Vector3D


@pytest.fixture
def places(world):
    return world.get_map().get_spawn_points()


def spawn(world, kind, place, **attributes):
    blueprint = world.get_blueprint_library().find(kind)
    for name, value in attributes.items():
        blueprint.set_attribute(name, value)
    made = world.spawn_actor(blueprint, place)
    ticks(world, 10)  # it falls onto the road
    return made


@pytest.fixture
def car(world, places):
    return spawn(world, CAR, places[0])


def ticks(world, count):
    for _ in range(count):
        world.tick()


def forward(actor):
    return actor.get_velocity().dot(actor.get_transform().get_forward_vector())


def launch(world, actor, speed_mps):
    ahead = actor.get_transform().get_forward_vector()
    actor.set_target_velocity(Vector(speed_mps * ahead.x, speed_mps * ahead.y, 0.0))
    world.tick()


def numbers(struct):
    """All that a struct of the client holds, nested."""
    if isinstance(struct, (bool, int, float, str)):
        return struct
    if isinstance(struct, (Vector, carla.Vector2D)):
        return tuple(getattr(struct, name) for name in "xyz" if hasattr(struct, name))
    if hasattr(struct, "__iter__"):
        return [numbers(item) for item in struct]
    names = [name for name in dir(struct) if not name.startswith("_")]
    return {name: numbers(getattr(struct, name)) for name in names}


def test_every_vehicle_gives_its_physics_control_back_exactly_as_sent(world, places):
    library = world.get_blueprint_library().filter("vehicle.*")
    assert len(library) >= 20
    made = [world.spawn_actor(bp, place) for bp, place in zip(library, places, strict=False)]
    assert len(made) == len(library)
    world.tick()
    for number, vehicle in enumerate(made):
        control = vehicle.get_physics_control()
        assert len(control.wheels) == 4
        control.mass += 10.1 * number
        control.drag_coefficient = 0.1 + number / 7
        control.center_of_mass = Vector(0.1, 0.03, -0.2)
        control.torque_curve = [Vector2(0, 100 + number), Vector2(5000, 333.3)]
        control.steering_curve = [Vector2(0, 1), Vector2(30, 0.7)]
        control.use_sweep_wheel_collision = bool(number % 2)
        control.final_ratio = 3.3
        wheels = control.wheels
        for place, wheel in enumerate(wheels):
            wheel.tire_friction = 0.3 * place + 0.07
            wheel.max_steer_angle = 33.3 if place < 2 else 0.0
            wheel.long_stiff_value = 987.0
            wheel.radius = 31.7
        control.wheels = wheels
        vehicle.apply_physics_control(control)
        assert numbers(vehicle.get_physics_control()) == numbers(control), vehicle.type_id


def Vector2(x, y):
    return carla.Vector2D(float(x), float(y))


def test_the_steering_limit_is_told_and_can_be_changed(world, car):
    control = car.get_physics_control()
    assert [round(w.max_steer_angle, 3) for w in control.wheels] == [70.0, 70.0, 0.0, 0.0]
    car.apply_control(carla.VehicleControl(steer=1.0))
    ticks(world, 20)
    wheels = [carla.VehicleWheelLocation.FL_Wheel, carla.VehicleWheelLocation.FR_Wheel]
    left, right = (car.get_wheel_steer_angle(wheel) for wheel in wheels)
    assert left < 70.0 < right  # about one point
    wheels = control.wheels
    for wheel in wheels:
        wheel.max_steer_angle = min(wheel.max_steer_angle, 20.0)
    control.wheels = wheels
    car.apply_physics_control(control)
    ticks(world, 20)
    assert car.get_wheel_steer_angle(carla.VehicleWheelLocation.FR_Wheel) < 23.0


def test_ackermann_control_drives_until_pedals_take_over(client, world, car):
    settings = carla.AckermannControllerSettings(0.2, 0.01, 0.3, 0.02, 0.0, 0.01)
    car.apply_ackermann_controller_settings(settings)
    assert numbers(car.get_ackermann_controller_settings()) == numbers(settings)
    order = carla.VehicleAckermannControl(speed=5.0, acceleration=2.0)
    command = carla.command.ApplyVehicleAckermannControl(car, order)
    assert not client.apply_batch_sync([command])[0].has_error()
    ticks(world, 120)
    assert forward(car) == pytest.approx(5.0, abs=0.5)
    car.apply_ackermann_control(carla.VehicleAckermannControl(steer=0.1, speed=5.0))
    ticks(world, 2)
    assert car.get_control().steer == pytest.approx(0.1 / math.radians(70), abs=1e-3)
    car.apply_control(carla.VehicleControl(brake=1.0))
    ticks(world, 40)
    assert car.get_velocity().length() == 0.0
    car.apply_ackermann_control(carla.VehicleAckermannControl(speed=3.0))
    ticks(world, 60)
    assert forward(car) > 1.0


def test_control_that_does_not_stick_is_let_go_after_its_tick(world, places):
    def drive(sticky, again):
        made = spawn(world, CAR, places[0], sticky_control=sticky)
        for number in range(20):
            if again or number == 0:
                made.apply_control(carla.VehicleControl(throttle=1.0))
            world.tick()
        speed, shown = forward(made), made.get_control().throttle
        made.destroy()
        world.tick()
        return speed, shown

    kept, loose, repeated = drive("True", False), drive("False", False), drive("False", True)
    assert kept == repeated
    assert kept[1] == 1.0 and loose[1] == 0.0
    assert loose[0] < 0.1 * kept[0]


def test_the_gear_shown_is_the_one_driven_in(world, car):
    assert car.get_control().gear == 1
    launch(world, car, 25.0)
    ticks(world, 3)
    assert car.get_control().gear > 2
    assert car.get_telemetry_data().gear == car.get_control().gear
    car.apply_control(carla.VehicleControl(throttle=1.0, manual_gear_shift=True, gear=0))
    world.tick()
    before = forward(car)
    ticks(world, 10)
    assert car.get_control().gear == 0 and forward(car) < before
    car.apply_control(carla.VehicleControl(brake=1.0))
    ticks(world, 80)
    car.apply_control(carla.VehicleControl(throttle=0.5, manual_gear_shift=True, gear=-1))
    ticks(world, 20)
    assert car.get_control().reverse and forward(car) < -0.5
    car.apply_control(carla.VehicleControl(throttle=0.5, reverse=True))
    ticks(world, 2)
    assert car.get_control().gear == -1


def test_the_hand_brake_stops_a_car(world, car):
    launch(world, car, 8.0)
    car.apply_control(carla.VehicleControl(hand_brake=True))
    ticks(world, 60)
    assert car.get_velocity().length() == 0.0 and car.get_control().hand_brake


def test_telemetry_tells_loads_that_carry_the_car_and_wheels_that_roll(world, car):
    ticks(world, 3)
    weight = car.get_physics_control().mass * 9.81
    still = car.get_telemetry_data()
    assert sum(wheel.tire_load for wheel in still.wheels) == pytest.approx(weight, rel=1e-4)
    assert (still.speed, still.drag) == (0.0, 0.0)
    launch(world, car, 10.0)
    car.apply_control(carla.VehicleControl(brake=0.5))
    world.tick()
    moving = car.get_telemetry_data()
    radius = car.get_physics_control().wheels[0].radius / 100
    assert moving.speed == pytest.approx(forward(car), abs=0.01)
    assert moving.brake == 0.5 and moving.engine_rpm > 800
    for wheel in moving.wheels:
        assert 0.5 * moving.speed < wheel.omega * radius < moving.speed
        assert wheel.long_force < 0 and wheel.torque == pytest.approx(wheel.long_force * radius)
        assert wheel.long_slip < 0 and wheel.tire_friction == pytest.approx(1.3)


def test_a_friction_box_holds_the_tyres_inside_it_and_gives_them_back(world, car):
    blueprint = world.get_blueprint_library().find("static.trigger.friction")
    blueprint.set_attribute("friction", "0.2")
    for axis in "xyz":
        blueprint.set_attribute(f"extent_{axis}", "1000")

    def friction():
        return [round(w.tire_friction, 6) for w in car.get_physics_control().wheels]

    where = car.get_transform()
    box = world.spawn_actor(blueprint, where)
    world.tick()
    assert friction() == [0.2] * 4
    launch(world, car, 10.0)
    car.apply_control(carla.VehicleControl(brake=1.0))
    before = forward(car)
    ticks(world, 10)
    inside = before - forward(car)
    assert inside == pytest.approx(0.2 * 9.81 * 0.5, rel=0.05)
    box.set_transform(carla.Transform(where.location + carla.Location(z=100.0)))
    ticks(world, 2)
    assert friction() == [3.5] * 4
    box.set_transform(where)
    world.tick()
    world.tick()
    assert friction() == [0.2] * 4
    box.destroy()
    assert friction() == [3.5] * 4


def test_a_constant_velocity_is_held_until_it_is_let_go(world, car):
    car.enable_constant_velocity(Vector(9.0, 0.0, 0.0))
    car.apply_control(carla.VehicleControl(brake=1.0))
    ticks(world, 10)
    assert forward(car) == pytest.approx(9.0, abs=1e-4)
    car.disable_constant_velocity()
    ticks(world, 10)
    assert forward(car) < 6.0


def test_impulses_forces_and_twists_have_carlas_units(client, world, car):
    mass = car.get_physics_control().mass
    command = carla.command
    client.apply_batch_sync([command.ApplyImpulse(car, Vector(0.0, 0.0, 4.0 * mass))])
    ticks(world, 3)
    assert car.get_velocity().z == pytest.approx(4.0 - 9.81 * 0.1, abs=1e-3)
    ticks(world, 30)
    car.set_enable_gravity(False)
    car.add_impulse(Vector(2.0 * mass, 0.0, 0.0))
    world.tick()
    assert car.get_velocity().x == pytest.approx(2.0, abs=1e-3)
    car.add_force(Vector(10.0 * mass, 0.0, 0.0))
    world.tick()
    assert car.get_velocity().x == pytest.approx(2.5, abs=1e-3)
    box = car.bounding_box.extent
    inertia = mass * (box.x**2 + box.y**2) / 3
    twist = Vector(0.0, 0.0, math.degrees(0.5 * inertia * 1e4))
    for push in (car.add_angular_impulse, car.add_torque):  # the client sends both as impulses
        before = car.get_angular_velocity().z
        push(twist)
        world.tick()
        turned = car.get_angular_velocity().z - before
        assert turned == pytest.approx(math.degrees(0.5), rel=1e-3)
    car.set_target_angular_velocity(Vector(0.0, 0.0, 30.0))
    world.tick()
    assert car.get_angular_velocity().z == pytest.approx(30.0, abs=0.01)


def test_wheels_point_where_a_client_shows_them_while_physics_is_off(world, car):
    front = carla.VehicleWheelLocation.FL_Wheel
    car.set_wheel_steer_direction(front, 25.0)
    assert car.get_wheel_steer_angle(front) == 0.0  # physics is on
    car.set_simulate_physics(False)
    car.set_wheel_steer_direction(front, 25.0)
    car.set_wheel_pitch_angle(front, 40.0)
    world.tick()
    assert car.get_wheel_steer_angle(front) == pytest.approx(25.0)
    assert car.get_wheel_pitch_angle(front) == pytest.approx(40.0)


def test_doors_and_lights_take_every_value_of_the_client(client, world, car):
    for door in (carla.VehicleDoor.FL, carla.VehicleDoor.All):
        car.open_door(door)
        car.close_door(door)
    flags = carla.VehicleLightState
    car.set_light_state(flags(flags.Brake | flags.LeftBlinker))
    assert car.get_light_state() == flags.Brake | flags.LeftBlinker
    # given the actor instead of its id, the client sends whether, not which
    client.apply_batch_sync([carla.command.SetVehicleLightState(car.id, int(flags.Reverse))])
    states = {id: int(state) for id, state in world.get_vehicles_light_states().items()}
    assert states == {car.id: int(flags.Reverse)}


def test_a_car_on_its_roof_says_that_it_rolled_over(world, car):
    assert car.get_failure_state() == carla.VehicleFailureState.NONE
    car.set_simulate_physics(False)
    where = car.get_transform()
    where.rotation.roll = 180.0
    car.set_transform(where)
    world.tick()
    assert car.get_failure_state() == carla.VehicleFailureState.Rollover


def test_a_walker_goes_and_jumps_as_told(world, places):
    place = places[0]
    made = spawn(world, WALKER, place)
    ground = made.get_location().z
    control = carla.WalkerControl(Vector(0.0, 1.0, 0.0), 1.4, True)
    made.apply_control(control)
    heights = []
    for _ in range(24):
        world.tick()
        heights.append(made.get_location().z - ground)
    assert 0.7 < max(heights) < 0.95 and heights[-1] < 0.05
    assert made.get_velocity().y == pytest.approx(1.4, abs=1e-3)
    assert made.get_control().jump


def test_a_walkers_bones_are_told_set_blended_and_taken_from_its_gait(world, places):
    made = spawn(world, WALKER, places[0])
    bones = {bone.name: bone for bone in made.get_bones().bone_transforms}
    assert {"crl_root", "crl_hips__C", "crl_hand__R", "crl_Head__C", "crl_toe__L"} <= set(bones)
    height = 2 * made.bounding_box.extent.z
    head = bones["crl_Head__C"]
    feet = made.get_location().z - height / 2
    assert 0.8 * height < head.world.location.z - feet < height
    assert head.component.location.z == pytest.approx(head.world.location.z - feet, abs=1e-4)
    assert made.get_bone_names() == list(bones)
    assert len(made.get_bone_world_transforms()) == len(bones)

    arm = bones["crl_arm__R"].relative
    wanted = carla.Transform(arm.location, carla.Rotation(pitch=90.0))
    made.set_bones(carla.WalkerBoneControlIn([("crl_arm__R", wanted)]))

    def hand():
        found = {bone.name: bone for bone in made.get_bones().bone_transforms}
        return found["crl_hand__R"].component.location

    hanging = hand()
    made.show_pose()
    assert hand().z > hanging.z + 0.3
    made.blend_pose(0.5)
    assert hanging.z + 0.05 < hand().z < hanging.z + 0.35
    made.hide_pose()
    assert hand() == hanging
    made.get_pose_from_animation()
    made.show_pose()
    assert hand().distance(hanging) < 1e-4
    made.set_bones(carla.WalkerBoneControlIn([("crl_tail", wanted)]))  # refused, to no listener
    assert made.get_bone_names() == list(bones)


def test_a_car_names_its_components_and_where_its_wheels_are(world, car):
    assert "VehicleMesh" in car.get_component_names()
    where = car.get_component_world_transform("VehicleMesh")
    assert where.location.distance(car.get_location()) < 1e-4
    bounds = car.get_component_relative_transform("VehicleBounds")
    assert bounds.location == car.bounding_box.location
    with pytest.raises(RuntimeError, match="no component 'Wing'"):
        car.get_component_world_transform("Wing")
    names = car.get_bone_names()
    transforms = car.get_vehicle_bone_world_transforms()
    assert len(names) == len(transforms) == 5
    wheel = transforms[names.index("Wheel_Front_Right")].location
    local = car.get_transform().get_forward_vector().dot(wheel - car.get_location())
    assert local == pytest.approx(car.get_physics_control().wheels[1].position.x / 100, abs=1e-3)
    assert list(car.get_socket_names()) == []
