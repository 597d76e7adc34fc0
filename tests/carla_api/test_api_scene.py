"""Rays, boxes and objects of the scenery, debug shapes, street lamps, textures."""

from __future__ import annotations

import math
import queue
import time

import carla
import numpy as np
import pytest
from serving import start_server, stop_server

api = pytest.mark.carla_api
LABEL = carla.CityObjectLabel
RED = carla.Color(255, 0, 0)


def at(place, **shift):
    """A location moved by x, y, z."""
    return carla.Location(*(getattr(place, k) + shift.get(k, 0.0) for k in "xyz"))


# Rays


@api("project_point")
def test_a_projection_finds_the_road_and_then_a_roof(world, car, places):
    place = car.get_location()
    beside = places[5].location
    ground = world.ground_projection(at(beside, z=20.0), 50.0)
    assert ground.label == LABEL.Roads
    assert ground.location.z == pytest.approx(beside.z - 0.3, abs=0.05)
    assert world.ground_projection(at(beside, z=20.0), 5.0) is None
    roof = world.project_point(at(place, z=20.0), carla.Vector3D(0, 0, -2), 50.0)
    assert roof.label == LABEL.Car
    height = 2 * car.bounding_box.extent.z
    assert roof.location.z - place.z == pytest.approx(height, abs=0.1)


@api("cast_ray")
def test_a_ray_tells_all_that_it_meets_in_order(world, car):
    place = car.get_location()
    hits = world.cast_ray(at(place, z=20.0), at(place, z=-20.0))
    assert [hit.label for hit in hits] == [LABEL.Car, LABEL.Roads]
    assert hits[0].location.z > hits[1].location.z
    assert world.cast_ray(at(place, z=20.0), at(place, z=10.0)) == []


# Boxes and objects


@api("get_all_level_BBs", partly="roads and sidewalks have none: their lanes are one mesh")
def test_boxes_hold_scenery_and_actors(world, car):
    houses = world.get_level_bbs(LABEL.Buildings)
    assert houses and all(1.0 < house.extent.z < 60.0 for house in houses)
    (box,) = world.get_level_bbs(LABEL.Car)
    centre = car.get_transform().transform(car.bounding_box.location)
    assert box.location.distance(centre) < 0.05
    assert box.extent == car.bounding_box.extent
    assert len(world.get_level_bbs(LABEL.Any)) > len(houses)
    house = houses[0]
    (hit, *_) = world.cast_ray(at(house.location, z=100.0), house.location)
    assert hit.label == LABEL.Buildings
    # Under the top of what stands on the roof.
    assert 0 <= house.location.z + house.extent.z - hit.location.z < 2.5


@api("get_environment_objects", partly="roads and sidewalks are none of them")
def test_objects_have_names_labels_and_places(world):
    signs = world.get_environment_objects(LABEL.TrafficSigns)
    assert signs and all(sign.type == LABEL.TrafficSigns for sign in signs)
    assert {sign.name for sign in signs} <= set(world.get_names_of_all_objects())
    everything = world.get_environment_objects(LABEL.Any)
    assert len({thing.id for thing in everything}) == len(everything) > len(signs)


@api(
    "enable_environment_objects",
    partly="cameras, rays and LiDAR pass through what is off; bodies still hit it",
)
@pytest.mark.journey
def test_an_object_that_is_off_is_gone_from_pictures_and_rays(world, look):
    house = max(
        world.get_environment_objects(LABEL.Buildings), key=lambda o: o.bounding_box.extent.z
    )
    box = house.bounding_box
    eye = carla.Transform(at(box.location, z=60.0), carla.Rotation(pitch=-90))
    shot = look("sensor.camera.instance_segmentation", eye)
    low, high = house.id & 255, house.id >> 8 & 255

    def seen():
        picture = shot()
        return int(((picture[..., 1] == low) & (picture[..., 2] == high)).sum())

    above = at(box.location, z=60.0)
    assert seen() > 100
    roof = world.ground_projection(above, 200.0)
    assert roof.label == LABEL.Buildings
    world.enable_environment_objects({house.id}, False)
    assert seen() == 0
    assert world.ground_projection(above, 200.0).location.z < roof.location.z - 2.0
    world.enable_environment_objects({house.id}, True)
    assert seen() > 100


# Debug shapes


