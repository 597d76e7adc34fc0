"""Normals, flow, events and G-buffers against CARLA's own client."""

from __future__ import annotations

import queue

import carla
import numpy as np
import pytest

SIZE = (64, 48)
EYE = carla.Transform(carla.Location(x=1.2, z=1.5), carla.Rotation(pitch=-20))
NAMES = carla.GBufferTextureID


class Rig:
    """Sensors in the world, each with the queue of what it sent."""

    def __init__(self, world):
        self.world, self.sensors = world, []

    def add(self, kind, holder=None, mount=EYE, is_listening=True, **attributes):
        blueprint = self.world.get_blueprint_library().find(f"sensor.camera.{kind}")
        for name, value in (
            {"image_size_x": SIZE[0], "image_size_y": SIZE[1]} | attributes
        ).items():
            blueprint.set_attribute(name, str(value))
        sensor = self.world.spawn_actor(blueprint, mount, attach_to=holder)
        self.sensors.append(sensor)
        inbox = queue.Queue()
        if is_listening:
            sensor.listen(inbox.put)
        return sensor, inbox


@pytest.fixture
def rig(world):
    made = Rig(world)
    yield made
    for sensor in made.sensors:
        if sensor.is_listening():
            sensor.stop()


@pytest.fixture
def car(world):
    blueprint = world.get_blueprint_library().find("vehicle.tesla.model3")
    made = world.spawn_actor(blueprint, world.get_map().get_spawn_points()[0])
    for _ in range(10):
        world.tick()
    return made


def pixels(image):
    return np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)


def vectors(image):
    """World normals (H, W, 3) out of a normals camera's red, green and blue."""
    return pixels(image)[..., 2::-1] / 255 * 2 - 1


