"""Traffic lights, signs and CARLA's TrafficManager, as its own client sees and drives them."""

from __future__ import annotations

import contextlib
import math
import socket

import carla
import pytest

RED, YELLOW, GREEN = (
    carla.TrafficLightState.Red,
    carla.TrafficLightState.Yellow,
    carla.TrafficLightState.Green,
)


managed = pytest.mark.slow
"""CARLA's TrafficManager lives in the client; now and then a tick beside it never comes back."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def lights(world):
    """The lights of the town's one crossing that has some, in turning order."""
    world.tick()
    found = list(world.get_actors().filter("traffic.traffic_light"))
    assert len(found) == 4
    return sorted(found, key=lambda light: light.get_transform().rotation.yaw)


@pytest.fixture
def manage(client, world):
    """Makes traffic managers, each on a port of its own; shuts them down in the end."""
    with contextlib.ExitStack() as stack:

        def make():
            manager = client.get_trafficmanager(free_port())
            stack.callback(manager.shut_down)
            stack.callback(manager.set_synchronous_mode, False)
            manager.set_synchronous_mode(True)
            manager.set_random_device_seed(1)
            # Its thread may still be in a first, unsynchronised round.
            world.tick()
            return manager

        yield make


def approach(world, actor, before_m):
    """A place in the lane that a light or sign rules, so far before its trigger box."""
    box = actor.get_transform().transform(actor.trigger_volume.location)
    here = world.get_map().get_waypoint(box)
    spot = (here.previous(before_m)[0] if before_m else here).transform
    spot.location.z += 0.3
    return spot


def spawn(world, spot, kind="vehicle.tesla.model3"):
    car = world.spawn_actor(world.get_blueprint_library().find(kind), spot)
    world.tick()
    return car


def shown(world, lights, seconds):
    """(time since now, states) at every change, the present ones first."""
    rows = []
    for tick in range(round(seconds / 0.05) + 1):
        states = tuple(light.get_state() for light in lights)
        if not rows or rows[-1][1] != states:
            rows.append((round(tick * 0.05, 2), states))
        world.tick()
    return rows


def axis(light):
    return round(2 * math.radians(light.get_transform().rotation.yaw) / math.pi) % 2


# Traffic lights


def test_facing_lights_share_a_phase_and_crossing_ones_never_do(world, lights):
    for light in lights:
        light.set_green_time(1.0)
        light.set_yellow_time(0.5)
        light.set_red_time(0.25)
    lights[0].reset_group()
    world.tick()
    seen = shown(world, lights, 4.0)
    for _, states in seen:
        open_axes = {axis(k) for k, state in zip(lights, states, strict=True) if state != RED}
        assert len(open_axes) <= 1
    first = next(axis(k) for k, state in zip(lights, seen[0][1], strict=True) if state == GREEN)
    colors = [[s for k, s in zip(lights, states, strict=True) if axis(k) == first]
              for _, states in seen]  # fmt: skip
    assert all(len(set(pair)) == 1 for pair in colors)
    # green, yellow, red for all, the others' green and yellow, red for all, green again
    assert [pair[0] for pair in colors] == [GREEN, YELLOW, RED, RED, RED, RED, GREEN]


def test_times_act_and_elapsed_time_counts_the_present_color(world, lights):
    first = lights[0]
    for light in lights:
        light.set_green_time(2.0)
        light.set_yellow_time(1.0)
        light.set_red_time(0.5)
    world.reset_all_traffic_lights()
    world.tick()
    times = {light.id: (light.get_green_time(), light.get_yellow_time(), light.get_red_time())
             for light in lights}  # fmt: skip
    assert set(times.values()) == {(2.0, 1.0, 0.5)}
    start = next(light for light in lights if light.get_state() == GREEN)
    assert start.get_elapsed_time() == pytest.approx(0.05)
    for _ in range(9):
        world.tick()
    assert start.get_elapsed_time() == pytest.approx(0.5)
    changes = [at for at, _ in shown(world, [start], 7.0)]
    # 0.5 s of its green are over; then 1 s of yellow, 0.5 + 3.5 s of red
    assert changes == pytest.approx([0.0, 1.5, 2.5, 6.5], abs=0.051)
    assert first.get_elapsed_time() < 2.0


