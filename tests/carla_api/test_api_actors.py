"""Actors of any kind: spawn, attach, move, push, destroy."""

from __future__ import annotations

import math
import queue

import carla
import pytest

api = pytest.mark.carla_api


def speed(actor):
    return actor.get_velocity().length()


def xyz(vector):
    return [vector.x, vector.y, vector.z]


@api("spawn_actor")
def test_a_spawned_actor_stands_where_it_was_put(world, spawn, places):
    made = spawn("vehicle.lincoln.mkz_2020", places[2], color="10,20,30", role_name="hero")
    assert made.attributes["color"] == "10,20,30"
    assert made.attributes["role_name"] == "hero"
    world.tick()
    stands = made.get_transform()
    assert (stands.location.x, stands.location.y) == (places[2].location.x, places[2].location.y)
    assert stands.rotation.yaw == places[2].rotation.yaw
    assert 0 <= places[2].location.z - stands.location.z < 0.6
    assert made.is_alive and made.is_active


def test_a_taken_place_and_an_unknown_kind_are_refused_in_carlas_words(world, spawn, places, car):
    words = "Spawn failed because of collision at spawn position"
    with pytest.raises(RuntimeError, match=words):
        spawn("vehicle.audi.tt", places[0])
    blueprint = world.get_blueprint_library().find("vehicle.audi.tt")
    assert world.try_spawn_actor(blueprint, places[0]) is None


@api("destroy_actor")
def test_a_destroyed_actor_leaves_its_sensors_behind(world, spawn, car):
    child = spawn("sensor.other.gnss", carla.Transform(carla.Location(z=2.0)), car)
    world.tick()
    there = child.get_transform()
    assert car.destroy()
    heard = queue.Queue()
    child.listen(heard.put)
    world.tick()
    heard.get(timeout=10)
    assert not car.is_alive
    assert car.id not in {state.id for state in world.get_snapshot()}
    assert child.get_transform() == there
    child.stop()
    assert child.destroy()
    world.tick()
    assert not child.is_alive


def test_what_has_a_body_goes_with_the_actor_that_it_is_fixed_to(world, spawn, car):
    cone = spawn("static.prop.trafficcone01", carla.Transform(carla.Location(z=2.0)), car)
    assert car.destroy()
    world.tick()
    assert {car.id, cone.id}.isdisjoint(state.id for state in world.get_snapshot())


@api("spawn_actor_with_parent")
def test_a_rigid_mount_turns_with_its_parent(world, spawn, car):
    mount = carla.Transform(carla.Location(1.0, 0.5, 1.5), carla.Rotation(yaw=30))
    child = spawn("sensor.other.gnss", mount, car)
    assert child.parent.id == car.id
    car.apply_control(carla.VehicleControl(throttle=1.0, steer=0.4))
    for _ in range(30):
        world.tick()
    there = car.get_transform().transform(mount.location)
    assert child.get_location().distance(there) < 1e-3
    turn = child.get_transform().rotation.yaw - car.get_transform().rotation.yaw
    assert math.remainder(turn - 30, 360) == pytest.approx(0, abs=0.1)
    child.set_transform(carla.Transform(carla.Location(z=2.0)))
    world.tick()
    top = car.get_transform().transform(carla.Location(z=2.0))
    assert child.get_location().distance(top) < 1e-3


@api("spawn_actor_with_parent")
def test_a_ghost_spring_arm_follows_yaw_late_and_never_leans(world, spawn, car, places):
    mount = carla.Transform(carla.Location(x=-4.0, z=3.0))
    camera = spawn("sensor.camera.rgb", mount, car, carla.AttachmentType.SpringArmGhost)
    world.tick()
    pose, body = camera.get_transform(), car.get_transform()
    assert pose.location.distance(body.transform(mount.location)) < 0.05
    # It looks back along the arm: 3 down on 4 ahead.
    assert pose.rotation.pitch == pytest.approx(-math.degrees(math.atan2(3, 4)), abs=0.5)
    first = body.rotation.yaw
    car.set_simulate_physics(False)
    car.set_transform(carla.Transform(body.location, carla.Rotation(yaw=first + 90, pitch=20)))
    turned = []
    for _ in range(2):
        world.tick()
        turned.append(math.remainder(camera.get_transform().rotation.yaw - first, 360))
    # An eighth of a second is the time constant: a step of 0.05 s leaves exp(-0.4).
    assert turned == pytest.approx([90 * (1 - math.exp(-0.4)), 90 * (1 - math.exp(-0.8))], abs=0.5)
    assert camera.get_transform().rotation.pitch == pytest.approx(-36.87, abs=0.5)
    assert camera.get_transform().rotation.roll == pytest.approx(0.0, abs=0.1)


