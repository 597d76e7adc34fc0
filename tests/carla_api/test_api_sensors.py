"""Each kind of sensor measures what is there."""

from __future__ import annotations

import math
import queue

import carla
import numpy as np
import pytest

api = pytest.mark.carla_api
WALL_M = 10.0


@pytest.fixture
def scene(world, spawn, places, tools):
    """A camera's pose on a straight road, a car ahead seen from behind, and how far it is."""
    pose = places[0]
    eye = carla.Transform(pose.location + carla.Location(z=0.8), pose.rotation)
    back = pose.location + WALL_M * pose.get_forward_vector()
    car = spawn("vehicle.volkswagen.t2", carla.Transform(back, pose.rotation))
    tools.drive(world, 10)
    car.set_simulate_physics(False)
    car.half = car.bounding_box.extent.x
    return eye, car, WALL_M - car.half


@pytest.fixture
def measure(world, spawn, listen):
    """Spawns a sensor and gives what it measures at the next tick."""

    def make(kind, pose, parent=None, **attributes):
        inbox = listen(spawn(kind, pose, parent, **attributes))
        frame = world.tick()
        found = inbox.get(timeout=10)
        assert found.frame == frame
        assert found.timestamp == world.get_snapshot().elapsed_seconds
        return found

    return make


def middle(image):
    flat = np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)
    return flat[image.height // 2, image.width // 2].astype(int)


@api("sensor.camera.rgb")
def test_a_colour_camera_sees_the_paint(world, scene, look):
    eye, _, _ = scene
    shot = look("sensor.camera.rgb", eye)
    picture = shot()
    assert picture.shape == (120, 160, 3)
    above, below = (part.mean(axis=(0, 1)) for part in (picture[:40], picture[90:]))
    # Blue sky above, grey road below.
    assert above[2] - above[0] > 8 > abs(below[2] - below[0])
    assert picture.std() > 20


@api("sensor.camera.rgb")
def test_a_cameras_exposure_acts(world, scene, look):
    eye, _, _ = scene
    manual = {"exposure_mode": "manual", "iso": 100, "fstop": 8.0}
    bright = look("sensor.camera.rgb", eye, shutter_speed=60, **manual)()
    dark = look("sensor.camera.rgb", eye, shutter_speed=600, **manual)()
    assert dark.mean() < 0.7 * bright.mean()


@api("sensor.camera.depth")
def test_a_depth_camera_measures_the_distance_of_a_wall(scene, measure):
    eye, _, distance = scene
    blue, green, red, _ = middle(measure("sensor.camera.depth", eye))
    depth = (red + 256 * green + 65536 * blue) / (2**24 - 1) * 1000
    assert depth == pytest.approx(distance, abs=0.5)


@api("sensor.camera.semantic_segmentation")
def test_a_semantic_camera_tells_carlas_label(scene, measure):
    eye, car, _ = scene
    assert middle(measure("sensor.camera.semantic_segmentation", eye))[2] == 14
    assert car.semantic_tags == [14]


@api("sensor.camera.instance_segmentation")
def test_an_instance_camera_tells_actors_apart(scene, measure):
    eye, car, _ = scene
    blue, green, red, _ = middle(measure("sensor.camera.instance_segmentation", eye))
    assert red == 14
    assert green + 256 * blue == car.id


@api("sensor.camera.normals")
def test_a_normals_camera_sees_a_wall_face_it(scene, measure):
    eye, _, _ = scene
    image = measure("sensor.camera.normals", eye)
    wall = middle(image)[:3]
    flat = np.frombuffer(image.raw_data, np.uint8).reshape(120, 160, 4).astype(int)
    ground = flat[118, 80, :3]
    # A wall's normal and the road's have nothing in common; each is one full channel away.
    assert abs(wall - ground).max() > 80


@api("sensor.camera.optical_flow")
def test_flow_is_still_for_a_still_camera_and_sideways_for_a_turning_one(
    world, scene, spawn, listen
):
    eye, _, _ = scene
    camera = spawn("sensor.camera.optical_flow", eye)
    inbox = listen(camera)
    for _ in range(2):
        frame = world.tick()
    while (image := inbox.get(timeout=10)).frame < frame:
        pass
    still = np.frombuffer(image.raw_data, np.float32).reshape(120, 160, 2)
    assert abs(still[60, 80]).max() < 1e-3
    turned = carla.Transform(eye.location, carla.Rotation(yaw=eye.rotation.yaw + 2.0))
    camera.set_transform(turned)
    frame = world.tick()
    while (image := inbox.get(timeout=10)).frame < frame:
        pass
    moved = np.frombuffer(image.raw_data, np.float32).reshape(120, 160, 2)
    across, down = moved[60, 80]
    assert abs(across) > 10 * abs(down)
    assert abs(across) > 1e-3


@api("sensor.camera.dvs")
def test_an_event_camera_reports_change_only(world, scene, spawn, listen, tools):
    eye, _, _ = scene
    camera = spawn("sensor.camera.dvs", eye)
    inbox = listen(camera)
    tools.drive(world, 3)
    while not inbox.empty():
        inbox.get()
    moved = carla.Transform(eye.location, carla.Rotation(yaw=eye.rotation.yaw + 1.0))
    camera.set_transform(moved)
    tools.drive(world, 1)
    events = inbox.get(timeout=10)
    assert len(events) > 50
    first = events[0]
    assert 0 <= first.x < 160 and 0 <= first.y < 120
    assert {event.pol for event in events} == {True, False}


@api("sensor.lidar.ray_cast")
def test_a_lidar_measures_the_wall(world, scene, measure):
    eye, _, distance = scene
    cloud = measure(
        "sensor.lidar.ray_cast",
        eye,
        channels=16,
        range=50,
        points_per_second=16 * 20 * 720,
        rotation_frequency=20,
        upper_fov=2,
        lower_fov=-2,
        dropoff_general_rate=0.0,
        noise_stddev=0.0,
    )
    points = np.frombuffer(cloud.raw_data, np.float32).reshape(-1, 4)
    assert len(points) == sum(cloud.get_point_count(k) for k in range(cloud.channels))
    ahead = points[(abs(points[:, 1]) < 0.3) & (points[:, 0] > 0) & (points[:, 0] < 20)]
    assert np.median(ahead[:, 0]) == pytest.approx(distance, abs=0.4)
    assert ((points[:, 3] > 0) & (points[:, 3] <= 1)).all()
    # CARLA's loss in air.
    lost = np.exp(-0.004 * np.linalg.norm(points[:, :3], axis=1))
    assert np.allclose(points[:, 3], lost, atol=1e-3)


@api("sensor.lidar.ray_cast_semantic")
def test_a_semantic_lidar_names_what_it_hits(world, scene, measure):
    eye, car, _ = scene
    cloud = measure(
        "sensor.lidar.ray_cast_semantic",
        eye,
        channels=8,
        range=50,
        points_per_second=8 * 20 * 720,
        rotation_frequency=20,
        upper_fov=2,
        lower_fov=-20,
    )
    found = [(hit.object_idx, hit.object_tag, hit.cos_inc_angle) for hit in cloud]
    assert (car.id, 14) in {(index, tag) for index, tag, _ in found}
    assert {1, 14} <= {tag for _, tag, _ in found}
    assert all(0 <= cosine <= 1.0001 for *_, cosine in found)


@api("sensor.other.radar")
def test_a_radar_measures_closing_speed(world, scene, spawn, listen, tools):
    eye, car, distance = scene
    car.set_simulate_physics(True)
    car.enable_constant_velocity(carla.Vector3D(-4.0, 0, 0))
    tools.drive(world, 5)
    inbox = listen(spawn("sensor.other.radar", eye, horizontal_fov=4, vertical_fov=2))
    frame = world.tick()
    found = inbox.get(timeout=10)
    assert found.frame == frame and len(found)
    speeds = [hit.velocity for hit in found if hit.depth < distance]
    assert speeds
    assert np.median(speeds) == pytest.approx(-4.0, abs=0.3)
    assert all(abs(hit.azimuth) <= math.radians(2.01) for hit in found)


@api("sensor.other.gnss")
def test_a_gnss_agrees_with_the_map(world, car, measure):
    fix = measure("sensor.other.gnss", carla.Transform(), car)
    there = world.get_map().transform_to_geolocation(car.get_location())
    assert (fix.latitude, fix.longitude) == pytest.approx(
        (there.latitude, there.longitude), abs=1e-8
    )
    assert fix.altitude == pytest.approx(there.altitude, abs=1e-3)


@api("sensor.other.imu")
def test_an_imu_feels_turning_and_braking(world, car, spawn, listen, tools):
    inbox = listen(spawn("sensor.other.imu", carla.Transform(), car))
    car.apply_control(carla.VehicleControl(throttle=0.7, steer=0.4))
    tools.drive(world, 40)
    reading = tools.latest(inbox)
    assert reading.accelerometer.z == pytest.approx(9.81, abs=0.3)
    spin = math.radians(car.get_angular_velocity().z)
    assert reading.gyroscope.z == pytest.approx(spin, abs=0.02)
    assert spin > 0.1
    yaw = math.radians(car.get_transform().rotation.yaw)
    # North is -y: heading +x is east.
    assert math.cos(reading.compass - (yaw + math.pi / 2)) > 0.999
    car.apply_control(carla.VehicleControl(brake=1.0))
    tools.drive(world, 3)
    assert tools.latest(inbox).accelerometer.x < -2.0


@api("sensor.other.collision")
def test_a_collision_names_both_and_the_push(world, car, spawn, listen, tools):
    pose = car.get_transform()
    place = pose.transform(carla.Location(x=8.0, z=0.2))
    other = spawn("vehicle.audi.tt", carla.Transform(place, pose.rotation))
    inbox = listen(spawn("sensor.other.collision", carla.Transform(), car))
    car.enable_constant_velocity(carla.Vector3D(8.0, 0, 0))
    tools.drive(world, 20)
    event = inbox.get(timeout=10)
    assert event.actor.id == car.id
    assert event.other_actor.id == other.id
    push, ahead = event.normal_impulse, pose.get_forward_vector()
    assert push.length() > 100
    assert push.dot(ahead) < 0


@api("sensor.other.lane_invasion")
def test_crossing_a_marking_is_told(world, car, spawn, listen, tools):
    inbox = listen(spawn("sensor.other.lane_invasion", carla.Transform(), car))
    world.tick()
    side = car.get_transform().get_right_vector()
    for _ in range(2):
        car.set_transform(
            carla.Transform(car.get_location() - 2.0 * side, car.get_transform().rotation)
        )
        tools.drive(world, 3)
    event = inbox.get(timeout=10)
    assert event.frame <= world.get_snapshot().frame
    kinds = {marking.type for marking in event.crossed_lane_markings}
    assert kinds and carla.LaneMarkingType.NONE not in kinds


@api("sensor.other.obstacle")
def test_an_obstacle_ahead_is_told_with_its_distance(world, scene, spawn, listen, tools):
    eye, car, distance = scene
    inbox = listen(spawn("sensor.other.obstacle", eye, distance=20, hit_radius=0.3))
    tools.drive(world, 1)
    event = inbox.get(timeout=10)
    assert event.other_actor.id == car.id
    assert event.distance == pytest.approx(distance, abs=0.6)


@pytest.mark.parametrize(
    "kind", ["sensor.other.gnss", "sensor.other.imu", "sensor.camera.depth", "sensor.other.radar"]
)
def test_a_sensor_keeps_its_own_time(world, car, spawn, listen, kind):
    inbox = listen(spawn(kind, carla.Transform(carla.Location(z=2.0)), car, sensor_tick=0.2))
    frames = [world.tick() for _ in range(9)]
    other = listen(spawn("sensor.other.gnss", carla.Transform(), car))
    world.tick()
    other.get(timeout=10)
    found = [inbox.get(timeout=10).frame for _ in range(3)]
    assert found == [frames[0], frames[4], frames[8]]
    assert inbox.empty()


# Sensors' own calls


@api(
    "get_gbuffer_token",
    "enable_gbuffers",
    "are_gbuffers_enabled",
    partly="SceneColor, SceneDepth, SceneStencil, GBufferA (normals), GBufferC (base colour), "
    "Velocity, CustomDepth and CustomStencil; for the others an error says why",
)
def test_a_gbuffer_shows_what_its_name_says(raw, world, scene, spawn):
    eye, _, _ = scene
    camera = spawn("sensor.camera.rgb", eye)
    inbox = queue.Queue()
    camera.enable_gbuffers(True)
    camera.listen(lambda image: None)
    camera.listen_to_gbuffer(carla.GBufferTextureID.SceneStencil, inbox.put)
    frame = world.tick()
    image = inbox.get(timeout=10)
    assert image.frame == frame
    assert 14 in middle(image)[:3]
    assert raw("are_gbuffers_enabled", camera.id) == (None, [[1, True]])
    with pytest.raises(RuntimeError, match="no G-buffer SSAO on this server"):
        camera.listen_to_gbuffer(carla.GBufferTextureID.SSAO, inbox.put)
    camera.stop_gbuffer(carla.GBufferTextureID.SceneStencil)
    camera.stop()


@api(
    "set_ignored_vehicles",
    partly="arguments are checked; CARLA's own effect is on its Cosmos camera only, "
    "which is not here",
)
def test_ignored_vehicles_must_be_vehicles(scene, look, spawn):
    eye, car, _ = scene
    camera = spawn("sensor.camera.rgb", eye)
    camera.set_ignored_vehicles([car.id])
    with pytest.raises(RuntimeError, match="999999 not found"):
        camera.set_ignored_vehicles([999_999])
    with pytest.raises(RuntimeError, match="is no vehicle"):
        camera.set_ignored_vehicles([camera.id])


@api(
    "enable_sensor_for_ros",
    absent="ROS is not here: listen to the sensor from a client instead (the client does not wait "
    "for the answer; the server prints it)",
)
@api("disable_sensor_for_ros", partly="accepted; nothing was enabled")
@api("is_sensor_enabled_for_ros", partly="always False")
def test_ros_is_refused_and_stays_off(raw, car, spawn):
    sensor = spawn("sensor.other.gnss", carla.Transform(), car)
    words = "ROS is not here: listen to the sensor from a client instead"
    assert raw("enable_sensor_for_ros", 1) == (None, [[True, [words]]])
    sensor.enable_for_ros()
    assert not sensor.is_enabled_for_ros()
    sensor.disable_for_ros()
    assert not sensor.is_enabled_for_ros()


@api("send", absent="V2X is not here: ... sends no messages")
def test_a_message_by_v2x_is_refused(raw, car, spawn):
    sensor = spawn("sensor.other.gnss", carla.Transform(), car)
    words = "V2X is not here: sensor.other.gnss sends no messages"
    assert raw("send", sensor.id, "hello") == (None, [[True, [words]]])


@api(
    "sensor.camera.cosmos_visualization",
    "sensor.other.v2x",
    "sensor.other.v2x_custom",
    "sensor.other.rss",
    absent="blueprint '...' not found (by the client: the library does not list it)",
)
@pytest.mark.parametrize(
    "kind",
    [
        "sensor.camera.cosmos_visualization",
        "sensor.other.v2x",
        "sensor.other.v2x_custom",
        "sensor.other.rss",
    ],
)
def test_a_sensor_that_is_not_here_is_not_in_the_library(raw, library, kind):
    with pytest.raises(IndexError, match=f"blueprint '{kind}' not found"):
        library.find(kind)
    error, value = raw("spawn_actor", [1, kind, []], [[0.0] * 3, [0.0] * 3])
    assert error is None
    assert f"invalid actor: '{kind}'" in value[0][1][0]
