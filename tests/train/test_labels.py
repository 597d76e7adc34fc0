from dataclasses import replace

import numpy as np
import pytest

from simattack.detectors.oracle import Oracle
from simattack.geometry import project
from simattack.objects import faces
from simattack.train.dataset import Labelled, Record, visibility, visible_share
from simattack.train.labels import SIGN, actor_box, back_project, label_frame
from simattack.types import ActorState, Camera, CarInfo, Frame, Pose, Surface

CAMERA = Camera()
EYE = Pose(0.0, 0.0, 1.5)


def sign_at(x, y, z=2.0, yaw=0.0, name="stop_sign_0", size=0.75):
    """A sign whose face looks back along -x when yaw is 0."""
    half = size / 2
    right = np.array([-np.sin(yaw), np.cos(yaw), 0.0]) * half
    up = np.array([0.0, 0.0, half])
    centre = np.array([x, y, z])
    corners = [centre - right + up, centre + right + up, centre + right - up, centre - right - up]
    blank = np.zeros((8, 8, 3), np.uint8)
    return Surface(name, name, np.array(corners), blank, np.ones((8, 8), bool))


def actor(id, kind="vehicle.audi.tt", x=10.0, half=(2.0, 1.0, 0.75)):
    return ActorState(id, kind, Pose(x), (0, 0, 0), (0, 0, 0), half)


def blank_images(depth=200.0):
    return np.zeros((480, 640, 3), np.uint8), np.full((480, 640), depth, np.float32)


def draw_sign(instance, depth, sign, tag=SIGN):
    """Fill the projected rectangle of a sign that faces the camera."""
    corners = project(sign.corners_m, CAMERA, EYE)
    (x0, y0), (x1, y1) = np.round(corners.min(0)).astype(int), np.round(corners.max(0)).astype(int)
    instance[y0:y1, x0:x1, 0] = tag
    depth[y0:y1, x0:x1] = sign.corners_m[:, 0].mean()
    return x0, y0, x1, y1


def test_pixels_of_an_actor_are_its_box_and_large_ids_keep_16_bits():
    instance, depth = blank_images()
    instance[100:140, 200:280] = (14, 70000 & 255, (70000 >> 8) & 255)
    instance[300:310, 300:305] = (14, 9, 9)  # nobody's
    (found,) = label_frame(
        instance,
        depth,
        CAMERA,
        EYE,
        [actor(70000)],
        [],
    )
    assert found.label == "car" and found.box == (200.0, 100.0, 280.0, 140.0)
    assert found.pixels == 40 * 80 and found.id == 70000
    assert found.distance_m == pytest.approx(np.hypot(10.0, 0.75))


def test_a_two_wheeler_and_its_rider_are_two_objects():
    instance, depth = blank_images()
    instance[200:240, 300:320] = (19, 5, 0)
    instance[170:210, 304:316] = (13, 5, 0)
    found = label_frame(instance, depth, CAMERA, EYE, [actor(5, "vehicle.bh.crossbike")], [])
    assert {item.label for item in found} == {"bicycle", "person"}


def test_only_the_sign_that_stands_where_a_stop_sign_stands_is_one():
    instance, depth = blank_images()
    stop, other = sign_at(20.0, 4.0), sign_at(20.0, -4.0, name="speed")
    box = draw_sign(instance, depth, stop)
    draw_sign(instance, depth, other)
    (found,) = label_frame(instance, depth, CAMERA, EYE, [], [stop])
    assert found.label == "stop sign" and found.box == tuple(float(v) for v in box)
    assert not found.is_doubtful


def test_the_back_of_a_stop_sign_is_none_and_a_flat_view_is_doubtful():
    instance, depth = blank_images()
    draw_sign(instance, depth, sign_at(20.0, 4.0))
    back = sign_at(20.0, 4.0, yaw=np.pi)
    flat = sign_at(20.0, 4.0, yaw=np.deg2rad(80) + np.arctan2(4, 20))
    assert label_frame(instance, depth, CAMERA, EYE, [], [back]) == []
    (found,) = label_frame(instance, depth, CAMERA, EYE, [], [flat])
    assert found.is_doubtful


