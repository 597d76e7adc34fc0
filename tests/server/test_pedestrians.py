"""Pedestrians steered by CARLA's own client on the ground that the server tells it of."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from pathlib import Path

import carla
import msgpack
import numpy as np
import pytest
import shapely

from simattack.server.walkways import CROSSWALK, ROAD, SIDEWALK

SPEED_MPS = 1.4


@pytest.fixture
def ground(client, world):
    """The area of each kind of ground of the town, as in the file that the client fetched."""
    world.tick()
    (name,) = client.get_required_files("Nav")
    (path,) = Path(os.environ["CARLA_CACHE_DIR"]).rglob(name)
    tile = path.read_bytes()[48:]
    count, corners = struct.unpack_from("<2i", tile, 24)
    points = np.frombuffer(tile, "<f4", 3 * corners, 100).reshape(-1, 3)[:, ::2]
    own: dict[int, list[shapely.Polygon]] = {SIDEWALK: [], CROSSWALK: [], ROAD: []}
    for row in struct.iter_unpack("<I6H6HHBB", tile[100 + 12 * corners :][: 32 * count]):
        own[row[15]].append(shapely.Polygon(points[list(row[1 : 1 + row[14]])]))
    # a walker's place is rounded once more
    areas = {kind: shapely.union_all(shapes).buffer(0.002) for kind, shapes in own.items()}
    for area in areas.values():
        shapely.prepare(area)
    return areas


@pytest.fixture
def stroll(world):
    """Spawns walkers with controllers; stops and removes them in the end."""
    library = world.get_blueprint_library()
    world.tick()
    world.set_pedestrians_seed(7)
    made = []

    def begin(places, speed_mps=SPEED_MPS):
        blueprint = library.find("walker.pedestrian.0001")
        walkers = [world.spawn_actor(blueprint, carla.Transform(place)) for place in places]
        world.tick()
        controllers = [
            world.spawn_actor(library.find("controller.ai.walker"), carla.Transform(), walker)
            for walker in walkers
        ]
        made.extend(controllers)
        world.tick()
        for controller in controllers:
            controller.start()
            controller.set_max_speed(speed_mps)
        return walkers, controllers

    yield begin
    for controller in made:
        with contextlib.suppress(RuntimeError):  # the client took some away with their walkers
            controller.stop()


def somewhere(world, count, apart_m=3.0):
    """Places that the client draws from the mesh, none on another."""
    places = []
    while len(places) < count:
        place = world.get_random_location_from_navigation()
        if all(place.distance(other) > apart_m for other in places):
            places.append(place)
    return places


def walked(world, walkers, seconds):
    """Where each had its feet at each tick (ticks, walkers, 3)."""
    rows, half_m = [], [walker.bounding_box.extent.z for walker in walkers]
    for _ in range(round(seconds / 0.05)):
        world.tick()
        spots = [walker.get_location() for walker in walkers]
        rows.append([(s.x, s.y, s.z - half) for s, half in zip(spots, half_m, strict=True)])
    return np.array(rows)


def kinds(ground, track):
    """What each place of a track is on; 0 for off the mesh."""
    points = shapely.points(track[..., :2].reshape(-1, 2))
    found = np.zeros(len(points), int)
    for kind in (ROAD, CROSSWALK, SIDEWALK):
        found[shapely.contains(ground[kind], points)] = kind
    return found


def test_the_mesh_comes_as_a_file_and_as_a_call(client, server, world):
    (name,) = client.get_required_files("Nav")
    assert client.request_file(name) is None
    (path,) = Path(os.environ["CARLA_CACHE_DIR"]).rglob(name)
    with socket.create_connection(server, timeout=10) as wire:
        wire.sendall(msgpack.packb([0, 0, "get_navigation_mesh", [[False]]]))
        unpacker = msgpack.Unpacker()
        while (answer := next(unpacker, None)) is None:
            unpacker.feed(wire.recv(1 << 20))
    assert answer == [1, 0, None, [[1, path.read_bytes()]]]
    assert client.get_required_files("") == [name]
    assert client.get_required_files("TM") == []
    with pytest.raises(RuntimeError, match=r"no file '\.\./secret' on this server"):
        client.request_file("../secret")


def test_random_places_are_on_sidewalks(world, ground):
    world.tick()
    places = [world.get_random_location_from_navigation() for _ in range(50)]
    assert all(ground[SIDEWALK].contains(shapely.Point(place.x, place.y)) for place in places)
    assert {round(place.z, 3) for place in places} == {0.12}


def walk_about(world, ground, stroll, count, seconds):
    world.set_pedestrians_cross_factor(0.0)
    walkers, controllers = stroll(somewhere(world, count))
    for controller in controllers:
        controller.go_to_location(world.get_random_location_from_navigation())
    track = walked(world, walkers, seconds)
    found = kinds(ground, track[1:])
    assert set(found) <= {SIDEWALK, CROSSWALK}
    steps_m = np.linalg.norm(np.diff(track, axis=0)[..., :2], axis=-1)
    assert steps_m[2:].max() <= SPEED_MPS * 0.05 + 1e-3
    # some wait for a light before a crosswalk
    assert steps_m.sum(axis=0).min() > 1.0
    assert steps_m.sum(axis=0).mean() > 0.6 * SPEED_MPS * seconds
    # on the kerb or down on the road, nowhere between: the server knows the ground better
    assert set(np.round(track[2:, :, 2], 3).ravel()) <= {0.0, 0.12}
    return found


def test_steered_walkers_walk_and_keep_to_sidewalks_and_crosswalks(world, ground, stroll):
    walk_about(world, ground, stroll, 6, 8.0)


@pytest.mark.journey
def test_twenty_walkers_walk_for_a_minute(world, ground, stroll):
    found = walk_about(world, ground, stroll, 20, 60.0)
    assert (found == CROSSWALK).sum() > 100


@pytest.mark.parametrize(("factor", "way"), [(0.0, CROSSWALK), (1.0, ROAD)])
def test_only_those_who_may_cross_roads_leave_the_crosswalk(world, ground, stroll, factor, way):
    world.set_pedestrians_cross_factor(factor)
    # beside a crosswalk over the street that runs along x, and far from one
    x = 175.0 if factor == 0 else 95.0
    walkers, (controller,) = stroll([carla.Location(x, -6.5, 0.2)], speed_mps=3.0)
    goal = carla.Location(x, 6.5, 0.12)
    controller.go_to_location(goal)
    track = walked(world, walkers, 12.0)
    found = kinds(ground, track[1:])
    assert (found == way).sum() > 20
    assert set(found) <= {SIDEWALK, CROSSWALK, way}
    heights = np.round(track[1:, 0, 2], 3)
    assert set(heights[found == SIDEWALK]) == {0.12}
    # to those who cross a road, the kerb's strip belongs to it
    assert set(heights[found == way]) == ({0.0} if way == CROSSWALK else {0.0, 0.12})
    away_m = np.linalg.norm(track[:, 0, :2] - (goal.x, goal.y), axis=-1)
    assert away_m.min() < 2.5


def test_a_steered_walker_tells_how_it_walks(world, stroll):
    walkers, (controller,) = stroll(somewhere(world, 1))
    controller.go_to_location(world.get_random_location_from_navigation())
    walked(world, walkers, 3.0)
    (walker,) = walkers
    velocity = walker.get_velocity()
    assert velocity.length() == pytest.approx(SPEED_MPS, abs=0.3)
    assert walker.get_control().speed == pytest.approx(velocity.length(), abs=0.1)
    ahead = walker.get_transform().get_forward_vector()
    told = walker.get_control().direction
    assert (told.x, told.y) == pytest.approx((ahead.x, ahead.y), abs=1e-3)
    controller.stop()
    walked(world, walkers, 0.2)
    assert walker.get_velocity().length() < 0.01


def test_a_steered_walker_stands_on_the_ground_at_once_wherever_it_came_from(world, stroll):
    walkers, _ = stroll([carla.Location(95.0, -6.5, 3.0)])
    assert walkers[0].get_location().z > 2.0
    assert walked(world, walkers, 0.2)[-1, 0, 2] == pytest.approx(0.12, abs=1e-3)


def test_a_car_runs_a_steered_walker_over(world, stroll):
    walkers, (controller,) = stroll([carla.Location(100.0, -6.0, 0.2)])
    (walker,) = walkers
    controller.go_to_location(carla.Location(60.0, -6.0, 0.12))
    walked(world, walkers, 1.0)
    library = world.get_blueprint_library()
    spot = carla.Transform(carla.Location(112.0, -6.0, 0.3), carla.Rotation(yaw=180.0))
    car = world.spawn_actor(library.find("vehicle.tesla.model3"), spot)
    sensor = world.spawn_actor(library.find("sensor.other.collision"), carla.Transform(), car)
    hits = []
    sensor.listen(lambda event: hits.append(event.other_actor.id))
    try:
        car.enable_constant_velocity(carla.Vector3D(10.0, 0.0, 0.0))
        walked(world, walkers, 2.0)
        assert set(hits) == {walker.id}
        assert walker.get_velocity().length() > 2.0
        # nobody steers it any more, and it vanishes after ten seconds
        car.destroy()
        assert world.get_snapshot().find(controller.id) is None
        walked(world, walkers, 8.0)
        assert world.get_snapshot().find(walker.id) is not None
        for _ in range(50):
            world.tick()
        assert world.get_snapshot().find(walker.id) is None
    finally:
        sensor.stop()
