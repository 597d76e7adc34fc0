"""Sensors and paint against CARLA's own client."""

from __future__ import annotations

import math
import queue

import carla
import numpy as np
import pytest

SIZE = (160, 120)
EYE = carla.Transform(carla.Location(x=1.2, z=1.5))


class Rig:
    """Spawns sensors on a car and reads them tick by tick."""

    def __init__(self, world, car):
        self.world, self.car, self.queues, self.sensors = world, car, [], []

    def add(self, kind, mount=EYE, **attributes):
        blueprint = self.world.get_blueprint_library().find(kind)
        if kind.startswith("sensor.camera"):
            attributes = {"image_size_x": SIZE[0], "image_size_y": SIZE[1], "fov": 90} | attributes
        for name, value in attributes.items():
            blueprint.set_attribute(name, str(value))
        sensor = self.world.spawn_actor(blueprint, mount, attach_to=self.car)
        self.sensors.append(sensor)
        self.queues.append(queue.Queue())
        sensor.listen(self.queues[-1].put)
        return sensor

    def tick(self):
        """The frame and what each sensor measured at it."""
        frame = self.world.tick()
        return frame, [inbox.get(timeout=10) for inbox in self.queues]


@pytest.fixture
def car(world):
    library = world.get_blueprint_library()
    made = world.spawn_actor(
        library.find("vehicle.tesla.model3"), world.get_map().get_spawn_points()[0]
    )
    for _ in range(20):
        world.tick()
    return made


@pytest.fixture
def rig(world, car):
    made = Rig(world, car)
    yield made
    for sensor in made.sensors:
        sensor.stop()


def pixels(image):
    return np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)


def test_an_image_belongs_to_its_tick(world, car, rig):
    camera = rig.add("sensor.camera.rgb")
    car.apply_control(carla.VehicleControl(throttle=1.0))
    for _ in range(5):
        frame, (image,) = rig.tick()
        assert (image.width, image.height, image.fov) == (*SIZE, 90.0)
        assert image.frame == frame == world.get_snapshot().frame
        assert image.timestamp == world.get_snapshot().timestamp.elapsed_seconds
        assert image.transform == camera.get_transform()
    assert len(np.unique(pixels(image)[..., :3])) > 50


def test_no_first_frame_is_lost(world, car):
    for _ in range(10):
        rig = Rig(world, car)
        rig.add("sensor.other.imu")
        frame, (reading,) = rig.tick()
        assert reading.frame == frame
        rig.sensors[0].destroy()


def test_all_cameras_of_one_place_show_one_scene(world, car, rig):
    library = world.get_blueprint_library()
    ahead = car.get_transform().transform(carla.Location(x=12.0, z=0.3))
    spot = carla.Transform(ahead, car.get_transform().rotation)
    target = world.spawn_actor(library.find("vehicle.audi.tt"), spot)
    for kind in ("depth", "semantic_segmentation", "instance_segmentation"):
        rig.add(f"sensor.camera.{kind}")
    for _ in range(20):
        _, (depth, semantic, instance) = rig.tick()
    labels = pixels(semantic)[..., 2]
    assert np.array_equal(labels, pixels(instance)[..., 2])
    low, high = pixels(instance)[..., 1].astype(int), pixels(instance)[..., 0].astype(int)
    ids = low + 256 * high
    on_target = ids == target.id
    assert on_target.sum() > 100
    assert (labels[on_target] == int(carla.CityObjectLabel.Car)).all()
    blue, green, red = (pixels(depth)[..., k].astype(float) for k in range(3))
    metres = (red + 256 * green + 65536 * blue) / (2**24 - 1) * 1000
    # From the eye to the tail of the car ahead.
    gap = 12.0 - 1.2 - target.bounding_box.extent.x
    assert np.median(metres[on_target]) == pytest.approx(gap, abs=0.8)
    assert metres[on_target].min() > gap - 0.3


def test_a_slow_camera_measures_at_its_own_rate(world, car, rig):
    rig.add("sensor.camera.depth", sensor_tick=0.1)
    frames = []
    for _ in range(10):
        world.tick()
    while True:
        try:
            frames.append(rig.queues[0].get(timeout=0.3).frame)
        except queue.Empty:
            break
    assert len(frames) == 5
    assert set(np.diff(frames)) == {2}


def test_paint_changes_pixels_until_the_next_episode(client, world):
    def look():
        sign = next(
            thing
            for thing in world.get_environment_objects(carla.CityObjectLabel.TrafficSigns)
            if thing.name.startswith("StopSign_")
        )
        yaw = math.radians(sign.transform.rotation.yaw)
        # A driver sees the sign along its own x axis.
        eye = sign.bounding_box.location - carla.Location(4 * math.cos(yaw), 4 * math.sin(yaw), 0)
        blueprint = world.get_blueprint_library().find("sensor.camera.rgb")
        for name, value in (("image_size_x", 64), ("image_size_y", 64), ("fov", 20)):
            blueprint.set_attribute(name, str(value))
        turn = carla.Rotation(yaw=sign.transform.rotation.yaw)
        camera = world.spawn_actor(blueprint, carla.Transform(eye, turn))
        inbox = queue.Queue()
        camera.listen(inbox.put)
        return sign.name, camera, inbox

    def shot():
        world.tick()
        return pixels(inbox.get(timeout=10))[..., :3].astype(int)

    name, camera, inbox = look()
    before = shot()
    texture = carla.TextureColor(8, 8)
    for x in range(8):
        for y in range(8):
            texture.set(x, y, carla.Color(0, 0, 255, 255))
    world.apply_color_texture_to_object(name, carla.MaterialParameter.Diffuse, texture)
    after = shot()
    middle = (slice(28, 36), slice(28, 36))
    blue, green, red = after[middle].reshape(-1, 3).mean(axis=0)
    assert blue > 2 * red and blue > 2 * green
    assert np.abs(after - before)[middle].mean() > 30
    camera.stop()
    world = client.reload_world(reset_settings=False)
    name, camera, inbox = look()
    assert np.array_equal(shot(), before)
    camera.stop()


