"""Versions, settings, time, weather, the spectator and what else an episode has."""

from __future__ import annotations

import math
import time

import carla
import pytest

api = pytest.mark.carla_api


@api("version")
def test_client_and_server_have_one_version(client):
    assert client.get_server_version() == client.get_client_version() == "0.9.16"


@api("get_episode_info", "get_sensor_token")
def test_a_second_client_sees_the_same_episode(client, world, server):
    other = carla.Client(*server, worker_threads=1)
    other.set_timeout(10.0)
    seen = other.get_world()
    assert seen.id == world.id
    # A new client knows nothing of earlier ticks, and of this one when it has come through.
    frame, deadline = world.tick(), time.monotonic() + 10
    while seen.get_snapshot().frame < frame and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seen.get_snapshot().frame == world.get_snapshot().frame == frame


@api(
    "get_episode_settings",
    "set_episode_settings",
    partly="sub-steps, culling and streaming distances are kept and given back but have no effect: "
    "physics takes steps of its own of at most 10 ms, and maps are whole",
)
def test_settings_come_back_as_they_were_set(world):
    settings = world.get_settings()
    settings.fixed_delta_seconds = 0.025
    settings.substepping = True
    settings.max_substep_delta_time = 0.005
    settings.max_substeps = 5
    settings.max_culling_distance = 120.0
    settings.deterministic_ragdolls = True
    settings.spectator_as_ego = False
    settings.actor_active_distance = 500.0
    frame = world.apply_settings(settings)
    assert frame >= 0
    assert world.get_settings() == settings
    before = world.get_snapshot().elapsed_seconds
    world.tick()
    assert world.get_snapshot().elapsed_seconds - before == pytest.approx(0.025, abs=1e-6)


@api("tick_cue")
def test_a_synchronous_world_waits_for_its_tick(world):
    before = world.get_snapshot()
    time.sleep(0.1)
    assert world.get_snapshot().frame == before.frame
    assert world.tick() == before.frame + 1
    after = world.get_snapshot()
    assert after.delta_seconds == pytest.approx(0.05)
    assert after.elapsed_seconds == pytest.approx(before.elapsed_seconds + 0.05, abs=1e-9)


@api("set_episode_settings")
def test_an_asynchronous_world_runs_by_itself_at_its_fixed_step(world):
    settings = world.get_settings()
    settings.synchronous_mode = False
    settings.fixed_delta_seconds = 0.02
    world.apply_settings(settings)
    first = world.wait_for_tick(5.0)
    second = world.wait_for_tick(5.0)
    assert second.frame > first.frame
    steps = second.frame - first.frame
    passed = second.timestamp.elapsed_seconds - first.timestamp.elapsed_seconds
    assert passed == pytest.approx(0.02 * steps, abs=1e-6)


@api("set_episode_settings")
def test_without_rendering_cameras_are_silent_and_others_go_on(world, car, spawn, listen):
    camera = listen(spawn("sensor.camera.rgb", carla.Transform(), car))
    gnss = listen(spawn("sensor.other.gnss", carla.Transform(), car))
    settings = world.get_settings()
    settings.no_rendering_mode = True
    world.apply_settings(settings)
    while not gnss.empty():
        gnss.get()
    frame = world.tick()
    while gnss.get(timeout=10).frame < frame:
        pass
    assert camera.empty()
    settings.no_rendering_mode = False
    world.apply_settings(settings)
    world.tick()
    assert camera.get(timeout=10).width == 160


@api(
    "get_weather_parameters",
    "set_weather_parameters",
    partly="wind and scattering are kept and given back, but not drawn",
)
def test_weather_comes_back_and_changes_pictures(world, look, places):
    shot = look("sensor.camera.rgb", lifted(places[0], 2.0))
    noon = shot()
    weather = world.get_weather()
    weather.sun_altitude_angle = -40.0
    weather.cloudiness = 35.5
    weather.mie_scattering_scale = 0.25
    world.set_weather(weather)
    assert world.get_weather() == weather
    assert shot().mean() < 0.6 * noon.mean()


def lifted(pose, up):
    place = carla.Location(pose.location.x, pose.location.y, pose.location.z + up)
    return carla.Transform(place, pose.rotation)


