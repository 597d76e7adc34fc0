"""A walker's origin is in the middle of its body, as on CARLA; all else stands on its own."""

from __future__ import annotations

import math

import carla
import numpy as np
import pytest

from simattack.server import origins
from simattack.server.blueprints import BLUEPRINTS
from simattack.types import Pose

ADULT, CHILD = "walker.pedestrian.0001", "walker.pedestrian.0009"
HALF_M = BLUEPRINTS[ADULT].size_m[2] / 2


@pytest.fixture
def ground(world):
    """A spot on the road."""
    return world.get_map().get_waypoint(
        world.get_map().get_spawn_points()[0].location
    ).transform.location  # fmt: skip


def spawn(world, kind, at, **attributes):
    blueprint = world.get_blueprint_library().find(kind)
    for name, value in attributes.items():
        blueprint.set_attribute(name, value)
    return world.spawn_actor(blueprint, carla.Transform(at))


def settled(world, kind, at):
    made = spawn(world, kind, at)
    for _ in range(25):
        world.tick()
    return made


def above(place, up_m):
    return carla.Location(place.x, place.y, place.z + up_m)


@pytest.mark.parametrize("kind", [ADULT, CHILD])
@pytest.mark.parametrize("up_m", [0.0, 2.0])
def test_a_walker_stands_with_its_middle_at_half_height(world, ground, kind, up_m):
    # as programs spawn it: at a place of the navigation, or above it
    made = settled(world, kind, above(ground, up_m))
    box = made.bounding_box
    assert made.get_location().z == pytest.approx(ground.z + box.extent.z, abs=1e-4)
    assert (box.location.x, box.location.y, box.location.z) == (0.0, 0.0, 0.0)
    corners = box.get_world_vertices(made.get_transform())
    assert min(corner.z for corner in corners) == pytest.approx(ground.z, abs=1e-4)
    told = [b for b in world.get_level_bbs(carla.CityObjectLabel.Pedestrians)]
    assert [b.location.z for b in told] == pytest.approx([made.get_location().z], abs=1e-4)


@pytest.mark.parametrize("kind", ["vehicle.tesla.model3", "static.prop.box01"])
def test_vehicles_and_props_stand_on_their_origin(world, ground, kind):
    made = settled(world, kind, ground)
    assert made.get_location().z == pytest.approx(ground.z, abs=1e-3)
    assert made.bounding_box.location.z == pytest.approx(made.bounding_box.extent.z)


def test_a_walker_stays_where_its_middle_is_set(world, ground):
    made = settled(world, ADULT, above(ground, HALF_M))
    place = above(ground, HALF_M) + carla.Location(x=2.0)
    made.set_location(place)
    world.tick()
    assert made.get_location().distance(place) < 1e-3
    frozen = above(place, 3.0)
    made.set_simulate_physics(False)
    made.set_transform(carla.Transform(frozen, carla.Rotation(yaw=30.0)))
    world.tick()
    assert made.get_location().distance(frozen) < 1e-5


def test_navigation_names_the_ground_under_a_walker(client, world, ground):
    made = settled(world, ADULT, above(ground, 1.0))
    made.set_simulate_physics(False)
    place = carla.Transform(ground + carla.Location(y=0.1))
    client.apply_batch_sync([carla.command.ApplyWalkerState(made.id, place, 1.0)], True)
    assert made.get_location().z == pytest.approx(ground.z + HALF_M, abs=1e-3)
    assert made.get_location().distance_2d(place.location) < 1e-3


def test_rays_meet_a_walker_from_its_feet_to_its_crown(world, ground):
    made = settled(world, ADULT, above(ground, 1.0))

    ahead, right = (
        made.get_transform().get_forward_vector(),
        made.get_transform().get_right_vector(),
    )

    def is_met(up_m, right_m=0.0):
        eye = above(ground, up_m) - 3.0 * ahead + right_m * right
        found = world.cast_ray(eye, eye + 6.0 * ahead)
        return any(point.label == carla.CityObjectLabel.Pedestrians for point in found)

    height = 2 * made.bounding_box.extent.z
    assert is_met(0.1, right_m=0.09)  # there is a leg
    assert is_met(0.9 * height) and not is_met(height + 0.1)


def test_what_is_fixed_to_a_walker_is_fixed_to_its_middle(world, ground):
    made = settled(world, ADULT, above(ground, 1.0))
    blueprint = world.get_blueprint_library().find("sensor.other.imu")
    eye = world.spawn_actor(blueprint, carla.Transform(carla.Location(z=0.7)), attach_to=made)
    world.tick()
    assert eye.get_location().z == pytest.approx(ground.z + HALF_M + 0.7, abs=1e-4)


def test_a_walkers_figure_stands_on_the_ground_below_its_middle(world, ground):
    made = settled(world, ADULT, above(ground, 1.0))
    bones = {bone.name: bone for bone in made.get_bones().bone_transforms}
    assert bones["crl_root"].world.location.z == pytest.approx(ground.z, abs=1e-4)
    assert bones["crl_root"].component.location.z == 0.0
    place = made.get_component_relative_transform("CharacterMesh0").location
    assert place.z == pytest.approx(-HALF_M)
    assert made.get_component_world_transform("CollisionCylinder") == made.get_transform()


def test_a_replay_shows_a_walker_where_it_was(client, world, ground):
    made = settled(world, ADULT, above(ground, 1.0))
    client.start_recorder("origin.log")
    world.tick()
    before = made.get_transform()
    client.stop_recorder()
    made.set_location(above(ground, 5.0))
    client.replay_file("origin.log", 0.0, 0.0, 0)
    world.tick()
    assert made.get_transform().location.distance(before.location) < 1e-4
    client.stop_replayer(False)


def test_floor_and_origin_undo_each_other_also_for_a_leaning_body():
    walker, car = BLUEPRINTS[ADULT], BLUEPRINTS["vehicle.tesla.model3"]
    leaning = Pose(1.0, 2.0, 3.0, 0.4, -1.2, 0.3)
    floor = origins.floor_of(leaning, walker)
    assert math.dist(*((p.x_m, p.y_m, p.z_m) for p in (floor, leaning))) == pytest.approx(HALF_M)
    back = origins.origin_of(floor, walker)
    assert np.allclose((back.x_m, back.y_m, back.z_m), (1.0, 2.0, 3.0), atol=1e-12)
    upright = origins.floor_of(Pose(1.0, 2.0, 3.0, yaw_rad=0.7), walker)
    assert upright == Pose(1.0, 2.0, 3.0 - HALF_M, yaw_rad=0.7)
    assert origins.floor_of(leaning, car) is leaning