@api("spawn_actor_with_parent", partly="spring arms give way to scenery, not to other actors")
@pytest.mark.journey
def test_a_spring_arm_is_pulled_in_by_a_wall(world, spawn, places):
    houses = world.get_level_bbs(carla.CityObjectLabel.Buildings)
    house = houses[0]
    yaw = math.radians(house.rotation.yaw)
    side = carla.Location(math.sin(yaw), -math.cos(yaw))
    away = house.extent.y + 2.0
    place = house.location + carla.Location(side.x * away, side.y * away)
    place.z = house.location.z - house.extent.z + 1.0
    holder = spawn("sensor.other.gnss", carla.Transform(place, carla.Rotation(yaw=0)))
    back = carla.Location(-side.x * 6.0, -side.y * 6.0)
    arms = {
        kind: spawn("sensor.camera.rgb", carla.Transform(back), holder, kind)
        for kind in (carla.AttachmentType.SpringArm, carla.AttachmentType.SpringArmGhost)
    }
    world.tick()
    flat = {k: arm.get_location().distance_2d(place) for k, arm in arms.items()}
    assert flat[carla.AttachmentType.SpringArmGhost] == pytest.approx(6.0, abs=0.05)
    assert 1.0 < flat[carla.AttachmentType.SpringArm] < 3.0
    lift = arms[carla.AttachmentType.SpringArm].get_location().z - place.z
    assert lift == pytest.approx(0.3, abs=0.05)


@api("set_actor_location", "set_actor_transform")
def test_a_teleported_actor_is_there_at_the_next_tick(world, places, car):
    car.set_simulate_physics(False)
    car.set_transform(places[3])
    world.tick()
    assert car.get_transform() == places[3]
    car.set_location(places[4].location)
    world.tick()
    assert car.get_location() == places[4].location
    assert car.get_transform().rotation.yaw == places[3].rotation.yaw


@api("set_actor_target_velocity", "set_actor_target_angular_velocity")
def test_a_target_velocity_is_taken_at_once(world, car):
    ahead = car.get_transform().get_forward_vector()
    car.set_target_velocity(8.0 * ahead)
    car.set_target_angular_velocity(carla.Vector3D(0, 0, 25.0))
    world.tick()
    assert speed(car) == pytest.approx(8.0, rel=0.1)
    # The tyres work against it at once.
    assert 5.0 < car.get_angular_velocity().z < 25.0


@api("enable_actor_constant_velocity", "disable_actor_constant_velocity")
def test_a_constant_velocity_holds_until_it_is_switched_off(world, car, tools):
    car.enable_constant_velocity(carla.Vector3D(6.0, 0, 0))
    tools.drive(world, 20)
    assert speed(car) == pytest.approx(6.0, abs=0.1)
    car.disable_constant_velocity()
    car.apply_control(carla.VehicleControl(brake=1.0))
    tools.drive(world, 40)
    assert speed(car) < 0.5


@api("add_actor_impulse")
def test_an_impulse_adds_its_part_of_the_mass_to_the_speed(world, car):
    mass = car.get_physics_control().mass
    ahead = car.get_transform().get_forward_vector()
    car.add_impulse(mass * 4.0 * ahead)
    world.tick()
    assert speed(car) == pytest.approx(4.0, rel=0.1)


@api("add_actor_force")
def test_a_force_accelerates_for_one_tick(world, car):
    mass = car.get_physics_control().mass
    ahead = car.get_transform().get_forward_vector()
    car.add_force(mass * 40.0 * ahead)
    world.tick()
    assert speed(car) == pytest.approx(40.0 * 0.05, rel=0.15)
    before = speed(car)
    world.tick()
    assert speed(car) <= before


@api(
    "add_actor_angular_impulse",
    "add_actor_torque",
    partly="only the part about the vertical turns a body",
)
@pytest.mark.parametrize("way", ["impulse", "torque"])
def test_a_twist_turns_a_body_about_the_vertical(client, world, spawn, places, way):
    box = spawn("static.prop.container", places[6])
    box.set_simulate_physics(True)
    world.tick()
    before = box.get_transform().rotation.yaw
    # In the engine's units: kg cm2 deg/s. The box has about 65 kg m2.
    for _ in range(3):
        if way == "impulse":
            box.add_angular_impulse(carla.Vector3D(0, 0, 4e7))
        else:
            twist = carla.command.ApplyTorque(box.id, carla.Vector3D(0, 0, 8e8))
            client.apply_batch_sync([twist], False)
        world.tick()
    assert math.remainder(box.get_transform().rotation.yaw - before, 360) > 0.5


@api("add_actor_impulse_at_location")
def test_an_impulse_at_an_end_pushes_and_turns(raw, world, spawn, places):
    box = spawn("static.prop.container", places[6])
    box.set_simulate_physics(True)
    world.tick()
    end = box.get_transform().transform(carla.Location(x=0.9))
    push = 100.0 * box.get_transform().get_right_vector()
    before = box.get_transform().rotation.yaw
    assert raw(name := "add_actor_impulse_at_location", box.id, xyz(push), xyz(end))[0] is None
    world.tick()
    assert math.remainder(box.get_transform().rotation.yaw - before, 360) > 0.5
    assert speed(box) > 0.1
    assert raw(name, 9999, xyz(push), xyz(end))[1] == [[True, ["actor 9999 not found"]]]