@api("get_imui_gravity", "set_imui_gravity")
def test_an_accelerometer_feels_the_gravity_that_was_set(client, world, car, spawn, listen, tools):
    inbox = listen(spawn("sensor.other.imu", carla.Transform(), car))
    world.tick()
    assert tools.latest(inbox).accelerometer.z == pytest.approx(9.81, abs=0.05)
    world.set_imui_sensor_gravity(1.62)
    assert world.get_imui_sensor_gravity() == pytest.approx(1.62)
    world.tick()
    assert tools.latest(inbox).accelerometer.z == pytest.approx(1.62, abs=0.05)
    assert client.reload_world(False).get_imui_sensor_gravity() == pytest.approx(9.81)


@api("get_spectator")
def test_the_spectator_goes_where_it_is_sent_and_carries_a_camera(world, look):
    spectator = world.get_spectator()
    assert spectator.type_id == "spectator"
    shot = look("sensor.camera.rgb", carla.Transform(), spectator)
    first = shot()
    pose = carla.Transform(carla.Location(-160, 190, 30), carla.Rotation(pitch=-35, yaw=20))
    spectator.set_transform(pose)
    second = shot()
    assert spectator.get_transform().location.distance(pose.location) < 1e-3
    assert abs(second - first).mean() > 5


@api("get_actor_definitions")
def test_blueprints_have_carlas_ids_and_attributes(library):
    assert len(library.filter("vehicle.*")) >= 20
    assert len(library.filter("walker.pedestrian.*")) >= 10
    model = library.find("vehicle.tesla.model3")
    assert int(model.get_attribute("number_of_wheels")) == 4
    assert not model.get_attribute("number_of_wheels").is_modifiable
    assert model.get_attribute("color").recommended_values
    with pytest.raises(IndexError):
        library.find("vehicle.no.such")


@api("get_actors_by_id")
def test_actors_are_found_by_id_and_kind(world, car):
    assert world.get_actor(car.id).type_id == "vehicle.tesla.model3"
    assert world.get_actor(car.id + 100_000) is None
    assert [a.id for a in world.get_actors([car.id])] == [car.id]
    assert car.id in [a.id for a in world.get_actors().filter("vehicle.*")]


@api("get_map_info", "get_map_data")
def test_the_map_gives_roads_and_free_places(world, places):
    town = world.get_map()
    assert town.name == "Carla/Maps/town"
    assert len(places) >= 20
    for place in places:
        way = town.get_waypoint(place.location)
        assert way.transform.location.distance(place.location) < 1.0
        turn = math.radians(way.transform.rotation.yaw - place.rotation.yaw)
        assert math.cos(turn) > 0.99
    assert town.to_opendrive().lstrip().startswith("<?xml")


@api("get_available_maps", "load_new_episode")
def test_loading_a_map_starts_a_fresh_episode(client, world, car):
    assert any(name.endswith("/town") for name in client.get_available_maps())
    fresh = client.load_world("town", reset_settings=False)
    fresh.tick()
    assert fresh.id != world.id
    assert fresh.get_settings().synchronous_mode
    assert not fresh.get_actors().filter("vehicle.*")
    reset = client.reload_world(reset_settings=True)
    assert reset.get_settings() == carla.WorldSettings()
    with pytest.raises(RuntimeError, match="'NoSuchTown'"):
        client.load_world("NoSuchTown")


@api("copy_opendrive_to_file")
@pytest.mark.journey
def test_a_world_is_made_from_opendrive(client, world):
    text = world.get_map().to_opendrive()
    made = client.generate_opendrive_world(text, carla.OpendriveGenerationParameters())
    assert made.get_map().name.endswith("OpenDriveMap")
    assert made.get_map().to_opendrive() == text


@api("set_annotations_traverse_translucency", partly="accepted; nothing here is translucent")
def test_labels_are_the_same_through_translucency(world, look, places):
    shot = look("sensor.camera.semantic_segmentation", lifted(places[0], 2.0))
    before = shot()
    world.set_annotations_traverse_translucency(True)
    assert (shot() == before).all()


@api("console_command", absent="console commands are Unreal Engine's, which is not here")
def test_console_commands_are_refused(raw):
    error, value = raw("console_command", "r.ScreenPercentage 50")
    assert error is None
    assert value == [[0, ["console commands are Unreal Engine's, which is not here"]]]


def test_an_unknown_call_gets_the_error_of_carlas_server(raw):
    error, _ = raw("no_such_call", 1)
    assert "could not find function 'no_such_call'" in error
