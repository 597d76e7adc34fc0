"""Commands in batches."""

from __future__ import annotations

import math
import socket

import carla
import pytest

api = pytest.mark.carla_api


def speed(actor):
    return actor.get_velocity().length()


@api("apply_batch", "command.SpawnActor", "command.DestroyActor")
def test_a_batch_answers_each_command(client, world, library, places):
    blueprint = library.find("vehicle.tesla.model3")
    spawn = carla.command.SpawnActor
    replies = client.apply_batch_sync(
        [
            spawn(blueprint, places[0]),
            spawn(blueprint, places[0]),
            carla.command.DestroyActor(424242),
        ],
        True,
    )
    assert not replies[0].has_error()
    assert "collision at spawn position" in replies[1].error
    assert "not found" in replies[2].error
    assert world.get_actor(replies[0].actor_id).type_id == "vehicle.tesla.model3"
    client.apply_batch([carla.command.DestroyActor(replies[0].actor_id)])
    world.tick()
    assert replies[0].actor_id not in [state.id for state in world.get_snapshot()]


def test_commands_after_a_spawn_act_on_the_new_actor_and_fail_alone(client, world, library, places):
    future = carla.command.FutureActor
    command = carla.command.SpawnActor(library.find("vehicle.tesla.model3"), places[0])
    for then in (
        carla.command.ApplyVehicleControl(future, carla.VehicleControl(throttle=0.7)),
        carla.command.SetVehicleLightState(future, carla.VehicleLightState.HighBeam),
        carla.command.DestroyActor(424242),
    ):
        command.then(then)
    (reply,) = client.apply_batch_sync([command], True)
    assert not reply.has_error()
    made = world.get_actor(reply.actor_id)
    assert made.get_control().throttle == pytest.approx(0.7)
    assert made.get_light_state() == carla.VehicleLightState.HighBeam


@api(
    "command.ApplyVehicleControl",
    "command.ApplyVehicleAckermannControl",
    "command.ApplyVehiclePhysicsControl",
    "command.ApplyTargetVelocity",
    "command.ApplyTargetAngularVelocity",
    "command.ApplyImpulse",
    "command.ApplyForce",
    "command.SetVehicleLightState",
    "command.SetSimulatePhysics",
    "command.SetEnableGravity",
)
def test_commands_for_vehicles_do_what_the_calls_do(client, world, car):
    command, ahead = carla.command, car.get_transform().get_forward_vector()
    mass = car.get_physics_control().mass

    def done(*commands):
        replies = client.apply_batch_sync(list(commands), True)
        assert [reply.error for reply in replies] == [""] * len(commands)
        assert {reply.actor_id for reply in replies} == {car.id}

    done(command.ApplyImpulse(car.id, mass * 3.0 * ahead))
    assert speed(car) == pytest.approx(3.0, rel=0.15)
    done(command.ApplyForce(car.id, mass * 40.0 * ahead))
    assert speed(car) == pytest.approx(5.0, rel=0.15)
    done(command.ApplyTargetVelocity(car.id, 9.0 * ahead))
    assert speed(car) == pytest.approx(9.0, rel=0.1)
    done(command.ApplyTargetAngularVelocity(car.id, carla.Vector3D(z=20.0)))
    assert car.get_angular_velocity().z > 5.0
    done(command.ApplyVehicleControl(car.id, carla.VehicleControl(brake=0.25)))
    assert car.get_control().brake == pytest.approx(0.25)
    control = carla.VehicleAckermannControl(speed=5.0, acceleration=2.0)
    done(command.ApplyVehicleAckermannControl(car.id, control))
    heavy = car.get_physics_control()
    heavy.mass = 2.0 * mass
    done(command.ApplyVehiclePhysicsControl(car.id, heavy))
    assert car.get_physics_control().mass == pytest.approx(2.0 * mass)
    done(command.SetVehicleLightState(car.id, carla.VehicleLightState.Fog))
    assert car.get_light_state() == carla.VehicleLightState.Fog
    done(command.SetSimulatePhysics(car.id, False), command.SetEnableGravity(car.id, True))
    before = car.get_location()
    world.tick()
    assert car.get_location() == before


@api(
    "command.ApplyTransform",
    "command.ApplyAngularImpulse",
    "command.ApplyTorque",
    "command.ApplyLocation",
)
def test_commands_for_bodies_do_what_the_calls_do(client, raw, world, spawn, places):
    box = spawn("static.prop.container", places[6])
    box.set_simulate_physics(True)
    pose = carla.Transform(places[9].location, carla.Rotation(yaw=15))
    client.apply_batch_sync([carla.command.ApplyTransform(box.id, pose)], True)
    assert box.get_location().distance_2d(pose.location) < 0.01
    twist = carla.Vector3D(z=8e7)
    client.apply_batch_sync([carla.command.ApplyAngularImpulse(box.id, twist)], True)
    assert math.remainder(box.get_transform().rotation.yaw - 15, 360) > 0.1
    # The client has no class for this one.
    there = places[10].location
    command = [[19, [box.id, [there.x, there.y, there.z]]]]
    error, value = raw("apply_batch", [command], False)
    assert error is None and value[0][0] == [1, box.id]
    world.tick()
    assert box.get_location().distance_2d(there) < 0.5


@api("command.ApplyWalkerControl", "command.ApplyWalkerState")
def test_commands_for_walkers_do_what_the_calls_do(client, world, spawn, places):
    walker = spawn("walker.pedestrian.0001", places[8])
    world.tick()
    control = carla.WalkerControl(carla.Vector3D(1, 0, 0), 1.5)
    for _ in range(10):
        client.apply_batch_sync([carla.command.ApplyWalkerControl(walker.id, control)], True)
    assert speed(walker) == pytest.approx(1.5, abs=0.2)
    assert walker.get_control().speed == pytest.approx(1.5)
    pose = carla.Transform(places[9].location, carla.Rotation(yaw=45))
    client.apply_batch_sync([carla.command.ApplyWalkerState(walker.id, pose, 1.0)], True)
    assert walker.get_location().distance_2d(pose.location) < 0.2


@api("command.SetAutopilot", "set_actor_autopilot")
def test_autopilot_is_the_clients_own_business(raw, client, world, car):
    assert raw("set_actor_autopilot", car.id, True) == (None, [[False]])
    before = car.get_location()
    world.tick()
    assert car.get_location().distance(before) < 0.05
    # The client starts a traffic manager of its own for this one; its usual port may be taken.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (reply,) = client.apply_batch_sync([carla.command.SetAutopilot(car.id, False, port)], True)
    client.get_trafficmanager(port).shut_down()
    assert (reply.error, reply.actor_id) == ("", car.id)


@api("command.SetTrafficLightState")
@api("command.ShowDebugTelemetry", partly="accepted; there is no window to show it in")
@api("command.ConsoleCommand", absent="console commands are Unreal Engine's, which is not here")
def test_commands_that_the_python_client_lacks_are_answered(raw, world, car):
    light = world.get_actors().filter("traffic.traffic_light")[0]
    batch = [[[21, [light.id, 3]]], [[17, [car.id, True]]], [[20, ["stat fps"]]], [[99, [1]]]]
    error, value = raw("apply_batch", batch, False)
    assert error is None
    assert value[0][0] == [1, light.id]
    assert value[1][0] == [1, car.id]
    assert "console commands are Unreal Engine's" in value[2][0][1][0]
    assert value[3][0][0] == 0
    world.tick()
    assert light.get_state() == carla.TrafficLightState.Off
