"""LiDAR, radar and obstacle detector against CARLA's own client."""

from __future__ import annotations

import hashlib
import queue
import time

import carla
import numpy as np
import pytest
from serving import start_server, stop_server

STEP_S = 0.05
SEMANTIC = np.dtype(
    [("x", "f4"), ("y", "f4"), ("z", "f4"), ("cosine", "f4"), ("id", "u4"), ("tag", "u4")]
)
WHOLE = {"range": 80, "rotation_frequency": 20, "points_per_second": 16 * 360 * 20, "channels": 16}
NOTHING_LOST = {"dropoff_general_rate": 0, "dropoff_intensity_limit": 0}
ROOF = carla.Transform(carla.Location(z=2.4))
ROADS = (1, 24)


class Rig:
    """Spawns sensors and reads them tick by tick."""

    def __init__(self, world):
        self.world, self.sensors, self.queues = world, [], []

    def add(self, kind, mount, holder=None, **attributes):
        blueprint = self.world.get_blueprint_library().find(kind)
        for name, value in attributes.items():
            blueprint.set_attribute(name, str(value))
        sensor = self.world.spawn_actor(blueprint, mount, attach_to=holder)
        self.sensors.append(sensor)
        self.queues.append(queue.Queue())
        sensor.listen(self.queues[-1].put)
        return sensor

    def tick(self):
        frame = self.world.tick()
        found = [inbox.get(timeout=20) for inbox in self.queues]
        assert {one.frame for one in found} == {frame}
        return found

    def stop(self):
        for sensor in self.sensors:
            sensor.stop()


@pytest.fixture
def rig(world):
    made = Rig(world)
    yield made
    made.stop()


@pytest.fixture
def car(world):
    library = world.get_blueprint_library()
    place = world.get_map().get_spawn_points()[0]
    made = world.spawn_actor(library.find("vehicle.tesla.model3"), place)
    for _ in range(10):
        world.tick()
    return made


def ahead_of(car, metres, kind="vehicle.audi.tt"):
    """Another one in its lane, looking the same way."""
    world = car.get_world()
    place = car.get_transform()
    place.location = place.transform(carla.Location(x=metres, z=0.3))
    return world.spawn_actor(world.get_blueprint_library().find(kind), place)


def cloud(message):
    return np.frombuffer(message.raw_data, np.float32).reshape(-1, 4)


def labelled(message):
    return np.frombuffer(message.raw_data, SEMANTIC)


def test_a_lidar_and_a_semantic_one_agree_point_by_point_at_the_roads_known_distance(
    world, rig, car
):
    other = ahead_of(car, 12.0)
    rig.add("sensor.lidar.ray_cast", ROOF, car, **WHOLE, **NOTHING_LOST)
    sensor = rig.add("sensor.lidar.ray_cast_semantic", ROOF, car, **WHOLE)
    rig.add("sensor.lidar.ray_cast", ROOF, car, **WHOLE, noise_stddev=0.05)
    for _ in range(3):
        plain, semantic, lossy = rig.tick()
    points, labels = cloud(plain), labelled(semantic)
    assert points.shape == (len(labels), 4) and len(points) > 3000
    assert [plain.get_point_count(k) for k in range(16)] == [
        semantic.get_point_count(k) for k in range(16)
    ]
    assert sum(plain.get_point_count(k) for k in range(16)) == len(points) == len(plain)
    for k, axis in enumerate("xyz"):
        assert np.array_equal(points[:, k], labels[axis])
    ranges = np.linalg.norm(points[:, :3], axis=1)
    assert points[:, 3] == pytest.approx(np.exp(-0.004 * ranges), rel=1e-5)
    assert plain.transform == sensor.get_transform()
    # 45 % of the rays are left out.
    assert len(cloud(lossy)) / len(points) == pytest.approx(0.55, abs=0.04)
    # The town is flat: the lowest lasers meet its roads at height over sine.
    height = sensor.get_location().z
    elevation = np.radians(
        np.repeat(np.linspace(10, -30, 16), [plain.get_point_count(k) for k in range(16)])
    )
    down = np.isin(labels["tag"], ROADS)
    assert down.sum() > 500
    error = ranges[down] + height / np.sin(elevation[down])
    # Paint lies 12 mm above the road, fillings of crossings 20 mm below.
    assert np.abs(error * np.sin(elevation[down])).max() < 0.025
    on_car = labels["id"] == other.id
    assert on_car.sum() > 10 and (labels["tag"][on_car] == 14).all()
    gap = 12.0 - other.bounding_box.extent.x
    assert labels["x"][on_car].min() == pytest.approx(gap, abs=0.3)
    assert set(np.unique(labels["id"])) <= {0, car.id, other.id} | {
        actor.id for actor in world.get_actors().filter("traffic.*")
    }


