"""The obstacle detector's ball against closed forms and a search by brute force."""

import math

import numpy as np
import pytest
from ray_scenes import car, floor, scene, wall

from simattack.server.sensors.obstacle import Detector, Obstacle, detect, push
from simattack.types import Pose

AHEAD = np.array([1.0, 0.0, 0.0])
ZERO = np.zeros(3)


def detector(**attributes):
    return Detector.of("sensor.other.obstacle", {k: str(v) for k, v in attributes.items()})


def test_a_ball_reaches_a_wall_one_radius_early():
    corners = np.array([[[9.0, -50, -50], [9.0, 50, -50], [9.0, 0, 80]]])
    assert push(corners, ZERO, AHEAD, 20.0, 0.5) == (pytest.approx(8.5), 0)
    assert push(corners, ZERO, AHEAD, 8.4, 0.5) == (math.inf, -1)
    assert push(corners, ZERO, -AHEAD, 20.0, 0.5) == (math.inf, -1)


def test_a_ball_meets_a_slanted_wall_with_its_flank():
    # The plane x + y = 10: the ball's middle comes to a distance r from it.
    corners = np.array([[[110.0, -100, -300], [-90.0, 100, -300], [10.0, 0, 600]]])
    way, _ = push(corners, ZERO, AHEAD, 20.0, 0.5)
    assert way == pytest.approx(10.0 - 0.5 * math.sqrt(2))


def test_a_ball_that_passes_beside_an_edge_touches_it_late():
    # An upright edge 0.3 m to the side, the rest of the triangle farther out.
    corners = np.array([[[6.0, 0.3, -5.0], [6.0, 0.3, 5.0], [6.0, 9.0, 0.0]]])
    assert push(corners, ZERO, AHEAD, 20.0, 0.5)[0] == pytest.approx(6.0 - 0.4)
    assert push(corners, ZERO, AHEAD, 20.0, 0.29)[1] == -1


def test_a_ball_touches_a_lone_corner():
    corners = np.array([[[6.0, 0.3, 0.0], [7.0, 4.0, 3.0], [7.0, 4.0, -3.0]]])
    assert push(corners, ZERO, AHEAD, 20.0, 0.5)[0] == pytest.approx(6.0 - 0.4)


def test_what_is_touched_at_the_start_is_no_way_off():
    corners = np.array([[[0.2, -1.0, -1.0], [0.2, 1.0, -1.0], [0.2, 0.0, 2.0]]])
    assert push(corners, ZERO, AHEAD, 20.0, 0.5) == (0.0, 0)


def test_the_way_to_any_triangle_agrees_with_a_search_along_it():
    rng = np.random.default_rng(3)
    weights = rng.dirichlet((0.5, 0.5, 0.5), 20000)
    grid = np.linspace(0.0, 12.0, 1201)
    met = 0
    for _ in range(25):
        corners = rng.uniform((2, -1.5, -1.5), (10, 1.5, 1.5), (1, 3, 3))
        points = weights @ corners[0]
        # A point (x, y, z) stops the ball where (x - t)^2 + y^2 + z^2 = r^2.
        room = 0.7**2 - points[:, 1] ** 2 - points[:, 2] ** 2
        reached = points[room > 0, 0] - np.sqrt(room[room > 0])
        way, which = push(corners, ZERO, AHEAD, float(grid[-1]), 0.7)
        assert which == (0 if len(reached) else -1)
        if len(reached):
            met += 1
            assert way == pytest.approx(reached.min(), abs=0.02)
    assert met > 10


def test_the_nearest_thing_ahead_is_told_and_the_carrier_is_not():
    rays = scene(wall(30.0), movers=[car(1), car(7, Pose(10.0)), car(8, Pose(18.0))])
    found = detect(detector(distance=40), rays, Pose(z_m=0.8), 1)
    assert found is not None
    assert (found.id, found.tag) == (7, 14)
    # Its tail is at 7.6 m, not quite upright.
    assert found.distance_m == pytest.approx(7.6 - 0.5, abs=0.12)
    assert detect(detector(distance=3), rays, Pose(z_m=0.8), 1) is None


def test_scenery_counts_unless_only_dynamics_do():
    rays = scene(wall(10.0), movers=[car(1), car(5, Pose(8.0), "box", 20, (1.0, 1.0, 1.0))])
    found = detect(detector(distance=40, hit_radius=0.2), rays, Pose(z_m=1.5), 1)
    assert found == Obstacle(0, 4, pytest.approx(9.8, abs=1e-6))
    low = detect(detector(distance=40), rays, Pose(z_m=0.8), 1)
    assert low is not None and low.id == 5
    assert detect(detector(distance=40, only_dynamics="true"), rays, Pose(z_m=0.8), 1) is None


def test_a_ball_that_reaches_down_to_the_road_reports_the_road():
    found = detect(detector(hit_radius=0.5), scene(floor()), Pose(z_m=0.4), 0)
    assert found == Obstacle(0, 1, 0.0)
    assert detect(detector(hit_radius=0.3), scene(floor()), Pose(z_m=0.4), 0) is None
