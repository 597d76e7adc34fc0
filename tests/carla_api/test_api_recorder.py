"""Recordings, and the files and layers of maps."""

from __future__ import annotations

import carla
import pytest

api = pytest.mark.carla_api


AWAY = carla.Transform(carla.Location(-100, 100, 40), carla.Rotation(pitch=-30))


@pytest.fixture
def recorded(client, world, spawn, places, tools):
    """A hero's drive of three seconds into another car: its id, and where it was at each tick."""
    car = spawn("vehicle.tesla.model3", places[0], role_name="hero")
    tools.drive(world, 10)
    pose = car.get_transform()
    place = pose.transform(carla.Location(x=14.0, z=0.2))
    spawn("vehicle.audi.tt", carla.Transform(place, pose.rotation))
    world.get_spectator().set_transform(AWAY)
    world.tick()
    client.start_recorder("api.log", True)
    car.apply_control(carla.VehicleControl(throttle=1.0))
    track = []
    for _ in range(60):
        world.tick()
        track.append(car.get_location())
    client.stop_recorder()
    return car.id, track


@pytest.fixture
def replayed(client, tools):
    """Replays the recording in a fresh episode for some ticks; gives world and hero."""

    def make(ticks):
        fresh = client.reload_world(reset_settings=False)
        fresh.tick()
        client.replay_file("api.log", 0.0, 0.0, 0)
        tools.drive(fresh, ticks)
        (car,) = fresh.get_actors().filter("vehicle.tesla.*")
        return fresh, car

    yield make
    client.stop_replayer(False)
    client.set_replayer_time_factor(1.0)
    client.set_replayer_ignore_hero(False)
    client.set_replayer_ignore_spectator(True)


@api("start_recorder", "stop_recorder", "show_recorder_file_info", "show_recorder_collisions")
def test_a_recording_tells_who_was_there_and_who_collided(client, world, recorded, tools):
    number, _ = recorded
    told = client.show_recorder_file_info("api.log", True)
    assert "vehicle.tesla.model3" in told and "vehicle.audi.tt" in told
    told_hits = client.show_recorder_collisions("api.log", "v", "v").splitlines()
    hits = [line for line in told_hits if " Ns " in line]  # one line a collision
    assert hits and all(f"{number} (vehicle.tesla.model3" in line for line in hits)
    assert " Ns " not in client.show_recorder_collisions("api.log", "w", "w")
    # It ended when it was stopped.
    tools.drive(world, 5)
    client.stop_recorder()
    assert client.show_recorder_file_info("api.log", True) == told


@api("show_recorder_actors_blocked")
def test_an_actor_that_stood_is_told_as_blocked(client, recorded):
    told = client.show_recorder_actors_blocked("api.log", 0.5, 100.0)
    assert "vehicle.audi.tt" in told


@api("replay_file", "stop_replayer")
def test_a_replay_drives_the_same_way_and_ends(client, recorded, replayed, tools):
    _, track = recorded
    world, car = replayed(31)
    nearest = min(place.distance(car.get_location()) for place in track)
    assert nearest < 0.2
    assert car.get_location().distance(track[0]) > 1.0
    client.stop_replayer(False)
    tools.drive(world, 2)
    assert car.id not in [state.id for state in world.get_snapshot()]


@api("set_replayer_time_factor")
def test_a_replay_runs_at_its_own_pace(client, recorded, replayed):
    _, track = recorded
    way = []
    for factor in (1.0, 0.25):
        client.set_replayer_time_factor(factor)
        _, car = replayed(24)
        way.append(car.get_location().distance(track[0]))
        client.stop_replayer(False)
    assert way[1] < 0.5 * way[0]


@api("set_replayer_ignore_hero")
def test_a_hero_that_is_ignored_is_left_to_itself(client, recorded, replayed):
    _, track = recorded
    client.set_replayer_ignore_hero(True)
    _, car = replayed(40)
    assert car.get_location().distance(track[0]) < 1.0


@api("set_replayer_ignore_spectator")
@pytest.mark.parametrize("is_ignored", [True, False])
def test_the_spectator_is_replayed_if_it_is_wanted(client, recorded, replayed, is_ignored):
    client.set_replayer_ignore_spectator(is_ignored)
    world, _ = replayed(10)
    away = world.get_spectator().get_location().distance(AWAY.location)
    assert (away > 10.0) if is_ignored else (away < 0.01)


def test_a_recording_that_is_not_there_is_told(client, world):
    with pytest.raises(RuntimeError, match=r"no_such\.log"):
        client.show_recorder_file_info("no_such.log", False)


# Maps


@api(
    "load_map_layer",
    "unload_map_layer",
    partly="cameras and rays pass through a layer that is unloaded; bodies still hit it",
)
@pytest.mark.journey
def test_an_unloaded_layer_is_gone_and_comes_back(world):
    house = world.get_level_bbs(carla.CityObjectLabel.Buildings)[0]
    above = carla.Location(house.location.x, house.location.y, house.location.z + 80)

    def label():
        world.tick()
        return world.ground_projection(above, 200.0).label

    assert label() == carla.CityObjectLabel.Buildings
    world.unload_map_layer(carla.MapLayer.Buildings)
    assert label() != carla.CityObjectLabel.Buildings
    world.load_map_layer(carla.MapLayer.Buildings)
    assert label() == carla.CityObjectLabel.Buildings


@api("get_required_files", "request_file", "get_navigation_mesh")
def test_pedestrians_get_their_mesh(raw, client, world):
    names = client.get_required_files("Nav", False)
    assert len(names) == 1
    error, value = raw("request_file", names[0].rpartition("/")[2])
    if value[0][0] == 0:
        error, value = raw("request_file", names[0])
    assert error is None
    mesh = value[0][1]
    assert mesh[:4] == b"TESM"
    assert raw("get_navigation_mesh") == (None, [[1, mesh]])
    place = world.get_random_location_from_navigation()
    way = world.get_map().get_waypoint(place, lane_type=carla.LaneType.Any)
    # At street corners carla.Map knows of no sidewalk, and names the lane beside it.
    lanes = (carla.LaneType.Sidewalk, carla.LaneType.Shoulder, carla.LaneType.Driving)
    assert way.lane_type in lanes
    error, value = raw("request_file", "../secret")
    assert error is None and value[0][0] == 0
