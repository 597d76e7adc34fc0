"""Maps through CARLA's own client: folders, generated worlds, layers, bad texts, many loads."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import carla
import numpy as np
import pytest
from maproads import lane, section, straight, towns_folder
from serving import start_server, stop_server

ROAD, SIDEWALK, BUILDING, WALL, PLANT, PAINT = 1, 2, 3, 4, 9, 24
MARKED = straight(section(right=lane(-1) + lane(-2, "sidewalk", 3.0)), length=200.0)


def labels(world: Any, pose: carla.Transform) -> set[int]:
    """Which semantic labels a camera at ``pose`` sees."""
    blueprint = world.get_blueprint_library().find("sensor.camera.semantic_segmentation")
    for name, value in (("image_size_x", "160"), ("image_size_y", "120")):
        blueprint.set_attribute(name, value)
    camera = world.spawn_actor(blueprint, pose)
    images: queue.Queue[carla.Image] = queue.Queue()
    camera.listen(images.put)
    try:
        frame = world.tick()
        while (image := images.get(timeout=20)).frame < frame:
            pass
    finally:
        camera.stop()
        camera.destroy()
    return set(np.unique(np.frombuffer(image.raw_data, np.uint8).reshape(-1, 4)[:, 2]).tolist())


def above(pose: carla.Transform, up_m: float = 2.0) -> carla.Transform:
    place = pose.location
    return carla.Transform(carla.Location(place.x, place.y, place.z + up_m), pose.rotation)


def generated(client: Any, text: str = MARKED, **more: Any) -> Any:
    """A world made of a text, ticking on demand as before."""
    return client.generate_opendrive_world(
        text, carla.OpendriveGenerationParameters(**more), reset_settings=False
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            MARKED.replace("<link/>", '<link><successor elementType="road" elementId="8"/></link>'),
            "road '1' of the OpenDRIVE map leads to road '8'",
        ),
        (MARKED.replace('hdg="0"', 'hdg="nan"'), "<geometry hdg> is nan"),
        (straight('<laneSection s="0"><center/></laneSection>'), "no lanes"),
    ],
)
def test_a_damaged_map_is_refused_by_name_and_the_world_stays(
    client: Any, world: Any, text: str, message: str
) -> None:
    car = world.spawn_actor(
        world.get_blueprint_library().find("vehicle.audi.tt"),
        world.get_map().get_spawn_points()[0],
    )
    with pytest.raises(RuntimeError, match=message):
        generated(client, text)
    world.tick()
    assert client.get_world().id == world.id
    assert [actor.id for actor in world.get_actors().filter("vehicle.*")] == [car.id]


def test_senseless_generation_parameters_are_refused(client: Any, world: Any) -> None:
    with pytest.raises(RuntimeError, match="expected a wall_height of 0 to 50 m, got -1"):
        generated(client, wall_height=-1.0)


def test_walls_are_seen_and_return_rays_when_they_are_asked_for(client: Any, world: Any) -> None:
    across = carla.Transform(carla.Location(50, 1.75, 0.5), carla.Rotation(yaw=-90))
    seen = []
    for wall_height in (1.0, 0.0):
        made = generated(client, wall_height=wall_height)
        hits = made.cast_ray(carla.Location(50, 1.75, 0.5), carla.Location(50, -20, 0.5))
        walls = [h for h in hits if h.label == carla.CityObjectLabel.Walls]
        seen.append((WALL in labels(made, across), bool(walls)))
        if walls:
            assert walls[0].location.y == pytest.approx(0.0, abs=0.1)
    assert seen == [(True, True), (False, False)]


def test_an_invisible_road_still_carries_cars(client: Any, world: Any) -> None:
    made = generated(client, enable_mesh_visibility=False, wall_height=0.0)
    place = made.get_map().get_spawn_points()[0]
    assert not labels(made, above(place)) & {ROAD, SIDEWALK, PAINT}
    car = made.spawn_actor(made.get_blueprint_library().find("vehicle.audi.tt"), place)
    for _ in range(30):
        made.tick()
    assert car.get_location().z == pytest.approx(0.0, abs=0.02)


def test_pedestrian_navigation_can_be_left_out(client: Any, world: Any) -> None:
    made = generated(client)
    assert made.get_random_location_from_navigation() is not None
    made = generated(client, enable_pedestrian_navigation=False)
    assert made.get_random_location_from_navigation() is None


def test_layers_come_and_go(client: Any, world: Any) -> None:
    eye = above(world.get_map().get_spawn_points()[0])
    every = {BUILDING, PLANT}
    assert every <= labels(world, eye)
    world.unload_map_layer(carla.MapLayer.Buildings)
    assert labels(world, eye) & every == {PLANT}
    world.unload_map_layer(carla.MapLayer.Foliage)
    assert not labels(world, eye) & every
    world.load_map_layer(carla.MapLayer.All)
    assert every <= labels(world, eye)


def test_a_world_can_be_loaded_without_a_layer_and_reloads_whole(client: Any, world: Any) -> None:
    bare = client.load_world("town", False, carla.MapLayer.Foliage)
    eye = above(bare.get_map().get_spawn_points()[0])
    assert labels(bare, eye) & {BUILDING, PLANT} == {PLANT}
    whole = client.reload_world(False)
    assert labels(whole, eye) >= {BUILDING, PLANT}


# A server with a folder of maps


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a server that has the map ``mine`` and a ``Town07`` beside the town."""
    folder = tmp_path_factory.mktemp("maps")
    for name in ("mine", "Town07"):
        (folder / f"{name}.xodr").write_text(MARKED, encoding="utf-8")
    (folder / "bad.xodr").write_text("<OpenDRIVE>", encoding="utf-8")
    process, found = start_server("--maps", str(folder), "--map", str(folder / "mine.xodr"))
    client = carla.Client(found[1], int(found[2]), worker_threads=3)
    client.set_timeout(60.0)
    yield client
    del client
    assert stop_server(process) == 0


@pytest.mark.journey
def test_a_folder_of_maps_is_served_as_towns(own: Any) -> None:
    names = {name.rpartition("/")[2] for name in own.get_available_maps()}
    assert names == {"town", "mine", "Town07", "bad"}
    for asked, given in (
        ("mine", "mine"),
        ("/Game/Carla/Maps/Town07", "Town07"),
        ("Town07_Opt", "Town07"),
        ("Town10HD_Opt", "town"),
    ):
        assert own.load_world(asked).get_map().name == f"Carla/Maps/{given}"
    with pytest.raises(RuntimeError, match="does not parse"):
        own.load_world("bad")
    assert own.get_world().get_map().name == "Carla/Maps/town"


# Many worlds, one after the other


def resident_mb(pid: int) -> float:
    """Memory that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} is gone")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "times"), [("town", 100), ("Town10HD", 20)])
def test_loading_a_world_again_and_again_takes_no_memory(name: str, times: int) -> None:
    flags = () if name == "town" else ("--maps", str(towns_folder()))
    process, found = start_server(*flags)
    client = carla.Client(found[1], int(found[2]), worker_threads=3)
    client.set_timeout(60.0)
    try:
        held = []
        for number in range(times + 10):
            client.load_world(name)
            if number >= 9:
                held.append(resident_mb(process.pid))
    finally:
        stop_server(process)
    assert max(held) - held[0] < 20.0, (held[0], held[-1])
