"""Who a surface's name means, and where beside a route a thing stands."""

from types import SimpleNamespace

import numpy as np
import pytest

from simattack.bodywork import nearest, surface_on
from simattack.errors import ConfigError
from simattack.geometry import angles, rotation
from simattack.roadmap import beside
from simattack.types import Pose

PLACES = {
    1: ("vehicle.lincoln.mkz_2020", Pose()),
    2: ("vehicle.tesla.model3", Pose(x_m=30.0)),
    3: ("vehicle.audi.a2", Pose(x_m=-5.0)),
    4: ("vehicle.audi.a2", Pose(x_m=12.0, y_m=3.0)),
    5: ("walker.pedestrian.0001", Pose(x_m=2.0)),
}


def actor(actor_id):
    kind = PLACES[actor_id][0]
    box = SimpleNamespace(
        location=SimpleNamespace(x=0.0, y=0.0, z=0.75),
        extent=SimpleNamespace(x=2.35, y=1.06, z=0.75),
    )
    attributes = {"color": "10,20,30", "base_type": "car"} if "vehicle" in kind else {}
    return SimpleNamespace(id=actor_id, bounding_box=box, attributes=attributes)


def surface(name, roles=None):
    return surface_on(name, actor, PLACES, roles or {}, 1)


def test_the_nearest_is_the_first_of_its_kind_ahead():
    assert nearest("vehicle", PLACES, 1) == 4
    assert nearest("walker", PLACES, 1) == 5
    with pytest.raises(ConfigError, match="a walker ahead of the car, there is none"):
        nearest("walker", {1: PLACES[1], 5: ("walker.x", Pose(x_m=-1.0))}, 1)


def test_a_surface_is_found_by_role_id_and_nearness():
    assert surface("vehicle:lead:rear", {"lead": 2}).actor_id == 2
    assert surface("vehicle:3:left").actor_id == 3
    rear = surface("vehicle:nearest:rear")
    assert rear.actor_id == 4 and rear.object_name == ""
    assert rear.texture[0, 0].tolist() == [10, 20, 30]
    # 2 cm behind a box 4.7 m long; 0.6 of half its width to each side.
    assert rear.corners_m[:, 0].tolist() == pytest.approx([-2.37] * 4)
    assert rear.size_m[0] == pytest.approx(1.2 * 1.06)


def test_an_unknown_role_is_told_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"a role of the scenario \(lead\).*got 'boss'"):
        surface("vehicle:boss:rear", {"lead": 2})


def test_a_place_beside_a_route_is_along_its_bends():
    # 10 m east, then south (+y): 15 m on are 5 m down the second leg, whose right is west.
    points = np.array([(x, 0.0, 0.0) for x in range(11)] + [(10.0, y, 0.0) for y in range(1, 21)])
    pose = beside(points, np.zeros(3), 15.0, 2.0)
    assert (pose.x_m, pose.y_m, pose.yaw_rad) == pytest.approx((8.0, 5.0, np.pi / 2))
    with pytest.raises(ConfigError, match="got 40 m ahead: it goes on for 30 m"):
        beside(points, np.zeros(3), 40.0, 0.0)


@pytest.mark.parametrize(
    "pose", [Pose(pitch_rad=-np.pi / 2, yaw_rad=0.7), Pose(0, 0, 0, 0.4, -2.0, 1.1)]
)
def test_angles_give_a_rotation_back(pose):
    pitch, yaw, roll = angles(rotation(pose))
    assert rotation(Pose(0, 0, 0, pitch, yaw, roll)) == pytest.approx(rotation(pose), abs=1e-9)