def test_a_frozen_group_keeps_its_colors_until_it_thaws(world, lights):
    for light in lights:
        light.set_green_time(0.5)
    world.freeze_all_traffic_lights(True)
    lights[1].set_state(GREEN)
    lights[2].set_state(YELLOW)
    world.tick()
    assert all(light.is_frozen() for light in lights)
    held = [light.get_elapsed_time() for light in lights]
    (only,) = shown(world, lights, 2.0)
    assert only[1][1:3] == (GREEN, YELLOW)
    assert [light.get_elapsed_time() for light in lights] == held
    world.freeze_all_traffic_lights(False)
    world.tick()
    assert not any(light.is_frozen() for light in lights)
    assert len(shown(world, lights, 2.0)) > 1
    lights[0].freeze(True)
    world.tick()
    assert all(light.is_frozen() for light in lights), "a group has one clock"


def test_a_reload_makes_the_lights_anew(client, world, lights):
    lights[0].set_green_time(33.0)
    world.freeze_all_traffic_lights(True)
    world.tick()
    again = client.reload_world(False)
    again.tick()
    fresh = again.get_actors().filter("traffic.traffic_light")
    assert len(fresh) == 4
    assert {light.get_green_time() for light in fresh} == {10.0}
    assert not any(light.is_frozen() for light in fresh)
    assert {light.get_opendrive_id() for light in fresh} == {
        light.get_opendrive_id() for light in lights
    }


def test_a_light_tells_its_group_its_lanes_and_its_heads(world, lights):
    for light in lights:
        assert {member.id for member in light.get_group_traffic_lights()} == {k.id for k in lights}
        boxes = light.get_light_boxes()
        # the head at the stop line, and its repeaters behind the crossing
        assert len(boxes) >= 2
        foot = light.get_location()
        away = [math.hypot(box.location.x - foot.x, box.location.y - foot.y) for box in boxes]
        assert min(away) < 0.5 < max(away) < 45.0
        assert all(0.2 < box.extent.z < 1.0 and box.location.z > 2.0 for box in boxes)
        (stop,) = light.get_stop_waypoints()
        (lane,) = light.get_affected_lane_waypoints()
        assert lane.lane_id == stop.lane_id
        yaw = stop.transform.rotation.yaw - light.get_transform().rotation.yaw
        assert math.cos(math.radians(yaw)) > 0.99
        box = light.get_transform().transform(light.trigger_volume.location)
        assert world.get_map().get_waypoint(box).lane_id == stop.lane_id
    assert sorted({light.get_pole_index() for light in lights}) == [0, 1, 2, 3]


def test_a_car_knows_its_light_only_while_it_is_in_the_box(world, lights):
    light = lights[0]
    light.set_state(YELLOW)
    light.freeze(True)
    car = spawn(world, approach(world, light, 0.0))
    assert (car.is_at_traffic_light(), car.get_traffic_light_state()) == (True, YELLOW)
    assert car.get_traffic_light().id == light.id
    light.set_state(GREEN)
    world.tick()
    assert car.get_traffic_light_state() == GREEN
    car.set_transform(approach(world, light, 15.0))
    world.tick()
    assert not car.is_at_traffic_light()
    assert car.get_traffic_light() is None


# Signs


def test_stop_signs_have_a_box_across_the_lane_before_their_line(world):
    world.tick()
    signs = world.get_actors().filter("traffic.stop")
    assert len(signs) == 28
    for sign in signs:
        frame, volume = sign.get_transform(), sign.trigger_volume
        middle = frame.transform(volume.location)
        lane = world.get_map().get_waypoint(middle)
        gap = lane.transform.location.distance(carla.Location(middle.x, middle.y, 0.0))
        assert gap < 0.2
        assert (volume.extent.x, volume.extent.y) == pytest.approx((2.0, 0.45 * 3.5), abs=0.01)
        yaw = frame.rotation.yaw + volume.rotation.yaw - lane.transform.rotation.yaw
        assert math.cos(math.radians(yaw)) > 0.999
        # the lane ends at a junction a few metres on
        assert any(point.is_junction for point in lane.next(8.0))