@api("add_actor_force_at_location")
def test_a_force_at_an_end_pushes_and_turns_for_one_tick(raw, world, spawn, places):
    box = spawn("static.prop.container", places[6])
    box.set_simulate_physics(True)
    world.tick()
    end = box.get_transform().transform(carla.Location(x=-0.9))
    push = 3000.0 * box.get_transform().get_right_vector()
    before = box.get_transform().rotation.yaw
    assert raw("add_actor_force_at_location", box.id, xyz(push), xyz(end))[0] is None
    world.tick()
    assert math.remainder(box.get_transform().rotation.yaw - before, 360) < -0.5
    assert speed(box) > 0.1


@api("set_actor_simulate_physics")
def test_a_body_without_physics_stays_whatever_it_is_told(world, car, tools):
    car.set_simulate_physics(False)
    before = car.get_location()
    car.apply_control(carla.VehicleControl(throttle=1.0))
    tools.drive(world, 10)
    assert car.get_location().distance(before) < 0.01
    car.set_simulate_physics(True)
    tools.drive(world, 20)
    assert car.get_location().distance(before) > 0.5


@api("set_actor_collisions")
def test_a_body_without_collisions_passes_through(world, car, spawn, tools):
    ahead = car.get_transform()
    pose = carla.Transform(ahead.transform(carla.Location(x=8.0, z=0.2)), ahead.rotation)
    wall = spawn("vehicle.audi.tt", pose)
    tools.drive(world, 10)
    before = wall.get_location()
    car.set_collisions(False)
    car.enable_constant_velocity(carla.Vector3D(10.0, 0, 0))
    tools.drive(world, 40)
    assert car.get_location().distance(ahead.location) > 15
    assert wall.get_location().distance(before) < 0.1


@api("set_actor_enable_gravity")
def test_a_body_without_gravity_does_not_fall(world, spawn, places, tools):
    high = carla.Transform(places[7].location + carla.Location(z=10.0))
    boxes = [spawn("static.prop.box01", high), spawn("static.prop.box02", high)]
    boxes[1].set_transform(carla.Transform(high.location + carla.Location(x=3.0)))
    for box in boxes:
        box.set_simulate_physics(True)
    boxes[0].set_enable_gravity(False)
    tools.drive(world, 20)
    kept, fell = (box.get_location().z for box in boxes)
    assert kept == pytest.approx(high.location.z, abs=0.05)
    assert fell < high.location.z - 2.0


@api("set_actor_dead")
def test_a_dead_walker_lies_for_ten_seconds(raw, world, spawn, places, tools):
    walker = spawn("walker.pedestrian.0001", places[8])
    world.tick()
    # A client's pedestrian navigation sends it, on a thread that bears no error.
    assert raw("set_actor_dead", walker.id) == (None, [[False]])
    assert raw("set_actor_dead", 999_999) == (None, [[False]])
    walker.apply_control(carla.WalkerControl(carla.Vector3D(1, 0, 0), 2.0))
    tools.drive(world, 190)
    assert walker.id in [state.id for state in world.get_snapshot()]
    tools.drive(world, 15)
    assert walker.id not in [state.id for state in world.get_snapshot()]


@api("get_actor_bounding_box")
def test_a_traffic_managers_question_for_a_box_is_never_an_error(raw, car):
    error, value = raw("get_actor_bounding_box", car.id)
    extent = car.bounding_box.extent
    assert error is None
    assert value[0][1][1] == pytest.approx([extent.x, extent.y, extent.z], abs=1e-5)
    error, value = raw("get_actor_bounding_box", 999_999)
    assert error is None and value[0][0] == 1


@api(
    "get_actor_component_names",
    "get_actor_component_world_transform",
    "get_actor_component_relative_transform",
)
def test_components_are_named_and_placed(world, car):
    names = car.get_component_names()
    assert names
    place = car.get_component_world_transform(names[0]).location
    assert place.distance(car.get_location()) < 0.1
    car.get_component_relative_transform(names[0])
    with pytest.raises(RuntimeError):
        car.get_component_world_transform("no such component")


@api(
    "get_actor_bone_names",
    "get_actor_bone_world_transforms",
    "get_actor_bone_relative_transforms",
    "get_actor_socket_names",
    "get_actor_socket_world_transforms",
    "get_actor_socket_relative_transforms",
)
def test_bones_and_sockets_have_as_many_poses_as_names(world, spawn, places):
    walker = spawn("walker.pedestrian.0001", places[8])
    world.tick()
    bones = walker.get_bone_names()
    assert len(bones) == len(walker.get_bone_world_transforms()) > 10
    assert len(bones) == len(walker.get_bone_relative_transforms())
    for pose in walker.get_bone_world_transforms():
        assert pose.location.distance(walker.get_location()) < 2.5
    sockets = walker.get_socket_names()
    assert len(sockets) == len(walker.get_socket_world_transforms())
    assert len(sockets) == len(walker.get_socket_relative_transforms())