@pytest.fixture
def sky(look):
    """A camera that looks at nothing but the sky above the town, and the middle of its view."""
    eye = carla.Transform(carla.Location(0, 0, 300), carla.Rotation(pitch=20))
    ahead = eye.get_forward_vector()
    middle = carla.Location(10 * ahead.x, 10 * ahead.y, 300 + 10 * ahead.z)
    return look("sensor.camera.rgb", eye), middle


def drawn(picture, color):
    return (picture == (color.r, color.g, color.b)).all(axis=2)


@api(
    "draw_debug_shape",
    partly="colour cameras see points, lines, arrows and boxes, unlit and in plain colours, no "
    "other sensor does; text and draw_hud_* are for the simulator's window, which is not here",
)
@pytest.mark.parametrize("form", ["point", "line", "arrow", "box"])
def test_a_shape_is_seen_in_its_place_for_its_time(world, sky, form):
    shot, middle = sky
    before = shot()
    pen, end = world.debug, at(middle, y=2.0)
    if form == "point":
        pen.draw_point(middle, 0.1, RED, 0.1)
    elif form == "line":
        pen.draw_line(middle, end, 0.3, RED, 0.1)
    elif form == "arrow":
        pen.draw_arrow(middle, end, 0.05, 0.5, RED, 0.1)
    else:
        box = carla.BoundingBox(middle, carla.Vector3D(0.5, 2.0, 0.5))
        pen.draw_box(box, carla.Rotation(), 0.05, RED, 0.1)
    first, second, third = shot(), shot(), shot()
    red = drawn(first, RED)
    rows, columns = np.nonzero(red)
    if form == "point":
        # A tenth of a metre is ten pixels, at any distance.
        assert red.sum() == 100
        assert abs(rows.mean() - 59.5) < 1 and abs(columns.mean() - 79.5) < 1
    elif form == "line":
        # fov 90, 160 px: 8 px a metre at 10 m; 2 m long to the right, 0.3 m thick.
        assert np.ptp(columns) + 1 == pytest.approx(16, abs=2)
        assert np.ptp(rows) + 1 == pytest.approx(2.4, abs=1)
        assert columns.min() == pytest.approx(80, abs=1)
    elif form == "arrow":
        barbs = columns > columns.max() - 5
        assert np.ptp(rows[barbs]) > np.ptp(rows[~barbs])
    else:
        assert np.ptp(columns) == pytest.approx(33, abs=3)
        # Edges only: the middle of each face stays clear.
        assert not red[np.ptp(rows) // 2 + rows.min(), 72]
    assert drawn(second, RED).sum() == red.sum()
    assert (third == before).all()


@api("clear_debug_shape", "clear_debug_string")
def test_shapes_without_an_end_stay_until_they_are_cleared(world, sky):
    shot, middle = sky
    before = shot()
    world.debug.draw_point(middle, 0.1, RED)
    world.debug.draw_string(middle, "text", False, RED)
    for _ in range(25):
        world.tick()
    assert drawn(shot(), RED).sum() == 100
    world.debug.clear_debug_string()
    assert drawn(shot(), RED).sum() == 100
    world.debug.clear_debug_shape()
    assert (shot() == before).all()


def test_labels_and_depth_do_not_see_shapes(world, look):
    eye = carla.Transform(carla.Location(0, 0, 300), carla.Rotation(pitch=20))
    shots = [look(f"sensor.camera.{kind}", eye) for kind in ("depth", "semantic_segmentation")]
    before = [shot() for shot in shots]
    ahead = eye.get_forward_vector()
    world.debug.draw_point(carla.Location(ahead.x, ahead.y, 300 + ahead.z), 0.5, RED)
    assert all((shot() == old).all() for shot, old in zip(shots, before, strict=True))


# Street lamps


@pytest.fixture
def lamps(world):
    manager = world.get_lightmanager()
    return manager, manager.get_all_lights(carla.LightGroup.Street)


@api("query_lights_state", partly="street lamps only; buildings have no lights")
def test_lamps_are_listed_where_they_stand(world, lamps):
    manager, lights = lamps
    assert len(lights) > 20
    assert not manager.get_all_lights(carla.LightGroup.Building)
    heads = [light.location for light in lights]
    poles = [
        o for o in world.get_environment_objects(LABEL.Poles) if o.name.startswith("StreetLamp")
    ]
    assert len(poles) == len(heads)
    assert all(
        min(math.hypot(h.x - p.transform.location.x, h.y - p.transform.location.y) for p in poles)
        < 3
        for h in heads[:5]
    )


@api("update_lights_state")
def test_a_lamp_that_is_switched_and_coloured_shows_it(world, lamps, look):
    manager, lights = lamps
    lamp = lights[0]
    assert not lamp.is_on
    eye = carla.Transform(at(lamp.location, z=-0.6), carla.Rotation(pitch=90))
    shot = look("sensor.camera.rgb", eye)
    dark = shot()[60, 80]
    manager.set_color([lamp], carla.Color(255, 0, 0))
    manager.turn_on([lamp])
    shot()
    red = shot()[60, 80]
    assert red[0] > dark[0] + 30 and red[0] > red[1] + 80
    manager.set_intensity([lamp], 2_000.0)
    shot()
    assert shot()[60, 80][0] < red[0]
    assert manager.get_intensity([lamp]) == [2_000.0]
    manager.set_light_group([lamp], carla.LightGroup.Other)
    assert [light.id for light in manager.get_all_lights(carla.LightGroup.Other)] == [lamp.id]


@api("update_lights_state")
def test_a_lamp_lights_the_street_below_it_in_its_colour(world, lamps, look):
    manager, lights = lamps
    manager.set_day_night_cycle(False)
    world.set_weather(carla.WeatherParameters(sun_altitude_angle=-40.0))
    world.tick()
    eye = carla.Transform(at(lights[0].location, z=-3.0), carla.Rotation(pitch=-90))
    shot = look("sensor.camera.rgb", eye)
    shot()
    dark = shot().reshape(-1, 3).mean(0)
    manager.set_color(lights[:1], carla.Color(0, 255, 0))
    manager.turn_on(lights[:1])
    shot()
    green = shot().reshape(-1, 3).mean(0)
    assert green[1] > dark[1] + 30 and abs(green[0] - dark[0]) < 10
    manager.turn_off(lights[:1])
    shot()
    off = shot().reshape(-1, 3).mean(0)
    assert abs((off[1] - off[0]) - (dark[1] - dark[0])) < 5


def test_another_client_hears_of_a_lamp_that_was_switched(world, lamps, server):
    manager, lights = lamps
    other = carla.Client(*server, worker_threads=2)
    other.set_timeout(10.0)
    watching = other.get_world().get_lightmanager()
    assert not watching.get_turned_on_lights(carla.LightGroup.Street)
    manager.turn_on(lights[:3])
    world.tick()
    world.tick()
    deadline = time.monotonic() + 5.0
    while len(watching.get_turned_on_lights(carla.LightGroup.Street)) != 3:
        assert time.monotonic() < deadline, "the other client was not told"
        world.tick()


@api("update_day_night_cycle")
def test_lamps_follow_the_sun_until_they_are_told_not_to(world, lamps):
    manager, lights = lamps

    def lit_at(altitude):
        weather = world.get_weather()
        weather.sun_altitude_angle = altitude
        world.set_weather(weather)
        world.tick()
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            world.tick()
            if (count := len(manager.get_turned_on_lights(carla.LightGroup.Street))) != before:
                break
        return count

    before = 0
    assert lit_at(-20.0) == len(lights)
    before = len(lights)
    assert lit_at(40.0) == 0
    manager.set_day_night_cycle(False)
    before = -1
    assert lit_at(-20.0) == 0


# Textures


def checker(size, first, second):
    texture = carla.TextureColor(size, size)
    for y in range(size):
        for x in range(size):
            texture.set(x, y, carla.Color(*(first if (x + y) % 2 else second), 255))
    return texture


def plain(color):
    return checker(2, color, color)


def facing(place, yaw_deg, distance):
    """A camera's pose that looks along ``yaw_deg`` at a place."""
    yaw = math.radians(yaw_deg)
    eye = at(place, x=-distance * math.cos(yaw), y=-distance * math.sin(yaw))
    return carla.Transform(eye, carla.Rotation(yaw=yaw_deg))


@pytest.fixture
def billboard(world):
    objects = world.get_environment_objects(LABEL.Static)
    return next(o for o in objects if o.name.startswith("Billboard_"))


@api("get_names_of_all_objects")
@api(
    "apply_color_texture_to_objects",
    partly="signs' faces, billboards and props that are boards take a Diffuse texture; for other "
    "objects and parameters an error says so",
)
def test_a_billboard_shows_the_texture_that_it_was_given(world, billboard, look):
    name, place = billboard.name, billboard.bounding_box.location
    assert name in world.get_names_of_all_objects()
    shot = look("sensor.camera.rgb", facing(place, billboard.transform.rotation.yaw, 3.0))
    before = shot()[60, 80]
    diffuse = carla.MaterialParameter.Diffuse
    world.apply_color_texture_to_object(name, diffuse, plain((0, 255, 0)))
    after = shot()[60, 80]
    assert after[1] > after[0] + 60 and after[1] > after[2] + 60
    assert abs(after - before).max() > 20
    with pytest.raises(RuntimeError, match="'Building_000' takes no texture here"):
        world.apply_color_texture_to_object("Building_000", diffuse, plain((0, 0, 0)))
    with pytest.raises(RuntimeError, match="parameter Normal has no effect here"):
        world.apply_color_texture_to_object(name, carla.MaterialParameter.Normal, plain((0, 0, 0)))
    world.apply_color_texture_to_object("NoSuchObject", diffuse, plain((0, 0, 0)))


@api("apply_float_color_texture_to_objects", partly="as apply_color_texture_to_objects")
def test_a_texture_of_floats_shows_the_same(world, billboard, look):
    shot = look(
        "sensor.camera.rgb",
        facing(billboard.bounding_box.location, billboard.transform.rotation.yaw, 3.0),
    )
    diffuse = carla.MaterialParameter.Diffuse
    world.apply_color_texture_to_objects([billboard.name], diffuse, plain((255, 0, 0)))
    whole = shot()
    texture = carla.TextureFloatColor(2, 2)
    for k in range(4):
        texture.set(k % 2, k // 2, carla.FloatColor(1.0, 0.0, 0.0, 1.0))
    world.apply_color_texture_to_object(billboard.name, diffuse, plain((0, 0, 255)))
    assert abs(shot() - whole).max() > 100
    world.apply_float_color_texture_to_object(billboard.name, diffuse, texture)
    now = shot()
    # The eye behind the lens may adapt by a level.
    assert abs(now - whole).max() <= 2


@pytest.mark.journey
def test_under_strict_textures_signs_take_none_and_a_carrier_in_front_does():
    process, found = start_server("--strict-textures")
    try:
        client = carla.Client(found[1], int(found[2]), worker_threads=4)
        client.set_timeout(30.0)
        world = client.get_world()
        settings = world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
        world.apply_settings(settings)
        diffuse = carla.MaterialParameter.Diffuse
        signs = world.get_environment_objects(LABEL.TrafficSigns)
        sign = next(o for o in signs if o.name.startswith("StopSign_"))
        with pytest.raises(RuntimeError, match="takes no texture under --strict-textures"):
            world.apply_color_texture_to_object(sign.name, diffuse, plain((0, 0, 0)))
        yaw = sign.transform.rotation.yaw
        front = facing(sign.bounding_box.location, yaw, 0.1)
        front.location.z -= 0.5
        library = world.get_blueprint_library()
        prop = world.spawn_actor(library.find("static.prop.mesh"), front)
        prop.set_simulate_physics(False)
        world.tick()
        name = f"Actor_{prop.id}"
        assert name in world.get_names_of_all_objects()
        world.apply_color_texture_to_object(name, diffuse, checker(64, (255,) * 3, (0,) * 3))
        blueprint = library.find("sensor.camera.rgb")
        for key, value in (("image_size_x", 160), ("image_size_y", 120), ("fov", 20)):
            blueprint.set_attribute(key, str(value))
        spreads = {}
        for distance in (1.0, 30.0):
            pose = facing(sign.bounding_box.location, yaw, distance)
            camera, inbox = world.spawn_actor(blueprint, pose), queue.Queue()
            camera.listen(inbox.put)
            world.tick()
            image = np.frombuffer(inbox.get(timeout=10).raw_data, np.uint8).reshape(120, 160, 4)
            spreads[distance] = image[55:65, 75:85, 1].astype(float).std()
            camera.stop()
        # One level of detail: squares far smaller than a pixel do not blend into grey.
        assert spreads[1.0] > 50
        assert spreads[30.0] > 30
    finally:
        stop_server(process)