def test_a_stop_sign_shows_red_for_two_seconds_and_then_green_to_one_car_at_a_time(world):
    world.tick()
    # two arms of the crossing in the town's middle of the south
    signs = sorted(
        world.get_actors().filter("traffic.stop"),
        key=lambda sign: sign.get_location().distance(carla.Location(0.0, 190.0, 0.0)),
    )[:2]
    cars = [spawn(world, approach(world, sign, 0.0)) for sign in signs]
    seen = []
    for _ in range(60):
        world.tick()
        seen.append([car.get_traffic_light_state() for car in cars])
        assert not any(car.is_at_traffic_light() for car in cars)
    first, second = zip(*seen, strict=True)
    assert set(first[:35]) == {RED}
    assert set(first[45:]) == {GREEN}
    assert set(second) == {RED}
    cars[0].destroy()
    world.tick()
    world.tick()
    assert cars[1].get_traffic_light_state() == GREEN


# CARLA's TrafficManager


@managed
def test_a_managed_car_stops_at_red_and_goes_at_green(world, lights, manage):
    light = lights[0]
    manager = manage()
    # Only now: a manager that gets a seed resets all lights.
    light.set_state(RED)
    world.freeze_all_traffic_lights(True)
    spot = approach(world, light, 40.0)
    car = spawn(world, spot)
    car.set_autopilot(True, manager.get_port())
    manager.auto_lane_change(car, False)
    speeds = []
    for _ in range(300):
        world.tick()
        speeds.append(car.get_velocity().length())
    assert max(speeds) > 5.0
    assert speeds[-1] < 0.05
    assert car.is_at_traffic_light()
    # the box ends at the stop line, 40 m plus half its length from where the car began
    driven_m = car.get_location().distance(spot.location)
    line_m = 40.0 + light.trigger_volume.extent.x - car.bounding_box.extent.x
    assert line_m - 4.0 < driven_m < line_m
    light.set_state(GREEN)
    for _ in range(160):
        world.tick()
    assert car.get_location().distance(spot.location) > 55.0


@managed
def test_a_managed_car_stops_at_a_stop_sign_and_goes_on(world, manage):
    world.tick()
    sign = world.get_actors().filter("traffic.stop")[0]
    manager = manage()
    spot = approach(world, sign, 40.0)
    car = spawn(world, spot)
    car.set_autopilot(True, manager.get_port())
    rows = []
    for _ in range(400):
        world.tick()
        rows.append((car.get_location().distance(spot.location), car.get_velocity().length()))
    slowest = min(speed for away, speed in rows if 30.0 < away < 50.0)
    assert max(speed for away, speed in rows if away < 30.0) > 5.0
    assert slowest < 0.5
    assert max(away for away, _ in rows) > 55.0


@managed
def test_two_managers_drive_their_own_cars(client, world, manage):
    one, other = manage(), manage()
    assert one.get_port() != other.get_port()
    spots = world.get_map().get_spawn_points()
    cars = [spawn(world, spots[k]) for k in (0, 1)]
    for car, manager in zip(cars, (one, other), strict=True):
        car.set_autopilot(True, manager.get_port())
    one.vehicle_percentage_speed_difference(cars[0], 100.0)
    speeds = []
    for _ in range(100):
        world.tick()
        speeds.append([car.get_velocity().length() for car in cars])
    held, free = zip(*speeds[10:], strict=True)
    assert max(held) < 0.1
    assert max(free) > 3.0


@managed
def test_in_hybrid_mode_far_cars_move_without_physics(world, manage):
    manager = manage()
    spots = world.get_map().get_spawn_points()
    hero_blueprint = world.get_blueprint_library().find("vehicle.tesla.model3")
    hero_blueprint.set_attribute("role_name", "hero")
    hero = world.spawn_actor(hero_blueprint, spots[0])
    by_distance = sorted(spots, key=lambda spot: spot.location.distance(spots[0].location))
    near, far = (spawn(world, spot) for spot in (by_distance[2], by_distance[-1]))
    manager.set_hybrid_physics_mode(True)
    manager.set_hybrid_physics_radius(70.0)
    for car in (near, far):
        car.set_autopilot(True, manager.get_port())
    start = far.get_location()
    steps = []
    last = start
    for _ in range(200):
        world.tick()
        here = far.get_location()
        steps.append(here.distance(last))
        last = here
    assert last.distance(start) > 20.0
    assert max(steps) < 1.5
    assert max(steps[20:]) > 0.2
    lane = world.get_map().get_waypoint(last)
    assert abs(last.z - lane.transform.location.z) < 0.5
    assert lane.transform.location.distance(last) < 1.0
    assert near.get_location().distance(hero.get_location()) > 0.5