def test_normals_of_the_road_point_up_and_those_of_a_wall_at_the_camera(world, car, rig):
    library, pose = world.get_blueprint_library(), car.get_transform()
    _, normals = rig.add("normals", car)
    _, labels = rig.add("semantic_segmentation", car)
    world.tick()
    road = pixels(labels.get(timeout=10))[..., 2] == int(carla.CityObjectLabel.Roads)
    assert road.sum() > 500
    np.testing.assert_allclose(
        vectors(normals.get(timeout=10))[road].mean(axis=0), (0, 0, 1), atol=0.01
    )
    # The tail of a bus fills the view; it faces back at us.
    ahead = carla.Transform(pose.transform(carla.Location(x=9.5, z=0.3)), pose.rotation)
    assert world.try_spawn_actor(library.find("vehicle.mitsubishi.fusorosa"), ahead)
    world.tick()
    seen = vectors(normals.get(timeout=10))[SIZE[1] // 4, SIZE[0] // 2]
    forward = pose.get_forward_vector()
    np.testing.assert_allclose(seen, (-forward.x, -forward.y, -forward.z), atol=0.15)


def test_flow_points_away_from_where_the_camera_goes(world, rig):
    at = world.get_map().get_spawn_points()[0]
    at.location.z += 1.5
    sensor, flows = rig.add("optical_flow", mount=at)
    world.tick()
    first = flows.get(timeout=10)
    assert not np.frombuffer(first.raw_data, np.float32).any()
    at.rotation.yaw += 1.0
    sensor.set_transform(at)
    world.tick()
    image = flows.get(timeout=10)
    assert isinstance(image, carla.OpticalFlowImage)
    flow = np.frombuffer(image.raw_data, np.float32).reshape(SIZE[1], SIZE[0], 2)
    # In the middle, f tan(1 deg) px to the left; f is half the width at 90 degrees.
    middle = flow[SIZE[1] // 2, SIZE[0] // 2]
    assert middle[0] == pytest.approx(-np.tan(np.radians(1.0)), rel=0.03)
    assert middle[1] == pytest.approx(0.0, abs=1e-3)
    assert image[0].x == flow[0, 0, 0]
    assert image.get_color_coded_flow().width == SIZE[0]


def test_events_come_with_what_changes_and_carry_the_ticks_time(world, rig):
    at = world.get_map().get_spawn_points()[0]
    at.location.z += 1.5
    sensor, arrays = rig.add("dvs", mount=at)
    _, images = rig.add("rgb", mount=at)
    for _ in range(3):
        world.tick()
        images.get(timeout=10)
    assert arrays.empty()
    before = world.get_snapshot().timestamp.elapsed_seconds
    at.rotation.yaw += 5.0
    sensor.set_transform(at)
    world.tick()
    events = arrays.get(timeout=10)
    now = world.get_snapshot().timestamp.elapsed_seconds
    assert isinstance(events, carla.DVSEventArray)
    assert len(events) > 50
    stamps = np.array(events.to_array_t())
    assert (np.diff(stamps) >= 0).all()
    assert before * 1e9 - 1 <= stamps.min() and stamps.max() <= now * 1e9 + 1
    assert {event.pol for event in events} == {False, True}
    assert max(event.x for event in events) < SIZE[0]


def test_a_camera_gives_its_gbuffers(world, car, rig):
    camera, images = rig.add("rgb", car)
    _, labels = rig.add("semantic_segmentation", car)
    _, depths = rig.add("depth", car)
    _, normals = rig.add("normals", car)
    inboxes = {}
    for name in ("SceneColor", "SceneDepth", "SceneStencil", "GBufferA", "GBufferC", "Velocity"):
        inboxes[name] = queue.Queue()
        camera.listen_to_gbuffer(getattr(NAMES, name), inboxes[name].put)
    frame = world.tick()
    images.get(timeout=10)
    buffers = {name: inbox.get(timeout=10) for name, inbox in inboxes.items()}
    assert {(b.frame, b.width, b.height) for b in buffers.values()} == {(frame, *SIZE)}
    stencil = pixels(buffers["SceneStencil"])
    assert np.array_equal(stencil[..., 0], pixels(labels.get(timeout=10))[..., 2])
    depth = pixels(depths.get(timeout=10))[..., :3]
    assert np.array_equal(pixels(buffers["SceneDepth"])[..., :3], depth)
    facing = pixels(normals.get(timeout=10))[..., :3]
    assert np.array_equal(pixels(buffers["GBufferA"])[..., :3], facing)
    paint = pixels(buffers["GBufferC"])[..., :3]
    assert not paint[stencil[..., 0] == 11].any() and paint[stencil[..., 0] == 1].any()
    assert (pixels(buffers["Velocity"])[..., 1:3] == 128).all()
    assert camera.is_listening_gbuffer(NAMES.SceneColor)
    for name in inboxes:
        camera.stop_gbuffer(getattr(NAMES, name))


@pytest.mark.parametrize("name", ["GBufferB", "GBufferD", "GBufferE", "GBufferF", "SSAO"])
def test_gbuffers_without_a_meaning_here_are_refused_by_name(world, rig, name):
    camera, _ = rig.add("rgb", mount=carla.Transform(), is_listening=False)
    with pytest.raises(RuntimeError, match=f"no G-buffer {name} on this server: "):
        camera.listen_to_gbuffer(getattr(NAMES, name), lambda _: None)


def test_a_default_camera_shows_daylight_as_a_plain_one_does(world, rig):
    at = world.get_map().get_spawn_points()[0]
    at.location.z += 1.5
    world.set_weather(carla.WeatherParameters(sun_altitude_angle=60.0, cloudiness=10.0))
    plain = {"exposure_mode": "manual", "bloom_intensity": 0, "lens_flare_intensity": 0}
    boxes = [
        rig.add("rgb", mount=at, **attributes)[1]
        for attributes in (
            plain | {"motion_blur_intensity": 0},
            {},
            plain | {"exposure_compensation": 1.0},
        )
    ]
    world.tick()
    first, default, brighter = (pixels(box.get(timeout=10)) for box in boxes)
    assert np.array_equal(first, default)
    assert brighter[..., :3].mean() > first[..., :3].mean() + 20


def test_an_impossible_exposure_is_refused_when_the_camera_is_made(world, rig):
    with pytest.raises(RuntimeError, match="expected iso above 0, got 0"):
        rig.add("rgb", mount=carla.Transform(), iso="0.0")
