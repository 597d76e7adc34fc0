"""Traffic lights, and the clients' traffic managers."""

from __future__ import annotations

import carla
import pytest

api = pytest.mark.carla_api
STATE = carla.TrafficLightState


@pytest.fixture
def lights(world):
    found = list(world.get_actors().filter("traffic.traffic_light"))
    assert found
    return found


@api("set_traffic_light_state", "freeze_traffic_light")
@pytest.mark.parametrize("state", [STATE.Red, STATE.Yellow, STATE.Green, STATE.Off])
def test_a_frozen_light_keeps_the_state_that_was_set(world, lights, state):
    for member in lights[0].get_group_traffic_lights():
        member.set_green_time(0.2)
        member.set_yellow_time(0.2)
        member.set_red_time(0.2)
    lights[0].set_state(state)
    lights[0].freeze(True)
    for _ in range(40):
        world.tick()
        assert lights[0].get_state() == state
    assert lights[0].is_frozen()


@api("set_traffic_light_green_time", "set_traffic_light_yellow_time", "set_traffic_light_red_time")
def test_times_come_back_and_a_light_keeps_to_them(world, lights):
    light = lights[0]
    for member in light.get_group_traffic_lights():
        member.set_green_time(0.5)
        member.set_yellow_time(0.3)
        member.set_red_time(0.2)
    world.tick()
    times = light.get_green_time(), light.get_yellow_time(), light.get_red_time()
    assert times == pytest.approx((0.5, 0.3, 0.2))
    light.set_state(STATE.Green)
    seen = []
    for _ in range(200):
        world.tick()
        seen.append(light.get_state())
    # From the start of a green phase on: 10 ticks of 0.05 s, then 6 of yellow.
    start = next(k for k in range(1, 150) if seen[k] == STATE.Green and seen[k - 1] != STATE.Green)
    green = next(n for n in range(60) if seen[start + n] != STATE.Green)
    yellow = next(n for n in range(60) if seen[start + green + n] != STATE.Yellow)
    assert (green, yellow) == (pytest.approx(10, abs=1), pytest.approx(6, abs=1))


@api("freeze_all_traffic_lights")
def test_all_lights_freeze_and_thaw(world, lights, tools):
    world.freeze_all_traffic_lights(True)
    world.tick()
    before = [light.get_state() for light in lights]
    tools.drive(world, 100)
    assert [light.get_state() for light in lights] == before
    assert all(light.is_frozen() for light in lights)
    world.freeze_all_traffic_lights(False)
    world.tick()
    assert not any(light.is_frozen() for light in lights)


@api("reset_traffic_light_group", "reset_all_traffic_lights")
def test_a_reset_starts_the_cycle_again(world, lights, tools):
    first = [light.get_state() for light in lights]
    tools.drive(world, 100)
    for light in lights:
        light.set_state(STATE.Off)
    world.tick()
    assert {light.get_state() for light in lights} == {STATE.Off}
    world.reset_all_traffic_lights()
    world.tick()
    assert [light.get_state() for light in lights] == first
    group = lights[0].get_group_traffic_lights()
    for member in group:
        member.set_state(STATE.Off)
    world.tick()
    lights[0].reset_group()
    world.tick()
    assert STATE.Off not in {member.get_state() for member in group}


@api("get_group_traffic_lights")
def test_the_lights_of_a_group_never_cross(world, lights, tools):
    group = lights[0].get_group_traffic_lights()
    assert lights[0].id in [member.id for member in group]
    assert [m.id for m in group[-1].get_group_traffic_lights()] == [m.id for m in group]
    stops = [m.get_stop_waypoints() for m in group]
    assert all(stops)


@api("get_light_boxes")
def test_boxes_are_where_the_lamps_are_seen(world, lights):
    light = lights[0]
    boxes = light.get_light_boxes()
    assert boxes
    for box in boxes:
        assert box.extent.z < 1.5
        assert box.location.distance(light.get_location()) < 60.0
    level = world.get_level_bbs(carla.CityObjectLabel.TrafficLight)
    assert min(box.location.distance(boxes[0].location) for box in level) < 0.1


@api(
    "is_traffic_manager_running",
    "get_traffic_manager_running",
    "add_traffic_manager_running",
    "destroy_traffic_manager",
)
def test_traffic_managers_register_and_leave(raw, client, world, spawn, places, tools):
    manager = client.get_trafficmanager(0)
    port = manager.get_port()
    try:
        manager.set_synchronous_mode(True)
        assert raw("is_traffic_manager_running", port) == (None, [[1, True]])
        assert raw("get_traffic_manager_running", port)[1][0][1][1] == port
        car = spawn("vehicle.tesla.model3", places[0])
        car.set_autopilot(True, port)
        tools.drive(world, 60)
        assert car.get_velocity().length() > 1.0
    finally:
        manager.set_synchronous_mode(False)
        manager.shut_down()
    world.tick()
    assert raw("is_traffic_manager_running", port) == (None, [[1, False]])


def test_a_light_holds_the_car_in_its_box(world, lights, spawn, tools):
    light = lights[0]
    light.set_state(STATE.Red)
    light.freeze(True)
    stop = light.get_stop_waypoints()[0].transform
    volume = light.trigger_volume
    place = light.get_transform().transform(volume.location)
    town = world.get_map()
    way = town.get_waypoint(place)
    pose = carla.Transform(way.transform.location + carla.Location(z=0.3), way.transform.rotation)
    car = spawn("vehicle.tesla.model3", pose)
    tools.drive(world, 3)
    assert stop.location.distance(pose.location) < 30
    assert car.is_at_traffic_light()
    assert car.get_traffic_light().id == light.id
    assert car.get_traffic_light_state() == STATE.Red
