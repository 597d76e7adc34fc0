"""Optical flow against closed forms: a turning and an advancing camera, a driving car."""

from __future__ import annotations

import numpy as np
import pytest
from smallstreet import TICK_S, Street, moment, small_street, wall

from simattack.server.render import GBuffer, Mover, View
from simattack.server.sensors.flow import SKY, Past, velocity
from simattack.types import Floats, Pose

WIDTH, HEIGHT, FOV = 96, 72, np.deg2rad(80.0)
FOCAL = WIDTH / 2 / np.tan(FOV / 2)


@pytest.fixture(scope="module")
def street() -> Street:
    return small_street()


def view(pose: Pose) -> View:
    return View(pose, WIDTH, HEIGHT, float(FOV))


def centred() -> tuple[Floats, Floats]:
    """Pixels' centres from the image's middle, x right, y down [px]."""
    return np.meshgrid(np.arange(WIDTH) + 0.5 - WIDTH / 2, np.arange(HEIGHT) + 0.5 - HEIGHT / 2)


def pixels(picture: GBuffer, now: View, before: Pose, *pairs: tuple[Mover, Mover]) -> Floats:
    """(H, W, 2) x right, y down [px] since ``before``; pairs are movers then and now."""
    past = Past(0.0, before, {old.id: old for old, _ in pairs})
    flow = velocity(picture, now, {new.id: new for _, new in pairs}, past)
    return flow * np.array([WIDTH / 2, -HEIGHT / 2])


def test_a_turning_camera_sees_the_flow_of_a_pure_rotation(street: Street) -> None:
    turn = 0.03
    before, now = Pose(x_m=50.0, z_m=2.0), Pose(x_m=50.0, z_m=2.0, yaw_rad=turn)
    flow = pixels(street.draw(view(now)), view(now), before)
    x, y = centred()
    # A ray at azimuth a from the axis stood at a + turn before; depth plays no part.
    was_x = FOCAL * np.tan(np.arctan(x / FOCAL) + turn)
    was_y = y * np.cos(np.arctan(x / FOCAL)) / np.cos(np.arctan(x / FOCAL) + turn)
    np.testing.assert_allclose(flow[..., 0], x - was_x, atol=2e-3)
    np.testing.assert_allclose(flow[..., 1], y - was_y, atol=2e-3)
    # Yaw grows clockwise: the scene runs to the left.
    assert (flow[..., 0] < 0).all()


def test_an_advancing_camera_sees_a_wall_grow_about_the_middle(street: Street) -> None:
    before, now = Pose(x_m=50.0, z_m=2.0), Pose(x_m=50.5, z_m=2.0)
    near = wall(60.5)
    picture = street.draw(view(now), near)
    flow = pixels(picture, view(now), before, (near, near))
    seen = picture.id == near.id
    assert seen.sum() > 1000
    x, y = centred()
    # 10 m away after half a metre: p = f X / 10 was f X / 10.5.
    part = 1 - 10.0 / 10.5
    np.testing.assert_allclose(flow[seen][:, 0], x[seen] * part, atol=0.02)
    np.testing.assert_allclose(flow[seen][:, 1], y[seen] * part, atol=0.02)


def test_the_sky_does_not_move_with_an_advancing_camera(street: Street) -> None:
    before, now = Pose(x_m=50.0, z_m=2.0), Pose(x_m=52.0, z_m=2.0)
    picture = street.draw(view(now))
    flow = pixels(picture, view(now), before)
    assert (picture.tag == SKY).sum() > 500
    np.testing.assert_allclose(flow[picture.tag == SKY], 0.0, atol=1e-4)
    # The road does, towards the viewer: down in its lower half.
    assert (flow[picture.tag == 1][:, 1] > 0).all()


def test_a_car_that_crosses_moves_by_its_speed_over_its_depth(street: Street) -> None:
    speed_mps = 8.0
    eye = Pose(x_m=50.0, z_m=1.5)
    car = [
        Mover(9, "car", (4.7, 2.1, 1.5), (0.1, 0.2, 0.6), Pose(62.0, y, 0, 0, np.pi / 2), 14)
        for y in (-0.2, -0.2 + speed_mps * TICK_S)
    ]
    picture = street.draw(view(eye), car[1])
    flow = pixels(picture, view(eye), eye, (car[0], car[1]))
    seen = picture.id == 9
    assert seen.sum() > 100
    expected = FOCAL * speed_mps * TICK_S / picture.depth_m[seen]
    np.testing.assert_allclose(flow[seen][:, 0], expected, atol=1e-3)
    np.testing.assert_allclose(flow[seen][:, 1], 0.0, atol=1e-3)
    assert not flow[~seen].any()


def test_a_turning_object_carries_its_points_around_its_middle(street: Street) -> None:
    eye = Pose(x_m=50.0, z_m=1.5)
    box = [
        Mover(7, "box", (2.0, 2.0, 2.0), (0.5, 0.5, 0.5), Pose(60.0, yaw_rad=yaw), 20)
        for yaw in (0.0, 0.1)
    ]
    picture = street.draw(view(eye), box[1])
    flow = pixels(picture, view(eye), eye, (box[0], box[1]))
    x, _ = centred()
    seen = (picture.id == 7) & (np.abs(x) < 1)
    depth = picture.depth_m[seen]
    side = x[seen] * depth / FOCAL
    # Back by the turn about (60, 0), then through the pinhole.
    cos, sin = np.cos(-0.1), np.sin(-0.1)
    ahead, across = depth - 10.0, side
    was_ahead, was_across = cos * ahead - sin * across + 10.0, sin * ahead + cos * across
    np.testing.assert_allclose(
        flow[seen][:, 0], x[seen] - FOCAL * was_across / was_ahead, atol=1e-3
    )


def test_nothing_moves_at_the_first_image_and_while_all_stands(street: Street) -> None:
    eye = Pose(x_m=50.0, z_m=1.5)
    picture = street.draw(view(eye))
    assert not velocity(picture, view(eye), {}, None).any()
    past = Past(0.0, eye, {})
    assert not velocity(picture, view(eye), dict(moment(1).movers), past).any()