def test_the_face_of_an_unknown_object_changes_nothing(world, rig):
    rig.add("sensor.camera.rgb")
    _, (before,) = rig.tick()
    texture = carla.TextureColor(2, 2)
    world.apply_color_texture_to_object("Nobody_7", carla.MaterialParameter.Diffuse, texture)
    _, (after,) = rig.tick()
    assert np.array_equal(pixels(before), pixels(after))


def test_a_collision_is_told_with_both_actors_and_an_impulse(world, car):
    library = world.get_blueprint_library()
    ahead = car.get_transform().transform(carla.Location(x=12.0, z=0.3))
    other = world.spawn_actor(
        library.find("vehicle.audi.tt"), carla.Transform(ahead, car.get_transform().rotation)
    )
    sensor = world.spawn_actor(
        library.find("sensor.other.collision"), carla.Transform(), attach_to=car
    )
    events = queue.Queue()
    sensor.listen(events.put)
    car.apply_control(carla.VehicleControl(throttle=1.0))
    for _ in range(80):
        world.tick()
    event = events.get(timeout=5)
    sensor.stop()
    assert event.actor.id == car.id
    assert event.other_actor.id == other.id
    assert event.other_actor.type_id == "vehicle.audi.tt"
    forward = car.get_transform().get_forward_vector()
    # It is pushed back.
    assert event.normal_impulse.dot(forward) < -500


def test_crossing_a_line_is_noticed_by_the_client(world, car):
    blueprint = world.get_blueprint_library().find("sensor.other.lane_invasion")
    sensor = world.spawn_actor(blueprint, carla.Transform(), attach_to=car)
    events = queue.Queue()
    sensor.listen(events.put)
    car.apply_control(carla.VehicleControl(throttle=0.6, steer=-0.3))
    for _ in range(60):
        world.tick()
    assert events.get(timeout=5).crossed_lane_markings
    sensor.stop()


def test_gnss_agrees_with_the_clients_map(world, car, rig):
    rig.add("sensor.other.gnss", carla.Transform(carla.Location(x=1.0, z=2.0)))
    _, (fix,) = rig.tick()
    truth = world.get_map().transform_to_geolocation(fix.transform.location)
    assert fix.latitude == pytest.approx(truth.latitude, abs=1e-9)
    assert fix.longitude == pytest.approx(truth.longitude, abs=1e-9)
    assert fix.altitude == pytest.approx(truth.altitude, abs=1e-4)


def test_imu_at_rest_feels_gravity_only(world, car, rig):
    rig.add("sensor.other.imu")
    _, (reading,) = rig.tick()
    assert reading.accelerometer.z == pytest.approx(9.81, abs=1e-3)
    assert math.hypot(reading.accelerometer.x, reading.accelerometer.y) < 1e-3
    assert reading.gyroscope.length() < 1e-6


def test_two_episodes_measure_the_same_bytes(client):
    def run():
        world = client.load_world("town")
        settings = world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
        world.apply_settings(settings)
        car = world.spawn_actor(
            world.get_blueprint_library().find("vehicle.tesla.model3"),
            world.get_map().get_spawn_points()[0],
        )
        rig = Rig(world, car)
        rig.add("sensor.camera.rgb")
        rig.add("sensor.other.gnss", noise_lat_stddev=1e-5, noise_seed=3)
        car.apply_control(carla.VehicleControl(throttle=1.0, steer=0.1))
        measured = []
        for _ in range(8):
            _, (image, fix) = rig.tick()
            measured.append((bytes(image.raw_data), fix.latitude, car.get_location().x))
        for sensor in rig.sensors:
            sensor.stop()
        return measured

    assert run() == run()


def test_a_destroyed_camera_leaves_the_others_working(world, car, rig):
    keep = rig.add("sensor.camera.depth")
    lost = world.spawn_actor(
        world.get_blueprint_library().find("sensor.other.gnss"), carla.Transform(), attach_to=car
    )
    lost.listen(lambda _: None)
    world.tick()
    rig.queues[0].get(timeout=10)
    lost.destroy()
    frame, (image,) = rig.tick()
    assert image.frame == frame
    assert keep.is_listening()


def test_a_free_running_world_ticks_by_itself(client, world, car):
    settings = world.get_settings()
    settings.synchronous_mode = False
    world.apply_settings(settings)
    first = world.wait_for_tick(5.0)
    second = world.wait_for_tick(5.0)
    assert second.frame > first.frame
    assert second.delta_seconds == pytest.approx(0.05)