def test_a_lidar_sees_a_depth_cameras_distances(rig, car):
    ahead_of(car, 9.0)
    eye = carla.Transform(carla.Location(x=0.5, z=1.8))
    camera = {"image_size_x": 320, "image_size_y": 240, "fov": 90}
    rig.add("sensor.camera.depth", eye, car, **camera)
    rig.add("sensor.camera.semantic_segmentation", eye, car, **camera)
    rig.add(
        "sensor.lidar.ray_cast_semantic",
        eye,
        car,
        **{**WHOLE, "channels": 32, "points_per_second": 32 * 720 * 20},
    )
    for _ in range(3):
        depth, labels, scan = rig.tick()
    blue, green, red = (
        np.frombuffer(depth.raw_data, np.uint8).reshape(240, 320, 4)[..., k].astype(float)
        for k in range(3)
    )
    metres = (red + 256 * green + 65536 * blue) / (2**24 - 1) * 1000
    label = np.frombuffer(labels.raw_data, np.uint8).reshape(240, 320, 4)[..., 2]
    points = labelled(scan)
    # Plants are drawn more simply, and differently, beyond 20 m.
    points = points[(points["x"] > 1.0) & (points["tag"] != 9)]
    column = 160 + 160 * points["y"] / points["x"]
    row = 120 - 160 * points["z"] / points["x"]
    inside = (column > 1) & (column < 319) & (row > 1) & (row < 239)
    points, column, row = points[inside], column[inside].astype(int), row[inside].astype(int)
    # What shows a plant nearby may lie beside the simpler one that rays meet.
    bare = label[row, column] != 9
    points, column, row = points[bare], column[bare], row[bare]
    assert len(points) > 2000
    # Where label and depth hardly change around a pixel: no outline, no grazing ground.
    around = np.stack([metres[row + i, column + j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    same = np.stack([label[row + i, column + j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    is_smooth = (np.ptp(same, axis=0) == 0) & (np.ptp(around, axis=0) < 0.03 * around[4])
    assert is_smooth.sum() > 800
    assert (label[row, column] == points["tag"])[is_smooth].mean() > 0.999
    # Between the pixels around it, at the least and at the most.
    low, high = around.min(axis=0) - 0.02, around.max(axis=0) + 0.02
    is_between = (points["x"] >= low) & (points["x"] <= high)
    assert is_between[is_smooth].mean() > 0.999
    assert (label[row, column] == points["tag"]).mean() > 0.95
    assert {1, 14} <= set(points["tag"][is_smooth].tolist())


def test_radar_measures_how_fast_a_car_ahead_draws_away(world, rig, car):
    other = ahead_of(car, 20.0)
    for _ in range(8):  # down onto its wheels
        world.tick()
    other.enable_constant_velocity(carla.Vector3D(x=8.0))
    nose = carla.Transform(carla.Location(x=2.5, z=0.7))
    rig.add(
        "sensor.other.radar", nose, car, horizontal_fov=12, vertical_fov=4, points_per_second=20000
    )
    car.enable_constant_velocity(carla.Vector3D(x=3.0))
    for _ in range(4):
        (echoes,) = rig.tick()
    found = np.frombuffer(echoes.raw_data, np.float32).reshape(-1, 4).astype(float)
    speed, azimuth, altitude, depth = found.T
    cosine = np.cos(azimuth) * np.cos(altitude)
    gap = other.get_location().distance(car.get_location()) - 2.5 - other.bounding_box.extent.x
    # What draws away is the car: above the road, its tail first.
    is_away = speed > 0
    assert is_away.sum() > 30 and (~is_away).sum() > 30
    assert (depth * cosine)[is_away].min() == pytest.approx(gap, abs=0.1)
    assert (0.7 + depth * np.sin(altitude))[is_away].min() > 0.1
    assert speed[is_away] == pytest.approx(5.0 * cosine[is_away], abs=0.01)
    # What stands still closes in at the sensor's own speed.
    assert speed[~is_away] == pytest.approx(-3.0 * cosine[~is_away], abs=0.01)
    assert len(echoes) == len(found) and echoes[0].depth == pytest.approx(depth[0])


def test_an_obstacle_is_told_with_its_distance_while_it_is_there(world, car):
    other = ahead_of(car, 15.0)
    library = world.get_blueprint_library()
    events = queue.Queue()
    blueprint = library.find("sensor.other.obstacle")
    for name, value in (("distance", "30"), ("hit_radius", "0.4"), ("only_dynamics", "true")):
        blueprint.set_attribute(name, value)
    sensor = world.spawn_actor(blueprint, carla.Transform(carla.Location(z=0.8)), attach_to=car)
    sensor.listen(events.put)
    for _ in range(4):
        frame = world.tick()
        event = events.get(timeout=10)
    assert event.frame == frame
    assert event.actor.id == sensor.id
    assert event.other_actor.id == other.id
    gap = other.get_location().distance(car.get_location()) - other.bounding_box.extent.x
    assert event.distance == pytest.approx(gap - 0.4, abs=0.2)
    other.destroy()
    for _ in range(3):
        world.tick()
    time.sleep(0.1)
    assert events.empty()
    sensor.stop()


def test_scenery_ahead_is_named_after_its_label(world):
    house = world.get_environment_objects(carla.CityObjectLabel.Buildings)[0].bounding_box
    library = world.get_blueprint_library()
    above = carla.Transform(
        house.location + carla.Location(z=house.extent.z + 6.0), carla.Rotation(pitch=-90)
    )
    blueprint = library.find("sensor.other.obstacle")
    blueprint.set_attribute("distance", "20")
    sensor = world.spawn_actor(blueprint, above)
    events = queue.Queue()
    sensor.listen(events.put)
    world.tick()
    event = events.get(timeout=10)
    sensor.stop()
    assert event.other_actor.type_id == "static.building"
    # The roof lies a little below the parapet, where the box ends.
    assert 5.5 - 0.01 < event.distance < 8.0


def test_a_slow_lidar_measures_at_its_own_rate(world, rig, car):
    rig.add("sensor.lidar.ray_cast", ROOF, car, sensor_tick=0.1)
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


def test_a_hidden_house_lets_rays_through(world, rig):
    house = world.get_environment_objects(carla.CityObjectLabel.Buildings)[0]
    box = house.bounding_box
    above = carla.Transform(
        box.location + carla.Location(z=box.extent.z + 5.0), carla.Rotation(pitch=-90)
    )
    rig.add(
        "sensor.lidar.ray_cast_semantic",
        above,
        None,
        **{**WHOLE, "upper_fov": 0, "lower_fov": 0, "channels": 1},
    )

    def roof():
        points = labelled(rig.tick()[0])
        return (points["tag"] == 3).sum()

    before = roof()
    world.enable_environment_objects({house.id}, False)
    hidden = roof()
    world.enable_environment_objects({house.id}, True)
    assert before == roof() > hidden


def test_wrong_numbers_are_refused_at_the_spawning(world):
    blueprint = world.get_blueprint_library().find("sensor.lidar.ray_cast")
    blueprint.set_attribute("channels", "0")
    with pytest.raises(RuntimeError, match="channels"):
        world.spawn_actor(blueprint, carla.Transform())


def measured(host, port):
    """A digest of what noisy ray sensors of a server measure on a drive, and how much."""
    client = carla.Client(host, port, worker_threads=6)
    client.set_timeout(60.0)
    world = client.load_world("town")
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, STEP_S
    world.apply_settings(settings)
    library = world.get_blueprint_library()
    car = world.spawn_actor(
        library.find("vehicle.tesla.model3"), world.get_map().get_spawn_points()[0]
    )
    ahead_of(car, 15.0)
    rig = Rig(world)
    rig.add("sensor.lidar.ray_cast", ROOF, car, range=60, noise_stddev=0.1, noise_seed=5)
    rig.add("sensor.lidar.ray_cast_semantic", ROOF, car, range=60)
    rig.add("sensor.other.radar", carla.Transform(carla.Location(x=2.5, z=0.8)), car)
    car.apply_control(carla.VehicleControl(throttle=0.7, steer=0.05))
    digest, count = hashlib.sha256(), 0
    for _ in range(12):
        for message in rig.tick():
            digest.update(bytes(message.raw_data))
            count += len(message)
    rig.stop()
    settings.synchronous_mode = False
    world.apply_settings(settings)
    return digest.hexdigest(), count


def test_two_episodes_measure_the_same(server):
    first, count = measured(*server)
    assert count > 5000
    assert measured(*server) == (first, count)


@pytest.mark.journey
def test_two_servers_measure_the_same(server):
    process, found = start_server()
    try:
        assert measured(found[1], int(found[2])) == measured(*server)
    finally:
        stop_server(process)