def test_back_projection_undoes_projection():
    pose = Pose(3.0, -2.0, 1.5, 0.05, 0.7, 0.02)
    point = np.array([[20.0, 12.0, 2.0]])
    x, y = project(point, CAMERA, pose)[0]
    ahead = (point - (3.0, -2.0, 1.5)) @ __import__("simattack.geometry").geometry.rotation(pose)
    depth = np.full((480, 640), ahead[0, 0], np.float32)
    found = back_project(np.array([int(y)]), np.array([int(x)]), depth, CAMERA, pose)
    assert np.linalg.norm(found - point) < 0.04  # within a pixel at 20 m


def test_the_visible_share_is_measured_against_unhidden_objects_of_the_same_view():
    def car(pixels, outline=1000.0):
        return Labelled("car", (0, 0, 40, 30), pixels, outline, 1.0, 20.0, "car 0")

    whole = [Record(str(i), "", "a", 0, (car(700),)) for i in range(9)]
    hidden = Record("h", "", "a", 0, (car(140),))
    fill = visibility([*whole, hidden])
    assert visible_share(car(700), fill) == pytest.approx(1.0)
    assert visible_share(car(140), fill) == pytest.approx(0.2)
    assert visible_share(car(700, 2000.0), fill) == pytest.approx(0.5)  # half of it off the image


def test_an_object_half_off_the_image_is_told_to_be_half_inside():
    instance, depth = blank_images()
    instance[200:300, 600:640] = (14, 1, 0)
    side = 10.0 * np.tan(np.deg2rad(30.0))
    edge = ActorState(
        1, "vehicle.audi.tt", Pose(10.0, side), (0, 0, 0), (0, 0, 0), (0.01, 1.0, 0.75)
    )
    (found,) = label_frame(instance, depth, CAMERA, EYE, [edge], [])
    assert found.inside == pytest.approx(0.5, abs=0.07)


def test_the_oracle_sees_what_stands_before_the_car_and_no_sign_from_behind():
    car = CarInfo()
    ego = ActorState(0, "vehicle.x", Pose(), (0, 0, 0), (0, 0, 0), (2, 1, 0.7))
    seer = Oracle().begin(car, [sign_at(20.0, 3.0), sign_at(25.0, 3.0, yaw=np.pi)])
    walker = ActorState(
        3, "walker.pedestrian.0001", Pose(12.9), (0, 0, 0), (0, 0, 0), (0.2, 0.25, 0.9)
    )
    seer.watch(Frame(0, 0.0, ego, (walker, actor(4, x=-10.0))))
    (seen,) = seer.detect(np.zeros((1, 480, 640, 3), np.uint8))
    assert seen.labels == ("person", "stop sign")
    # 1.8 m tall, 12 m before the camera that is mounted 0.9 m ahead and 1.5 m up.
    height = seen.boxes[0, 3] - seen.boxes[0, 1]
    assert height == pytest.approx(1.8 / 11.8 * car.camera.focal_px, rel=0.03)
    # Where a server says that the box is, whatever it stands on.
    mid = replace(walker, pose=Pose(12.9, z_m=0.9), middle_m=(0.0, 0.0, 0.0))
    assert actor_box(mid) == pytest.approx(actor_box(walker))
    seer.watch(Frame(0, 0.0, ego, (mid,)))
    (again,) = seer.detect(np.zeros((1, 480, 640, 3), np.uint8))
    assert again.boxes[0] == pytest.approx(seen.boxes[0])
    assert Oracle().is_privileged
    assert faces(sign_at(20.0, 3.0), EYE) and not faces(sign_at(20.0, 3.0, yaw=np.pi), EYE)
